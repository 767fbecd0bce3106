"""TIFF as scanners and editors write it: extra channels, several pages, unusual samples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from stylecore.errors import PhotoError
from stylecore.images.decode import load_photo
from stylecore.images.encode import save_result
from stylecore.images.tiff import LEFT_OUT, OTHER_PAGES
from stylecore.output import Output
from tests.harness import difference
from tests.stylecore.images.photos import result_of


@pytest.mark.parametrize(
    ("extras", "alpha", "left_out"),
    [
        (["unspecified"], None, True),  # infrared, a saved selection
        (["unassalpha"], 0, False),
        (["unspecified", "unassalpha"], 1, True),
        (["unassalpha", "unspecified"], 0, True),
        (["unspecified", "unspecified"], None, True),
    ],
)
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_only_alpha_is_alpha(
    tmp_path: Path, small: Image.Image, extras: list[str], alpha: int | None, left_out: bool, planar: str
) -> None:
    more = np.random.default_rng(0).integers(0, 256, (64, 96, len(extras)), dtype=np.uint8)
    samples = np.dstack([np.asarray(small), more])
    data = samples if planar == "contig" else np.moveaxis(samples, -1, 0)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, data, photometric="rgb", extrasamples=extras, planarconfig=planar, metadata=None)
    photo = load_photo(path)
    assert np.array_equal(photo.pixels, np.asarray(small))
    assert photo.notes == ((LEFT_OUT,) if left_out else ())
    if alpha is None:
        assert photo.alpha is None
    else:
        assert photo.alpha is not None
        assert np.array_equal(photo.alpha, more[..., alpha])
    save_result(result_of(photo), tmp_path / "out.tif", Output())
    with tifffile.TiffFile(tmp_path / "out.tif") as out:
        page: Any = out.pages.first
        assert page.samplesperpixel == (3 if alpha is None else 4)


def test_a_fourth_channel_that_nobody_explains(tmp_path: Path, small: Image.Image) -> None:
    """Without ExtraSamples, or in a grey picture."""
    grey = np.asarray(small.convert("L"))
    tifffile.imwrite(tmp_path / "a.tif", np.dstack([grey, grey]), photometric="minisblack", planarconfig="contig")
    photo = load_photo(tmp_path / "a.tif")
    assert photo.alpha is None
    assert photo.notes == (LEFT_OUT,)


def write_pages(path: Path, *pages: tuple[np.ndarray, dict[str, Any]]) -> None:
    with tifffile.TiffWriter(path) as writer:
        for samples, options in pages:
            writer.write(samples, metadata=None, **{"photometric": "rgb", **options})


def test_the_picture_among_previews_masks_and_infrared(tmp_path: Path, small: Image.Image) -> None:
    rgb, reduced = np.asarray(small), np.asarray(small.resize((24, 16)))
    grey = np.asarray(small.convert("L"))
    asides: list[tuple[np.ndarray, dict[str, Any]]] = [
        (reduced, {"subfiletype": 1}), (grey, {"photometric": "minisblack"}), (reduced, {}),
        (grey > 99, {"photometric": 4, "subfiletype": 4}),
    ]  # fmt: skip
    for position in range(3):
        pages = [*asides[:position], (rgb, {}), *asides[position:]]
        write_pages(tmp_path / "a.tif", *pages)
        photo = load_photo(tmp_path / "a.tif")
        assert np.array_equal(photo.pixels, rgb), position
        assert photo.notes == (OTHER_PAGES,)
    write_pages(tmp_path / "a.tif", (rgb, {}), (reduced, {"subfiletype": 1}))
    assert load_photo(tmp_path / "a.tif").notes == (OTHER_PAGES,)
    write_pages(tmp_path / "a.tif", (rgb, {}), (rgb[::-1], {}))
    with pytest.raises(PhotoError, match="several pages"):
        load_photo(tmp_path / "a.tif")
    write_pages(tmp_path / "a.tif", (reduced, {"subfiletype": 1}), (rgb, {"compression": "jpeg"}))
    assert load_photo(tmp_path / "a.tif").size == (96, 64), "the second page"


def test_one_bit_with_a_grey_profile(tmp_path: Path, small: Image.Image) -> None:
    small.convert("1").save(tmp_path / "a.tif", icc_profile=bytes(imagecodecs.cms_profile("gray", gamma=2.2)))
    photo = load_photo(tmp_path / "a.tif")
    assert set(np.unique(photo.pixels)) == {0, 255}
    assert np.array_equal(photo.pixels[..., 0] > 0, np.asarray(small.convert("1")))


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_white_is_zero(tmp_path: Path, small: Image.Image, kind: Any) -> None:
    grey = np.asarray(small.convert("L")).astype(kind) * (np.iinfo(kind).max // 255)
    tifffile.imwrite(tmp_path / "a.tif", np.iinfo(kind).max - grey, photometric="miniswhite", metadata=None)
    assert np.array_equal(load_photo(tmp_path / "a.tif").pixels[..., 0], grey)


def test_cmyk_of_16_bits(tmp_path: Path) -> None:
    """Without a profile: a guess, as the note says."""
    ink = np.zeros((8, 8, 4), np.uint16)
    ink[..., 0] = 65535
    tifffile.imwrite(tmp_path / "a.tif", ink, photometric="separated", metadata=None)
    photo = load_photo(tmp_path / "a.tif")
    assert photo.pixels[0, 0].tolist() == [0, 65535, 65535]
    assert "CMYK" in photo.notes[0]


@pytest.mark.parametrize("compression", [None, "jpeg", "zlib"])
def test_turned_once_by_its_xmp(tmp_path: Path, small: Image.Image, compression: str | None) -> None:
    packet = b'<x xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/>'
    tifffile.imwrite(
        tmp_path / "a.tif", np.asarray(small), photometric="rgb", compression=compression, metadata=None,
        extratags=[(700, 1, len(packet), packet, True)],
    )  # fmt: skip
    photo = load_photo(tmp_path / "a.tif")
    assert difference(photo.pixels, np.rot90(np.asarray(small), -1)) < 6


@pytest.mark.parametrize("mode", ["P", "1", "L", "CMYK"])
@pytest.mark.parametrize("turn", [1, 3, 6])
def test_all_modes_upright(tmp_path: Path, small: Image.Image, mode: str, turn: int) -> None:
    image = small.convert(mode)
    image.save(tmp_path / "a.tif", tiffinfo={274: turn}, icc_profile=None)
    expected = np.rot90(np.asarray(image.convert("RGB")), {1: 0, 3: 2, 6: -1}[turn])
    assert difference(load_photo(tmp_path / "a.tif").pixels, expected) < 3


def test_a_preview_with_the_picture_within(tmp_path: Path, small: Image.Image) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(np.asarray(small.resize((24, 16))), photometric="rgb", subfiletype=1, subifds=1, metadata=None)
        writer.write(np.asarray(small), photometric="rgb", metadata=None)
    assert np.array_equal(load_photo(tmp_path / "a.tif").pixels, np.asarray(small))
    write_pages(tmp_path / "b.tif", (np.asarray(small), {"subfiletype": 1}), (np.asarray(small), {"subfiletype": 1}))
    with pytest.raises(PhotoError, match="only previews"):
        load_photo(tmp_path / "b.tif")


def test_metadata_of_the_page_that_is_the_picture(tmp_path: Path, small: Image.Image) -> None:
    artist: Any = {"extratags": [(315, 2, 0, "Jane", True)]}
    write_pages(
        tmp_path / "a.tif", (np.asarray(small.resize((24, 16))), {"subfiletype": 1}), (np.asarray(small), artist)
    )
    save_result(result_of(load_photo(tmp_path / "a.tif")), tmp_path / "out.jpg", Output())
    with Image.open(tmp_path / "out.jpg") as out:
        assert out.getexif()[315] == "Jane"


def test_kinds_that_are_not_supported_are_not_called_damaged(tmp_path: Path) -> None:
    six_inks = np.zeros((8, 8, 6), np.uint8)
    tifffile.imwrite(
        tmp_path / "a.tif", six_inks, photometric="separated", metadata=None, extratags=[(332, 3, 1, 2, True)]
    )
    with pytest.raises(PhotoError, match="which is not supported"):
        load_photo(tmp_path / "a.tif")
