"""Damaged pictures by the thousand: flipped, cut and spliced bytes of a corpus of every format, read in a process of
its own with limits on memory and time.

    python -m tests.stylecore.images.fuzz FIRST COUNT     read inputs FIRST to FIRST + COUNT in this process
"""

from __future__ import annotations

import collections
import faulthandler
import io
import os
import random
import resource
import struct
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import tifffile
from PIL import Image, PngImagePlugin

from tests.harness import REPOSITORY

MEMORY = 6 << 30  # bytes of address space, of which libraries take one or two
HANG = 120  # seconds that no input may take, on any machine


def corpus() -> dict[str, bytes]:
    """A small picture in every format, with what cameras put into it."""
    import skimage.data

    from tests.stylecore.images.photos import adobe_rgb, cr3, rich_exif

    pillow_heif.register_heif_opener()
    picture = Image.fromarray(skimage.data.chelsea()).resize((96, 64))  # type: ignore[no-untyped-call]
    xmp = b'<x xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/>'
    rich: dict[str, Any] = {"exif": rich_exif(6), "icc_profile": adobe_rgb(), "xmp": xmp}
    made: dict[str, bytes] = {}

    def save(name: str, kind: str, image: Image.Image = picture, **options: Any) -> None:
        out = io.BytesIO()
        image.save(out, kind, **options)
        made[name] = out.getvalue()

    save("rich.jpg", "JPEG", **rich, comment=b"hello")
    save("progressive.jpg", "JPEG", progressive=True)
    save("cmyk.jpg", "JPEG", picture.convert("CMYK"))
    save("grey.jpg", "JPEG", picture.convert("L"))
    save("pair.mpo", "MPO", save_all=True, append_images=[picture])
    text = PngImagePlugin.PngInfo()
    text.add_text("Author", "Ana", zip=True)
    save("rich.png", "PNG", exif=rich["exif"], icc_profile=rich["icc_profile"], pnginfo=text, dpi=(300, 300))
    save("palette.png", "PNG", picture.convert("P"), transparency=3)
    save("one.png", "PNG", picture.convert("1"))
    save("deep.png", "PNG", Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 257))
    for name, how in {"lzw": "tiff_lzw", "packbits": "packbits", "jpeg": "jpeg", "plain": None}.items():
        save(f"{name}.tif", "TIFF", compression=how, icc_profile=adobe_rgb())
    save("one.tif", "TIFF", picture.convert("1"), compression="group4")
    save("cmyk.tif", "TIFF", picture.convert("CMYK"))
    save("palette.tif", "TIFF", picture.convert("P"))
    save("rich.webp", "WEBP", **rich)
    save("lossless.webp", "WEBP", picture.convert("RGBA"), lossless=True)
    save("rich.avif", "AVIF", **rich)
    save("rich.heic", "HEIF", **rich)
    save("a.gif", "GIF", picture.convert("P"), comment=b"hello")
    save("a.bmp", "BMP")
    save("alpha.bmp", "BMP", picture.convert("RGBA"))
    deep = np.asarray(picture).astype(np.uint16) * 257
    for name, options in {
        "deep": {},
        "big": {"bigtiff": True},
        "tiles": {"tile": (32, 32), "compression": "zlib"},
    }.items():
        out = io.BytesIO()
        tifffile.imwrite(out, deep, photometric="rgb", **options)  # type: ignore[arg-type]
        made[f"{name}.tif"] = out.getvalue()
    ten_bits = pillow_heif.from_bytes("RGB;16", (96, 64), deep.tobytes())
    out = io.BytesIO()
    ten_bits.save(out, quality=80)
    made["deep.heic"] = out.getvalue()
    out = io.BytesIO()
    np.save(out, deep)
    made["deep.npy"] = out.getvalue()
    out = io.BytesIO()
    mosaic = deep[..., 1]
    tifffile.imwrite(
        out,
        mosaic,
        photometric=32803,
        extratags=[
            (50706, 1, 4, bytes((1, 4, 0, 0)), True),
            (33421, 3, 2, (2, 2), True),
            (33422, 1, 4, bytes((0, 1, 1, 2)), True),
        ],
    )
    made["camera.dng"] = out.getvalue()
    made["camera.orf"] = b"IIRO" + out.getvalue()[4:]
    made["camera.cr3"] = cr3(rich["exif"])
    made["camera.raf"] = b"FUJIFILMCCD-RAW ".ljust(84, b"0") + struct.pack(">6I", 108, 800, 0, 0, 908, 200) + bytes(900)
    return made


def damaged(number: int, seeds: dict[str, bytes]) -> tuple[str, bytes]:
    """Input ``number``: always the same."""
    chance = random.Random(number)
    name = chance.choice(sorted(seeds))
    data = bytearray(seeds[name])
    for _ in range(chance.randint(1, 3)):
        match chance.choice(("flip", "flip", "head", "cut", "zeros", "splice", "repeat", "drop")):
            case "flip":
                for _ in range(chance.randint(1, 30)):
                    data[chance.randrange(len(data))] = chance.randrange(256)
            case "head":  # where the structure is
                for _ in range(chance.randint(1, 8)):
                    data[chance.randrange(min(len(data), 400))] = chance.choice((0, 1, 0x7F, 0x80, 0xFF))
            case "cut":
                del data[chance.randrange(len(data)) :]
            case "zeros":
                start = chance.randrange(len(data))
                length = chance.choice((4, 64, 5000, len(data)))
                data[start : start + length] = bytes(min(length, len(data) - start))
            case "splice":
                other = seeds[chance.choice(sorted(seeds))]
                start = chance.randrange(len(other))
                at = chance.randrange(len(data))
                data[at : at + chance.randrange(2000)] = other[start : start + chance.randrange(2000)]
            case "repeat":
                start = chance.randrange(len(data))
                data[start:start] = data[start : start + chance.randrange(1, 500)]
            case "drop":
                start = chance.randrange(len(data))
                del data[start : start + chance.randrange(1, 200)]
        data = data or bytearray(b"\0")
    return name, bytes(data)


def read_all(first: int, count: int) -> None:
    """In this process. Prints a line for each input: its number and outcome."""
    from stylecore.errors import PhotoError
    from stylecore.images.decode import load_photo
    from stylecore.images.encode import Result, encode

    seeds = corpus()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        for number in range(first, first + count):
            name, data = damaged(number, seeds)
            path = Path(folder) / name
            path.write_bytes(data)
            print(number, name, end=" ", flush=True)
            faulthandler.dump_traceback_later(HANG, exit=True)
            try:
                photo = load_photo(path)
                encode(Result(photo, photo.pixels, 0, 0.0, None, "none"), "jpeg", 80)
                print("photo", flush=True)
            except PhotoError as e:
                assert str(e).startswith((name, "It ")), e
                print("refused", flush=True)
            finally:
                faulthandler.cancel_dump_traceback_later()


def outcomes(first: int, count: int) -> tuple[collections.Counter[str], list[str]]:
    """How often each outcome came, and what went wrong, from processes of their own that are started again after a
    crash."""
    counts: collections.Counter[str] = collections.Counter()
    wrong: list[str] = []
    end = first + count
    while first < end:
        command = [sys.executable, "-m", "tests.stylecore.images.fuzz", str(first), str(end - first)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, env=environment)
        lines = done.stdout.splitlines()
        for line in lines:
            _, _, outcome = line.partition(" ")[2].partition(" ")
            if outcome in ("photo", "refused"):
                counts[outcome] += 1
            else:
                wrong.append(f"{line}: status {done.returncode}: {done.stderr[-3000:]}")
        if not lines:
            raise RuntimeError(done.stderr)
        first = int(lines[-1].split()[0]) + 1
    return counts, wrong


if __name__ == "__main__":
    read_all(int(sys.argv[1]), int(sys.argv[2]))
