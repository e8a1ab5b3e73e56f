"""Probe content encoders: how much features depend on the words, on the speaker and on pitch.

On RAVDESS: two sentences, one melody for each emotion, many actors. The ratio of the distance between two actors with
the same words to that between two sentences of one actor is below 1 where features follow the words.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Annotated, NamedTuple

import librosa
import numpy as np
import torch
import typer
from numpy.typing import NDArray
from phonetics.alignment import force_align
from phonetics.corpus import RATE, read_prepared
from phonetics.dataset import non_silent, read_voices
from phonetics.invariance import Take, abx_error, distances, probe_accuracy, warped_distance
from phonetics.phones import PHONES, SILENCE
from phonetics.train import WEIGHTS

from svc import cli, encoders
from svc.audio.files import Audio, read
from svc.audio.resample import fit_length, resample
from svc.data.corpora.base import Recording
from svc.data.corpora.singing import RAVDESS
from svc.encoders.base import Encoder
from svc.encoders.phone_classifier import PhoneEncoder
from svc.errors import DataError
from svc.features import content
from svc.features.cache import FeatureCache
from svc.features.extract import measure_loudness
from svc.utils.optional import import_optional
from svc.utils.progress import progress

Array = NDArray[np.floating]
Extract = Callable[[Audio], Array]

KINDS = ("speech", "song")
ACTIVE = 40.0  # dB below the loudest frame; quieter ends of a sentence are cut
SHIFTS = (-5, 5)  # semitones
FRAMES = 40  # of a recording, for the speaker probe on single frames
FOLDS = 5
STRIDE = 5  # frames: one in five is used by the phone probe
TAKES = 3  # of a syllable by one speaker
HEAD = "| encoder | kind | same words | same speaker | ratio | ± 5 semitones / words | speaker by mean | by one frame |"


class TakeName(NamedTuple):
    """Numbers in the name of a RAVDESS file, two digits each."""

    emotion: str
    intensity: str
    statement: str
    repetition: str


@dataclass(frozen=True, slots=True)
class Figures:
    """Results of one encoder on one kind of recording.

    Attributes:
        same_words: distance of the same words by two speakers.
        same_speaker: distance of different words by one speaker.
        pitch: distance of a recording to itself shifted by five semitones.
        accuracy_by_mean: of a linear probe for the speaker on the mean of a recording's frames.
        accuracy_by_frame: the same on single frames.
    """

    same_words: float
    same_speaker: float
    pitch: float
    accuracy_by_mean: float
    accuracy_by_frame: float


def main(
    data: Annotated[Path, typer.Argument(help="folder of RAVDESS: actorNN/{song,speech} or Actor_NN")],
    encoder: Annotated[list[str] | None, typer.Option("--encoder", help="mfcc, or NAME:LAYER")] = None,
    emotions: Annotated[str, typer.Option(help="of RAVDESS, by number")] = "01,02",
    run: Annotated[
        Path | None, typer.Option(help="run of train_phone_model.py: probe phones on its validation recordings too")
    ] = None,
) -> None:
    """Print tables of invariance, of linear probes for the speaker, and of phone discrimination."""
    if run:
        check_run(run)
    chosen = choose(data, emotions)
    extractors = {name: load_extractor(name) for name in encoder or ["mfcc", "cepstral:cepstra"]}
    typer.echo(f"{HEAD}\n|{' --- |' * (HEAD.count('|') - 1)}")
    for name, extract in extractors.items():
        for kind in KINDS:
            figures = measure(extract, [r for r in chosen if r.kind == kind], f"{name}, {kind}")
            typer.echo(
                f"| {name} | {kind} | {figures.same_words:.3f} | {figures.same_speaker:.3f} | "
                f"**{figures.same_words / figures.same_speaker:.2f}** | {figures.pitch / figures.same_speaker:.2f} | "
                f"{figures.accuracy_by_mean:.0%} | {figures.accuracy_by_frame:.0%} |"
            )
    typer.echo(f"{len(chosen)} recordings of {len({r.speaker for r in chosen})} actors")
    if run:
        typer.echo("\n| encoder | phone accuracy of a linear probe | ABX error, sung syllables across speakers |")
        typer.echo("| --- | --- | --- |")
        for name, extract in extractors.items():
            typer.echo(f"| {name} | {phone_accuracy(extract, run):.0%} | {syllable_abx_error(extract, run):.1%} |")


def check_run(run: Path) -> None:
    """Check that a run can test phones.

    Raises:
        DataError: it is not finished, or has no validation speech.
    """
    if not (run / WEIGHTS).is_file():
        raise DataError(f"{run / WEIGHTS}: not found; let train_phone_model.py finish, or leave out --run")
    if not any(u.is_held_out_speech for u in read_prepared(run)):
        raise DataError(f"{run}: no validation speech; train on more recordings, or leave out --run")


def choose(data: Path, emotions: str) -> list[Recording]:
    """Recordings of some emotions, of normal intensity, each sentence once.

    Raises:
        DataError: an emotion has none, or speech or song has fewer than two actors.
    """
    plain = [r for r in RAVDESS.find(data) if (take := take_name(r)).intensity == "01" and take.repetition == "01"]
    wanted = {emotion.strip() for emotion in emotions.split(",")}
    there = {take_name(r).emotion for r in plain}
    if not wanted <= there:
        raise DataError(f"--emotions {emotions}: {data} has no such emotion; choose some of {', '.join(sorted(there))}")
    chosen = [r for r in plain if take_name(r).emotion in wanted]
    for kind in KINDS:
        if len({r.speaker for r in chosen if r.kind == kind}) < 2:
            raise DataError(
                f"{data}: no {kind} by two actors in --emotions {emotions}; choose others, or more of RAVDESS"
            )
    return chosen


def take_name(recording: Recording) -> TakeName:
    """What the name of a RAVDESS file says."""
    return TakeName(*recording.path.stem.split("-")[2:6])


def load_extractor(name: str) -> Extract:
    """Feature extractor by name: audio at any rate → features (C, N).

    Raises:
        DataError: no such encoder or layer, or its file is missing.
        WeightsError: its weights are missing or damaged.
    """
    if name == "mfcc":
        return mfcc
    encoder, _, layer = name.rpartition(":")
    if not encoder:
        raise DataError(f"--encoder {name}: no layer; write NAME:LAYER, for example cepstral:cepstra, or mfcc")
    weights = encoder.endswith(".safetensors")
    if weights and not Path(encoder).is_file():
        raise DataError(f"{encoder}: not found; give a file of train_phone_model.py")
    layers = getattr(encoders.classes().get("phone-classifier" if weights else encoder), "channels", None)
    if layers is None:
        raise DataError(
            f"--encoder {name}: unknown; use mfcc, a file *.safetensors, or one of {', '.join(encoders.classes())}"
        )
    if layer not in layers:
        raise DataError(f"--encoder {name}: the layer must be one of {', '.join(layers)}")
    return partial(features, encoder=PhoneEncoder(Path(encoder)) if weights else encoders.shared(encoder), layer=layer)


def mfcc(audio: Audio) -> Array:
    """MFCCs c1–c19."""
    samples = resample(audio, 16_000).samples
    cepstra: Array = librosa.feature.mfcc(y=samples, sr=16_000, n_mfcc=20, n_fft=512, win_length=400, hop_length=160)
    return cepstra[1:]


def features(audio: Audio, encoder: Encoder, layer: str) -> Array:
    """Content features as the generator receives them."""
    level = measure_loudness(audio)
    return content.extract(encoder, layer, audio, len(level), level)


def measure(extract: Extract, recordings: Sequence[Recording], title: str) -> Figures:
    """All figures of an encoder on some recordings."""
    takes, shift_distances = [], []
    for recording in progress(recordings, title, "file", len(recordings)):
        audio = read(recording.path)
        level = measure_loudness(audio)
        active = np.flatnonzero(level > level.max() - ACTIVE)
        inside = slice(active[0], active[-1] + 1)
        frames = extract(audio)[:, inside]
        name = take_name(recording)
        takes.append(Take(recording.speaker, name.statement, name.emotion, frames))
        shift_distances += [warped_distance(frames, extract(shifted(audio, by))[:, inside]) for by in SHIFTS]
    speakers, folds = [take.speaker for take in takes], [number % FOLDS for number in range(len(takes))]
    means, picked = [take.frames.mean(axis=1) for take in takes], [_spread(take.frames) for take in takes]
    return Figures(
        same_words=float(np.mean(distances(takes, same_words=True))),
        same_speaker=float(np.mean(distances(takes, same_words=False))),
        pitch=float(np.mean(shift_distances)),
        accuracy_by_mean=probe_accuracy(np.stack(means), speakers, folds),
        accuracy_by_frame=probe_accuracy(
            np.concatenate(picked), np.repeat(speakers, FRAMES).tolist(), np.repeat(folds, FRAMES).tolist()
        ),
    )


def phone_accuracy(extract: Extract, run: Path) -> float:
    """Accuracy of a linear probe for the phone of a frame, on validation speech."""
    store = FeatureCache(run / "store")
    vectors, names, folds = [], [], []
    for number, utterance in enumerate(u for u in read_prepared(run) if u.is_held_out_speech):
        labels = store.get(utterance.key, "labels").astype(int)
        frames = extract(Audio(read_voices(store, utterance)[0], RATE))[:, : len(labels)]
        counted = np.flatnonzero(labels > SILENCE)[::STRIDE]
        vectors.append(frames[:, counted].T)
        names += [PHONES[int(label)] for label in labels[counted]]
        folds += [number % FOLDS] * len(counted)
    return probe_accuracy(np.concatenate(vectors), names, folds)


def syllable_abx_error(extract: Extract, run: Path) -> float:
    """ABX error on sung syllables of validation recordings, segmented by the run's model."""
    store, model = FeatureCache(run / "store"), PhoneEncoder(run / WEIGHTS)
    takes: list[Take] = []
    for utterance in (u for u in read_prepared(run) if u.is_held_out and u.syllables):
        audio = Audio(read_voices(store, utterance)[0], RATE)
        posteriors = torch.from_numpy(content.encode(model, "log_posteriors", audio.samples)).T.contiguous()
        order = [sound for syllable in utterance.syllables for sound in syllable]
        segments = iter(force_align(posteriors, order, non_silent(audio.samples)))
        frames, speaker = extract(audio), Path(utterance.path).parent.name
        for syllable in utterance.syllables:
            spans, name = [*islice(segments, len(syllable))], "".join(PHONES[sound] for sound in syllable)
            if spans and sum(take.speaker == speaker and take.words == name for take in takes) < TAKES:
                takes.append(Take(speaker, name, "", frames[:, int(spans[0].start) : int(spans[-1].end)]))
    return abx_error(takes)


def shifted(audio: Audio, semitones: float) -> Audio:
    """Pitch shift by Praat's overlap-add (PSOLA), with unchanged formants."""
    praat = import_optional("parselmouth")
    sound = praat.Sound(audio.samples.astype(np.float64), audio.rate)
    manipulation = praat.praat.call(sound, "To Manipulation", 0.01, 65, 900)
    pitch = praat.praat.call(manipulation, "Extract pitch tier")
    praat.praat.call(pitch, "Multiply frequencies", 0, sound.duration, 2 ** (semitones / 12))
    praat.praat.call([pitch, manipulation], "Replace pitch tier")
    samples = praat.praat.call(manipulation, "Get resynthesis (overlap-add)").values[0]
    return Audio(fit_length(samples, len(audio.samples)), audio.rate)


def _spread(frames: Array) -> Array:
    """Frames (40, C) at equal distances."""
    return frames[:, np.linspace(0, frames.shape[1] - 1, FRAMES).round().astype(int)].T


if __name__ == "__main__":
    cli.run(main)
