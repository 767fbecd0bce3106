"""Faults of the Ledger: truncated, overwritten, damaged."""

from __future__ import annotations

import contextlib
import os
import sqlite3

import pytest
from PIL import Image

from tests.daemon.harness import Daemon, is_picture
from tests.harness import wait_for


@pytest.mark.slow
@pytest.mark.parametrize("kept", [0.5, 0.02, 0])
def test_the_ledger_truncated(daemon: Daemon, fast: str, small: Image.Image, kept: float) -> None:
    """The Ledger is moved aside and rebuilt from the files in the folders; photos stay, and none is painted twice."""
    inbox = daemon.preset("one", fast)
    for i in range(5):
        small.rotate(i).save(inbox / f"{i}.png")
    before = {p.name: p.read_bytes() for p in inbox.glob("*.png")}
    daemon.start()
    wait_for(lambda: len(daemon.jobs("state = 'done'")) == 5)
    daemon.stop()
    ledger = daemon.root / ".stylefolder" / "ledger.sqlite3"
    os.truncate(ledger, int(ledger.stat().st_size * kept))
    before_results = {p.name for p in (inbox / "styled").iterdir()}
    small.rotate(90).save(inbox / "new.png")
    daemon.start()
    wait_for(lambda: is_picture(inbox / "styled" / "new.png"))
    assert {p.name for p in (inbox / "styled").iterdir()} == {*before_results, "new.png"}
    if kept:
        assert "The Ledger was damaged and was moved to" in daemon.said()
        assert list(ledger.parent.glob("ledger.sqlite3.damaged-*"))
    assert {name: (inbox / name).read_bytes() for name in before} == before
    wait_for(lambda: len(daemon.jobs("state = 'done'")) == 6)
    assert [daemon.begun(inbox / name) for name in before] == [1] * 5


@pytest.mark.slow
def test_the_ledger_overwritten_while_live(daemon: Daemon, fast: str, small: Image.Image) -> None:
    inbox = daemon.preset("one", fast)
    small.save(inbox / "a.png")
    daemon.start()
    wait_for(lambda: daemon.jobs("state = 'done'"))
    for name in ("ledger.sqlite3", "ledger.sqlite3-wal"):
        path = daemon.root / ".stylefolder" / name
        with path.open("r+b") as file:
            file.write(os.urandom(path.stat().st_size))
    small.rotate(90).save(inbox / "b.png")
    wait_for(lambda: is_picture(inbox / "styled" / "b.png"))
    assert daemon.begun(inbox / "a.png") == 1
    assert daemon.stop() == 0


@pytest.mark.slow
def test_an_index_of_the_ledger_is_damaged(daemon: Daemon, fast: str, small: Image.Image) -> None:
    """Damage that the check on opening misses, but every write meets: the Ledger is rebuilt, and work continues."""
    inbox = daemon.preset("one", fast)
    daemon.start()
    daemon.run("pause")
    small.save(inbox / "a.png")
    wait_for(lambda: daemon.jobs("state = 'queued'"))
    daemon.stop()
    with contextlib.closing(
        sqlite3.connect(daemon.root / ".stylefolder" / "ledger.sqlite3", isolation_level=None)
    ) as database:
        database.execute("PRAGMA writable_schema = ON")
        (row,) = database.execute("SELECT * FROM sqlite_master WHERE name = 'by_state'").fetchall()
        database.execute("DELETE FROM sqlite_master WHERE name = 'by_state'")
        version = database.execute("PRAGMA schema_version").fetchone()[0]
        database.execute(f"PRAGMA schema_version = {version + 1}")
    with contextlib.closing(
        sqlite3.connect(daemon.root / ".stylefolder" / "ledger.sqlite3", isolation_level=None)
    ) as database:
        database.execute("UPDATE jobs SET state = 'failed'")
        database.execute("UPDATE jobs SET state = 'queued', id = id + 1000")
        database.execute("DELETE FROM switches")
        database.execute("PRAGMA writable_schema = ON")
        database.execute("INSERT INTO sqlite_master VALUES (?, ?, ?, ?, ?)", row)
        database.execute(f"PRAGMA schema_version = {version + 2}")
    daemon.start()
    wait_for(lambda: is_picture(inbox / "styled" / "a.png"))
    assert "The Ledger was damaged and was moved to" in daemon.said()
    assert len(list((daemon.root / ".stylefolder").glob("ledger.sqlite3.damaged-*"))) >= 1
