"""Memory for what travels between the daemon and other machines."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator


class Room:
    """So many bytes (``size``), first come, first served. What is larger than all of them waits until it is alone."""

    def __init__(self, size: int) -> None:
        self._size = self._free = size
        self._first = asyncio.Lock()
        self._changed = asyncio.Condition()

    @contextlib.asynccontextmanager
    async def of(self, size: int) -> AsyncIterator[None]:
        """So much of it, as long as the context lasts."""
        size = min(size, self._size)
        async with self._first, self._changed:
            await self._changed.wait_for(lambda: self._free >= size)
            self._free -= size
        try:
            yield
        finally:
            self._free += size
            async with self._changed:
                self._changed.notify()
