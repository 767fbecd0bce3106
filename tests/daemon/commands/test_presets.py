"""`stylefolder presets`."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from stylecore.recipe import PaintingRecipe as Recipe
from tests.daemon.harness import run
from tests.harness import REPOSITORY


@pytest.mark.slow
def test_presets_commands(home: dict[str, str], tmp_path: Path) -> None:
    listed = run(home, "presets")
    assert listed.returncode == 0
    assert {path.stem for path in (REPOSITORY / "presets").glob("*.yaml")} <= set(listed.stdout.split())
    shown = run(home, "presets", "show", "classic")
    assert "style_weight: 10000" in shown.stdout
    made = run(
        home, "presets", "new", "mine", "--style", REPOSITORY / "presets" / "styles" / "pastel.jpg", "--no-sample"
    )
    assert made.returncode == 0, made.stderr
    assert "mine" in run(home, "presets", "list").stdout
    path = Path(home["XDG_CONFIG_HOME"]) / "stylefolder" / "presets" / "mine.yaml"
    assert "is fine" in run(home, "presets", "check", path).stdout
    explained = path.read_text()
    everything = "\n".join(
        line.removeprefix("# ")
        if re.match(r"# [a-z_]+: ", line) and line[2:].partition(":")[0] in Recipe.model_fields
        else line
        for line in explained.splitlines()
    )
    path.write_text(everything)
    assert run(home, "presets", "show", "mine").stdout == run(home, "presets", "show", path).stdout, (
        "every key with its default"
    )
    assert "statistic: covariance" in everything
    folder = path.parent
    (folder / "heart-1.jpg").write_text("someone's own")
    heart = run(home, "presets", "new", "heart", "--style", folder / "mine-1.jpg", "--no-sample")
    assert heart.returncode == 0, heart.stderr
    assert (folder / "heart-1.jpg").read_text() == "someone's own"
    assert "heart-1-2.jpg" in (folder / "heart.yaml").read_text()
    smile = run(home, "presets", "new", "\N{GRINNING FACE}", "--style", folder / "mine-1.jpg", "--no-sample")
    assert smile.returncode == 0, smile.stderr
    assert "\N{GRINNING FACE}, after" in run(home, "presets", "list").stdout
    before = set(folder.iterdir())
    assert run(home, "presets", "new", "styled", "--style", folder / "mine-1.jpg", "--no-sample").returncode == 2
    assert set(folder.iterdir()) == before
    hostile = folder / "hostile.yaml"
    hostile.write_text(f"style: {folder / 'mine-1.jpg'}\n" + '"\\e[2J": 1\n')
    refused = run(home, "presets", "check", hostile)
    assert refused.returncode == 2
    assert "\x1b" not in refused.stderr
    hostile.write_text(f"style: {folder / 'mine-1.jpg'}\n" + 'description: "\\e]0;words\\a"\n')
    assert "\x1b" not in run(home, "presets", "list").stdout
    hostile.unlink()
    own = Path(home["HOME"]) / "Pictures" / "Stylefolder" / "garden"
    own.mkdir(parents=True)
    shutil.copyfile(REPOSITORY / "presets" / "styles" / "gouache.jpg", own / "Style.jpg")
    assert "garden" in run(home, "presets", "list").stdout.split()
    assert "Style.jpg" in run(home, "presets", "show", "garden").stdout
    path.write_text("strenght: 4\n" + explained)
    broken = run(home, "presets", "check", path)
    assert broken.returncode == 2
    assert "mine.yaml:1: strenght: there is no such key; did you mean 'strength'?" in broken.stderr
