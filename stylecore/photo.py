"""A Photo: an image file as it arrived, decoded to upright sRGB pixels, with what must travel to the Result."""

from __future__ import annotations

import functools
import io
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from stylecore import colour, exif
from stylecore.colour import Floats, Pixels
from stylecore.errors import PhotoError

MAX_PIXELS = 400_000_000
RAW_SUFFIXES = (
    ".3fr", ".arw", ".cr2", ".cr3", ".dng", ".erf", ".iiq", ".kdc", ".mos",
    ".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".rw2", ".srw", ".x3f",
)  # fmt: skip
FORMATS = {
    "JPEG": "jpeg", "MPO": "jpeg", "PNG": "png", "TIFF": "tiff", "WEBP": "webp",
    "AVIF": "avif", "HEIF": "heic", "GIF": "gif", "BMP": "bmp",
}  # fmt: skip

ImageFile.LOAD_TRUNCATED_IMAGES = False


@dataclass(frozen=True)
class Photo:
    """``pixels``: (height, width, 3), uint8 or uint16, sRGB, upright. ``alpha``: (height, width), same type, or None.

    ``profile``: the RGB ICC profile to go back to; ``exif``: a TIFF block; ``xmp``: a packet; ``format``: jpeg, png,
    tiff, webp, avif, heic, gif, bmp or raw; ``notes``: sentences on what could not be kept.
    """

    path: Path
    pixels: Pixels
    format: str
    alpha: Pixels | None = None
    profile: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)"""
        return self.pixels.shape[1], self.pixels.shape[0]

    def resized(self, width: int, height: int) -> Floats:
        """The pixels at another size, float32 in 0..1, (height, width, 3); transparent places are white."""
        return resize(_on_white(self.pixels, self.alpha), width, height)


def load_photo(path: Path, max_pixels: int = MAX_PIXELS) -> Photo:
    """Decode the whole file, by what it holds and not by its name. Raises PhotoError with the reason."""
    try:
        with path.open("rb") as file:
            head = file.read(32)
        if not head:
            raise PhotoError(f"{path.name} is empty: it holds no picture.")
        if path.suffix.lower() in RAW_SUFFIXES:
            return _load_raw(path, max_pixels)
        return _load(path, head, max_pixels)
    except OSError as e:
        if e.errno is not None:
            raise PhotoError(f"{path.name} cannot be read ({e.strerror}): check that it is there and that you may read it.") from e
        raise PhotoError(f"{path.name} is damaged or cut off ({e}): copy it again from where it came.") from e
    except MemoryError as e:
        raise PhotoError(f"{path.name} does not fit into this machine's memory: make it smaller.") from e


def load_style_picture(path: Path, long_edge: int) -> Floats:
    """A style picture with this long edge (never enlarged), float32 in 0..1, (height, width, 3)."""
    photo = load_photo(path)
    scale = min(1.0, long_edge / max(photo.size))
    return photo.resized(*(max(32, round(edge * scale)) for edge in photo.size))


def resize(pixels: Pixels, width: int, height: int) -> Floats:
    """Lanczos with antialiasing, to float32 in 0..1; one channel at a time, which bounds the memory."""
    top = 1.0 if pixels.dtype == np.float32 else float(np.iinfo(pixels.dtype).max)
    channels = []
    for i in range(pixels.shape[2]):
        channel = Image.fromarray(np.ascontiguousarray(pixels[..., i], np.float32))
        channels.append(np.asarray(channel.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=4.0)))
    return np.clip(np.stack(channels, -1) / np.float32(top), 0, 1)


def _on_white(pixels: Pixels, alpha: Pixels | None) -> Pixels:
    if alpha is None:
        return pixels
    top = np.iinfo(pixels.dtype).max
    share = (alpha.astype(np.float32) / top)[..., None]
    return (pixels * share + top * (1 - share)).round().astype(pixels.dtype)


def _load(path: Path, head: bytes, max_pixels: int) -> Photo:
    _register_formats()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of metadata's small faults, and of sizes: checked here
            Image.MAX_IMAGE_PIXELS = None
            with Image.open(path, formats=[name for name in FORMATS if name != "MPO"]) as image:  # JPEG opens these
                _check_size(path, image.width, image.height, max_pixels)
                _check_still(path, image)
                deep = _deep_pixels(path, image, head)
                image.load()
                return _photo(path, image, deep)
    except UnidentifiedImageError as e:
        raise PhotoError(f"{path.name} is not a picture, or of a kind that is not read ({_kinds()}).") from e
    except (SyntaxError, ValueError, TypeError, KeyError, IndexError, EOFError, RuntimeError, NotImplementedError) as e:
        # What Pillow's and libheif's decoders are seen to say of damaged files.
        raise PhotoError(f"{path.name} is damaged ({e}): copy it again from where it came.") from e


def _photo(path: Path, image: Image.Image, deep: Pixels | None) -> Photo:
    block = _exif(path, image)
    pixels, alpha, profile, notes = _to_srgb(path, image, deep)
    turn = exif.orientation(block) if block else 1
    xmp = image.info.get("xmp")
    return Photo(
        path=path,
        pixels=_upright(pixels, turn),
        alpha=None if alpha is None else _upright(alpha, turn),
        format=FORMATS[image.format or "JPEG"],
        profile=profile,
        exif=block,
        xmp=xmp if isinstance(xmp, bytes) else xmp.encode() if isinstance(xmp, str) else None,
        notes=notes,
    )


def _exif(path: Path, image: Image.Image) -> bytes | None:
    if image.format == "TIFF":
        with path.open("rb") as file:
            return exif.from_tiff(file)
    block = image.info.get("exif")
    if not isinstance(block, bytes):
        return None
    return block.removeprefix(b"Exif\0\0")


def _to_srgb(
    path: Path, image: Image.Image, deep: Pixels | None
) -> tuple[Pixels, Pixels | None, bytes | None, tuple[str, ...]]:
    """Pixels, alpha, the profile to go back to, notes."""
    profile = image.info.get("icc_profile") or b""
    raw, alpha = _split(path, image) if deep is None else _split_deep(deep)
    channels = raw.shape[2]
    space = {1: "GRAY", 3: "RGB", 4: "CMYK"}[channels]
    notes: list[str] = []
    if channels == 4:
        notes.append("CMYK: the Result is RGB.")
    usable = colour.profile_space(profile) == space
    if usable:
        try:
            same = channels == 3 and _is_srgb(profile)
            return raw if same else colour.to_srgb(raw, profile), alpha, profile if channels == 3 else None, tuple(notes)
        except ValueError:
            usable = False
    if profile and not usable:
        notes.append("Its colour profile is damaged or of another kind: the pixels were taken as sRGB.")
    if channels == 1:
        return np.repeat(raw, 3, axis=2), alpha, None, tuple(notes)
    if channels == 4:
        return np.asarray(image.convert("RGB")), alpha, None, tuple(notes)
    return raw, alpha, None, tuple(notes)


def _split(path: Path, image: Image.Image) -> tuple[Pixels, Pixels | None]:
    """Pillow's 8-bit picture to grey, RGB or CMYK samples, and alpha."""
    if image.mode in ("P", "PA") or (image.mode in ("L", "RGB", "1") and "transparency" in image.info):
        image = image.convert("RGBA" if "transparency" in image.info or image.mode == "PA" else "RGB")
    if image.mode in ("RGBX", "YCbCr"):
        image = image.convert("RGB")
    if image.mode == "1":
        image = image.convert("L")
    if image.mode not in ("L", "LA", "RGB", "RGBA", "CMYK"):
        raise PhotoError(f"{path.name} has pixels of the kind {image.mode!r}, which is not read: save it as RGB.")
    samples = np.asarray(image)
    if samples.ndim == 2:
        samples = samples[..., None]
    if image.mode in ("LA", "RGBA"):
        return samples[..., :-1], samples[..., -1]
    return samples, None


def _split_deep(samples: Pixels) -> tuple[Pixels, Pixels | None]:
    samples = samples[..., None] if samples.ndim == 2 else samples
    if samples.shape[2] in (2, 4):
        return samples[..., :-1], samples[..., -1]
    return samples[..., :3], None


def _deep_pixels(path: Path, image: Image.Image, head: bytes) -> Pixels | None:
    """The samples of a 16-bit PNG or TIFF, which Pillow would cut to 8; None for others."""
    import imagecodecs

    if image.format == "PNG" and head[24] == 16:
        try:
            samples: Pixels = imagecodecs.png_decode(path.read_bytes())
        except imagecodecs.PngError as e:
            raise PhotoError(f"{path.name} is damaged or cut off ({e}): copy it again from where it came.") from e
        return samples
    if image.format == "TIFF" and isinstance(bits := image.tag_v2.get(258, (1,)), tuple) and max(bits) > 8:  # type: ignore[attr-defined]
        return _deep_tiff(path)
    return None


def _deep_tiff(path: Path) -> Pixels:
    import tifffile

    try:
        with tifffile.TiffFile(path) as tiff:
            page: Any = tiff.pages.first
            kind = f"{page.photometric.name}, {page.dtype}" if page.dtype is not None else "unknown samples"
            if page.dtype != np.uint16 or page.photometric.name not in ("RGB", "MINISBLACK"):
                raise PhotoError(f"{path.name} is a TIFF of {kind}, which is not read: save it as RGB of 8 or 16 bits.")
            samples: Pixels = page.asarray()
            if page.planarconfig.name == "SEPARATE" and samples.ndim == 3:
                samples = np.moveaxis(samples, 0, -1)
            return np.ascontiguousarray(samples)
    except PhotoError:
        raise
    except Exception as e:  # tifffile's many decoders each have errors of their own
        raise PhotoError(f"{path.name} is damaged or cut off ({e}): copy it again from where it came.") from e


def _load_raw(path: Path, max_pixels: int) -> Photo:
    try:
        import rawpy
    except ImportError as e:
        raise PhotoError(f"{path.name} is a camera's RAW file: `pip install 'stylefolder[raw]'` to read these.") from e
    try:
        with rawpy.imread(str(path)) as raw:
            _check_size(path, raw.sizes.width, raw.sizes.height, max_pixels)
            pixels: Any = raw.postprocess(use_camera_wb=True, output_bps=16)
    except rawpy.LibRawError as e:
        raise PhotoError(f"{path.name} is a RAW file that cannot be read ({e}): convert it to TIFF or JPEG.") from e
    with path.open("rb") as file:
        return Photo(path, pixels, "raw", exif=exif.from_tiff(file))


def _check_size(path: Path, width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise PhotoError(
            f"{path.name} claims {width} x {height} pixels, more than the {max_pixels // 1_000_000} megapixels that are allowed."
        )
    if width < 1 or height < 1:
        raise PhotoError(f"{path.name} has no pixels.")


def _check_still(path: Path, image: Image.Image) -> None:
    frames = getattr(image, "n_frames", 1)
    if image.format == "TIFF" and frames > 1:
        for i in range(1, frames):
            image.seek(i)
            if not int(image.tag_v2.get(254, 0)) & 1:  # type: ignore[attr-defined]
                raise PhotoError(f"{path.name} has {frames} pages: save the one you want as a picture of its own.")
        image.seek(0)
    elif frames > 1 and image.format in ("GIF", "PNG", "WEBP", "AVIF"):
        raise PhotoError(f"{path.name} is animated ({frames} frames): save the one you want as a picture of its own.")


def _upright(samples: Pixels, turn: int) -> Pixels:
    """EXIF orientation 1 to 8 undone."""
    if turn >= 5:
        samples = np.swapaxes(samples, 0, 1)
    if turn in (3, 4, 7, 8):
        samples = samples[::-1]
    if turn in (2, 3, 6, 7):
        samples = samples[:, ::-1]
    return np.ascontiguousarray(samples)


def _is_srgb(profile: bytes) -> bool:
    from PIL import ImageCms

    try:
        name = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(profile)))
    except (ImageCms.PyCMSError, OSError):
        return False
    return bool(re.match(r"sRGB( IEC61966|\b)", name.strip()))


@functools.cache
def _register_formats() -> None:
    import pillow_heif

    Image.init()
    pillow_heif.register_heif_opener()


def _kinds() -> str:
    return "JPEG, PNG, TIFF, WebP, AVIF, HEIC, GIF, BMP, RAW"
