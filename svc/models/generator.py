"""Generator: source–filter stage and WaveNet on PQMF sub-bands, from a conditioning to audio."""

import torch
from torch import Tensor, nn

from svc.config import Config
from svc.features.conditioning import Conditioning
from svc.models.excitation import harmonic, noise
from svc.models.pqmf import PQMF
from svc.models.source_filter import ConditioningNetwork, EnvelopeFilter
from svc.models.wavenet import WaveNet, interpolate

SINE_LEVEL = 0.1  # of the excitation without a source–filter stage, full scale


class Generator(nn.Module):
    """Generator: conditioning (B, …, N) → audio (B, N·hop).

    With the source–filter stage, the WaveNet adds a correction to the filtered excitation. Both have about unit power,
    and the loudness is the gain of their sum: all levels are rendered alike, silence stays silent, and the WaveNet's
    gates stay in their range. Without that stage (the paper's form) the WaveNet shapes the bare excitation, and the
    gain is the median level of the recording. The WaveNet may run on PQMF sub-bands.

    Args:
        config: sizes and sample rate.
        content_channels: of the content features.
        num_speakers: rows of the speaker embedding.
    """

    def __init__(self, config: Config, *, content_channels: int, num_speakers: int):
        super().__init__()
        model = config.model
        self.hop = config.hop
        self.content_channels = content_channels
        self.harmonics = model.num_harmonics
        self.noise_level = model.voiced_noise_level
        self.bf16 = False  # matrix products of the WaveNet in bf16
        self.conditioner = ConditioningNetwork(
            content=content_channels,
            speakers=num_speakers,
            embedding_dim=model.speaker_embedding_dim,
            hidden=model.hidden_channels,
            layers=model.hidden_layers,
        )
        self.source_filter = (
            EnvelopeFilter(hidden=model.hidden_channels, points=model.envelope_points, hop=config.hop)
            if model.source_filter
            else None
        )
        self.pqmf = PQMF(model.subbands)
        self.wavenet = (
            WaveNet(
                inputs=2 * model.subbands,
                outputs=model.subbands,
                channels=model.wavenet.channels,
                hidden=model.hidden_channels,
                layers=model.wavenet.layers,
                dilation_cycle=model.wavenet.dilation_cycle,
                kernel_size=model.wavenet.kernel_size,
            )
            if model.wavenet.layers
            else None
        )

    @property
    def num_speakers(self) -> int:
        """Rows of the speaker embedding."""
        return self.conditioner.embedding.shape[0]

    @property
    def margin(self) -> int:
        """One-sided receptive field in frames."""
        samples = self.pqmf.margin + self.pqmf.bands * (self.wavenet.margin if self.wavenet else 0)
        around = 1 + -(-samples // self.hop) + self.conditioner.margin
        return around + (self.source_filter.margin if self.source_filter else 0)

    def forward(self, conditioning: Conditioning, use_wavenet: bool = True) -> Tensor:
        """Audio (B, N·hop); ``use_wavenet=False`` returns the output of the source–filter stage, if there is one."""
        hidden = self.conditioner(conditioning)
        source = self.excitation(conditioning)
        if self.source_filter is None:
            level = conditioning.loudness - conditioning.relative_loudness
            return self._wavenet_residual(source, hidden) * self._gain(level)
        source = self.source_filter(source, hidden)
        audio = source.sum(dim=1)
        if use_wavenet and self.wavenet is not None:
            audio = audio + self._wavenet_residual(source, hidden)
        return audio * self._gain(conditioning.loudness)

    def _gain(self, level: Tensor) -> Tensor:
        """Gain (B, N·hop) of levels (B, N) in dB."""
        return interpolate(10 ** (level[:, None] / 20), self.hop)[:, 0]

    def _wavenet_residual(self, source: Tensor, hidden: Tensor) -> Tensor:
        assert self.wavenet is not None
        device = source.device.type
        half = self.bf16 or torch.is_autocast_enabled(device)
        with torch.autocast(device, enabled=False):  # the PQMF and the residual stream need fp32
            bands = self.pqmf.analysis(source)
        with torch.autocast(device, torch.bfloat16, enabled=half):
            bands = self.wavenet(bands, hidden)
        with torch.autocast(device, enabled=False):
            return self.pqmf.synthesis(bands.to(source.dtype))[:, 0]

    def excitation(self, conditioning: Conditioning) -> Tensor:
        """Harmonic and noise excitation (B, 2, N·hop).

        With a source–filter stage both have unit power. Without, the levels are those of the usual sine source: 0.1
        for the sine, a third of it for the noise in unvoiced frames, and ``noise_level`` in voiced frames.
        """
        c = conditioning
        harmonics = harmonic(c.f0, c.phase, c.voiced, self.hop, self.harmonics)
        white = noise(c.start_frame, c.frames, self.hop)
        if self.source_filter is None:
            voiced = c.voiced.repeat_interleave(self.hop, dim=-1)
            harmonics = harmonics * SINE_LEVEL
            white = white * torch.where(voiced > 0, self.noise_level, SINE_LEVEL / 3)
        return torch.stack([harmonics, white], dim=1)
