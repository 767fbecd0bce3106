"""The `stylefolder` command."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType


def main() -> None:
    """Report each error as a sentence on standard error, and set the exit status. Only --debug shows tracebacks."""
    from daemon.commands.cli import app
    from daemon.lifetime import stop_signals
    from stylecore.errors import StylefolderError

    for number in stop_signals():
        signal.signal(number, _interrupt)  # like Ctrl+C, each cancels what was sent to a daemon
    try:
        app()
    except StylefolderError as e:
        if os.environ.get("STYLEFOLDER_DEBUG"):
            raise
        print(f"stylefolder: {_harmless(e)}", file=sys.stderr)
        sys.exit(e.exit_status)
    except Exception as e:
        if os.environ.get("STYLEFOLDER_DEBUG"):
            raise
        why = f"an unexpected error, {type(e).__name__}: {_harmless(e)}"
        print(f"stylefolder: {why}. `stylefolder --debug ...` shows where.", file=sys.stderr)
        sys.exit(1)


def _interrupt(number: int, frame: FrameType | None) -> None:
    from daemon.lifetime import leave_terminal

    leave_terminal(number)
    raise KeyboardInterrupt


def _harmless(e: Exception) -> str:
    """The error's lines, with control characters from file names and contents escaped."""
    from daemon.paths import printable

    return "\n".join(map(printable, str(e).splitlines()))


if __name__ == "__main__":
    main()
