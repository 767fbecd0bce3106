"""Jobs that need no daemon: an Engine over a Ledger in memory, until all are done."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from daemon import paths
from daemon.engine.engine import Engine
from daemon.events import Listener
from daemon.ledger.job import Job
from daemon.ledger.ledger import Ledger
from daemon.lifetime import stoppable
from daemon.settings import load_settings

TICK = 0.25  # seconds that one turn listens to the Engine


def run_jobs(
    enter: Callable[[Ledger], None], device: str, hear: Listener, result_path: Callable[[Job, str], Path]
) -> None:
    """``enter`` queues the Jobs. Raises KeyboardInterrupt if ctrl-C left some, WorkerError, SettingsError."""
    settings = load_settings(paths.settings_file())
    with stoppable() as stopped, contextlib.closing(Ledger(":memory:")) as ledger:
        enter(ledger)
        engine = Engine(ledger, device, hear, result_path)
        try:
            while not stopped() and ledger.history.count("queued", "running"):
                engine.turn(TICK, settings)
        finally:
            engine.stop()
        if ledger.history.count("queued"):
            raise KeyboardInterrupt
