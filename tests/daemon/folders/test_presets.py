"""Which Presets are loaded, as their folders change."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from daemon.folders.layout import Layout
from daemon.folders.presets import Presets


def test_a_preset_that_is_moved_away_and_back_is_in_force_again(tmp_path: Path, small: Image.Image) -> None:
    """Its files come back with the times, sizes and inodes that they had."""
    inbox = tmp_path / "mine"
    inbox.mkdir()
    small.save(inbox / "style.png")
    presets = Presets(Layout(tmp_path))
    assert "mine" in presets.in_force
    assert str(inbox / "style.png") in presets.style_pictures
    inbox.rename(tmp_path / ".away")
    presets.refresh()
    assert "mine" not in presets.in_force
    assert str(inbox / "style.png") not in presets.style_pictures, "another file of that name may be a photo"
    (tmp_path / ".away").rename(inbox)
    presets.refresh()
    assert "mine" in presets.in_force
