"""Files written whole or not at all."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from stylecore.errors import ResultError, Taken
from stylecore.images.atomic_write import write_whole


def test_two_threads_leave_the_umask_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, umask = os.umask(0o022), os.umask

    def slow(mask: int) -> int:
        """So that two threads that change it meet."""
        old = umask(mask)
        time.sleep(0.001)
        return old

    monkeypatch.setattr(os, "umask", slow)
    try:

        def write(name: str) -> None:
            for i in range(300):
                write_whole(tmp_path / name / f"{i}", b"x")

        threads = [threading.Thread(target=write, args=(f"{n}",)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {path.stat().st_mode & 0o777 for path in tmp_path.glob("*/*")} == {0o644}
    finally:
        assert umask(before) == 0o022


def test_private_files_and_taken_names(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_whole(path, b"secret", private=True)
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(Taken):
        write_whole(path, b"other", replace=False)
    with pytest.raises(ResultError):
        write_whole(path / "below a file", b"x")
    assert path.read_bytes() == b"secret"
    assert [p.name for p in tmp_path.iterdir()] == ["a"], "nothing is left behind"
