"""The status view in a real pseudo-terminal: `watch` and `status`, resized, narrow, without colour, without UTF-8, and
after its daemon is gone."""

from __future__ import annotations

import base64
import io
import os
import pty
import re
import signal
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.daemon.harness import ONE_STEP, STYLEFOLDER, Daemon, is_picture
from tests.daemon.terminal.emulator import Terminal
from tests.harness import HANG, wait_for

LEFT = b"\x1b[?25h\x1b[?1049l"  # the cursor, and the screen from before


def attached(daemon: Daemon, columns: int = 80, rows: int = 24, **env: str) -> Terminal:
    given = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8", "PYTHONUTF8": "0", **env}
    plain = {
        key: value
        for key, value in daemon.environment.items()
        if key not in ("NO_COLOR", "LC_ALL", "PYTHONIOENCODING", "COLUMNS", "LINES")
    }
    return Terminal([*STYLEFOLDER, "status"], {**plain, **given}, columns, rows)


def as_it_was(terminal: Terminal) -> bool:
    return terminal.raw.rstrip().endswith(LEFT) and termios.tcgetattr(terminal.theirs) == terminal.before


@pytest.fixture
def working(daemon: Daemon, fast: str, small: Image.Image) -> Daemon:
    """For tests that change what it shows."""
    return put_to_work(daemon, fast, small)


@pytest.fixture(scope="module")
def at_work(tmp_path_factory: pytest.TempPathFactory, cat: Image.Image) -> Iterator[Daemon]:
    """For tests that only look."""
    folder = tmp_path_factory.mktemp("view")
    (folder / "home").mkdir()
    (folder / "Root").mkdir()
    made = Daemon(folder / "Root", folder / "home")
    yield put_to_work(made, ONE_STEP, cat.resize((96, 64)))
    made.stop()


def put_to_work(daemon: Daemon, fast: str, small: Image.Image) -> Daemon:
    """One photo done, one failed, one that runs for a long time, one queued."""
    inbox, long = daemon.preset("one", fast), daemon.preset("long", fast.replace("steps: 1", "steps: 20000"))
    small.save(inbox / "done.png")
    (inbox / "\x1b[31mwords.jpg").write_text("words")
    daemon.start()
    wait_for(lambda: is_picture(inbox / "styled" / "done.png") and daemon.jobs("state = 'failed'"))
    small.rotate(90).save(long / "running.png")
    wait_for(daemon.running)
    small.rotate(45).save(inbox / "queued.png")
    wait_for(lambda: daemon.jobs("state = 'queued'"))
    return daemon


def test_what_it_shows_and_obeys(working: Daemon) -> None:
    with attached(working) as terminal:
        text = terminal.until(lambda text: "loss " in text and "queued.png" not in text and "time left" in text)
        assert text.startswith("● healthy  Stylefolder")
        failed, ran = working.jobs("state = 'failed'")[0]["id"], working.jobs("state = 'running'")[0]["id"]
        for part in (
            "running.png [long]",
            "step ",
            "best 0.",
            "CPU, ",
            " memory ",
            "Last hour: 1 done, median",
            f"stylefolder retry {failed}  \\x1b[31mwords.jpg [one]:",
            "done.png [one]",
            " q  quit",
        ):
            assert part in text, (part, text)
        rows = {
            line.split()[0]: line.split()[1:] for line in text.splitlines() if line.startswith(("  one ", "  long "))
        }
        assert rows["one"][:4] == ["0", "1", "1", "1"], "waiting, queued, done today, failed"
        assert (
            b"\x1b]8;" in terminal.raw
            and (working.root / "one" / "styled" / "done.png").as_uri().encode() in terminal.raw
        )

        terminal.press("p")
        terminal.until("● paused")
        terminal.press("c")
        terminal.until(f"Cancelled running.png. To start it again, run `stylefolder retry {ran}`.")
        terminal.until("Paused; 1 queued.")
        terminal.press("r")
        terminal.until("1 queued again.")
        terminal.press("p")
        terminal.until("Last hour: 2 done")
        terminal.press("\x1b[A\x1bOPq")  # an arrow and F1, which do nothing here
        assert terminal.process.wait(HANG) == 0
        terminal.read(0.5)
        assert as_it_was(terminal)
    assert working.status()["state"] == "healthy", "the daemon keeps running"


def test_it_reflows_from_narrow_to_wide(at_work: Daemon) -> None:
    with attached(at_work, 40, 12) as terminal:
        terminal.until("step ")
        assert " p  pause" in terminal.text.splitlines()[-1]
        terminal.resize(160, 50)
        terminal.until(
            lambda text: (
                text.splitlines()[-1].startswith(" p  pause") and "q  quit" in text and len(text.splitlines()) == 50
            )
        )
        terminal.until("▀" * 8)  # the picture so far
        terminal.resize(20, 5)
        terminal.until(lambda text: len(text.splitlines()) == 5 and text.startswith("● healthy"))


def test_a_finer_picture_where_the_terminal_draws_it(at_work: Daemon) -> None:
    """With kitty's protocol: as large as its cells, and removed at the end. In tmux, half blocks instead."""
    with attached(at_work, 120, 40, TERM="xterm-kitty") as terminal:
        while b"m=0;" not in terminal.raw:
            terminal.read(0.2)
        head, _, data = terminal.raw[terminal.raw.index(b"\x1b_G") :].partition(b";")
        assert head.startswith(b"\x1b_Ga=T,f=100,"), head
        coded = re.sub(rb"\x1b\\\x1b_Gm=[01];", b"", data).partition(b"\x1b\\")[0]
        with Image.open(io.BytesIO(base64.b64decode(coded))) as picture:
            assert picture.format == "PNG"
            assert picture.width > 60, "wider than its half blocks"
        assert "▀".encode() not in terminal.raw
        terminal.press("q")
        assert terminal.process.wait(HANG) == 0
        terminal.read(0.5)
        assert terminal.raw.rstrip().endswith(b"\x1b_Ga=d,d=I,i=7,q=2\x1b\\" + LEFT)
    with attached(at_work, 120, 40, TERM="xterm-kitty", TMUX="/tmp/tmux") as terminal:
        terminal.until("▀" * 8)


def test_without_utf_8_and_without_colour(at_work: Daemon) -> None:
    with attached(at_work, 120, 30, LANG="C", LC_ALL="C", PYTHONCOERCECLOCALE="0", NO_COLOR="1") as terminal:
        text = terminal.until(lambda text: "loss " in text and "#" in text)
        assert text.isascii()
        assert text.startswith("* healthy")
        assert b"\x1b[32m" not in terminal.raw and b"38;2" not in terminal.raw


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_daemon_ends_under_it(working: Daemon, number: signal.Signals) -> None:
    with attached(working) as terminal:
        terminal.until("running.png")
        assert working.process is not None
        working.process.send_signal(number)
        assert terminal.process.wait(HANG) == 3
        terminal.read(0.5)
        assert b"The daemon has stopped: run `stylefolder watch` to start it again." in terminal.raw
        assert LEFT in terminal.raw and termios.tcgetattr(terminal.theirs) == terminal.before
        assert b"Traceback" not in terminal.raw


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_give_the_terminal_back(working: Daemon, number: signal.Signals) -> None:
    with attached(working) as terminal:
        terminal.until("running.png")
        terminal.process.send_signal(number)
        assert terminal.process.wait(HANG) == 0
        terminal.read(0.5)
        assert as_it_was(terminal)


@pytest.mark.slow
@pytest.mark.parametrize("plain", [False, True])
def test_the_terminal_closes(daemon: Daemon, slow: str, small: Image.Image, plain: bool) -> None:
    """As with Ctrl+C: the Job is queued again, and its start does not count as an attempt."""
    small.save(daemon.preset("slow", slow) / "a.png")
    command = [*STYLEFOLDER, "watch", str(daemon.root), *(["--plain"] if plain else [])]
    pid, ours = pty.fork()
    if pid == 0:
        os.execvpe(command[0], command, daemon.environment)
    wait_for(daemon._answers, why="for the API")
    wait_for(daemon.running, why="for a step")
    (worker,) = daemon.workers()
    os.close(ours)
    assert os.waitpid(pid, 0)[1] == 0
    (job,) = daemon.jobs()
    assert (job["state"], job["attempts"]) == ("queued", 0)
    worker.wait(HANG)


@pytest.mark.slow
def test_watch_shows_the_same(daemon: Daemon, fast: str, small: Image.Image) -> None:
    inbox = daemon.preset("one", fast)
    env = {**daemon.environment, "TERM": "xterm-256color", "LANG": "C.UTF-8"}
    with Terminal([*STYLEFOLDER, "watch", str(daemon.root)], env) as terminal:
        terminal.until("Nothing to do: drop a photo into a folder in")
        small.save(inbox / "a.png")
        terminal.until("Last hour: 1 done")
        terminal.press("q")
        assert terminal.process.wait(HANG) == 0
        terminal.read(0.5)
        assert as_it_was(terminal)
    log = daemon.home / "state" / "stylefolder" / "log" / "stylefolder.log"
    assert "a.png: done in" in log.read_text()


def test_pictures_of_it(at_work: Daemon, tmp_path: Path) -> None:
    """Screenshots, as in the documentation."""
    with attached(at_work) as terminal:
        terminal.until("loss ")
        terminal.picture(tmp_path / "view.png")
    with Image.open(tmp_path / "view.png") as image:
        assert image.size == (720, 432)
        assert len(image.convert("RGB").getcolors(10**6) or []) > 20
