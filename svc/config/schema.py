"""Config schema: every option on one page, typed, with its unit and default. A YAML file holds only differences.

Derived values are properties.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from svc.utils.units import FRAMES_PER_SECOND, hop_samples


@dataclass(frozen=True, kw_only=True, slots=True)
class F0Config:
    """f0 tracking: CREPE with our own framing and Viterbi decoder."""

    model: Literal["tiny", "full", "both"] = "both"  # both: full where tiny is unsure
    refine: bool = True  # by the autocorrelation of the audio, after CREPE
    fmin: float = 50.0  # Hz
    fmax: float = 2006.0  # Hz
    voicing_threshold: float = 0.3  # a frame is voiced above this periodicity (0–1) …
    silence_threshold_db: float = -50.0  # … and above this A-weighted level, dB below the file's loudest frame


@dataclass(frozen=True, kw_only=True, slots=True)
class ContentConfig:
    """Content features: the encoder, and the perturbations in training that hide the speaker from the generator."""

    encoder: str = "phone-classifier"  # a name of svc.encoders
    layer: str = "log_posteriors"  # one of its layers
    perturbation_factors: tuple[float, ...] = (0.78, 0.84, 0.9, 0.95, 1.05, 1.12, 1.2, 1.3)  # of pitch and formants


@dataclass(frozen=True, kw_only=True, slots=True)
class FeaturesConfig:
    """The generator's inputs."""

    f0: F0Config = field(default_factory=F0Config)
    content: ContentConfig = field(default_factory=ContentConfig)


@dataclass(frozen=True, kw_only=True, slots=True)
class WaveNetConfig:
    """The non-causal WaveNet: on the envelopes at the frame rate, or on the waveform without a source-filter stage."""

    layers: int = 10  # 0: no WaveNet, the source-filter stage alone
    dilation_cycle: int = 5  # the dilation doubles from 1 and starts again after so many layers
    channels: int = 192
    kernel_size: int = 3  # frames, or samples


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelConfig:
    """The generator."""

    speaker_embedding_dim: int = 64
    hidden_channels: int = 256  # of the conditioning network, at the frame rate
    hidden_layers: int = 6
    source_filter: bool = True  # spectral envelopes on pulses and noise; without, the WaveNet alone
    envelope_points: int = 221  # of each predicted log envelope, 0 Hz to Nyquist
    num_harmonics: int = 0  # of the excitation; 0: as many as fit below Nyquist, 1: the paper's sinusoid
    voiced_noise_level: float = 0.003  # of the excitation in voiced frames, full scale
    guidance: float = 0.0  # of conversions: 0.4 moves the envelopes 40 % farther from those of the average speaker
    wavenet: WaveNetConfig = field(default_factory=WaveNetConfig)


@dataclass(frozen=True, kw_only=True, slots=True)
class DiscriminatorConfig:
    """The discriminators."""

    kinds: tuple[Literal["mel", "envelope", "multi_resolution", "multi_scale", "multi_period"], ...] = ("mel",)
    mel_bands: int = 96  # of the mel spectrogram, or the envelopes
    fft_sizes: tuple[int, ...] = (1024, 256)  # samples; spectrograms of multi_resolution, hop a quarter
    scales: int = 3  # waveform at 1, 1/2, 1/4 … of the rate
    periods: tuple[int, ...] = (2, 3, 5, 7, 11)  # samples
    channels: int = 16
    max_channels: int = 128
    strides: tuple[int, ...] = (4, 4, 4)


@dataclass(frozen=True, kw_only=True, slots=True)
class PerceptualLossConfig:
    """A perceptual loss: distance between generated and real audio in layers of a frozen encoder."""

    encoder: str = ""  # a name of svc.encoders
    layers: tuple[str, ...] = ()  # of the encoder, for the reconstruction
    conversion_layers: tuple[str, ...] = ()  # for converted segments, compared with their source
    distance: Literal["l1", "l2", "cosine"] = "l1"
    weight: float = 0.0  # of the reconstruction; it costs nothing where both weights are 0
    conversion_weight: float = 0.0  # of converted segments
    segment_seconds: float = 1.0  # window of each segment; train.segment_seconds limits it
    voiced_frames_only: bool = False
    balance_after_steps: int = 0  # from then on, each layer is divided by its mean loss until then; 0: never
    uncertainty_rate: float = 0.0  # of learning layer weights by uncertainty, a step, instead of the balance; 0: none
    random_weights: bool = False  # of the encoder, as a control


def _perceptual_losses() -> dict[str, PerceptualLossConfig]:
    crepe = PerceptualLossConfig(
        encoder="crepe-tiny",
        layers=("conv3", "conv4", "conv5", "conv6"),
        conversion_layers=("pitch",),
        segment_seconds=0.3,
        voiced_frames_only=True,  # CREPE's activations in silence are as large as in speech
    )
    phones = PerceptualLossConfig(
        encoder="phone-classifier",
        layers=("block4", "block7", "embedding"),
        conversion_layers=("embedding",),
    )
    return {"crepe": crepe, "phones": phones}


@dataclass(frozen=True, kw_only=True, slots=True)
class VirtualSpeakersConfig:
    """Segments that are also converted to another or a virtual speaker, from train.adversarial_start_step on.

    With the losses of converted envelopes (loss.conversion), from the first step on.
    """

    fraction: float = 0.0  # of the segments; a whole number of those of a micro batch
    mixup_fraction: float = 0.5  # of these, to a mix of two speakers
    mixup_alpha: float = 1.0  # mix weights λ and 1 − λ, λ ~ Beta(alpha, alpha)


@dataclass(frozen=True, kw_only=True, slots=True)
class SpeakerLossConfig:
    """Speaker loss: cosine distance of speaker embeddings to the speaker's centroid (svc/losses/speaker.py)."""

    encoder: Literal["speaker", "ge2e"] = "ge2e"  # ours, or Resemblyzer's
    weight: float = 0.0  # `svc evaluate` uses Resemblyzer by default: evaluate with another one after ge2e
    conversion_weight: float = 0.0  # of converted segments
    segment_seconds: float = 1.6  # window of each segment, as in GE2E; train.segment_seconds limits it


@dataclass(frozen=True, kw_only=True, slots=True)
class ConversionLossConfig:
    """Weights of losses on converted segments; virtual_speakers.fraction must be above 0."""

    adversarial: float = 0.0
    envelope_phones: float = 0.0  # of their envelopes, where these are trained: the phones of the source
    envelope_speaker: float = 0.0  # likewise: the voice of the target


@dataclass(frozen=True, kw_only=True, slots=True)
class LossConfig:
    """Weights of the losses, and the scales of the multi-resolution STFT loss."""

    scales: tuple[int, ...] = (4096, 2048, 1024, 512, 256, 128)  # FFT sizes, samples; the hop is a quarter
    spectral: float = 1.0  # logged even if the weight is 0
    weighting: Literal[  # of the audio before the STFT loss (svc/audio/weighting.py)
        "none", "a_weighting", "a_weighting_low_pass", "low_pass", "pre_emphasis", "folded_pre_emphasis"
    ] = "none"
    aperiodicity: float = 1.0  # before train.synthesis_start_step, beside the envelope loss
    limit_widest_band: bool = False  # no loss above the band of the widest recordings; else silence is learnt there
    energy_repulsion: float = 0.25  # of the energy distance, 0.5 being the full one; 0 saves its cost
    adversarial: float = 4.0
    feature_matching: float = 4.0
    speaker: SpeakerLossConfig = field(default_factory=SpeakerLossConfig)
    conversion: ConversionLossConfig = field(default_factory=ConversionLossConfig)


TrackerName = Literal[  # a tracker of Accelerate
    "tensorboard", "wandb", "mlflow", "comet_ml", "aim", "clearml", "dvclive", "swanlab", "trackio"
]


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    """The training run."""

    steps: int = 4_000
    batch_size: int = 8  # segments in a step, all processes together
    gradient_accumulation_steps: int = 1  # micro batches of a process, one after the other, to save memory
    segment_seconds: float = 1.0
    discriminator_segment_seconds: float = 1.0  # window of each segment for the discriminator
    synthesis_start_step: int = 0  # before, the envelopes are trained on those of the recordings, without audio: faster
    wavenet_start_step: int = 2_000  # the WaveNet is trained from here on; before, the source-filter stage alone
    adversarial_start_step: int = 2_000  # from here on, the discriminator and all other losses join the spectral ones
    adversarial_ramp_steps: int = 0  # in which these losses rise linearly to their weights
    learning_rate: float = 1e-3
    discriminator_learning_rate: float = 2e-3
    embedding_learning_rate_ratio: float = 1.0  # of the speaker embedding's to learning_rate; many speakers need more
    embedding_start: Literal["random", "speaker-encoder"] = "random"  # principal components of the speaker encoder's
    warmup_steps: int = 100
    min_lr_ratio: float = 0.1  # of the learning rate at the last step, after cosine decay
    max_grad_norm: float = 5.0  # gradient clipping, for each network
    ema_decay: float = 0.999  # for each step
    precision: Literal["auto", "no", "bf16"] = "auto"  # of matrix products on GPUs; auto: bf16 where the GPU has it
    seed: int = 0
    num_workers: int = 0  # processes that load data
    log_every: int = 50  # steps
    validate_every: int = 500  # steps
    checkpoint_every: int = 500  # steps
    keep_checkpoints: int = 3  # newest ones; the best is kept as well
    num_validation_clips: int = 4
    trackers: tuple[TrackerName, ...] = ("tensorboard",)  # log losses and scores; tensorboard also audio and images
    compile: bool = False  # the WaveNet and the discriminator by torch.compile; meant for GPUs


@dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    """All options."""

    sample_rate: int = 44_100  # Hz
    features: FeaturesConfig = field(default_factory=FeaturesConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    discriminator: DiscriminatorConfig = field(default_factory=DiscriminatorConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    perceptual: Mapping[str, PerceptualLossConfig] = field(default_factory=_perceptual_losses)  # by name
    virtual_speakers: VirtualSpeakersConfig = field(default_factory=VirtualSpeakersConfig)
    train: TrainConfig = field(default_factory=TrainConfig)

    @property
    def hop(self) -> int:
        """Samples in a frame."""
        return hop_samples(self.sample_rate)

    @property
    def segment_frames(self) -> int:
        """Frames in a training segment."""
        return round(self.train.segment_seconds * FRAMES_PER_SECOND)

    def clamp_to_segment(self, seconds: float) -> int:
        """Frames of a duration in seconds, at most those of a training segment."""
        return min(self.segment_frames, round(seconds * FRAMES_PER_SECOND))
