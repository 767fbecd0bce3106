"""The package as its users install it: built, installed with nothing else, and used."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.harness import REPOSITORY, difference

SHIPPED = [
    "daemon/api/page/index.html",
    "daemon/api/page/page.js",
    "daemon/py.typed",
    "daemon/commands/sheet.html",
    "plugin_gimp/stylefolder.py",
    "presets/oil.yaml",
    "presets/styles/oil.jpg",
    "stylecore/py.typed",
]


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command without access to this environment or this folder."""
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
    tops = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == {"daemon", "plugin_gimp", "presets", "stylecore"}
    assert "License-Expression: MIT" in described
    assert "Author: the Stylefolder authors" in described
    with tarfile.open(source) as archive_of_source:
        assert any(name.endswith("/LICENSE") for name in archive_of_source.getnames())


@pytest.fixture
def clean(built: Path, tmp_path: Path) -> Iterator[Path]:
    """The programs of an environment with only the wheel and its dependencies."""
    environment = tmp_path / "environment"
    venv.create(environment, with_pip=True)
    (wheel,) = built.glob("*.whl")
    subprocess.run([environment / "bin" / "python", "-m", "pip", "install", "--quiet", wheel], check=True, cwd=tmp_path)
    yield environment / "bin"
    shutil.rmtree(environment)  # several GB


@pytest.mark.slow
def test_the_wheel_paints_in_a_clean_environment(clean: Path, tmp_path: Path, small: Image.Image) -> None:
    """An import of something that only the development extras provide fails here."""
    work, stylefolder = tmp_path / "work", clean / "stylefolder"
    work.mkdir()
    small.save(work / "photo.png")
    painting = ("apply", "photo.png", "--preset", "oil", "--size", "64", "--steps", "6", "--device", "cpu")
    done = run(stylefolder, *painting, "--out", "painting.png", cwd=work)
    assert done.returncode == 0, done.stderr
    with Image.open(work / "painting.png") as picture:
        assert picture.size == small.size
        assert difference(np.asarray(picture.convert("RGB")), small) > 8
    lacking = run(stylefolder, *painting, "--curve", "curve.png", cwd=work)
    assert lacking.returncode == 2
    assert "pip install 'stylefolder[curve]'" in lacking.stderr
    photograph = run(stylefolder, "demo", cwd=work)
    assert photograph.returncode == 1
    assert "pip install 'stylefolder[demo]'" in photograph.stderr


def test_the_container_has_every_package() -> None:
    packages = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    wanted = {name.partition(".")[0] for name in packages}
    copied = set(re.findall(r"^COPY (\w+) \1$", (REPOSITORY / "Dockerfile").read_text(), re.M))
    sent = set(re.findall(r"^!(\w+)$", (REPOSITORY / ".dockerignore").read_text(), re.M))
    assert wanted <= copied <= sent
