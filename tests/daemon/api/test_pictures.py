"""Pictures through the local API of a real daemon, over HTTP."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from daemon.errors import Refused
from tests.daemon.api.harness import headers_of, png
from tests.daemon.harness import Daemon
from tests.harness import HANG, REPOSITORY, wait_for


def test_a_picture_there_and_back(shared: Daemon, inbox: Path, small: Image.Image) -> None:
    wait_for(lambda: any(p["name"] == inbox.name for p in shared.client.ask("GET", "/v1/presets")["presets"]))
    job = shared.client.ask("POST", "/v1/jobs", png(small), preset=inbox.name, name="../../ein Bild.png", strength=50)
    assert job["state"] in ("queued", "running")
    assert Path(job["photo"]).name == "ein Bild.png"
    wait_for(lambda: shared.client.ask("GET", f"/v1/jobs/{job['id']}")["state"] == "done")
    with Image.open(io.BytesIO(shared.client.fetch(f"/v1/jobs/{job['id']}/result"))) as result:
        assert (result.format, result.size) == ("PNG", small.size)
    bearer = {"Authorization": f"Bearer {shared.client.address.token}"}
    whole = headers_of(shared, "GET", f"/v1/jobs/{job['id']}/result", {**bearer, "Range": "bytes=99999999-"})
    assert whole["Content-Type"] == "image/png"
    assert whole["Content-Length"] == str(Path(job["photo"]).with_name("result.png").stat().st_size)
    cancelled = shared.run("cancel", job["id"])
    assert cancelled.stdout == f"Job {job['id']} is already done: there is nothing to cancel.\n"
    assert shared.client.fetch(f"/v1/jobs/{job['id']}/result"), "and its Result is still there"
    shared.client.ask("DELETE", f"/v1/jobs/{job['id']}")
    with pytest.raises(Refused, match="was removed"):
        shared.client.fetch(f"/v1/jobs/{job['id']}/result")


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_pixels_at_strength_0_come_back_as_they_were(shared: Daemon, inbox: Path, bits: int, channels: int) -> None:
    wait_for(lambda: any(p["name"] == inbox.name for p in shared.client.ask("GET", "/v1/presets")["presets"]))
    samples = np.random.default_rng(bits + channels).integers(0, 2**bits, (40, 56, channels)).astype(f"<u{bits // 8}")
    job = shared.client.ask(
        "POST",
        "/v1/jobs",
        samples.tobytes(),
        preset=inbox.name,
        strength=0,
        width=56,
        height=40,
        channels=channels,
        bits=bits,
    )
    wait_for(lambda: shared.client.ask("GET", f"/v1/jobs/{job['id']}")["state"] == "done")
    answer = shared.client.send("GET", f"/v1/jobs/{job['id']}/result", None, {}, 30)
    width, height, back, depth = (
        int(answer.headers[f"Stylefolder-{name}"]) for name in ("Width", "Height", "Channels", "Bits")
    )
    assert (width, height, back, depth) == (56, 40, 3 + (channels in (2, 4)), bits)
    result = np.frombuffer(answer.read(), f"<u{bits // 8}").reshape(height, width, back)
    if channels in (2, 4):
        assert np.array_equal(result[..., -1], samples[..., -1])
    colours = samples[..., : channels - (channels in (2, 4))]
    assert np.abs(result[..., :3].astype(int) - colours.astype(int)).max() <= 2**bits // 256


def test_a_larger_result_but_not_of_bare_samples(shared: Daemon, fast: str) -> None:
    """Whoever sends a layer wants a layer of its size back, whatever the preset's output says."""
    shared.preset("large", fast + "output: {long_edge: 200}\n")
    wait_for(lambda: any(p["name"] == "large" for p in shared.client.ask("GET", "/v1/presets")["presets"]))
    samples = np.full((40, 56, 3), 90, np.uint8)
    shape = {"width": 56, "height": 40, "channels": 3, "bits": 8}

    def size_of(body: bytes, **query: object) -> tuple[int, int]:
        job = shared.client.ask("POST", "/v1/jobs", body, preset="large", **query)
        wait_for(lambda: shared.client.ask("GET", f"/v1/jobs/{job['id']}")["state"] == "done")
        answer = shared.client.send("GET", f"/v1/jobs/{job['id']}/result", None, {}, 30)
        if "width" in query:
            return int(answer.headers["Stylefolder-Width"]), int(answer.headers["Stylefolder-Height"])
        with Image.open(io.BytesIO(answer.read())) as image:
            return image.size

    assert size_of(samples.tobytes(), **shape) == (56, 40)
    assert size_of(png(Image.fromarray(samples))) == (200, 143)
    assert size_of(png(Image.fromarray(samples)), long_edge=112) == (112, 80)
    with pytest.raises(Refused, match="both say how large") as refused:
        shared.client.ask("POST", "/v1/jobs", png(Image.fromarray(samples)), preset="large", long_edge=99, print=9)
    assert refused.value.status == 409


def test_a_thumbnail(shared: Daemon) -> None:
    with Image.open(io.BytesIO(shared.client.fetch("/v1/presets/oil/thumbnail"))) as image:
        assert (image.format, max(image.size)) == ("JPEG", 256)


@pytest.mark.slow
def test_the_example_in_the_documents(daemon: Daemon, fast: str, small: Image.Image, tmp_path: Path) -> None:
    """The program in docs/api.md, unchanged except for the path of this daemon's address file."""
    import re

    example = re.search(
        r"^```python\n(.*?)^```", (REPOSITORY / "docs" / "api.md").read_text(), re.MULTILINE | re.DOTALL
    )
    assert example is not None
    program, usual = example[1], '".local/state/stylefolder/daemon.json"'
    assert usual in program
    daemon.preset("oil", fast)
    daemon.start()
    small.save(tmp_path / "photo.jpg")
    program = program.replace(usual, repr(str(daemon.home / "state" / "stylefolder" / "daemon.json")))
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=HANG)
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "painting.jpg") as painting:
        assert painting.size == small.size


def test_a_huge_style_picture(daemon: Daemon) -> None:
    """200 megapixels: more than Pillow opens by default, and no more than a photo may have."""
    folder = daemon.root / "mine"
    folder.mkdir()
    Image.new("L", (20_000, 10_000), 200).save(folder / "style.png")
    daemon.start()
    known = wait_for(lambda: [p for p in daemon.client.ask("GET", "/v1/presets")["presets"] if p["name"] == "mine"])
    assert known[0]["problem"] is None
    with Image.open(io.BytesIO(daemon.client.fetch("/v1/presets/mine/thumbnail"))) as image:
        assert image.size == (256, 128)
