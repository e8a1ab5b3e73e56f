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
DECIMATION, MEAN = 4, 4  # samples; the widest filter has 1.3 kHz, the envelope comes out at 1 kHz
FRAME = 160  # samples


@register("cochleagram")
class Cochleagram(Encoder):
    """Layer ``envelope`` (B, 40 · 10, N): Hilbert envelopes of the bands at 1 kHz, ten in each frame, compressed.

    They see no phase. The published model has rectified subbands instead, which keep the phase below some kHz.
    """

    channels: ClassVar = {"envelope": BANDS * FRAME // (DECIMATION * MEAN)}
    margin = 5
    options = f"bands={BANDS} {LOWEST}-{HIGHEST} power={POWER} floor={FLOOR}"

    def __init__(self) -> None:
        super().__init__()
        self.freeze()

    def forward(self, audio: Tensor) -> dict[str, Tensor]:
        """The one layer of audio (B, T) at 16 kHz."""
        import scipy.fft  # every conversion imports this module

        frames = audio.shape[-1] // FRAME
        size = scipy.fft.next_fast_len((frames * FRAME + PADDING) // DECIMATION)  # of the bands
        bank = filters(np.fft.rfftfreq(DECIMATION * size, 1 / self.sample_rate))
        spectrum = torch.fft.rfft(audio[..., : frames * FRAME], n=DECIMATION * size)
        spectrum = functional.pad(spectrum, (0, size))
        bands = []
        for gains in bank:  # each moved to 0 Hz, where a quarter of the rate holds it; its envelope stays
            first, last = gains.nonzero()[0][[0, -1]]
            gain = torch.from_numpy(np.pad(gains[first : last + 1], (0, size - 1 - (last - first)))).to(audio)
            bands.append(spectrum[:, first : first + size] * gain)
        analytic = torch.fft.ifft(torch.stack(bands, dim=1))[..., : frames * FRAME // DECIMATION] * (2 / DECIMATION)
        power = functional.avg_pool1d(analytic.real.square() + analytic.imag.square(), MEAN)
        envelope = (power + FLOOR**2) ** (POWER / 2) - FLOOR**POWER  # finite slope at silence
        return {"envelope": envelope.unflatten(-1, (frames, -1)).transpose(2, 3).flatten(1, 2)}


def filters(frequencies: NDArray[np.floating]) -> NDArray[np.floating]:
    """Gains (bands, F) of half-cosine filters on the ERB scale (Glasberg and Moore 1990); squares of all add to 1."""
    edges = np.linspace(_erb(np.float64(LOWEST)), _erb(np.float64(HIGHEST)), BANDS + 2)
    step = edges[1] - edges[0]
    distance = np.abs(_erb(frequencies) - edges[1:-1, None]) / step
    return np.where(distance < 1, np.cos(np.pi / 2 * np.minimum(distance, 1)), 0.0)


def _erb(hz: NDArray[np.floating] | np.float64) -> NDArray[np.floating]:
    return np.asarray(9.265 * np.log(1 + hz / (24.7 * 9.265)))
