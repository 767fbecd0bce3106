"""What is shown: on a terminal, in plain lines, in JSON lines."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from daemon.events import JobCancelled, JobChosen, JobDone, JobFailed, LossPoint, Note
from daemon.ledger.job import Job
from daemon.sentences import sentence
from daemon.terminal.output import view
from tests.harness import HANG, REPOSITORY

PHOTO = Path(os.fsdecode(b"/in/a\x1b[2J\xe9.jpg"))


@pytest.fixture
def done() -> Job:
    return Job(1, "folder", PHOTO, "oil", "done", 1, None, Path("/out/a.jpg"), 0.0, 1.0, 3.5)


def test_sentences_are_harmless(done: Job) -> None:
    failed = replace(done, state="failed", reason="It is\x1b[31m broken", result=None)
    assert sentence(JobDone(done, ("It is CMYK; the Result is RGB.",), (), {})) == (
        "a\\x1b[2J\\udce9.jpg: done in 2.5 s, /out/a.jpg It is CMYK; the Result is RGB."
    )
    assert sentence(JobFailed(failed)) == "a\\x1b[2J\\udce9.jpg: failed. It is\\x1b[31m broken"


def test_a_photo_is_named_by_its_place(done: Job) -> None:
    """In the folder that someone named: two photos may have one name."""
    job = replace(done, photo=Path("/holiday/day 2/a.jpg"), result=None)
    assert (sentence(JobCancelled(job)) or "").startswith("a.jpg: cancelled.")
    assert (sentence(JobCancelled(job), Path("/holiday")) or "").startswith("day 2/a.jpg: cancelled.")
    assert (sentence(JobCancelled(job), Path("/other")) or "").startswith("a.jpg: cancelled.")


def test_plain_says_the_device_once_and_the_loss_at_intervals(done: Job, capsys: pytest.CaptureFixture[str]) -> None:
    with view(plain=True, as_json=False) as show:
        for _ in range(2):
            show(JobChosen(done, "CPU, 2 threads, bf16", (384, 256)))
        show(Note("Look out", warning=True))
        curve = (LossPoint(1, 1, 2.0, 0.5, 1.5), LossPoint(10, 1, 0.25, 0.05, 0.2), LossPoint(11, 2, 0.5, 0.1, 0.4))
        show(JobDone(done, (), curve, {}))
    out, err = capsys.readouterr()
    assert out.count("Painting on CPU, 2 threads, bf16, at 384 x 256 pixels") == 1
    assert "total loss by step: 1: 2, 10: 0.25; 11: 0.5" in out
    assert err == "Look out\n"


def test_json_lines(done: Job, capsys: pytest.CaptureFixture[str]) -> None:
    with view(plain=False, as_json=True) as show:
        show(JobDone(done, (), (LossPoint(1, 1, 2.0, 0.5, 1.5),), {"write": 0.1}))
    event = json.loads(capsys.readouterr().out)
    assert (event["event"], event["job"]["seconds"], event["job"]["result"], event["curve"]) == (
        "JobDone",
        2.5,
        "/out/a.jpg",
        [[1, 1, 2.0, 0.5, 1.5]],
    )


@pytest.mark.slow
def test_bars_on_a_terminal(tmp_path: Path, small: Image.Image, quick_yaml: str) -> None:
    (tmp_path / "quick.yaml").write_text(quick_yaml.replace("steps: 2", "steps: 60"))
    small.save(tmp_path / "a [red].png")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "daemon", "apply", "a [red].png", "--preset", "quick.yaml", "-o", "out.png"]
    environment = {
        **os.environ,
        "TERM": "xterm-256color",
        "COLUMNS": "100",
        "PYTHONPATH": str(REPOSITORY),
    }
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    while True:
        try:
            shown += os.read(ours, 4096)
        except OSError:  # the other side is closed
            break
    text = shown.decode()
    assert process.wait(timeout=HANG) == 0, text
    assert "a [red].png [quick]" in text, "the name is not read as markup"
    assert "of 60" in text
    assert "loss 0." in text
    assert "left" in text
    assert text.rfind("\x1b[?25h") > text.rfind("\x1b[?25l"), "the cursor is shown again"
