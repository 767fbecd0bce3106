"""Numbered migrations, on a Root that version 0.1.0 left behind.

`root-0.1.0.tar.gz` was written by the daemon of 0.1.0, killed with Jobs in every state: photos done, replaced, removed
and copied; failures of every kind; one Job running, one being cancelled; a sent picture, a leased one; a Preset that
was removed; an original still to be moved; work paused.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sqlite3
import tarfile
from functools import partial
from pathlib import Path

import pytest
from PIL import Image

from daemon.errors import LedgerNewer, LedgerOutdated
from daemon.ledger.job import State
from daemon.ledger.ledger import Ledger
from daemon.ledger.schema import FIRST_VERSION, VERSION
from stylecore.preset import Painting
from tests.daemon.harness import Daemon, is_picture
from tests.harness import wait_for

SAVED = Path(__file__).with_name("root-0.1.0.tar.gz")
CAFE = os.fsdecode(b"caf\xe9.png")
STATES: dict[str, list[State]] = {
    "held/due.png": ["done"],
    "one/done.png": ["done"],
    "one/replaced.png": ["done", "done"],
    "one/gone.png": ["done"],
    "one/twin.png": ["done"],
    f"one/{CAFE}": ["done"],
    "heavy/a.png": ["failed"],
    "holiday/a.png": ["failed"],
    "one/link.png": ["failed"],
    "one/words.png": ["failed"],
    "sent.png": ["done"],
    "long/running.png": ["cancelling"],
    "held/waiting.png": ["waiting"],
    "one/cancelled.png": ["cancelled"],
    "leased.png": ["running"],
    "one/second.png": ["running"],
    "one/queued.png": ["queued"],
    "one/later.png": ["queued"],
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    with tarfile.open(SAVED) as saved:
        saved.extractall(tmp_path / "saved", filter="fully_trusted")  # a symbolic link is part of it
    return tmp_path / "saved" / "Root"


def ledger_file(root: Path) -> Path:
    return root / ".stylefolder" / "ledger.sqlite3"


def short(root: Path, photo: Path) -> str:
    return photo.name if ".stylefolder" in photo.parts else str(photo.relative_to(root))


def schema_of(path: Path) -> set[str]:
    with contextlib.closing(sqlite3.connect(path)) as database:
        rows = database.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite%'")
        return {" ".join(re.sub("--.*", "", sql).replace('"', "").split()) for (sql,) in rows}


def test_nothing_is_lost(root: Path) -> None:
    ledger = Ledger(ledger_file(root), root)
    found: dict[str, list[State]] = {}
    for job in sorted(ledger.history.jobs(), key=lambda job: job.id):
        found.setdefault(short(root, job.photo), []).append(job.state)
    assert found == STATES
    assert ledger.queue.paused()
    assert set(ledger.photos.signatures("one")) == {
        str(root / path) for path in STATES if path.startswith("one/") and path != "one/gone.png"
    }
    assert [(due.job.photo.name, due.action) for due in ledger.originals.due()] == [("due.png", "move")]
    ledger.queue.resume()
    job, order = ledger.queue.take() or pytest.fail("no queued Job")
    assert job.photo == root / "one" / "queued.png"
    assert isinstance(order.recipe, Painting)
    assert (order.recipe.steps, order.recipe.finish, order.recipe.lightness) == ((1,), (), "style")
    assert order.recipe.style[0].picture.is_file(), "the pinned style picture, in its new place"
    twins = ledger.history.twins(ledger.history.job(6) or pytest.fail("the twin"), order.recipe)
    assert {result.name for result, _ in twins} == {"done.png", "result.png"}
    new = ledger.queue.ask("upload", root / "x.png", order.recipe, "new", order.signature)
    assert new.id == 20, "no number is used twice"
    ledger.close()


def test_what_was_to_blame_is_known(root: Path) -> None:
    """Shown by which Jobs may be retried."""
    ledger = Ledger(ledger_file(root), root)
    names = {job.id: short(root, job.photo) for job in ledger.history.jobs()}
    assert {names[job.id] for job in ledger.queue.retry(None)} == {"heavy/a.png", "one/words.png"}
    ledger.close()


def test_a_removed_photos_result_stays_kept(root: Path) -> None:
    ledger = Ledger(ledger_file(root), root)
    styled = root / "one" / "styled"
    jobs = {short(root, job.photo): job for job in ledger.history.jobs()}
    assert not ledger.photos.may_write(styled / "gone.png", jobs["one/gone.png"])
    assert ledger.photos.may_write(styled / "done.png", jobs["one/done.png"])
    ledger.close()


def test_the_migrated_tables_are_those_of_a_new_ledger(root: Path, tmp_path: Path) -> None:
    Ledger(ledger_file(root), root).close()
    Ledger(tmp_path / "new.sqlite3").close()
    assert schema_of(ledger_file(root)) == schema_of(tmp_path / "new.sqlite3")


def test_a_newer_ledger_is_refused_in_a_sentence(daemon: Daemon) -> None:
    path = ledger_file(daemon.root)
    Ledger(path).close()
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA user_version = {VERSION + 1}")
    with pytest.raises(LedgerNewer):
        Ledger(path)
    done = daemon.run("watch", daemon.root, "--once")
    assert done.returncode == 1
    assert done.stderr == f"stylefolder: A newer version of Stylefolder wrote the Ledger {path}: update Stylefolder.\n"
    assert path.exists(), "and left alone"


def test_a_ledger_older_than_the_first_migration(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    Ledger(path).close()
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA user_version = {FIRST_VERSION - 1}")
    with pytest.raises(LedgerOutdated, match="too old"):
        Ledger(path)


@pytest.mark.slow
def test_a_daemon_on_the_saved_root_paints_what_was_left_and_nothing_again(daemon: Daemon, root: Path) -> None:
    """Unpacking touches every file. That retries what failed or was cancelled, but not what is done."""
    shutil.rmtree(daemon.root)
    root.rename(daemon.root)
    long = daemon.root / "presets" / "long.yaml"
    long.write_text(long.read_text().replace("steps: 5000", "steps: 1"))
    inbox = daemon.root / "one"
    done = ("done.png", "replaced.png", "twin.png", CAFE)
    before = {name: (inbox / "styled" / name).read_bytes() for name in done}
    daemon.start()
    assert daemon.run("resume").returncode == 0
    for name in ("second.png", "queued.png", "later.png", "cancelled.png"):
        wait_for(partial(is_picture, inbox / "styled" / name), why=name)
    wait_for(lambda: is_picture(daemon.root / "long" / "styled" / "running.png"))
    wait_for(lambda: not daemon.jobs("state IN ('queued', 'running')"))
    assert {name: (inbox / "styled" / name).read_bytes() for name in done} == before
    started = {Path(event["job"]["photo"]).name for event in daemon.events() if event["event"] == "JobStarted"}
    assert not started & {*done, "due.png", "sent.png", "leased.png", "waiting.png"}
    states = {row["photo"]: row["state"] for row in daemon.jobs("source = 'folder'")}
    assert states[b"held/waiting.png"] == "waiting"
    assert daemon.jobs("leased")[0]["state"] == "cancelled"
    shutil.copy(inbox / "done.png", inbox / "copy.png")
    wait_for(lambda: is_picture(inbox / "styled" / "copy.png"))
    assert (inbox / "styled" / "copy.png").read_bytes() == before["done.png"], "copied from 0.1.0's Result"
    Image.new("RGB", (48, 32), "teal").save(inbox / "gone.png")
    wait_for(lambda: is_picture(inbox / "styled" / "gone-2.png"))
