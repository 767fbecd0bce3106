"""`stylefolder apply` with a running daemon, which paints the photos first, and without it once it has stopped."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from tests.daemon.harness import STYLEFOLDER, Daemon, is_picture
from tests.harness import HANG, wait_for


def knows(daemon: Daemon, preset: str) -> None:
    wait_for(lambda: any(p["name"] == preset for p in daemon.client.ask("GET", "/v1/presets")["presets"]))


def spool(daemon: Daemon) -> list[Path]:
    return list((daemon.root / ".stylefolder" / "spool").iterdir())


@pytest.mark.slow
def test_by_the_daemon_and_ahead_of_its_folders(daemon: Daemon, fast: str, small: Image.Image) -> None:
    inbox = daemon.preset("one", fast)
    daemon.start()
    knows(daemon, "one")
    for i in range(40):
        small.rotate(i).save(inbox / f"{i}.png")
    wait_for(lambda: len(daemon.jobs("state = 'queued'")) > 25)
    photos = []
    for i in range(5):
        photos.append(daemon.home / f"photo {i}.jpg")
        small.rotate(90 + i).save(photos[-1])
    (daemon.home / "words.jpg").write_text("words")
    done = daemon.run(
        "apply",
        *photos,
        daemon.home / "words.jpg",
        daemon.home / "gone.jpg",
        "--preset",
        "one",
        "-o",
        daemon.home / "out",
        "--json",
    )
    assert done.returncode == 1, done.stderr
    assert sorted(p.name for p in (daemon.home / "out").iterdir()) == [f"photo {i}-one.jpg" for i in range(5)]
    assert all(is_picture(p) for p in (daemon.home / "out").iterdir())
    events = [json.loads(line) for line in done.stdout.splitlines()]
    results = {e["job"]["photo"]: e["job"]["result"] for e in events if e["event"] == "JobDone"}
    assert results == {str(p): str(daemon.home / "out" / f"{p.stem}-one.jpg") for p in photos}
    reasons = {e["job"]["photo"]: e["job"]["reason"] for e in events if e["event"] == "JobFailed"}
    assert "not a picture" in reasons[str(daemon.home / "words.jpg")]
    assert "No such file" in reasons[str(daemon.home / "gone.jpg")]
    assert {row["state"] for row in daemon.jobs("source = 'upload'")} == {"done", "failed"}
    assert len(daemon.jobs("source = 'upload'")) == 6
    assert spool(daemon) == [], "nothing stays of what was sent"
    out = ("-o", daemon.home / "x.webp", "--curve", daemon.home / "loss.png")
    named = daemon.run("apply", photos[0], "--preset", "one", "--size", 48, "--steps", 3, "--seed", 7, *out, "--json")
    assert named.returncode == 0, named.stderr
    told = [json.loads(line) for line in named.stdout.splitlines()]
    assert [event["size"] for event in told if event["event"] == "JobChosen"] == [[48, 32]]
    ended = told[-1]
    assert [step for step, *_ in ended["curve"]] == [1, 2, 3]
    assert set(ended["timings"]) == {"read", "optimise", "enlarge", "write"}
    assert 0 < sum(ended["timings"].values()) <= ended["job"]["seconds"]
    with Image.open(daemon.home / "loss.png") as plot:
        assert plot.size == (960, 540)
    wrong = daemon.run("apply", *photos, "--preset", "one", "--curve", daemon.home / "loss.png")
    assert (wrong.returncode, wrong.stderr) == (
        2,
        "stylefolder: --curve needs a single photo, and a file name that ends in one of .png, .svg, .pdf.\n",
    )
    with Image.open(daemon.home / "x.webp") as image:
        assert (image.format, image.size) == ("WEBP", small.size)


@pytest.mark.slow
def test_a_print(daemon: Daemon, fast: str, small: Image.Image) -> None:
    """By the daemon and without one: larger than the photo, with the resolution tag."""
    daemon.preset("one", fast)
    (daemon.home / "mine.yaml").write_text(fast)
    small.save(daemon.home / "photo.png")

    def size_of(preset: object, name: str, *options: object) -> tuple[tuple[int, int], float]:
        done = daemon.run("apply", daemon.home / "photo.png", "-p", preset, "-o", daemon.home / name, *options)
        assert done.returncode == 0, done.stderr
        with Image.open(daemon.home / name) as image:
            return image.size, round(image.info["dpi"][0])

    expected = (240, round(240 * small.height / small.width)), 120
    assert size_of(daemon.home / "mine.yaml", "here.jpg", "--print", "2in", "--dpi", 120) == expected
    daemon.start()
    knows(daemon, "one")
    assert size_of("one", "there.jpg", "--print", "5.08cm", "--dpi", 120) == expected
    assert size_of("one", "edge.jpg", "--long-edge", 240, "--dpi", 120) == expected
    for options, says in (
        (("--print", "wide"), "--print must be a length, such as 90cm, 900mm or 36in, not 'wide'."),
        (("--print", "90cm", "--dpi", "1"), "--dpi"),
        (("--print", "900cm"), "are 106299 pixels, and a Result can have 32 to 32768"),
        (("--print", "90cm", "--long-edge", "900"), "both say how large the Result is: remove one of them"),
        (("--long-edge", "5"), "--long-edge"),
    ):
        wrong = daemon.run("apply", daemon.home / "photo.png", "-p", "one", *options)
        assert wrong.returncode == 2
        assert says in " ".join(wrong.stderr.split()), wrong.stderr
        assert "Traceback" not in wrong.stderr


@pytest.mark.slow
def test_a_long_job_says_what_it_takes(daemon: Daemon, fast: str, small: Image.Image) -> None:
    daemon.preset("one", fast)
    daemon.start()
    knows(daemon, "one")
    small.save(daemon.home / "a.png")
    process = subprocess.Popen(
        [*STYLEFOLDER, "apply", str(daemon.home / "a.png"), "-p", "one", "--steps", "20000", "--plain"],
        env=daemon.environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    lines = iter(process.stdout)
    said = next(line for line in lines if line.startswith("a.png: takes about"))
    assert re.fullmatch(r"a\.png: takes about \d+ minutes? and \d+\.\d GB of memory\.\n", said)
    (running,) = wait_for(lambda: [r for r in daemon.status()["running"] if r["step"] > 0])
    assert running["left"] > 60
    assert running["memory"] > 1_000_000_000
    assert re.search(r", about \d+(:\d\d)+ left, about \d+\.\d GB of memory", daemon.run("status", "--once").stdout)
    process.send_signal(signal.SIGINT)
    process.wait(HANG)


@pytest.mark.slow
def test_ctrl_c_cancels_what_was_sent(daemon: Daemon, slow: str, small: Image.Image) -> None:
    daemon.preset("long", slow)
    daemon.start()
    knows(daemon, "long")
    small.save(daemon.home / "a.png")
    process = subprocess.Popen(
        [*STYLEFOLDER, "apply", str(daemon.home / "a.png"), "-p", "long", "--json"], env=daemon.environment
    )
    wait_for(daemon.running)
    process.send_signal(signal.SIGINT)
    assert process.wait(HANG) == 130
    wait_for(lambda: [row["state"] for row in daemon.jobs()] == ["cancelled"])
    wait_for(lambda: daemon.status()["running"] == [])
    wait_for(lambda: spool(daemon) == [], why="for the uploads to be removed")


@pytest.mark.slow
def test_the_daemon_is_paused(daemon: Daemon, fast: str, small: Image.Image) -> None:
    """`apply` says so, waits, and then continues."""
    daemon.preset("one", fast)
    daemon.start()
    knows(daemon, "one")
    daemon.run("pause")
    small.save(daemon.home / "a.png")
    process = subprocess.Popen(
        [*STYLEFOLDER, "apply", str(daemon.home / "a.png"), "-p", "one", "--plain"],
        env=daemon.environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert "The daemon is paused: run `stylefolder resume` to continue" in process.stderr.readline()
    wait_for(lambda: [row["state"] for row in daemon.jobs()] == ["queued"])
    daemon.run("resume")
    assert process.wait(HANG) == 0
    assert is_picture(daemon.home / "a-one.png")


@pytest.mark.slow
def test_the_daemon_ends_meanwhile(daemon: Daemon, slow: str, small: Image.Image) -> None:
    daemon.preset("long", slow.replace("5000", "120"))
    (daemon.home / "config" / "stylefolder").mkdir(parents=True)
    (daemon.root / "presets").rename(daemon.home / "config" / "stylefolder" / "presets")
    daemon.start()
    knows(daemon, "long")
    small.save(daemon.home / "a.png")
    process = subprocess.Popen(
        [*STYLEFOLDER, "apply", str(daemon.home / "a.png"), "-p", "long", "-o", str(daemon.home / "out.png")],
        env=daemon.environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for(daemon.running)
    daemon.kill()
    assert "The daemon has stopped. Continuing without it." in process.communicate(timeout=HANG)[1]
    assert process.returncode == 0
    assert is_picture(daemon.home / "out.png")
