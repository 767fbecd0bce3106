"""`apply --curve`: a plot of the losses over the steps. Needs matplotlib, the extra `curve`."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from daemon.events import LossPoint
from stylecore.images.atomic_write import write_whole

PLOTS = (".png", ".svg", ".pdf")


def can_plot() -> bool:
    return importlib.util.find_spec("matplotlib") is not None


def plot_losses(points: Sequence[LossPoint], title: str, path: Path) -> None:
    """In one of PLOTS, by the path's extension. Dashed lines separate the scales. Raises ResultError."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 4.5), dpi=120, layout="constrained")
    steps = [point.step for point in points]
    for name in ("total", "content", "style"):
        values = [getattr(point, name) for point in points]
        axes.plot(steps, values, label=name, linewidth=2 if name == "total" else 1)
    for before, after in pairwise(points):
        if before.scale != after.scale:
            axes.axvline(before.step + 0.5, color="grey", linestyle="--", linewidth=0.8)
    axes.set(yscale="log", xlabel="step", ylabel="weighted loss", title=title)
    axes.legend(frameon=False)
    out = io.BytesIO()
    figure.savefig(out, format=path.suffix.lower().removeprefix("."))
    pyplot.close(figure)
    write_whole(path, out.getvalue())
