"""What the knobs of svc/config/schema.py may be: ranges, and rules between them."""

from collections.abc import Mapping
from typing import Any

from svc.config.tree import shown
from svc.utils.units import FRAMES_PER_SECOND

_BLOCKS = {f"layer{number}": 768 for number in range(1, 13)}
LAYERS = {  # channels of what an encoder may be asked for
    "cepstral": {"cepstra": 20, "envelope": 40},
    "wav2letter": {"words": 64, "sounds": 39},
    "hubert-base": _BLOCKS,
    "wavlm-base-plus": _BLOCKS,
    "wav2vec2-asr-base": _BLOCKS,
}
_CREPE = (*(f"conv{number}" for number in range(1, 7)), "pitch")
HEARD = {  # what a listener may compare
    **{name: tuple(layers) for name, layers in LAYERS.items()},
    "wav2letter": (*LAYERS["wav2letter"], *(f"block{number}" for number in range(1, 11))),
    "crepe-tiny": _CREPE,
    "crepe-full": _CREPE,
}

LISTENERS = ("melody", "words")  # that compare
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
    ("discriminator.penalty", 0, _MANY),
    ("discriminator.periods discriminator.strides", 1, 100),
    ("loss.scales", 16, 16384),
    ("loss.spectral loss.repulsion loss.adversarial loss.feature_matching", 0, _MANY),
    ("loss.melody loss.words loss.identity", 0, _MANY),
    ("loss.other_adversarial loss.other_melody loss.other_words loss.other_identity", 0, _MANY),
    ("perceptual.melody.seconds perceptual.words.seconds perceptual.identity.seconds", 0.1, 60),
    ("others.share others.mixed train.back_translated", 0, 1),
    ("others.alpha", 0.01, 100),
    ("train.steps train.batch train.accumulate train.keep", 1, _MANY),
    ("train.log_every train.validate_every train.checkpoint_every", 1, _MANY),
    ("train.refine_start train.adversary_start train.adversary_ramp train.warmup", 0, _MANY),
    ("train.seed train.workers train.phrases", 0, _MANY),
    ("train.crop", 0.2, 60),
    ("train.adversary_crop", 0.1, 60),
    ("train.learning_rate train.discriminator_rate", 1e-9, 1),
    ("train.clip", 1e-9, _MANY),
    ("train.ema", 0, 0.999999),
)


def faults_of(knobs: Mapping[str, Any]) -> list[str]:
    """What is wrong with knobs by their dotted names, each in words."""
    faults = []
    for names, low, high in _RANGES:
        for name in names.split():
            values = knobs[name] if isinstance(knobs[name], list) else [knobs[name]]
            if not all(low <= value <= high for value in values):
                faults.append(f"{name} must lie in {low}–{high}, not {shown(knobs[name])}")
    return faults + [message for holds, message in _rules(knobs) if not holds]


def _rules(knobs: Mapping[str, Any]) -> list[tuple[bool, str]]:
    rate, subbands = knobs["sample_rate"], knobs["model.subbands"]
    encoder, layers = knobs["features.content.encoder"], LAYERS[knobs["features.content.encoder"]]
    rate_fits = rate % FRAMES_PER_SECOND == 0 and 8_000 <= rate <= 192_000
    spectral, repulsion = knobs["loss.spectral"], knobs["loss.repulsion"]
    return [
        (rate_fits, f"sample_rate must be a multiple of {FRAMES_PER_SECOND} Hz from 8000 to 192000 (frames are 10 ms)"),
        (
            50 <= knobs["features.f0.fmin"] <= knobs["features.f0.fmax"] / 2 <= 1003,
            "features.f0 needs 50 ≤ fmin, an octave or more below fmax ≤ 2006 Hz",
        ),
        (
            knobs["features.content.layer"] in layers,
            f"features.content.layer of {encoder} must be one of {', '.join(layers)}",
        ),
        (
            not rate_fits or rate // FRAMES_PER_SECOND % subbands == 0,
            "model.subbands must divide the samples of a frame",
        ),
        (knobs["model.kernel"] % 2 == 1, "model.kernel must be odd (the WaveNet is centred)"),
        (knobs["model.layers"] > 0 or knobs["model.front"] != "none", "model.front: none needs model.layers ≥ 1"),
        (bool(knobs["loss.scales"]), "loss.scales must not be empty"),
        (
            repulsion < spectral or not repulsion,
            "loss.repulsion must be 0 or below loss.spectral (else noise without end is best)",
        ),
        (bool(knobs["discriminator.periods"]), "discriminator.periods must not be empty"),
        (
            knobs["others.share"] > 0 or not any(knobs[name] for name in knobs if name.startswith("loss.other_")),
            "loss.other_… count only with others.share above 0",
        ),
        (
            knobs["train.accumulate"] > 0 and knobs["train.batch"] % knobs["train.accumulate"] == 0,
            "train.batch must be a multiple of train.accumulate (and of that times the processes)",
        ),
        (
            not knobs["train.compile"] or not knobs["discriminator.penalty"],
            "train.compile needs discriminator.penalty: 0 (torch compiles no gradient of a gradient)",
        ),
        *(_hears(knobs, f"perceptual.{listener}", which) for listener in LISTENERS for which in ("layers", "across")),
    ]


def _hears(knobs: Mapping[str, Any], listener: str, which: str) -> tuple[bool, str]:
    there, wanted = HEARD[knobs[f"{listener}.encoder"]], knobs[f"{listener}.{which}"]
    return bool(wanted) and set(wanted) <= set(there), f"{listener}.{which} must be some of {', '.join(there)}"
