"""The generator: sings what a conditioning says."""

import torch
from torch import Tensor, nn

from svc.config import Config
from svc.features.conditioning import Conditioning
from svc.models.excitation import harmonic, noise
from svc.models.pqmf import FilterBank
from svc.models.source_filter import ConditioningNetwork, EnvelopeFilter
from svc.models.wavenet import WaveNet, interpolate

SINE_LEVEL = 0.1  # of the excitation without a front, full scale
ACCENT = "conditioner.accent"
VERSION = 4  # of what weights mean; those of another are of no use


class Generator(nn.Module):
    """Conditioning (B, …, N) → audio (B, N·hop).

    With the source–filter front, the WaveNet adds to the shaped excitation what the front cannot say, both near unit
    power, and the loudness that is asked for is the gain of their sum: so every level is sung alike, silence stays
    silent, and the WaveNet's gates are in their range. Without the front (the paper's form) the WaveNet makes the
    sound from the bare excitation, and what is usual in the recording is the gain. The WaveNet may run on sub-bands.

    Args:
        config: sizes and sample rate.
        content: channels of the content features.
        singers: how many singers.
    """

    def __init__(self, config: Config, *, content: int, singers: int):
        super().__init__()
        model = config.model
        self.hop = config.hop
        self.content = content
        self.harmonics = model.harmonics
        self.breath = model.noise
        self.bf16 = False  # the WaveNet's products in bf16
        self.conditioner = ConditioningNetwork(
            content=content,
            singers=singers,
            singer_channels=model.singer_channels,
            hidden=model.hidden_channels,
            layers=model.hidden_layers,
        )
        self.front = (
            EnvelopeFilter(hidden=model.hidden_channels, points=model.envelope_points, hop=config.hop)
            if model.front == "source_filter"
            else None
        )
        self.bank = FilterBank(model.subbands)
        self.wavenet = (
            WaveNet(
                inputs=2 * model.subbands,
                outputs=model.subbands,
                channels=model.channels,
                hidden=model.hidden_channels,
                layers=model.layers,
                cycle=model.cycle,
                kernel=model.kernel,
            )
            if model.layers
            else None
        )

    @property
    def singers(self) -> int:
        """How many singers it knows."""
        return self.conditioner.embedding.shape[0]

    @property
    def margin(self) -> int:
        """Frames on either side of a frame that its samples depend on."""
        samples = self.bank.margin + self.bank.bands * (self.wavenet.margin if self.wavenet else 0)
        around = 1 + -(-samples // self.hop) + self.conditioner.margin
        return around + (self.front.margin if self.front else 0)

    @property
    def receptive_field(self) -> int:
        """Frames of conditioning that one frame of audio can depend on."""
        return 2 * self.margin + 1

    def forward(self, conditioning: Conditioning, refine: bool = True) -> Tensor:
        """Audio (B, N·hop); ``refine=False`` leaves the WaveNet out where there is a front."""
        hidden = self.conditioner(conditioning)
        source = self.excite(conditioning)
        if self.front is None:
            return self._waves(source, hidden) * self._gain(conditioning.loudness - conditioning.effort)
        source = self.front(source, hidden)
        shaped = source.sum(dim=1)
        if refine and self.wavenet is not None:
            shaped = shaped + self._waves(source, hidden)
        return shaped * self._gain(conditioning.loudness)

    def _gain(self, level: Tensor) -> Tensor:
        """Of levels (B, N) in dB: (B, N·hop)."""
        return interpolate(10 ** (level[:, None] / 20), self.hop)[:, 0]

    def _waves(self, source: Tensor, hidden: Tensor) -> Tensor:
        assert self.wavenet is not None
        device = source.device.type
        half = self.bf16 or torch.is_autocast_enabled(device)
        with torch.autocast(device, enabled=False):  # the filter bank and the residual stream need all their bits
            bands = self.bank.split(source)
        with torch.autocast(device, torch.bfloat16, enabled=half):
            bands = self.wavenet(bands, hidden)
        with torch.autocast(device, enabled=False):
            return self.bank.join(bands.to(source.dtype))[:, 0]

    def excite(self, conditioning: Conditioning) -> Tensor:
        """Harmonic and noise excitation (B, 2, N·hop).

        For the front both have unit power. Without one the levels are those of the usual sine source: 0.1 for the
        sine, a third of it for the noise of unvoiced frames, and a little noise under voiced ones.
        """
        c = conditioning
        tone = harmonic(c.f0, c.phase, c.voiced, self.hop, self.harmonics)
        hiss = noise(c.start, c.frames, self.hop)
        if self.front is None:
            quiet = c.voiced.repeat_interleave(self.hop, dim=-1)
            tone = tone * SINE_LEVEL
            hiss = hiss * torch.where(quiet > 0, self.breath, SINE_LEVEL / 3)
        return torch.stack([tone, hiss], dim=1)
