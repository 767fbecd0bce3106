"""Presets: valid ones load, and each mistake is reported with file, line and key."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from stylecore.errors import PresetError
from stylecore.preset import json_schema
from stylecore.preset_file import find_presets, load_preset

PRESETS = Path(__file__).parent.parent.parent / "presets"
STYLE = PRESETS / "styles" / "oil.jpg"


@pytest.mark.parametrize("path", sorted(PRESETS.glob("*.yaml")), ids=lambda p: p.stem)
def test_shipped_presets_are_right(path: Path) -> None:
    from PIL import Image

    preset = load_preset(path)
    assert preset.description
    for style in preset.style:
        with Image.open(style.picture) as picture:
            assert max(picture.size) >= 1024


def test_there_are_classic_and_seven_others() -> None:
    assert "classic" in find_presets([PRESETS])
    assert len(find_presets([PRESETS])) >= 8


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("style_weight: much", 2, "style_weight: must be a number (not 'much')"),
        ("style_weight: -1", 2, "style_weight: must be 0 or more (not -1)"),
        ("style_weight: .nan", 2, "style_weight"),
        ("style_wieght: 3", 2, "style_wieght: there is no such key; did you mean 'style_weight'?"),
        ("rate: 1\nrate: 2", 3, "rate: appears twice"),
        ("\ncontent_layers: {conv9_9: 1}", 3, "there is no layer 'conv9_9'"),
        ("content_layers:\n  relu4_2: 1\n  relu4_2: 2", 4, "appears twice"),
        ("steps: [10, 0]", 2, "steps.1: must be 1 or more (not 0)"),
        ("steps: many", 2, "steps.0: must be a whole number (not 'many')"),
        ("steps: []", 2, "steps: needs at least 1"),
        ("size: 31", 2, "size: must be a number from 32 to 16384, auto or full (not 31)"),
        ("colour: red", 2, "colour: must be one of 'style', 'photo' or 'palette' (not 'red')"),
        ("weighting: article\nstatistic: covariance", 1, "statistic: `weighting: article` needs `statistic: gram`"),
        ("output: 3", 2, "output: must be `key: value` in braces (not 3)"),
        ("output: {qualty: 3}", 2, "qualty: there is no such key; did you mean 'quality'?"),
        ("colour: *style", 2, "aliases"),
        ("name: other", 2, "name: there is no such key"),
        ("optimiser: !!python/object/apply:os.system [true]", 2, "could not determine a constructor"),
        ("strength: [", 3, "expected the node content"),
        ("steps: 0x" + "f" * 5000, 2, "steps.0: must be"),
        ("size: 0x" + "f" * 5000, 2, "size: must be a number from 32 to 16384, auto or full (not so long a number)"),
        ("seed: '" + "9" * 500 + "'", 2, "9..."),
    ],
)
def test_mistakes_are_told_with_their_line(tmp_path: Path, text: str, line: int, says: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"style: {STYLE}\n{text}\n")
    with pytest.raises(PresetError) as e:
        load_preset(path)
    assert f"{path}:{line}: " in str(e.value)
    assert says in str(e.value)


@pytest.mark.parametrize("value", ["!!bool maybe", '!!int ""', '!!float ""', "!!timestamp foo", "!!binary é"])
def test_a_value_that_contradicts_its_tag(tmp_path: Path, value: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"style: {STYLE}\nrecolour: {value}\n")
    with pytest.raises(PresetError, match=r"mine\.yaml:"):
        load_preset(path)


def test_a_fifo_among_the_presets_is_none(tmp_path: Path) -> None:
    """Opening it would wait for ever."""
    os.mkfifo(tmp_path / "pipe.yaml")
    assert find_presets([tmp_path]) == {}


def test_every_mistake_is_told(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"style: {STYLE}\nsteps: [0, a]\nsize: big\nrate: soon\nstrength: 101\n")
    with pytest.raises(PresetError) as e:
        load_preset(path)
    told = [line.removeprefix(f"{path}:").partition(" (")[0] for line in str(e.value).splitlines()]
    assert told == [
        "2: steps.0: must be 1 or more",
        "2: steps.1: must be a whole number",
        "3: size: must be a number from 32 to 16384, auto or full",
        "4: rate: must be a number",
        "5: strength: must be 100 or less",
    ]


@pytest.mark.parametrize(
    "text", ["", "just words", "- a\n- b", "1: 2", "style: \udce9", "a: " + "[" * 3000, "x: 1\n" * 30_000]
)
def test_what_is_no_preset_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text, errors="surrogateescape")
    with pytest.raises(PresetError, match=r"mine\.yaml"):
        load_preset(path)


def test_a_missing_style_picture_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("rate: 1\nstyle: [gone.jpg]\n")
    with pytest.raises(PresetError, match=r"mine\.yaml:2: style: the picture .*gone\.jpg cannot be read"):
        load_preset(path)


def test_the_digest_covers_recipe_and_pictures(tmp_path: Path) -> None:
    style = tmp_path / "s.jpg"
    style.write_bytes(STYLE.read_bytes())
    path = tmp_path / "mine.yaml"
    path.write_text("style: s.jpg\n")
    first = load_preset(path).digest
    assert load_preset(path).digest == first
    path.write_text("style: s.jpg\nrate: 0.5\n")
    assert load_preset(path).digest != first
    path.write_text("style: s.jpg\n")
    style.write_bytes(STYLE.read_bytes() + b"\0")
    assert load_preset(path).digest != first


def test_an_earlier_folder_wins(tmp_path: Path) -> None:
    mine = tmp_path / "oil.yaml"
    mine.write_text(f"style: {STYLE}\n")
    found = find_presets([tmp_path, PRESETS])
    assert found["oil"] == mine
    assert found["gouache"] == PRESETS / "gouache.yaml"


def test_steps_are_spread_over_the_scales(oil: object) -> None:
    assert sum(oil.with_steps(50).steps) == 50  # type: ignore[attr-defined]
    assert oil.with_steps(1).steps == (1,)  # type: ignore[attr-defined]
    assert oil.with_steps(2).steps == (1, 1)  # type: ignore[attr-defined]
    assert oil.with_steps(sum(oil.steps)).steps == oil.steps  # type: ignore[attr-defined]
    uneven = oil.model_copy(update={"steps": (1000, 1, 1, 1)})  # type: ignore[attr-defined]
    assert [sum(uneven.with_steps(total).steps) for total in range(1, 20)] == list(range(1, 20))


def test_the_json_schema_in_the_repository_is_this_one() -> None:
    """After a change of the model: python -m stylecore.preset > presets/preset.schema.json"""
    assert json.loads((PRESETS / "preset.schema.json").read_text()) == json_schema()
