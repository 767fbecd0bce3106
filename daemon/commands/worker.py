"""``stylefolder worker``: this machine works for a daemon on another one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from daemon import certificates
from daemon.cluster import transport


def work(address: str, certificate: Path, device: str, say: Callable[[str], None]) -> None:
    """Until ctrl-C or SIGTERM. ``say`` gets sentences for the user. Raises ClusterError, WorkerError."""
    own = certificates.load(certificate)
    transport.prepare()
    from daemon.cluster.join import join
    from daemon.cluster.station import places_of

    asyncio.run(join(address, own, places_of(device), say))
