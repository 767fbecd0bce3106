"""Other programs that read our tables: what they make of colours, to compare with what we make of them."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np

from stylecore.colour import Floats
from stylecore.lut import Lut
from stylecore.lut_files import cube, hald

CONVERT = next((name for name in ("magick", "convert-im6.q16", "convert") if shutil.which(name)), None)

Reader = Callable[[Lut, Floats, Path], Floats]
"""Takes a table, colours (height, width, 3) in 0..1, and a folder to work in. Returns the colours that the program
gives."""


def by_colour_science(lut: Lut, colours: Floats, folder: Path) -> Floats:
    import colour

    table = colour.io.read_LUT(str(_cube(lut, folder)))
    assert isinstance(table, colour.LUT3D) and table.size == 33
    found = table.apply(colours, interpolator=colour.algebra.table_interpolation_trilinear)
    return np.asarray(found, np.float32)


def by_opencolorio(lut: Lut, colours: Floats, folder: Path) -> Floats:
    import PyOpenColorIO

    linear = PyOpenColorIO.INTERP_LINEAR
    transform = PyOpenColorIO.FileTransform(str(_cube(lut, folder)), interpolation=linear)
    found = colours.copy().reshape(-1, 3)
    PyOpenColorIO.Config.CreateRaw().getProcessor(transform).getDefaultCPUProcessor().applyRGB(found)
    return found.reshape(colours.shape)


def by_ffmpeg_from_cube(lut: Lut, colours: Floats, folder: Path) -> Floats:
    _cube(lut, folder)
    return _by_ffmpeg(colours, folder, ["-vf", "lut3d=table.cube:interp=trilinear"])


def by_ffmpeg_from_hald(lut: Lut, colours: Floats, folder: Path) -> Floats:
    hald_file = _hald(lut, folder)
    return _by_ffmpeg(colours, folder, ["-i", hald_file, "-filter_complex", "[0][1]haldclut=interp=trilinear"])


def by_imagemagick(lut: Lut, colours: Floats, folder: Path) -> Floats:
    assert CONVERT is not None
    source, out = _source(colours, folder), folder / "out.png"
    subprocess.run([CONVERT, source, _hald(lut, folder), "-hald-clut", "-depth", "16", f"PNG48:{out}"], check=True)
    return _pixels(out)


READERS: dict[str, Reader] = {
    "colour-science": by_colour_science,
    "OpenColorIO": by_opencolorio,
    "ffmpeg, .cube": by_ffmpeg_from_cube,
    "ffmpeg, HaldCLUT": by_ffmpeg_from_hald,
    "ImageMagick, HaldCLUT": by_imagemagick,
}


def available(name: str) -> bool:
    modules = {"colour-science": "colour", "OpenColorIO": "PyOpenColorIO"}
    if name in modules:
        return importlib.util.find_spec(modules[name]) is not None
    if name.startswith("ffmpeg"):
        return shutil.which("ffmpeg") is not None
    # another program may also be called convert
    return CONVERT is not None and b"ImageMagick" in subprocess.run([CONVERT, "-version"], capture_output=True).stdout


def _cube(lut: Lut, folder: Path) -> Path:
    path = folder / "table.cube"
    path.write_bytes(cube(lut, "table"))
    return path


def _hald(lut: Lut, folder: Path) -> Path:
    path = folder / "table.png"
    path.write_bytes(hald(lut))
    return path


def _source(colours: Floats, folder: Path) -> Path:
    path = folder / "in.png"
    path.write_bytes(imagecodecs.png_encode(np.rint(colours * 65535).astype(np.uint16)))
    return path


def _pixels(path: Path) -> Floats:
    return imagecodecs.png_decode(path.read_bytes()).astype(np.float32) / np.float32(65535)


def _by_ffmpeg(colours: Floats, folder: Path, filters: list[str | Path]) -> Floats:
    source, out = _source(colours, folder), folder / "out.png"
    command = ["ffmpeg", "-v", "error", "-y", "-i", source, *filters, "-pix_fmt", "rgb48be", out]
    subprocess.run(command, cwd=folder, check=True)
    return _pixels(out)
