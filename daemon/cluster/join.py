"""``stylefolder worker``: this machine's Slots for a daemon on another one, until it is stopped. It joins again
whenever the daemon or the network has been away."""

from __future__ import annotations

import asyncio
import contextlib
import pickle
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, TypeVar

from daemon import paths
from daemon.certificates import Certificates
from daemon.cluster import transport
from daemon.cluster.station import Place, Station
from daemon.engine.messages import Message
from daemon.errors import ClusterError, JoinRefused
from daemon.lifetime import leave_terminal, stop_signals
from stylecore.errors import cause

if TYPE_CHECKING:
    from distributed import Security, Worker

AGAIN = 5.0  # seconds between two tries to join
RENEW = 10.0  # seconds between two questions whether the daemon is still there
LEAVE_WITHIN = 20.0  # seconds for Jobs to be given back
ANSWER_WITHIN = 10.0  # seconds
JOIN_WITHIN = 30.0

Say = Callable[[str], None]
T = TypeVar("T")


async def join(address: str, certificates: Certificates, places: Sequence[Place], say: Say) -> None:
    """``address``: host:port of the daemon. ``say`` gets sentences for the user. Raises JoinRefused if another try
    would not help, and ClusterError if the daemon cannot be reached the first time."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def leave(number: int) -> None:
        leave_terminal(number)
        stop.set()

    for number in stop_signals():
        loop.add_signal_handler(number, leave, number)
    joined = away = False
    while not stop.is_set():
        try:
            await _unless(stop, _check(address, certificates))
            async with _member(address, certificates, places, stop) as (worker, station):
                say(f"Joined {address} with {', '.join(p.device for p in places)}. Press Ctrl+C to leave.")
                joined, away = True, False
                await _stay(worker, station, stop)
        except Stopped:
            break
        except ClusterError as e:
            if isinstance(e, JoinRefused) or not joined:
                raise
            if not away:
                say(f"{address} is away. Joining again when it is back.")
            away = True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), AGAIN)


class Stopped(Exception):
    """Someone wants to leave before this machine has joined."""


async def _unless(stop: asyncio.Event, work: Coroutine[object, object, T]) -> T:
    """What ``work`` gives. Raises Stopped as soon as ``stop`` is set."""
    task, stopped = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    await asyncio.wait((task, stopped), return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if task.done():
        return task.result()
    task.cancel()
    raise Stopped


async def _check(address: str, certificates: Certificates) -> None:
    """Whether a daemon with our certificates answers. Dask's own errors do not say what is wrong."""
    host, _, port = address.rpartition(":")
    context = transport.security(certificates).get_connection_args("worker")["ssl_context"]
    try:
        async with asyncio.timeout(ANSWER_WITHIN):
            reader, writer = await asyncio.open_connection(host.strip("[]"), int(port), ssl=context)
            with contextlib.closing(writer):
                await reader.read(1)  # TLS 1.3 refuses a certificate only now; otherwise, Dask speaks first
    except ssl.SSLCertVerificationError as e:
        raise JoinRefused(_other_certificates(address)) from e
    except ssl.SSLError as e:
        if e.reason in ("TLSV1_ALERT_UNKNOWN_CA", "TLSV13_ALERT_CERTIFICATE_REQUIRED", "SSLV3_ALERT_BAD_CERTIFICATE"):
            raise JoinRefused(_other_certificates(address)) from e
        raise JoinRefused(
            f"What answers at {address} is no Stylefolder cluster ({e.reason}): check the address."
        ) from e
    except (OSError, ValueError) as e:
        reason = "no answer" if isinstance(e, TimeoutError) else cause(e)
        raise ClusterError(
            f"{address} cannot be reached ({reason}): check the address, and that `stylefolder watch --cluster` runs "
            "there."
        ) from e


def _other_certificates(address: str) -> str:
    return f"The daemon at {address} has other certificates than this file: copy the file from its machine again."


@contextlib.asynccontextmanager
async def _member(
    address: str, certificates: Certificates, places: Sequence[Place], stop: asyncio.Event
) -> AsyncIterator[tuple[Worker, Station]]:
    """Join, and leave at the end. Raises JoinRefused; Stopped; and ClusterError if the daemon cannot be joined, or when
    it goes away."""
    from distributed import Worker
    from distributed.diagnostics.plugin import WorkerPlugin

    security = transport.security(certificates)
    await _unless(stop, _ask(address, security))
    loop = asyncio.get_running_loop()

    def post(number: int, key: str, message: Message) -> None:
        said = {"op": transport.SAY, "slot": number, "key": key, "message": pickle.dumps(message)}
        loop.call_soon_threadsafe(worker.batched_send, said)

    try:
        station = Station(places, post, paths.config_folder() / "weights")
    except OSError as e:
        raise ClusterError(f"The folder for temporary files cannot be used ({cause(e)}): set TMPDIR.") from e

    class Leaving(WorkerPlugin):
        async def teardown(self, worker: Worker) -> None:
            await asyncio.to_thread(station.close)

    worker = Worker(
        f"tls://{address}",
        nthreads=len(places),
        host=_own_address(address),
        security=security,
        memory_limit=0,
        dashboard=False,
        dashboard_address=transport.HTTP,
        extensions={},
        plugins=(Leaving(),),
    )
    worker.station = station  # type: ignore[attr-defined]
    worker.handlers[transport.CONTROL] = station.control
    try:
        await _unless(stop, _started(worker))
        await _unless(stop, _ready(worker, [place.device for place in places]))
        yield worker, station
    except (OSError, RuntimeError) as e:  # of Dask, for instance if the daemon ends just now
        raise ClusterError(f"{address} could not be joined ({type(e).__name__}).") from e
    finally:
        await worker.close()


async def _ask(address: str, security: Security) -> None:
    """Whether this machine may join. Raises JoinRefused, ClusterError."""
    from distributed import rpc

    try:
        async with rpc(f"tls://{address}", connection_args=security.get_connection_args("worker")) as daemon:
            answer = await asyncio.wait_for(daemon.stylefolder_join(facts=transport.facts()), ANSWER_WITHIN)
    except (OSError, TimeoutError) as e:
        raise ClusterError(f"{address} does not answer ({type(e).__name__}).") from e
    if answer["refusal"]:
        raise JoinRefused(answer["refusal"])


async def _started(worker: Worker) -> None:
    async with asyncio.timeout(JOIN_WITHIN):
        await worker


async def _ready(worker: Worker, devices: list[str]) -> None:
    """The daemon has Jobs for this machine if it reaches it, too. Raises ClusterError."""
    host, address = transport.facts()["host"], worker.contact_address
    asked = worker.scheduler.stylefolder_ready(host=host, devices=devices, address=address)
    answer = await asyncio.wait_for(asked, JOIN_WITHIN)
    if answer["problem"]:
        raise ClusterError(answer["problem"])


async def _stay(worker: Worker, station: Station, stop: asyncio.Event) -> None:
    """Until the daemon is away, or until ``stop``."""
    waits = [asyncio.ensure_future(w) for w in (worker.finished(), stop.wait(), _renew(worker, station))]
    await asyncio.wait(waits[:2], return_when=asyncio.FIRST_COMPLETED)
    if stop.is_set():
        await _give_back(worker, station)
    for wait in waits:
        wait.cancel()


async def _renew(worker: Worker, station: Station) -> None:
    """Ask the daemon whether it is there. Its Jobs are dropped when it has been silent for too long."""
    while True:
        with contextlib.suppress(OSError, TimeoutError):
            answer = await asyncio.wait_for(worker.scheduler.stylefolder_renew(), RENEW)
            if answer:
                station.renewed, station.pace = time.monotonic(), answer["pace"]
        await asyncio.sleep(RENEW)


async def _give_back(worker: Worker, station: Station) -> None:
    """The daemon sends no new Job, and fetches what the others have come to."""
    with contextlib.suppress(OSError, TimeoutError):
        await asyncio.wait_for(worker.scheduler.stylefolder_leave(address=worker.contact_address), RENEW)
    await asyncio.to_thread(station.leave, "The machine leaves")
    end = time.monotonic() + LEAVE_WITHIN
    while worker.state.tasks and time.monotonic() < end:
        await asyncio.sleep(0.05)


def _own_address(address: str) -> str:
    """This machine's address towards the daemon: nothing listens on any other."""
    host, _, port = address.rpartition(":")
    family, kind, _, _, where = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind) as probe:
        probe.connect(where)
        found: str = probe.getsockname()[0]
    return f"[{found}]" if ":" in found else found
