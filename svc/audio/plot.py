"""Mel-spectrogram plot of a recording with its f0."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from svc.audio.files import Samples
from svc.audio.stft import power_spectrogram

if TYPE_CHECKING:  # matplotlib is imported by the caller
    from matplotlib.axes import Axes

TOP = 16_000.0  # Hz
LEVELS = -110.0, -20.0  # dB of a full-scale sine: one scale for all pictures
ROWS = 160  # evenly spaced in mel
TICKS = (200, 500, 1000, 2000, 4000, 8000)  # Hz


def plot_spectrogram(
    axes: Axes,
    samples: Samples,
    rate: int,
    f0: NDArray[np.floating] | None,
    title: str,
    reference_f0: NDArray[np.floating] | None = None,
) -> None:
    """A spectrogram on a mel axis up to 16 kHz from -110 to -20 dB, 40 ms Hann windows, with f0 drawn over it.

    Args:
        axes: matplotlib's, seconds across, mel up.
        samples: (T,).
        rate: Hz.
        f0: (N,) Hz every 10 ms, in cyan; where it is not positive nothing is drawn.
        title: above the picture.
        reference_f0: another f0, in white below the first.
    """
    hop = rate // 100
    power = power_spectrogram(torch.from_numpy(samples)[None], 4 * hop, hop)[0].numpy()
    top = min(TOP, rate / 2)
    frequencies = _hertz(np.linspace(0.0, _mel(top), ROWS))
    level = 10 * np.log10(_rows(power.T, frequencies * 4 * hop / rate) + 1e-12)
    extent = (0.0, level.shape[1] * hop / rate, 0.0, float(_mel(top)))
    axes.imshow(level, origin="lower", aspect="auto", vmin=LEVELS[0], vmax=LEVELS[1], cmap="magma", extent=extent)
    for curve, colour, width in ((reference_f0, "white", 2.0), (f0, "cyan", 1.0)):
        if curve is not None:
            pitch = np.where(curve > 0, _mel(np.maximum(curve, 0.0)), np.nan)
            axes.plot((np.arange(len(curve)) + 0.5) / 100, pitch, color=colour, linewidth=width)
    axes.set_xlim(0.0, extent[1])
    axes.set_ylim(0.0, extent[3])
    axes.set_yticks([float(_mel(tick)) for tick in TICKS if tick <= top])
    axes.set_yticklabels([f"{tick / 1000:g}" for tick in TICKS if tick <= top])
    axes.set_ylabel("kHz", fontsize=8)
    axes.set_title(title, loc="left", fontsize=9, parse_math=False)
    axes.tick_params(labelsize=7)


def _rows(power: NDArray[np.floating], places: NDArray[np.floating]) -> NDArray[np.floating]:
    """Power (B, N) read between its bins, (ROWS, N)."""
    low = np.minimum(places.astype(int), len(power) - 2)
    share = (places - low)[:, None]
    return power[low] * (1 - share) + power[low + 1] * share


def _mel(hertz: NDArray[np.floating] | float) -> NDArray[np.floating]:
    return np.asarray(2595 * np.log10(1 + np.asarray(hertz) / 700))


def _hertz(mel: NDArray[np.floating]) -> NDArray[np.floating]:
    return np.asarray(700 * (10 ** (mel / 2595) - 1))
