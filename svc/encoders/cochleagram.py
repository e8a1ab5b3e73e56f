"""Cochleagram: subbands of a cochlear filter bank, compressed; a perceptual loss without a network.

Half-cosine filters on the ERB scale and the power 0.3 as in the cochlear model of Saddler et al. (2011.10706), whose L1
distance denoised speech as well as the best deep features. It is the control of every deep loss.
"""

from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from svc.encoders import register
from svc.encoders.base import Encoder

BANDS, LOWEST, HIGHEST = 40, 50.0, 8000.0  # Hz
POWER = 0.3  # of the compression
FLOOR = 3e-4  # amplitude under which the compression is linear: −70 dB
PADDING = 800  # samples of silence, in which the filters ring
STEPS = {"envelope": 16, "rectified": 4}  # samples: 1 and 4 kHz


@register("cochleagram")
class Cochleagram(Encoder):
    """Layers ``envelope`` and ``rectified``: bands × samples within a frame, flattened to C.

    ``envelope`` is the Hilbert envelope at 1 kHz, which sees no phase; ``rectified`` the subbands, half-wave rectified,
    at 4 kHz, which keep the phase of what is below 2 kHz, as in the auditory nerve.
    """

    channels: ClassVar = {name: BANDS * 160 // step for name, step in STEPS.items()}
    margin = 5
    options = f"bands={BANDS} {LOWEST}-{HIGHEST} power={POWER} floor={FLOOR}"

    def __init__(self) -> None:
        super().__init__()
        self.freeze()

    def forward(self, audio: Tensor) -> dict[str, Tensor]:
        """All layers of audio (B, T) at 16 kHz."""
        import scipy.fft  # every conversion imports this module

        length = audio.shape[-1] // 160 * 160
        size = scipy.fft.next_fast_len(length + PADDING)
        bank = torch.from_numpy(2 * filters(np.fft.rfftfreq(size, 1 / self.sample_rate))).to(audio)
        spectrum = torch.fft.rfft(audio[..., :length], n=size)[:, None] * bank  # of analytic signals: 0 below 0 Hz
        subbands = torch.fft.ifft(functional.pad(spectrum, (0, size - bank.shape[-1])))[..., :length]
        power = subbands.real.square() + subbands.imag.square()
        positive = subbands.real.clamp_min(0).square()
        layers = {"envelope": _compress(power), "rectified": _compress(positive)}
        return {name: _frames(layer, STEPS[name]) for name, layer in layers.items()}


def filters(frequencies: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gains (bands, F) of half-cosine filters on the ERB scale (Glasberg and Moore 1990); squares of all add to 1."""
    edges = np.linspace(_erb(np.float64(LOWEST)), _erb(np.float64(HIGHEST)), BANDS + 2)
    step = edges[1] - edges[0]
    distance = np.abs(_erb(frequencies) - edges[1:-1, None]) / step
    return np.where(distance < 1, np.cos(np.pi / 2 * np.minimum(distance, 1)), 0.0)


def _erb(hz: NDArray[np.float64] | np.float64) -> NDArray[np.float64]:
    return np.asarray(9.265 * np.log(1 + hz / (24.7 * 9.265)))


def _compress(power: Tensor) -> Tensor:
    """Amplitude to the power 0.3, with a finite slope at 0."""
    return (power + FLOOR**2) ** (POWER / 2) - FLOOR**POWER


def _frames(subbands: Tensor, step: int) -> Tensor:
    """Means over ``step`` samples (B, bands, T) as (B, bands · samples of a frame, N)."""
    means = functional.avg_pool1d(subbands, step)
    return means.unflatten(-1, (-1, 160 // step)).transpose(2, 3).flatten(1, 2)
