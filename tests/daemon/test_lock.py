"""One daemon per Root: who may take it, and when."""

from __future__ import annotations

import json
import threading
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from daemon import lock
from daemon.errors import RootInUse
from daemon.lock import Owner, only_one

OTHER = Owner("attic", "m", "b", 7, 1.0, "theirs")


def written(folder: Path, owner: Owner) -> Path:
    path = folder / "owner"
    lock._write(path, owner, "wb")
    return path


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in {"BEAT": 0.0, "STALE": 0.3, "LOOK_EVERY": 0.01, "SETTLE": 0.05}.items():
        monkeypatch.setattr(lock, name, seconds)


def hold(folder: Path, *, shared: bool = True, said: list[str] | None = None) -> None:
    with only_one(folder, folder / "lock", shared=shared, say=(said if said is not None else []).append) as held:
        held.beat()
        held.beat()
        assert not list(folder.glob("owner.*"))


def test_a_silent_owner_is_replaced_and_a_live_one_is_not(tmp_path: Path) -> None:
    path, said = written(tmp_path, OTHER), list[str]()
    hold(tmp_path, said=said)
    assert "process 7 on attic" in said[0]
    assert not path.exists()
    written(tmp_path, OTHER)
    beats = threading.Timer(0.1, lambda: written(tmp_path, replace(OTHER, beat=1)))
    beats.start()
    with pytest.raises(RootInUse, match="process 7 on attic"):
        hold(tmp_path)
    beats.join()


def test_a_file_that_cannot_be_read_is_someone(tmp_path: Path) -> None:
    """Being written, or from a newer version. Only a number is from 0.1.0, which has no heartbeat."""
    said: list[str] = []
    for text in ("", "{", json.dumps({"host": "x"})):
        (tmp_path / "owner").write_text(text)
        hold(tmp_path, said=said)
    assert len(said) == 3
    (tmp_path / "owner").write_text("123")
    hold(tmp_path, shared=False, said=said)
    assert len(said) == 3, "the system's lock says that it is gone"


def test_a_newer_version_with_more_fields_is_understood(tmp_path: Path) -> None:
    (tmp_path / "owner").write_text(json.dumps({**asdict(OTHER), "new": 1}))
    assert lock._read(tmp_path / "owner") == OTHER


def test_a_reader_never_finds_the_heartbeat_empty(tmp_path: Path) -> None:
    with only_one(tmp_path, tmp_path / "lock", shared=False, say=print) as held:
        stop, seen = threading.Event(), list[Owner | None]()

        def read() -> None:
            while not stop.is_set():
                seen.append(lock._read(tmp_path / "owner"))

        reader = threading.Thread(target=read)
        reader.start()
        for _ in range(2000):
            held.beat()
        stop.set()
        reader.join()
    assert {owner.token if owner else "" for owner in seen} == {held._me.token}


def test_of_two_that_come_at_once_one_has_it(tmp_path: Path) -> None:
    mine, path = replace(OTHER, token="mine"), tmp_path / "owner"
    lock._claim(tmp_path, path, OTHER, None, settle=0)
    with pytest.raises(RootInUse):  # it had seen no owner before
        lock._claim(tmp_path, path, mine, None, settle=0)
    stale = replace(OTHER, token="long dead")
    with pytest.raises(RootInUse):  # it had seen another
        lock._claim(tmp_path, path, mine, stale, settle=0)
    assert lock._read(path) == OTHER


def test_who_wakes_up_to_another_owner_ends(tmp_path: Path) -> None:
    with only_one(tmp_path, tmp_path / "lock", shared=True, say=print) as held:
        written(tmp_path, OTHER)
        with pytest.raises(RootInUse):
            held.beat()


def test_waiting_can_be_stopped(tmp_path: Path) -> None:
    def alive() -> None:
        raise KeyboardInterrupt

    written(tmp_path, OTHER)
    with (
        pytest.raises(KeyboardInterrupt),
        only_one(tmp_path, tmp_path / "lock", shared=True, say=print, alive=alive),
    ):
        pass


def test_this_machine_knows_its_own(tmp_path: Path) -> None:
    """A live process holds the Root, even if its lock was not seen; a dead one does not, without any waiting."""
    with only_one(tmp_path, tmp_path / "lock", shared=True, say=print) as held:
        living = held._me
    parent = lock._started(1)
    assert parent is not None
    written(tmp_path, replace(living, pid=1, started=parent, token="theirs"))
    with pytest.raises(RootInUse, match=r"process 1\)"):
        hold(tmp_path)
    said: list[str] = []
    written(tmp_path, replace(living, pid=2**22 + 1, token="theirs"))
    hold(tmp_path, said=said)
    written(tmp_path, replace(living, boot="before", token="theirs"))
    hold(tmp_path, shared=False, said=said)
    assert said == []
