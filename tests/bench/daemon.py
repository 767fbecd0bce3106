"""`make bench`, the daemon's part: how soon a photo starts, the cost of scanning, idling and watching the status, and
the overhead over the optimiser alone."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

from daemon.folders.layout import Layout
from daemon.folders.notifications import Notifications
from daemon.folders.presets import Presets
from daemon.folders.problems import Problems
from daemon.folders.watcher import Watcher
from daemon.ledger.ledger import Ledger
from tests.daemon.harness import STYLEFOLDER, Daemon
from tests.daemon.terminal.emulator import Terminal
from tests.harness import REPOSITORY, wait_for

FAST = f"style: {REPOSITORY / 'presets' / 'styles' / 'oil.jpg'}\nsteps: 1\nsize: 64\n"
HARD = FAST.replace("steps: 1", "steps: 10").replace("size: 64", "size: 256")
LARGE = f"style: {REPOSITORY / 'presets' / 'styles' / 'oil.jpg'}\nsize: 1024\n"  # for a GPU
FILES, PHOTOS = 10_000, 20
BARE = """
import sys, time
from pathlib import Path
from stylecore.images.decode import load_photo
from stylecore.device import choose_device
from stylecore.preset_file import load_preset
from stylecore.images.encode import Result, save_result
from stylecore.transfer import stylize
preset, device = load_preset(Path(sys.argv[1])), choose_device("auto")
def style(path):
    for event in stylize(load_photo(path), preset, device):
        if isinstance(event, Result):
            save_result(event, Path(sys.argv[2]) / path.name, preset.output)
photos = [Path(p) for p in sys.argv[3:]]
style(photos[0])
begin = time.perf_counter()
for path in photos[1:]:
    style(path)
print(time.perf_counter() - begin)
"""


def photo(number: int, size: tuple[int, int] = (96, 64)) -> Image.Image:
    noise = np.random.default_rng(number).integers(0, 256, (size[1] // 4, size[0] // 4, 3), np.uint8)
    return Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)


def a_daemon(folder: Path) -> Daemon:
    (folder / "home").mkdir(parents=True)
    made = Daemon(folder / "Root", folder / "home")
    made.root.mkdir()
    return made


def times(daemon: Daemon, kind: str, photo: str) -> list[float]:
    """The Unix times at which this happened to the photo."""
    return [e["at"] for e in daemon.events() if e["event"] == kind and e["job"]["photo"] == photo]


def until_running(folder: Path) -> tuple[float, float]:
    """Seconds from a rename into an Inbox to the Job's start: the first, whose worker has to be started, and the median
    of ten others."""
    daemon = a_daemon(folder)
    inbox = daemon.preset("one", FAST)
    daemon.start()
    took = []
    for i in range(11):
        photo(i).save(folder / "a.png")
        at = time.time()
        (folder / "a.png").rename(inbox / f"{i}.png")
        mine = str(inbox / f"{i}.png")
        wait_for(partial(times, daemon, "JobDone", mine))
        took.append(times(daemon, "JobStarted", mine)[0] - at)
        time.sleep(0.3)
    daemon.stop()
    return took[0], statistics.median(took[1:])


def scans(folder: Path) -> tuple[float, float]:
    """Seconds to read and enter 10,000 new files of 60 kB, and to scan them again when nothing has changed."""
    root = folder / "Root"
    (root / "presets").mkdir(parents=True)
    (root / "presets" / "one.yaml").write_text(FAST)
    for i in range(FILES):
        path = root / "one" / f"{i // 500}" / f"{i}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(i.to_bytes(4, "big") * 15_000)
    layout = Layout(root)
    layout.own_folder.mkdir()
    ledger, wake = Ledger(layout.ledger_file, root), threading.Event()
    notifications = Notifications(wake, layout.is_ours)
    watcher = Watcher(layout, ledger, Presets(layout), notifications, Problems(print), lambda _: None)
    spent = 0.0
    while not spent or watcher.pending:
        begin = time.perf_counter()
        watcher.scan()
        spent += time.perf_counter() - begin
        time.sleep(1.0 if len(watcher.pending) == FILES else 0)
    unchanged = []
    for _ in range(5):
        begin = time.perf_counter()
        watcher.scan()
        unchanged.append(time.perf_counter() - begin)
    notifications.stop()
    ledger.close()
    return spent, statistics.median(unchanged)


def idle(folder: Path) -> tuple[float, float, bool]:
    """Share of a core over 60 s, with 1,000 photos done; megabytes; whether torch is loaded in the daemon's process."""
    daemon = a_daemon(folder)
    inbox = daemon.preset("one", FAST)
    photo(0).save(inbox / "0.png")
    data = (inbox / "0.png").read_bytes()
    for i in range(1, 1000):
        (inbox / f"{i}.png").write_bytes(data)
    daemon.start()
    wait_for(lambda: len(daemon.jobs("state = 'done'")) == 1000, 300)
    time.sleep(10)
    process = psutil.Process(daemon.pid)
    before, at = sum(process.cpu_times()[:2]), time.monotonic()
    time.sleep(60)
    share = (sum(process.cpu_times()[:2]) - before) / (time.monotonic() - at)
    memory = process.memory_info().rss / 1e6
    torch = any("libtorch" in region.path for region in process.memory_maps())
    daemon.stop()
    return share, memory, torch


def over_bare(folder: Path) -> tuple[float, float]:
    """Seconds for 19 photos after a first one: by a bare loop over stylecore (mean of a run before and one after), and
    by the daemon."""
    daemon = a_daemon(folder)
    inbox = daemon.preset("hard", HARD)
    (folder / "photos").mkdir()
    (folder / "bare").mkdir()
    photos = [folder / "photos" / f"{i:02}.jpg" for i in range(PHOTOS)]
    for i, path in enumerate(photos):
        photo(i, (1500, 1000)).save(path, quality=90)

    def bare() -> float:
        preset = daemon.root / "presets" / "hard.yaml"
        command = [sys.executable, "-c", BARE, str(preset), str(folder / "bare"), *map(str, photos)]
        return float(subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout)

    first = bare()
    for path in photos:
        (inbox / path.name).write_bytes(path.read_bytes())
    daemon.start()
    while len(daemon.jobs("state = 'done'")) < PHOTOS:
        time.sleep(2)  # looking costs time, too
    ended = [e["at"] for e in daemon.events() if e["event"] == "JobDone"]
    daemon.stop()
    return (first + bare()) / 2, ended[-1] - ended[0]


def view(folder: Path) -> tuple[float, float, float]:
    """``stylefolder status`` on a terminal of 80 x 24 while a Job runs: seconds to its first frame (median of three),
    share of a core and bytes a second over 20 s."""
    daemon = a_daemon(folder)
    inbox = daemon.preset("long", FAST.replace("steps: 1", "steps: 5000").replace("size: 64", "size: 256"))
    photo(0, (900, 600)).save(inbox / "0.png")
    daemon.start()
    wait_for(daemon.running)
    env = {**daemon.environment, "TERM": "xterm-256color", "LANG": "C.UTF-8"}
    frames = []
    for _ in range(3):
        begin = time.perf_counter()
        with Terminal([*STYLEFOLDER, "status"], env) as terminal:
            terminal.until("0.png")
            frames.append(time.perf_counter() - begin)
            if len(frames) == 3:
                terminal.read(3)
                process, written = psutil.Process(terminal.process.pid), len(terminal.raw)
                before, at = sum(process.cpu_times()[:2]), time.monotonic()
                while time.monotonic() - at < 20:
                    terminal.read(1)
                took = time.monotonic() - at
                share, flow = (sum(process.cpu_times()[:2]) - before) / took, (len(terminal.raw) - written) / took
    daemon.stop()
    return statistics.median(frames), share, flow


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        cold, warm = until_running(folder / "latency")
        new, unchanged = scans(folder / "scans")
        share, memory, torch = idle(folder / "idle")
        frame, share_of_view, flow = view(folder / "view")
        bare, daemon = over_bare(folder / "bare")
    rows = [
        ("file complete to Job running, with an idle worker", f"{warm:.2f} s", "3 s"),
        ("the same, with a worker to start first", f"{cold:.2f} s", "3 s"),
        (f"scan of {FILES:,} new files", f"{new:.2f} s", "5 s"),
        (f"scan of {FILES:,} files, nothing changed", f"{unchanged:.2f} s", "1 s"),
        ("idle daemon, share of a core", f"{share:.2%}", "0.5 %"),
        (f"idle daemon, memory ({'with' if torch else 'without'} torch)", f"{memory:.0f} MB", "150 MB"),
        ("attached view, first frame (while the device is busy)", f"{frame:.2f} s", "0.5 s"),
        (f"attached view, share of a core ({flow:.0f} bytes a second)", f"{share_of_view:.1%}", "2 %"),
        (
            f"daemon over a bare loop, {PHOTOS - 1} photos ({daemon:.1f} s over {bare:.1f} s)",
            f"{daemon / bare - 1:+.1%}",
            "3 %",
        ),
    ]
    print("| the daemon | measured | at most |\n| --- | --- | --- |")
    for row in rows:
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()
