"""How large a Result is: as the photo, or as someone asks for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from stylecore import Photo, Result, load_photo, save_result, stylize
from stylecore.device import Device
from stylecore.errors import PresetError, TooLarge
from stylecore.output import PaintingOutput, centimetres
from stylecore.preset import Painting, with_output
from stylecore.preset_file import load_preset, look_like
from stylecore.scales import scales_of
from tests.harness import REPOSITORY

EXACT = Device(torch.device("cpu"), torch.float32, "CPU, float32")
STYLE = REPOSITORY / "presets" / "styles" / "oil.jpg"


@pytest.mark.parametrize(
    ("text", "found"), [("90cm", 90), ("900 mm", 90), ("10in", 25.4), ("29.7", 29.7), (42, 42), (" 5 cm ", 5)]
)
def test_lengths(text: object, found: float) -> None:
    assert centimetres(text) == pytest.approx(found)


@pytest.mark.parametrize("text", ["", "wide", "90 m", "-3cm", "1e3cm", "9" * 400 + "cm", "90cm\nin"])
def test_what_is_no_length(text: str) -> None:
    with pytest.raises(ValueError, match="must be a length, such as 90cm"):
        centimetres(text)


@pytest.mark.parametrize(
    ("keys", "size", "dpi"),
    [
        ({}, (6000, 4000), None),
        ({"long_edge": 9000}, (9000, 6000), None),
        ({"long_edge": 300, "dpi": 72}, (300, 200), 72),
        ({"print": "90cm"}, (10630, 7087), 300),
        ({"print": 90, "dpi": 150}, (5315, 3543), 150),
        ({"print": "36in", "dpi": 100}, (3600, 2400), 100),
        ({"dpi": 240}, (6000, 4000), 240),
    ],
)
def test_size_and_resolution(keys: dict[str, object], size: tuple[int, int], dpi: int | None) -> None:
    output = PaintingOutput.model_validate(keys)
    assert output.size_of((6000, 4000)) == size
    assert output.resolution == dpi
    assert PaintingOutput.model_validate(output.model_dump(mode="json")) == output


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{print: 90cm, long_edge: 900}", "3: output: `print` and `long_edge` both say how large the Result is"),
        ("{print: wide}", "3: output.print: must be a length, such as 90cm, 900mm or 36in"),
        ("{print: 0}", "3: output.print: must be 1 or more (not 0)"),
        ("{print: 1001}", "3: output.print: must be 1000 or less (not 1001)"),
        (
            "{print: 900cm}",
            "3: output: `print`: 900 cm at 300 dpi are 106299 pixels, and a Result can have",
        ),
        ("{long_edge: 31}", "3: output.long_edge: must be 32 or more (not 31)"),
        ("{long_edge: 40000}", "3: output.long_edge: must be 32768 or less (not 40000)"),
        ("{dpi: 9000}", "3: output.dpi: must be 2400 or less (not 9000)"),
        ("{long_egde: 4000}", "3: long_egde: there is no such key; did you mean 'long_edge'?"),
    ],
)
def test_each_mistake_in_a_sentence_with_its_line(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"style: {STYLE}\nrate: 1\noutput: {text}\n")
    with pytest.raises(PresetError) as refused:
        load_preset(path)
    assert f"mine.yaml:{says}" in str(refused.value)


def test_options_take_the_place_of_the_presets_own(oil: Painting, tmp_path: Path) -> None:
    printed = with_output(oil, print=90.0)
    assert printed.output.size_of((3, 2)) == (10630, 7087)
    assert with_output(printed, long_edge=600).output.size_of((3, 2)) == (600, 400)
    assert with_output(printed, dpi=150).output.size_of((3, 2)) == (5315, 3543)
    assert with_output(printed).output == printed.output
    with pytest.raises(PresetError, match="both say how large"):
        with_output(oil, print=90.0, long_edge=600)
    with pytest.raises(PresetError, match="print: must be 1 or more"):
        with_output(oil, print=0.1)
    with pytest.raises(PresetError, match="is a look, which has no long_edge: leave it out"):
        with_output(look_like([STYLE]), long_edge=600)


def test_a_print_is_painted_finer_than_a_photo(oil: Painting) -> None:
    def finest(**output: object) -> tuple[int, int]:
        return scales_of((6000, 4000), with_output(oil, **output), EXACT)[-1].size

    assert finest() == (768, 512)
    assert finest(print=90.0) == (3072, 2048)
    assert finest(long_edge=1200) == (1200, 800)
    assert finest(long_edge=300) == (300, 200)
    full = with_output(oil.model_copy(update={"size": "full"}), print=90.0)
    assert scales_of((600, 400), full, EXACT)[-1].size == (10630, 7087)


RESOLUTION = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:XResolution="720000/10000"'
    ' tiff:YResolution="720000/10000" tiff:ResolutionUnit="3"/></rdf:RDF></x:xmpmeta>'
)


@pytest.mark.parametrize("kind", ["jpeg", "png", "tiff"])
def test_the_result_and_its_file_have_size_and_resolution(
    quick: Painting, photo: Photo, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / f"photo.{kind}"
    exif = Image.Exif()
    exif[0x11A], exif[0x11B], exif[0x128] = 72.0, 72.0, 3
    Image.fromarray(photo.pixels).save(path, exif=exif, dpi=(72, 72), xmp=RESOLUTION.encode())
    preset = with_output(quick, print=10.0, dpi=200)
    *_, result = stylize(load_photo(path), preset, EXACT)
    assert isinstance(result, Result)
    assert result.size == (787, round(787 * photo.size[1] / photo.size[0]))
    out = tmp_path / f"out.{kind}"
    save_result(result, out, preset.output)
    with Image.open(out) as image:
        assert image.size == result.size
        assert image.info["dpi"] == pytest.approx((200, 200), abs=0.01)
        assert kind == "tiff" or (image.getexif()[0x11A], image.getexif()[0x128]) == (200, 2)
    packet = load_photo(out).metadata.xmp
    if kind == "jpeg":
        assert packet is not None
        assert b'XResolution="200/1"' in packet
        assert b'ResolutionUnit="2"' in packet


def test_a_larger_photo_keeps_type_colours_and_alpha(photo: Photo) -> None:
    deep = replace(
        photo, pixels=photo.pixels.astype(np.uint16) * 257, alpha=photo.pixels[..., 0].astype(np.uint16) * 257
    )
    large = deep.at_size(900, 600)
    assert large.alpha is not None
    assert (large.pixels.shape, large.alpha.shape) == ((600, 900, 3), (600, 900))
    assert large.pixels.dtype == large.alpha.dtype == np.uint16
    back = large.at_size(*deep.size).pixels
    assert np.abs(back.astype(float) - deep.pixels).mean() < 0.01 * 65535
    assert deep.at_size(*deep.size) is deep


def test_a_result_that_no_memory_holds_is_refused_with_a_size_that_fits(
    quick: Painting, photo: Photo, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psutil

    free = psutil.virtual_memory()._replace(available=2 << 30)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: free)
    with pytest.raises(
        TooLarge, match=r"A Result of 32768 x \d+ pixels needs about .* a long edge of \d+ pixels"
    ) as refused:
        next(iter(stylize(photo, with_output(quick, long_edge=32768), EXACT)))
    fits = int(str(refused.value).split("long edge of ")[1].split()[0])
    assert fits > 5000
