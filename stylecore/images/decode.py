"""Image files to Photos: with Pillow, with tifffile for TIFF of 8 and 16 bits, with rawpy for camera RAW."""

from __future__ import annotations

import functools
import tokenize
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from stylecore.colour import Floats, Pixels
from stylecore.errors import PhotoError, PhotoGone
from stylecore.images import exif, icc, tiff
from stylecore.images.formats import RAW_SUFFIXES
from stylecore.images.photo import Photo
from stylecore.images.preview import DECODER_ERRORS, MAX_PIXELS, opened_picture
from stylecore.images.tiff import split_samples

MAX_DPI = 100_000
SRGB_GAMMA = (2.4, 12.92)  # exponent and slope at the toe; LibRaw's own default is BT.709's
FORMATS = {
    "JPEG": "jpeg", "MPO": "jpeg", "PNG": "png", "TIFF": "tiff", "WEBP": "webp",
    "AVIF": "avif", "HEIF": "heic", "GIF": "gif", "BMP": "bmp",
}  # fmt: skip

KINDS = "JPEG, PNG, TIFF, WebP, AVIF, HEIC, GIF, BMP, RAW"
NUMPY_MAGIC = b"\x93NUMPY"
"""What Pillow's and libheif's decoders raise for damaged files, besides OSError."""


def load_photo(path: Path, max_pixels: int = MAX_PIXELS) -> Photo:
    """Decode the whole file, by its contents and not by its name. Raises PhotoGone, PhotoError.

    A `.npy` of (height, width, 1 to 4) in uint8 or uint16 is read as sRGB: grey, grey + alpha, RGB or RGB + alpha.
    """
    try:
        with path.open("rb") as file:
            head = file.read(32)
        if not head:
            raise PhotoError(f"{path.name} is empty: it contains no picture.")
        if head.startswith(NUMPY_MAGIC):
            return _load_samples(path, max_pixels)
        if path.suffix.lower() in RAW_SUFFIXES:
            return _load_raw(path, max_pixels)
        if head.startswith(b"\xff\xd8"):
            _check_end(path)
        return _load(path, head, max_pixels)
    except FileNotFoundError as e:
        raise PhotoGone(
            f"{path.name} cannot be read ({e.strerror}): check that it is there and that you may read it."
        ) from e
    except OSError as e:
        if e.errno is not None:
            raise PhotoError(
                f"{path.name} cannot be read ({e.strerror}): check that it is there and that you may read it."
            ) from e
        raise PhotoError(f"{path.name} is damaged or cut off ({e}): copy it again from the original.") from e
    except MemoryError as e:
        raise PhotoError(f"{path.name} does not fit into this machine's memory: make it smaller.") from e


def load_style_picture(path: Path, long_edge: int) -> Floats:
    """A style picture with this long edge (never enlarged), float32 in 0..1, (height, width, 3)."""
    photo = load_photo(path)
    scale = min(1.0, long_edge / max(photo.size))
    return photo.resized(*(max(32, round(edge * scale)) for edge in photo.size))


def _load(path: Path, head: bytes, max_pixels: int) -> Photo:
    try:
        if head[:4] in tiff.MAGIC and (
            found := tiff.read_tiff(path, lambda width, height: _check_size(path, width, height, max_pixels))
        ):
            return _photo(path, "tiff", *found)
        return _load_with_pillow(path, head, max_pixels)
    except UnidentifiedImageError as e:
        raise PhotoError(f"{path.name} is not a picture in a supported format ({KINDS}).") from e
    except DECODER_ERRORS as e:
        raise PhotoError(f"{path.name} is damaged ({e}): copy it again from the original.") from e


def _load_with_pillow(path: Path, head: bytes, max_pixels: int) -> Photo:
    _register_formats()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about small faults in metadata
        with opened_picture(path, [name for name in FORMATS if name != "MPO"]) as image:  # JPEG opens MPO
            _check_size(path, image.width, image.height, max_pixels)
            _check_still(path, image)
            if image.format == "PNG" and head[24] == 16:
                raw, alpha = split_samples(_deep_png(path))
                image.load()  # reads what comes after the pixels
            else:
                image.load()
                raw, alpha = _split(path, image)
            block = image.info.get("exif")
            if image.format == "TIFF":  # Pillow has turned it upright
                with path.open("rb") as file:
                    block = exif.from_tiff(file)
            block = block.removeprefix(b"Exif\0\0") if isinstance(block, bytes) else None
            turn = exif.orientation(block) if block and image.format != "TIFF" else 1
            xmp = image.info.get("xmp")
            if isinstance(xmp, str):
                xmp = xmp.encode()
            return _photo(
                path,
                FORMATS[image.format or ""],
                raw,
                alpha,
                image.info.get("icc_profile"),
                block,
                xmp,
                turn,
                image.info.get("dpi"),
            )


def _photo(
    path: Path,
    kind: str,
    raw: Pixels,
    alpha: Pixels | None,
    profile: bytes | None,
    block: bytes | None,
    xmp: Any,
    turn: int,
    dpi: Any = None,
) -> Photo:
    pixels, kept, notes = _to_srgb(raw, profile)
    if dpi is not None:
        dpi = (float(dpi[0]), float(dpi[1])) if all(0 < edge < MAX_DPI for edge in dpi) else None
    return Photo(
        path=path,
        pixels=_upright(pixels, turn),
        alpha=None if alpha is None else _upright(alpha, turn),
        format=kind,
        profile=kept,
        exif=block,
        xmp=xmp if isinstance(xmp, bytes) else None,
        dpi=dpi[::-1] if dpi and turn >= 5 else dpi,
        notes=notes,
    )


def _to_srgb(raw: Pixels, profile: bytes | None) -> tuple[Pixels, bytes | None, tuple[str, ...]]:
    """Grey, RGB or CMYK samples (height, width, 1, 3 or 4) to sRGB. Returns them with the profile to go back to, and
    notes."""
    channels = raw.shape[2]
    notes = ("It is CMYK; the Result is RGB.",) if channels == 4 else ()
    if profile:
        if icc.profile_space(profile) == {1: "GRAY", 3: "RGB", 4: "CMYK"}[channels]:
            try:
                if channels != 3:
                    return icc.to_srgb(raw, profile), None, notes
                icc.from_srgb(np.zeros((1, 1, 3), np.uint8), profile)  # scanners' profiles have no way back
                return raw if icc.is_srgb(profile) else icc.to_srgb(raw, profile), profile, notes
            except ValueError:
                pass
        notes = (*notes, "Its colour profile is damaged or of another kind, so the pixels were read as sRGB.")
    if channels == 1:
        return np.repeat(raw, 3, axis=2), None, notes
    if channels == 4:
        return np.asarray(Image.fromarray(raw, "CMYK").convert("RGB")), None, notes
    return raw, None, notes


def _split(path: Path, image: Image.Image) -> tuple[Pixels, Pixels | None]:
    """Pillow's 8-bit picture as grey, RGB or CMYK samples, and alpha."""
    if image.mode in ("P", "PA") or "transparency" in image.info:
        image = image.convert("RGBA" if "transparency" in image.info or image.mode == "PA" else "RGB")
    if image.mode in ("RGBX", "YCbCr"):
        image = image.convert("RGB")
    if image.mode == "1":
        image = image.convert("L")
    if image.mode == "CMYK":
        return np.asarray(image), None
    if image.mode not in ("L", "LA", "RGB", "RGBA"):
        raise PhotoError(f"{path.name} has the pixel mode {image.mode!r}, which is not supported: save it as RGB.")
    return split_samples(np.asarray(image))


def _deep_png(path: Path) -> Pixels:
    """The samples of a 16-bit PNG, which Pillow would reduce to 8 bits."""
    import imagecodecs

    try:
        samples: Pixels = imagecodecs.png_decode(path.read_bytes())
    except imagecodecs.PngError as e:
        raise PhotoError(f"{path.name} is damaged or cut off ({e}): copy it again from the original.") from e
    return samples


def _check_end(path: Path) -> None:
    """Raise PhotoError if a JPEG ends in zeros, as an interrupted copy does if the program first gave the file its full
    size. It would decode without an error, to grey. Zeros after the end-of-image marker do no harm."""
    with path.open("rb") as file:
        end = file.seek(0, 2)
        file.seek(-min(end, 16), 2)
        if file.read().strip(b"\0"):
            return
        while end > 0:
            start = max(0, end - (1 << 20))
            file.seek(start)
            tail = file.read(end - start).rstrip(b"\0")
            if tail:
                if not (tail.endswith(b"\xff\xd9") or (len(tail) == 1 and tail == b"\xd9")):
                    raise PhotoError(
                        f"{path.name} was not copied completely (the end is empty): copy it again from the original."
                    )
                return
            end = start


def _load_samples(path: Path, max_pixels: int) -> Photo:
    try:
        samples: Any = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, SyntaxError, tokenize.TokenError) as e:
        raise PhotoError(f"{path.name} holds no samples that can be read ({e}).") from e
    if samples.dtype not in (np.uint8, np.uint16) or samples.ndim != 3 or not 1 <= samples.shape[2] <= 4:
        raise PhotoError(
            f"{path.name} holds {samples.dtype} of the shape {samples.shape}; it must hold (height, width, 1 to 4) "
            "of 8 or 16 bits."
        )
    _check_size(path, samples.shape[1], samples.shape[0], max_pixels)
    raw, alpha = split_samples(np.array(samples))  # (height, width, 1 or 3), (height, width) or None
    return _photo(path, "npy", raw, alpha, None, None, None, 1)


def _load_raw(path: Path, max_pixels: int) -> Photo:
    try:
        import rawpy
    except ImportError as e:
        raise PhotoError(f"{path.name} is a RAW file: to read it, run `pip install 'stylefolder[raw]'`.") from e
    try:
        with rawpy.imread(str(path)) as raw:
            _check_size(path, raw.sizes.width, raw.sizes.height, max_pixels)
            pixels: Any = raw.postprocess(use_camera_wb=True, output_bps=16, gamma=SRGB_GAMMA)
    except rawpy.LibRawError as e:
        raise PhotoError(
            f"{path.name} is a RAW file that cannot be read ({_said(e)}): convert it to TIFF or JPEG."
        ) from e
    with path.open("rb") as file:
        return Photo(path, pixels, "raw", exif=exif.from_tiff(file))


def _said(e: Exception) -> str:
    """LibRaw's errors hold bytes."""
    return e.args[0].decode(errors="replace") if e.args and isinstance(e.args[0], bytes) else str(e)


def _check_size(path: Path, width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise PhotoError(
            f"{path.name} claims {width} x {height} pixels, more than the {max_pixels // 1_000_000} megapixels that "
            "are allowed."
        )
    if width < 1 or height < 1:
        raise PhotoError(f"{path.name} has no pixels.")


def _check_still(path: Path, image: Image.Image) -> None:
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format in ("GIF", "PNG", "WEBP", "AVIF"):
        raise PhotoError(
            f"{path.name} is animated ({frames} frames): save the frame that you want as a separate picture."
        )


def _upright(samples: Pixels, turn: int) -> Pixels:
    """Undo EXIF orientation 1 to 8."""
    if turn >= 5:
        samples = np.swapaxes(samples, 0, 1)
    if turn in (3, 4, 7, 8):
        samples = samples[::-1]
    if turn in (2, 3, 6, 7):
        samples = samples[:, ::-1]
    return np.ascontiguousarray(samples)


@functools.cache
def _register_formats() -> None:
    import pillow_heif

    Image.init()
    pillow_heif.register_heif_opener()
