"""Certificates of our own, for TLS with other machines: an authority, and the one certificate that it has issued. A
file holds them, with the key, in PEM; only its owner can read it."""

from __future__ import annotations

import datetime
import ipaddress
import re
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from daemon.errors import CertificateError
from stylecore.errors import cause
from stylecore.images.atomic_write import write_whole

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.x509 import Certificate

VALID = datetime.timedelta(days=3650)
CLOCKS = datetime.timedelta(days=1)  # by which those of two machines may differ
BLOCK = re.compile(r"-----BEGIN ([A-Z ]+)-----\n.+?\n-----END \1-----\n", re.DOTALL)
LARGEST = 100_000  # bytes of a file


@dataclass(frozen=True)
class Certificates:
    """In PEM. Whoever has the key is trusted by all who have the authority."""

    certificate: str
    authority: str
    key: str


def create(name: str, hosts: Sequence[str] = ()) -> Certificates:
    """A new authority and a certificate for ``name``, which a browser finds at ``hosts``, names or addresses. The
    authority's own key is thrown away: it issues no other. Raises ImportError without ``cryptography``."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    issuer, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority = f"{name} authority"
    pem = serialization.Encoding.PEM
    return Certificates(
        certificate=_signed(name, authority, key, issuer, hosts).public_bytes(pem).decode(),
        authority=_signed(authority, authority, issuer, issuer).public_bytes(pem).decode(),
        key=key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode(),
    )


def save(certificates: Certificates, path: Path) -> None:
    """Replaces the file, in the order that OpenSSL expects. Raises ResultError."""
    text = certificates.certificate + certificates.authority + certificates.key
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, text.encode(), private=True)


def load(path: Path) -> Certificates:
    """Raises CertificateError."""
    try:
        with path.open("rb") as file:
            text = file.read(LARGEST).decode("ascii", "replace")
    except OSError as e:
        raise CertificateError(f"{path} cannot be read ({cause(e)}): copy the file from the daemon's machine.") from e
    blocks = [found[0] for found in BLOCK.finditer(text.replace("\r\n", "\n"))]
    kinds = [BLOCK.match(block)[1] for block in blocks]  # type: ignore[index]
    if kinds != ["CERTIFICATE", "CERTIFICATE", "PRIVATE KEY"]:
        raise CertificateError(
            f"{path} is not one of Stylefolder's certificates: copy the file from the daemon's machine."
        )
    return Certificates(*blocks)


def der(certificate: str) -> bytes:
    """The first certificate of a text in PEM."""
    block = next(found[0] for found in BLOCK.finditer(certificate) if found[1] == "CERTIFICATE")
    return ssl.PEM_cert_to_DER_cert(block)


def _signed(
    name: str,
    authority: str,
    key: EllipticCurvePrivateKey,
    issuer: EllipticCurvePrivateKey,
    hosts: Sequence[str] = (),
) -> Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    now = datetime.datetime.now(datetime.UTC)
    is_authority = name == authority
    subject, by = (x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, n)]) for n in (name, authority))
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCKS)
        .not_valid_after(now + VALID)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
    )
    if hosts:
        names = [x509.IPAddress(ipaddress.ip_address(h)) if _is_ip(h) else x509.DNSName(h) for h in hosts]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(issuer, hashes.SHA256())


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
