"""Names of Results, failure notes and Inboxes."""

from __future__ import annotations

import os
import shutil
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from daemon.engine.placing import _is_taken
from daemon.engine.recovery import Adoption
from daemon.errors import SettingsError
from daemon.folders.inboxes import Inboxes
from daemon.folders.layout import Layout
from daemon.folders.names import is_hidden, is_others_folder
from daemon.folders.problems import Problems
from daemon.ledger.job import Job
from daemon.ledger.ledger import Ledger
from daemon.ledger.signature import Signature
from daemon.paths import free_name, printable
from daemon.settings import load_settings
from stylecore.preset import Preset

ROOT = Path("/root")
LAYOUT = Layout(ROOT)


@pytest.fixture
def job() -> Job:
    photo = ROOT / "oil" / "trip" / "IMG 1.JPG"
    return Job(1, "folder", photo, "oil", "running", 1, None, None, 0.0, None, None)


def test_results_mirror_the_photos(job: Job) -> None:
    assert LAYOUT.result_path(job, ".jpg") == ROOT / "oil" / "styled" / "trip" / "IMG 1.JPG"
    assert LAYOUT.result_path(job, ".png") == ROOT / "oil" / "styled" / "trip" / "IMG 1.png"
    assert Layout(ROOT, "/all").result_path(job, ".jpg") == Path("/all/oil/trip/IMG 1.JPG")
    assert LAYOUT.failure_note(job) == ROOT / "oil" / "failed" / "trip" / "IMG 1.JPG.txt"
    assert LAYOUT.original_path(job) == ROOT / "oil" / "originals" / "trip" / "IMG 1.JPG"


def test_the_longest_names_stay_within_255_bytes(job: Job) -> None:
    for name in ("x" * 251 + ".gif", "é" * 125 + ".gif", os.fsdecode(b"\xe9" * 251) + ".gif"):
        long = replace(job, photo=ROOT / "oil" / name)
        assert len(os.fsencode(LAYOUT.result_path(long, ".png").name)) <= 255
        assert len(os.fsencode((LAYOUT.failure_note(long) or ROOT).name)) <= 255


def taken_by_another(ledger: Ledger, job: Job, path: Path) -> bool:
    return not ledger.photos.may_write(path, job)


def test_two_photos_never_share_a_result(quick: Preset) -> None:
    ledger = Ledger(":memory:")
    names = []
    for name in ("a.gif", "a.png", "a.bmp"):
        ledger.queue.add(ROOT / "oil" / name, "oil", quick, name, Signature(1, 1, 1, 1))
        taken = ledger.queue.take()
        assert taken is not None
        job, _ = taken
        wanted = LAYOUT.result_path(job, ".png")
        result = free_name(wanted, partial(taken_by_another, ledger, job))
        ledger.queue.finishing(job, result.with_name("part"), result, name)
        ledger.queue.done(job)
        names.append(result.name)
    assert names == ["a.png", "a-2.png", "a-3.png"]


def test_names_are_harmless_on_a_terminal() -> None:
    assert printable("a\x1b[31m\nb") == "a\\x1b[31m\\nb"
    assert printable(os.fsdecode(b"caf\xe9.jpg")) == "caf\\udce9.jpg"
    assert printable("Übergröße 写真.jpg") == "Übergröße 写真.jpg"


@pytest.mark.parametrize(
    "name",
    [".DS_Store", "._x.jpg", "x.jpg.part", "x.crdownload", "Thumbs.db", ".x.jpg.Ab12Cd", "a.jpg:Zone.Identifier"],
)
def test_what_is_hidden_or_unfinished(name: str) -> None:
    assert is_hidden(name)
    assert not is_hidden("x.jpg")


@pytest.mark.parametrize(
    "name",
    [
        "#recycle", "@Recycle", "@eaDir", "$RECYCLE.BIN", ".Trash-1000", "System Volume Information",
        "system volume information", "My.photoslibrary", "Catalog Previews.lrdata",
    ],
)  # fmt: skip
def test_folders_of_others(name: str) -> None:
    assert is_others_folder(name)
    assert not is_others_folder("oil")


@pytest.mark.parametrize("results", ["~painted", "a/b", "..", ".hidden", "presets", "''"])
def test_folders_for_results_that_are_refused(tmp_path: Path, results: str) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text(f"originals: keep\nresults: {results}\n")
    with pytest.raises(SettingsError, match=r"settings.yaml:2: results: "):
        load_settings(path)


def test_a_photo_keeps_its_results_name_whatever_its_case(tmp_path: Path) -> None:
    """Its own Result is replaced, even beside one that differs only by case: from before, or on a server that changes
    names."""
    names = {"a.jpg": {"a.jpg"}, "img_1.jpg": {"IMG_1.jpg", "IMG_1.JPG"}}

    class Photos:
        def may_write(self, path: Path, job: object) -> str | None:
            return {"IMG_1.JPG": "ours", "IMG_1.jpg": None}.get(path.name, "free")

    photos: Any = Photos()
    job: Any = None
    assert not _is_taken(photos, job, names, tmp_path / "IMG_1.JPG")
    assert _is_taken(photos, job, names, tmp_path / "Img_1.jpg")
    assert _is_taken(photos, job, names, tmp_path / "A.jpg")
    assert not _is_taken(photos, job, names, tmp_path / "b.jpg")


def test_our_folders_in_another_case_are_ours_if_they_are_the_same(tmp_path: Path) -> None:
    """On file systems without case, `Styled` is `styled`; on others it is a folder of photos."""
    inbox = tmp_path / "oil"
    for name in ("styled", "Styled"):
        (inbox / name).mkdir(parents=True)
        (inbox / name / "a.jpg").write_bytes(b"x")
    inboxes = Inboxes(tmp_path, Problems(lambda _: None))
    found = [file.name for file in inboxes.files(inbox, Layout(tmp_path)) if file is not None]
    assert found == [str(inbox / "Styled" / "a.jpg")]
    shutil.rmtree(inbox / "styled")
    (inbox / "styled").symlink_to(inbox / "Styled")  # as if they were one
    assert [file for file in inboxes.files(inbox, Layout(tmp_path)) if file is not None] == []


def test_adoption_never_gives_one_file_to_two_photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without case says that both names exist."""
    folder = tmp_path / "oil" / "styled"
    folder.mkdir(parents=True)
    for name in ("IMG_1.jpg", "IMG_1-2.JPG"):
        (folder / name).write_bytes(b"x")
    real = os.path.lexists
    monkeypatch.setattr(os.path, "lexists", lambda path: real(path) or Path(path).name == "IMG_1.JPG")
    with closing(Ledger(":memory:", tmp_path)) as ledger:
        adoption = Adoption(Layout(tmp_path), ledger)
        assert adoption._existing(folder / "IMG_1.JPG") == [folder / "IMG_1-2.JPG"]
