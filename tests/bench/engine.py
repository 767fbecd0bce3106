"""`make bench`, the optimiser's part: steps, the error of the gradient, the race to pastiche's loss, memory by
megapixels, scores of finished pictures. `python -m tests.bench.engine [steps command gradients race memory pictures]`.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from stylecore import Result, load_photo, stylize
from stylecore.device import Device, choose_device
from stylecore.preset import Painting
from stylecore.preset_file import preset_of_picture
from stylecore.recipe import StylePicture
from stylecore.targets import to_tensor
from tests.bench.peers import Pastiche, as_pastiche, scores
from tests.bench.steps import DATA, command, gradients, steps
from tests.harness import REPOSITORY, shipped

PHOTOS = ("chelsea.png", "coffee.png", "astronaut.png")
STYLES = ("oil", "watercolour", "gouache")
RUN_TO = 200  # pastiche's steps
RACE, PICTURE = 384, 256  # pixels


def at_size(picture: Path, long_edge: int, folder: Path) -> Path:
    """A copy with this long edge."""
    copy = folder / f"{picture.stem}.png"
    with Image.open(picture) as image:
        share = long_edge / max(image.size)
        size = (round(image.width * share), round(image.height * share))
        image.convert("RGB").resize(size, Image.Resampling.LANCZOS).save(copy)
    return copy


def race(preset: Painting, device: Device, folder: Path) -> None:
    """How soon ours reaches the loss that pastiche has after RUN_TO steps, by pastiche's own objective, in float32.
    Both get pictures of the final size: a target that is resized in another way changes the loss by 3 per cent of the
    total."""
    photo, style = (at_size(path, RACE, folder) for path in (DATA / "coffee.png", preset.style[0].picture))
    preset = preset.model_copy(update={"style": (StylePicture(picture=style),), "digest": "race"})
    peer = Pastiche(photo, style, RACE, device=str(device.torch))
    begin = time.perf_counter()
    for _ in range(RUN_TO):
        peer.step()
    theirs = time.perf_counter() - begin
    printed, saved = peer.artist.loss, peer.judge(peer.picture())
    recipe = as_pastiche(preset, device, RACE).model_copy(update={"size": RACE, "steps": (200, 140, 200)})
    spent, reached, best = 0.0, dict[str, float](), float("inf")
    begin = time.perf_counter()
    for event in stylize(load_photo(photo), recipe, device):
        spent += time.perf_counter() - begin
        if isinstance(event, Result) or (event.scale == event.scales and event.step % 5 == 0):
            picture = (
                torch.from_numpy(event.pixels / 255 if isinstance(event, Result) else event.preview())
                .permute(2, 0, 1)[None]
                .float()
            )
            if picture.shape[2:] == tuple(peer.artist.content_size):
                best = min(best, peer.judge(picture))
                for name, loss in (("the picture that it saves", saved), ("what it prints", printed)):
                    if best <= loss:
                        reached.setdefault(name, spent)
        begin = time.perf_counter()
    print(
        f"\npastiche, {RUN_TO} L-BFGS steps at {RACE} px: {theirs:.1f} s; its loss is {printed:,.0f} as printed, "
        f"{saved:,.0f} for the picture that it saves."
    )
    for name, seconds in reached.items():
        print(f"Ours is at or below the loss of {name} after {seconds:.1f} s, 1/{theirs / seconds:.1f} of the time.")
    print(f"Ours, in the end: {best:,.0f} after {spent:.1f} s.")


PEAK = r"""
import re, sys, torch
from pathlib import Path
from stylecore.device import choose_device
from stylecore.memory import free_memory, tile_and_pairs
from stylecore.painting import objective_of
from stylecore.optimise import Lbfgs
from stylecore.preset_file import load_preset
from stylecore.network import load_network
device, preset = choose_device("auto"), load_preset(Path(sys.argv[1]))
width, height, free = int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]) << 30
tile, pairs = tile_and_pairs(device, preset, width, height, min(free, free_memory(device)))
picture = torch.rand(1, 3, height, width, device=device.torch)
objective = objective_of(load_network("oxford", device), preset, picture, tile)
optimiser = Lbfgs(picture, objective, history=pairs)
optimiser.step()
# Ru_maxrss is the parent's, where that is larger.
if device.torch.type == "cuda":
    peak = torch.cuda.max_memory_allocated() >> 20
else:
    peak = int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) >> 10
print(tile, pairs, peak)
"""


def memory(preset_file: Path) -> list[tuple[float, int, str]]:
    """Megapixels, peak in MB, and the memory that was available."""
    found = []
    print("\n| megapixels | with | tiles of | peak memory |\n| --- | --- | --- | --- |")
    for width, height, free in ((768, 512, 64), (1536, 1024, 64), (1536, 1024, 3), (3072, 2048, 4)):
        done = subprocess.run(
            [sys.executable, "-c", PEAK, str(preset_file), str(width), str(height), str(free)],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            check=True,
        )
        tile, pairs, peak = done.stdout.split()
        found.append((width * height / 1e6, int(peak), "all memory" if free == 64 else f"{free} GB"))
        print(
            f"| {found[-1][0]:.1f} | {found[-1][2]}, {pairs} pairs | "
            f"{'the whole' if tile == 'None' else tile + ' px'} | {peak} MB |",
            flush=True,
        )
    return found


def plot(took: dict[str, dict[str, float]], peaks: list[tuple[float, int, str]], path: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4), layout="constrained")
    for i, who in enumerate(next(iter(took.values()))):
        left.barh([row + 0.2 * i for row in range(len(took))], [runs[who] for runs in took.values()], 0.18, label=who)
    left.set(yticks=[row + 0.3 for row in range(len(took))], yticklabels=list(took), xlabel="seconds a step, median")
    left.invert_yaxis()
    left.legend()
    for free in dict.fromkeys(words for _, _, words in peaks):
        points = [(megapixels, peak / 1000) for megapixels, peak, words in peaks if words == free]
        right.plot(*zip(*points, strict=True), "o-", label=f"with {free}")
    right.set(xlabel="megapixels", ylabel="peak memory, GB", ylim=(0, None))
    right.legend()
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=100)


def pictures(device: Device, folder: Path) -> None:
    """Score finished pictures of both, ours with a preset's defaults and one style size for all, and save a contact
    sheet: photo, ours, pastiche's."""
    rows: list[list[torch.Tensor]] = []
    ours: list[tuple[float, ...]] = []
    theirs: list[tuple[float, ...]] = []
    with tempfile.TemporaryDirectory() as temporary:
        for style_name in STYLES:
            picture = REPOSITORY / "presets" / "styles" / f"{style_name}.jpg"
            preset = preset_of_picture(picture, style_name, "painting")
            for name in PHOTOS:
                shot = Path(temporary) / name
                with Image.open(DATA / name) as image:
                    image.convert("RGB").save(shot)
                peer = Pastiche(shot, preset.style[0].picture, PICTURE, device=str(device.torch))
                photo = to_tensor(load_photo(shot).resized(*peer.size), torch.device("cpu"))
                style = to_tensor(load_photo(preset.style[0].picture).resized(*peer.size), torch.device("cpu"))
                begin = time.perf_counter()
                for _ in range(RUN_TO):
                    peer.step()
                theirs.append((*scores(peer.picture(), photo, style, device), time.perf_counter() - begin))
                begin = time.perf_counter()
                for event in stylize(load_photo(shot), preset.model_copy(update={"size": PICTURE}), device):
                    if not isinstance(event, Result) and event.step == event.steps:
                        mine = torch.from_numpy(event.preview()).permute(2, 0, 1)[None]
                ours.append((*scores(mine, photo, style, device), time.perf_counter() - begin))
                rows.append([photo, mine, peer.picture()])
                print(f"{style_name} {name}: ours {ours[-1]}; pastiche {theirs[-1]}", flush=True)
    print(f"\n| mean of {len(ours)} pairs | colour | rel | edges | seconds |\n| --- | --- | --- | --- | --- |")
    for who, figures in (("ours", ours), ("pastiche", theirs)):
        colour, rel, edges, seconds = (statistics.mean(column) for column in zip(*figures, strict=True))
        print(f"| {who} | {colour:.1f} | {rel:.3f} | {edges:.2f} | {seconds:.0f} |")
    folder.mkdir(exist_ok=True)
    tiles = [
        [
            np.pad(p[0].permute(1, 2, 0).numpy(), ((0, PICTURE - p.shape[2]), (0, PICTURE - p.shape[3]), (0, 0)))
            for p in row
        ]
        for row in rows
    ]
    sheet = np.concatenate([np.concatenate(row, 1) for row in tiles], 0)
    Image.fromarray((sheet * 255).round().astype(np.uint8)).save(folder / "pictures.png")


def main(parts: list[str]) -> None:
    device, file, folder = choose_device(), REPOSITORY / "presets" / "oil.yaml", REPOSITORY / "build"
    preset = shipped("oil")
    wanted = parts or ["steps", "command", "gradients", "race", "memory", "pictures"]
    took = steps(preset, device) if "steps" in wanted else {}
    if "command" in wanted:
        command(preset, device)
    if "gradients" in wanted:
        gradients(preset)
    if "race" in wanted:
        with tempfile.TemporaryDirectory() as temporary:
            race(preset, device, Path(temporary))
    peaks = memory(file) if "memory" in wanted else []
    if took and peaks:
        plot(took, peaks, folder / "bench.png")
    if "pictures" in wanted:
        pictures(device, folder)


if __name__ == "__main__":
    main(sys.argv[1:])
