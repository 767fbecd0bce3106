"""Layers of every kind through GIMP, our plug-in and the daemon, and back."""

from __future__ import annotations

from typing import Any

import pytest

from tests.plugin_gimp.harness import Gimp


@pytest.mark.parametrize("kind", ["RGB", "GRAY"])
@pytest.mark.parametrize("precision", ["U8_NON_LINEAR", "U16_NON_LINEAR", "FLOAT_LINEAR"])
def test_every_type_comes_back_as_it_was(gimp: Gimp, kind: str, precision: str) -> None:
    """With a preset of strength 0, the same to within 1/255."""
    found = gimp.run(f"""
        for alpha in (False, True):
            image = new_image(kind={kind!r}, precision={precision!r})
            layer = add_layer(image, 50, 30, alpha, at=(7, -4))
            before = samples(layer).tobytes()
            status = style(image, [layer], "nothing", strength=80.0)
            new, old = image.get_layers()
            OUTCOME[str(alpha)] = {{
                "status": status, "new": describe(new), "difference": difference(new, old),
                "untouched": samples(old).tobytes() == before, "layers": len(image.get_layers()),
            }}
    """)
    for alpha in (False, True):
        outcome = found[str(alpha)]
        assert outcome["status"] == ["success", ""]
        assert outcome["new"] == {
            "name": "photo (nothing)",
            "at": [7, -4],
            "size": [50, 30],
            "alpha": alpha,
            "opacity": 80.0,
            "mask": False,
            "visible": True,
        }
        assert outcome["difference"] <= 1
        assert outcome["untouched"]
        assert outcome["layers"] == 2


def test_another_profile(gimp: Gimp, adobe_rgb_file: str) -> None:
    found = gimp.run(f"""
        image = new_image(precision="U16_NON_LINEAR", profile={adobe_rgb_file!r})
        layer = add_layer(image)
        # Within sRGB.
        layer.get_buffer().set(Gegl.Rectangle.new(0, 0, 60, 40), "R'G'B' u8", bytes([90, 140, 60]) * 2400)
        OUTCOME["status"] = style(image, [layer], "nothing")
        OUTCOME["difference"] = difference(*image.get_layers())
    """)
    assert found == {"status": ["success", ""], "difference": pytest.approx(0, abs=1)}


def test_a_look(gimp: Gimp) -> None:
    """It has no size and no strokes: what was last chosen for a painting is left out."""
    found = gimp.run("""
        image = new_image(precision="U16_NON_LINEAR")
        layer = add_layer(image, alpha=True)
        OUTCOME["status"] = style(image, [layer], "overcast", size=48, **{"keep-colours": True})
        new, old = image.get_layers()
        OUTCOME["new"], OUTCOME["difference"] = describe(new), difference(new, old)
        pairs = zip(samples(new)[3::4], samples(old)[3::4])
        OUTCOME["alpha"] = max(abs(a - b) for a, b in pairs)
    """)
    assert found["status"] == ["success", ""]
    assert found["new"]["name"] == "photo (overcast)"
    assert found["difference"] > 10, "its colours changed"
    assert found["alpha"] <= 257


def test_a_painting(gimp: Gimp) -> None:
    found = gimp.run("""
        image = new_image()
        layer = add_layer(image)
        OUTCOME["status"] = style(image, [layer], "one", size=48, **{"keep-colours": True})
        new, old = image.get_layers()
        OUTCOME["new"], OUTCOME["difference"] = describe(new), difference(new, old)
    """)
    assert found["status"] == ["success", ""]
    assert found["new"]["name"] == "photo (one)"
    assert found["new"]["opacity"] == 100
    assert found["difference"] > 10, "it was painted"


def test_a_selection_limits_with_soft_edges(gimp: Gimp) -> None:
    found = gimp.run("""
        image = new_image(60, 40)
        layer = add_layer(image, 40, 40, at=(10, 0))
        image.select_rectangle(Gimp.ChannelOps.REPLACE, 20, 10, 20, 20)
        Gimp.Selection.feather(image, 6)
        OUTCOME["status"] = style(image, [layer], "one")
        new = image.get_layers()[0]
        mask = new.get_mask()
        y = mask.get_buffer().get(Gegl.Rectangle.new(0, 20, 40, 1), 1.0, "Y u8", Gegl.AbyssPolicy.NONE)
        OUTCOME["row"], OUTCOME["selected"] = list(y), not Gimp.Selection.is_empty(image)
        OUTCOME["channels"] = len(image.get_channels())
    """)
    assert found["status"] == ["success", ""]
    row = found["row"]
    assert row[0] == 0
    assert row[20] > 250
    assert any(20 < value < 230 for value in row), "a soft edge"
    assert found["selected"], "the selection stays"
    assert found["channels"] == 0


def test_a_mask_and_a_selection(gimp: Gimp) -> None:
    """The painting shows where both allow it."""
    found = gimp.run("""
        for selected in (False, True):
            image = new_image()
            layer = add_layer(image)
            mask = layer.create_mask(Gimp.AddMaskType.WHITE)
            layer.add_mask(mask)
            mask.get_buffer().set(Gegl.Rectangle.new(0, 0, 30, 40), "Y u8", bytes(1200))
            if selected:
                image.select_rectangle(Gimp.ChannelOps.REPLACE, 0, 0, 60, 20)
            status = style(image, [layer], "one")
            new = image.get_layers()[0].get_mask().get_buffer()
            at = [Gegl.Rectangle.new(x, y, 1, 1) for x, y in ((5, 5), (50, 5), (5, 35), (50, 35))]
            corners = [new.get(place, 1.0, "Y u8", Gegl.AbyssPolicy.NONE)[0] for place in at]
            OUTCOME[str(selected)] = [status, corners, Gimp.Selection.is_empty(image), len(image.get_channels())]
    """)
    assert found["False"] == [["success", ""], [0, 255, 0, 255], True, 0]
    assert found["True"] == [["success", ""], [0, 255, 0, 0], False, 0]


@pytest.mark.slow
def test_a_group_and_a_layer_in_it(gimp: Gimp) -> None:
    found = gimp.run("""
        image = new_image()
        group = Gimp.GroupLayer.new(image, "group")
        image.insert_layer(group, None, 0)
        below = add_layer(image, 30, 20, parent=group, name="below", seed=2, at=(3, 4))
        above = add_layer(image, 30, 20, True, parent=group, name="above", seed=3, at=(20, 10))
        OUTCOME["status"] = [style(image, [group], "nothing"), style(image, [below], "nothing")]
        new = image.get_layers()[0]
        OUTCOME["new"], OUTCOME["group"] = describe(new), describe(group)
        OUTCOME["children"] = [child.get_name() for child in group.get_children()]
        image.remove_layer(group.get_children()[1])
        OUTCOME["difference"] = difference(new, group)
    """)
    assert found["status"] == [["success", ""], ["success", ""]]
    assert found["new"]["name"] == "group (nothing)"
    assert found["new"]["at"] == found["group"]["at"]
    assert found["new"]["size"] == found["group"]["size"]
    assert found["children"] == ["above", "below (nothing)", "below"]
    assert found["difference"] <= 1


def test_filters_that_are_not_applied_yet(gimp: Gimp) -> None:
    """What is seen is what is painted; the filter stays as it is."""
    found = gimp.run("""
        image = new_image()
        layer = add_layer(image)
        layer.append_filter(Gimp.DrawableFilter.new(layer, "gegl:invert-gamma", "invert"))
        OUTCOME["status"] = style(image, [layer], "nothing")
        new, old = image.get_layers()
        OUTCOME["filters"], OUTCOME["images"] = len(old.get_filters()), len(Gimp.get_images())
        seen = Gimp.Layer.new_from_visible(image, image, "seen")
        new.set_visible(False)
        image.insert_layer(seen, None, 0)
        again = Gimp.Layer.new_from_visible(image, image, "again")
        image.insert_layer(again, None, 0)
        OUTCOME["difference"] = difference(new, seen)
        OUTCOME["inverted"] = difference(new, old)
    """)
    assert found["status"] == ["success", ""]
    assert found["difference"] <= 1
    assert found["inverted"] > 100
    assert found["filters"] == 1
    assert found["images"] == 1, "no other image is left behind"


def test_several_layers_and_one_undo(gimp: Gimp) -> None:
    found = gimp.run("""
        image = new_image()
        layers = [add_layer(image, name=name, seed=seed) for seed, name in enumerate("ab")]
        image.undo_enable()
        OUTCOME["status"] = style(image, layers, "nothing")
        OUTCOME["names"] = [layer.get_name() for layer in image.get_layers()]
    """)
    assert found["status"] == ["success", ""]
    assert found["names"] == ["b (nothing)", "b", "a (nothing)", "a"]


REFUSED: list[tuple[str, str, str]] = [
    (
        "layer = add_layer(image); image.convert_indexed(0, 0, 8, False, False, ''); chosen = [image.get_layers()[0]]",
        "one",
        "choose Image > Mode > RGB",
    ),
    (
        "add_layer(image); channel = Gimp.Channel.new(image, 'c', 60, 40, 50, Gegl.Color.new('red')); "
        "image.insert_channel(channel, None, 0); chosen = [channel]",
        "one",
        "A channel has no colours",
    ),
    ("chosen = [add_layer(image)]", "gone", "There is no preset “gone”: choose one of blue-hour, charcoal"),
]


@pytest.mark.parametrize(("scene", "preset", "says"), REFUSED)
def test_what_is_refused_changes_nothing(gimp: Gimp, scene: str, preset: str, says: str) -> None:
    found: dict[str, Any] = gimp.run(f"""
        image = new_image()
        {scene}
        OUTCOME["status"] = style(image, chosen, {preset!r})
        OUTCOME["layers"] = len(image.get_layers())
    """)
    status, sentence = found["status"]
    assert status == "execution-error"
    assert says in sentence
    assert found["layers"] == 1


def test_a_size_that_is_too_small(gimp: Gimp) -> None:
    found = gimp.run("""
        image = new_image()
        OUTCOME["status"] = style(image, [add_layer(image)], "one", size=5)
    """)
    assert found["status"][0] == "execution-error"
    assert "size: must be 32 or more (not '5')." in found["status"][1]
