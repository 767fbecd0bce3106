"""The Presets in effect: found in their folders, loaded, and reloaded when their files change."""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import os
import time
from collections.abc import Iterable
from pathlib import Path

from daemon.folders.completeness import SETTLE, digest_if_complete
from daemon.folders.layout import PRESETS, Layout
from daemon.folders.names import is_others_folder
from stylecore.errors import LutError, PhotoError, PresetError, ResultError
from stylecore.images.atomic_write import write_whole
from stylecore.images.formats import PICTURE_SUFFIXES, RAW_SUFFIXES
from stylecore.images.preview import small_picture
from stylecore.lut_files import read_lut
from stylecore.preset import Look, Preset, files_of, with_files
from stylecore.preset_file import find_presets, load_preset, preset_of_picture

YAML = (".yaml", ".yml")
TRANSFERS = {"style": "painting", "Style": "painting", "look": "look", "Look": "look"}
"""By the stem of a picture in a folder in the Root."""
DECODED = 256  # pixels, at which a style picture is decoded to see that it is whole
READ_BY_PILLOW = {*PICTURE_SUFFIXES} - {*RAW_SUFFIXES, ".heic", ".heif", ".hif", ".tif", ".tiff"}


class Presets:
    """``refresh`` looks at the folders. What is wrong with a Preset is in ``errors`` under its name, and its last good
    version, if there was one, stays in ``in_force``. Both dictionaries are replaced and never changed.

    With ``pin``, style pictures are copied to the Root's style store, named by their bytes, and the Presets point to
    the copies: a Job keeps the picture that it was queued with.
    """

    def __init__(self, layout: Layout, *, pin: bool = False) -> None:
        self.layout = layout
        self.pin = pin
        self.in_force: dict[str, Preset] = {}
        self.errors: dict[str, str] = {}
        self.unsettled: set[str] = set()  # Presets whose style picture is being written
        self.style_pictures: set[str] = set()  # not photos, even if they are in an Inbox
        self.named_photos: set[str] = set()  # to which series are fitted: they stay where they are
        self._seen: dict[str, tuple[object, ...]] = {}
        self._damaged: dict[str, tuple[object, ...]] = {}
        self._pictures: dict[str, list[Path]] = {}
        self._photos: dict[str, set[Path]] = {}  # of series
        self.refresh()

    def refresh(self) -> None:
        try:
            found = find(self.layout)
        except OSError:  # a mount that is dead for the moment: keep what is loaded
            return
        presets = {name: preset for name, preset in self.in_force.items() if name in found}
        errors = {name: error for name, error in self.errors.items() if name in found}
        self._pictures = {name: pictures for name, pictures in self._pictures.items() if name in found}
        self.unsettled = set()
        for name, path in found.items():
            stamps = self._stamps(name, path)
            if name in presets and name not in errors and self._seen.get(name) == stamps:
                continue
            if name in errors and self._damaged.get(name) == stamps:
                continue  # reading a table takes seconds
            try:
                file = self._stamps("", path)  # taken before it is read, so that a change in the meantime is noticed
                preset = _load(name, path)
                self._pictures[name] = files_of(preset)
                self._photos[name] = _series(preset)
                pictures = self._stamps(name, path)[len(file) :]
                presets[name] = self._pinned(preset) if self.pin else preset
                self._seen[name] = file + pictures
                errors.pop(name, None)
            except _Unsettled:
                self.unsettled.add(name)
            except (PresetError, PhotoError, LutError, ResultError, OSError) as e:
                if isinstance(e, LutError):
                    self._damaged[name] = self._stamps(name, path)
                stays = " Its last good version stays in effect." if name in presets else ""
                errors[name] = " ".join(str(e).splitlines()) + stays
        pictures_of_all = {p for name, files in self._pictures.items() for p in files if p not in self._photos[name]}
        in_folders = {str(path) for path in found.values() if path.suffix not in YAML}
        self.style_pictures = {*map(self._as_scanned, pictures_of_all), *in_folders}
        self.named_photos = {self._as_scanned(photo) for photos in self._photos.values() for photo in photos}
        self.in_force, self.errors = dict(sorted(presets.items())), errors

    def why_not(self, name: str) -> str:
        """The sentence that explains why there is no usable Preset of this name."""
        if name in self.errors or _near(name, self.in_force):
            return self.errors.get(name) or _unknown(name, self.in_force)
        return (
            f"There is no preset {name!r}: put a picture named style.jpg, or look.jpg for a look, into this folder to "
            "create it, or drop the photos into another folder."
        )

    def _pinned(self, preset: Preset) -> Preset:
        photos = _series(preset)  # only looked at when the table is fitted
        return with_files(preset, lambda file: file if file in photos else self._copy(file))

    def _copy(self, file: Path) -> Path:
        age = time.time() - file.stat().st_mtime
        if 0 <= age < SETTLE or (digest := digest_if_complete(file, lambda: None)) is None:
            raise _Unsettled
        copy = self.layout.style_store / f"{digest}{file.suffix.lower()}"
        if not copy.exists():
            data = file.read_bytes()
            if hashlib.sha256(data).hexdigest() != digest:
                raise _Unsettled
            _check_whole(file)
            if not os.path.isdir(self.layout.own_folder):
                raise _Unsettled  # the Root was unmounted just now: nothing is put on the disk below
            write_whole(copy, data)
        return copy

    def _as_scanned(self, picture: Path) -> str:
        """The path under the Root at which the watcher finds it: a Root can be behind a symbolic link."""
        root = self.layout.root
        real = root.resolve()
        return str(root / picture.relative_to(real) if picture.is_relative_to(real) else picture)

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


def _series(preset: Preset) -> set[Path]:
    """The photos that a Look is fitted to. They are photos like any other, even if they are in an Inbox."""
    return set(preset.photos) if isinstance(preset, Look) else set()


def _check_whole(picture: Path) -> None:
    """Raises PresetError if the picture is cut off, or LutError for a table, so that the error appears once, by name,
    and not in each Job."""
    if picture.suffix.lower() == ".cube":
        read_lut(picture)
    if picture.suffix.lower() not in READ_BY_PILLOW:
        return  # the worker's decoders will report it
    try:
        small_picture(picture, DECODED, DECODED)
    except PhotoError as e:
        raise PresetError(f"The style picture {picture} is damaged or cut off: copy it again. ({e})") from e


def find(layout: Layout) -> dict[str, Path]:
    """The file of each Preset, by name: a YAML file in the Root's or the user's folder of Presets; or else a picture
    named ``style.*`` or ``look.*`` in a folder in the Root, which is a painting or a Look with the defaults (with both,
    a painting); or else a shipped YAML file."""
    found: dict[str, Path] = {}
    try:
        folders = sorted(os.listdir(layout.root))  # noqa: PTH208
    except (FileNotFoundError, NotADirectoryError):
        folders = []
    for folder in folders:
        if is_others_folder(folder) or folder == PRESETS:
            continue
        with contextlib.suppress(OSError):  # no folder, or one whose mount is dead: the watcher says so
            for picture in sorted((layout.root / folder).iterdir()):
                transfer = TRANSFERS.get(picture.stem)
                if transfer is None or picture.suffix.lower() not in PICTURE_SUFFIXES or not picture.is_file():
                    continue
                if folder not in found or (transfer == "painting" and TRANSFERS[found[folder].stem] == "look"):
                    found[folder] = picture
    *own, shipped = layout.preset_folders
    return {**find_presets([shipped]), **found, **find_presets(own)}


def get_preset(name_or_file: str, layout: Layout) -> Preset:
    """By name, or a YAML file by its path. Raises PresetError."""
    path = Path(name_or_file)
    if path.suffix in YAML:
        return load_preset(path)
    found = find(layout)
    if name_or_file in found:
        return _load(name_or_file, found[name_or_file])
    raise PresetError(_unknown(name_or_file, found))


def _load(name: str, path: Path) -> Preset:
    return load_preset(path) if path.suffix in YAML else preset_of_picture(path, name, TRANSFERS[path.stem])


def _unknown(name: str, known: Iterable[str]) -> str:
    near = _near(name, known)
    hint = f"did you mean {near!r}?" if near else f"choose one of {', '.join(known) or 'none'}."
    return f"There is no preset {name!r}: {hint}"


def _near(name: str, known: Iterable[str]) -> str | None:
    return next(iter(difflib.get_close_matches(name, known, 1, 0.65)), None)
