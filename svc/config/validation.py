"""Validation of config options: ranges, and rules between them."""

from collections.abc import Mapping
from typing import Any

from svc import encoders
from svc.config.tree import short_repr
from svc.utils.units import FRAMES_PER_SECOND

_MANY = 10**9
_RESERVED = [
    "envelope",
    "aperiodicity",
    "spectral",
    "energy_repulsion",
    "adversarial",
    "feature_matching",
    "speaker",
    "envelope_phones",
    "envelope_speaker",
    "discriminator",
    "total",
]
_RANGES = (
    ("features.f0.voicing_threshold model.voiced_noise_level train.min_lr_ratio", 0, 1),
    ("features.f0.silence_threshold_db", -200, 0),
    ("features.content.perturbation_factors", 0.5, 2),
    ("model.wavenet.channels model.hidden_channels model.speaker_embedding_dim", 1, 4096),
    ("model.hidden_layers", 1, 64),
    ("model.guidance", 0, 2),
    ("model.envelope_points", 2, 1025),
    ("model.num_harmonics", 0, 1000),
    ("model.wavenet.layers", 0, 200),
    ("model.wavenet.dilation_cycle", 1, 12),
    ("model.wavenet.kernel_size", 1, 99),
    ("discriminator.channels discriminator.max_channels", 1, 4096),
    ("discriminator.mel_bands", 8, 512),
    ("discriminator.fft_sizes", 16, 16384),
    ("discriminator.scales", 1, 8),
    ("discriminator.periods discriminator.strides", 1, 100),
    ("loss.scales", 16, 16384),
    ("loss.spectral loss.energy_repulsion loss.aperiodicity loss.adversarial loss.feature_matching", 0, _MANY),
    (
        "loss.speaker.weight loss.speaker.conversion_weight "
        "loss.conversion.adversarial loss.conversion.envelope_phones loss.conversion.envelope_speaker",
        0,
        _MANY,
    ),
    ("loss.speaker.segment_seconds", 0.1, 60),
    ("virtual_speakers.fraction virtual_speakers.mixup_fraction", 0, 1),
    ("virtual_speakers.mixup_alpha", 0.01, 100),
    ("train.steps train.batch_size train.gradient_accumulation_steps train.keep_checkpoints", 1, _MANY),
    ("train.log_every train.validate_every train.checkpoint_every", 1, _MANY),
    ("train.synthesis_start_step train.wavenet_start_step", 0, _MANY),
    ("train.adversarial_start_step train.adversarial_ramp_steps", 0, _MANY),
    ("train.warmup_steps train.seed train.num_workers train.num_validation_clips", 0, _MANY),
    ("train.segment_seconds", 0.2, 60),
    ("train.discriminator_segment_seconds", 0.1, 60),
    ("train.learning_rate train.discriminator_learning_rate", 1e-9, 1),
    ("train.embedding_learning_rate_ratio", 1e-3, 1e3),
    ("train.max_grad_norm", 1e-9, _MANY),
    ("train.ema_decay", 0, 0.999999),
)

_PERCEPTUAL = {
    "weight": (0, _MANY),
    "conversion_weight": (0, _MANY),
    "segment_seconds": (0.1, 60),
    "balance_after_steps": (0, _MANY),
    "uncertainty_rate": (0, 1),
}


def validate(options: Mapping[str, Any]) -> list[str]:
    """All faults of options by their dotted names, each in words."""
    faults = []
    losses = [(f"perceptual.{name}.{key}", *limits) for name in _losses(options) for key, limits in _PERCEPTUAL.items()]
    for names, low, high in (*_RANGES, *losses):
        for name in names.split():
            values = options[name] if isinstance(options[name], list) else [options[name]]
            if not all(low <= value <= high for value in values):
                faults.append(f"{name} must lie in {low}–{high}, not {short_repr(options[name])}")
    rules = _rules(options) | _encoder_rules(options)
    return faults + [message for message, holds in rules.items() if not holds]


def _rules(options: Mapping[str, Any]) -> dict[str, bool]:
    """Whether each rule holds, by the message if it does not."""
    rate, fmin, fmax = (options[name] for name in ("sample_rate", "features.f0.fmin", "features.f0.fmax"))
    kernel_size, layers = options["model.wavenet.kernel_size"], options["model.wavenet.layers"]
    factors = options["features.content.perturbation_factors"]
    spectral, repulsion = options["loss.spectral"], options["loss.energy_repulsion"]
    parts = max(1, options["train.gradient_accumulation_steps"])
    lists = ("loss.scales", "discriminator.kinds", "discriminator.fft_sizes", "discriminator.periods")
    synthesis, envelopes = options["train.synthesis_start_step"], "envelope" in options["discriminator.kinds"]
    conversion = [
        name
        for name, weight in options.items()
        if weight and (name.startswith("loss.conversion.") or name.endswith(".conversion_weight"))
    ]
    return {
        f"sample_rate must be a multiple of {FRAMES_PER_SECOND} Hz from 8000 to 192000 (frames are 10 ms)": (
            rate % FRAMES_PER_SECOND == 0 and 8_000 <= rate <= 192_000
        ),
        "features.f0 needs 50 ≤ fmin, an octave or more below fmax ≤ 2006 Hz": 50 <= fmin <= fmax / 2 <= 1003,
        "features.content.perturbation_factors must rise (training interpolates between neighbours)": (
            factors == sorted(factors)
        ),
        "model.wavenet.kernel_size must be odd (the WaveNet is centred)": kernel_size % 2 == 1,
        "model.source_filter: false needs model.wavenet.layers ≥ 1": layers > 0 or options["model.source_filter"],
        "train.synthesis_start_step and loss.conversion.envelope_… must be 0 without model.source_filter": (
            options["model.source_filter"]
            or not (synthesis or any(options[f"loss.conversion.envelope_{name}"] for name in ("phones", "speaker")))
        ),
        "train.synthesis_start_step must not be above train.wavenet_start_step or .adversarial_start_step": (
            envelopes or synthesis <= min(options["train.wavenet_start_step"], options["train.adversarial_start_step"])
        ),
        "discriminator.kinds: envelope needs model.num_harmonics 0, and no loss of audio (perceptual, speaker)": (
            not envelopes or not (options["model.num_harmonics"] or _needs_audio(options))
        ),
        "discriminator.kinds: envelope stands alone, and needs a train.synthesis_start_step not below train.steps": (
            not envelopes or (len(options["discriminator.kinds"]) == 1 and synthesis >= options["train.steps"])
        ),
        **{f"{name} must not be empty": bool(options[name]) for name in lists},
        "loss.energy_repulsion must be 0 or below loss.spectral (the loss has no minimum otherwise)": (
            repulsion < spectral or not repulsion
        ),
        f"{' and '.join(conversion)} need virtual_speakers.fraction above 0": (
            options["virtual_speakers.fraction"] > 0 or not conversion
        ),
        "train.batch_size must be a multiple of train.gradient_accumulation_steps (times the processes)": (
            options["train.batch_size"] % parts == 0
        ),
    }


def _encoder_rules(options: Mapping[str, Any]) -> dict[str, bool]:
    """Encoders exist, and have the layers that are named."""
    name, layer, classes = options["features.content.encoder"], options["features.content.layer"], encoders.classes()
    exists = name in classes and bool(classes[name].hop)
    channels = classes[name].channels if exists else {}
    choices = () if exists else [choice for choice, cls in classes.items() if cls.hop]  # which imports all of them
    rules = {
        f"features.content.encoder must be one of {', '.join(choices)}, not {short_repr(name)}": exists,
        f"features.content.layer of {name} must be one of {', '.join(channels)}": not exists or layer in channels,
    }
    for loss in _losses(options):
        group = f"perceptual.{loss}"
        encoder = options[f"{group}.encoder"]
        layers = list(classes[encoder].channels) if encoder in classes else []
        rules |= {
            f"{group}: choose another name for this loss": loss not in _RESERVED and loss.isidentifier(),
            f"{group}.encoder must be one of {', '.join(classes)}, not {short_repr(encoder)}": encoder in classes,
        }
        rules[f"{group}.random_weights: {encoder} has none"] = (
            not options[f"{group}.random_weights"] or encoder not in classes or encoders.has_random_weights(encoder)
        )
        for which in ("layers", "conversion_layers") if options[f"{group}.conversion_weight"] else ("layers",):
            wanted = options[f"{group}.{which}"]
            rules[f"{group}.{which} must be some of {', '.join(layers)}"] = encoder not in classes or (
                bool(wanted) and set(wanted) <= set(layers)
            )
    return rules


def _needs_audio(options: Mapping[str, Any]) -> bool:
    """Whether a loss on a frozen encoder of audio has a weight."""
    groups = ["loss.speaker", *(f"perceptual.{name}" for name in _losses(options))]
    return any(options[f"{group}.{kind}"] for group in groups for kind in ("weight", "conversion_weight"))


def _losses(options: Mapping[str, Any]) -> list[str]:
    """Names of the perceptual losses."""
    names = (name.removeprefix("perceptual.").removesuffix(".encoder") for name in options)
    return [name for name in names if f"perceptual.{name}.encoder" in options]
