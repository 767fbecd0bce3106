"""The Ledger, in real SQLite."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.folders.completeness import sha256
from daemon.ledger.database import LedgerDamaged, LedgerOld
from daemon.ledger.job import MAX_ATTEMPTS, Job, Signature
from daemon.ledger.ledger import Ledger
from stylecore.preset import Preset

SEEN = Signature(10, 20, 25, 30)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(tmp_path / "ledger.sqlite3")
    yield opened
    opened.close()


def test_a_job_goes_its_way(ledger: Ledger, quick: Preset) -> None:
    photo = Path(os.fsdecode(b"/photos/caf\xe9 \n.jpg"))  # not UTF-8, and a newline
    added = ledger.add(photo, "oil", quick, "digest", SEEN)
    assert added is not None
    assert (added.photo, added.state, added.recipe) == (photo, "queued", quick)
    taken = ledger.take()
    assert taken is not None
    assert (taken.id, taken.state, taken.attempts) == (added.id, "running", 1)
    assert ledger.take() is None
    done = ledger.done(taken, Path("/out.jpg"))
    assert (done.state, done.result) == ("done", Path("/out.jpg"))
    assert done.seconds is not None
    assert ledger.count("done") == 1
    assert ledger.count("queued", "running", "failed") == 0


def test_the_same_bytes_are_not_queued_twice(ledger: Ledger, quick: Preset) -> None:
    photo = Path("/a.jpg")
    assert ledger.add(photo, "oil", quick, "one", SEEN)
    touched = Signature(10, 99, 26, 30)
    assert ledger.add(photo, "oil", quick, "one", touched) is None
    assert ledger.signatures("oil") == {str(photo): touched}
    assert ledger.add(photo, "oil", quick, "two", SEEN), "new bytes are a new Job"
    assert ledger.add(photo, "gouache", quick, "one", SEEN), "and so is another preset"


def test_a_copy_of_a_preset_under_another_name_keeps_its_name(ledger: Ledger, quick: Preset) -> None:
    """Same digest, same Result; but the Job knows its own preset."""
    twin = quick.model_copy(update={"name": "twin"})
    ledger.add(Path("/a.jpg"), "oil", quick, "a", SEEN)
    ledger.add(Path("/a.jpg"), "twin", twin, "a", SEEN)
    assert [ledger.take().recipe.name for _ in range(2)] == ["oil", "twin"]  # type: ignore[union-attr]


def test_jobs_are_taken_in_order(ledger: Ledger, quick: Preset) -> None:
    for name in "abc":
        ledger.add(Path(f"/{name}.jpg"), "oil", quick, name, SEEN)
    assert [ledger.take().photo.stem for _ in range(3)] == ["a", "b", "c"]  # type: ignore[union-attr]


def test_after_a_crash_what_ran_is_queued_and_at_last_fails(tmp_path: Path, quick: Preset) -> None:
    path = tmp_path / "ledger.sqlite3"
    first = Ledger(path)
    first.add(Path("/a.jpg"), "oil", quick, "a", SEEN)
    first.close()
    for attempt in range(1, MAX_ATTEMPTS + 1):
        ledger = Ledger(path)
        job = ledger.take()
        assert job is not None
        assert job.attempts == attempt
        ledger.close()  # and no word of how it ended
        again = Ledger(path)
        failed = again.recover()
        assert bool(failed) == (attempt == MAX_ATTEMPTS)
        again.close()
    assert "3 times" in (failed[0].reason or "")


def test_a_job_that_was_only_stopped_has_not_failed(ledger: Ledger, quick: Preset) -> None:
    ledger.add(Path("/a.jpg"), "oil", quick, "a", SEEN)
    for _ in range(MAX_ATTEMPTS + 2):
        job = ledger.take()
        assert job is not None
        ledger.put_back(job)
    assert job.attempts == 1


def test_jobs_without_a_preset_wait_for_one(ledger: Ledger, quick: Preset) -> None:
    job = ledger.add(Path("/a.jpg"), "oil", None, "a", SEEN, reason="There is no preset 'oil'.")
    assert job is not None
    assert job.state == "failed"
    assert ledger.take() is None
    ledger.give_recipe(quick.model_copy(update={"name": "other"}))
    assert ledger.take() is None
    ledger.give_recipe(quick)
    taken = ledger.take()
    assert taken is not None
    assert taken.recipe == quick


def test_a_file_that_is_no_ledger(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    path.write_text("no database at all, but long enough to be taken for one" * 100)
    with pytest.raises(LedgerDamaged, match="is damaged"):
        Ledger(path)


def test_names_that_are_not_utf8(ledger: Ledger, quick: Preset) -> None:
    """In a photo's name, in a folder's and in a reason."""
    folder, photo = os.fsdecode(b"\xff oil"), Path(os.fsdecode(b"/\xff oil/\xe9.jpg"))
    job = ledger.add(photo, folder, None, "a", SEEN, reason=f"There is no preset {folder!r}: {photo.name}")
    assert job is not None
    assert (job.photo, job.preset) == (photo, folder)
    assert ledger.signatures(folder) == {str(photo): SEEN}
    assert "\\udce9" in (job.reason or "")


def test_a_photo_put_back_after_another_version_is_painted_again(ledger: Ledger, quick: Preset) -> None:
    photo = Path("/a.jpg")
    for digest in ("one", "two", "one"):
        assert ledger.add(photo, "oil", quick, digest, Signature(1, hash(digest) % 1000, 1, 1)), digest
        job = ledger.take()
        assert job is not None
        ledger.done(job, Path("/out.jpg"))
    assert ledger.signatures("oil")[str(photo)].mtime_ns == hash("one") % 1000
    assert ledger.count("done") == 2


def test_a_touch_is_another_try_for_what_failed(ledger: Ledger, quick: Preset) -> None:
    ledger.add(Path("/a.jpg"), "oil", quick, "a", SEEN)
    ledger.failed(ledger.take(), "No room.")  # type: ignore[arg-type]
    assert ledger.add(Path("/a.jpg"), "oil", quick, "a", Signature(10, 99, 99, 30))
    assert ledger.count("queued") == 1


def test_what_failed_through_no_fault_of_its_own_is_tried_at_the_next_start(ledger: Ledger, quick: Preset) -> None:
    for name, mendable in (("a", True), ("b", False)):
        ledger.add(Path(f"/{name}.jpg"), "oil", quick, name, SEEN)
        ledger.failed(ledger.take(), "Why", mendable=mendable)  # type: ignore[arg-type]
    assert ledger.recover() == []
    assert ledger.take().photo == Path("/a.jpg")  # type: ignore[union-attr]
    assert ledger.take() is None


def test_a_root_may_be_moved(tmp_path: Path, quick: Preset) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    ledger = Ledger(old / "ledger.sqlite3", old)
    ledger.add(old / "oil" / "a.jpg", "oil", quick, "a", SEEN)
    ledger.close()
    old.rename(new)
    moved = Ledger(new / "ledger.sqlite3", new)
    assert moved.signatures("oil") == {str(new / "oil" / "a.jpg"): SEEN}
    job = moved.take()
    assert job is not None
    assert job.photo == new / "oil" / "a.jpg"
    moved.close()


def test_a_photo_that_came_back_is_looked_at_anew(ledger: Ledger, quick: Preset) -> None:
    """What was cancelled for want of it is queued; what is done stays done."""
    for name in ("lost.jpg", "done.jpg"):
        ledger.add(Path("/oil") / name, "oil", quick, name, SEEN)
    lost, done = ledger.take(), ledger.take()
    assert lost is not None
    assert done is not None
    ledger.dropped(lost, "The photo was taken away before its turn.")
    ledger.done(done, Path("/oil/styled/done.jpg"))
    ledger.gone("oil", ["/oil/lost.jpg", "/oil/done.jpg"])
    assert ledger.signatures("oil") == {}
    again = ledger.add(lost.photo, "oil", quick, "lost.jpg", SEEN)
    assert again is not None
    assert again.state == "queued"
    assert ledger.add(done.photo, "oil", quick, "done.jpg", SEEN) is None
    assert ledger.signatures("oil") == {"/oil/lost.jpg": SEEN, "/oil/done.jpg": SEEN}


def test_bytes_that_return_while_they_wait_are_painted_once(ledger: Ledger, quick: Preset) -> None:
    """One, two, one again, and only then its turn."""
    photo = Path("/oil/a.jpg")
    ledger.add(photo, "oil", quick, "one", SEEN)
    ledger.add(photo, "oil", quick, "two", Signature(11, 21, 26, 31))
    assert ledger.add(photo, "oil", quick, "one", SEEN) is None
    assert ledger.signatures("oil") == {str(photo): SEEN}
    one = ledger.take()
    assert one is not None
    assert (one.digest, one.signature) == ("one", SEEN)
    ledger.done(one, Path("/oil/styled/a.jpg"))
    assert ledger.signatures("oil") == {str(photo): SEEN}


def test_what_a_result_may_take_the_place_of(ledger: Ledger, quick: Preset, tmp_path: Path) -> None:
    """That of an earlier version of the same photo; not of one that was taken away, not of another, not anyone's file."""
    result, photo = tmp_path / "a.jpg", tmp_path / "in" / "a.jpg"

    def begun(digest: str) -> Job:
        ledger.add(photo, "oil", quick, digest, SEEN)
        job = ledger.take()
        assert job is not None
        return job

    one = begun("one")
    assert ledger.may_write(result, one)
    result.write_text("someone's own")
    assert not ledger.may_write(result, one)
    ledger.done(one, result, sha256(result))
    two = begun("two")
    assert ledger.may_write(result, two)
    result.write_text("retouched")
    assert not ledger.may_write(result, two), "someone has worked on it since"
    ledger.done(two, result, sha256(result))
    ledger.gone("oil", [str(photo)])
    three = begun("three")
    assert not ledger.may_write(result, three)
    assert ledger.may_write(tmp_path / "a-2.jpg", three)


def test_a_touch_while_the_worker_is_about_to_leave_it(ledger: Ledger, quick: Preset) -> None:
    """Cancelled in mid-step and touched at once: looked at again when the worker has left it, and then queued."""
    photo, touched = Path("/oil/a.jpg"), Signature(10, 99, 99, 30)
    ledger.add(photo, "oil", quick, "one", SEEN)
    taken = ledger.take()
    assert taken is not None
    cancelled = ledger.cancel(taken.id)
    assert cancelled is not None
    assert (cancelled.state, cancelled.finished_at) == ("cancelled", None)
    assert ledger.add(photo, "oil", quick, "one", touched) is None
    assert ledger.signatures("oil") == {str(photo): SEEN}
    left = ledger.dropped(taken, None)
    assert left is not None and left.finished_at is not None
    again = ledger.add(photo, "oil", quick, "one", touched)
    assert again is not None
    assert again.state == "queued"
    assert again.id > taken.id, "no number is given twice"


def test_a_retry_while_the_worker_is_about_to_leave_it(ledger: Ledger, quick: Preset) -> None:
    ledger.add(Path("/oil/a.jpg"), "oil", quick, "one", SEEN)
    taken = ledger.take()
    assert taken is not None
    ledger.cancel(taken.id)
    assert [job.id for job in ledger.retry(taken.id)] == [taken.id]
    assert ledger.dropped(taken, None) is None
    assert ledger.failed(taken, "Why") is None
    assert ledger.state(taken) == "queued"
    assert ledger.done(taken, Path("/oil/styled/a.jpg")).state == "done", "where it came to an end all the same"


def test_a_ledger_of_an_older_stylefolder(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    Ledger(path).close()
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version = 1")
    with pytest.raises(LedgerOld, match="was written by an older stylefolder"):
        Ledger(path)
