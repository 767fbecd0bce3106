"""Draws the status view's pictures from a real daemon at work: `python docs/make_view.py ROOT`, ROOT a folder
that is not there yet."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.bench.steps import DATA
from tests.daemon.harness import STYLEFOLDER, Daemon
from tests.daemon.terminal.emulator import Terminal
from tests.harness import wait_for

HERE = Path(__file__).parent
DROPPED = {
    "oil": ("chelsea.png", "astronaut.png", "coffee.png"),
    "watercolour": ("rocket.jpg", "chelsea.png", "astronaut.png", "coffee.png"),
}


def main(root: Path) -> None:
    with tempfile.TemporaryDirectory() as home:
        daemon = Daemon(root, Path(home))
        root.mkdir(parents=True)
        (root / "gouache").mkdir()
        (root / "gouache" / "notes.jpg").write_text("words")
        for preset, names in DROPPED.items():
            (root / preset).mkdir()
            for name in names:
                shutil.copy(DATA / name, root / preset / name)
        daemon.start()
        wait_for(lambda: len(daemon.jobs("state = 'done'")) >= 2, 300)
        wait_for(lambda: any(running["scale"] == 2 for running in daemon.status()["running"]), 60)
        for columns, rows in ((160, 40), (80, 24)):
            with Terminal(
                [*STYLEFOLDER, "status"],
                {**daemon.environment, "TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8"},
                columns,
                rows,
            ) as terminal:
                terminal.until("loss")
                terminal.read(2.5)
                terminal.picture(HERE / f"view-{columns}.png")
        daemon.stop()
    shutil.rmtree(root)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
