"""`stylefolder watch` and `apply` as their users run them: as processes, over real folders."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from daemon.folders.layout import Layout
from daemon.folders.watcher import Pending
from daemon.ledger.signature import Signature
from daemon.lifetime import Systemd
from daemon.lock import only_one
from daemon.loop import MainLoop
from daemon.settings import LiveSettings
from daemon.start import create_root
from stylecore.recipe import PaintingRecipe as Recipe
from tests.daemon.harness import STYLEFOLDER
from tests.harness import HANG, REPOSITORY, wait_for


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """An environment that touches nothing of the real user's."""
    folder = tmp_path / "home"
    folder.mkdir()
    return {
        **os.environ,
        "HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "XDG_STATE_HOME": str(folder / "state"),
        "PYTHONPATH": str(REPOSITORY),
    }


@pytest.fixture
def root(tmp_path: Path, quick_yaml: str) -> Path:
    """A Root with its own preset, `quick`."""
    folder = tmp_path / "Root"
    (folder / "presets").mkdir(parents=True)
    (folder / "quick").mkdir()
    (folder / "presets" / "quick.yaml").write_text(quick_yaml)
    return folder


def run(home: dict[str, str], *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*STYLEFOLDER, *map(str, arguments)], env=home, capture_output=True, text=True, timeout=HANG)


def left_over(root: Path) -> list[Path]:
    return list(root.rglob("*.part"))


def test_once_over_good_and_bad_files(root: Path, home: dict[str, str], small: Image.Image) -> None:
    inbox = root / "quick"
    small.save(inbox / "good.jpg")
    small.save(inbox / "again.png")
    (inbox / "trip").mkdir()
    small.save(inbox / "trip" / "deeper.webp")
    small.save(inbox / os.fsdecode(b"caf\xe9.png"))
    (inbox / "words.jpg").write_text("these are words")
    (inbox / "empty.png").touch()
    (inbox / os.fsdecode(b"bad \xff.jpg")).write_text("these are words")
    (root / os.fsdecode(b"\xff folder")).mkdir()
    small.save(root / os.fsdecode(b"\xff folder") / "a.png")
    (inbox / "cut.jpg").write_bytes((inbox / "good.jpg").read_bytes()[:900])
    (inbox / ".DS_Store").write_text("no photo")
    (root / "qiuck").mkdir()
    small.save(root / "qiuck" / "lost.png")
    (root / "presets" / "gone.yaml").write_text("style: gone.jpg\n")
    (root / "gone").mkdir()
    small.save(root / "gone" / "styleless.png")
    before = {p: p.read_bytes() for p in root.rglob("*") if p.is_file()}

    done = run(home, "watch", root, "--once", "--plain")

    assert done.returncode == 1, done.stderr
    styled = inbox / "styled"
    for name in ("good.jpg", "again.png", "trip/deeper.webp", os.fsdecode(b"caf\xe9.png")):
        with Image.open(styled / name) as result:
            assert result.size == small.size
    reasons = {p.relative_to(root).as_posix(): p.read_text() for p in root.rglob("failed/**/*.txt")}
    assert set(reasons) == {
        os.fsdecode(b"quick/failed/bad \xff.jpg.txt"), os.fsdecode(b"\xff folder/failed/a.png.txt"),
        "quick/failed/words.jpg.txt", "quick/failed/empty.png.txt", "quick/failed/cut.jpg.txt",
        "qiuck/failed/lost.png.txt", "gone/failed/styleless.png.txt",
    }  # fmt: skip
    assert "not a picture" in reasons["quick/failed/words.jpg.txt"]
    assert "is empty" in reasons["quick/failed/empty.png.txt"]
    assert "cut off" in reasons["quick/failed/cut.jpg.txt"]
    assert "did you mean 'quick'" in reasons["qiuck/failed/lost.png.txt"]
    assert "gone.yaml:1: style: the picture" in reasons["gone/failed/styleless.png.txt"]
    for text in reasons.values():
        assert text.count("\n") == 1, "one line"
    for name in ("words.jpg", "empty.png", "cut.jpg", "lost.png", "styleless.png"):
        assert f"{name}: failed." in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout.count("Painting on ") == 1, "the chosen device is named once"
    assert {p: p.read_bytes() for p in before} == before, "photos are never changed"
    assert left_over(root) == []

    again = run(home, "watch", root, "--once", "--plain")
    assert again.returncode == 0
    assert "started with" not in again.stdout, "nothing is computed twice"


@pytest.mark.slow
def test_a_folder_with_a_style_picture_is_a_preset(
    root: Path, home: dict[str, str], small: Image.Image, tmp_path: Path
) -> None:
    """With the defaults; the picture itself is not taken for a photo."""
    mine = root / "Grandma's garden"
    mine.mkdir()
    shutil.copyfile(REPOSITORY / "presets" / "styles" / "gouache.jpg", mine / "style.JPG")
    small.resize((40, 32)).save(mine / "a.png")
    assert run(home, "watch", root, "--once", "--plain").returncode == 0
    assert [p.name for p in (mine / "styled").iterdir()] == ["a.png"]
    assert not (mine / "failed").exists()


@pytest.mark.slow
def test_what_a_kill_in_mid_write_left_is_cleared(root: Path, home: dict[str, str], small: Image.Image) -> None:
    part = root / "quick" / "styled" / "trip" / ".stylefolder-abc.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"half a picture")
    small.save(root / "quick" / "a.png")
    assert run(home, "watch", root, "--once", "--plain").returncode == 0
    assert left_over(root) == []


@pytest.mark.slow
def test_no_such_device_is_said_and_tried_again_when_there_is_one(
    root: Path, home: dict[str, str], small: Image.Image
) -> None:
    small.save(root / "quick" / "a.png")
    done = run(home, "watch", root, "--once", "--device", "cuda:99")
    assert done.returncode == 1
    assert (
        "There is no device 'cuda:99' here. Use one of: auto," in (root / "quick" / "failed" / "a.png.txt").read_text()
    )
    assert run(home, "watch", root, "--once").returncode == 0
    assert (root / "quick" / "styled" / "a.png").exists()


def test_odd_things_in_the_root_do_not_stop_it(root: Path, home: dict[str, str], small: Image.Image) -> None:
    (root / "oil").write_text("a file with an Inbox's name")
    (root / "presets" / "zero.yaml").write_text('style: "a\\0b"\n')
    (root / "presets" / "nobody.yaml").write_text("style: ~no-such-user/x.jpg\n")
    (root / "presets" / "endless.yaml").write_text("style: /dev/zero\n")
    (root / "quick" / "loop").symlink_to(root / "quick")
    os.mkfifo(root / "quick" / "pipe.jpg")
    small.save(root / "quick" / "a.png")
    done = run(home, "watch", root, "--once", "--plain")
    assert done.returncode == 1, done.stderr
    assert (root / "quick" / "styled" / "a.png").exists()
    assert "symbolic link" in (root / "quick" / "failed" / "loop.txt").read_text()
    assert "a FIFO" in (root / "quick" / "failed" / "pipe.jpg.txt").read_text()
    assert "The Inbox" in done.stderr
    for name in ("zero", "nobody", "endless"):
        assert f"Preset {name} is broken: {root}/presets/{name}.yaml:1: style: the picture" in done.stderr


@pytest.mark.slow
def test_a_mended_preset_takes_its_photos_up(
    root: Path, home: dict[str, str], small: Image.Image, quick_yaml: str
) -> None:
    (root / "later").mkdir()
    small.save(root / "later" / "a.png")
    assert run(home, "watch", root, "--once", "--plain").returncode == 1
    assert (root / "later" / "failed" / "a.png.txt").exists()
    (root / "presets" / "later.yaml").write_text(quick_yaml)
    assert run(home, "watch", root, "--once", "--plain").returncode == 0
    assert (root / "later" / "styled" / "a.png").exists()
    assert not (root / "later" / "failed").exists(), "the reason is gone with the failure"


def test_a_photo_dropped_while_watching_and_ctrl_c(root: Path, home: dict[str, str], small: Image.Image) -> None:
    daemon = subprocess.Popen([*STYLEFOLDER, "watch", str(root), "--json"], env=home, stdout=subprocess.PIPE, text=True)
    try:
        wait_for((root / "oil").is_dir)  # the shipped presets have Inboxes now
        second = run(home, "watch", root, "--once")
        assert second.returncode == 2
        assert f"process {daemon.pid}" in second.stderr
        small.save(root / "quick" / "a.png")
        wait_for((root / "quick" / "styled" / "a.png").exists)
        small.rotate(180).save(root / "quick" / "a.png")  # replaced: a new photo under the old name
        first = (root / "quick" / "styled" / "a.png").read_bytes()
        wait_for(lambda: (root / "quick" / "styled" / "a.png").read_bytes() != first)
    finally:
        daemon.send_signal(signal.SIGINT)
        output, _ = daemon.communicate(timeout=HANG)
    assert daemon.returncode == 0
    events = [json.loads(line) for line in output.splitlines()]
    assert [e["event"] for e in events].count("JobDone") == 2
    assert any(e["event"] == "JobStepped" and e["loss"] > 0 for e in events)


def test_the_snapshot_changes_only_when_the_loop_publishes_one(tmp_path: Path) -> None:
    """So the API reads no list that the watcher is changing."""
    layout = Layout(tmp_path)
    create_root(layout, lambda _: None)
    settings = LiveSettings(tmp_path / "settings.yaml", tmp_path)
    with (
        only_one(tmp_path, layout.lock_file, shared=False, say=print) as lock,
        MainLoop(layout, "cpu", lambda _: None, settings, Systemd(), lock, damaged=False) as loop,
    ):
        before = loop.snapshot
        loop.watcher.pending["/oil/a.jpg"] = Pending(Signature(1, 1, 1, 1), 0.0, "the copy to finish")
        assert loop.snapshot is before
        assert (before.pending_count, before.pending) == (0, ())
        loop._publish()
        assert (loop.snapshot.pending_count, len(loop.snapshot.pending)) == (1, 1)
        loop.watcher.pending.clear()
        assert loop.snapshot.pending_count == 1


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (
            ["apply", "gone.jpg", "--preset", "oil"],
            1,
            "gone.jpg: failed. It cannot be read (No such file or directory)",
        ),
        (["apply", "photo.png", "--preset", "oli"], 2, "There is no preset 'oli': did you mean 'oil'?"),
        (["apply", "photo.png", "--preset", "gone.yaml"], 2, "gone.yaml: cannot be read"),
        (["apply", "photo.png", "--preset", "oil", "-o", "photo.png"], 2, "is the photo itself"),
        (["apply", "photo.png", "--preset", "oil", "-o", "out.xyz"], 2, "'.xyz' is not a known format"),
        (["apply", "photo.png", "--preset", "oil", "--device", "cuda:99"], 1, "There is no device 'cuda:99' here"),
        (["apply", "photo.png"], 2, "--preset"),
        (["presets", "check", "gone.yaml"], 2, "gone.yaml: cannot be read"),
        (["presets", "check", "oli"], 2, "did you mean 'oil'?"),
        (["presets", "new", "a/b", "--style", "photo.png"], 2, "'a/b' cannot be a preset's name"),
        (
            ["apply", "photo.png", "other.png", "--preset", "oil", "-o", "both.jpg"],
            2,
            "both.jpg is the name of one picture, and there are 2 photos",
        ),
        (["watch", "photo.png"], 2, "photo.png is a file: name the folder to watch."),
        (["sheet", "gone.png", "-o", "photo.png"], 1, "gone.png"),
        (["demo", "photo.png.part"], 1, "a file named photo.png.part is not treated as a photo"),
        (["apply", "photo.png", "-p", "oil", "-o", "x" * 300 + ".png"], 2, "(File name too long): give another"),
    ],
)
def test_wrong_usage_in_a_sentence(
    home: dict[str, str], tmp_path: Path, small: Image.Image, arguments: list[str], status: int, says: str
) -> None:
    small.save(tmp_path / "photo.png")
    shutil.copy(tmp_path / "photo.png", tmp_path / "photo.png.part")
    done = subprocess.run(
        [*STYLEFOLDER, *arguments], env=home, cwd=tmp_path, capture_output=True, text=True, timeout=HANG
    )
    assert done.returncode == status
    assert says in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_apply_to_several_photos(home: dict[str, str], tmp_path: Path, small: Image.Image, quick_yaml: str) -> None:
    (tmp_path / "quick.yaml").write_text(quick_yaml)
    for name in ("a.png", "b.jpg"):
        small.save(tmp_path / name)
    done = run(
        home,
        "apply",
        tmp_path / "a.png",
        tmp_path / "b.jpg",
        "--preset",
        tmp_path / "quick.yaml",
        "-o",
        tmp_path / "out",
        "--json",
    )
    assert done.returncode == 0, done.stderr
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a-quick.png", "b-quick.jpg"]
    (tmp_path / "other").mkdir()
    small.rotate(180).save(tmp_path / "other" / "a.png")
    second = run(
        home, "apply", tmp_path / "other" / "a.png", "--preset", tmp_path / "quick.yaml", "-o", tmp_path / "out"
    )
    assert second.returncode == 0
    assert (tmp_path / "out" / "a-quick-2.png").exists(), "no existing file is overwritten"
    results = [json.loads(line)["job"]["result"] for line in done.stdout.splitlines() if '"JobDone"' in line]
    assert [Path(r).name for r in results] == ["a-quick.png", "b-quick.jpg"]
    one = run(
        home,
        "apply",
        tmp_path / "a.png",
        "--preset",
        tmp_path / "quick.yaml",
        "-o",
        tmp_path / "one.webp",
        "--steps",
        1,
        "--size",
        48,
    )
    assert one.returncode == 0, one.stderr
    assert "total loss by step: 1: " in one.stdout
    assert ", at 48 x 32 pixels." in one.stdout
    with Image.open(tmp_path / "one.webp") as result:
        assert (result.format, result.size) == ("WEBP", (96, 64))


@pytest.mark.slow
def test_presets_commands(home: dict[str, str], tmp_path: Path) -> None:
    listed = run(home, "presets")
    assert listed.returncode == 0
    assert {path.stem for path in (REPOSITORY / "presets").glob("*.yaml")} <= set(listed.stdout.split())
    shown = run(home, "presets", "show", "classic")
    assert "style_weight: 10000" in shown.stdout
    made = run(
        home, "presets", "new", "mine", "--style", REPOSITORY / "presets" / "styles" / "pastel.jpg", "--no-sample"
    )
    assert made.returncode == 0, made.stderr
    assert "mine" in run(home, "presets", "list").stdout
    path = Path(home["XDG_CONFIG_HOME"]) / "stylefolder" / "presets" / "mine.yaml"
    assert "is fine" in run(home, "presets", "check", path).stdout
    explained = path.read_text()
    everything = "\n".join(
        line.removeprefix("# ")
        if re.match(r"# [a-z_]+: ", line) and line[2:].partition(":")[0] in Recipe.model_fields
        else line
        for line in explained.splitlines()
    )
    path.write_text(everything)
    assert run(home, "presets", "show", "mine").stdout == run(home, "presets", "show", path).stdout, (
        "every key with its default"
    )
    assert "statistic: covariance" in everything
    folder = path.parent
    (folder / "heart-1.jpg").write_text("someone's own")
    heart = run(home, "presets", "new", "heart", "--style", folder / "mine-1.jpg", "--no-sample")
    assert heart.returncode == 0, heart.stderr
    assert (folder / "heart-1.jpg").read_text() == "someone's own"
    assert "heart-1-2.jpg" in (folder / "heart.yaml").read_text()
    smile = run(home, "presets", "new", "\N{GRINNING FACE}", "--style", folder / "mine-1.jpg", "--no-sample")
    assert smile.returncode == 0, smile.stderr
    assert "\N{GRINNING FACE}, after" in run(home, "presets", "list").stdout
    before = set(folder.iterdir())
    assert run(home, "presets", "new", "styled", "--style", folder / "mine-1.jpg", "--no-sample").returncode == 2
    assert set(folder.iterdir()) == before
    hostile = folder / "hostile.yaml"
    hostile.write_text(f"style: {folder / 'mine-1.jpg'}\n" + '"\\e[2J": 1\n')
    refused = run(home, "presets", "check", hostile)
    assert refused.returncode == 2
    assert "\x1b" not in refused.stderr
    hostile.write_text(f"style: {folder / 'mine-1.jpg'}\n" + 'description: "\\e]0;words\\a"\n')
    assert "\x1b" not in run(home, "presets", "list").stdout
    hostile.unlink()
    own = Path(home["HOME"]) / "Pictures" / "Stylefolder" / "garden"
    own.mkdir(parents=True)
    shutil.copyfile(REPOSITORY / "presets" / "styles" / "gouache.jpg", own / "Style.jpg")
    assert "garden" in run(home, "presets", "list").stdout.split()
    assert "Style.jpg" in run(home, "presets", "show", "garden").stdout
    path.write_text("strenght: 4\n" + explained)
    broken = run(home, "presets", "check", path)
    assert broken.returncode == 2
    assert "mine.yaml:1: strenght: there is no such key; did you mean 'strength'?" in broken.stderr


def test_doctor(home: dict[str, str], tmp_path: Path) -> None:
    done = run(home, "doctor", tmp_path / "Root")
    assert done.returncode == 0, done.stdout
    for what in ("device", "weights", "presets", "root", "disk"):
        assert f"ok    {what}" in done.stdout


@pytest.mark.slow
def test_demo(home: dict[str, str], tmp_path: Path, small: Image.Image, quick_yaml: str) -> None:
    (tmp_path / "quick.yaml").write_text(quick_yaml)
    small.save(tmp_path / "photo.png")
    done = run({**home, "TMPDIR": str(tmp_path)}, "demo", tmp_path / "photo.png", "--preset", tmp_path / "quick.yaml")
    assert done.returncode == 0, done.stderr
    result = Path(done.stdout.rsplit("The Result is ", 1)[1].strip())
    with Image.open(result) as image:
        assert image.size == small.size


@pytest.mark.parametrize(
    ("imports", "heavy"),
    [
        ("daemon.commands.cli", ("torch", "scipy", "skimage", "numpy", "PIL", "pydantic", "rich", "yaml", "fastapi")),
        ("daemon.watch, daemon.commands.apply, daemon.terminal.output", ("torch", "scipy", "skimage")),
    ],
)
def test_a_command_starts_without_heavy_modules(home: dict[str, str], imports: str, heavy: tuple[str, ...]) -> None:
    """What makes `stylefolder --help` answer in a quarter of a second, and the others in less than one."""
    code = f"import sys; import {imports}; print([m for m in sys.modules if m in {heavy}])"
    done = subprocess.run([sys.executable, "-c", code], env=home, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.slow
def test_24_megapixels_upright_with_gps_and_profile_in_3_gb(
    home: dict[str, str], tmp_path: Path, cat: Image.Image, quick_yaml: str
) -> None:
    """A camera's JPEG on its side, with GPS and Adobe RGB, through `apply`; the memory is the worker's peak."""
    from PIL import ExifTags

    from tests.stylecore.images.photos import adobe_rgb, rich_exif

    (tmp_path / "quick.yaml").write_text(quick_yaml)
    photo, out = tmp_path / "large.jpg", tmp_path / "out.jpg"
    cat.resize((6000, 4000), Image.Resampling.BICUBIC).save(
        photo, quality=92, exif=b"Exif\0\0" + rich_exif(6), icc_profile=adobe_rgb()
    )
    measured = (
        "import resource, subprocess, sys;"
        "status = subprocess.run(sys.argv[1:]).returncode;"
        "print('kB', resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss);"
        "sys.exit(status)"
    )
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            measured,
            *STYLEFOLDER,
            "apply",
            str(photo),
            "--preset",
            str(tmp_path / "quick.yaml"),
            "-o",
            str(out),
        ],
        env=home,
        capture_output=True,
        text=True,
        timeout=HANG,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.rsplit("kB", 1)[1]) < 3_000_000
    with Image.open(out) as result:
        assert result.size == (4000, 6000)
        block = result.getexif()
        assert block[ExifTags.Base.Orientation] == 1
        assert block.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] == "N"
        assert result.info["icc_profile"] == adobe_rgb()
