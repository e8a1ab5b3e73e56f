"""Cepstral content features without any weights, from the true envelope (a spectral envelope without harmonics).

The envelope is the "true envelope" (Imai and Abe 1979; Röbel and Rodet 2005): the smooth log spectrum that
rests on the peaks, so that it does not follow the valleys between harmonics whatever the pitch. It is read on
a mel scale up to 6 kHz, where words are and, mostly, voices are not, and its cosine transform is cut short.
"""

from typing import ClassVar

import torch
from torch import Tensor

from svc.audio.stft import mel_filters, power_spectrogram
from svc.encoders import register
from svc.encoders.base import Encoder
from svc.utils.units import hop_samples

WINDOW, FFT = 480, 1024  # samples
CUTOFF = 1 / 500  # s, of the envelope's lifter: harmonics closer than 500 Hz vanish
ITERATIONS = 12
BANDS, CEPSTRA = 40, 20
LOWEST, HIGHEST = 80.0, 6000.0  # Hz
FLOOR = 1e-9  # power: −90 dB


@register("cepstral")
class CepstralEncoder(Encoder):
    """Layers ``envelope`` (B, 40, N) in nepers, and ``cepstra`` (B, 20, N): c1–c20, the level is left out."""

    channels: ClassVar = {"cepstra": CEPSTRA, "envelope": BANDS}
    options = f"cutoff={CUTOFF} iterations={ITERATIONS} bands={BANDS} cepstra={CEPSTRA}"
    margin = 2
    normalization = "per_channel"

    def __init__(self) -> None:
        super().__init__()
        bins = FFT // 2 + 1
        bank = mel_filters(self.sample_rate, FFT, BANDS, LOWEST, HIGHEST)
        self.register_buffer("bank", torch.from_numpy(bank / bank.sum(axis=1, keepdims=True)).float(), persistent=False)
        quefrency = torch.arange(bins) / self.sample_rate
        lifter = (0.5 + 0.5 * torch.cos(torch.pi * quefrency / (2 * CUTOFF))) * (quefrency < 2 * CUTOFF)
        self.register_buffer("lifter", torch.cat([lifter, lifter[1:-1].flip(0)]), persistent=False)
        order = torch.arange(1, CEPSTRA + 1)[:, None]
        place = (torch.arange(BANDS) + 0.5)[None]
        cosines = torch.cos(torch.pi / BANDS * order * place) * (2 / BANDS) ** 0.5
        self.register_buffer("cosines", cosines, persistent=False)
        self.bank: Tensor
        self.lifter: Tensor
        self.cosines: Tensor
        self.freeze()

    def forward(self, audio: Tensor) -> dict[str, Tensor]:
        """All layers of audio (B, T) at 16 kHz."""
        power = power_spectrogram(audio, WINDOW, hop_samples(self.sample_rate), FFT)
        envelope = self.true_envelope(0.5 * torch.log(power + FLOOR)) @ self.bank.T
        return {"envelope": envelope.transpose(1, 2), "cepstra": (envelope @ self.cosines.T).transpose(1, 2)}

    def true_envelope(self, log_spectrum: Tensor) -> Tensor:
        """Smooth curve (…, bins) over the peaks of a log spectrum (…, bins)."""
        envelope = self._smooth(log_spectrum)
        for _ in range(ITERATIONS):
            envelope = self._smooth(torch.maximum(log_spectrum, envelope))
        return envelope

    def _smooth(self, log_spectrum: Tensor) -> Tensor:
        cepstrum = torch.fft.irfft(log_spectrum, n=FFT)
        return torch.fft.rfft(cepstrum * self.lifter, n=FFT).real
