"""Whether there is a GIMP 3 here."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess

PROGRAMS = ("gimp-console-3.0", "gimp-console-3.2", "gimp-console-3", "gimp-console")


@functools.lru_cache
def console() -> list[str] | None:
    """The command for GIMP 3 without a window; STYLEFOLDER_GIMP can name a launcher. None if there is no GIMP 3."""
    launcher = [os.environ["STYLEFOLDER_GIMP"]] if os.environ.get("STYLEFOLDER_GIMP") else []
    for program in PROGRAMS:
        if launcher or shutil.which(program):
            said = subprocess.run([*launcher, program, "--version"], capture_output=True, text=True).stdout
            if "version 3." in said:
                return [*launcher, program]
    return None
