"""An Order on its way to another machine, with the bytes of its files."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path

from daemon.engine.messages import Finished
from daemon.errors import PhotoChanged
from daemon.ledger.job import Order
from daemon.ledger.signature import look, same
from stylecore.errors import PhotoError, PhotoGone, WeightsError, cause
from stylecore.images.atomic_write import write_whole
from stylecore.preset import files_of, preset_of_json, with_files

PACKAGED = ("oxford", "torchvision")  # weights that are not files of the user's


@dataclass(frozen=True)
class Parcel:
    """Path objects do not travel: another system, or another version of Python, cannot read them.

    ``photo``: its name and bytes. ``target``: the name of the Result's file, if someone named one. ``recipe``: the
    Preset as JSON, in which each file is its sha256 and suffix. ``contents``: the bytes of those files that the other
    machine may lack, by sha256, which it keeps. ``weights``: the sha256 of the weights, if they are a file; they do not
    travel. ``series``: the suffixes and bytes of the photos to which a table is fitted, without those that the recipe
    names, which are ``named``.
    """

    job: int
    photo: tuple[str, bytes]
    target: str | None
    recipe: str
    contents: dict[str, bytes]
    weights: str | None
    table: bytes | None
    named: tuple[str, ...]
    series: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True)
class Delivery:
    """What comes back: how the Job ended, and its Result; or how its worker process ``died``."""

    finished: Finished | None
    result: bytes = b""
    died: str | None = None

    def __sizeof__(self) -> int:
        """With the Result: Dask asks for it, and so the daemon knows how much is about to travel."""
        return object.__sizeof__(self) + len(self.result)


def size_of(order: Order) -> int:
    """Bytes of the files that it needs, roughly: what the other machine has is among them."""
    found = order.signature.size
    for file in (*order.series, *files_of(order.recipe)):
        with contextlib.suppress(OSError):  # whoever reads it says so
            found += file.stat().st_size
    return found


def pack(order: Order, there: Container[str]) -> Parcel:
    """``there``: the sha256 of what the other machine has. Raises PhotoChanged, PhotoGone, PhotoError, WeightsError."""
    try:
        photo = _read(order.photo)
        if not same(look(order.photo), order.signature):
            raise PhotoChanged("The photo changed before its turn, and will be checked again.")
    except FileNotFoundError as e:
        raise PhotoGone("The photo was removed before its turn.") from e
    except OSError as e:
        raise PhotoError(f"{order.photo} cannot be read ({cause(e)}).") from e
    names, contents = dict[Path, str](), dict[str, bytes]()
    for file in files_of(order.recipe):
        try:
            data = _read(file)
        except (FileNotFoundError, PhotoError) as e:
            raise PhotoError(
                f"{file} of the preset cannot be read. Touch the photo to style it with the preset as it is now."
            ) from e
        digest = hashlib.sha256(data).hexdigest()
        names[file] = f"{digest}{file.suffix}"  # the suffix identifies some formats
        if digest not in there:
            contents[digest] = data
    weights = None
    if order.recipe.weights not in PACKAGED:
        weights = _digest(Path(order.recipe.weights).expanduser())
    series = []
    for file in order.series:
        with contextlib.suppress(FileNotFoundError, PhotoError):  # its own Job will say so
            if file not in names:
                series.append((file.suffix, _read(file)))
    return Parcel(
        job=order.job,
        photo=(order.photo.name, photo),
        target=order.target.name if order.target else None,
        recipe=with_files(order.recipe, lambda file: Path(names[file])).model_dump_json(),
        contents=contents,
        weights=weights,
        table=order.table,
        named=tuple(names[file] for file in order.series if file in names),
        series=tuple(series),
    )


def unpack(parcel: Parcel, folder: Path, cache: Path, own_weights: Path) -> Order:
    """The Order with files of this machine: the photos in ``folder``, the others in ``cache``. Weights are those in
    ``own_weights``, or under their own path, with the same sha256. Raises ResultError if a file cannot be written, and
    WeightsError."""
    for digest, data in parcel.contents.items():
        write_whole(cache / digest, data)
    name, data = parcel.photo
    photo, series = folder / "photo" / name, list[Path]()
    photo.parent.mkdir()
    write_whole(photo, data)
    for number, (suffix, data) in enumerate(parcel.series):
        series.append(folder / f"{number}{suffix}")
        write_whole(series[-1], data)

    def find(file: Path) -> Path:
        with contextlib.suppress(FileExistsError):
            os.link(cache / file.stem, cache / file)
        return cache / file

    recipe = with_files(preset_of_json(parcel.recipe), find)
    if parcel.weights is not None:
        found = _find_weights(parcel.weights, [Path(recipe.weights).expanduser(), *sorted(own_weights.glob("*"))])
        if found is None:
            raise WeightsError(
                f"The preset's weights {recipe.weights} are not on this machine: copy that file to {own_weights}."
            )
        recipe = recipe.model_copy(update={"weights": str(found)})
    return Order(
        job=parcel.job,
        photo=photo,
        recipe=recipe,
        signature=look(photo),
        target=folder / "result" / parcel.target if parcel.target else None,
        table=parcel.table,
        series=(*(find(Path(name)) for name in parcel.named), *series),
    )


def _read(file: Path) -> bytes:
    """Raises FileNotFoundError, PhotoError."""
    try:
        return file.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as e:
        raise PhotoError(f"{file} cannot be read ({cause(e)}).") from e


def _digest(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as e:
        raise WeightsError(f"The weights file {file} cannot be read ({cause(e)}).") from e


def _find_weights(digest: str, places: list[Path]) -> Path | None:
    return next((place for place in places if place.is_file() and _digest(place) == digest), None)
