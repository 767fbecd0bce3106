"""What lets another machine join: the daemon's certificates, and the command to type there."""

from __future__ import annotations

import shlex
from pathlib import Path

from daemon import certificates, paths
from daemon.errors import ClusterError

TRUST = "Whoever has that file can run programs on every machine of the cluster: copy it as you would a password."


def own_certificates() -> certificates.Certificates:
    """The daemon's, which are created once. Raises ClusterError."""
    path = paths.cluster_file()
    if not path.exists():
        renew()
    return certificates.load(path)


def renew() -> Path:
    """Make new certificates. A running daemon notices, and refuses the old ones. Raises ClusterError."""
    path = paths.cluster_file()
    try:
        certificates.save(certificates.create("stylefolder"), path)
    except ImportError as e:
        raise ClusterError(f"{e.name} is not installed: run `pip install 'stylefolder[cluster]'`.") from e
    return path


def join_command(address: str) -> str:
    return f"stylefolder worker {address} --certificate {shlex.quote(str(paths.cluster_file()))}"
