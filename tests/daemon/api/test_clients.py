"""Clients on other machines: paired, each with its own Jobs, and cut off."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from daemon.api.without_paths import words_without_paths
from daemon.commands.bring_preset import bring
from daemon.errors import Refused
from stylecore.preset import with_files
from stylecore.preset_file import load_preset
from tests.daemon.api.harness import paired, png, refusal
from tests.daemon.harness import Daemon
from tests.harness import REPOSITORY, wait_for


def test_a_client_sees_its_own_jobs_and_no_paths(box: Daemon, tmp_path: Path, fast: str, small: Image.Image) -> None:
    inbox = box.preset("mine", fast)
    wait_for(lambda: "mine" in {p["name"] for p in box.client.ask("GET", "/v1/presets")["presets"]})
    _, one = paired(box, tmp_path / "one")
    _, other = paired(box, tmp_path / "other")
    box.run("pause")
    small.save(inbox / "folder.png")
    wait_for(box.jobs)
    job = one.ask("POST", "/v1/jobs", png(small), preset="mine", name="a.png")
    assert job["photo"] == "a.png"
    assert [j["photo"] for j in one.ask("GET", "/v1/jobs")["jobs"]] == ["a.png"]
    assert other.ask("GET", "/v1/jobs") == {"jobs": []}
    folders = box.jobs("source = 'folder'")[0]["id"]
    for client, number in ((other, job["id"]), (one, folders)):
        for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/result"), ("GET", "/events"), ("POST", "/retry")):
            assert refusal(client, method, f"/v1/jobs/{number}{path}")[0] == 404
    for method, path in (("POST", "/v1/pause"), ("POST", "/v1/resume"), ("POST", "/v1/retry")):
        assert refusal(one, method, path) == (
            403,
            "This client can act on its own Jobs only: pair it again with --full.",
        )
    box.run("resume")
    wait_for(lambda: one.ask("GET", f"/v1/jobs/{job['id']}")["state"] == "done")
    assert one.fetch(f"/v1/jobs/{job['id']}/result")[:4] == b"\x89PNG"
    wait_for(lambda: box.jobs("source = 'folder' AND state = 'done'"))
    found = other.ask("GET", "/v1/status")
    assert (found["inboxes"], found["done_today"]) == ({}, {}), "nor how many others have, and under which presets"
    status = json.dumps(one.ask("GET", "/v1/status"))
    assert str(box.root) not in status
    assert "folder.png" not in status
    assert "a.png" in status


def test_what_went_wrong_names_no_folders(box: Daemon, tmp_path: Path, fast: str, small: Image.Image) -> None:
    """Reasons and errors are sentences with file names, but no folders of the box, which the box's own user sees."""
    weights = tmp_path / "My weights" / "gone.pth"
    box.preset("mine", f"{fast}weights: {weights}\n")
    wait_for(lambda: "mine" in {p["name"] for p in box.client.ask("GET", "/v1/presets")["presets"]})
    _, one = paired(box, tmp_path / "one")
    events = one.events()
    assert next(events) == {}
    job = one.ask("POST", "/v1/jobs", png(small), preset="mine", name="a.png")["id"]
    failed = next(event for event in events if event.get("event") == "JobFailed")
    ours, theirs = (client.ask("GET", f"/v1/jobs/{job}")["reason"] for client in (box.client, one))
    assert str(weights) in ours
    assert theirs == failed["job"]["reason"]
    assert "gone.pth" in theirs and str(tmp_path) not in theirs
    upload = Path(box.client.ask("GET", f"/v1/jobs/{job}")["photo"])
    assert str(box.root) not in json.dumps(one.ask("GET", "/v1/status"))
    spool = upload.parent.parent
    shutil.rmtree(spool)
    spool.write_bytes(b"in the way")
    with pytest.raises(Refused) as caught:
        one.ask("POST", "/v1/jobs", png(small), preset="mine", name="b.png")
    assert "saved" in str(caught.value) and str(box.root) not in str(caught.value)


def test_sentences_without_paths() -> None:
    inside = Path("/home/me/My Photos/.stylefolder/spool/ab/x y.jpg")
    for text, shown in (
        (f"{inside} cannot be written (No space left).", "x y.jpg cannot be written (No space left)."),
        (f"Check the permissions of {inside.parent.parent}.", "Check the permissions of spool."),
        ("Read '/etc/ssl/own.pem' or (/var/lib/b): C:\\Users\\me\\c.jpg", "Read 'own.pem' or (b): c.jpg"),
        ("24/7, 1/2 and https://example.org/a/b stay.", "24/7, 1/2 and https://example.org/a/b stay."),
    ):
        assert words_without_paths(text, inside) == shown


def test_full_clients_act_on_all_jobs(box: Daemon, tmp_path: Path, fast: str, small: Image.Image) -> None:
    inbox = box.preset("mine", fast)
    _, full = paired(box, tmp_path / "full", "--full")
    full.ask("POST", "/v1/pause")
    small.save(inbox / "folder.png")
    wait_for(box.jobs)
    (job,) = full.ask("GET", "/v1/jobs")["jobs"]
    assert job["photo"] == "folder.png"
    full.ask("DELETE", f"/v1/jobs/{job['id']}")
    assert box.jobs()[0]["state"] == "cancelled"
    for method, path in (("POST", "/v1/invitations"), ("GET", "/v1/clients"), ("DELETE", "/v1/clients/99")):
        body = b'{"full": true}' if method == "POST" else None
        with pytest.raises(Refused, match=r"403|machine of the daemon"):
            full.post(path, {"full": True}) if body else full.ask(method, path)


def test_a_removed_client_is_cut_off_at_once(box: Daemon, tmp_path: Path) -> None:
    home, client = paired(box, tmp_path / "laptop")
    events = client.events()
    assert next(events) == {}
    assert "laptop" not in box.run("clients").stdout.splitlines()[0]
    number = client.address.number
    assert box.run("clients", "remove", number).returncode == 0
    assert list(events) == [], "an open stream ends"
    assert refusal(client, "GET", "/v1/status")[0] == 403
    done = home.run("status", "--once")
    assert done.returncode != 0
    assert "Traceback" not in done.stderr


def test_a_preset_of_its_own_travels(box: Daemon, tmp_path: Path, fast: str, small: Image.Image) -> None:
    """With its picture, once. Its name may be one that the box has for another."""
    home, client = paired(box, tmp_path / "laptop")
    small.rotate(90).save(home.home / "mine.png")
    file = home.home / "oil.yaml"
    file.write_text(re.sub("style: .*", "style: mine.png", fast))
    preset = load_preset(file)
    kept = bring(client, preset)
    stored = [path for path in (box.root / ".stylefolder" / "styles").iterdir() if path.suffix == ".png"]
    assert [path.read_bytes() for path in stored] == [(home.home / "mine.png").read_bytes()]
    before = stored[0].stat().st_mtime_ns
    assert bring(client, preset) == kept
    assert stored[0].stat().st_mtime_ns == before
    job = client.ask("POST", "/v1/jobs", png(small), kept=kept, name="a.png")
    wait_for(lambda: client.ask("GET", f"/v1/jobs/{job['id']}")["state"] == "done")
    assert refusal(client, "POST", "/v1/jobs", kept="0" * 64)[0] == 404


def test_what_does_not_travel(box: Daemon, tmp_path: Path, fast: str) -> None:
    home, client = paired(box, tmp_path / "laptop")
    file = home.home / "heavy.yaml"
    file.write_text(fast + "weights: own.pth\n")
    with pytest.raises(Refused, match="has weights of its own"):
        bring(client, load_preset(file))
    good = load_preset(REPOSITORY / "presets" / "oil.yaml")
    for files, says in ((lambda _: Path("/etc/passwd"), "is not the sha256"), (lambda f: f, "is not the sha256")):
        with pytest.raises(Refused, match=says):
            client.post("/v1/recipes", {"preset": with_files(good, files).model_dump_json()})
    for text in ("{}", "[]", "nonsense", '{"transfer": "x"}', "[" * 5000):
        with pytest.raises(Refused, match="cannot be read"):
            client.post("/v1/recipes", {"preset": text})
    for name, data, status in (("0" * 64 + ".png", b"x", 409), ("../x.png", b"x", 404), ("0" * 64 + ".sh", b"x", 409)):
        with pytest.raises(Refused) as caught:
            client.ask("PUT", f"/v1/files/{name}", data)
        assert caught.value.status == status, name
    assert not list((box.root / ".stylefolder" / "spool").glob("*/*"))


def test_a_picture_that_is_sent_again_is_one_job(box: Daemon, tmp_path: Path, small: Image.Image) -> None:
    """A client that did not hear the answer sends it again. What it calls a Job is its own."""
    _, one = paired(box, tmp_path / "one")
    _, other = paired(box, tmp_path / "other")
    box.run("pause")
    jobs = [c.ask("POST", "/v1/jobs", png(small), preset="oil", ticket="picture-1") for c in (one, one, other)]
    assert jobs[0]["id"] == jobs[1]["id"] != jobs[2]["id"]
    assert len(box.jobs()) == 2
    assert len(list((box.root / ".stylefolder" / "spool").iterdir())) == 2, "the second copy is not kept"
    assert [j["id"] for j in other.ask("GET", "/v1/jobs", ticket="picture-1")["jobs"]] == [jobs[2]["id"]]
    assert other.ask("GET", "/v1/jobs", ticket="picture-2") == {"jobs": []}


def test_what_was_removed_is_no_longer_listed(box: Daemon, tmp_path: Path, fast: str, small: Image.Image) -> None:
    """Whether the client removed it, or the daemon because nobody fetched it: then its ticket is free again."""
    box.preset("mine", fast)
    wait_for(lambda: "mine" in {p["name"] for p in box.client.ask("GET", "/v1/presets")["presets"]})
    _, client = paired(box, tmp_path / "laptop")
    jobs = [
        client.ask("POST", "/v1/jobs", data, preset="mine", ticket=f"picture-{i}")["id"]
        for i, data in enumerate((b"no picture", b"no picture", png(small), png(small.rotate(90))))
    ]
    wait_for(
        lambda: [j["state"] for j in client.ask("GET", "/v1/jobs")["jobs"]] == ["done", "done", "failed", "failed"]
    )
    assert [j["id"] for j in client.ask("GET", "/v1/status")["failures"]] == [jobs[1], jobs[0]]
    for number in (jobs[0], jobs[2]):
        client.ask("DELETE", f"/v1/jobs/{number}")
    assert [j["id"] for j in client.ask("GET", "/v1/jobs")["jobs"]] == [jobs[3], jobs[1]]
    assert [j["id"] for j in client.ask("GET", "/v1/status")["failures"]] == [jobs[1]]
    shutil.rmtree(box.root / ".stylefolder" / "spool")
    assert client.ask("GET", "/v1/jobs", ticket="picture-3") == {"jobs": []}
    again = client.ask("POST", "/v1/jobs", png(small.rotate(90)), preset="mine", ticket="picture-3")
    assert again["id"] > jobs[3]
    wait_for(lambda: client.ask("GET", f"/v1/jobs/{again['id']}")["state"] == "done")


def test_the_daemon_keeps_within_its_quota(daemon: Daemon, fast: str, small: Image.Image) -> None:
    """What is finished makes room, the oldest first; what is not is kept, and the next picture is refused."""
    daemon.preset("quick", fast)
    client = daemon.start().client
    own = daemon.root / ".stylefolder"
    spool, styles = own / "spool", sum(file.stat().st_size for file in (own / "styles").iterdir())
    daemon.stop()
    daemon.settings(f"upload_quota: {(styles >> 20) + 4}\n")
    client = daemon.start().client

    def send(number: int) -> int:
        noise = np.random.default_rng(number).integers(0, 256, (800, 800, 3), np.uint8)  # 1.9 MB as PNG
        return int(client.ask("POST", "/v1/jobs", png(Image.fromarray(noise)), preset="quick")["id"])

    wait_for(lambda: "quick" in {p["name"] for p in client.ask("GET", "/v1/presets")["presets"]})
    first = send(1)
    wait_for(lambda: client.ask("GET", f"/v1/jobs/{first}")["state"] == "done")
    assert daemon.run("pause").returncode == 0
    kept = [send(2)]
    with pytest.raises(Refused):
        client.fetch(f"/v1/jobs/{first}/result")
    kept.append(send(3))
    with pytest.raises(Refused, match=r"raise `upload_quota` in its settings") as caught:
        send(4)
    assert caught.value.status == 507
    assert len(list(spool.iterdir())) == len(kept)
    assert daemon.run("resume").returncode == 0
    wait_for(lambda: all(client.ask("GET", f"/v1/jobs/{number}")["state"] == "done" for number in kept))
