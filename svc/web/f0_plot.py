"""The picture beside a conversion: the melody of the song and what was sung, over the singer's range."""

from io import BytesIO

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, NullLocator
from numpy.typing import NDArray

from svc.utils.units import FRAMES_PER_SECOND

COLUMNS = 4000  # points of a curve: the picture has no more to show
NOTES = {"C2": 65.41, "C3": 130.81, "C4": 261.63, "C5": 523.25, "C6": 1046.5}  # Hz


def picture(
    melody: NDArray[np.floating], sung: NDArray[np.floating], range_: tuple[float, float, float], name: str
) -> bytes:
    """A PNG of two melodies (N,) in Hz, 0 where unvoiced, and a singer's median, lowest and highest f0 in Hz."""
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    axes = figure.subplots()
    if range_[2] > 0:
        axes.axhspan(range_[1], range_[2], color="#ffedd5", linewidth=0, label="range of the singer")
    for curve, label, colour, width in (
        (melody, "the song", "#93c5fd", 5.0),
        (sung, f"sung by {name}", "#b91c1c", 1.5),
    ):
        step = max(1, len(curve) // COLUMNS)
        shown = np.where(curve > 0, curve, np.nan)[::step]
        seconds = (np.arange(len(shown)) * step + 0.5) / FRAMES_PER_SECOND
        axes.plot(seconds, shown, color=colour, linewidth=width, label=label.replace("$", r"\$"))
    axes.set_yscale("log", base=2)
    axes.set_yticks(list(NOTES.values()), [f"{note}  {hertz:.0f} Hz" for note, hertz in NOTES.items()])
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_ylim(*_span(melody, sung, range_))
    axes.set_xlim(0, max(len(melody), 1) / FRAMES_PER_SECOND)
    axes.set_xlabel("seconds")
    axes.grid(axis="y", alpha=0.3)
    figure.legend(loc="outside upper left", ncols=3, frameon=False)
    data = BytesIO()
    figure.savefig(data, format="png", dpi=110)
    return data.getvalue()


def _span(*curves: NDArray[np.floating] | tuple[float, ...]) -> tuple[float, float]:
    heard = np.concatenate([np.asarray(curve, dtype=np.float64) for curve in curves])
    heard = heard[heard > 0]
    return (float(heard.min()) / 1.15, float(heard.max()) * 1.15) if len(heard) else (65.0, 1046.0)
