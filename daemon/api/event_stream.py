"""Events to many readers at once, none of whom can hold up the others."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

from fastapi.sse import ServerSentEvent

from daemon.api.schema import event_out
from daemon.api.without_paths import event_without_paths
from daemon.events import Event, Heartbeat, JobPreview, Note

BEHIND = 50_000  # events that a reader may be behind before it is dropped; readers share the events' bytes
AT_ONCE = 200  # events handed out before other requests have their turn


class Reader(NamedTuple):
    """A client, and whether it sees a Job."""

    client: int
    sees: Callable[[int], bool]


class Subscriber:
    """One reader. ``job``: it reads about this Job only. ``reader``: a client, which reads only about the Jobs
    that it sees."""

    def __init__(self, previews: bool, job: int | None, reader: Reader | None) -> None:
        self.reader = reader
        self.previews = previews
        self.job = job
        self.ended = False
        self._events: deque[ServerSentEvent] = deque()
        self._preview: ServerSentEvent | None = None  # only the newest: they are large
        self._news = asyncio.Event()

    def wants(self, event: Event) -> bool:
        about = None if isinstance(event, (Note, Heartbeat)) else event.job.id
        if self.reader is not None and (about is None or not self.reader.sees(about)):
            return False
        return (self.previews or not isinstance(event, JobPreview)) and self.job in (None, about)

    def put(self, event: ServerSentEvent) -> None:
        if event.event == JobPreview.__name__:
            self._preview = event
        else:
            self._events.append(event)
        if len(self._events) > BEHIND:
            self.end()
        self._news.set()

    def end(self) -> None:
        """What it has not read is lost."""
        self.ended = True
        self._events.clear()
        self._preview = None
        self._news.set()

    async def next(self, wait: float | None = None) -> ServerSentEvent | None:
        """None after ``wait`` seconds of silence, or once it has ``ended``."""
        if not self._events and self._preview is None and not self.ended:
            self._news.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), wait)
        if self._events:
            return self._events.popleft()
        preview, self._preview = self._preview, None
        return preview


class EventStream:
    """``publish`` and ``close`` may be called by any thread, everything else by the event loop's. ``want_previews``
    receives whether any reader wants them."""

    def __init__(self, want_previews: Callable[[bool], None]) -> None:
        self.want_previews = want_previews
        self.subscribers: set[Subscriber] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: deque[Event] = deque()
        self._number = 0

    def attach(self) -> None:
        """To the event loop that serves the readers."""
        self._loop = asyncio.get_running_loop()

    def detach(self) -> None:
        """All readers see the end."""
        self._loop = None
        for subscriber in self.subscribers:
            subscriber.end()

    def close(self) -> None:
        self._call(self.detach)

    def cut_off(self, client: int) -> None:
        """It reads no more. Any thread may call this."""

        def cut() -> None:
            for subscriber in self.subscribers:
                if subscriber.reader is not None and subscriber.reader.client == client:
                    subscriber.end()

        self._call(cut)

    def publish(self, event: Event) -> None:
        if self._loop is not None and self.subscribers:
            self._waiting.append(event)
            if len(self._waiting) == 1:
                self._call(self._hand_out)

    @contextlib.contextmanager
    def subscribed(self, previews: bool, job: int | None = None, reader: Reader | None = None) -> Iterator[Subscriber]:
        subscriber = Subscriber(previews, job, reader)
        self.subscribers.add(subscriber)
        self._update_previews()
        try:
            yield subscriber
        finally:
            self.subscribers.discard(subscriber)
            self._update_previews()

    def _call(self, what: Callable[[], None]) -> None:
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the event loop has ended, and with it all readers
                self._loop.call_soon_threadsafe(what)

    def _update_previews(self) -> None:
        self.want_previews(any(subscriber.previews for subscriber in self.subscribers))

    def _hand_out(self) -> None:
        """To all readers that want it. A burst is handed out in parts, so that readers and other requests keep up."""
        for _ in range(min(AT_ONCE, len(self._waiting))):
            event = self._waiting[0]
            self._number += 1
            lines: dict[bool, ServerSentEvent] = {}
            for subscriber in [reader for reader in self.subscribers if reader.wants(event)]:
                for_client = subscriber.reader is not None
                if for_client not in lines:
                    lines[for_client] = _line(event, self._number, for_client)
                subscriber.put(lines[for_client])
                if subscriber.ended:
                    self.subscribers.discard(subscriber)
                    self._update_previews()
            self._waiting.popleft()
        if self._waiting and self._loop is not None:
            self._loop.call_soon(self._hand_out)


def _line(event: Event, number: int, for_client: bool) -> ServerSentEvent:
    fields = event_out(event)
    if for_client:
        fields = event_without_paths(fields)
    return ServerSentEvent(event=type(event).__name__, raw_data=json.dumps(fields), id=str(number))
