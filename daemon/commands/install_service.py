"""``stylefolder service``: the daemon starts with the session, by systemd on Linux, by launchd on macOS."""

from __future__ import annotations

import os
import plistlib
import shlex
import shutil
import socket
import subprocess
import sys
from pathlib import Path

from stylecore.errors import StylefolderError
from stylecore.images.atomic_write import write_whole

UNIT = "stylefolder.service"
LABEL = "org.stylefolder.watch"
WATCHDOG = 120  # seconds without a sign of life after which systemd starts it anew

SYSTEMD = """\
[Unit]
Description=Stylefolder: photos dropped into folders named after styles are painted
After=default.target

[Service]
Type=notify
ExecStart={command}
WatchdogSec={watchdog}
Restart=on-failure
RestartSec=5
Nice=10

[Install]
WantedBy=default.target
"""


class NoService(StylefolderError):
    """There is nothing here that starts services."""

    exit_status = 2


def file() -> Path:
    """The unit or the property list, whether it is there or not. Raises NoService."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "LaunchAgents" / f"{LABEL}.plist"
    if sys.platform == "linux":
        return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "systemd" / "user" / UNIT
    raise NoService("On Windows, put a shortcut of `stylefolder watch` into the Startup folder (Win+R, shell:startup).")


def install(root: Path | None) -> Path:
    """Write it, and start it now. Raises NoService, ResultError."""
    path = file()
    tool = _tool()
    command = [sys.executable, "-P", "-m", "daemon", "watch", "--plain", *([str(root)] if root else [])]
    if sys.platform == "darwin":
        keep = {"SuccessfulExit": False}
        write_whole(
            path,
            plistlib.dumps(
                {
                    "Label": LABEL,
                    "ProgramArguments": command,
                    "RunAtLoad": True,
                    "KeepAlive": keep,
                    "ProcessType": "Background",
                }
            ),
        )
        subprocess.run([tool, "bootout", f"gui/{os.getuid()}/{LABEL}"], capture_output=True)  # one of before, perhaps
        _run([tool, "bootstrap", f"gui/{os.getuid()}", str(path)])
    else:
        _run(
            [tool, "--user", "show-environment"],
            "No session of systemd answers: let your system start `stylefolder watch` in its own way",
        )
        quoted = " ".join(shlex.quote(part).replace("%", "%%").replace("$", "$$") for part in command)
        write_whole(path, SYSTEMD.format(command=quoted, watchdog=WATCHDOG).encode())
        _run([tool, "--user", "daemon-reload"])
        _run([tool, "--user", "enable", UNIT])
        _run([tool, "--user", "restart", UNIT])  # one of before goes on with its own Root otherwise
    return path


def remove() -> Path | None:
    """End it and take it away; None where there is none. Raises NoService."""
    path = file()
    if not path.exists():
        return None
    if sys.platform == "darwin":
        commands = [["bootout", f"gui/{os.getuid()}/{LABEL}"]]
    else:
        commands = [["--user", "disable", "--now", UNIT], ["--user", "daemon-reload"]]
    for command in commands:  # where no session answers, nothing runs
        subprocess.run([_tool(), *command], capture_output=True)
        path.unlink(missing_ok=True)
    return path


def state() -> tuple[bool, str]:
    """Whether all is well, and a sentence; not to be installed is well."""
    try:
        path = file()
    except NoService as e:
        return True, str(e)
    if not path.exists():
        return True, "does not start with the session: `stylefolder service install` lets it"
    if sys.platform == "darwin":
        return True, f"starts with the session, by {path}"
    done = subprocess.run(["systemctl", "--user", "is-active", UNIT], capture_output=True, text=True)
    said = done.stdout.strip() or "systemd does not answer"
    return said == "active", f"{path}: {said}" + (
        "" if said == "active" else f"; `journalctl --user -u {UNIT}` may say why"
    )


def tell_systemd(state: str) -> None:
    """``READY=1``, ``WATCHDOG=1`` or ``STOPPING=1``, where systemd started us and wants to know (sd_notify(3))."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notify:
        notify.settimeout(1)
        try:
            notify.sendto(state.encode(), "\0" + address[1:] if address.startswith("@") else address)
        except OSError as e:
            os.environ.pop("NOTIFY_SOCKET")  # nobody listens: once is enough
            print(f"systemd does not listen at {address} ({e}).", file=sys.stderr)  # noqa: T201


def _tool() -> str:
    name = "launchctl" if sys.platform == "darwin" else "systemctl"
    found = shutil.which(name)
    if found is None:
        raise NoService(f"There is no {name} here: start `stylefolder watch` by what your system has for that.")
    return found


def _run(command: list[str], otherwise: str = "") -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise NoService(
            f"{otherwise or f'`{shlex.join(command)}` failed'} ({said[-1] if said else f'exit status {done.returncode}'})."
        )
