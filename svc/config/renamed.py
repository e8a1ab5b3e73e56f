"""Old names of options: in a config they give an error that names the new one; configs of old voices are upgraded."""

from collections.abc import Mapping
from typing import Any

from svc.config.tree import flatten, set_dotted

OLD_OPTIONS: dict[str, str] = {
    "discriminator.kind": "discriminator.kinds",
    "features.f0.periodicity": "features.f0.voicing_threshold",
    "features.f0.level": "features.f0.silence_threshold_db",
    "features.content.warps": "features.content.perturbation_factors",
    "model.singer_channels": "model.speaker_embedding_dim",
    "model.front": "model.source_filter",
    "model.harmonics": "model.num_harmonics",
    "model.noise": "model.voiced_noise_level",
    "model.layers": "model.wavenet.layers",
    "model.cycle": "model.wavenet.dilation_cycle",
    "model.channels": "model.wavenet.channels",
    "model.kernel": "model.wavenet.kernel_size",
    "perceptual.melody.encoder": "perceptual.crepe.encoder",
    "perceptual.melody.layers": "perceptual.crepe.layers",
    "perceptual.melody.across": "perceptual.crepe.conversion_layers",
    "perceptual.melody.distance": "perceptual.crepe.distance",
    "perceptual.melody.seconds": "perceptual.crepe.segment_seconds",
    "perceptual.melody.voiced": "perceptual.crepe.voiced_frames_only",
    "perceptual.words.encoder": "perceptual.phones.encoder",
    "perceptual.words.layers": "perceptual.phones.layers",
    "perceptual.words.across": "perceptual.phones.conversion_layers",
    "perceptual.words.distance": "perceptual.phones.distance",
    "perceptual.words.seconds": "perceptual.phones.segment_seconds",
    "perceptual.words.voiced": "perceptual.phones.voiced_frames_only",
    "perceptual.identity.seconds": "loss.speaker.segment_seconds",
    "others.share": "virtual_speakers.fraction",
    "others.mixed": "virtual_speakers.mixup_fraction",
    "others.alpha": "virtual_speakers.mixup_alpha",
    "loss.repulsion": "loss.energy_repulsion",
    "loss.melody": "perceptual.crepe.weight",
    "loss.words": "perceptual.phones.weight",
    "loss.identity": "loss.speaker.weight",
    "loss.other_adversarial": "loss.conversion.adversarial",
    "loss.other_melody": "perceptual.crepe.conversion_weight",
    "loss.other_words": "perceptual.phones.conversion_weight",
    "loss.other_identity": "loss.speaker.conversion_weight",
    "train.batch": "train.batch_size",
    "train.accumulate": "train.gradient_accumulation_steps",
    "train.crop": "train.segment_seconds",
    "train.adversary_crop": "train.discriminator_segment_seconds",
    "train.refine_start": "train.wavenet_start_step",
    "train.adversary_start": "train.adversarial_start_step",
    "train.adversary_ramp": "train.adversarial_ramp_steps",
    "train.discriminator_rate": "train.discriminator_learning_rate",
    "train.final_rate": "train.min_lr_ratio",
    "train.warmup": "train.warmup_steps",
    "train.clip": "train.max_grad_norm",
    "train.ema": "train.ema_decay",
    "train.keep": "train.keep_checkpoints",
    "train.phrases": "train.num_validation_clips",
    "train.workers": "train.num_workers",
}
REMOVED_OPTIONS = ("train.back_translated", "discriminator.conditional", "discriminator.penalty")
_LAYERS = {"words": "embedding", "sounds": "log_posteriors"}  # of the phone classifier
OLD_VALUES: dict[str, dict[Any, Any]] = {  # by new names
    "features.content.encoder": {"wav2letter": "phone-classifier"},
    "features.content.layer": _LAYERS,
    "perceptual.crepe.encoder": {"wav2letter": "phone-classifier"},
    "perceptual.phones.encoder": {"wav2letter": "phone-classifier"},
    "perceptual.phones.layers": _LAYERS,
    "perceptual.phones.conversion_layers": _LAYERS,
    "model.source_filter": {"source_filter": True, "none": False},
}


def upgrade(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Nested options, old ones under their new names with their new values."""
    new: dict[str, Any] = {}
    for old, value in flatten(tree).items():
        if old in REMOVED_OPTIONS:
            continue
        name = OLD_OPTIONS.get(old, old)
        values = OLD_VALUES.get(name, {})
        if isinstance(value, list):
            value = [values.get(item, item) for item in value]
        if isinstance(value, str):
            value = values.get(value, value)
        set_dotted(new, name, [value] if name == "discriminator.kinds" and isinstance(value, str) else value)
    return new
