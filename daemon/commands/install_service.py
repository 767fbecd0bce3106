"""``stylefolder service``: start the daemon when the user logs in, with systemd on Linux and launchd on macOS."""

from __future__ import annotations

import os
import plistlib
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from daemon.errors import NoService
from daemon.lifetime import WATCHDOG
from stylecore.images.atomic_write import write_whole

UNIT = "stylefolder.service"
LABEL = "org.stylefolder.watch"
LAUNCHD = {
    "Label": LABEL,
    "RunAtLoad": True,
    "KeepAlive": {"SuccessfulExit": False},
    "ProcessType": "Background",
}

SYSTEMD = """\
[Unit]
Description=Stylefolder: paints photos dropped into folders named after styles
After=default.target

[Service]
Type=notify
ExecStart={command}
WatchdogSec={watchdog}
TimeoutStartSec=infinity
Restart=on-failure
RestartSec=5
Nice=10

[Install]
WantedBy=default.target
"""


def file() -> Path:
    """The unit or the property list, whether it exists or not. Raises NoService."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "LaunchAgents" / f"{LABEL}.plist"
    if sys.platform == "linux":
        return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "systemd" / "user" / UNIT
    raise NoService("On Windows, put a shortcut to `stylefolder watch` into the Startup folder (Win+R, shell:startup).")


def install(root: Path | None) -> Path:
    """Write the file, and start the daemon now. Raises NoService, ResultError."""
    path, tool = file(), _tool()
    command = [sys.executable, "-P", "-m", "daemon", "watch", "--plain", *([str(root)] if root else [])]
    if sys.platform == "darwin":
        write_whole(path, plistlib.dumps({"ProgramArguments": command, **LAUNCHD}))
        subprocess.run([tool, "bootout", f"gui/{os.getuid()}/{LABEL}"], capture_output=True)  # perhaps an earlier one
        _run([tool, "bootstrap", f"gui/{os.getuid()}", str(path)])
    else:
        no_session = "There is no systemd session: add `stylefolder watch` to your startup programs"
        _run([tool, "--user", "show-environment"], no_session)
        quoted = " ".join(shlex.quote(part).replace("%", "%%").replace("$", "$$") for part in command)
        write_whole(path, SYSTEMD.format(command=quoted, watchdog=WATCHDOG).encode())
        _run([tool, "--user", "daemon-reload"])
        _run([tool, "--user", "enable", UNIT])
        _run([tool, "--user", "restart", UNIT])  # an earlier one would keep its own Root
    return path


def remove() -> Path | None:
    """Stop the daemon and remove the file. Returns None if there is none. Raises NoService."""
    path = file()
    if not path.exists():
        return None
    if sys.platform == "darwin":
        commands = [["bootout", f"gui/{os.getuid()}/{LABEL}"]]
    else:
        commands = [["--user", "disable", "--now", UNIT], ["--user", "daemon-reload"]]
    for command in commands:  # without a session, nothing runs
        subprocess.run([_tool(), *command], capture_output=True)
        path.unlink(missing_ok=True)
    return path


def state() -> tuple[bool, str]:
    """Whether all is fine, and a sentence. Not being installed is fine."""
    try:
        path = file()
    except NoService as e:
        return True, str(e)
    if not path.exists():
        return True, "does not start when you log in; to change that, run `stylefolder service install`"
    if sys.platform == "darwin":
        return True, f"starts when you log in, from {path}"
    done = subprocess.run(["systemctl", "--user", "is-active", UNIT], capture_output=True, text=True)
    said = done.stdout.strip() or "systemd does not answer"
    return said == "active", f"{path}: {said}" + (
        "" if said == "active" else f"; to find out why, run `journalctl --user -u {UNIT}`"
    )


def _tool() -> str:
    name = "launchctl" if sys.platform == "darwin" else "systemctl"
    found = shutil.which(name)
    if found is None:
        raise NoService(f"There is no {name} here: add `stylefolder watch` to your startup programs.")
    return found


def _run(command: list[str], sentence: str = "") -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        output = (done.stderr or done.stdout).strip().splitlines()
        why = output[-1] if output else f"exit status {done.returncode}"
        raise NoService(f"{sentence or f'`{shlex.join(command)}` failed'} ({why}).")
