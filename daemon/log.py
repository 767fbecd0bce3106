"""What happened, kept in a file where the system wants logs: the newest five megabytes."""

from __future__ import annotations

import logging
from logging.handlers import RotatingFileHandler
from pathlib import Path

from daemon.events import Event, Listener, Note
from daemon.sentences import is_warning, sentence
from stylecore.errors import cause

SIZE, OLDER = 1 << 20, 4


class _Handler(RotatingFileHandler):
    def handleError(self, record: logging.LogRecord) -> None:
        """A full disk must neither end the daemon nor fill its terminal; the Ledger reports it."""


def logged(show: Listener, file: Path) -> Listener:
    """Wrap ``show`` so that every event with a sentence is also logged. If the file cannot be written, return
    ``show`` itself."""
    log = logging.getLogger("stylefolder")
    log.setLevel(logging.INFO)
    log.propagate = False
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handler = _Handler(file, maxBytes=SIZE, backupCount=OLDER, encoding="utf-8", errors="backslashreplace")
    except OSError as e:
        show(Note(f"There is no log: {file} cannot be written ({cause(e)}).", warning=True))
        return show
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(process)d %(message)s"))
    log.addHandler(handler)

    def show_and_log(event: Event) -> None:
        if text := sentence(event):
            log.log(logging.WARNING if is_warning(event) else logging.INFO, "%s", text)
        show(event)

    return show_and_log
