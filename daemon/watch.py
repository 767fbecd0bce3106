"""``stylefolder watch``: the loop, started again when its Root or its Ledger is lost."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from daemon import paths
from daemon.api.outside import Listen
from daemon.errors import LedgerDamaged, LedgerGone
from daemon.events import Listener, Note
from daemon.folders.layout import Layout
from daemon.folders.polling import mounts
from daemon.folders.welcome import welcome
from daemon.ledger.ledger import Ledger
from daemon.lifetime import Systemd, stoppable
from daemon.lock import only_one
from daemon.loop import MainLoop
from daemon.settings import LiveSettings
from daemon.start import create_root, wait_for_root


def watch(
    root: Path,
    device: str,
    show: Listener,
    *,
    once: bool = False,
    address_files: list[Path] | None = None,
    each_turn: Callable[[Ledger], bool] | None = None,
    cluster: str | None = None,
    listen: Listen | None = None,
) -> int:
    """Style what is in the Inboxes and what is dropped there, until ctrl-C or SIGTERM; with ``once``, until all is
    done.

    ``address_files``: where the API's address goes; None for no API. ``each_turn`` is called after every turn, and ends
    the loop by returning True. ``cluster``: the host:port where other machines can join. ``listen``: where they
    reach the API. Returns how many photos failed. If the Root is removed, waits for it. A damaged Ledger is moved aside
    and rebuilt from the files in the folders.
    """
    layout = Layout(root)
    create_root(layout, show)
    welcome(layout)
    settings, systemd = LiveSettings(paths.settings_file(), root), Systemd()
    failed, damaged, mount = 0, False, mounts().path(root)
    with stoppable() as stopped:

        def alive() -> None:
            systemd.alive()
            if stopped():
                raise KeyboardInterrupt

        while True:
            try:
                with contextlib.ExitStack() as stack:
                    say: Callable[[str], None] = lambda sentence: show(Note(sentence))  # noqa: E731
                    shared = mounts().is_silent(root)
                    lock = stack.enter_context(only_one(root, layout.lock_file, shared=shared, say=say, alive=alive))
                    loop = stack.enter_context(
                        MainLoop(layout, device, show, settings, systemd, lock, damaged, cluster)
                    )
                    damaged = False
                    try:
                        with loop.served(address_files, listen):
                            systemd.ready()
                            loop.until(stopped, once, each_turn)
                    finally:
                        failed += loop.failed
                return failed
            except LedgerGone:
                if once:
                    raise
                show(Note(f"The folder {root} was removed. Work continues when it is back.", warning=True))
                if not wait_for_root(root, mount, stopped, systemd):
                    return failed
            except LedgerDamaged as e:
                show(Note(str(e), warning=True))
                damaged = True  # damage that shows up in use may not be found when the Ledger is opened
