"""Where other machines reach the API: only at an address that the user asked for, and only by TLS."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import platform
import re
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from daemon import certificates, paths
from daemon.api.client import fingerprint
from daemon.errors import CertificateError, UsageError
from daemon.settings import ADDRESS
from stylecore.errors import StylefolderError, cause

BACKLOG = 256
NOWHERE = ("192.0.2.1", 9)  # an address for documents (RFC 5737): nothing is sent there
EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104


@dataclass(frozen=True)
class Listen:
    """What the user asked for. ``address``: HOST:PORT. ``certificate``, ``key``: files in PEM, in place of our own.
    ``proxy``: the name under which a proxy passes requests on, which also does TLS."""

    address: str
    certificate: Path | None = None
    key: Path | None = None
    proxy: str | None = None


@dataclass(frozen=True)
class Outside:
    """``address``: HOST:PORT, as the user asked. ``url``: where clients find it. ``pin``: the fingerprint of our own
    certificate, which they check; None for one that they can check as usual. ``names``: what may stand in a request's
    Host, besides addresses."""

    socket: socket.socket
    address: str
    tls: ssl.SSLContext | None
    url: str
    pin: str | None
    names: frozenset[str]


@contextlib.contextmanager
def opened(listen: Listen) -> Iterator[Outside]:
    """While the context lasts, connections are accepted. Raises UsageError, CertificateError."""
    found = ADDRESS.fullmatch(listen.address)
    assert found is not None  # the settings and the command line check it
    host, port = found[1].strip("[]"), int(found[2])
    with contextlib.closing(_listener(host, port, listen.address)) as listener:
        if listen.proxy is not None:
            yield Outside(
                listener, listen.address, None, f"https://{listen.proxy}", None, frozenset({listen.proxy.lower()})
            )
            return
        names = _names(host)
        shown = _own_address() if host in EVERYWHERE else host
        if listen.certificate is not None:
            named = _names_in(listen.certificate)
            shown, names, pin = (sorted(named)[0] if named else shown), names | named, None
            tls = _context(listen.certificate, listen.key)
        else:
            file = own_certificate(sorted({*names, shown}))
            pin = fingerprint(certificates.der(file.read_text()))
            tls = _context(file, None)
        url = f"https://{f'[{shown}]' if ':' in shown else shown}:{port}"
        yield Outside(listener, listen.address, tls, url, pin, frozenset(names))


def own_certificate(hosts: list[str]) -> Path:
    """Made on first use. Raises StylefolderError."""
    path = paths.api_certificate()
    if not path.exists():
        try:
            certificates.save(certificates.create("stylefolder", hosts), path)
        except ImportError as e:
            raise StylefolderError(f"{e.name} is not installed: run `pip install 'stylefolder[listen]'`.") from e
    return path


def _listener(host: str, port: int, address: str) -> socket.socket:
    from daemon.api.guard import FewConnections

    try:
        kind, _, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = FewConnections(kind, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(where)
            listener.listen(BACKLOG)
        except OSError:
            listener.close()
            raise
    except OSError as e:
        remedy = "choose another port" if e.errno == errno.EADDRINUSE else "give this machine's address"
        raise UsageError(f"{address} cannot be listened to ({cause(e)}): {remedy}.") from e
    return listener


def _context(certificate: Path, key: Path | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key, password="")  # never asks on the terminal
    except (OSError, ssl.SSLError) as e:
        raise CertificateError(
            f"The certificate {certificate} and its key cannot be used ({cause(e)}): give two files in PEM that "
            "belong together, the key without a password."
        ) from e
    return context


def _names(host: str) -> set[str]:
    """This machine's own."""
    name = platform.node().lower()
    found = {"localhost", name, f"{name.partition('.')[0]}.local"}
    return found if _is_address(host) else {*found, host.lower()}


def _names_in(certificate: Path) -> set[str]:
    """For whom a certificate is."""
    try:
        from cryptography import x509

        found = x509.load_pem_x509_certificate(certificate.read_bytes())
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return {name.lower() for name in names.get_values_for_type(x509.DNSName)}
    except ImportError as e:
        raise StylefolderError(f"{e.name} is not installed: run `pip install 'stylefolder[listen]'`.") from e
    except (OSError, ValueError) as e:
        raise CertificateError(f"{certificate} cannot be read ({e}): give a certificate in PEM.") from e
    except x509.ExtensionNotFound:
        return set()


def _own_address() -> str:
    """The one by which this machine reaches others."""
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as probe:
        try:
            probe.connect(NOWHERE)  # of UDP: only chooses the route
        except OSError:
            return platform.node()
        return str(probe.getsockname()[0])


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def allows(host: str, names: frozenset[str]) -> bool:
    """Whether a request's Host names this machine. An address always does: a web page that was bound to it by DNS has a
    name (DNS rebinding)."""
    name = re.sub(r":\d+$", "", host.lower())
    return name in names or _is_address(name.strip("[]"))
