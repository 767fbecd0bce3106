"""The `stylefolder` command."""

from __future__ import annotations

import os
import signal
import sys


def main() -> None:
    """Errors for people: a sentence each on standard error, and the exit status; a traceback with --debug only."""
    from daemon.commands.cli import app
    from stylecore.errors import StylefolderError

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what was sent to a daemon is taken back then, too
    try:
        app()
    except StylefolderError as e:
        if os.environ.get("STYLEFOLDER_DEBUG"):
            raise
        print(f"stylefolder: {e}", file=sys.stderr)
        sys.exit(e.exit_status)
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        sys.exit(130)
    except Exception as e:
        if os.environ.get("STYLEFOLDER_DEBUG"):
            raise
        print(
            f"stylefolder: an unexpected error, {type(e).__name__}: {e}. `stylefolder --debug ...` shows where.",
            file=sys.stderr,
        )
        sys.exit(1)


if __name__ == "__main__":
    main()
