"""``python -m tests.bench.cluster [SLOTS SECONDS]...``: two real Slots against one, and many simulated ones on one
daemon; ``make bench``'s part of the cluster.

The daemon, its Ledger on a tmpfs, the scheduler, TLS and the workers are real. Only the Slots sleep instead of
painting, many to a process. Used: of the time between its first and its last Job, how much a Slot had a Job. The queue:
what its length costs.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import psutil

from daemon import certificates
from daemon.cluster import transport
from daemon.engine.messages import Assignment, Chosen, Finished, Message, Ready, Stepped
from daemon.folders.layout import Layout
from daemon.ledger.ledger import Ledger
from daemon.ledger.signature import look
from stylecore.images.atomic_write import write_part
from stylecore.preset_file import load_preset
from tests.bench.daemon import FAST, HARD, LARGE, PHOTOS, a_daemon, photo
from tests.daemon.harness import STYLEFOLDER, Daemon
from tests.harness import REPOSITORY, free_address, wait_for

TMPFS = Path("/dev/shm")
SIZES = ((200, 1.0), (1000, 1.0), (200, 60.0), (1000, 60.0))  # Slots, seconds for a Job
PER_PROCESS = 100
ROUNDS = 3  # Jobs for each Slot
STEP = 0.5  # seconds
GOLDEN = 0.618034  # its multiples, modulo 1, are spread evenly
WAITING = 100_000


@dataclass
class Sleeper:
    """A Slot whose Jobs take ``seconds`` on average (half to one and a half of it, as photos differ) and cost nothing.
    ``busy``, ``first``, ``last``: of its Jobs, in seconds."""

    seconds: float
    pipe: None = None
    gone: None = None
    host: None = None
    pid: None = None
    alive: bool = False
    busy: float = 0.0
    first: float | None = None
    last: float = 0.0
    _said: list[Message] = field(default_factory=list)
    _begun: float = 0.0
    _told: float = 0.0
    _takes: float = 0.0
    _job: Assignment | None = None

    def start(self, device: str, sharers: int) -> None:
        self.alive = True
        self._said.append(Ready())

    def cancel(self, job: int) -> None:
        pass

    def want_previews(self, wanted: bool) -> None:
        pass

    def send(self, assignment: Assignment) -> None:
        self._job, self._begun = assignment, time.monotonic()
        self._told = self._begun
        self._takes = self.seconds * (0.5 + assignment.order.job * GOLDEN % 1)
        self.first = self.first or self._begun
        self._said.append(Chosen(assignment.order.job, "a bed", (64, 64)))

    def receive(self, wait: float) -> Message | None:
        if self._said:
            return self._said.pop(0)
        left = self._takes - (time.monotonic() - self._begun) if self._job is not None else wait
        time.sleep(max(0.0, min(wait, left, STEP)))
        if self._job is None:
            return None
        now, job = time.monotonic(), self._job.order.job
        if now - self._begun >= self._takes:
            data = self._job.order.photo.read_bytes()
            part = write_part(self._job.path(".png"), data)
            self.busy, self.last, self._job = self.busy + now - self._begun, now, None
            return Finished(job, "done", part=part, extension=".png", digest=hashlib.sha256(data).hexdigest())
        if now - self._told > STEP:
            self._told, share = now, (now - self._begun) / self._takes
            return Stepped(job, int(share * 100), 100, 1, 1, 1.0, share, now - self._begun)
        return None

    def kill(self) -> None:
        self.dismiss()

    def dismiss(self) -> None:
        self.alive = False
        self._said.clear()


def sleep(address: str, certificate: Path, slots: int, seconds: float, report: Path) -> None:
    """A worker of ``slots`` Sleepers, until SIGTERM."""
    from daemon.cluster.join import join
    from daemon.cluster.station import Place

    transport.prepare()
    sleepers = [Sleeper(seconds) for _ in range(slots)]
    places = [Place(sleeper, "cpu", 1) for sleeper in sleepers]
    asyncio.run(join(address, certificates.load(certificate), places, partial(print, flush=True)))
    spans = [(s.busy, s.last - s.first) for s in sleepers if s.first is not None]
    report.write_text(json.dumps(spans))


@contextmanager
def cluster(folder: Path, slots: int, seconds: float) -> Iterator[tuple[Daemon, Path]]:
    """A daemon with a full queue, which is paused, and workers that have joined."""
    daemon = a_daemon(folder)
    inbox = daemon.preset("one", FAST)
    daemon.settings("local: false\n")
    daemon.start("--cluster", address := free_address())
    assert daemon.run("pause").returncode == 0
    photo(0).save(folder / "a.bmp")
    picture = bytearray((folder / "a.bmp").read_bytes())
    for i in range(slots * ROUNDS):
        picture[-4:] = i.to_bytes(4, "big")  # another photo
        (inbox / f"{i}.bmp").write_bytes(picture)
    wait_for(lambda: len(daemon.jobs("state = 'queued'")) == slots * ROUNDS, 600)
    own = daemon.home / "config" / "stylefolder" / "cluster.pem"
    command = [sys.executable, "-m", "tests.bench.cluster", "sleep", address, str(own)]
    workers = []
    for number in range(0, slots, PER_PROCESS):
        arguments = [str(min(PER_PROCESS, slots - number)), str(seconds), str(folder / f"{number}.json")]
        workers.append(subprocess.Popen([*command, *arguments], env=daemon.environment, cwd=REPOSITORY))
    wait_for(lambda: len(daemon.status()["slots"]) == slots, 300)
    try:
        yield daemon, folder
    finally:
        for worker in workers:
            worker.send_signal(signal.SIGTERM)
        for worker in workers:
            worker.wait(60)
        daemon.stop()


def real(folder: Path) -> None:
    """Photos on this machine's GPU, by one Slot and by two on it; or on its CPU, by one Slot with all threads, by two
    that share them, and by two of a worker."""
    import torch

    gpu = torch.cuda.is_available()
    device = "cuda:0" if gpu else "cpu"
    rows = [("one", device), ("two", f"{device},{device}"), *([] if gpu else [("two, of a worker", None)])]
    print(
        f"| Slots on {device} | photos | in all | a photo, median | slowest | memory of the GPU |\n"
        + "| --- " * 6
        + "|"
    )
    for i, (name, asked) in enumerate(rows):
        daemon = a_daemon(folder / f"{i}")
        inbox = daemon.preset("hard", LARGE if gpu else HARD)
        for number in range(PHOTOS):
            photo(number, (1500, 1000)).save(inbox / f"{number}.jpg", quality=90)
        workers, memory = [], 0
        if asked is None:
            daemon.settings("local: false\n")
            daemon.start("--cluster", address := free_address())
            own = daemon.home / "config" / "stylefolder" / "cluster.pem"
            command = [*STYLEFOLDER, "worker", address, "--certificate", str(own), "--device", "cpu,cpu"]
            workers.append(subprocess.Popen(command, env=daemon.environment, stdout=subprocess.DEVNULL))
        else:
            daemon.start("--device", asked)
        while len(daemon.jobs("state = 'done'")) < PHOTOS:
            time.sleep(2)  # looking costs time, too
            if gpu:
                devices = [slot["device"] for slot in daemon.status()["slots"]]
                memory = max(memory, sum(device["memory_ours"] or 0 for device in devices))
        jobs = daemon.jobs()
        for worker in workers:
            worker.send_signal(signal.SIGTERM)
            worker.wait(60)
        daemon.stop()
        spent = max(job["finished_at"] for job in jobs) - min(job["started_at"] for job in jobs)
        each = [job["finished_at"] - job["started_at"] for job in jobs]
        figures = " | ".join(f"{seconds:.1f} s" for seconds in (spent, statistics.median(each), max(each)))
        print(f"| {name} | {PHOTOS} | {figures} | {f'{memory / 1e9:.1f} GB' if gpu else '-'} |", flush=True)


def transactions(daemon: Daemon) -> int:
    """That the Ledger has seen, from SQLite's own counter in the WAL's index (sqlite.org/walformat.html, iChange)."""
    index = (daemon.root / ".stylefolder" / "ledger.sqlite3-shm").read_bytes()
    return int(struct.unpack_from("=I", index, 8)[0])


def simulated(folder: Path, slots: int, seconds: float) -> None:
    with cluster(folder, slots, seconds) as (daemon, reports):
        process = psutil.Process(daemon.pid)
        before, written, begin = process.cpu_times(), transactions(daemon), time.monotonic()
        assert daemon.run("resume").returncode == 0
        took, memory = [], 0
        while daemon.jobs("state IN ('queued', 'running')"):
            at = time.perf_counter()
            daemon.status()
            took.append(time.perf_counter() - at)
            memory = max(memory, process.memory_info().rss)
            time.sleep(1)
        spent = time.monotonic() - begin
        after, writes = process.cpu_times(), (transactions(daemon) - written) / spent
    share = (sum(after[:2]) - sum(before[:2])) / spent
    spans = [span for file in reports.glob("*.json") for span in json.loads(file.read_text())]
    used = sum(busy for busy, _ in spans) / sum(span for _, span in spans)
    row = [f"{slots}", f"{seconds:.0f} s", f"{used:.1%}", f"{slots * ROUNDS / spent:.1f}", f"{share:.0%}"]
    row += [f"{memory / 1e6:.0f} MB", f"{writes:.0f}", f"{statistics.median(took) * 1000:.0f} ms"]
    print(f"| {' | '.join(row)} |", flush=True)


def queue(folder: Path) -> None:
    """A Ledger with 100,000 Jobs waiting: seconds to take one, to be done with one, and to answer `status`."""
    daemon = a_daemon(folder)
    inbox = daemon.preset("one", FAST)
    layout = Layout(daemon.root)
    layout.own_folder.mkdir(parents=True)
    ledger = Ledger(layout.ledger_file, layout.root)
    preset = load_preset(daemon.root / "presets" / "one.yaml")
    photo(0).save(folder / "a.bmp")
    photos = [inbox / f"{i}.bmp" for i in range(WAITING)]
    for path in photos:
        os.link(folder / "a.bmp", path)
    signature = look(folder / "a.bmp")  # now: a link changes it
    with ledger.transaction():
        for i, path in enumerate(photos):
            ledger.queue.add(path, "one", preset, f"{i:064}", signature)
    takes, dones = [], []
    for _ in range(200):
        begin = time.perf_counter()
        taken = ledger.queue.take()
        takes.append(time.perf_counter() - begin)
        assert taken is not None
        begin = time.perf_counter()
        ledger.queue.done(taken[0], "keep")
        dones.append(time.perf_counter() - begin)
    ledger.queue.pause()
    ledger.close()
    daemon.start()
    wait_for(lambda: daemon.status()["inboxes"], 600)
    answers = []
    for _ in range(50):
        time.sleep(0.2)  # let the daemon scan
        begin = time.perf_counter()
        counted = daemon.status()["inboxes"]["one"]["queued"]
        answers.append(time.perf_counter() - begin)
    daemon.stop()
    figures = [f"{statistics.median(times) * 1000:.2f} ms" for times in (takes, dones, answers)]
    print(f"\n| {counted:,} Jobs wait: take | done | status, median | slowest |\n" + "| --- " * 4 + "|")
    print(f"| {' | '.join(figures)} | {max(answers) * 1000:.0f} ms |", flush=True)


def main(arguments: list[str]) -> None:
    if arguments[:1] == ["sleep"]:
        address, own, slots, seconds, report = arguments[1:]
        sleep(address, Path(own), int(slots), float(seconds), Path(report))
        return
    if arguments == ["queue"]:
        with tempfile.TemporaryDirectory(dir=TMPFS) as temporary:
            queue(Path(temporary) / "queue")
        return
    if arguments == ["real"]:
        with tempfile.TemporaryDirectory() as temporary:
            real(Path(temporary))
        return
    sizes = [(int(n), float(s)) for n, s in zip(arguments[::2], arguments[1::2], strict=True)] or SIZES
    if not arguments:
        with tempfile.TemporaryDirectory() as temporary:
            real(Path(temporary))
    print("\n| Slots | a Job | used | Jobs/s | daemon and scheduler, of a core | memory | writes/s | status |")
    print("| --- " * 8 + "|")
    with tempfile.TemporaryDirectory(dir=TMPFS) as temporary:
        for i, size in enumerate(sizes):
            simulated(Path(temporary) / f"{i}", *size)
        if not arguments:
            queue(Path(temporary) / "queue")


if __name__ == "__main__":
    main(sys.argv[1:])
