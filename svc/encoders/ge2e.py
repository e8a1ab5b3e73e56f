"""Who it is, as Resemblyzer hears it (GE2E, Wan et al. 1710.10467), differentiable in the audio.

``svc evaluate`` names singers by the same network unless told otherwise, so a voice that was trained with this one
must be judged by another, as by ``--identity ecapa``.
"""

import librosa
import torch
from torch import Tensor, nn
from torch.nn import functional

from svc.audio.stft import power_spectrogram
from svc.utils.optional import extra

SAMPLE_RATE, WINDOW, HOP, BANDS = 16_000, 400, 160, 40
LEAD = HOP // 2  # samples of silence: Resemblyzer's frame k is centred on sample k·hop
FULL_SCALE = 4 / (WINDOW / 2) ** 2  # by which our power spectra are smaller than those of a bare transform
TINY = 1e-6


class Speaker(nn.Module):
    """Audio (B, T) at ``sample_rate`` in, one vector for all of it out: no encoder on the clock.

    Its weights come with the package and are frozen. Nothing in it depends on the mode, which stays that of training:
    in another, cuDNN leads no gradient through an LSTM.
    """

    sample_rate = SAMPLE_RATE

    def __init__(self) -> None:
        """The weights of the package.

        Raises:
            MissingExtra: Resemblyzer is not installed.
        """
        super().__init__()
        stock = extra("resemblyzer").VoiceEncoder("cpu", verbose=False)
        self.lstm: nn.LSTM = stock.lstm
        self.linear: nn.Linear = stock.linear
        bank = librosa.filters.mel(sr=SAMPLE_RATE, n_fft=WINDOW, n_mels=BANDS)
        self.register_buffer("bank", torch.from_numpy(bank / FULL_SCALE).float().T.contiguous(), persistent=False)
        self.bank: Tensor
        self.requires_grad_(False)

    def mel(self, audio: Tensor) -> Tensor:
        """Mel power spectra (B, N, 40) of audio (B, T), not in logarithms, N = T // hop; frame k about sample k·hop."""
        frames = audio.shape[-1] // HOP
        power = power_spectrogram(functional.pad(audio, (LEAD, LEAD)), WINDOW, HOP)
        return power[:, :frames] @ self.bank

    def forward(self, audio: Tensor) -> Tensor:
        """Unit vectors (B, 256) without a negative number in them, of audio (B, T); the network learnt on 1.6 s."""
        _, (hidden, _) = self.lstm(self.mel(audio))
        return functional.normalize(torch.relu(self.linear(hidden[-1])), dim=-1, eps=TINY)
