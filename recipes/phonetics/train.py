"""Training of the phone classifier: phone labels, and agreement of two voices that say the same.

Losses of a batch: ``cross_entropy`` of labelled frames; ``cosine``, 1 − cosine of the embeddings of two voices in a
frame; ``info_nce``, contrastive: which frame of the other voice is the same (van den Oord et al. 2018).
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor
from torch.nn import functional

from phonetics.alignment import force_align
from phonetics.corpus import Utterance
from phonetics.dataset import PhoneBatch, PhoneDataset, non_silent
from phonetics.phones import SILENCE, UNKNOWN, Labels, labels
from svc.encoders.phone_classifier import BANDS, PhoneClassifier, log_mel, mel_bank
from svc.encoders.weights import half_precision
from svc.errors import DataError
from svc.training.auxiliary import SupervisedConfig, SupervisedTrainer, Tensors
from svc.utils.atomic import write_bytes
from svc.utils.units import FRAMES_PER_SECOND

VTLP_STEPS = 17  # factors of the frequency axis, at equal ratios
REALIGN_AT = (0.25, 0.5, 0.75)  # of the run: when the singing is aligned (again)
WEIGHTS = "phone_classifier.safetensors"
INFO_NCE_EVERY = 4  # frames: one in four takes part


@dataclass(frozen=True, kw_only=True, slots=True)
class PhoneConfig(SupervisedConfig):
    """Options of the training of the phone classifier."""

    segment_frames: int = 256
    speech_pairs: int = 8  # of a batch
    singing_pairs: int = 4
    synthetic_segments: int = 5
    cosine: float = 1.0  # weight
    info_nce: float = 0.1  # weight
    temperature: float = 0.1  # of InfoNCE
    label_smoothing: float = 0.1
    max_vtlp_factor: float = 1.2


class PhoneTrainer(SupervisedTrainer):
    """The training run of a phone classifier.

    Raises:
        DataError: there is nothing to make pairs of, or no frame has a label.
    """

    config: PhoneConfig
    network: PhoneClassifier

    def __init__(self, folder: Path, utterances: Sequence[Utterance], config: PhoneConfig) -> None:
        fingerprint = hashlib.sha256("\n".join(u.key for u in utterances).encode()).hexdigest()
        self.dataset = PhoneDataset(folder, [u for u in utterances if not u.is_held_out], config.segment_frames)
        _check_enough(self.dataset, config)
        self.held_out = [u for u in utterances if u.is_held_out_speech]
        self.singing = [u for u in utterances if u.syllables and not u.is_held_out]
        self.times: dict[str, Labels] = {}  # labels of the singing, by key
        super().__init__(folder, config, fingerprint)

    def make_network(self) -> PhoneClassifier:
        """The network with random weights."""
        return PhoneClassifier()

    def before_step(self, step: int) -> None:
        """Align the singing with the classifier as it is, a few times in a run."""
        if step in {round(share * self.config.steps) for share in REALIGN_AT}:
            self.times = align_singing(self.network, self.dataset, self.singing)

    def losses(self, step: int) -> Tensors:
        """``phone_losses`` of the step's batch."""
        config = self.config
        counts = config.speech_pairs, config.singing_pairs, config.synthetic_segments
        return phone_losses(self.network, self.dataset.batch(config.seed, step, *counts, self.times), config)

    def loss_weights(self) -> Mapping[str, float]:
        """Of the two losses on pairs."""
        return {"cosine": self.config.cosine, "info_nce": self.config.info_nce}

    def evaluate(self) -> dict[str, float]:
        """Frame accuracy on held-out speech, if there is any."""
        share = accuracy(self.network, self.dataset, self.held_out)
        return {} if share is None else {"accuracy": share}

    def extra_state(self) -> Tensors:
        """The labels of the singing."""
        return {key: torch.from_numpy(times) for key, times in self.times.items()}

    def load_extra_state(self, state: Tensors) -> None:
        """The labels of the singing."""
        self.times = {key: value.numpy() for key, value in state.items()}

    def train(self, log_every: int = 50) -> None:
        """Train to the last step, and write the weights in half precision."""
        super().train(log_every)
        weights = half_precision(self.network)
        write_bytes(self.folder / WEIGHTS, save(weights, {"config": json.dumps(asdict(self.config))}))


def phone_losses(network: PhoneClassifier, batch: PhoneBatch, config: PhoneConfig) -> Tensors:
    """``cross_entropy``, ``cosine`` and ``info_nce`` of a batch; padding does not count."""
    _, embedding, logits = network(augmented_log_mel(batch, config.max_vtlp_factor))
    embedding, logits = embedding.float(), logits.float()
    cross_entropy = functional.cross_entropy(
        logits.flatten(0, 1),
        batch.labels.flatten(),
        ignore_index=UNKNOWN,
        reduction="sum",
        label_smoothing=config.label_smoothing,
    )
    one, other = embedding[: 2 * batch.pairs : 2], embedding[1 : 2 * batch.pairs : 2]
    mask = torch.arange(embedding.shape[1], device=embedding.device) < batch.lengths[: 2 * batch.pairs : 2, None]
    sparse = mask[:, ::INFO_NCE_EVERY]
    similarity = one[:, ::INFO_NCE_EVERY] @ other[:, ::INFO_NCE_EVERY].transpose(1, 2) / config.temperature
    similarity = similarity.masked_fill(~sparse[:, None], -torch.inf)
    same = torch.arange(similarity.shape[1], device=similarity.device).expand(similarity.shape[:2])
    return {
        "cross_entropy": cross_entropy / (batch.labels != UNKNOWN).sum().clamp(min=1),
        "cosine": (1 - (one * other).sum(dim=-1))[mask].mean(),
        "info_nce": functional.cross_entropy(similarity[sparse], same[sparse]),
    }


def augmented_log_mel(batch: PhoneBatch, max_vtlp_factor: float) -> Tensor:
    """Log-mel spectra (B, N, 80) with vocal-tract length perturbation, a random equaliser and the time map."""
    factors = max_vtlp_factor ** np.linspace(-1, 1, VTLP_STEPS)
    banks = torch.stack([mel_bank(round(float(factor), 4)) for factor in factors])
    chosen = banks[(batch.vtlp * VTLP_STEPS).long().clamp(max=VTLP_STEPS - 1)].to(batch.audio.device)
    band = (torch.arange(BANDS, device=batch.audio.device) + 0.5) / BANDS
    order = torch.arange(1, batch.equaliser.shape[1] + 1, device=batch.audio.device)
    with torch.autocast("cpu", enabled=False):
        curve = batch.equaliser @ torch.cos(torch.pi * order[:, None] * band)
        spectrum = log_mel(batch.audio, chosen) + curve[:, None]
    left = batch.time_map.long()[..., None].expand(-1, -1, BANDS)
    right = (left + 1).clamp(max=spectrum.shape[1] - 1)
    return torch.lerp(spectrum.gather(1, left), spectrum.gather(1, right), batch.time_map.frac()[..., None])


@torch.no_grad()
def align_singing(
    network: PhoneClassifier, dataset: PhoneDataset, utterances: Sequence[Utterance]
) -> dict[str, Labels]:
    """Labels (N,) of singing by key: forced alignment of its phones, with silence where it is quiet."""
    times = {}
    for utterance in utterances:
        audio, _ = dataset.utterance(utterance)
        _, _, logits = network(log_mel(torch.from_numpy(audio)[None], mel_bank()))
        phones = [phone for syllable in utterance.syllables for phone in syllable]
        loud = non_silent(audio)
        segments = force_align(functional.log_softmax(logits[0], dim=-1), phones, loud)
        aligned = labels(segments, utterance.frames, SILENCE if segments else UNKNOWN)
        aligned[(aligned == SILENCE) & loud] = UNKNOWN
        times[utterance.key] = aligned
    return times


@torch.no_grad()
def accuracy(network: PhoneClassifier, dataset: PhoneDataset, utterances: Sequence[Utterance]) -> float | None:
    """Frame accuracy over the frames with a phone label; none if there are no such frames."""
    right = count = 0
    for utterance in utterances:
        audio, truth = dataset.utterance(utterance)
        _, _, logits = network(log_mel(torch.from_numpy(audio)[None], mel_bank()))
        mask = truth > SILENCE
        right += int((logits[0].argmax(dim=-1).numpy() == truth)[mask].sum())
        count += int(mask.sum())
    return right / count if count else None


def _check_enough(dataset: PhoneDataset, config: PhoneConfig) -> None:
    speech, singing = dataset.speech[: config.speech_pairs], dataset.singing[: config.singing_pairs]
    if not (speech or singing):
        seconds = config.segment_frames / 2 / FRAMES_PER_SECOND
        raise DataError(f"no recordings of {seconds:g} s or more to make pairs of; name folders with longer ones")
    if not dataset.has_labels(bool(config.speech_pairs), bool(config.synthetic_segments)):
        raise DataError("no frame has a phone label; add English speech, or espeak-ng's with --synthetic 1500")
