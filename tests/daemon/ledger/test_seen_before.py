"""A photo that the Ledger has seen before: touched, changed, removed, put back."""

from __future__ import annotations

from pathlib import Path

from daemon.ledger.job import Failure, Job
from daemon.ledger.ledger import Ledger
from daemon.ledger.signature import Signature, sha256
from stylecore.preset import Preset
from tests.daemon.ledger.harness import PHOTO, SEEN, TOUCHED, finish, take


def test_the_same_bytes_are_not_queued_twice(ledger: Ledger, quick: Preset) -> None:
    assert ledger.queue.add(PHOTO, "oil", quick, "one", SEEN)
    assert ledger.queue.add(PHOTO, "oil", quick, "one", TOUCHED) is None
    assert ledger.photos.signatures("oil") == {str(PHOTO): TOUCHED}
    assert ledger.queue.add(PHOTO, "oil", quick, "two", SEEN), "new bytes are a new Job"
    assert ledger.queue.add(Path("/gouache/a.jpg"), "gouache", quick, "one", SEEN), "and so is another Preset"


def test_a_touch_before_its_turn_reaches_the_worker(ledger: Ledger, quick: Preset) -> None:
    ledger.queue.add(PHOTO, "oil", quick, "one", SEEN)
    ledger.queue.add(PHOTO, "oil", quick, "one", TOUCHED)
    taken = ledger.queue.take()
    assert taken is not None
    assert taken[1].signature == TOUCHED


def test_a_photo_put_back_after_another_version_is_painted_again(ledger: Ledger, quick: Preset) -> None:
    for i, digest in enumerate(("one", "two", "one")):
        assert ledger.queue.add(PHOTO, "oil", quick, digest, Signature(1, i, 1, 1)), digest
        finish(ledger, take(ledger), Path("/out.jpg"))
    assert ledger.photos.signatures("oil")[str(PHOTO)].mtime_ns == 2
    assert ledger.history.count("done") == 2


def test_a_touch_is_another_try_for_what_failed(ledger: Ledger, quick: Preset) -> None:
    ledger.queue.add(PHOTO, "oil", quick, "a", SEEN)
    ledger.queue.failed(take(ledger), Failure("photo", "Why"))
    assert ledger.queue.add(PHOTO, "oil", quick, "a", TOUCHED)
    assert ledger.history.count("queued") == 1


def test_a_file_that_cannot_be_read_has_one_job(ledger: Ledger, quick: Preset) -> None:
    """However often it is touched, whatever is to blame."""
    for signature in (SEEN, TOUCHED, SEEN):
        failure = Failure("kind", "It is a FIFO, not a file: remove it.")
        assert ledger.queue.add(PHOTO, "oil", quick, None, signature, failure=failure)
    assert ledger.history.count("failed") == 1
    assert ledger.queue.retry(None) == [], "another try is pointless"


def test_a_photo_that_comes_back_is_looked_at_again(ledger: Ledger, quick: Preset) -> None:
    """What was cancelled because it was gone is queued; what is done stays done."""
    for name in ("lost.jpg", "done.jpg"):
        ledger.queue.add(Path("/oil") / name, "oil", quick, name, SEEN)
    lost, done = take(ledger), take(ledger)
    ledger.queue.dropped(lost, "The photo was removed before its turn.")
    finish(ledger, done, Path("/oil/styled/done.jpg"))
    ledger.photos.gone(["/oil/lost.jpg", "/oil/done.jpg"])
    assert ledger.photos.signatures("oil") == {}
    again = ledger.queue.add(lost.photo, "oil", quick, "lost.jpg", SEEN)
    assert again is not None
    assert again.state == "queued"
    assert ledger.queue.add(done.photo, "oil", quick, "done.jpg", SEEN) is None
    assert ledger.photos.signatures("oil") == {"/oil/lost.jpg": SEEN, "/oil/done.jpg": SEEN}


def test_bytes_that_return_while_they_wait_are_painted_once(ledger: Ledger, quick: Preset) -> None:
    """The file changes to two and back to one before its turn."""
    ledger.queue.add(PHOTO, "oil", quick, "one", SEEN)
    ledger.queue.add(PHOTO, "oil", quick, "two", Signature(11, 21, 26, 31))
    assert ledger.queue.add(PHOTO, "oil", quick, "one", SEEN) is None
    assert ledger.photos.signatures("oil") == {str(PHOTO): SEEN}
    taken = ledger.queue.take()
    assert taken is not None
    assert taken[1].signature == SEEN
    finish(ledger, taken[0], Path("/oil/styled/a.jpg"))
    assert ledger.photos.signatures("oil") == {str(PHOTO): SEEN}


def test_what_a_result_may_replace(ledger: Ledger, quick: Preset, tmp_path: Path) -> None:
    """Only the Result of an earlier version of the same photo: not that of a removed photo or of another photo, nor
    anyone else's file."""
    result, photo = tmp_path / "a.jpg", tmp_path / "in" / "a.jpg"

    def started(digest: str) -> Job:
        ledger.queue.add(photo, "oil", quick, digest, SEEN)
        return take(ledger)

    one = started("one")
    assert ledger.photos.may_write(result, one) == "free"
    result.write_text("someone's own")
    assert not ledger.photos.may_write(result, one)
    finish(ledger, one, result, sha256(result))
    two = started("two")
    assert ledger.photos.may_write(result, two) == "ours"
    result.write_text("retouched")
    assert not ledger.photos.may_write(result, two), "someone has edited it since"
    finish(ledger, two, result, sha256(result))
    ledger.photos.gone([str(photo)])
    three = started("three")
    assert not ledger.photos.may_write(result, three)
    assert ledger.photos.may_write(tmp_path / "a-2.jpg", three)


def test_a_touch_before_the_worker_has_left_a_cancelled_job(ledger: Ledger, quick: Preset) -> None:
    """The photo is checked again once the worker has stopped, and then queued."""
    ledger.queue.add(PHOTO, "oil", quick, "one", SEEN)
    taken = take(ledger)
    cancelled = ledger.queue.cancel(taken.id)
    assert cancelled is not None
    assert (cancelled.state, cancelled.finished_at) == ("cancelling", None)
    assert ledger.queue.add(PHOTO, "oil", quick, "one", TOUCHED) is None
    assert ledger.photos.signatures("oil") == {str(PHOTO): SEEN}
    left = ledger.queue.dropped(taken, None)
    assert left is not None
    assert left.state == "cancelled"
    again = ledger.queue.add(PHOTO, "oil", quick, "one", TOUCHED)
    assert again is not None
    assert again.state == "queued"
    assert again.id > taken.id, "no number is used twice"


def test_bytes_that_return_after_a_version_that_failed_are_done_already(ledger: Ledger, quick: Preset) -> None:
    """A stalled rewrite looks like another version, which is cut off."""
    ledger.queue.add(PHOTO, "oil", quick, "one", SEEN)
    finish(ledger, take(ledger), Path("/oil/styled/a.jpg"))
    ledger.queue.add(PHOTO, "oil", quick, "half", TOUCHED, failure=Failure("photo", "It is cut off."))
    assert ledger.queue.add(PHOTO, "oil", quick, "one", SEEN) is None
    assert ledger.history.count("queued") == 0
