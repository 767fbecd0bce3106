"""`stylefolder apply` and `demo`, without a daemon."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.daemon.harness import STYLEFOLDER, run
from tests.harness import HANG


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
def test_demo(home: dict[str, str], tmp_path: Path, small: Image.Image, quick_yaml: str) -> None:
    (tmp_path / "quick.yaml").write_text(quick_yaml)
    small.save(tmp_path / "photo.png")
    done = run({**home, "TMPDIR": str(tmp_path)}, "demo", tmp_path / "photo.png", "--preset", tmp_path / "quick.yaml")
    assert done.returncode == 0, done.stderr
    result = Path(done.stdout.rsplit("The Result is ", 1)[1].strip())
    with Image.open(result) as image:
        assert image.size == small.size


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
