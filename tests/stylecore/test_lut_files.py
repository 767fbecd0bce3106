"""Tables as files: what other programs read in ours, what we read in theirs, and files that are not tables."""

from __future__ import annotations

import os
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from stylecore.colour import Floats
from stylecore.errors import LutError
from stylecore.lut import Lut, apply, identity
from stylecore.lut_files import cube, hald, is_unchanged, read_lut
from tests import other_programs


def assert_close(found: Floats, expected: Floats, most: float) -> None:
    assert np.abs(found - expected).max() <= most


@pytest.mark.parametrize(("name", "most"), [("colour-science", 1e-5), ("OpenColorIO", 1e-4)])
def test_other_programs_read_the_cube_as_we_do(
    warm: Lut, colours: Floats, tmp_path: Path, name: str, most: float
) -> None:
    """In floating point."""
    program = other_programs.READERS[name]
    if not other_programs.available(name):
        pytest.skip(f"{name} is not installed")
    assert_close(program(warm, colours, tmp_path), warm.of(colours), most)


@pytest.mark.parametrize("name", ["ffmpeg, .cube", "ffmpeg, HaldCLUT", "ImageMagick, HaldCLUT"])
def test_other_programs_read_both_files_as_we_do(warm: Lut, colours: Floats, tmp_path: Path, name: str) -> None:
    """In 16 bits. A HaldCLUT has other points than the table that it was made from."""
    if not other_programs.available(name):
        pytest.skip(f"{name} is not installed")
    ours = apply(warm, np.rint(colours * 65535).astype(np.uint16)).astype(np.float32) / np.float32(65535)
    assert_close(other_programs.READERS[name](warm, colours, tmp_path), ours, 0.003)


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
