"""Tables: applied at 8 and 16 bits, in any space; as files that other programs read; and files that are not tables."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from stylecore.colour import Floats
from stylecore.errors import LutError
from stylecore.images import icc
from stylecore.lut import Lut, apply, from_bytes, identity, restyle, to_bytes
from stylecore.lut_files import cube, hald, is_unchanged, read_lut

P3 = (0.680, 0.320, 0.265, 0.690, 0.150, 0.060)


@pytest.fixture(scope="module")
def warm() -> Lut:
    """Smooth, not linear, and different for each channel."""
    r, g, b = np.moveaxis(identity(), -1, 0)
    return Lut(np.stack([r**0.8, 0.9 * g + 0.1 * r * b, 0.05 + 0.85 * b**1.3], -1).astype(np.float32))


@pytest.fixture(scope="module")
def colours() -> Floats:
    return np.random.default_rng(0).random((40, 60, 3)).astype(np.float32)


def p3_profile() -> bytes:
    curve = icc.srgb_to_linear(np.linspace(0, 1, 1024))
    return icc.rgb_profile(P3, icc.D65, curve=curve, name="Display P3")


def test_the_identity_changes_no_sample() -> None:
    rng = np.random.default_rng(0)
    for dtype in (np.uint8, np.uint16):
        pixels = rng.integers(0, np.iinfo(dtype).max + 1, (300, 70, 3), dtype)
        np.testing.assert_array_equal(apply(Lut(identity()), pixels), pixels)


def test_8_bits_are_within_1_of_255_of_floats(warm: Lut, colours: Floats) -> None:
    pixels = np.rint(colours * 255).astype(np.uint8)
    error = np.abs(apply(warm, pixels) / 255 - warm.of(pixels.astype(np.float32) / np.float32(255)))
    assert error.max() <= 1 / 255


def test_16_bits_never_go_through_8(warm: Lut) -> None:
    ramp = np.arange(20_000, 20_512, dtype=np.uint16)
    pixels = np.repeat(ramp[None, :, None], 3, axis=2)
    result = apply(warm, pixels)
    expected = warm.of(pixels.astype(np.float32) / np.float32(65535)) * 65535
    assert np.abs(result - expected).max() <= 2
    assert len(np.unique(result[0, :, 1])) > 400  # with 8 bits, there would be two or three


def test_strength_and_size(warm: Lut, colours: Floats) -> None:
    assert np.array_equal(warm.at_strength(0).colours, identity())
    half = warm.at_strength(50)
    np.testing.assert_allclose(half.of(colours), (colours + warm.of(colours)) / 2, atol=1e-6)
    np.testing.assert_allclose(warm.resampled(64).of(colours), warm.of(colours), atol=0.003)


def test_bytes_lose_less_than_a_step_of_16_bits(warm: Lut) -> None:
    assert np.abs(from_bytes(to_bytes(warm)).colours - warm.colours).max() <= 0.5 / 65535 + 1e-7


def linear_profile() -> bytes:
    return icc.rgb_profile(icc.SRGB_PRIMARIES, icc.D65, gamma=1.0, name="Linear sRGB")


@pytest.mark.parametrize(
    "profile",
    [p3_profile(), icc.adobe_rgb(), icc.prophoto_rgb(), linear_profile()],
    ids=["p3", "adobe", "prophoto", "linear"],
)
def test_a_photo_in_another_space_neither_clips_nor_shifts(profile: bytes, warm: Lut) -> None:
    """What changes nothing in sRGB changes nothing here, and a colour that sRGB holds comes out as it does there."""
    ramp = np.linspace(0, 65535, 18).astype(np.uint16)
    vivid = np.stack(np.meshgrid(ramp, ramp, ramp), -1).reshape(1, -1, 3)
    still = restyle(Lut(identity()), vivid, profile)
    assert np.abs(still.astype(int) - vivid).max() < 0.0015 * 65535

    encoded = np.random.default_rng(0).uniform(0.02, 0.98, (1, 5000, 3)).astype(np.float32)
    here = np.rint(icc.from_srgb(encoded, profile) * 65535).astype(np.uint16)
    there = icc.to_srgb(restyle(warm, here, profile).astype(np.float32) / np.float32(65535), profile)
    error = np.abs(there - warm.of(encoded))
    assert error.max() < 0.04 and error.mean() < 0.001
    eight = restyle(warm, (here // 257).astype(np.uint8), profile)
    assert (
        eight.dtype == np.uint8
        and np.abs(eight.astype(int) * 257 - restyle(warm, here // 257 * 257, profile)).max() < 400
    )

    if profile != linear_profile():
        green = np.array([[[0, 65535, 0]]], np.uint16)  # outside sRGB
        milder = restyle(Lut(identity() * 0.9 + 0.05), green, profile)[0, 0] / 65535
        assert milder[1] > 0.85 and milder[0] < 0.35  # by a tenth, not cut down to what sRGB holds


# Other programs


def assert_close(found: NDArray[np.floating], expected: NDArray[np.floating], most: float) -> None:
    assert np.abs(found - expected).max() <= most


def test_colour_science_reads_the_cube(warm: Lut, colours: Floats, tmp_path: Path) -> None:
    colour = pytest.importorskip("colour")
    path = tmp_path / "warm.cube"
    path.write_bytes(cube(warm, "warm"))
    table = colour.io.read_LUT(str(path))
    assert table.name == "warm"
    assert table.size == 33
    found = table.apply(colours, interpolator=colour.algebra.table_interpolation_trilinear)
    assert_close(found, warm.of(colours), 1e-5)


def test_opencolorio_reads_the_cube(warm: Lut, colours: Floats, tmp_path: Path) -> None:
    ocio = pytest.importorskip("PyOpenColorIO")
    path = tmp_path / "warm.cube"
    path.write_bytes(cube(warm, "warm"))
    transform = ocio.FileTransform(str(path), interpolation=ocio.INTERP_LINEAR)
    config = ocio.Config.CreateRaw()
    found = colours.copy().reshape(-1, 3)
    config.getProcessor(transform).getDefaultCPUProcessor().applyRGB(found)
    assert_close(found.reshape(colours.shape), warm.of(colours), 1e-4)


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="there is no ffmpeg here")
@pytest.mark.parametrize("kind", ["cube", "hald"])
def test_ffmpeg_reads_both(warm: Lut, colours: Floats, tmp_path: Path, kind: str) -> None:
    pixels = np.rint(colours * 65535).astype(np.uint16)
    source, out = tmp_path / "in.png", tmp_path / "out.png"
    source.write_bytes(imagecodecs.png_encode(pixels))
    (tmp_path / "warm.cube").write_bytes(cube(warm, "warm"))
    (tmp_path / "warm.png").write_bytes(hald(warm))
    wanted = "lut3d=warm.cube:interp=trilinear" if kind == "cube" else "[0][1]haldclut=interp=trilinear"
    inputs: list[Path | str] = ["-i", source, *(("-i", tmp_path / "warm.png") if kind == "hald" else ())]
    flag = "-vf" if kind == "cube" else "-filter_complex"
    command = ["ffmpeg", "-v", "error", "-y", *inputs, flag, wanted, "-pix_fmt", "rgb48be", out]
    subprocess.run(command, cwd=tmp_path, check=True)
    found = imagecodecs.png_decode(out.read_bytes())
    assert_close(found / np.float32(65535), apply(warm, pixels) / np.float32(65535), 0.002)


CONVERT = next((name for name in ("magick", "convert-im6.q16", "convert") if shutil.which(name)), None)


def imagemagick() -> bool:
    if CONVERT is None:
        return False
    version = subprocess.run([CONVERT, "-version"], capture_output=True, text=True).stdout
    return "ImageMagick" in version


@pytest.mark.skipif(not imagemagick(), reason="there is no ImageMagick here")
def test_imagemagick_reads_the_hald(warm: Lut, colours: Floats, tmp_path: Path) -> None:
    assert CONVERT is not None
    pixels = np.rint(colours * 65535).astype(np.uint16)
    source, table, out = tmp_path / "in.png", tmp_path / "warm.png", tmp_path / "out.png"
    source.write_bytes(imagecodecs.png_encode(pixels))
    table.write_bytes(hald(warm))
    subprocess.run([CONVERT, source, table, "-hald-clut", "-depth", "16", f"PNG48:{out}"], check=True)
    found = imagecodecs.png_decode(out.read_bytes())
    assert_close(found / np.float32(65535), apply(warm, pixels) / np.float32(65535), 0.003)


def test_the_cube_follows_what_editors_want(warm: Lut) -> None:
    """Resolve wants comments before keywords; darktable and others take no domain; quotation marks end a title."""
    lines = cube(warm, 'a "b"\nLUT_3D_SIZE 2\né').decode("ascii").splitlines()
    assert [line.split()[0] for line in lines[:3]] == ["#", "TITLE", "LUT_3D_SIZE"]
    assert "sRGB in, sRGB out" in lines[0]
    assert lines[1] == 'TITLE "a ?b??LUT_3D_SIZE 2??"'
    assert len(lines) == 3 + 33**3
    assert all(len(word.partition(".")[2]) == 6 for word in lines[3].split())
    first, second = np.array([line.split() for line in lines[3:5]], float)
    assert second[0] > first[0]  # red changes fastest


def test_the_hald_is_a_picture_of_16_bits(warm: Lut, colours: Floats) -> None:
    pixels = imagecodecs.png_decode(hald(warm))
    assert pixels.shape == (512, 512, 3)
    assert pixels.dtype == np.uint16


# Files that others made


@pytest.mark.parametrize("kind", ["cube", "hald"])
def test_what_we_write_we_read(warm: Lut, colours: Floats, tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"warm.{'cube' if kind == 'cube' else 'png'}"
    path.write_bytes(cube(warm, "warm") if kind == "cube" else hald(warm))
    found, notes = read_lut(path)
    assert not notes
    assert_close(found.of(colours), warm.of(colours), 0.002)


def test_other_spellings_of_a_cube(tmp_path: Path) -> None:
    """A byte-order mark, Windows' line ends, comments and blank lines between colours, exponents, values beyond 1."""
    rows = ["0 0 0", "1 0 0", "0 1 0", "# half way", "", "1 1 0", "0 0 1e0", "1 0 1", "0 1 1", "1.2 1 1"]
    path = tmp_path / "other.CUBE"
    path.write_bytes("\r\n".join(["\ufeff# x", "LUT_3D_SIZE 2", "TITLE x", *rows]).encode())
    found, _ = read_lut(path)
    assert found.size == 2
    assert found.colours[1, 0, 0].tolist() == [1, 0, 0]
    assert found.colours[1, 1, 1, 0] == pytest.approx(1.2)
    white = np.full((1, 1, 3), 255, np.uint8)
    assert apply(found, white)[0, 0].tolist() == [255, 255, 255]


@pytest.mark.parametrize("words", ["DOMAIN_MIN 0 0 0\nDOMAIN_MAX 2 2 2", "LUT_3D_INPUT_RANGE 0 2"])
def test_a_domain_is_honoured(tmp_path: Path, words: str) -> None:
    path = tmp_path / "wide.cube"
    path.write_text(
        f"LUT_3D_SIZE 2\n{words}\n" + "".join(f"{r} {g} {b}\n" for b in (0, 2) for g in (0, 2) for r in (0, 2))
    )
    found, _ = read_lut(path)
    assert_close(found.colours, identity(33), 1e-6)


def test_a_hald_of_8_bits_is_read_with_a_note(warm: Lut, colours: Floats, tmp_path: Path) -> None:
    path = tmp_path / "eight.png"
    Image.fromarray((imagecodecs.png_decode(hald(warm)) // 257).astype(np.uint8)).save(path)
    found, notes = read_lut(path)
    assert "8 bits" in notes[0]
    assert_close(found.of(colours), warm.of(colours), 0.006)


COLOURS = "0 0 0\n" * 8


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("LUT_1D_SIZE 4\n" + "0 0 0\n" * 4, "bad.cube, line 1: holds three curves"),
        ("LUT_3D_SIZE 3\n" + COLOURS, "holds 8 colours, and LUT_3D_SIZE 3 needs 27"),
        ("LUT_3D_SIZE 2\n" + COLOURS + "0 0 0\n", "line 10: there are more colours than LUT_3D_SIZE says"),
        ("LUT_3D_SIZE 2\nLUT_IN_VIDEO_RANGE\n", "line 2: the table is for video levels"),
        ("LUT_3D_INPUT_RANGE 0\n", "line 1: 'LUT_3D_INPUT_RANGE 0' is no line"),
        ("LUT_3D_SIZE 2\n1e39 0 0\n", "line 2"),
        ("DOMAIN_MAX 1e-300 1e-300 1e-300\nLUT_3D_SIZE 2\n" + COLOURS, "DOMAIN_MIN must be less"),
        ("LUT_3D_SIZE 2\n" + COLOURS.replace("0 0 0", "0 nan 0", 1), "line 2: '0 nan 0' should be three numbers"),
        ("LUT_3D_SIZE 2\n0 0 inf\n", "line 2"),
        ("LUT_3D_SIZE 2\n0 0\n", "line 2: '0 0' should be three numbers"),
        ("LUT_3D_SIZE 2\n0 0 0 0\n", "line 2"),
        ("LUT_3D_SIZE 2\nimport os\n", "line 2: 'import os' is no line of a .cube file"),
        ("LUT_3D_SIZE 100000\n", "line 1: LUT_3D_SIZE must be a number from 2 to 129"),
        ("LUT_3D_SIZE -2\n", "line 1"),
        ("LUT_3D_SIZE ²\n", "line 1"),
        ("LUT_3D_SIZE\n", "line 1"),
        ("DOMAIN_MIN 1 1 1\nDOMAIN_MAX 0 0 0\nLUT_3D_SIZE 2\n" + COLOURS, "DOMAIN_MIN must be less than DOMAIN_MAX"),
        ("DOMAIN_MAX 0 0 nan\n", "line 1"),
        ("", "has no LUT_3D_SIZE"),
        ("\0" * 100, "line 1"),
        ("x" * 2000, "line 1: is too long"),
    ],
)
def test_what_is_no_cube_is_refused_in_a_sentence(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "bad.cube"
    path.write_text(text)
    with pytest.raises(LutError) as e:
        read_lut(path)
    assert says in str(e.value)
    assert str(e.value).endswith(".") and "\n" not in str(e.value)


def test_200_megabytes_of_text_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.cube"
    path.touch()
    os.truncate(path, 200_000_000)
    with pytest.raises(LutError, match=r"huge.cube has 200 MB; a table of colours has at most 80"):
        read_lut(path)


def test_a_hald_of_the_wrong_size_is_refused(tmp_path: Path) -> None:
    for size in ((500, 500), (512, 64), (1, 1)):
        Image.new("RGB", size).save(tmp_path / "bad.png")
        with pytest.raises(LutError, match="but a HaldCLUT is a square"):
            read_lut(tmp_path / "bad.png")


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "words.png").write_text("words")
    os.mkfifo(tmp_path / "pipe.cube")
    for name, says in (
        ("none.cube", "cannot be read"),
        ("", "is not a file"),
        ("pipe.cube", "is not a file"),
        ("words.png", "is neither a .cube file nor a HaldCLUT"),
    ):
        with pytest.raises(LutError, match=says):
            read_lut(tmp_path / name)


@pytest.mark.parametrize("name", ["warm.cube", "warm.png"])
def test_an_edited_table_is_no_longer_ours(warm: Lut, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(cube(warm, "warm") if name.endswith("cube") else hald(warm))
    assert is_unchanged(path)
    if name.endswith("cube"):
        path.write_bytes(path.read_bytes().replace(b"0.9", b"0.8", 1))
    else:
        with Image.open(path) as image:
            image.save(path)
    assert not is_unchanged(path)
