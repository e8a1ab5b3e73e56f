"""GE2E speaker encoder (Wan et al. 1710.10467) with Resemblyzer's weights, differentiable in the audio.

``svc evaluate`` measures speaker similarity with the same network by default; judge a voice that was trained with it
by another speaker encoder.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from svc.audio.stft import power_spectrogram
from svc.encoders import register
from svc.encoders.base import Encoder
from svc.utils.optional import import_optional

SAMPLE_RATE, WINDOW, HOP, BANDS = 16_000, 400, 160, 40
PAD = HOP // 2  # samples of silence: Resemblyzer's frame k is centred on sample k·hop
POWER_SCALE = 4 / (WINDOW / 2) ** 2  # by which our power spectra are smaller than those of a bare transform
EPS = 1e-6


@register("ge2e")
class GE2ESpeakerEncoder(Encoder):
    """Layer ``embedding`` (B, 256, 1): one unit vector for all of the audio; trained on 1.6 s."""

    hop = None
    channels: ClassVar = {"embedding": 256}

    def __init__(self) -> None:
        """The weights of the package.

        Raises:
            MissingExtra: Resemblyzer is not installed.
        """
        super().__init__()
        stock = import_optional("resemblyzer").VoiceEncoder("cpu", verbose=False)
        import librosa

        self.lstm: nn.LSTM = stock.lstm
        self.linear: nn.Linear = stock.linear
        bank = librosa.filters.mel(sr=SAMPLE_RATE, n_fft=WINDOW, n_mels=BANDS)
        self.register_buffer("bank", torch.from_numpy(bank / POWER_SCALE).float().T.contiguous(), persistent=False)
        self.bank: Tensor
        self.freeze()
        self.lstm.training = True  # cuDNN has no gradient through an LSTM in eval mode; it has no dropout

    def mel(self, audio: Tensor) -> Tensor:
        """Mel power spectra (B, N, 40) of audio (B, T), not in logarithms, N = T // hop; frame k about sample k·hop."""
        frames = audio.shape[-1] // HOP
        power = power_spectrogram(functional.pad(audio, (PAD, PAD)), WINDOW, HOP)
        return power[:, :frames] @ self.bank

    def forward(self, audio: Tensor) -> dict[str, Tensor]:
        """The one layer of audio (B, T) at 16 kHz."""
        return {"embedding": self.embed(audio)[:, :, None]}

    def embed(self, audio: Tensor) -> Tensor:
        """Speaker embeddings (B, 256), unit norm and nowhere negative, of audio (B, T)."""
        _, (hidden, _) = self.lstm(self.mel(audio))
        return functional.normalize(torch.relu(self.linear(hidden[-1])), dim=-1, eps=EPS)
