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


def test_what_file_systems_refuse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second name without the first's removal, a rename that replaces nothing, a link whose answer was lost."""
    path, real_link, real_unlink, real_replace = tmp_path / "a", os.link, Path.unlink, Path.replace

    def no_unlink(self: Path, missing_ok: bool = False) -> None:
        if self.suffix == ".part":
            raise PermissionError(1, "Operation not permitted")
        real_unlink(self, missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", no_unlink)
        write_whole(path, b"one", replace=False)
    assert path.read_bytes() == b"one"

    def twice(source: Path, target: Path) -> None:
        real_link(source, target)
        raise FileExistsError(17, "File exists")

    with monkeypatch.context() as patch:
        patch.setattr(os, "link", twice)
        write_whole(tmp_path / "b", b"two", replace=False)
    assert (tmp_path / "b").read_bytes() == b"two"

    def no_replacing(self: Path, target: Path) -> Path:
        if target.exists():
            raise FileExistsError(17, "File exists")
        return real_replace(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", no_replacing)
        write_whole(path, b"three")
        patch.setattr(Path, "unlink", lambda self, missing_ok=False: None)
        with pytest.raises(ResultError) as e:
            write_whole(path, b"four")
        assert not isinstance(e.value, Taken), "else the caller tries for ever"
    assert path.read_bytes() == b"three"
