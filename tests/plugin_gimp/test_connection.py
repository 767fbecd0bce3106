"""Our plug-in and its daemon: cancelled, killed, absent, unreadable."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from PIL import Image

from daemon.api.client import read_address
from tests.daemon.api.harness import line_of
from tests.daemon.harness import Daemon
from tests.harness import HANG, free_address, wait_for
from tests.plugin_gimp.harness import FAST, Gimp

LONG = """
    image = new_image()
    OUTCOME["status"] = style(image, [add_layer(image)], "long")
    OUTCOME["layers"] = len(image.get_layers())
"""


def plug_ins(gimp: Gimp) -> list[psutil.Process]:
    """The processes of our plug-in in this GIMP."""
    return [p for p in psutil.process_iter() if str(gimp.plug_in / "stylefolder.py") in _words(p)]


def consoles(gimp: Gimp) -> list[psutil.Process]:
    return [
        p
        for p in psutil.process_iter()
        if any(str(gimp.directory / "scenario.py") in word for word in _words(p)) and "gimp" in p.name()
    ]


def _words(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


@pytest.mark.slow
@pytest.mark.parametrize("who", ["plug-in", "GIMP"])
def test_cancel_stops_this_job_and_no_other(gimp: Gimp, who: str, small: Image.Image) -> None:
    """GIMP's Cancel kills the plug-in; if GIMP itself dies, the plug-in has nobody left to talk to."""
    process = gimp.start(LONG)
    job = wait_for(gimp.daemon.running)["job"]["id"]
    small.rotate(1 if who == "GIMP" else 2).save(gimp.daemon.home / "other.png")
    other = gimp.daemon.client.ask("POST", "/v1/jobs", (gimp.daemon.home / "other.png").read_bytes(), preset="one")[
        "id"
    ]
    victims = plug_ins(gimp) if who == "plug-in" else consoles(gimp)
    assert victims
    for victim in victims:
        victim.send_signal(signal.SIGKILL)
    wait_for(lambda: gimp.daemon.client.ask("GET", f"/v1/jobs/{job}")["state"] == "cancelled")
    wait_for(lambda: gimp.daemon.client.ask("GET", f"/v1/jobs/{other}")["state"] == "done")
    said, _ = process.communicate(timeout=HANG)
    if who == "plug-in":
        outcome = json.loads((gimp.directory / "outcome.json").read_text())
        assert outcome["layers"] == 1, said
    wait_for(lambda: not plug_ins(gimp))


@pytest.mark.slow
def test_the_daemon_is_killed_in_mid_job(lonely: Gimp) -> None:
    lonely.daemon.preset("long", FAST.replace("steps: 1", "steps: 5000"))
    lonely.daemon.extra = {"GIMP3_DIRECTORY": str(lonely.directory)}
    lonely.daemon.start()
    process = lonely.start(LONG)
    wait_for(lonely.daemon.running)
    lonely.daemon.kill()
    said, _ = process.communicate(timeout=HANG)
    assert process.returncode == 0, said
    outcome = json.loads((lonely.directory / "outcome.json").read_text())
    assert outcome == {
        "status": ["execution-error", "Stylefolder stopped. Try again: it restarts on its own."],
        "layers": 1,
    }
    lonely.daemon.start()
    wait_for(
        lambda: [row["state"] for row in lonely.daemon.jobs()] == ["cancelled"], why="for the stale Job to be cancelled"
    )
    lonely.daemon.stop()


ONE = """
    image = new_image()
    OUTCOME["status"] = style(image, [add_layer(image)], "one")
    OUTCOME["layers"] = len(image.get_layers())
"""


@pytest.fixture
def with_preset(lonely: Gimp) -> Iterator[Gimp]:
    """The preset `one` is in the user's own folder; a daemon that was started is stopped at the end."""
    folder = lonely.daemon.home / "config" / "stylefolder" / "presets"
    folder.mkdir(parents=True)
    (folder / "one.yaml").write_text(FAST)
    if os.environ.get("STYLEFOLDER_GIMP"):  # GIMP runs in a separate root, where this machine's files are under /host
        path = lonely.plug_in / "command.json"
        found = json.loads(path.read_text())
        path.write_text(json.dumps({**found, "command": ["/usr/sbin/chroot", "/host", *found["command"]]}))
    yield lonely
    if address := read_address(lonely.plug_in / "daemon.json"):
        os.kill(address.pid, signal.SIGTERM)
        psutil.wait_procs([psutil.Process(address.pid)], HANG)


@pytest.mark.slow
def test_no_daemon_runs_so_one_is_started(with_preset: Gimp) -> None:
    gimp = with_preset
    assert gimp.run(ONE) == {"status": ["success", ""], "layers": 2}
    address = read_address(gimp.plug_in / "daemon.json")
    assert address is not None
    assert psutil.pid_exists(address.pid), "it stays"
    assert Path(address.root) == gimp.daemon.home / "Pictures" / "Stylefolder"
    os.kill(address.pid, signal.SIGKILL)  # and its leftover address file does not mislead the plug-in
    assert gimp.run(ONE) == {"status": ["success", ""], "layers": 2}


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Daemon]:
    """Another machine's daemon, not started yet."""
    (tmp_path / "box" / "Root").mkdir(parents=True)
    made = Daemon(tmp_path / "box" / "Root", tmp_path / "box")
    yield made
    if made.process is not None and made.process.poll() is None:
        made.stop()


@pytest.mark.slow
def test_another_machines_daemon(lonely: Gimp, box: Daemon) -> None:
    """Paired: the layer is painted there, and no daemon is started here. Away: one sentence."""
    box.preset("one", FAST)
    box.start("--listen", free_address())
    wait_for(lambda: "one" in {preset["name"] for preset in box.client.ask("GET", "/v1/presets")["presets"]})
    lonely.daemon.extra = {"GIMP3_DIRECTORY": str(lonely.directory)}
    done = lonely.daemon.run("connect", line_of(box))
    assert done.returncode == 0, done.stderr
    assert lonely.run(ONE) == {"status": ["success", ""], "layers": 2}
    (job,) = box.jobs()
    assert (job["state"], job["source"]) == ("done", "upload")
    assert not (lonely.plug_in / "daemon.json").exists()
    box.stop()
    assert lonely.run(ONE) == {
        "status": [
            "execution-error",
            "The other machine's daemon does not answer: check that it runs and that the network is up, or run "
            "`stylefolder disconnect` in a terminal to use this machine.",
        ],
        "layers": 1,
    }
    assert lonely.daemon.run("disconnect").returncode == 0
    assert not (lonely.plug_in / "connection.json").exists()


@pytest.mark.slow
def test_no_stylefolder_is_found(lonely: Gimp) -> None:
    command = json.loads((lonely.plug_in / "command.json").read_text())
    (lonely.plug_in / "command.json").write_text(json.dumps({**command, "command": ["/gone/python", "-m", "daemon"]}))
    found = lonely.run(ONE)
    assert found["layers"] == 1
    assert found["status"] == [
        "execution-error",
        "Stylefolder is no longer at /gone/python: open a terminal and run `stylefolder gimp install`.",
    ]
    (lonely.plug_in / "command.json").unlink()
    assert (
        "Stylefolder was not found: open a terminal and run `stylefolder gimp install`" in lonely.run(ONE)["status"][1]
    )


@pytest.mark.slow
def test_the_address_cannot_be_read(lonely: Gimp) -> None:
    (lonely.plug_in / "daemon.json").write_text("{half of")
    status, sentence = lonely.run(ONE)["status"]
    assert status == "execution-error"
    assert f"The daemon's address cannot be read from {lonely.plug_in / 'daemon.json'}" in sentence
    (lonely.plug_in / "daemon.json").unlink()
    (lonely.plug_in / "daemon.json").mkdir()
    assert "cannot be read" in lonely.run(ONE)["status"][1]


@pytest.mark.slow
def test_a_wrong_token(gimp: Gimp) -> None:
    path = gimp.plug_in / "daemon.json"
    right = path.read_text()
    path.write_text(json.dumps({**json.loads(right), "token": "wrong"}))
    try:
        status, sentence = gimp.run(ONE)["status"]
        assert status == "execution-error"
        assert "The bearer token is missing or wrong" in sentence
        assert "`stylefolder gimp install`" in sentence
    finally:
        path.write_text(right)


def test_script_fu(gimp: Gimp) -> None:
    script = """
        (let* ((image (car (gimp-image-new 60 40 RGB)))
               (layer (car (gimp-layer-new image "photo" 60 40 RGB-IMAGE 100.0 LAYER-MODE-NORMAL))))
          (gimp-image-insert-layer image layer -1 0)
          (plug-in-stylefolder
            #:run-mode RUN-NONINTERACTIVE #:image image #:drawables (vector layer) #:preset "one" #:strength 50)
          (gimp-message (string-append "LAYERS " (number->string (vector-length (car (gimp-image-get-layers image)))))))
    """
    import subprocess

    command = [
        *gimp.command,
        "-n",
        "-i",
        "-d",
        "-f",
        "--quit",
        "--batch-interpreter",
        "plug-in-script-fu-eval",
        "-b",
        " ".join(script.split()),
    ]
    done = subprocess.run(command, env=gimp.environment, capture_output=True, text=True, timeout=HANG)
    assert done.returncode == 0, done.stderr
    assert "LAYERS 2" in done.stdout + done.stderr


@pytest.mark.slow
def test_last_values(gimp: Gimp) -> None:
    found = gimp.run("""
        image = new_image()
        layer = add_layer(image)
        OUTCOME["first"] = style(image, [layer], "nothing", strength=35.0)
        config = PROCEDURE.create_config()
        config.set_property("run-mode", Gimp.RunMode.WITH_LAST_VALS)
        config.set_property("image", image)
        config.set_core_object_array("drawables", [layer])
        PROCEDURE.run(config)
        OUTCOME["layers"] = [describe(layer) for layer in image.get_layers()]
    """)
    assert [layer["name"] for layer in found["layers"]][:1] == ["photo (nothing)"]
    assert len(found["layers"]) == 3
    assert found["layers"][0]["opacity"] == 35.0


@pytest.mark.slow
def test_24_megapixels_there_and_back(gimp: Gimp) -> None:
    found = gimp.run("""
        import time
        image = new_image(6000, 4000)
        layer = Gimp.Layer.new(image, "photo", 6000, 4000, Gimp.ImageType.RGBA_IMAGE, 100, Gimp.LayerMode.NORMAL)
        image.insert_layer(layer, None, 0)
        layer.get_buffer().set(Gegl.Rectangle.new(0, 0, 6000, 4000), "R'G'B'A u8", os.urandom(96_000_000))
        style(new_image(), [], "nothing")
        times = []
        for _ in range(3):
            begin = time.monotonic()
            OUTCOME["status"] = style(image, [layer], "nothing")
            times.append(time.monotonic() - begin)
        OUTCOME["seconds"] = sorted(times)[1]
        new = image.get_layers()[0]
        part = Gegl.Rectangle.new(2990, 1990, 100, 100)
        read = lambda layer: layer.get_buffer().get(part, 1.0, "R'G'B'A u8", Gegl.AbyssPolicy.NONE)
        OUTCOME["difference"] = max(abs(a - b) for a, b in zip(read(new), read(layer)))
    """)
    print(f"24 megapixels to the daemon and back: {found['seconds']:.1f} s")
    assert found["status"] == ["success", ""]
    assert found["difference"] <= 1


@pytest.mark.slow
def test_a_second_layer_that_fails_leaves_nothing_of_the_first(lonely: Gimp) -> None:
    """The first is painted, the second is larger than the settings allow: both are forgotten, and nothing is
    inserted."""
    daemon = lonely.daemon
    daemon.settings("upload_limit: 1\n")
    daemon.preset("one", FAST)
    daemon.extra = {"GIMP3_DIRECTORY": str(lonely.directory)}
    daemon.start()
    try:
        found = lonely.run("""
            image = new_image(600, 500)
            OUTCOME["status"] = style(image, [add_layer(image), add_layer(image, 600, 500, alpha=True)], "one")
            OUTCOME["layers"] = len(image.get_layers())
        """)
        assert found["status"][0] == "execution-error"
        assert "larger than 1 MB" in found["status"][1]
        assert found["layers"] == 2
        assert [row["state"] for row in daemon.jobs()] == ["done"], "the first was painted"
        wait_for(lambda: not list((daemon.root / ".stylefolder" / "spool").iterdir()))
    finally:
        daemon.stop()
