"""2,000 small photos, with worker and daemon killed at random: each is painted exactly once."""

from __future__ import annotations

import random
import time
from collections import Counter
from functools import partial

import numpy as np
import psutil
import pytest
from PIL import Image

from tests.daemon.harness import Daemon, each_done_once
from tests.harness import HANG, wait_for

PHOTOS = 2000


@pytest.mark.long
def test_soak(daemon: Daemon, fast: str) -> None:
    chance = random.Random(4)
    inbox = daemon.preset("soak", fast.replace("size: 64", "size: 32"))
    noise = np.random.default_rng(4)
    daemon.start()
    for i in range(PHOTOS):
        Image.fromarray(noise.integers(0, 256, (24, 32, 3), np.uint8)).save(inbox / f"{i:04}.png")
    begin, kills = time.monotonic(), Counter[str]()

    def done() -> int:
        return len(daemon.jobs("state = 'done'"))

    def more_done_than(before: int) -> bool:
        return done() > before

    while done() < PHOTOS:
        time.sleep(chance.uniform(1, 10))
        before, workers = done(), daemon.workers()
        if chance.random() < 0.5 and workers:
            workers[0].kill()
            kills["worker"] += 1
        else:
            daemon.kill()
            psutil.wait_procs(workers, HANG)
            daemon.start()
            kills["daemon"] += 1
        if before < PHOTOS:  # so that no photo dies three times, and fails
            wait_for(partial(more_done_than, before))
    seconds = time.monotonic() - begin
    again = each_done_once(daemon, inbox, PHOTOS)
    assert again <= sum(kills.values()), "only what a kill interrupted was started again"
    print(
        f"soak: {PHOTOS} photos in {seconds:.0f} s with {kills['worker']} kills of the worker and {kills['daemon']} "
        f"of the daemon; {again} started again"
    )
