"""Presets: valid ones load, and each mistake is reported with file, line and key."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from PIL import Image

from stylecore.errors import PresetError
from stylecore.preset import Painting, as_yaml, json_schema, preset_of_json
from stylecore.preset_file import find_presets, load_preset

PRESETS = Path(__file__).parent.parent.parent / "presets"
STYLE = PRESETS / "styles" / "oil.jpg"


@pytest.mark.parametrize("path", sorted(PRESETS.glob("*.yaml")), ids=lambda p: p.stem)
def test_shipped_presets_are_right(path: Path) -> None:
    preset = load_preset(path)
    assert preset.description
    for style in preset.style:
        with Image.open(style.picture) as picture:
            assert max(picture.size) >= (1024 if preset.transfer == "painting" else 512)


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
        ("finish:\n  - {steps: 3}\n  - {through: relu9_1}", 4, "there is no layer 'relu9_1', did you mean"),
        ("finish:\n  - {steps: 0}", 3, "finish.0.steps: must be 1 or more (not 0)"),
        ("finish: {contnet: 1}", 2, "contnet: there is no such key; did you mean 'content'?"),
        (
            "rate: 1\nfinish: {through: conv1_1}",
            3,
            "finish: `finish` through conv1_1 uses none of the preset's style layers",
        ),
        ("lightness: dark", 2, "lightness: must be one of 'photo' or 'style' (not 'dark')"),
        ("size: 31", 2, "size: must be a number from 32 to 16384, auto or full (not 31)"),
        ("colour: red", 2, "colour: must be one of 'style', 'photo' or 'palette' (not 'red')"),
        ("weighting: article\nstatistic: covariance", 2, "weighting: `weighting: article` needs `statistic: gram`"),
        ("output: 3", 2, "output: must be `key: value` in braces (not 3)"),
        ("output: {qualty: 3}", 2, "qualty: there is no such key; did you mean 'quality'?"),
        ("colour: *style", 2, "aliases"),
        ("name: other", 2, "name: there is no such key"),
        ("optimiser: !!python/object/apply:os.system [true]", 2, "could not determine a constructor"),
        ("seed: no", 2, "seed: must not be yes, no, on or off"),
        ("steps: [3, on]", 2, "steps: must not be yes, no, on or off"),
        ("content_layers: {relu4_2: yes}", 2, "content_layers.relu4_2: must not be yes, no, on or off"),
        ("output: {print: yes}", 2, "print: must not be yes, no, on or off"),
        ("weights: ''", 2, "weights: must"),
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


@pytest.mark.parametrize(
    ("text", "finishes"),
    [
        ("rate: 1", 4),
        ("steps: [9, 9]", 4),
        ("steps: 150", 0),
        ("steps: [150]", 0),
        ("steps: 150\nfinish: {steps: 2}", 1),
        ("style_layers: {relu4_1: 1, relu5_1: 1}", 0),
        ("style_layers: {relu1_1: 1, relu5_1: 1}", 4),
        ("finish: []", 0),
    ],
)
def test_a_finish_is_the_default_where_it_makes_sense(tmp_path: Path, text: str, finishes: int) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"style: {STYLE}\n{text}\n")
    preset = load_preset(path)
    assert isinstance(preset, Painting)
    assert len(preset.finish) == finishes
    assert preset_of_json(preset.model_dump_json()) == preset


def test_a_preset_from_before_finish_and_lightness_means_what_it_meant(oil: Painting) -> None:
    old = json.loads(oil.model_dump_json(exclude={"finish", "lightness"}))
    recipe = preset_of_json(json.dumps(old))
    assert recipe == oil.model_copy(update={"finish": (), "lightness": "style"})


def test_steps_are_spread_over_the_scales(oil: object) -> None:
    assert sum(oil.with_steps(50).steps) == 50  # type: ignore[attr-defined]
    assert oil.with_steps(1).steps == (1,)  # type: ignore[attr-defined]
    assert oil.with_steps(2).steps == (1, 1)  # type: ignore[attr-defined]
    assert oil.with_steps(sum(oil.steps)).steps == oil.steps  # type: ignore[attr-defined]
    few, many = oil.with_steps(6), oil.with_steps(2 * sum(oil.steps))  # type: ignore[attr-defined]
    assert [f.steps for f in few.finish] == [1, 1, 1, 1]
    assert [f.steps for f in many.finish] == [2 * f.steps for f in oil.finish]  # type: ignore[attr-defined]
    uneven = oil.model_copy(update={"steps": (1000, 1, 1, 1)})  # type: ignore[attr-defined]
    assert [sum(uneven.with_steps(total).steps) for total in range(1, 20)] == list(range(1, 20))


def test_the_json_schema_in_the_repository_is_this_one() -> None:
    """After a change of the model: python -m stylecore.preset > presets/preset.schema.json"""
    assert json.loads((PRESETS / "preset.schema.json").read_text()) == json_schema()


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("transfer: look\nsize: 300", 3, "size: only paintings have this key: remove it."),
        ("skin: 50", 2, "skin: only looks have this key: remove it, or add `transfer: look`."),
        ("output: {lut: cube}", 2, "lut: only looks have this key"),
        ("transfer: filter", 2, "transfer: must be painting or look (not 'filter')"),
        ("transfer: look\nskim: 50", 3, "skim: there is no such key; did you mean 'skin'?"),
        ("transfer: look\noutput: {lut: 3d}", 3, "output.lut: must be one of 'none', 'cube' or 'hald'"),
        ("transfer: look\nskin: 101", 3, "skin: must be 100 or less (not 101)."),
        ("transfer: look\nphotos: [a.jpg]", 3, "photos: `photos` needs `fit: series`"),
        ("transfer: look\nfit: series\nphotos: [none.jpg]", 4, "photos: the picture none.jpg cannot be read (No such"),
        ("transfer: look\nlut: x.cube", 3, "lut: `lut` is a finished table, so `style` has no effect"),
    ],
)
def test_mistakes_in_a_look(tmp_path: Path, text: str, line: int, says: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"style: {STYLE}\n{text}\n")
    with pytest.raises(PresetError) as e:
        load_preset(path)
    assert str(e.value).startswith(f"{path}:{line}: {says}"), e.value


def test_a_look_needs_a_picture_or_a_table(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("transfer: look\n")
    with pytest.raises(PresetError, match="1: transfer: `transfer: look` needs `style` or `lut`"):
        load_preset(path)
    path.write_text("transfer: look\nlut: none.cube\n")
    with pytest.raises(PresetError, match=r"2: lut: the table none\.cube cannot be read"):
        load_preset(path)


def test_the_digest_of_a_look_covers_its_files(tmp_path: Path) -> None:
    path, photo = tmp_path / "mine.yaml", tmp_path / "a.jpg"
    photo.write_bytes(STYLE.read_bytes())
    digests = set()
    for text in ("", "fit: series\n", f"fit: series\nphotos: {photo}\n", "skin: 5\n"):
        path.write_text(f"transfer: look\nstyle: {STYLE}\n{text}")
        digests.add(load_preset(path).digest)
    path.write_text(f"transfer: look\nstyle: {STYLE}\nfit: series\nphotos: {photo}\n")
    photo.write_bytes(STYLE.read_bytes() + b"\0")
    digests.add(load_preset(path).digest)
    assert len(digests) == 5


def test_a_look_as_yaml_and_json_is_the_same_look(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    for text in (f"style: {STYLE}\nfit: series\n", "lut: x.cube\nstrength: 40\n"):
        (tmp_path / "x.cube").write_text("LUT_3D_SIZE 2\n")
        path.write_text(f"transfer: look\n{text}")
        preset = load_preset(path)
        path.write_text(as_yaml(preset))
        assert load_preset(path) == preset
        assert preset_of_json(preset.model_dump_json()) == preset


def test_a_style_picture_needs_64_pixels(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    Image.new("RGB", (640, 63)).save(tmp_path / "thin.png")
    Image.new("RGB", (64, 64)).save(tmp_path / "enough.png")
    path.write_text("style: [enough.png, thin.png]\n")
    with pytest.raises(PresetError) as e:
        load_preset(path)
    assert str(e.value) == (
        f"{path}:1: style: the picture thin.png has 640 x 63 pixels: choose one with 64 or more on each side."
    )
    path.write_text("style: enough.png\n")
    load_preset(path)
    path.write_text("transfer: look\nstyle: thin.png\n")
    load_preset(path)
