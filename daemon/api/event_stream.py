"""Events to many readers at once, none of whom can hold the others up: server-sent events for each subscriber."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from daemon.api.schema import event_out
from daemon.events import Event, Heartbeat, JobCancelled, JobDone, JobFailed, JobPreview, Note

BEHIND = 500  # events that a reader may be behind; then it is dropped
ALIVE_EVERY = 10.0  # seconds of silence after which a comment is sent
SENT_WITHIN = 10.0  # seconds in which a reader must take something


@dataclass(eq=False)
class Subscriber:
    """``job``: only what happens to this one. Its queue holds lines ready to be sent; None ends it."""

    previews: bool
    job: int | None = None
    queue: asyncio.Queue[bytes | None] = field(default_factory=lambda: asyncio.Queue(BEHIND))


class Hub:
    """``publish`` from any thread. All else in the event loop's thread. ``wanted`` is told whether previews are."""

    def __init__(self, wanted: Callable[[bool], None] = lambda _: None) -> None:
        self.wanted = wanted
        self.subscribers: set[Subscriber] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._number = 0

    def attach(self) -> None:
        """From the event loop that serves the readers."""
        self._loop = asyncio.get_running_loop()

    def detach(self) -> None:
        """The end of all streams."""
        self._loop = None
        for subscriber in self.subscribers:
            _end(subscriber)

    def close(self) -> None:
        """From any thread: all readers are told the end."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self.detach)

    def publish(self, event: Event) -> None:
        if self._loop is not None and self.subscribers:
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile, and with it all readers
                self._loop.call_soon_threadsafe(self._fan_out, event)

    def subscribe(self, previews: bool, job: int | None = None) -> Subscriber:
        subscriber = Subscriber(previews, job)
        self.subscribers.add(subscriber)
        self._tell_wanted()
        return subscriber

    def leave(self, subscriber: Subscriber) -> None:
        self.subscribers.discard(subscriber)
        self._tell_wanted()

    def _tell_wanted(self) -> None:
        self.wanted(any(subscriber.previews for subscriber in self.subscribers))

    def _fan_out(self, event: Event) -> None:
        self._number += 1
        line = f"id: {self._number}\nevent: {type(event).__name__}\ndata: {json.dumps(event_out(event))}\n\n".encode()
        about = None if isinstance(event, (Note, Heartbeat)) else event.job.id
        for subscriber in list(self.subscribers):
            if (isinstance(event, JobPreview) and not subscriber.previews) or subscriber.job not in (None, about):
                continue
            try:
                subscriber.queue.put_nowait(line)
                if subscriber.job is not None and isinstance(event, (JobDone, JobFailed, JobCancelled)):
                    subscriber.queue.put_nowait(None)
            except asyncio.QueueFull:
                self.leave(subscriber)
                _end(subscriber)


def _end(subscriber: Subscriber) -> None:
    while not subscriber.queue.empty():
        subscriber.queue.get_nowait()
    subscriber.queue.put_nowait(None)


class EventStream(Response):
    """A response that lasts until the reader leaves, is too slow, or the daemon ends. At the beginning and after
    ``every`` seconds of silence ``beat`` gives the lines to say; None is the end. ``closed`` is called when it has ended."""

    media_type = "text/event-stream"

    def __init__(
        self, hub: Hub, previews: bool, job: int | None = None, beat: Callable[[], list[bytes | None]] = lambda: [b": alive\n\n"],
        every: float = ALIVE_EVERY, closed: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        super().__init__(headers={"Cache-Control": "no-store"})
        del self.headers["content-length"]
        self.hub = hub
        self.previews = previews
        self.job = job
        self.beat = beat
        self.every = every
        self.closed = closed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        subscriber = self.hub.subscribe(self.previews, self.job)
        gone = asyncio.create_task(_until_gone(receive))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            await self._say(send, b": welcome\n\n")
            lines = self.beat()
            while None not in lines:
                await self._say(send, *lines)
                news = asyncio.create_task(subscriber.queue.get())
                await asyncio.wait({news, gone}, timeout=self.every, return_when=asyncio.FIRST_COMPLETED)
                if gone.done():
                    news.cancel()
                    return
                if news.done():
                    lines = [news.result()]
                else:
                    news.cancel()
                    lines = self.beat()
            await self._say(send, *lines)
            await send({"type": "http.response.body", "body": b""})
        except (TimeoutError, OSError):
            return  # it does not read: the server closes what was not completed
        finally:
            gone.cancel()
            self.hub.leave(subscriber)
            self.closed()

    @staticmethod
    async def _say(send: Send, *lines: bytes | None) -> None:
        body = b"".join(line for line in lines if line)
        await asyncio.wait_for(send({"type": "http.response.body", "body": body, "more_body": True}), SENT_WITHIN)


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
