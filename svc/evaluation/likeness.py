"""Likeness of an adapted speaker: speaker similarity of held-out clips that the voice re-synthesises; and a preview."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from svc.audio import files
from svc.audio.files import Audio
from svc.data.dataset import read_features
from svc.data.manifest import Clip, Manifest
from svc.data.synthetic.phrases import recorded_phrase
from svc.data.synthetic.singers import SINGERS, render
from svc.evaluation.metrics.speaker import load_speaker_similarity
from svc.features.transpose import Transpose
from svc.inference.converter import Converter
from svc.utils.progress import progress

ENCODER = "resemblyzer"
MAX_CLIPS, MAX_OTHERS, NUM_ENROLMENT = 6, 4, 3  # held-out clips, other speakers, and clips of each of these
PHRASE_SEED, PAUSE_SECONDS = 9_001, 0.5
MIN_SHARE = 0.4  # of the way from the floor to the ceiling, below which no likeness is to be expected


@dataclass(frozen=True, slots=True)
class Likeness:
    """Counts and mean cosines to the speaker's recordings, over held-out clips."""

    clips: int
    identified: int  # of those, re-synthesised as the speaker, nearer to the speaker than to others of the voice
    song_identified: bool  # the same of a phrase by somebody else, converted to the speaker
    cosine: float  # of the re-synthesised clips
    floor: float  # of the same clips as other speakers of the voice
    ceiling: float  # of the clips themselves

    @property
    def is_expected(self) -> bool:
        """Whether most clips are identified, and their cosine is well above the floor."""
        share = (self.cosine - self.floor) / max(1e-6, self.ceiling - self.floor)
        return 2 * self.identified > self.clips and share >= MIN_SHARE

    def describe(self, name: str, finetuned: bool = False) -> list[str]:
        """Lines for the user, who has or has not tried ``--finetune-model``."""
        song = f"a song converted to it is{'' if self.song_identified else ' not'} taken for {name}"
        lines = [
            f"likeness: {self.identified} of {self.clips} held-out clips are taken for {name}, {song} ({ENCODER})",
            f"  cosine to {name} {self.cosine:.2f}; other speakers of this voice {self.floor:.2f}, "
            f"{name}'s own clips {self.ceiling:.2f}",
        ]
        if not (self.is_expected and self.song_identified):
            remedy = "give" if finetuned else "add --finetune-model, or give"
            lines.append(
                f"  warning: do not expect conversions to sound like {name}; {remedy} more clips, best of singing"
            )
        return lines


def measure_likeness(converter: Converter, prepared: Manifest, song: Audio, nearest: Sequence[str]) -> Likeness | None:
    """Likeness of the last speaker of a voice; None where no clip is held out.

    Recordings of the voice's other speakers are not at hand, so that training clips converted to them stand for them:
    to the nearest ones, by name, the most similar first. The song is somebody else's, converted to the new speaker.

    Raises:
        MissingExtra: Resemblyzer is not installed.
    """
    voice = converter.voice
    names = [speaker.name for speaker in voice.speakers]
    new = len(names) - 1
    others = [voice.speaker_index(name) for name in nearest[:MAX_OTHERS]]
    held_out, train = prepared.split("valid")[:MAX_CLIPS], prepared.split("train")
    if not held_out or not train:
        return None

    def synthesised(clip: Clip, speaker: int) -> Audio:
        features = read_features(prepared.cache, clip, 0, clip.frames)
        transpose: Transpose = 0.0 if speaker == new else "auto"
        return Audio(converter.convert_clip(features, speaker, transpose=transpose)[1], voice.config.sample_rate)

    enrolment = {names[new]: [prepared.audio(clip) for clip in train]}
    for other in progress(others, "likeness", "speaker", len(others)):
        enrolment[names[other]] = [synthesised(clip, other) for clip in train[:NUM_ENROLMENT]]
    similarity = load_speaker_similarity(ENCODER, enrolment)

    def cosines(audio: Audio) -> dict[str, float]:
        return similarity.cosines(similarity.embed(audio))

    as_new = [cosines(synthesised(clip, new)) for clip in progress(held_out, "likeness", "clip", len(held_out))]
    as_others = [cosines(synthesised(clip, other))[names[new]] for clip in held_out for other in others]
    return Likeness(
        clips=len(held_out),
        identified=sum(_is_largest(row, names[new]) for row in as_new),
        song_identified=_is_largest(cosines(song), names[new]),
        cosine=float(np.mean([row[names[new]] for row in as_new])),
        floor=float(np.mean(as_others)),
        ceiling=float(np.mean([cosines(prepared.audio(clip))[names[new]] for clip in held_out])),
    )


def _is_largest(cosines: dict[str, float], name: str) -> bool:
    return max(cosines, key=cosines.__getitem__) == name


def convert_phrase(converter: Converter) -> Audio:
    """A phrase by a synthetic singer, converted to the last speaker of a voice."""
    song = render(SINGERS[-1], recorded_phrase(PHRASE_SEED), converter.voice.config.sample_rate)
    return converter.convert(Audio(song.samples, song.rate), f"#{converter.voice.speakers[-1].number}")[0]


def write_preview(path: Path, converter: Converter, prepared: Manifest, phrase: Audio) -> None:
    """A WAV file: a clip of the last speaker re-synthesised, held out if there is such a clip; a pause; the phrase.

    Raises:
        AudioError: the file cannot be written.
    """
    clip = (prepared.split("valid") or prepared.clips)[0]
    features = read_features(prepared.cache, clip, 0, clip.frames)
    last = len(converter.voice.speakers) - 1
    pause = np.zeros(round(PAUSE_SECONDS * phrase.rate), np.float32)
    parts = [converter.convert_clip(features, last, transpose=0.0)[1], pause, phrase.samples]
    files.write(path, Audio(np.concatenate(parts), phrase.rate))
