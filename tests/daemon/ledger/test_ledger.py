"""The Ledger, in real SQLite."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from daemon.errors import LedgerDamaged
from daemon.ledger.job import MAX_ATTEMPTS, Failure
from daemon.ledger.ledger import Ledger
from stylecore.preset import Preset
from tests.daemon.ledger.harness import PHOTO, SEEN, finish, state, take


def test_a_job_from_queued_to_done(ledger: Ledger, quick: Preset) -> None:
    photo = Path(os.fsdecode(b"/photos/caf\xe9 \n.jpg"))  # not UTF-8, and a newline
    added = ledger.queue.add(photo, "oil", quick, "digest", SEEN)
    assert added is not None
    assert (added.photo, added.state) == (photo, "queued")
    taken = ledger.queue.take()
    assert taken is not None
    job, order = taken
    assert (job.id, job.state, job.attempts) == (added.id, "running", 1)
    assert (order.job, order.photo, order.recipe, order.signature, order.target) == (job.id, photo, quick, SEEN, None)
    assert ledger.queue.take() is None
    done = finish(ledger, job, Path("/out.jpg"))
    assert (done.state, done.result) == ("done", Path("/out.jpg"))
    assert done.seconds is not None
    assert ledger.history.notes([job.id]) == {}
    ledger.queue.done(job, notes=["Its words \udce9.", "Another."])
    assert ledger.history.notes([job.id, 99]) == {job.id: ["Its words \\udce9.", "Another."]}
    assert ledger.history.count("done") == 1
    assert ledger.history.count("queued", "running", "failed") == 0


def test_a_copy_of_a_preset_under_another_name_keeps_its_name(ledger: Ledger, quick: Preset) -> None:
    twin = quick.model_copy(update={"name": "twin"})
    ledger.queue.add(Path("/oil/a.jpg"), "oil", quick, "a", SEEN)
    ledger.queue.add(Path("/twin/a.jpg"), "twin", twin, "a", SEEN)
    orders = [taken[1] for _ in range(2) if (taken := ledger.queue.take())]
    assert [order.recipe.name for order in orders] == ["oil", "twin"]


def test_jobs_are_taken_in_order(ledger: Ledger, quick: Preset) -> None:
    for name in "abc":
        ledger.queue.add(Path(f"/oil/{name}.jpg"), "oil", quick, name, SEEN)
    assert [take(ledger).photo.stem for _ in range(3)] == ["a", "b", "c"]


def test_a_job_that_crashes_is_queued_again_and_then_fails(tmp_path: Path, quick: Preset) -> None:
    path = tmp_path / "ledger.sqlite3"
    first = Ledger(path)
    first.queue.add(PHOTO, "oil", quick, "a", SEEN)
    first.close()
    for attempt in range(1, MAX_ATTEMPTS + 1):
        ledger = Ledger(path)
        assert take(ledger).attempts == attempt
        ledger.close()  # without recording how it ended
        again = Ledger(path)
        failed = again.queue.recover()
        assert bool(failed) == (attempt == MAX_ATTEMPTS)
        again.close()
    assert "3 times" in (failed[0].reason or "")


def test_a_job_that_was_only_stopped_has_not_failed(ledger: Ledger, quick: Preset) -> None:
    ledger.queue.add(PHOTO, "oil", quick, "a", SEEN)
    for _ in range(MAX_ATTEMPTS + 2):
        job = take(ledger)
        ledger.queue.put_back(job)
    assert job.attempts == 1


def test_jobs_without_a_preset_wait_for_one(ledger: Ledger, quick: Preset) -> None:
    missing = Failure("preset", "There is no preset 'oil'.")
    job = ledger.queue.add(PHOTO, "oil", None, "a", SEEN, failure=missing)
    assert job is not None
    assert job.state == "failed"
    assert ledger.queue.take() is None
    ledger.queue.release(quick.model_copy(update={"name": "other"}))
    assert ledger.queue.take() is None
    ledger.queue.release(quick)
    taken = ledger.queue.take()
    assert taken is not None
    assert taken[1].recipe == quick


def test_a_file_that_is_not_a_ledger(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    path.write_text("not a database, but long enough to be taken for one" * 100)
    with pytest.raises(LedgerDamaged, match="is damaged"):
        Ledger(path)


def test_names_that_are_not_utf8(ledger: Ledger, quick: Preset) -> None:
    """In a photo's name, in a folder's and in a reason."""
    folder, photo = os.fsdecode(b"\xff oil"), Path(os.fsdecode(b"/\xff oil/\xe9.jpg"))
    failure = Failure("preset", f"There is no preset {folder!r}: {photo.name}")
    job = ledger.queue.add(photo, folder, None, "a", SEEN, failure=failure)
    assert job is not None
    assert (job.photo, job.preset) == (photo, folder)
    assert ledger.photos.signatures(folder) == {str(photo): SEEN}
    assert "\\udce9" in (job.reason or "")


def test_what_the_system_is_to_blame_for_is_tried_at_the_next_start(ledger: Ledger, quick: Preset) -> None:
    for name in ("system", "photo"):
        ledger.queue.add(Path(f"/oil/{name}.jpg"), "oil", quick, name, SEEN)
        ledger.queue.failed(take(ledger), Failure(name, "Why"))
    assert ledger.queue.recover() == []
    assert take(ledger).photo == Path("/oil/system.jpg")
    assert ledger.queue.take() is None


def test_a_root_can_be_moved(tmp_path: Path, quick: Preset) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    ledger = Ledger(old / "ledger.sqlite3", old)
    ledger.queue.add(old / "oil" / "a.jpg", "oil", quick, "a", SEEN)
    ledger.close()
    old.rename(new)
    moved = Ledger(new / "ledger.sqlite3", new)
    assert moved.photos.signatures("oil") == {str(new / "oil" / "a.jpg"): SEEN}
    assert take(moved).photo == new / "oil" / "a.jpg"
    moved.close()


def test_a_retry_before_the_worker_has_left_a_cancelled_job(ledger: Ledger, quick: Preset) -> None:
    ledger.queue.add(PHOTO, "oil", quick, "one", SEEN)
    taken = take(ledger)
    ledger.queue.cancel(taken.id)
    assert [job.id for job in ledger.queue.retry(taken.id)] == [taken.id]
    assert ledger.queue.dropped(taken, None) is None
    assert ledger.queue.failed(taken, Failure("photo", "Why")) is None
    assert state(ledger, taken) == "queued"
    ledger.queue.finishing(taken, Path("/oil/styled/part"), Path("/oil/styled/a.jpg"), "of a Result")
    assert [job.id for job, *_ in ledger.history.interrupted()] == [taken.id], "a kill now would not lose its Result"
    done = ledger.queue.done(taken)
    assert done.state == "done", "if its Result arrived after all"
    assert done.seconds is not None


def test_a_job_that_is_put_back_after_someone_cancelled_it_is_cancelled(ledger: Ledger, quick: Preset) -> None:
    ledger.queue.add(PHOTO, "oil", quick, "one", SEEN)
    taken = take(ledger)
    ledger.queue.cancel(taken.id)
    back = ledger.queue.put_back(taken, counts=True)
    assert back is not None
    assert back.state == "cancelled"
    assert ledger.queue.put_back(taken, counts=True) is None


def test_a_twin_has_the_same_bytes_and_the_same_recipe(ledger: Ledger, quick: Preset) -> None:
    """The Preset's name does not matter. A Preset that `apply` changes is a different recipe."""
    for preset in ("one", "two"):
        ledger.queue.add(Path(f"/{preset}/a.jpg"), preset, quick.model_copy(update={"name": preset}), "a", SEEN)
        finish(ledger, take(ledger), Path(f"/{preset}/styled/a.jpg"), f"of {preset}")
    for changed in ({}, {"seed": 2}, {"size": 128}, {"steps": (3,)}, {"strength": 50.0}, {"colour": "photo"}):
        recipe = quick.model_copy(update=changed)
        job = ledger.queue.ask("command", Path("/a.jpg"), recipe, "a", SEEN)
        found = [(Path("/two/styled/a.jpg"), "of two"), (Path("/one/styled/a.jpg"), "of one")]
        assert ledger.history.twins(job, recipe) == ([] if changed else found), changed


def test_a_rolled_back_transaction_keeps_no_preset(ledger: Ledger, quick: Preset) -> None:
    """The next photo stores its Preset again."""
    with pytest.raises(ZeroDivisionError), ledger.transaction():
        ledger.queue.add(PHOTO, "oil", quick, "one", SEEN)
        raise ZeroDivisionError
    ledger.queue.add(PHOTO, "oil", quick, "one", SEEN)
    taken = ledger.queue.take()
    assert taken is not None
    assert taken[1].recipe == quick


def test_durations_of_a_presets_jobs(ledger: Ledger, quick: Preset) -> None:
    other = quick.model_copy(update={"steps": (3,)})
    for number, (recipe, seconds) in enumerate([(other, 90.0), (quick, 2.0), (quick, 4.0), (quick, 9.0)]):
        ledger.queue.add(Path(f"/oil/{number}.jpg"), "oil", recipe, f"{number}", SEEN)
        done = finish(ledger, take(ledger), Path(f"/out/{number}.jpg"))
        ledger._database.sql("UPDATE jobs SET started_at = finished_at - ? WHERE id = ?", (seconds, done.id))
    asked = ledger.queue.ask("upload", PHOTO, quick, "another", SEEN)
    assert ledger.history.mean_seconds("oil") == pytest.approx((90 + 2 + 4 + 9) / 4, rel=1e-6)
    assert ledger.history.typical_seconds(asked) == pytest.approx(4, rel=1e-6)


def test_a_long_history_costs_status_little(ledger: Ledger, quick: Preset) -> None:
    """In SQLite's own instructions, not in seconds."""
    photos = 2_000
    with ledger.transaction():
        for number in range(photos):
            ledger.queue.add(Path(f"/oil/{number}.jpg"), "oil", quick, f"{number}", SEEN)
        ledger._database.sql("UPDATE jobs SET state = 'done', started_at = id, finished_at = id + 5")
    queued = ledger.queue.add(PHOTO, "oil", quick, "digest", SEEN)
    assert queued is not None
    hundreds = 0

    def count() -> int:
        nonlocal hundreds
        hundreds += 1
        return 0

    ledger._database.connection.set_progress_handler(count, 100)
    assert ledger.history.mean_seconds("oil") == 5
    assert ledger.history.typical_seconds(queued) == 5
    assert ledger.history.throughput(photos + 3600.0).done == 5
    assert ledger.history.done_since(photos) == {"oil": 5}
    assert hundreds < photos / 10, "each photo was read"
