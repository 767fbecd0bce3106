"""Pairing: how another machine connects, what it trusts and is trusted with, and how it leaves."""

from __future__ import annotations

import dataclasses
import re
import socket
import ssl
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import daemon.api.client as api_client
from daemon.api.client import Client, PinnedConnection
from daemon.errors import NoDaemon
from tests.daemon.api.harness import laptop, line_of, paired, refusal
from tests.daemon.harness import Daemon
from tests.harness import HANG, REPOSITORY


def test_a_line_works_once(box: Daemon, tmp_path: Path) -> None:
    line = line_of(box)
    assert laptop(box, tmp_path / "one").run("connect", line).returncode == 0
    done = laptop(box, tmp_path / "two").run("connect", line)
    assert done.returncode == 2
    assert "The line was used already, or is older than ten minutes" in done.stderr
    assert laptop(box, tmp_path / "three").run("connect", "https://nowhere").returncode == 2


def test_another_certificate_is_noticed_before_anything_is_sent(box: Daemon, tmp_path: Path) -> None:
    _, client = paired(box, tmp_path / "laptop")
    assert client.address.pin is not None
    wrong = dataclasses.replace(client.address, pin="A" * 43)
    with pytest.raises(NoDaemon, match="has another certificate than when you connected"):
        Client(wrong).ask("GET", "/v1/status")


def test_the_local_token_is_for_this_machine_and_names_must_be_known(box: Daemon, tmp_path: Path) -> None:
    _, client = paired(box, tmp_path / "laptop")
    local = dataclasses.replace(client.address, token=box.client.address.token)
    assert refusal(Client(local), "GET", "/v1/status")[0] == 403
    elsewhere = dataclasses.replace(box.client.address, token=client.address.token)
    assert refusal(Client(elsewhere), "GET", "/v1/status")[0] == 403
    port = urlsplit(client.address.url).port
    for host, origin, expected in (
        (f"127.0.0.1:{port}", None, 200),
        (f"evil.example:{port}", None, 403),
        (f"127.0.0.1:{port}", "https://evil.example", 403),
        (f"127.0.0.1:{port}", f"https://127.0.0.1:{port}", 200),
    ):
        connection = PinnedConnection(client.address.host, client.address.pin or "", HANG)
        headers = {"Host": host, "Authorization": f"Bearer {client.address.token}"}
        connection.request("GET", "/v1/status", headers=headers | ({"Origin": origin} if origin else {}))
        assert connection.getresponse().status == expected, (host, origin)


def test_nothing_but_tls_is_answered(box: Daemon, tmp_path: Path) -> None:
    _, client = paired(box, tmp_path / "laptop")
    host, port = client.address.host.split(":")
    with socket.create_connection((host, int(port)), timeout=HANG) as plain:
        plain.sendall(b"GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n")
        assert not plain.recv(100).startswith(b"HTTP")
    context = ssl.create_default_context()
    with socket.create_connection((host, int(port)), timeout=HANG) as raw, pytest.raises(ssl.SSLCertVerificationError):
        context.wrap_socket(raw, server_hostname=host)


def test_disconnect_while_the_other_machine_is_away(box: Daemon, tmp_path: Path) -> None:
    home, client = paired(box, tmp_path / "laptop")
    box.stop()
    done = home.run("disconnect")
    assert done.returncode == 0
    assert f"run `stylefolder clients remove {client.address.number}` there" in done.stdout
    assert home.run("disconnect").stdout == "This machine was not connected.\n"


def test_disconnect_uses_this_machine_again(box: Daemon, tmp_path: Path) -> None:
    home, client = paired(box, tmp_path / "laptop")
    assert home.run("status", "--once").returncode == 0
    assert home.run("disconnect").returncode == 0
    assert box.client.ask("GET", "/v1/clients")["clients"] == []
    assert home.run("status", "--once").returncode == 3
    assert refusal(client, "GET", "/v1/status")[0] == 403


def test_commands_on_a_connected_machine_name_the_other(box: Daemon, tmp_path: Path) -> None:
    home, client = paired(box, tmp_path / "laptop")
    host = client.address.host
    assert home.run("status", "--once").stdout.splitlines()[0] == f"healthy: the daemon at {host}"
    for words in (["pair"], ["clients"], ["clients", "remove", 1]):
        done = home.run(*words)
        assert done.returncode == 3
        assert done.stderr == f"stylefolder: This machine uses the daemon at {host}: run this command there.\n"
    checked = home.run("doctor").stdout
    assert f"connection: the commands use the daemon at {host}" in checked
    assert "daemon: none is running on this machine; none is needed" in checked
    checked = box.run("doctor").stdout
    assert f"listen: {host}; clients find the daemon at https://{host}" in checked
    assert f"api: listens at {box.client.address.host}, for your programs on this machine only" in checked
    assert "clients: have paired: " in checked


def test_a_first_connection_that_fails_says_why(box: Daemon, tmp_path: Path) -> None:
    line = line_of(box)
    home = laptop(box, tmp_path / "laptop")
    pin = line.partition("#")[2].partition(".")[0]
    wrong = home.run("connect", line.replace(pin, "A" * 43))
    assert wrong.returncode == 3
    for part in (pin, pin + "." + "x" * 15, "A" + pin, "abc"):
        short = home.run("connect", line.partition("#")[0] + "#" + part)
        assert (short.returncode, "copy all of it" in short.stderr) == (2, True), short.stderr
    assert "does not have the certificate that the line names: copy all of the line again" in wrong.stderr
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        silent = home.run("connect", re.sub(r":\d+/", f":{closed.getsockname()[1]}/", line))
    assert silent.returncode == 3
    assert "No daemon answers at 127.0.0.1" in silent.stderr
    assert "disconnect" not in silent.stderr
    assert home.run("connect", line).returncode == 0, "the line was not used up"
    assert "192.168.1.10:8787" in home.run("connect", "--address", "8787").stderr


def test_another_protocol_is_refused(box: Daemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the API, for each client that says which it speaks; GIMP's plug-in speaks the same."""
    _, client = paired(box, tmp_path / "laptop")
    monkeypatch.setattr(api_client, "PROTOCOL", "99")
    for asking in (client, box.client):
        status, message = refusal(asking, "GET", "/v1/status")
        assert status == 403
        assert "speaks version 99 of the protocol and the daemon speaks version 1" in message
    for spoken, says in (("link.PROTOCOL", "[{'name'"), ("'99'", "install the same version of Stylefolder on both")):
        program = (
            f"import sys, link\nlink.PROTOCOL = {spoken}\n"
            "try: print(link.Daemon(*sys.argv[1:]).presets())\nexcept link.Trouble as e: print(e)"
        )
        command = [sys.executable, "-c", program, client.address.url, client.address.token, client.address.pin or ""]
        done = subprocess.run(command, cwd=REPOSITORY / "plugin_gimp", capture_output=True, text=True, timeout=HANG)
        assert says in done.stdout, done.stderr
