"""What a command prints: bars on a terminal, plain lines elsewhere, JSON lines for programs. Each is a function that
takes an event."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daemon.api.schema import event_out
from daemon.errors import NoDaemon
from daemon.events import (
    Event,
    JobCancelled,
    JobChosen,
    JobDone,
    JobFailed,
    JobStarted,
    JobStepped,
    Listener,
    LossPoint,
)
from daemon.lifetime import stoppable
from daemon.paths import address_file, printable
from daemon.sentences import called, clock, device_sentence, estimate_sentence, is_warning, sentence

if TYPE_CHECKING:
    from daemon.api.client import Client

EARLY_WARNINGS = 5
VIEW_ENDS_WITHIN = 5.0  # seconds


@contextlib.contextmanager
def view(plain: bool, as_json: bool, folder: Path | None = None) -> Iterator[Listener]:
    """The right one for this output. On a terminal, the bars disappear when the context ends. ``folder``: photos are
    named by their place in it."""
    if as_json:
        yield _show_json
    elif plain or not sys.stdout.isatty():
        yield _Plain(folder).show
    else:
        with _bars(folder) as show:
            yield show


def is_terminal(plain: bool, as_json: bool) -> bool:
    return not plain and not as_json and sys.stdout.isatty()


@contextlib.contextmanager
def watch_view() -> Iterator[Listener]:
    """The view for `watch`: the status view in a thread, attached to this process's API as to any other daemon's. The
    last warnings, which a view that is not attached yet cannot show, are printed when the terminal is free again."""
    from daemon.api.client import Client, read_address
    from daemon.terminal.status_view import run_view

    ended = threading.Event()
    warnings: deque[str] = deque(maxlen=EARLY_WARNINGS)

    def connect() -> Client:
        while not ended.wait(0.05):
            address = read_address(address_file())
            if address is not None and address.pid == os.getpid():
                return Client(address)
        raise NoDaemon("Stopping.")

    def show(event: Event) -> None:
        if is_warning(event) and not isinstance(event, JobFailed):
            warnings.append(sentence(event) or "")

    def run() -> None:
        # A Root that was removed and is back has a new API.
        while not ended.is_set() and run_view(connect, ended.is_set, lambda: os.kill(os.getpid(), signal.SIGTERM)):
            pass

    thread = threading.Thread(target=run, name="stylefolder-view", daemon=True)
    thread.start()
    try:
        yield show
    finally:
        ended.set()
        thread.join(VIEW_ENDS_WITHIN)  # a terminal that is stopped (ctrl-S) keeps it waiting
        for text in warnings:
            print(text, file=sys.stderr)  # noqa: T201


def attached_view(client: Client) -> bool:
    """The view for `status`, until the user presses q or Ctrl+C. Returns whether the daemon stopped first."""
    from daemon.terminal.status_view import run_view

    with stoppable() as stopped:
        return run_view(lambda: client, stopped, lambda: None)


class _Plain:
    """A line per event; failures and warnings go to standard error. A finished Job shows how its total loss fell."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self.devices: set[str] = set()

    def show(self, event: Event) -> None:
        if text := self._text(event):
            print(text, file=sys.stderr if is_warning(event) else sys.stdout, flush=True)

    def _text(self, event: Event) -> str | None:
        if isinstance(event, JobChosen):
            return self.chosen(event)
        if isinstance(event, JobDone) and event.curve:
            return f"{sentence(event, self.folder)}\n  {_losses(event.curve)}"
        return sentence(event, self.folder)

    def chosen(self, event: JobChosen) -> str | None:
        """Each device once, and what each long Job takes."""
        said = [estimate_sentence(event)]
        if event.device not in self.devices:
            self.devices.add(event.device)
            said.insert(0, device_sentence(event))
        return "\n".join(text for text in said if text) or None


def _losses(curve: Sequence[LossPoint]) -> str:
    """Ten points. Losses of different scales cannot be compared, so semicolons separate the scales."""
    points = dict.fromkeys([*curve[:: -(-len(curve) // 10)], curve[-1]])
    scales = dict.fromkeys(point.scale for point in points)
    parts = [
        ", ".join(f"{point.step}: {point.total:.4g}" for point in points if point.scale == scale) for scale in scales
    ]
    return "total loss by step: " + "; ".join(parts)


def _show_json(event: Event) -> None:
    print(json.dumps(event_out(event)), flush=True)  # noqa: T201


@contextlib.contextmanager
def _bars(folder: Path | None) -> Iterator[Listener]:
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

    console = Console(highlight=False)
    words, left = TextColumn("{task.fields[words]}"), TextColumn("{task.fields[left]}")
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=None), words, TimeElapsedColumn(), left)
    progress = Progress(*columns, console=console, expand=True, refresh_per_second=4)
    bars: dict[int, TaskID] = {}
    plain = _Plain(folder)

    def show(event: Event) -> None:
        match event:
            case JobStarted(job):
                if job.id in bars:  # started again after the worker's death
                    progress.remove_task(bars[job.id])
                name = escape(f"{called(job.photo, folder)} [{printable(job.preset)}]")
                bars[job.id] = progress.add_task(name, total=None, words="starting", left="")
                return
            case JobStepped(job, step, steps):
                fields: dict[str, Any] = {
                    "words": f"step {step} of {steps}, loss {event.loss:.4g}",
                    "left": "" if event.left is None else f"{clock(event.left)} left",
                }
                progress.update(bars[job.id], completed=event.share, total=1, **fields)
                return
            case JobDone(job) | JobFailed(job) | JobCancelled(job):
                if job.id in bars:
                    progress.remove_task(bars.pop(job.id))
        text = plain.chosen(event) if isinstance(event, JobChosen) else sentence(event, folder)
        if text:
            console.print(escape(text), style=_style(event), soft_wrap=True)

    with progress:
        yield show


def _style(event: Event) -> str:
    if isinstance(event, JobChosen):
        return "dim"
    return "red" if isinstance(event, JobFailed) else "green" if isinstance(event, JobDone) else ""
