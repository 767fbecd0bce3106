"""How a command starts: what it refuses, what it imports, and what `doctor` says of the machine."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.daemon.harness import STYLEFOLDER, Daemon, run
from tests.harness import HANG


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (
            ["apply", "gone.jpg", "--preset", "oil"],
            1,
            "gone.jpg: failed. It cannot be read (No such file or directory)",
        ),
        (["apply", "photo.png", "--preset", "oli"], 2, "There is no preset 'oli': did you mean 'oil'?"),
        (["apply", "photo.png", "--preset", "gone.yaml"], 2, "gone.yaml: cannot be read"),
        (["apply", "photo.png", "--preset", "oil", "-o", "photo.png"], 2, "is the photo itself"),
        (["apply", "photo.png", "--preset", "oil", "-o", "out.xyz"], 2, "'.xyz' is not a known format"),
        (["apply", "photo.png", "--preset", "oil", "--device", "cuda:99"], 1, "There is no device 'cuda:99' here"),
        (["apply", "photo.png"], 2, "--preset"),
        (["presets", "check", "gone.yaml"], 2, "gone.yaml: cannot be read"),
        (["presets", "check", "oli"], 2, "did you mean 'oil'?"),
        (["presets", "new", "a/b", "--style", "photo.png"], 2, "'a/b' cannot be a preset's name"),
        (
            ["apply", "photo.png", "other.png", "--preset", "oil", "-o", "both.jpg"],
            2,
            "both.jpg is the name of one picture, and there are 2 photos",
        ),
        (["watch", "photo.png"], 2, "photo.png is a file: name the folder to watch."),
        (["sheet", "gone.png", "-o", "photo.png"], 1, "gone.png"),
        (["demo", "photo.png.part"], 1, "a file named photo.png.part is not treated as a photo"),
        (["apply", "photo.png", "-p", "oil", "-o", "x" * 300 + ".png"], 2, "(File name too long): give another"),
    ],
)
def test_wrong_usage_in_a_sentence(
    home: dict[str, str], tmp_path: Path, small: Image.Image, arguments: list[str], status: int, says: str
) -> None:
    small.save(tmp_path / "photo.png")
    shutil.copy(tmp_path / "photo.png", tmp_path / "photo.png.part")
    done = subprocess.run(
        [*STYLEFOLDER, *arguments], env=home, cwd=tmp_path, capture_output=True, text=True, timeout=HANG
    )
    assert done.returncode == status
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_doctor(home: dict[str, str], tmp_path: Path) -> None:
    done = run(home, "doctor", tmp_path / "Root")
    assert done.returncode == 0, done.stdout
    for what in ("device", "weights", "presets", "root", "disk"):
        assert f"ok    {what}" in done.stdout


@pytest.mark.parametrize(
    ("imports", "heavy"),
    [
        ("daemon.commands.cli", ("torch", "scipy", "skimage", "numpy", "PIL", "pydantic", "rich", "yaml", "fastapi")),
        ("daemon.watch, daemon.commands.apply, daemon.terminal.output", ("torch", "scipy", "skimage")),
    ],
)
def test_a_command_starts_without_heavy_modules(home: dict[str, str], imports: str, heavy: tuple[str, ...]) -> None:
    """What makes `stylefolder --help` answer in a quarter of a second, and the others in less than one."""
    code = f"import sys; import {imports}; print([m for m in sys.modules if m in {heavy}])"
    done = subprocess.run([sys.executable, "-c", code], env=home, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_a_device_that_no_machine_has(daemon: Daemon) -> None:
    for wrong in ("gpu", "cuda:", "cpu,,cpu", "auto,cpu", "cuda:x"):
        refused = daemon.run("watch", daemon.root, "--device", wrong)
        assert refused.returncode == 2
        assert "There is no device" in refused.stderr
