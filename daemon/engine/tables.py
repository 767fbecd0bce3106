"""The table of a Look: kept for its series, and written to a file beside the Result or where someone asked for it."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

from daemon.ledger.job import Job, Order
from daemon.ledger.ledger import Ledger
from daemon.paths import free_name
from stylecore.errors import ResultError
from stylecore.images.atomic_write import write_whole
from stylecore.lut import from_bytes
from stylecore.lut_files import EXTENSIONS, encode_lut, is_unchanged, kind_of_name
from stylecore.preset import Look, Preset
from stylecore.recipe import MAX_SERIES

NOT_WRITTEN = "The table was not written: "


def in_series(ledger: Ledger, job: Job, order: Order) -> Order:
    """The Order with its series' table or, if there is none yet, with the photos to which it is fitted."""
    recipe = order.recipe
    if not isinstance(recipe, Look) or recipe.fit != "series" or recipe.strength == 0:
        return order
    table = ledger.series.table(recipe.digest)
    photos = recipe.photos or ledger.series.waiting(job, recipe.digest, MAX_SERIES)
    return replace(order, table=table, series=photos if table is None else ())


def keep_for_series(ledger: Ledger, order: Order, table: bytes | None) -> None:
    """Keep a table that was fitted to a series, before the first Result has its name: the next photo gets the same."""
    if table is not None and order.series:
        ledger.series.keep(order.recipe.digest, table)


def wants_table(recipe: Preset) -> bool:
    """Whether the table becomes a file."""
    return isinstance(recipe, Look) and (recipe.output.lut != "none" or bool(recipe.tables))


def write_tables(recipe: Preset, table: bytes | None, result: Path) -> list[str]:
    """Write the ``table``, which `stylecore.lut.to_bytes` gave, at the recipe's strength wherever it is wanted. Returns
    a sentence for each file that could not be written."""
    if table is None or not isinstance(recipe, Look) or not wants_table(recipe):
        return []
    lut = from_bytes(table).at_strength(recipe.strength)
    files = [(path, kind_of_name(path)) for path in recipe.tables]
    if recipe.output.lut != "none":
        beside = result.with_name(result.name + EXTENSIONS[recipe.output.lut])  # a.jpg and a.png have a table each
        files.append((free_name(beside, _is_of_others), recipe.output.lut))
    failed = []
    for path, kind in files:
        try:
            write_whole(path, encode_lut(lut, kind, recipe.name))
        except ResultError as e:
            failed.append(f"{NOT_WRITTEN}{e}")
    return failed


def _is_of_others(path: Path) -> bool:
    """Whether there is something of this name that is not a table as we wrote it."""
    try:
        return not stat.S_ISREG(path.lstat().st_mode) or not is_unchanged(path)  # opening a FIFO would never end
    except FileNotFoundError:
        return False
    except OSError:
        return True
