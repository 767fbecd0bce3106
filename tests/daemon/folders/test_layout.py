"""Names of Results, reasons and Inboxes."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from daemon import paths
from daemon.folders.inboxes import ignored
from daemon.ledger.job import Job, Signature
from daemon.ledger.ledger import Ledger
from daemon.settings import SettingsError, load_settings
from daemon.watch import result_names
from stylecore.preset import Preset

ROOT = Path("/root")


@pytest.fixture
def job(quick: Preset) -> Job:
    return Job(
        1, "folder", ROOT / "oil" / "trip" / "IMG 1.JPG", "oil", quick, "digest", Signature(1, 1, 1, 1), None, "running", 1,
        None, None, None, 0.0, None, None,
    )  # fmt: skip


def test_results_mirror_the_photos(job: Job) -> None:
    assert paths.result_path(ROOT, job, ".jpg", "styled") == ROOT / "oil" / "styled" / "trip" / "IMG 1.JPG"
    assert paths.result_path(ROOT, job, ".png", "styled") == ROOT / "oil" / "styled" / "trip" / "IMG 1.png"
    assert paths.reason_path(ROOT, job) == ROOT / "oil" / "failed" / "trip" / "IMG 1.JPG.txt"


def test_the_longest_names_stay_within_255_bytes(job: Job) -> None:
    for name in ("x" * 251 + ".gif", "é" * 125 + ".gif", os.fsdecode(b"\xe9" * 251) + ".gif"):
        long = replace(job, photo=ROOT / "oil" / name)
        assert len(os.fsencode(paths.result_path(ROOT, long, ".png", "styled").name)) <= 255
        assert len(os.fsencode((paths.reason_path(ROOT, long) or ROOT).name)) <= 255


def test_two_photos_never_share_a_result(quick: Preset) -> None:
    ledger = Ledger(":memory:")
    names = []
    for name in ("a.gif", "a.png", "a.bmp"):
        ledger.add(ROOT / "oil" / name, "oil", quick, name, Signature(1, 1, 1, 1))
        job = ledger.take()
        assert job is not None
        result = result_names(ROOT, ledger, job, "styled")[".png"]
        ledger.done(job, result)
        names.append(result.name)
    assert names == ["a.png", "a-2.png", "a-3.png"]


def test_names_are_harmless_on_a_terminal() -> None:
    assert paths.printable("a\x1b[31m\nb") == "a\\x1b[31m\\nb"
    assert paths.printable(os.fsdecode(b"caf\xe9.jpg")) == "caf\\udce9.jpg"
    assert paths.printable("Übergröße 写真.jpg") == "Übergröße 写真.jpg"


@pytest.mark.parametrize(
    "name", [".DS_Store", "._x.jpg", "x.jpg.part", "x.crdownload", "Thumbs.db", "@eaDir", ".x.jpg.Ab12Cd", "x.xmp"]
)
def test_what_is_no_photo_isignored(name: str) -> None:
    assert ignored(name)
    assert not ignored("x.jpg")


@pytest.mark.parametrize("results", ["~painted", "a/b", "..", ".hidden", "presets", "''"])
def test_folders_for_results_that_are_refused(tmp_path: Path, results: str) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text(f"originals: keep\nresults: {results}\n")
    with pytest.raises(SettingsError, match=r"settings.yaml:2: results: "):
        load_settings(path)
