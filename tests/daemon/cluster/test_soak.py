"""Many photos over several machines that come, go and are killed: each photo has one Result."""

from __future__ import annotations

import random
import time
from collections import Counter
from functools import partial

import numpy as np
import pytest
from PIL import Image

from tests.daemon.cluster.conftest import Cluster
from tests.daemon.cluster.network import Machine, needs_root
from tests.daemon.harness import each_done_once, is_picture
from tests.harness import HANG, REPOSITORY, wait_for

PHOTOS, REAL = 500, 100
Studio = tuple[Cluster, list[Machine]]


@pytest.mark.long
@needs_root
@pytest.mark.timeout(5400)
def test_soak_of_a_cluster(studio: Studio, fast: str) -> None:
    """Three machines. The daemon, a machine's `stylefolder worker` or its worker process is killed, or a cable pulled
    for some seconds, at random. A photo that this hits three times fails, and is tried again as a user would do it."""
    cluster, machines = studio
    daemon, chance, noise = cluster.daemon, random.Random(4), np.random.default_rng(4)
    inbox = daemon.preset("soak", fast.replace("size: 64", "size: 32"))
    for i in range(PHOTOS):
        Image.fromarray(noise.integers(0, 256, (24, 32, 3), np.uint8)).save(inbox / f"{i:04}.png")
    there = {machine.name: (machine, cluster.start(machine.before).joined()) for machine in machines[:3]}
    begin, kills, reasons = time.monotonic(), Counter[str](), list[str]()

    def done() -> int:
        return len(daemon.jobs("state = 'done'"))

    def retry() -> bool:
        failed = [job["reason"] for job in daemon.jobs("state = 'failed'")]
        reasons.extend(failed)
        return bool(failed) and daemon.run("retry", "--failed").returncode == 0

    while done() < PHOTOS:
        time.sleep(chance.uniform(1, 10))
        before, (machine, worker) = done(), there[chance.choice(sorted(there))]
        kind = chance.choice(["daemon", "machine", "process", "cable"])
        if kind == "daemon":
            daemon.kill()
            daemon.start("--cluster", cluster.address)
        elif kind == "machine":
            worker.process.kill()
            worker.process.wait(HANG)
            there[machine.name] = machine, cluster.start(machine.before)
        elif kind == "process":
            for child in worker.children():
                child.kill()
        else:
            machine.pull()
            time.sleep(chance.uniform(1, 5))
            machine.plug()
        kills[kind] += 1
        wait_for(partial(lambda n: done() > n or done() == PHOTOS or retry(), before), why="for another Result")
    seconds = time.monotonic() - begin
    again = each_done_once(daemon, inbox, PHOTOS)
    assert again <= kills.total() + 2 * kills["daemon"], "only what a kill interrupted was started again"
    assert all("3 times" in reason for reason in reasons), reasons
    print(f"soak: {PHOTOS} photos in {seconds:.0f} s; {dict(kills)}; {again} started again, {len(reasons)} had failed")


@pytest.mark.long
@needs_root
@pytest.mark.timeout(3600)
def test_a_hundred_photos_on_three_machines(studio: Studio, fast: str) -> None:
    """Real ones. One machine is killed, and another joins. Prints who painted what."""
    cluster, machines = studio
    daemon, inbox = cluster.daemon, cluster.daemon.preset("hundred", fast.replace("steps: 1", "steps: 4"))
    shots = sorted((REPOSITORY / "tests" / "photos").glob("*.jpg"))
    for i in range(REAL):
        with Image.open(shots[i % len(shots)]) as shot:
            left = i // len(shots) * 7
            shot.crop((left, 0, left + shot.width // 2, shot.height)).save(inbox / f"{i:03}.jpg", quality=92)
    workers = [cluster.start(machine.before).joined() for machine in machines[:3]]

    def done() -> int:
        return len(daemon.jobs("state = 'done'"))

    wait_for(lambda: done() > REAL // 4, why="for a quarter")
    workers[1].process.kill()
    wait_for(lambda: done() > REAL // 2, why="for half")
    cluster.start(machines[3].before).joined()
    wait_for(lambda: done() == REAL, why="for all")
    chosen = {e["job"]["photo"]: e["device"] for e in daemon.events() if e["event"] == "JobChosen"}
    results = list((inbox / "styled").iterdir())
    assert len(results) == len(chosen) == REAL
    assert all(map(is_picture, results))
    who = Counter(device.partition(":")[0] for device in chosen.values())
    assert set(who) == {machine.name for machine in machines}
    print(f"who painted what: {dict(who)}; {[job['attempts'] for job in daemon.jobs('attempts > 1')]} tried again")
