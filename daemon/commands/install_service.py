"""``stylefolder service``: start the daemon, or a worker for another machine's, when the user logs in, with systemd on
Linux and launchd on macOS."""

from __future__ import annotations

import os
import plistlib
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from daemon.errors import NoService
from daemon.lifetime import WATCHDOG
from stylecore.images.atomic_write import write_whole

LAUNCHD = {"RunAtLoad": True, "KeepAlive": {"SuccessfulExit": False}, "ProcessType": "Background"}
SYSTEMD = """\
[Unit]
Description=Stylefolder: {description}
After=default.target
StartLimitIntervalSec=0

[Service]
{kind}
ExecStart={command}
Restart=on-failure
RestartSec=5
Nice=10

[Install]
WantedBy=default.target
"""


@dataclass(frozen=True)
class Service:
    """``unit``, ``label``: its name for systemd and for launchd. ``kind``: lines of the unit. ``by_hand``: what the
    user runs instead."""

    unit: str
    label: str
    description: str
    kind: str
    by_hand: str


DAEMON = Service(
    "stylefolder.service",
    "org.stylefolder.watch",
    "paints photos dropped into folders named after styles",
    f"Type=notify\nWatchdogSec={WATCHDOG}\nTimeoutStartSec=infinity",
    "stylefolder watch",
)
WORKER = Service(
    "stylefolder-worker.service",
    "org.stylefolder.worker",
    "works for the daemon on another machine",
    "Type=exec",
    "stylefolder worker",
)


def file(service: Service) -> Path:
    """The unit or the property list, whether it exists or not. Raises NoService."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "LaunchAgents" / f"{service.label}.plist"
    if sys.platform == "linux":
        return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "systemd" / "user" / service.unit
    raise NoService(
        f"On Windows, put a shortcut to `{service.by_hand}` into the Startup folder (Win+R, shell:startup)."
    )


def install(service: Service, arguments: Sequence[str | Path]) -> Path:
    """Write the file, and start the service now. ``arguments``: of `stylefolder`. Raises NoService, ResultError."""
    path, tool = file(service), _tool(service)
    command = [sys.executable, "-P", "-m", "daemon", *map(str, arguments)]
    if sys.platform == "darwin":
        write_whole(path, plistlib.dumps({"Label": service.label, "ProgramArguments": command, **LAUNCHD}))
        domain = f"gui/{os.getuid()}"
        subprocess.run([tool, "bootout", f"{domain}/{service.label}"], capture_output=True)  # perhaps an earlier one
        _run([tool, "bootstrap", domain, str(path)])
    else:
        no_session = f"There is no systemd session: add `{service.by_hand}` to your startup programs"
        _run([tool, "--user", "show-environment"], no_session)
        quoted = " ".join(shlex.quote(part).replace("%", "%%").replace("$", "$$") for part in command)
        unit = SYSTEMD.format(description=service.description, kind=service.kind, command=quoted)
        write_whole(path, unit.encode())
        _run([tool, "--user", "daemon-reload"])
        _run([tool, "--user", "enable", service.unit])
        _run([tool, "--user", "restart", service.unit])  # an earlier one would keep its own arguments
    return path


def remove(service: Service) -> Path | None:
    """Stop the service and remove the file. Returns None if there is none. Raises NoService."""
    path = file(service)
    if not path.exists():
        return None
    if sys.platform == "darwin":
        commands = [["bootout", f"gui/{os.getuid()}/{service.label}"]]
    else:
        commands = [["--user", "disable", "--now", service.unit], ["--user", "daemon-reload"]]
    for command in commands:  # without a session, nothing runs
        subprocess.run([_tool(service), *command], capture_output=True)
        path.unlink(missing_ok=True)
    return path


def state(service: Service) -> tuple[bool, str] | None:
    """Whether all is fine, and a sentence. None if it is not installed. Raises NoService."""
    path = file(service)
    if not path.exists():
        return None
    if sys.platform == "darwin":
        return True, f"starts when you log in, from {path}"
    done = subprocess.run(["systemctl", "--user", "is-active", service.unit], capture_output=True, text=True)
    said = done.stdout.strip() or "systemd does not answer"
    remedy = "" if said == "active" else f"; to find out why, run `journalctl --user -u {service.unit}`"
    return said == "active", f"{path}: {said}{remedy}"


def _tool(service: Service) -> str:
    name = "launchctl" if sys.platform == "darwin" else "systemctl"
    found = shutil.which(name)
    if found is None:
        raise NoService(f"There is no {name} here: add `{service.by_hand}` to your startup programs.")
    return found


def _run(command: list[str], sentence: str = "") -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        output = (done.stderr or done.stdout).strip().splitlines()
        why = output[-1] if output else f"exit status {done.returncode}"
        raise NoService(f"{sentence or f'`{shlex.join(command)}` failed'} ({why}).")
