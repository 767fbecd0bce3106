"""The package as its users install it: built, installed with nothing else beside it, and put to work."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.harness import REPOSITORY, difference

SHIPPED = [
    "daemon/py.typed",
    "daemon/commands/sheet.html",
    "plugin_gimp/stylefolder.py",
    "presets/oil.yaml",
    "presets/styles/oil.jpg",
    "stylecore/py.typed",
]


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """With nothing of this environment or this folder in reach."""
    home = {"HOME": str(cwd), "PATH": "/usr/bin:/bin"}
    return subprocess.run(list(map(str, command)), cwd=cwd, env=home, capture_output=True, text=True)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source archive, and the wheel built from it."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "build", "--outdir", folder, REPOSITORY], check=True, capture_output=True)
    return folder


@pytest.mark.slow
def test_what_is_in_the_package(built: Path) -> None:
    (wheel,), (source,) = built.glob("*.whl"), built.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        described = archive.read(metadata).decode()
    assert set(SHIPPED) <= names
    modules = {
        str(path.relative_to(REPOSITORY))
        for top in ("daemon", "stylecore")
        for path in (REPOSITORY / top).rglob("*.py")
    }
    assert modules <= names
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {
        "daemon",
        "plugin_gimp",
        "presets",
        "stylecore",
    }
    assert "License-Expression: MIT" in described
    assert "Author: the Stylefolder authors" in described
    with tarfile.open(source) as archive_of_source:
        assert any(name.endswith("/LICENSE") for name in archive_of_source.getnames())


@pytest.mark.slow
def test_the_wheel_paints_in_a_clean_environment(built: Path, tmp_path: Path, small: Image.Image) -> None:
    """Only with what the wheel itself asks for: an import that only the development extras provide fails here."""
    venv.create(tmp_path / "env", with_pip=True)
    python, stylefolder = tmp_path / "env" / "bin" / "python", tmp_path / "env" / "bin" / "stylefolder"
    (wheel,) = built.glob("*.whl")
    subprocess.run([python, "-m", "pip", "install", "--quiet", wheel], check=True, cwd=tmp_path)
    work = tmp_path / "work"
    work.mkdir()
    small.save(work / "photo.png")
    done = run(stylefolder, "apply", "photo.png", "--preset", "oil", "--steps", "6", "--size", "64", cwd=work)
    assert done.returncode == 0, done.stderr
    (painted,) = work.glob("**/styled/photo.png") or work.glob("photo-*.png")
    with Image.open(painted) as picture:
        assert picture.size == small.size
        assert difference(np.asarray(picture.convert("RGB")), small) > 8
    lacking = run(stylefolder, "apply", "photo.png", "--preset", "oil", "--curve", "curve.png", cwd=work)
    assert lacking.returncode == 2
    assert "pip install 'stylefolder[curve]'" in lacking.stderr
