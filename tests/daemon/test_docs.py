"""The documents tell the truth: the tests that they name exist, and every fault test is named with its tier."""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml
from PIL import Image

from daemon.settings import Settings
from stylecore.lut import Lut, identity
from stylecore.lut_files import cube
from stylecore.recipe import LookRecipe, PaintingRecipe
from tests.daemon.harness import STYLEFOLDER, Daemon
from tests.harness import HANG, REPOSITORY, free_address, wait_for


def tiers_in(folder: Path) -> dict[str, str]:
    """Each test's tier: slow, long, or empty for `make test`."""
    found = {}
    for file in folder.rglob("test_*.py"):
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                marks = [ast.unparse(decorator).removeprefix("pytest.mark.") for decorator in node.decorator_list]
                found[node.name] = next((mark for mark in marks if mark in ("slow", "long")), "")
    return found


def test_reliability_names_each_fault_test() -> None:
    text, threats = ((REPOSITORY / name).read_text() for name in ("docs/reliability.md", "SECURITY.md"))
    named = dict(re.findall(r"`(test_\w+)`(?: \((slow|long)\))?", text))
    there = tiers_in(REPOSITORY / "tests")
    assert tiers_in(REPOSITORY / "tests" / "daemon" / "faults").keys() <= named.keys() <= there.keys()
    assert named == {name: there[name] for name in named}
    assert set(re.findall(r"`(test_\w+)`", threats)) <= there.keys()


DOCUMENTS = [REPOSITORY / "README.md", REPOSITORY / "ARCHITECTURE.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
FILL = {
    "PHOTO": "photo.jpg", "NAME": "oil", "FILE": "mine.yaml", "FOLDER": "holiday", "OUT": "done",
    "ADDRESS:PORT": free_address(),
}  # fmt: skip
LASTING = (
    "watch",
    "watch --device cuda:1",
    "watch --cluster ADDRESS:PORT",
    "watch --listen ADDRESS:PORT",
    "status",
    "status --json",
)  # these run until they are stopped


def commands() -> dict[str, Path]:
    """Each command, with a document that has it: in a block, at the start of a line, or between backticks."""
    found: dict[str, Path] = {}
    for document in DOCUMENTS:
        text = document.read_text()
        blocks = re.findall(r"^```\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        lines = [line.partition("  #")[0].strip() for block in blocks for line in block.splitlines()]
        for command in [line for line in lines if line.startswith("stylefolder ")] + re.findall(
            r"`(stylefolder [^`]+)`", text
        ):
            if "..." not in command and "|" not in command:
                found.setdefault(command.removeprefix("stylefolder "), document)
    return found


def test_every_picture_and_page_is_there() -> None:
    for document in DOCUMENTS:
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name} shows {target}"


def test_every_file_in_the_architecture_is_there() -> None:
    there = [path for package in ("daemon", "stylecore", "tests") for path in (REPOSITORY / package).rglob("*.py")]
    for name in re.findall(r"`([\w/]+\.py)`", (REPOSITORY / "ARCHITECTURE.md").read_text()):
        assert any(path.match(name) for path in there), name


def test_every_key_of_a_preset_has_its_place() -> None:
    text = (REPOSITORY / "docs" / "presets.md").read_text()
    assert {*PaintingRecipe.model_fields, *LookRecipe.model_fields} <= set(re.findall(r"`(\w+)`", text))


def test_the_settings_in_the_readme_are_the_defaults() -> None:
    block = re.search(r"```yaml\n(originals:.*?)```", (REPOSITORY / "README.md").read_text(), re.DOTALL)
    assert block is not None
    assert yaml.safe_load(block[1]) == Settings().model_dump()


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_every_command_in_the_documents_runs(daemon: Daemon, fast: str, cat: Image.Image) -> None:
    """In a separate home folder, with quick presets in place of the shipped ones. A daemon runs in the meantime, except
    for the commands that start one."""
    home = daemon.home
    daemon.root = home / "Pictures" / "Stylefolder"
    inbox = daemon.preset("oil", fast)
    for shipped in (REPOSITORY / "presets").glob("*.yaml"):  # `sheet` paints under all of them
        daemon.preset(shipped.stem, fast)
    for name in ("photo.jpg", "picture.jpg"):
        cat.resize((150, 100)).save(home / name)
    (home / "look.cube").write_bytes(cube(Lut(identity()), "look"))
    (home / "mine.yaml").write_text(fast)
    (home / "holiday").mkdir()
    cat.resize((90, 60)).save(home / "holiday" / "beach.jpg")
    (home / "config" / "GIMP" / "3.0").mkdir(parents=True)  # as if GIMP had been started once
    tools = home / "bin"
    tools.mkdir()
    for tool in ("systemctl", "editor"):
        (tools / tool).write_text("#!/bin/sh\n")
        (tools / tool).chmod(0o755)
    daemon.extra = {"PATH": f"{tools}:{os.environ['PATH']}", "EDITOR": "editor", "VISUAL": "editor"}

    def run(command: str) -> subprocess.CompletedProcess[str]:
        words = [FILL.get(word, word) for word in shlex.split(command)]
        env = {**daemon.environment, "COLUMNS": "100"}
        if command in LASTING:
            words = ["timeout", "-s", "INT", "6", *STYLEFOLDER, *words]
            return subprocess.run(words, cwd=home, env=env, capture_output=True, text=True, timeout=HANG)
        return subprocess.run([*STYLEFOLDER, *words], cwd=home, env=env, capture_output=True, text=True, timeout=HANG)

    wanted = commands()
    assert len(wanted) > 20
    alone = [command for command in wanted if command.startswith("watch")]
    failed = {command: done for command in alone if (done := run(command)).returncode not in (0, 124)}
    daemon.start("--listen", FILL["ADDRESS:PORT"])
    for number in (1, 2):  # clients, of which one is removed
        laptop = Daemon(home / f"laptop {number}" / "Root", home / f"laptop {number}")
        laptop.home.mkdir()
        line = shlex.split(daemon.run("pair").stdout)[-1]
        assert laptop.run("connect", line).returncode == 0
    daemon.run("pause")
    for i in range(12):
        cat.resize((60, 40)).rotate(i).save(inbox / f"{i}.png")
    wait_for(lambda: len(daemon.jobs()) >= 12)
    (inbox / "words.jpg").write_text("words")
    first = ("cancel", "retry", "resume")
    last = len(first)
    order = sorted(
        wanted.keys() - set(alone),
        key=lambda command: (next((i for i, word in enumerate(first) if command.startswith(word)), last), command),
    )
    for command in order:
        if (done := run(command)).returncode not in (0, 124) or "Traceback" in done.stderr:
            failed[command] = done
        if command == "pause":
            daemon.run("resume")
    assert not failed, "\n".join(
        f"{wanted[c].name}: {c}: {done.returncode} {done.stderr}" for c, done in failed.items()
    )
