"""The documents tell the truth: tests that they name exist, and all fault tests are named; so are those marked slow."""

from __future__ import annotations

import ast
import re
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent


def named_in(folder: Path) -> dict[str, bool]:
    """By name, whether marked slow."""
    found = {}
    for file in folder.rglob("test_*.py"):
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                found[node.name] = any(ast.unparse(d) == "pytest.mark.slow" for d in node.decorator_list)
    return found


def test_reliability_names_each_fault_test() -> None:
    text = (REPOSITORY / "docs" / "reliability.md").read_text()
    named = {name: bool(slow) for name, slow in re.findall(r"`(test_\w+)`( \(slow\))?", text)}
    there = named_in(REPOSITORY / "tests" / "daemon")
    assert named.keys() <= there.keys()
    assert named_in(REPOSITORY / "tests" / "daemon" / "faults").keys() <= named.keys()
    assert {name for name, slow in named.items() if slow} == {name for name in named if there[name]}
