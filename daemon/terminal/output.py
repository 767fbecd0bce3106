"""What a run shows: bars on a terminal, plain lines elsewhere, JSON lines for programs. One function each: event in."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal

from daemon.api.schema import event_out
from daemon.events import (
    CurvePoint,
    Event,
    Heartbeat,
    JobCancelled,
    JobChosen,
    JobDone,
    JobFailed,
    JobStarted,
    JobStepped,
    Note,
)
from daemon.paths import printable

if TYPE_CHECKING:
    from daemon.api.client import Client

Show = Callable[[Event], None]
Mode = Literal["bars", "plain", "json"]


@contextlib.contextmanager
def view(plain: bool, as_json: bool) -> Iterator[Show]:
    """The view for this output; on a terminal its bars go when the context ends."""
    if as_json:
        yield _json
    elif plain or not sys.stdout.isatty():
        yield _Plain().show
    else:
        with _bars() as show:
            yield show


def view_on_terminal(plain: bool, as_json: bool) -> bool:
    return not plain and not as_json and sys.stdout.isatty()


@contextlib.contextmanager
def live_view() -> Iterator[Show]:
    """`watch`'s own: the status view in a thread, attached to this process's API as to any other daemon's. Warnings
    of the beginning, before there is an API, are shown when the terminal is given back."""
    import os
    import signal
    import threading

    from daemon import paths
    from daemon.api.client import Client, NoDaemon, read_address
    from daemon.terminal.status_view import run_live

    ended = threading.Event()
    early: list[str] = []

    def connect() -> Client:
        while not ended.wait(0.05):
            address = read_address(paths.address_file())
            if address is not None and address.pid == os.getpid():
                return Client(address)
        raise NoDaemon("It ends.")

    def show(event: Event) -> None:
        if isinstance(event, Note) and event.warning:
            early.append(printable(event.text))

    def run() -> None:
        while not ended.is_set() and run_live(connect, ended.is_set, lambda: os.kill(os.getpid(), signal.SIGTERM)):
            pass  # a Root that was taken away and is back has a new API

    thread = threading.Thread(target=run, name="stylefolder-view")
    thread.start()
    try:
        yield show
    finally:
        ended.set()
        thread.join()
        for text in early[-5:]:
            print(text, file=sys.stderr)  # noqa: T201


def attached_view(client: Client) -> bool:
    """`status`'s: until q or ctrl-C; returns whether the daemon ended before."""
    from daemon.lifetime import stoppable
    from daemon.terminal.status_view import run_live

    with stoppable() as stopped:
        return run_live(lambda: client, stopped, lambda: None)


def sentence(event: Event) -> str | None:
    """An event in a line, or None where it is only progress."""
    match event:
        case Note(text):
            return printable(text)
        case Heartbeat(queued, done, failed):
            return f"At work: {queued} queued, {done} done, {failed} failed."
        case JobStarted(job):
            return f"{printable(job.photo.name)}: begun with {job.preset}"
        case JobDone(job, copied=True):
            return (
                f"{printable(job.photo.name)}: done, {printable(job.result)}, copied from the Result of the same photo"
            )
        case JobDone(job, notes):
            said = "".join(f" {note}" for note in notes)
            place = (
                "" if job.result is None or job.source == "upload" else f", {printable(job.result)}"
            )  # what was sent is fetched
            return f"{printable(job.photo.name)}: done in {job.seconds:.1f} s{place}{said}"
        case JobFailed(job):
            return f"{printable(job.photo.name)}: failed. {printable(job.reason)}"
        case JobCancelled(job):
            return f"{printable(job.photo.name)}: cancelled." + (f" {printable(job.reason)}" if job.reason else "")
    return None


class _Plain:
    """A line per event; failures and warnings to standard error; the total loss at tenths of the way."""

    def __init__(self) -> None:
        self.device: str | None = None

    def show(self, event: Event) -> None:
        wrong = isinstance(event, JobFailed) or (isinstance(event, Note) and event.warning)
        if text := self._text(event):
            print(text, file=sys.stderr if wrong else sys.stdout, flush=True)

    def _text(self, event: Event) -> str | None:
        if isinstance(event, JobChosen):
            return self._said_once(event)
        if isinstance(event, JobDone) and event.curve:
            return f"{sentence(event)}\n  {_losses(event.curve)}"
        return sentence(event)

    def _said_once(self, event: JobChosen) -> str | None:
        if event.device == self.device:
            return None
        self.device = event.device
        return chosen(event)


def _losses(curve: Sequence[CurvePoint]) -> str:
    """In words; those of two scales are not alike, and stand apart."""
    points = dict.fromkeys([*curve[:: -(-len(curve) // 10)], curve[-1]])
    scales = [
        [f"{step}: {total:.4g}" for step, of, total, *_ in points if of == scale]
        for scale in dict.fromkeys(point[1] for point in points)
    ]
    return "total loss by step: " + "; ".join(", ".join(scale) for scale in scales)


def chosen(event: JobChosen) -> str:
    """What ``auto`` became, in words."""
    return f"Working on {event.device}; this photo at {event.size[0]} x {event.size[1]} pixels, then enlarged to its own size."


def _json(event: Event) -> None:
    print(json.dumps(event_out(event)), flush=True)  # noqa: T201


@contextlib.contextmanager
def _bars() -> Iterator[Show]:
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

    from daemon.terminal.layout import clock

    console = Console(highlight=False)
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        TextColumn("{task.fields[words]}"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
        console=console,
        expand=True,
        refresh_per_second=4,
    )
    bars: dict[int, TaskID] = {}
    plain = _Plain()

    def show(event: Event) -> None:
        match event:
            case JobStarted(job):
                name = escape(f"{printable(job.photo.name)} [{job.preset}]")
                if job.id in bars:  # begun again after the worker's death
                    progress.remove_task(bars[job.id])
                bars[job.id] = progress.add_task(name, total=None, words="beginning", left="")
                return
            case JobStepped(job, step, steps, _, _, loss, share, seconds):
                left = clock(seconds * (1 - share) / share) if share else ""
                progress.update(
                    bars[job.id],
                    completed=share,
                    total=1,
                    words=f"step {step} of {steps}, loss {loss:.4g}",
                    left=left and f"{left} left",
                )
                return
            case JobDone(job) | JobFailed(job) | JobCancelled(job):
                if job.id in bars:
                    progress.remove_task(bars.pop(job.id))
        if isinstance(event, JobChosen):
            text, style = plain._said_once(event), "dim"
        else:
            text, style = (
                sentence(event),
                "red" if isinstance(event, JobFailed) else "green" if isinstance(event, JobDone) else "",
            )
        if text:
            console.print(escape(text), style=style, soft_wrap=True)

    with progress:
        yield show
