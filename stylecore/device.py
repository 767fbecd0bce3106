"""Which device and number type the optimiser runs on."""

from __future__ import annotations

import functools
import sys
import time
from dataclasses import dataclass

import torch
from torch import device as TorchDevice
from torch import dtype as Dtype

from stylecore.errors import DeviceError

SIZES = {"cpu": 768, "cuda": 2048, "mps": 1024}  # pixels; a photo takes 7 s at 2048 on an H100
PRINT_SIZES = {"cpu": 3072, "cuda": 4096, "mps": 4096}


@dataclass(frozen=True)
class Device:
    """``dtype``: of the network and its features. Pixels, losses and the optimiser stay in float32. ``words``: for
    people. ``sharers``: processes that work on it at the same time, each with its share of the memory."""

    torch: TorchDevice
    dtype: Dtype
    words: str
    sharers: int = 1

    @property
    def auto_size(self) -> int:
        """The long edge in pixels that ``size: auto`` means here for a painting with a finish."""
        return SIZES[self.torch.type]

    @property
    def print_size(self) -> int:
        """The same where a Preset asks for a Result of another size than the photo's."""
        return PRINT_SIZES[self.torch.type]


@functools.lru_cache
def choose_device(name: str = "auto", sharers: int = 1) -> Device:
    """``auto``: CUDA, then MPS, then CPU; or ``cpu``, ``cuda``, ``cuda:1``, ``mps``. ``sharers``: as of Device. Raises
    DeviceError."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    kind, _, number = name.partition(":")
    if kind == "cpu" and not number:
        dtype = torch.bfloat16 if _bf16_pays_on_cpu() else torch.float32
        threads = torch.get_num_threads()
        words = f"CPU, {threads} thread{'s' if threads > 1 else ''}, {_word(dtype)}"
        return Device(torch.device("cpu"), dtype, words, sharers)
    if kind == "cuda" and torch.cuda.is_available() and number in ("", *map(str, range(torch.cuda.device_count()))):
        index = int(number or 0)
        with torch.cuda.device(index):
            dtype = torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
        words = f"{torch.cuda.get_device_name(index)}, {_word(dtype)}"
        return Device(torch.device("cuda", index), dtype, words, sharers)
    if kind == "mps" and torch.backends.mps.is_available():
        return Device(torch.device("mps"), torch.float32, "Apple GPU, float32", sharers)
    there = all_gpus()
    there += ["mps"] if torch.backends.mps.is_available() else []
    raise DeviceError(f"There is no device {name!r} here. Use one of: auto, {', '.join([*there, 'cpu'])}.")


def all_gpus() -> list[str]:
    """The names of all CUDA devices."""
    return [f"cuda:{i}" for i in range(torch.cuda.device_count())] if torch.cuda.is_available() else []


def _word(dtype: torch.dtype) -> str:
    return "bf16" if dtype == torch.bfloat16 else "float32"


def _bf16_pays_on_cpu() -> bool:
    """Only processors with AMX or AVX512-BF16 gain; others emulate it. Measures a convolution instead of relying
    on names."""
    x = torch.randn(1, 64, 64, 64).contiguous(memory_format=torch.channels_last)
    w = torch.randn(64, 64, 3, 3)

    best, threads = dict.fromkeys((torch.bfloat16, torch.float32), float("inf")), torch.get_num_threads()
    torch.set_num_threads(1)  # this thread, whose own time does not include other work on the machine
    clock = (
        time.perf_counter if sys.platform == "win32" else time.thread_time
    )  # Windows' thread clock ticks every 16 ms
    try:
        with torch.inference_mode():
            for _ in range(12):
                for dtype in best:
                    a, b = x.to(dtype), w.to(dtype)
                    start = clock()
                    torch.nn.functional.conv2d(a, b, padding=1)
                    best[dtype] = min(best[dtype], clock() - start)
    finally:
        torch.set_num_threads(threads)
    return best[torch.bfloat16] < 0.8 * best[torch.float32]
