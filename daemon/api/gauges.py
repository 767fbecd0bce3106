"""The device's use, memory and temperature: a GPU's from NVIDIA's library, otherwise the processor's."""

from __future__ import annotations

import contextlib
import functools
import os
from typing import Any

import psutil

from daemon.api.schema import DeviceOut


def gauges(device: str, words: str | None, worker: int | None, use: float) -> DeviceOut:
    """``device``: as requested (auto, cuda:1, ...). ``words``: the device that the worker reported. ``worker``: its
    process ID. ``use``: the processor's. Figures that cannot be determined are None."""
    if (
        words
        and not words.startswith(("CPU", "Apple"))
        and (found := _nvidia(int(device.partition(":")[2] or 0), words, worker)) is not None
    ):
        return found
    memory = psutil.virtual_memory()
    own = _own_memory(worker)
    return DeviceOut(
        name=words or "CPU",
        use=use,
        memory_ours=own,
        memory_others=memory.total - memory.available - own,
        memory_total=memory.total,
        temperature=_cpu_temperature(),
        load=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    )


def _own_memory(worker: int | None) -> int:
    total = 0
    for number in (os.getpid(), worker):
        with contextlib.suppress(psutil.Error):
            if number is not None:
                total += psutil.Process(number).memory_info().rss
    return total


def _cpu_temperature() -> float | None:
    with contextlib.suppress(AttributeError, OSError, RuntimeError):  # not on every system
        for name in ("coretemp", "k10temp", "zenpower", "cpu_thermal"):
            for reading in psutil.sensors_temperatures().get(name, []):
                return float(reading.current)
    return None


def _nvidia(index: int, words: str, worker: int | None) -> DeviceOut | None:
    nvml = _library()
    if nvml is None:
        return None
    try:
        handle = nvml.nvmlDeviceGetHandleByIndex(_visible(index))
        memory = nvml.nvmlDeviceGetMemoryInfo(handle)
        ours = sum(p.usedGpuMemory or 0 for p in nvml.nvmlDeviceGetComputeRunningProcesses(handle) if p.pid == worker)
        return DeviceOut(
            name=words, use=nvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100, memory_ours=ours,
            memory_others=memory.used - ours, memory_total=memory.total,
            temperature=float(nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)), load=None,
        )  # fmt: skip
    except nvml.NVMLError:
        return None


def _visible(index: int) -> int:
    """NVIDIA's number for torch's device ``index``."""
    visible = [v for v in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if v.strip().isdecimal()]
    return int(visible[index]) if index < len(visible) else index


@functools.cache
def _library() -> Any:
    """NVIDIA's library, initialised once. None without a driver."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    return pynvml
