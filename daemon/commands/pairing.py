"""``stylefolder pair``, ``connect``, ``disconnect``, ``clients``: which machine's daemon the commands use, and who may
use this one."""

from __future__ import annotations

import datetime
import json
import platform
import re
from collections.abc import Iterator
from dataclasses import asdict, replace

from daemon import paths
from daemon.api.client import Address, Client, connect, connected, read_address
from daemon.commands.install_gimp import connection_files
from daemon.errors import NoDaemon, Refused, UsageError
from stylecore.errors import StylefolderError
from stylecore.images.atomic_write import write_whole

LINE = re.compile(r"(https://[^/#\s]+)/#(?:([\w-]{43})\.)?([\w-]{16})(?![\w.-])")


def invite(*, full: bool) -> str:
    """The line that lets one client in. Raises NoDaemon, Refused."""
    return str(_here().post("/v1/invitations", {"full": full})["line"])


def show_code(line: str) -> None:
    """As a QR code on the terminal. Raises StylefolderError."""
    try:
        import segno
    except ImportError as e:
        raise StylefolderError(f"{e.name} is not installed: run `pip install 'stylefolder[listen]'`.") from e
    segno.make(line, error="l", micro=False).terminal(compact=True)


def join(line: str) -> Address:
    """Pair with the daemon that this line is from, and use it from now on. Raises UsageError, NoDaemon, Refused."""
    found = LINE.search(line)  # also in the whole command, as `pair` prints it
    if found is None:
        raise UsageError("That is not a line from `stylefolder pair`: copy all of it, and put it between quotes.")
    url, pin, code = found.groups()
    address = Address(url, "", pin=pin)
    paired = Client(address).post("/v1/clients", {"code": code, "name": platform.node() or "a client"})
    address = replace(address, token=paired["token"], number=paired["client"]["id"])
    _keep(address)
    return address


def move(host: str) -> Address:
    """The same daemon at another address. Raises UsageError if it is not there."""
    address = read_address(paths.connection_file())
    if address is None:
        raise UsageError("This machine is not connected: run `stylefolder pair` on the other one.")
    address = replace(address, url=f"https://{host}")
    Client(address).ask("GET", "/v1/status")
    _keep(address)
    return address


def leave() -> Iterator[str]:
    """Use this machine again; the other one forgets this client. Says what was done."""
    address = read_address(paths.connection_file())
    for file in (paths.connection_file(), *connection_files()):
        file.unlink(missing_ok=True)
    if address is None:
        yield "This machine was not connected."
        return
    yield f"No longer connected to {address.host}."
    try:
        Client(address).ask("DELETE", f"/v1/clients/{address.number}")
    except NoDaemon:  # it may be gone for ever
        yield f"It did not answer: run `stylefolder clients remove {address.number}` there to refuse this machine."
    except Refused:
        pass  # it had forgotten this client already


def listed() -> Iterator[str]:
    """A line for each client. Raises NoDaemon."""
    found = _here().ask("GET", "/v1/clients")
    yield f"Clients find this daemon at {found['url']}" if found["url"] else "Other machines cannot reach this daemon."
    for client in found["clients"]:
        seen = datetime.datetime.fromtimestamp(client["seen_at"]).strftime("%Y-%m-%d %H:%M")
        full = ", may act on all Jobs" if client["full"] else ""
        yield f"{client['id']}  {paths.printable(client['name'])}, last seen {seen}{full}"


def remove(number: int) -> str:
    """Its name. Raises NoDaemon, Refused."""
    return paths.printable(_here().ask("DELETE", f"/v1/clients/{number}")["name"])


def _here() -> Client:
    """The daemon of this machine. Raises NoDaemon."""
    try:
        return connect(paths.address_file())
    except NoDaemon as e:
        if (used := connected(paths.connection_file())) is None:
            raise
        raise NoDaemon(f"This machine uses the daemon at {used.address.host}: run this command there.") from e


def _keep(address: Address) -> None:
    """For the commands, and for GIMP's plug-in."""
    paths.connection_file().parent.mkdir(parents=True, exist_ok=True)
    for file in (paths.connection_file(), *connection_files()):
        write_whole(file, json.dumps(asdict(address)).encode(), private=True)
