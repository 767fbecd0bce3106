"""Imports run downwards, without cycles, as ARCHITECTURE.md draws them."""

from __future__ import annotations

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path

from tests.harness import REPOSITORY

LAYERS = [
    ["daemon.__main__"],
    ["daemon.commands"],
    ["daemon.watch", "daemon.terminal"],
    ["daemon.loop"],
    ["daemon.start", "daemon.snapshot"],
    ["daemon.cluster"],
    ["daemon.engine"],
    ["daemon.api"],
    ["daemon.settings"],
    ["daemon.folders"],
    ["daemon.lifetime", "daemon.lock", "daemon.log"],
    ["daemon.sentences"],
    ["daemon.events"],
    ["daemon.ledger"],
    ["daemon.certificates"],
    ["daemon.paths", "daemon.errors"],
    ["stylecore"],
]
"""From top to bottom. A package imports itself and lower layers only."""

OUR_TOP = ("daemon", "stylecore", "plugin_gimp", "presets", "tests")


def modules() -> dict[str, Path]:
    """The files of our packages, by dotted name."""
    found = {}
    for package in ("daemon", "stylecore", "plugin_gimp"):
        for path in (REPOSITORY / package).rglob("*.py"):
            dotted = ".".join(path.relative_to(REPOSITORY).with_suffix("").parts)
            found[dotted.removesuffix(".__init__")] = path
    return found


def imports_of(path: Path) -> set[str]:
    """Our own modules and packages that a file imports anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    known = modules()
    return {name if name in known else name.rpartition(".")[0] for name in found if name.split(".")[0] in OUR_TOP}


def layer_of(module: str) -> int:
    return next(i for i, names in enumerate(LAYERS) for name in names if f"{module}.".startswith(f"{name}."))


def package_of(module: str) -> str:
    return next(name for names in LAYERS for name in names if f"{module}.".startswith(f"{name}."))


def test_imports_run_downwards() -> None:
    wrong = []
    for module, path in modules().items():
        if module == "daemon" or module.startswith("plugin_gimp"):
            continue
        for imported in imports_of(path):
            if package_of(imported) != package_of(module) and layer_of(imported) <= layer_of(module):
                wrong.append(f"{module} imports {imported}")
    assert not wrong, "\n".join(wrong)


def test_there_are_no_circles() -> None:
    graph = {module: imports_of(path) & modules().keys() - {module} for module, path in modules().items()}
    graph.pop("stylecore")  # its names are imported when first used
    list(TopologicalSorter(graph).static_order())  # raises CycleError


def test_the_plug_in_imports_neither() -> None:
    for module, path in modules().items():
        if module.startswith("plugin_gimp"):
            assert not imports_of(path) - {"plugin_gimp"}, module


def test_the_architecture_draws_the_same_layers() -> None:
    drawing = (REPOSITORY / "ARCHITECTURE.md").read_text().split("```")[1]
    rows = [re.findall(r"(\w+)(?:/|\.py)(?=\s)", line) for line in drawing.splitlines()]
    layers = [[name.removeprefix("daemon.") for name in layer] for layer in LAYERS if layer != ["daemon.__main__"]]
    assert [sorted(row) for row in rows if row] == [sorted(layer) for layer in layers]
