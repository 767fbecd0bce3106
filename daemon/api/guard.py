"""What strangers on the network can tie up, bounded: how many connections there are, and how long a request's headers
may take. (Bodies are read a megabyte at a time, and their size is limited.)"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

MOST, EACH = 400, 100  # connections in all, and of one address
HEADERS_WITHIN = 20.0  # seconds, from the connection or the last answer
LOOK_EVERY = 1.0


class FewConnections(socket.socket):
    """A listening socket that closes at once what is too much: before TLS, which costs memory and time. (On Windows,
    asyncio accepts connections in another way, and this limit has no effect.)"""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._open: list[tuple[socket.socket, str]] = []

    def accept(self) -> tuple[socket.socket, Any]:
        """Raises BlockingIOError, as if nobody had asked."""
        connection, address = super().accept()
        self._open = [one for one in self._open if one[0].fileno() != -1]
        if len(self._open) >= MOST or sum(host == address[0] for _, host in self._open) >= EACH:
            connection.close()
            raise BlockingIOError("too many connections")
        self._open.append((connection, address[0]))
        return connection, address


class Impatient(H11Protocol):
    """Closes a connection on which nothing is asked, or whose request only ever begins."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._since = self.loop.time()
        self._next = self.loop.call_later(LOOK_EVERY, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        self._next.cancel()
        super().connection_lost(exc)

    def _look(self) -> None:
        now = self.loop.time()
        if self.cycle is not None and not self.cycle.response_complete:
            self._since = now  # at work, or reading a body
        if now - self._since > HEADERS_WITHIN:
            self.transport.abort()
        else:
            self._next = self.loop.call_later(LOOK_EVERY, self._look)
