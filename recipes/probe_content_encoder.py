"""Measure what content features know of words, of singers and of pitch, on recordings that no encoder was trained on.

RAVDESS: two sentences, for each emotion the same melody, by many actors. The ratio of the distance between two actors
saying the same words to that between two sentences of one actor is below 1 where features follow words.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Annotated

import librosa
import numpy as np
import torch
import typer
from numpy.typing import NDArray

from svc import cli
from svc.audio.files import Audio, read
from svc.audio.resample import fit_length, resample
from svc.config.validation import LAYERS
from svc.data.corpora.ravdess import Recording, find
from svc.encoders.base import Encoder
from svc.encoders.phone_classifier import Wav2Letter
from svc.errors import DataError
from svc.features import content
from svc.features.cache import Store
from svc.features.extract import measure_loudness
from svc.phonetics.alignment import align_sung
from svc.phonetics.corpus import RATE, read_prepared
from svc.phonetics.dataset import loud, read_voices
from svc.phonetics.invariance import Take, abx_error, across_singers, across_words, probe_accuracy, warped_distance
from svc.phonetics.phones import PHONES, SILENCE
from svc.phonetics.train import WEIGHTS
from svc.utils.optional import extra
from svc.utils.progress import progress

Array = NDArray[np.floating]
Hear = Callable[[Audio], Array]

KINDS = ("speech", "song")
ACTIVE = 40.0  # dB below the loudest frame; what is quieter before and after a sentence is cut off
SHIFTS = (-5, 5)  # semitones
FRAMES = 40  # of a recording, by which the probe of single frames knows its singer
FOLDS = 5
EVERY = 5  # frames: one in five goes to the probe of sounds
TAKES = 3  # of a syllable by a singer
HEAD = "| encoder | kind | same words | same singer | ratio | ± 5 semitones / words | singer by mean | by one frame |"


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one encoder on one kind of recording.

    Attributes:
        words: distance of the same words by two singers.
        singer: of other words by the same singer.
        pitch: of a recording to itself moved by five semitones.
        named_by_mean: accuracy of a linear probe for the singer on the mean of a recording's frames.
        named_by_frame: the same on single frames.
    """

    words: float
    singer: float
    pitch: float
    named_by_mean: float
    named_by_frame: float


def main(
    data: Annotated[Path, typer.Argument(help="folder of RAVDESS: actorNN/{song,speech}")],
    encoders: Annotated[list[str] | None, typer.Option("--encoder", help="mfcc, or NAME:LAYER")] = None,
    emotions: Annotated[str, typer.Option(help="of RAVDESS, by number")] = "01,02",
    held: Annotated[
        Path | None, typer.Option(help="run of train_acoustic_model.py, whose held-out recordings test sounds too")
    ] = None,
) -> None:
    """Print tables of invariance, of what a linear probe finds of the singer, and of how well sounds are told apart."""
    if held:
        check_run(held)
    chosen = choose(data, emotions)
    hears = {name: hearing(name) for name in encoders or ["mfcc", "cepstral:cepstra"]}
    typer.echo(f"{HEAD}\n|{' --- |' * (HEAD.count('|') - 1)}")
    for name, hear in hears.items():
        for kind in KINDS:
            found = measure(hear, [r for r in chosen if r.kind == kind], f"{name}, {kind}")
            typer.echo(
                f"| {name} | {kind} | {found.words:.3f} | {found.singer:.3f} | **{found.words / found.singer:.2f}** | "
                f"{found.pitch / found.singer:.2f} | {found.named_by_mean:.0%} | {found.named_by_frame:.0%} |"
            )
    typer.echo(f"{len(chosen)} recordings of {len({r.actor for r in chosen})} actors")
    if held:
        typer.echo("\n| encoder | sounds named by a linear probe | ABX errors, sung syllables across singers |")
        typer.echo("| --- | --- | --- |")
        for name, hear in hears.items():
            typer.echo(f"| {name} | {sounds_named(hear, held):.0%} | {syllables_confused(hear, held):.1%} |")


def check_run(run: Path) -> None:
    """Refuse a run that cannot test sounds.

    Raises:
        DataError: it is not finished, or holds no speech out.
    """
    if not (run / WEIGHTS).is_file():
        raise DataError(f"{run / WEIGHTS}: not there; let train_acoustic_model.py finish, or go without --held")
    if not any(u.held_speech for u in read_prepared(run)):
        raise DataError(f"{run}: no speech was held out; train on more recordings, or go without --held")


def choose(data: Path, emotions: str) -> list[Recording]:
    """Recordings of some emotions, of plain intensity, each sentence once.

    Raises:
        DataError: there are none of an emotion, or of speech or song none by two actors.
    """
    recordings, _ = find(data)
    plain = [r for r in recordings if r.repetition == "01" and r.piece[3:5] == "01"]
    wanted, there = {emotion.strip() for emotion in emotions.split(",")}, {r.piece[:2] for r in plain}
    if not wanted <= there:
        raise DataError(f"--emotions {emotions}: {data} holds no such; take some of {', '.join(sorted(there))}")
    chosen = [r for r in plain if r.piece[:2] in wanted]
    for kind in KINDS:
        if len({r.actor for r in chosen if r.kind == kind}) < 2:
            raise DataError(
                f"{data}: no {kind} by two actors in --emotions {emotions}; take others, or more of RAVDESS"
            )
    return chosen


def hearing(name: str) -> Hear:
    """What an encoder hears in audio at any rate: features (C, N).

    Raises:
        DataError: the encoder or the layer is unknown, or its file is not there.
        WeightsError: its weights are not there, or damaged.
    """
    if name == "mfcc":
        return mfcc
    encoder, _, layer = name.rpartition(":")
    if not encoder:
        raise DataError(f"--encoder {name}: names no layer; write NAME:LAYER, for example cepstral:cepstra, or mfcc")
    weights = encoder.endswith(".safetensors")
    if weights and not Path(encoder).is_file():
        raise DataError(f"{encoder}: not there; name the file that train_acoustic_model.py wrote")
    layers = LAYERS.get("wav2letter" if weights else encoder)
    if layers is None:
        raise DataError(f"--encoder {name}: unknown; take mfcc, a file *.safetensors, or one of {', '.join(LAYERS)}")
    if layer not in layers:
        raise DataError(f"--encoder {name}: the layer must be one of {', '.join(layers)}")
    return partial(features, encoder=Wav2Letter(Path(encoder)) if weights else content.load(encoder), layer=layer)


def mfcc(audio: Audio) -> Array:
    """Mel cepstra c1–c19, as the generators of other systems hear them."""
    samples = resample(audio, 16_000).samples
    cepstra: Array = librosa.feature.mfcc(y=samples, sr=16_000, n_mfcc=20, n_fft=512, win_length=400, hop_length=160)
    return cepstra[1:]


def features(audio: Audio, encoder: Encoder, layer: str) -> Array:
    """Content features as the generator gets them."""
    level = measure_loudness(audio)
    return content.heard(encoder, layer, audio, len(level), level)


def measure(hear: Hear, recordings: Sequence[Recording], name: str) -> Figures:
    """All figures of an encoder."""
    takes, moved = [], []
    for recording in progress(recordings, name, "file", len(recordings)):
        audio = read(recording.path)
        level = measure_loudness(audio)
        active = np.flatnonzero(level > level.max() - ACTIVE)
        sung = slice(active[0], active[-1] + 1)
        frames = hear(audio)[:, sung]
        takes.append(Take(recording.actor, recording.piece[6:8], recording.piece[:2], frames))
        moved += [warped_distance(frames, hear(shifted(audio, by))[:, sung]) for by in SHIFTS]
    singers, folds = [take.singer for take in takes], [number % FOLDS for number in range(len(takes))]
    means, picked = [take.frames.mean(axis=1) for take in takes], [_spread(take.frames) for take in takes]
    return Figures(
        words=float(np.mean(across_singers(takes))),
        singer=float(np.mean(across_words(takes))),
        pitch=float(np.mean(moved)),
        named_by_mean=probe_accuracy(np.stack(means), singers, folds),
        named_by_frame=probe_accuracy(
            np.concatenate(picked), np.repeat(singers, FRAMES).tolist(), np.repeat(folds, FRAMES).tolist()
        ),
    )


def sounds_named(hear: Hear, run: Path) -> float:
    """Accuracy of a linear probe for the sound of a frame, on held-out speech."""
    store = Store(run / "store")
    vectors, names, folds = [], [], []
    for number, utterance in enumerate(u for u in read_prepared(run) if u.held_speech):
        known = store.get(utterance.key, "labels").astype(int)
        frames = hear(Audio(read_voices(store, utterance)[0], RATE))[:, : len(known)]
        counted = np.flatnonzero(known > SILENCE)[::EVERY]
        vectors.append(frames[:, counted].T)
        names += [PHONES[int(label)] for label in known[counted]]
        folds += [number % FOLDS] * len(counted)
    return probe_accuracy(np.concatenate(vectors), names, folds)


def syllables_confused(hear: Hear, run: Path) -> float:
    """ABX error on sung syllables that the run's model was not trained on, cut out where it hears them."""
    store, judge = Store(run / "store"), Wav2Letter(run / WEIGHTS)
    takes: list[Take] = []
    for utterance in (u for u in read_prepared(run) if u.held and u.syllables):
        audio = Audio(read_voices(store, utterance)[0], RATE)
        posteriors = torch.from_numpy(content.encode(judge, "sounds", audio.samples)).T.contiguous()
        order = [sound for syllable in utterance.syllables for sound in syllable]
        segments = iter(align_sung(posteriors, order, loud(audio.samples)))
        frames, singer = hear(audio), Path(utterance.path).parent.name
        for syllable in utterance.syllables:
            sung, name = [*islice(segments, len(syllable))], "".join(PHONES[sound] for sound in syllable)
            if sung and sum(take.singer == singer and take.words == name for take in takes) < TAKES:
                takes.append(Take(singer, name, "", frames[:, int(sung[0].start) : int(sung[-1].end)]))
    return abx_error(takes)


def shifted(audio: Audio, semitones: float) -> Audio:
    """The same sung higher, in its own voice, by Praat's overlap-add of periods."""
    praat = extra("parselmouth")
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
