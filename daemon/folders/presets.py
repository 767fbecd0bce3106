"""The Presets in force: found in their folders, loaded, loaded anew when their files change."""

from __future__ import annotations

import difflib
import hashlib
import io
import time
from collections.abc import Iterable
from pathlib import Path

from daemon import paths
from daemon.folders import completeness
from stylecore.errors import PresetError, ResultError
from stylecore.images.atomic_write import write_whole
from stylecore.preset import Preset, StylePicture, find_presets, load_preset, preset_of_picture

YAML = (".yaml", ".yml")
DECODED = 256  # pixels at least, of a JPEG that is looked at
PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".heic", ".avif")


class Library:
    """``refresh`` looks into the folders that ``find`` names; what is wrong with a preset is in ``errors`` under its name,
    and its last good version, if there was one, stays in ``presets``.

    ``store``: a folder for copies of the style pictures, named by their bytes, to which the presets then point: a Job is
    pinned to the picture that it was queued with. Both dictionaries are replaced and never changed: threads may read them.
    """

    def __init__(self, root: Path, store: Path | None = None) -> None:
        self.root = root
        self.store = store
        self.presets: dict[str, Preset] = {}
        self.errors: dict[str, str] = {}
        self.waiting: set[str] = set()  # presets whose style picture is being written
        self.style_pictures: set[str] = set()  # the presets' own, which are no photos where they lie in an Inbox
        self._seen: dict[str, tuple[object, ...]] = {}
        self._pictures: dict[str, list[Path]] = {}
        self.refresh()

    def refresh(self) -> None:
        try:
            found = find(self.root)
        except OSError:  # a mount that is dead for the moment: what is in force stays
            return
        presets = {name: preset for name, preset in self.presets.items() if name in found}
        errors = {name: error for name, error in self.errors.items() if name in found}
        self.waiting = set()
        for name, path in found.items():
            if self._seen.get(name) == self._stamps(name, path) and name not in errors:
                continue
            try:
                file = self._stamps("", path)  # before it is read: what is written meanwhile is read again
                preset = _load(name, path)
                self._pictures[name] = [p.picture for p in preset.style]
                pictures = self._stamps(name, path)[len(file) :]
                presets[name] = self._pinned(preset)
                self._seen[name] = file + pictures
                errors.pop(name, None)
            except _Unsettled:
                self.waiting.add(name)
            except (PresetError, ResultError, OSError) as e:
                errors[name] = " ".join(str(e).splitlines()) + (
                    " Its last good version stays in force." if name in presets else ""
                )
        resolved = {picture for pictures in self._pictures.values() for picture in pictures}
        self.style_pictures = {
            *map(self._as_scanned, resolved),
            *(str(path) for path in found.values() if path.suffix not in YAML),
        }
        self.presets, self.errors = dict(sorted(presets.items())), errors

    def why_not(self, name: str) -> str:
        """The sentence for a name that is in ``presets`` not."""
        if name in self.errors or _near(name, self.presets):
            return self.errors.get(name) or _unknown(name, self.presets)
        return f"There is no preset {name!r}: put a picture named style.jpg into this folder to make it one, or drop its photos into another."

    def _pinned(self, preset: Preset) -> Preset:
        if self.store is None:
            return preset
        pictures = []
        for style in preset.style:
            if (
                0 <= time.time() - style.picture.stat().st_mtime < completeness.SETTLE
                or (digest := completeness.digest_if_free(style.picture)) is None
            ):
                raise _Unsettled
            copy = self.store / f"{digest}{style.picture.suffix.lower()}"
            if not copy.exists():
                data = style.picture.read_bytes()
                if hashlib.sha256(data).hexdigest() != digest:
                    raise _Unsettled
                _decode(style.picture, data)
                write_whole(copy, data)
            pictures.append(StylePicture(picture=copy, weight=style.weight))
        return preset.model_copy(update={"style": tuple(pictures)})

    def _as_scanned(self, picture: Path) -> str:
        """The path under the Root by which the watcher finds it: a Root may lie behind a symbolic link."""
        real = self.root.resolve()
        return str(self.root / picture.relative_to(real) if picture.is_relative_to(real) else picture)

    def _stamps(self, name: str, path: Path) -> tuple[object, ...]:
        stamps: list[object] = [path]
        for file in (path, *self._pictures.get(name, ())):
            try:
                stat = file.stat()
                stamps.append((stat.st_mtime_ns, stat.st_size, stat.st_ino))
            except OSError:
                stamps.append(None)
        return tuple(stamps)


class _Unsettled(Exception):
    """A style picture is being written."""


def _decode(picture: Path, data: bytes) -> None:
    """Raises PresetError where the picture is cut off: told here with its name, and not by each Job. What only others than
    Pillow read is left to them."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(data)) as image:
            image.draft("RGB", (DECODED, DECODED))
            image.load()
    except (UnidentifiedImageError, Image.DecompressionBombError):
        return
    except (OSError, SyntaxError, ValueError) as e:
        raise PresetError(f"The style picture {picture} is damaged or cut off ({e}): copy it again.") from e


def find(root: Path) -> dict[str, Path]:
    """By name, the file of each preset in force with this Root: a YAML file in a folder of presets, or else a picture named
    ``style.*`` in a folder of the Root, which is a preset with the defaults."""
    found: dict[str, Path] = {}
    for picture in root.glob("*/[sS]tyle.*"):
        folder = picture.parent.name
        if (
            picture.suffix.lower() in PICTURES
            and picture.is_file()
            and not folder.startswith(".")
            and folder != paths.PRESETS
        ):
            found.setdefault(folder, picture)
    return {**found, **find_presets(paths.preset_folders(root))}


def get_preset(name_or_file: str, root: Path) -> Preset:
    """By name, or a YAML file by its path. Raises PresetError."""
    path = Path(name_or_file)
    if path.suffix in YAML:
        return load_preset(path)
    found = find(root)
    if name_or_file in found:
        return _load(name_or_file, found[name_or_file])
    raise PresetError(_unknown(name_or_file, found))


def _load(name: str, path: Path) -> Preset:
    return load_preset(path) if path.suffix in YAML else preset_of_picture(path, name)


def _unknown(name: str, known: Iterable[str]) -> str:
    near = _near(name, known)
    hint = f"did you mean {near!r}?" if near else f"there are {', '.join(known) or 'none'}."
    return f"There is no preset {name!r}: {hint}"


def _near(name: str, known: Iterable[str]) -> str | None:
    return next(iter(difflib.get_close_matches(name, known, 1, 0.65)), None)
