"""`apply --curve`: the losses over the steps, as a plot."""

from __future__ import annotations

import io
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from daemon.events import CurvePoint
from stylecore.images.atomic_write import write_whole

PLOTS = (".png", ".svg", ".pdf")


def plot_curve(points: Sequence[CurvePoint], title: str, path: Path) -> None:
    """One of PLOTS, by the path's extension; dashed lines part the scales. Raises ResultError."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 4.5), dpi=120, layout="constrained")
    steps, scales, *losses = zip(*points, strict=True)
    for name, values in zip(("total", "content", "style"), losses, strict=True):
        axes.plot(steps, values, label=name, linewidth=2 if name == "total" else 1)
    for (before, scale), (_, following) in pairwise(zip(steps, scales, strict=True)):
        if scale != following:
            axes.axvline(before + 0.5, color="grey", linestyle="--", linewidth=0.8)
    axes.set(yscale="log", xlabel="step", ylabel="loss, weighted", title=title)
    axes.legend(frameon=False)
    out = io.BytesIO()
    figure.savefig(out, format=path.suffix.lower().removeprefix("."))
    pyplot.close(figure)
    write_whole(path, out.getvalue())
