"""The box and a laptop, each with a network of its own, whose cable is pulled."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest
from PIL import Image

from tests.daemon.api.harness import laptop, line_of
from tests.daemon.cluster.network import needs_root, switch
from tests.daemon.harness import STYLEFOLDER, Daemon, is_picture
from tests.harness import HANG, free_address, wait_for

PHOTOS = 200
MOMENT = 10  # seconds


@pytest.mark.long
@needs_root
@pytest.mark.timeout(3600)
def test_two_hundred_photos_over_a_bad_network(daemon: Daemon, tmp_path: Path, fast: str, cat: Image.Image) -> None:
    """Pair, connect, apply, and send: the link is down twice, and the box is killed and restarted once. Every Result
    arrives, and each photo is painted once. Prints how long it took."""
    with switch(("laptop",)) as (host, (machine,)):
        address = free_address(host)
        daemon.start("--listen", address)
        home = laptop(daemon, tmp_path / "laptop")
        command = [*machine.before, *STYLEFOLDER]

        def run(*arguments: object) -> subprocess.CompletedProcess[str]:
            words = [*command, *map(str, arguments)]
            return subprocess.run(words, env=home.environment, capture_output=True, text=True, timeout=HANG)

        assert run("status", "--once").returncode != 0, "there is nothing on the laptop"
        done = run("connect", line_of(daemon))
        assert done.returncode == 0, done.stderr
        preset = home.home / "mine.yaml"
        preset.write_text(fast)
        cat.crop((0, 100, 96, 164)).save(home.home / "one.png")
        done = run("apply", home.home / "one.png", "--preset", preset, "-o", home.home / "one-painted.png")
        assert done.returncode == 0, done.stderr
        assert is_picture(home.home / "one-painted.png")

        folder, out = home.home / "photos", home.home / "out"
        folder.mkdir()
        for i in range(PHOTOS):
            cat.crop((i, 0, i + 96, 64)).save(folder / f"{i:03}.jpg", quality=95)
        begin = time.monotonic()
        sending = subprocess.Popen(
            [*command, "send", str(folder), "--preset", str(preset), "-o", str(out), "--plain"],
            env=home.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

        def arrived() -> int:
            return len(list(out.glob("*.jpg")))

        for share in (0.25, 0.75):
            wait_for(lambda share=share: arrived() >= PHOTOS * share)  # type: ignore[misc]
            machine.pull()
            time.sleep(MOMENT)
            machine.plug()
            if share < 0.5:
                wait_for(lambda: arrived() >= PHOTOS / 2)
                daemon.kill()
                daemon.start("--listen", address)
        _, said = sending.communicate(timeout=HANG)
        seconds = time.monotonic() - begin
        assert sending.returncode == 0, said
        assert all(is_picture(out / f"{i:03}.jpg") for i in range(PHOTOS))
        assert len(daemon.jobs()) == len(daemon.jobs("state = 'done'")) == PHOTOS + 1
        again = daemon.jobs("attempts > 1")
        assert len(again) <= 1, "only what the kill interrupted was started again"
        print(f"{PHOTOS} photos in {seconds:.0f} s, {len(again)} started again")
