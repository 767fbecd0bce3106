"""`stylefolder send`: a folder of photos through another machine's daemon, stopped and run again."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.daemon.harness import STYLEFOLDER, Daemon, is_picture
from tests.harness import HANG, REPOSITORY, wait_for


def folder_of(laptop: Daemon, cat: Image.Image, count: int) -> Path:
    folder = laptop.home / "photos"
    (folder / "day 2").mkdir(parents=True)
    for i in range(count):
        cat.crop((i, 0, i + 96, 64)).save(folder / ("day 2" if i % 2 else ".") / f"{i}.jpg")
    return folder


def test_a_folder_and_once_again(laptop: Daemon, daemon: Daemon, fast: str, cat: Image.Image) -> None:
    folder, out = folder_of(laptop, cat, 4), laptop.home / "out"
    (folder / "notes.txt").write_text("no photo")
    (folder / "words.png").write_text("no photo either")
    (folder / "gone.png").symlink_to("nowhere.png")
    cat.crop((50, 0, 146, 64)).save(folder / "0.png")  # beside 0.jpg
    file = laptop.home / "mine.yaml"
    file.write_text(fast)
    done = laptop.run("send", folder, "--preset", file, "-o", out, "--json")
    assert done.returncode == 1, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [e["job"]["photo"] for e in events if e["event"] == "JobFailed"] == [str(folder / "words.png")]
    assert [e["text"] for e in events if e["event"] == "Note"] == [
        f"{folder / 'gone.png'} cannot be read (No such file or directory): check its permissions."
    ]
    found = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    wanted = {"0.jpg.jpg", "0.png.png", "day 2/1.jpg", "2.jpg", "day 2/3.jpg"}
    assert found - {".stylefolder-sent.jsonl"} == wanted
    assert all(is_picture(out / name) for name in wanted)
    assert daemon.run("status", "--once").returncode == 0
    assert list((daemon.root / ".stylefolder" / "spool").iterdir()) == [], "nothing stays there"
    jobs = len(daemon.jobs())
    (out / "2.jpg").unlink()
    again = laptop.run("send", folder, "--preset", file, "-o", out, "--plain")
    assert "4 photos done before." in again.stdout
    assert is_picture(out / "2.jpg")
    assert len(daemon.jobs()) <= jobs + 2, "only what has no Result is sent"


@pytest.mark.slow
def test_the_other_machine_is_restarted(laptop: Daemon, daemon: Daemon, fast: str, cat: Image.Image) -> None:
    """In the middle. The command waits, and each photo is painted once."""
    folder, out = folder_of(laptop, cat, 12), laptop.home / "out"
    file = laptop.home / "mine.yaml"
    file.write_text(fast.replace("steps: 1", "steps: 10"))
    listen = daemon.client.ask("GET", "/v1/clients")["url"].removeprefix("https://")
    command = [*STYLEFOLDER, "send", str(folder), "--preset", str(file), "-o", str(out), "--plain"]
    with (laptop.home / "said").open("wb") as said:
        sending = subprocess.Popen(command, env=laptop.environment, stdout=said, stderr=said)
    wait_for(lambda: len(daemon.jobs("state = 'done'")) >= 2)
    daemon.kill()
    wait_for(lambda: b"is away" in (laptop.home / "said").read_bytes())
    daemon.start("--listen", listen)
    assert sending.wait(HANG) == 0, (laptop.home / "said").read_text()
    assert len([path for path in out.rglob("*.jpg") if is_picture(path)]) == 12
    started = [e["job"]["id"] for e in daemon.events() if e["event"] == "JobStarted"]
    assert len(daemon.jobs()) == 12
    assert len(started) <= 13, "one may have been interrupted"


@pytest.mark.slow
def test_it_is_stopped_and_run_again(laptop: Daemon, daemon: Daemon, fast: str, cat: Image.Image) -> None:
    folder, out = folder_of(laptop, cat, 8), laptop.home / "out"
    file = laptop.home / "mine.yaml"
    file.write_text(fast.replace("steps: 1", "steps: 10"))
    command = [*STYLEFOLDER, "send", str(folder), "--preset", str(file), "-o", str(out), "--plain"]
    sending = subprocess.Popen(command, env=laptop.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: len(list(out.rglob("*.jpg"))) >= 2)
    sending.send_signal(signal.SIGKILL)
    sending.wait(HANG)
    assert laptop.run("send", folder, "--preset", file, "-o", out, "--plain").returncode == 0
    assert len([path for path in out.rglob("*.jpg") if is_picture(path)]) == 8
    assert len(daemon.jobs()) == 8, "each photo was sent once"


def test_here_if_the_other_machine_is_away(laptop: Daemon, daemon: Daemon, fast: str, cat: Image.Image) -> None:
    """And what was done here is not done there once more."""
    folder, out, sheet = folder_of(laptop, cat, 2), laptop.home / "out", laptop.home / "sheet.png"
    file = laptop.home / "mine.yaml"
    file.write_text(fast)
    command = ("send", folder, "--preset", file, "-o", out, "--plain")
    sheets = ("sheet", folder / "0.jpg", "--presets", file, "-o", sheet, "--plain")
    assert daemon.stop() == 0
    for away in (sheets, ("apply", folder / "0.jpg", "--preset", file)):
        done = laptop.run(*away)
        assert done.returncode == 3
        assert "check that it runs and that the network is up" in done.stderr
    done = laptop.run(*command, "--or-here")
    assert done.returncode == 0, done.stderr
    assert "does not answer" in done.stdout + done.stderr
    assert {str(path.relative_to(out)) for path in out.rglob("*.jpg")} == {"0.jpg", "day 2/1.jpg"}
    done = laptop.run(*sheets, "--or-here")
    assert done.returncode == 0, done.stderr
    assert is_picture(sheet)
    daemon.start("--listen", laptop_address(laptop))
    again = laptop.run(*command)
    assert again.returncode == 0, again.stderr
    assert "2 photos done before." in again.stdout
    assert not daemon.jobs()


def laptop_address(laptop: Daemon) -> str:
    """Of the other machine."""
    file = laptop.home / "config" / "stylefolder" / "connection.json"
    return str(json.loads(file.read_text())["url"]).removeprefix("https://")


def test_one_photo_that_fails_stops_no_other(laptop: Daemon, daemon: Daemon, fast: str, cat: Image.Image) -> None:
    """A subfolder that cannot be made, and a Result that is gone from the box."""
    folder, out = folder_of(laptop, cat, 3), laptop.home / "out"
    out.mkdir()
    (out / "day 2").write_text("in the way")
    file = laptop.home / "mine.yaml"
    file.write_text(fast)
    daemon.run("pause")
    sending = subprocess.Popen(
        [*STYLEFOLDER, "send", folder, "--preset", file, "-o", out, "--json"],
        env=laptop.environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    wait_for(lambda: len(daemon.jobs("state = 'queued'")) == 2)
    sending.send_signal(signal.SIGSTOP)
    daemon.run("resume")
    wait_for(lambda: len(daemon.jobs("state = 'done'")) == 2)
    known = daemon.client.ask("GET", "/v1/jobs")["jobs"]
    Path(next(job["result"] for job in known if job["photo"].endswith("0.jpg"))).unlink()
    sending.send_signal(signal.SIGCONT)
    output, _ = sending.communicate(timeout=HANG)
    events = [json.loads(line) for line in output.splitlines()]
    reasons = {Path(e["job"]["photo"]).name: e["job"]["reason"] for e in events if e["event"] == "JobFailed"}
    assert sending.returncode == 1
    assert reasons.keys() == {"0.jpg", "1.jpg"}
    assert "was removed" in reasons["0.jpg"]
    assert "day 2" in reasons["1.jpg"]
    assert is_picture(out / "2.jpg")


@pytest.mark.slow
def test_what_is_there_already_stays(laptop: Daemon, daemon: Daemon, fast: str, cat: Image.Image) -> None:
    """Other files of the same name, and Results with another preset; also without a daemon and with relative paths."""
    folder, out = folder_of(laptop, cat, 2), laptop.home / "out"
    out.mkdir()
    (out / "0.jpg").write_bytes(b"mine")
    one, other = laptop.home / "one.yaml", laptop.home / "other.yaml"
    one.write_text(fast)
    other.write_text(f"{fast}seed: 3\n")
    relative = ["photos", "--preset", str(one), "-o", "out"]

    def send(*arguments: str) -> subprocess.CompletedProcess[str]:
        words = [*STYLEFOLDER, "send", *arguments, "--plain"]
        return subprocess.run(words, env=laptop.environment, cwd=laptop.home, capture_output=True, text=True)

    assert send(*relative).returncode == 0
    assert (out / "0.jpg").read_bytes() == b"mine"
    first = (out / "0-2.jpg").read_bytes()
    assert is_picture(out / "0-2.jpg") and is_picture(out / "day 2" / "1.jpg")
    daemon.stop()
    done = send("photos", "--preset", str(other), "-o", "out", "--or-here")
    assert done.returncode == 0, done.stderr
    assert is_picture(out / "0-3.jpg") and is_picture(out / "day 2" / "1-2.jpg")
    assert (out / "0-2.jpg").read_bytes() == first
    assert laptop.run("disconnect").returncode == 0
    (out / "0-3.jpg").unlink()
    done = send("photos", "--preset", str(other), "-o", "out", "--or-here")
    assert done.returncode == 0, done.stderr
    assert is_picture(out / "0-3.jpg"), "under the name that it had"
    assert not (out / "0-4.jpg").exists()
    done = send(str(out / "day 2"), "--preset", str(one), "-o", str(out), "--or-here")
    assert (done.returncode, "choose another folder" in done.stderr) == (2, True)
    assert folder.is_dir()


@pytest.mark.slow
def test_a_series_stays_here(laptop: Daemon, daemon: Daemon, small: Image.Image) -> None:
    """It has one table, also for a photo that comes later, whether or not a file among them is damaged."""
    folder, out = laptop.home / "wedding", laptop.home / "out"
    folder.mkdir()
    (folder / "0.jpg").write_bytes(b"no picture")
    small.save(folder / "1.png")
    small.rotate(180).save(folder / "2.png")
    file = laptop.home / "wedding.yaml"
    picture = REPOSITORY / "presets" / "styles" / "overcast.jpg"
    file.write_text(f"transfer: look\nstyle: {picture}\nfit: series\noutput: {{lut: cube}}\n")
    done = laptop.run("send", folder, "--preset", file, "-o", out)
    assert (done.returncode, "0.jpg: failed." in done.stderr) == (1, True), done.stderr
    assert "applying it on this machine" in done.stdout
    small.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(folder / "later.png")
    (folder / "0.jpg").unlink()
    assert laptop.run("send", folder, "--preset", file, "-o", out).returncode == 0
    assert daemon.jobs() == []
    assert all(is_picture(out / f"{name}.png") for name in (1, 2, "later"))
    tables = [(out / f"{name}.png.cube").read_bytes() for name in (1, 2, "later")]
    assert tables[0] == tables[1]
    shown = [np.asarray(Image.open(out / f"{name}.png")).astype(int) for name in (1, "later")]
    assert np.abs(shown[0] - shown[1][:, ::-1]).max() <= 12, "about the same, with one photo more"


def test_where_results_cannot_go(laptop: Daemon, small: Image.Image) -> None:
    """It is said before anything is sent."""
    folder = laptop.home / "photos"
    folder.mkdir()
    done = laptop.run("send", folder, "--preset", "oil", "-o", laptop.home / "out")
    assert (done.returncode, done.stderr.strip()) == (0, f"There are no photos in {folder}.")
    small.save(folder / "a.png")
    file = laptop.home / "file"
    file.write_text("")
    for out, says in ((file, "is a file: name a folder"), (file / "out", "cannot be used (Not a directory)")):
        done = laptop.run("send", folder, "--preset", "oil", "-o", out)
        assert (done.returncode, says in done.stderr, "Traceback" in done.stderr) == (2, True, False), done.stderr
