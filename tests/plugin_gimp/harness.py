"""A real GIMP 3 with our plug-in installed, and a real daemon beside it."""

from __future__ import annotations

import json
import subprocess
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.daemon.harness import STYLEFOLDER, Daemon
from tests.harness import HANG, REPOSITORY
from tests.plugin_gimp.found import console

HERE = Path(__file__).parent
FAST = f"description: Oil, quickly\nstyle: {REPOSITORY / 'presets' / 'styles' / 'oil.jpg'}\nsteps: 1\nsize: 64\n"


@dataclass
class Gimp:
    """Its profile is ``directory``; ``daemon`` may run or not."""

    command: list[str]
    directory: Path
    daemon: Daemon

    @property
    def plug_in(self) -> Path:
        return self.directory / "plug-ins" / "stylefolder"

    @property
    def environment(self) -> dict[str, str]:
        return {**self.daemon.environment, "GIMP3_DIRECTORY": str(self.directory)}

    def start(self, scenario: str) -> subprocess.Popen[str]:
        """``scenario``: Python that runs in GIMP after ``inside.py`` and fills OUTCOME."""
        script = self.directory / "scenario.py"
        script.write_text((HERE / "inside.py").read_text() + "\n" + textwrap.dedent(scenario) + "\ntell()\n")
        command = [
            *self.command,
            "-n",
            "-i",
            "-d",
            "-f",
            "--quit",
            "--batch-interpreter",
            "python-fu-eval",
            "-b",
            f"exec(open({str(script)!r}).read())",
        ]
        environment = {**self.environment, "OUTCOME": str(self.directory / "outcome.json")}
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def run(self, scenario: str) -> dict[str, Any]:
        (self.directory / "outcome.json").unlink(missing_ok=True)
        process = self.start(scenario)
        said, _ = process.communicate(timeout=HANG)
        assert process.returncode == 0, said
        found: dict[str, Any] = json.loads((self.directory / "outcome.json").read_text())
        return found


def make(folder: Path) -> Gimp:
    """A fresh profile, our plug-in installed into it by our own command."""
    command = console()
    assert command is not None
    (folder / "home").mkdir(parents=True)
    daemon = Daemon(folder / "Root", folder / "home")
    daemon.root.mkdir()
    gimp = Gimp(command, folder / "profile", daemon)
    done = subprocess.run([*STYLEFOLDER, "gimp", "install"], env=gimp.environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return gimp
