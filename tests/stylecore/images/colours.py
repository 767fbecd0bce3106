"""Pictures whose colours are known, described in each way that a file can."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import imagecodecs
import numpy as np
import pillow_heif
from PIL import Image, ImageCms

from stylecore.images import cicp, icc
from stylecore.images.cicp import Cicp
from stylecore.images.encode import save_result
from stylecore.images.formats import EXTENSIONS
from stylecore.images.photo import Photo
from stylecore.images.png import chunk
from stylecore.output import Output
from tests.harness import difference
from tests.stylecore.images.photos import LOSSLESS, result_of

SRGB = ImageCms.createProfile("sRGB")
P3 = cicp.profile_of(Cicp(12, 13))
ADOBE = (0.64, 0.33, 0.21, 0.71, 0.15, 0.06)


def in_space(picture: Image.Image, profile: bytes | None) -> np.ndarray:
    """sRGB pixels in another space."""
    floats = np.asarray(picture, np.float32) / np.float32(255)
    return np.rint((floats if profile is None else icc.from_srgb(floats, profile)) * 255).astype(np.uint8)


def shown(path: Path) -> Image.Image:
    """A picture as a colour-managed viewer shows it."""
    with Image.open(path) as image:
        image.load()
        rgb = image.convert("RGB")
        if profile := image.info.get("icc_profile"):
            return ImageCms.profileToProfile(rgb, ImageCms.ImageCmsProfile(io.BytesIO(profile)), SRGB)  # type: ignore[return-value]
        return rgb


def png_with(pixels: np.ndarray, *chunks: bytes) -> bytes:
    data = bytes(imagecodecs.png_encode(np.ascontiguousarray(pixels)))
    return data[:33] + b"".join(chunks) + data[33:]


def gama(gamma: float) -> bytes:
    return chunk(b"gAMA", struct.pack(">I", round(100_000 / gamma)))


def chrm(primaries: tuple[float, ...]) -> bytes:
    return chunk(b"cHRM", struct.pack(">8I", *(round(100_000 * v) for v in (*icc.D65, *primaries))))


def iccp(profile: bytes) -> bytes:
    import zlib

    return chunk(b"iCCP", b"x\0\0" + zlib.compress(profile))


def check(photo: Photo, path: Path, picture: Image.Image, limit: float = 2.0) -> None:
    """The network, and whoever opens the Result of strength 0, sees the picture."""
    assert difference(photo.resized(*photo.size) * 255, picture) < limit
    target = path.with_name(f"result{EXTENSIONS.get(photo.format, '.png')}")
    save_result(result_of(photo), target, Output())
    assert difference(shown(target), picture) < limit + 2.5 * (photo.format not in LOSSLESS)


def heic(pixels: np.ndarray, primaries: int, transfer: int) -> bytes:
    """10 bits, described by code points alone."""
    height, width = pixels.shape[:2]
    picture = pillow_heif.from_bytes("RGB;16", (width, height), pixels.astype(np.uint16).tobytes())
    out = io.BytesIO()
    picture.save(
        out, quality=98, chroma=444, color_primaries=primaries, transfer_characteristics=transfer, matrix_coefficients=9
    )
    return out.getvalue()


def hdr(picture: Image.Image, transfer: int) -> np.ndarray:
    """The picture in BT.2020, its white at 203 cd/m2, as 16 bits."""
    linear = cicp.profile_of(Cicp(9, 8))
    assert linear is not None
    light = icc.from_srgb(np.asarray(picture, np.float32) / np.float32(255), linear) * 203
    if transfer == cicp.PQ:
        encoded = cicp._pq(light)
    else:
        weights = np.array([0.2627, 0.6780, 0.0593], np.float32)
        display = light / 1000
        scene = display * np.maximum(display @ weights, 1e-6)[..., None] ** (1 / 1.2 - 1)
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        encoded = np.where(scene <= 1 / 12, np.sqrt(3 * scene), a * np.log(np.maximum(12 * scene - b, 1e-6)) + c)
    return np.rint(encoded.clip(0, 1) * 65535).astype(np.uint16)
