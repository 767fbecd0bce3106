"""Machines on a network of their own, whose cables are pulled at the worst times. Each photo has one Result."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.daemon.cluster.conftest import Cluster, drop
from tests.daemon.cluster.network import Machine, needs_root
from tests.daemon.harness import is_picture
from tests.harness import wait_for

pytestmark = [pytest.mark.slow, needs_root]
Studio = tuple[Cluster, list[Machine]]


def test_the_link_is_down_for_a_moment(studio: Studio, cat: Image.Image, steps: str) -> None:
    """In the middle of a Job: nothing is done again."""
    cluster, (ada, *_) = studio
    daemon = cluster.daemon
    worker = cluster.start(ada.before).joined()
    drop(daemon.preset("slow", steps), cat, "a.jpg")
    wait_for(daemon.running, why="for the first step")
    ada.pull()
    time.sleep(10)
    ada.plug()
    wait_for(lambda: daemon.jobs("state = 'done'"), why="for the Result")
    assert daemon.jobs()[0]["attempts"] == 1
    assert worker.said().count("Joined") == 1, worker.said()
