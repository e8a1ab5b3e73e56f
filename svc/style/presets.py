"""Presets of style transfer: the published systems as they were, and each in its improved form."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from svc.config.tree import build
from svc.errors import ConfigError

LIMITS = {  # lowest and highest value
    "filters": (1, 4096), "kernel_frames": (1, 31), "seed": (0, 2**63 - 1), "sample_rate": (8000, 48_000),
    "fft": (64, 4096), "content_weight": (0, 1e12), "style_weight": (0, 1e12), "l2": (0, 1e12),
    "evaluations": (1, 10**7), "learning_rate": (1e-9, 1e3), "stop_at": (0, 1),
    "griffin_lim_rounds": (0, 10**5), "window_seconds": (0.5, 3600),
}  # fmt: skip
TRAINED_HERE = ("autoencoder", "phone-classifier")  # encoders whose weights may be a file of the user's own
TAKEN_BY = {  # options that have an effect only with some values of another one
    "filters": ("encoder", ("random-cnn-1d",)),
    "kernel_frames": ("encoder", ("random-cnn-2d",)),
    "weights": ("encoder", (*TRAINED_HERE, "vggish", "cnn14", "cnn14-16k")),
    "learning_rate": ("optimizer", ("adam", "sgd")),
    "lr_decay": ("optimizer", ("adam", "sgd")),
    "start": ("variable", ("spectrogram",)),
    "griffin_lim_rounds": ("phase", ("griffin-lim", "random")),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class StyleConfig:
    """Options of a style transfer."""

    encoder: str = "random-cnn-1d"  # in the registry
    weights: str = ""  # random; a file of recipes/train_autoencoder.py or train_phone_model.py; or the usual ones
    filters: tuple[int, ...] = (512,)  # of the layers of random-cnn-1d
    kernel_frames: int = 1  # of random-cnn-2d; 3 is smoother
    seed: int = 0  # of random weights and of noise
    sample_rate: int = 22_050  # Hz; that of a published network
    window: int = 1024  # samples of the Hann window
    fft: int = 1024  # samples of the transform
    hop: int = 256  # samples
    content_layers: tuple[str, ...] = ("conv1",)  # compared with the content frame by frame
    style_layers: tuple[str, ...] = ("conv1",)  # compared with the style by Gram matrices
    content_weight: float = 0.01  # 0 leaves the start to hold the content
    style_weight: float = 1.0
    l2: float = 0.0  # weight of the mean square of the spectrogram
    form: Literal["relative", "sum", "random-cnn-2d", "ulyanov", "mean", "size"] = "relative"  # units, see losses.py
    gram_axis: Literal["time", "full"] = "time"  # over time of channels × bins, or over time and bins of the channels
    start: Literal["content", "noise"] = "content"
    optimizer: Literal["lbfgs", "adam", "sgd"] = "lbfgs"
    evaluations: int = 100  # of loss and gradient, at most, for each window
    learning_rate: float = 0.02  # of adam and sgd
    lr_decay: bool = True  # cosine to a hundredth at the last evaluation
    variable: Literal["spectrogram", "envelope"] = "spectrogram"  # every bin, or an envelope over the content's bins
    # start of Griffin-Lim, from the content or random, or the content filtered by the change of its envelope
    phase: Literal["griffin-lim", "random", "envelope"] = "griffin-lim"
    griffin_lim_rounds: int = 32
    normalise_level: bool = True  # bring both clips to -23 LUFS first; published systems take them as they are
    match_loudness: bool = True  # give every frame the loudness of the content
    window_seconds: float = 10.0  # longer contents are transferred in windows that overlap
    stop_at: float = 1e-4  # share of the style loss at the start at which the optimisation ends


_PUBLISHED = StyleConfig(
    phase="random", griffin_lim_rounds=500, normalise_level=False, match_loudness=False, stop_at=0.0
)
_NOISE = replace(_PUBLISHED, start="noise", evaluations=300)
_NOTEBOOK = replace(_NOISE, form="size", gram_axis="full", style_weight=1e6, content_weight=1.0)
PUBLISHED: Mapping[str, StyleConfig] = {
    # ours: a trained network, as in Chorowski et al. 2017 (1712.08363)
    "default": StyleConfig(
        encoder="phone-classifier", sample_rate=16_000, window=400, fft=1024, hop=160,
        content_layers=("embedding",), style_layers=("log_mel", "block1", "block2", "block3"),
        variable="envelope", phase="envelope", content_weight=0.03, evaluations=50,
    ),
    # mazzzystar 2018
    "random-cnn-2d": replace(
        _NOISE, encoder="random-cnn-2d", window=512, fft=512, hop=128, griffin_lim_rounds=50,
        optimizer="adam", evaluations=20_000, learning_rate=1e-3, lr_decay=False,
        form="random-cnn-2d", content_weight=100.0,
    ),
    # Ulyanov and Lebedev 2016
    "ulyanov": replace(_NOISE, window=2048, fft=2048, hop=512, filters=(4096,), form="ulyanov"),
    # Duong and Luc 2023, also the next two; their layers of CNN14 are not known
    "shallow": replace(
        _PUBLISHED, window=2048, fft=2048, hop=512, filters=(2048, 2048), style_layers=("conv1", "conv2"),
        form="mean", content_weight=1.0, style_weight=1e6,
    ),
    "vggish": replace(
        _NOTEBOOK, encoder="vggish", sample_rate=16_000, window=400, fft=512, hop=160, style_layers=("conv1", "conv2")
    ),
    "cnn14": replace(
        _NOTEBOOK, encoder="cnn14", sample_rate=32_000, hop=320,
        content_layers=("block1",), style_layers=("block1", "block2"),
    ),
    # Perez, Proctor and Jain 2017, all ten strategies
    "autoencoder": StyleConfig(
        encoder="autoencoder", sample_rate=16_000, window=512, fft=512, hop=160,
        content_layers=("layer3", "layer4"), style_layers=("layer1", "layer2"),
        content_weight=0.1, l2=1e-4, optimizer="adam", evaluations=300, match_loudness=False,
    ),
}  # fmt: skip


def improve(config: StyleConfig) -> StyleConfig:
    """The improved form: the spectral envelope of the content is optimised by relative losses."""
    return replace(
        config, form="relative", gram_axis="time", content_weight=0.005, style_weight=1.0, start="content",
        optimizer="lbfgs", evaluations=60, stop_at=1e-4, variable="envelope", phase="envelope",
        normalise_level=True, match_loudness=True,
    )  # fmt: skip


def make_config(preset: str, overrides: Mapping[str, Any], *, as_published: bool = False) -> StyleConfig:
    """The options of a preset, improved or as published, with differences.

    Raises:
        ConfigError: there is no such preset, or an option is wrong.
    """
    if preset not in PUBLISHED:
        raise ConfigError(f"--preset {preset}: no such preset; choose one of {', '.join(PUBLISHED)}")
    base = PUBLISHED[preset] if as_published or preset == "default" else improve(PUBLISHED[preset])
    faults: list[str] = []
    config = build(StyleConfig, dict(overrides), "", faults, base=base)
    if faults:
        raise ConfigError(f"--set: {'; '.join(faults)}")
    assert isinstance(config, StyleConfig)
    for name, (other, values) in TAKEN_BY.items():
        if name in overrides and (value := getattr(config, other)) not in values:
            raise ConfigError(f"--set {name}: has no effect with {other} {value}, but with {' or '.join(values)}")
    if config.weights not in ("", "random") and config.encoder not in TRAINED_HERE:
        raise ConfigError(f"--set weights={config.weights}: {config.encoder} takes its published weights, or random")
    for name, (low, high) in LIMITS.items():
        value = getattr(config, name)
        for number in value if isinstance(value, tuple) else (value,):
            if not low <= number <= high:
                raise ConfigError(f"--set {name}={number:g}: give {low:g} to {high:g}")
    if not (config.style_layers and config.filters):
        raise ConfigError(f"--set {'filters' if config.style_layers else 'style_layers'}: is empty; give one or more")
    if not 0 < 2 * config.hop <= config.window <= config.fft:
        raise ConfigError(f"--set hop={config.hop}: give at most half the window, and a window no longer than the fft")
    return config
