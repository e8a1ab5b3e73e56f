"""Training the acoustic model: it names sounds, and two voices saying the same must point the same way."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor
from torch.nn import functional

from svc.config.tree import differences
from svc.encoders.phone_classifier import BANDS, AcousticModel, log_mel, mel_bank
from svc.errors import DataError, TrainingError
from svc.phonetics.alignment import align_sung
from svc.phonetics.corpus import Utterance
from svc.phonetics.dataset import Crops, Sounds, loud
from svc.phonetics.phones import SILENCE, UNKNOWN, Labels, labels
from svc.utils import hardware
from svc.utils.atomic import write_bytes
from svc.utils.progress import progress
from svc.utils.units import FRAMES_PER_SECOND

Terms = dict[str, Tensor]
WARPS = 17  # of the frequency axis, at equal ratios
SUNG_AT = (0.25, 0.5, 0.75)  # of the run: when the sung syllables are aligned (anew)
CHECKPOINT, WEIGHTS = "checkpoint.safetensors", "wav2letter.safetensors"
SAVE_EVERY = 250  # steps
EVERY = 4  # frames: one in four stands for all in the contrast


@dataclass(frozen=True, kw_only=True, slots=True)
class AcousticConfig:
    """How the acoustic model is trained."""

    seed: int = 0
    steps: int = 3000
    crop: int = 256  # frames
    spoken: int = 8  # pairs of a batch
    sung: int = 4
    synthetic: int = 5  # crops
    learning_rate: float = 2e-3
    warmup: int = 100  # steps
    clip: float = 1.0
    agreement: float = 1.0  # weight: 1 − cosine of two voices in a frame
    contrast: float = 0.1  # weight: which frame of the other voice is the same, of those of the crop
    temperature: float = 0.1
    smoothing: float = 0.1  # of the labels
    warp: float = 1.2  # ratio by which the frequency axis is stretched at most


def terms_of(model: AcousticModel, batch: Crops, config: AcousticConfig) -> Terms:
    """What a batch costs: ``naming``, ``agreement`` and ``contrast``; frames beyond a recording's end cost nothing."""
    _, words, logits = model(spectra(batch, config.warp))
    words, logits = words.float(), logits.float()
    naming = functional.cross_entropy(
        logits.flatten(0, 1),
        batch.labels.flatten(),
        ignore_index=UNKNOWN,
        reduction="sum",
        label_smoothing=config.smoothing,
    )
    one, other = words[: 2 * batch.pairs : 2], words[1 : 2 * batch.pairs : 2]
    heard = torch.arange(words.shape[1], device=words.device) < batch.lengths[: 2 * batch.pairs : 2, None]
    there = heard[:, ::EVERY]
    likeness = one[:, ::EVERY] @ other[:, ::EVERY].transpose(1, 2) / config.temperature
    likeness = likeness.masked_fill(~there[:, None], -torch.inf)
    which = torch.arange(likeness.shape[1], device=likeness.device).expand(likeness.shape[:2])
    return {
        "naming": naming / (batch.labels != UNKNOWN).sum().clamp(min=1),
        "agreement": (1 - (one * other).sum(dim=-1))[heard].mean(),
        "contrast": functional.cross_entropy(likeness[there], which[there]),
    }


def spectra(batch: Crops, most: float) -> Tensor:
    """Log-mel spectra (B, N, 80), each as from another vocal tract, through another equaliser, at other paces."""
    ratios = most ** np.linspace(-1, 1, WARPS)
    banks = torch.stack([mel_bank(round(float(ratio), 4)) for ratio in ratios])
    chosen = banks[(batch.warp * WARPS).long().clamp(max=WARPS - 1)].to(batch.audio.device)
    place = (torch.arange(BANDS, device=batch.audio.device) + 0.5) / BANDS
    order = torch.arange(1, batch.equaliser.shape[1] + 1, device=batch.audio.device)
    with torch.autocast("cpu", enabled=False):
        curve = batch.equaliser @ torch.cos(torch.pi * order[:, None] * place)
        spectrum = log_mel(batch.audio, chosen) + curve[:, None]
    left = batch.times.long()[..., None].expand(-1, -1, BANDS)
    right = (left + 1).clamp(max=spectrum.shape[1] - 1)
    return torch.lerp(spectrum.gather(1, left), spectrum.gather(1, right), batch.times.frac()[..., None])


@torch.no_grad()
def aligned(model: AcousticModel, sounds: Sounds, utterances: list[Utterance]) -> dict[str, Labels]:
    """When sung syllables are sung, by key: the best path through their sounds, with silence where it is quiet."""
    found = {}
    for utterance in utterances:
        audio, _ = sounds.whole(utterance)
        _, _, logits = model(log_mel(torch.from_numpy(audio)[None], mel_bank()))
        sung = [sound for syllable in utterance.syllables for sound in syllable]
        audible = loud(audio)
        segments = align_sung(functional.log_softmax(logits[0], dim=-1), sung, audible)
        known = labels(segments, utterance.frames, SILENCE if segments else UNKNOWN)
        known[(known == SILENCE) & audible] = UNKNOWN
        found[utterance.key] = known
    return found


@torch.no_grad()
def accuracy(model: AcousticModel, sounds: Sounds, utterances: list[Utterance]) -> float | None:
    """Share of frames with a known sound that are named rightly; none if there are no such frames."""
    right = count = 0
    for utterance in utterances:
        audio, known = sounds.whole(utterance)
        _, _, logits = model(log_mel(torch.from_numpy(audio)[None], mel_bank()))
        counted = known > SILENCE
        right += int((logits[0].argmax(dim=-1).numpy() == known)[counted].sum())
        count += int(counted.sum())
    return right / count if count else None


class AcousticRun:
    """A training run in a folder: the same config goes on where the last checkpoint is."""

    def __init__(self, folder: Path, utterances: list[Utterance], config: AcousticConfig) -> None:
        """A run at its first step.

        Raises:
            DataError: there is nothing to make pairs of, or no sound of which the name is known.
        """
        torch.manual_seed(config.seed)
        self.folder, self.config = folder, config
        self.identity = hashlib.sha256("\n".join(u.key for u in utterances).encode()).hexdigest()
        self.sounds = Sounds(folder, [u for u in utterances if not u.held], config.crop)
        _check_enough(self.sounds, config)
        self.held = [u for u in utterances if u.held_speech]
        self.sung = [u for u in utterances if u.syllables and not u.held]
        self.model = AcousticModel()
        self.optimizer = torch.optim.AdamW(self.model.parameters(), weight_decay=0.01, betas=(0.9, 0.98))
        self.half = hardware.chooses_half("auto", torch.device("cpu"))
        self.times: dict[str, Labels] = {}
        self.step = 0

    def train(self, every: int = 50) -> None:
        """To the end of the config."""
        marks = {round(share * self.config.steps) for share in SUNG_AT}
        bar = progress(range(self.step, self.config.steps), "train", "step", self.config.steps, initial=self.step)
        for step in bar:
            if step in marks:
                self.times = aligned(self.model, self.sounds, self.sung)
            terms = self.take_step()
            if self.step % SAVE_EVERY == 0:
                self.save()
            if step % every == 0:
                row = {"step": step} | {name: round(float(term), 4) for name, term in terms.items()}
                share = accuracy(self.model, self.sounds, self.held) if step % (10 * every) == 0 else None
                if share is not None:
                    row["accuracy"] = round(share, 4)
                bar.set_postfix_str(" ".join(f"{name} {value}" for name, value in row.items()))
                with (self.folder / "losses.jsonl").open("a") as stream:
                    stream.write(json.dumps(row) + "\n")
        self.save()
        weights = {name: value.half().contiguous() for name, value in self.model.state_dict().items()}
        write_bytes(self.folder / WEIGHTS, save(weights, {"config": json.dumps(asdict(self.config))}))

    def save(self) -> None:
        """Weights, moments of the optimiser, times of sung syllables, the step, and whose they are, in one file."""
        parts = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        for number, moments in self.optimizer.state_dict()["state"].items():
            parts |= {f"adam.{number}.{name}": torch.as_tensor(value) for name, value in moments.items()}
        parts |= {f"times.{key}": torch.from_numpy(known) for key, known in self.times.items()}
        parts |= {"step": torch.tensor(self.step)}
        meta = {"config": json.dumps(asdict(self.config)), "utterances": self.identity, "half": json.dumps(self.half)}
        write_bytes(self.folder / CHECKPOINT, save(parts, meta), sync=True)

    def restore(self) -> None:
        """What ``save`` wrote, if anything; in half precision if it was, whatever this machine would choose.

        Raises:
            TrainingError: the checkpoint is damaged, of another network, or of another config or other recordings.
        """
        file = self.folder / CHECKPOINT
        if not file.exists():
            return
        way_out = "choose another -o, or delete that file to begin anew"
        try:
            with safe_open(file, framework="pt") as stored:
                meta = stored.metadata() or {}
                parts = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
            changed = differences(json.loads(meta["config"]), asdict(self.config))
            if meta["utterances"] != self.identity:
                changed.append("the recordings")
            if changed:
                raise TrainingError(f"{file}: the run changed ({'; '.join(changed)}); undo that, {way_out}")
            self.half = bool(json.loads(meta["half"]))
            self._take(parts)
        except (SafetensorError, OSError, LookupError, ValueError, TypeError, AttributeError, RuntimeError):
            raise TrainingError(f"{file}: damaged, of another network or of an earlier svc; {way_out}") from None

    def _take(self, parts: Terms) -> None:
        """The state that ``save`` took apart."""
        self.step = int(parts["step"])
        self.model.load_state_dict(_below("model.", parts))
        moments: dict[int, Terms] = {}
        for name, value in _below("adam.", parts).items():
            number, kind = name.split(".", 1)
            moments.setdefault(int(number), {})[kind] = value
        self.optimizer.load_state_dict(self.optimizer.state_dict() | {"state": moments})
        self.times = {key: value.numpy() for key, value in _below("times.", parts).items()}

    def take_step(self) -> Terms:
        """One.

        Raises:
            TrainingError: the loss or its gradient is not finite; no weight has been changed by it.
        """
        config = self.config
        batch = self.sounds.batch(config.seed, self.step, config.spoken, config.sung, config.synthetic, self.times)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.half):
            terms = terms_of(self.model, batch, config)
        loss = terms["naming"] + config.agreement * terms["agreement"] + config.contrast * terms["contrast"]
        share = min(1.0, (self.step + 1) / config.warmup) * 0.5 * (1 + np.cos(np.pi * self.step / config.steps))
        for group in self.optimizer.param_groups:
            group["lr"] = config.learning_rate * share
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), config.clip)
        if not bool(torch.isfinite(loss) & torch.isfinite(norm)):
            raise TrainingError(
                f"{self.folder}: the loss of step {self.step} or its gradient is not finite; "
                "begin anew with another -o and a lower --set learning_rate=…"
            )
        self.optimizer.step()
        self.step += 1
        return {name: term.detach() for name, term in terms.items()}


def _check_enough(sounds: Sounds, config: AcousticConfig) -> None:
    spoken, sung = sounds.spoken[: config.spoken], sounds.sung[: config.sung]
    if not (spoken or sung):
        seconds = config.crop / 2 / FRAMES_PER_SECOND
        raise DataError(f"no recordings of {seconds:g} s or more to make pairs of; name folders with longer ones")
    if not sounds.labelled(bool(config.spoken), bool(config.synthetic)):
        raise DataError("no frame whose sound is known; add English speech, or espeak-ng's with --synthetic 1500")


def _below(prefix: str, parts: Terms) -> Terms:
    return {name.removeprefix(prefix): value for name, value in parts.items() if name.startswith(prefix)}
