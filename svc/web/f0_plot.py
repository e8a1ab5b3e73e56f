"""f0 plot: source and converted f0 over the speaker's range."""

from io import BytesIO

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, NullLocator
from numpy.typing import NDArray

from svc.utils.units import FRAMES_PER_SECOND

MAX_POINTS = 4000  # of a curve; the picture has no more columns
NOTES = {"C2": 65.41, "C3": 130.81, "C4": 261.63, "C5": 523.25, "C6": 1046.5}  # Hz


def plot_f0(
    source: NDArray[np.floating], converted: NDArray[np.floating], range_: tuple[float, float, float], name: str
) -> bytes:
    """A PNG of two f0 curves (N,) in Hz, 0 where unvoiced, and a speaker's median, lowest and highest f0 in Hz."""
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    axes = figure.subplots()
    if range_[2] > 0:
        axes.axhspan(range_[1], range_[2], color="#ffedd5", linewidth=0, label="range of the speaker")
    for curve, label, colour, width in (
        (source, "source", "#93c5fd", 5.0),
        (converted, f"converted to {name}", "#b91c1c", 1.5),
    ):
        step = max(1, len(curve) // MAX_POINTS)
        shown = np.where(curve > 0, curve, np.nan)[::step]
        seconds = (np.arange(len(shown)) * step + 0.5) / FRAMES_PER_SECOND
        axes.plot(seconds, shown, color=colour, linewidth=width, label=label.replace("$", r"\$"))
    axes.set_yscale("log", base=2)
    axes.set_yticks(list(NOTES.values()), [f"{note}  {hertz:.0f} Hz" for note, hertz in NOTES.items()])
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_ylim(*_limits(source, converted, range_))
    axes.set_xlim(0, max(len(source), 1) / FRAMES_PER_SECOND)
    axes.set_xlabel("seconds")
    axes.grid(axis="y", alpha=0.3)
    figure.legend(loc="outside upper left", ncols=3, frameon=False)
    data = BytesIO()
    figure.savefig(data, format="png", dpi=110)
    return data.getvalue()


def _limits(*curves: NDArray[np.floating] | tuple[float, ...]) -> tuple[float, float]:
    values = np.concatenate([np.asarray(curve, dtype=np.float64) for curve in curves])
    values = values[values > 0]
    return (float(values.min()) / 1.15, float(values.max()) * 1.15) if len(values) else (65.0, 1046.0)
