"""An Order on its way to another machine, with the bytes of its files."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Container
from dataclasses import dataclass, replace
from pathlib import Path

from daemon.engine.messages import Finished
from daemon.errors import PhotoChanged
from daemon.ledger.job import Order
from daemon.ledger.signature import look, same
from stylecore.errors import PhotoError, PhotoGone, WeightsError
from stylecore.images.atomic_write import write_whole
from stylecore.preset import files_of, with_files

PACKAGED = ("oxford", "torchvision")  # weights that are not files of the user's


@dataclass(frozen=True)
class Parcel:
    """``files``: the sha256 of each file that the recipe names; ``weights``: of the weights, if they are a file.
    ``contents``: the bytes of those that the other machine may lack, by sha256, which it keeps. Weights do not travel.
    ``series``: the suffixes and bytes of the series' photos that the recipe does not name."""

    order: Order
    photo: bytes
    files: dict[Path, str]
    contents: dict[str, bytes]
    weights: str | None = None
    series: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True)
class Delivery:
    """What comes back: how the Job ended, and its Result; or how its worker process ``died``."""

    finished: Finished | None
    result: bytes = b""
    died: str | None = None


def pack(order: Order, there: Container[str]) -> Parcel:
    """``there``: the sha256 of what the other machine has. Raises PhotoChanged, PhotoGone, PhotoError, WeightsError."""
    try:
        photo = _read(order.photo)
        if not same(look(order.photo), order.signature):
            raise PhotoChanged("The photo changed before its turn, and will be checked again.")
    except FileNotFoundError as e:
        raise PhotoGone("The photo was removed before its turn.") from e
    files, contents = dict[Path, str](), dict[str, bytes]()
    for file in files_of(order.recipe):
        try:
            data = _read(file)
        except (FileNotFoundError, PhotoError) as e:
            raise PhotoError(
                f"{file} of the preset cannot be read. Touch the photo to style it with the preset as it is now."
            ) from e
        files[file] = hashlib.sha256(data).hexdigest()
        if files[file] not in there:
            contents[files[file]] = data
    weights = None
    if order.recipe.weights not in PACKAGED:
        weights = _digest(Path(order.recipe.weights).expanduser())
    series = []
    for file in order.series:
        with contextlib.suppress(FileNotFoundError, PhotoError):  # its own Job will say so
            if file not in files:
                series.append((file.suffix, _read(file)))
    return Parcel(order, photo, files, contents, weights, tuple(series))


def unpack(parcel: Parcel, folder: Path, cache: Path, own_weights: Path) -> Order:
    """The Order with files of this machine: the photos in ``folder``, the others in ``cache``. Weights are those in
    ``own_weights``, or under their own path, with the same sha256. Raises ResultError if a file cannot be written, and
    WeightsError."""
    for digest, data in parcel.contents.items():
        write_whole(cache / digest, data)
    order = parcel.order
    photo, series = folder / "photo" / order.photo.name, list[Path]()
    photo.parent.mkdir()
    write_whole(photo, parcel.photo)
    for number, (suffix, data) in enumerate(parcel.series):
        series.append(folder / f"{number}{suffix}")
        write_whole(series[-1], data)

    def move(file: Path) -> Path:
        named = cache / f"{parcel.files[file]}{file.suffix}"  # the suffix identifies some formats
        with contextlib.suppress(FileExistsError):
            os.link(cache / parcel.files[file], named)
        return named

    recipe = with_files(order.recipe, move)
    if parcel.weights is not None:
        found = _find_weights(parcel.weights, [Path(recipe.weights).expanduser(), *sorted(own_weights.glob("*"))])
        if found is None:
            raise WeightsError(
                f"The preset's weights {recipe.weights} are not on this machine: copy that file to {own_weights}."
            )
        recipe = recipe.model_copy(update={"weights": str(found)})
    return replace(
        order,
        photo=photo,
        recipe=recipe,
        signature=look(photo),
        target=order.target and folder / "result" / order.target.name,
        series=(*(move(file) for file in order.series if file in parcel.files), *series),
    )


def _read(file: Path) -> bytes:
    """Raises FileNotFoundError, PhotoError."""
    try:
        return file.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as e:
        raise PhotoError(f"{file} cannot be read ({e.strerror}).") from e


def _digest(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as e:
        raise WeightsError(f"The weights file {file} cannot be read ({e.strerror}).") from e


def _find_weights(digest: str, places: list[Path]) -> Path | None:
    return next((place for place in places if place.is_file() and _digest(place) == digest), None)
