"""Real mounts, for root."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import wait_for

FUSE = os.geteuid() == 0 and os.access("/dev/fuse", os.R_OK | os.W_OK)


def needs(*programs: str) -> pytest.MarkDecorator:
    missing = [name for name in programs if shutil.which(name) is None]
    reason = f"not installed: {', '.join(missing)}" if missing else "only root can mount here, with /dev/fuse"
    return pytest.mark.skipif(bool(missing) or not FUSE, reason=reason)


@contextlib.contextmanager
def mounted(
    command: list[str], at: Path, environment: dict[str, str] | None = None, *, background: bool = False
) -> Iterator[Path]:
    at.mkdir(parents=True, exist_ok=True)
    own = {**os.environ, **(environment or {})}
    if background:
        subprocess.Popen([*command, str(at)], env=own)
    else:
        done = subprocess.run([*command, str(at)], capture_output=True, text=True, env=own)
        assert done.returncode == 0, done.stderr
    try:
        wait_for(lambda: os.path.ismount(at), why="for the mount")
        yield at
    finally:
        subprocess.run(["umount", "-l", str(at)], check=True)


def behind(tmp_path: Path) -> Path:
    folder = tmp_path / "server"
    folder.mkdir(exist_ok=True)
    return folder
