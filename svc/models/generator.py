"""Generator: source–filter stage whose envelopes a non-causal WaveNet refines, from a conditioning to audio."""

import torch
from torch import Tensor, nn

from svc.config import Config
from svc.features.conditioning import Conditioning
from svc.models.excitation import harmonic, noise
from svc.models.source_filter import ConditioningNetwork, EnvelopeFilter
from svc.models.wavenet import WaveNet, interpolate
from svc.utils.units import FRAMES_PER_SECOND

SINE_LEVEL = 0.1  # of the excitation without a source–filter stage, full scale
BAND_EDGE = 0.8, 0.95  # of a speaker's band, where envelopes are as the recordings had them
ENVELOPE_SLOPE = 2.0  # nepers an octave (17 dB), by which envelopes fall above the band at least
ENVELOPE_SCALE = 3.0  # nepers of a log envelope at the input of the WaveNet are divided by it


class Generator(nn.Module):
    """Generator: conditioning (B, …, N) → audio (B, N·hop).

    The source–filter stage predicts log envelopes of a harmonic and a noise excitation. It is trained by distances, so
    it predicts their average: formants are wide and move slowly. The WaveNet runs on these envelopes at the frame rate
    and adds what the average lacks; it is trained against a discriminator, while the stage stays as it is: no gradient
    passes from the WaveNet's output to the stage. The loudness is the gain of the shaped excitation: all levels are
    rendered alike, and silence stays silent.

    Without a source–filter stage (the paper's form) the WaveNet runs on the bare sine and noise excitation at the
    sample rate, and the gain is the median level of the recording.
    """

    def __init__(self, config: Config, *, content_channels: int, num_speakers: int):
        super().__init__()
        model = config.model
        self.hop = config.hop
        self.content_channels = content_channels
        self.harmonics = model.num_harmonics
        self.noise_level = model.voiced_noise_level
        self.conditioner = ConditioningNetwork(
            content=content_channels,
            speakers=num_speakers,
            embedding_dim=model.speaker_embedding_dim,
            hidden=model.hidden_channels,
            layers=model.hidden_layers,
        )
        envelopes = 2 * model.envelope_points
        self.source_filter = (
            EnvelopeFilter(hidden=model.hidden_channels, points=model.envelope_points, hop=config.hop)
            if model.source_filter
            else None
        )
        self.wavenet = (
            WaveNet(
                inputs=envelopes + model.hidden_channels if model.source_filter else 2,
                outputs=envelopes if model.source_filter else 1,
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
        wavenet = self.wavenet.margin if self.wavenet else 0
        if self.source_filter is None:
            return 1 + -(-wavenet // self.hop) + self.conditioner.margin
        return 1 + wavenet + self.conditioner.margin + self.source_filter.margin

    def forward(
        self,
        conditioning: Conditioning,
        use_wavenet: bool = True,
        band: float = 0.0,
        guidance: float = 0.0,
        average: Tensor | None = None,
        synthesise: bool = True,
    ) -> Tensor:
        """Audio (B, N·hop); ``use_wavenet=False`` returns the output of the source–filter stage, if there is one.

        Above ``band`` in Hz, if given, the envelopes of the stage fall: no recording of the speaker says what is there.
        ``guidance`` w makes the log envelopes E of the stage (1 + w) E − w A, where A are those of the average speaker
        of the voice, as classifier-free guidance (Ho and Salimans 2022) does with scores: what is special to the
        speaker grows. ``average`` (S,) are the weights of the speakers in A, equal ones if not given.
        ``synthesise=False`` returns the log envelopes (B, N, 2, P) instead of audio.
        """
        if self.source_filter is None:
            assert self.wavenet is not None
            assert synthesise
            source = self.excitation(conditioning)
            hidden = self.conditioner(conditioning)
            level = conditioning.loudness - conditioning.relative_loudness
            return self.wavenet(source, hidden)[:, 0].to(source.dtype) * self._gain(level)
        use_wavenet = use_wavenet and self.wavenet is not None
        with torch.set_grad_enabled(torch.is_grad_enabled() and not use_wavenet):
            hidden = self.conditioner(conditioning)
            envelopes = self.source_filter.envelopes(hidden)
            if guidance and self.num_speakers > 1:
                if average is None:
                    average = conditioning.speaker.new_full((self.num_speakers,), 1 / self.num_speakers)
                hidden_of_average = self.conditioner(conditioning.with_speaker(average.expand(len(envelopes), -1)))
                envelopes = torch.lerp(self.source_filter.envelopes(hidden_of_average), envelopes, 1 + guidance)
        if use_wavenet:
            assert self.wavenet is not None
            envelopes = self._refine(self.wavenet, envelopes, hidden)
        if band:
            envelopes = self._fall_above(envelopes, band)
        if not synthesise:
            return envelopes
        source = self.excitation(conditioning)
        return self.source_filter(source, envelopes).sum(dim=1) * self._gain(conditioning.loudness)

    def _fall_above(self, envelopes: Tensor, band: float) -> Tensor:
        """Log envelopes (B, N, 2, P) that above a band in Hz lie below a line from their level at its edge."""
        nyquist = FRAMES_PER_SECOND * self.hop / 2
        frequency = torch.linspace(0, nyquist, envelopes.shape[-1], device=envelopes.device)
        low, high = (share * band for share in BAND_EDGE)
        edge = envelopes[..., (frequency > low) & (frequency <= high)].mean(dim=-1, keepdim=True)
        line = edge - ENVELOPE_SLOPE * torch.log2((frequency / high).clamp_min(1.0))
        return torch.where(frequency > high, torch.minimum(envelopes, line), envelopes)

    def _refine(self, wavenet: WaveNet, envelopes: Tensor, hidden: Tensor) -> Tensor:
        """Log envelopes (B, N, 2, P) with what the WaveNet adds to them, from a hidden track (B, N, H)."""
        normalised = nn.functional.layer_norm(hidden, hidden.shape[-1:])
        signal = torch.cat([envelopes.flatten(2) / ENVELOPE_SCALE, normalised], dim=-1)
        return envelopes + wavenet(signal.mT, hidden).mT.to(envelopes.dtype).unflatten(-1, envelopes.shape[2:])

    def _gain(self, level: Tensor) -> Tensor:
        """Gain (B, N·hop) of levels (B, N) in dB."""
        return interpolate(10 ** (level[:, None] / 20), self.hop)[:, 0]

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
