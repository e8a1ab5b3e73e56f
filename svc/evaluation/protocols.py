"""Evaluation protocols: which recordings of a corpus are sources, enrolment and truths, by what a voice was trained on.

- ``seen-speakers``: songs that were not trained on, by speakers of the voice; targets are its speakers.
- ``unseen-sources``: speakers and songs that were not trained on; targets are the speakers of the voice.
- ``zero-shot``: 20 s of speech of each speaker not trained on are for `svc fit --zero-shot`; targets are these.
- ``one-minute``: a minute of speech of each speaker that was not trained on is for `svc fit`; targets are these.
- ``harmony``: as ``seen-speakers``, three times: a song alone, with a second voice a third above, and separated from a
  band, the triple of YingMusic-SVC (2512.04793); conversions of each are compared with the clean song.
"""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile

from svc.audio import files, praat
from svc.audio.files import Audio, Samples
from svc.audio.find import find_audio
from svc.audio.resample import fit_length
from svc.audio.segment import read_segment
from svc.data import corpora
from svc.data.corpora import Recording
from svc.errors import DataError, WeightsError, os_errors_as
from svc.evaluation.evaluator import read_audio
from svc.evaluation.exposure import trained_groups
from svc.evaluation.run import MAX_ENROLMENT_FILES, EvaluationRequest, evenly_spaced
from svc.features.training_data import TrainingData
from svc.inference.separation import Separator
from svc.utils.progress import progress
from svc.utils.units import db_to_gain, semitones_to_ratio

PROTOCOLS = ("seen-speakers", "unseen-sources", "zero-shot", "one-minute", "harmony")
FOLDER = "recordings"  # in the output folder
MAX_SOURCES = 32
SPEECH_SECONDS = {"zero-shot": 20.0, "one-minute": 60.0}  # of new speakers, by protocol
THIRD = 4.0  # semitones
HARMONY_LEVEL = -6.0  # dB relative to the lead
FORMANTS = 1.1  # of the second voice relative to the lead
CHORD = (0.0, 4.0, 7.0)  # semitones, of the band
BEAT = 0.5  # s
ANCHORS = {  # LogF0PCC in per cent that YingMusic-SVC's report prints (table 2)
    "clean": "Seed-VC 98.3, YingMusic-SVC 98.1",
    "harmony": "Seed-VC 84.0, YingMusic-SVC 86.5",
    "separated": "Seed-VC 89.2, YingMusic-SVC 89.8",
}
Takes = Mapping[tuple[str, str], Sequence[Recording]]  # by speaker and group, in order


def select(
    protocol: str, recordings: Sequence[Recording], speakers: Sequence[str], data: TrainingData
) -> tuple[list[Recording], list[str]]:
    """Sources of a protocol, at most 32, evenly spaced, and the speakers to convert to.

    Recordings are of a corpus, the speakers and the training data of the voice.

    Raises:
        DataError: there is no such protocol, or no source or target.
    """
    if protocol not in PROTOCOLS:
        raise DataError(f"--protocol {protocol}: no such protocol; choose one of {', '.join(PROTOCOLS)}")
    if not data.hashes:
        raise DataError("the voice does not say what it was trained on; export it again with --prepared")
    present = dict.fromkeys(recording.speaker for recording in recordings)
    own, new = ([name for name in present if (name in speakers) is inside] for inside in (True, False))
    trained = {group for _, group in trained_groups(recordings, data)}
    songs = [r for r in recordings if r.kind == "song" and r.group not in trained]
    targets = own
    if protocol in SPEECH_SECONDS:
        singing = {song.speaker for song in songs}
        targets = [name for name in new if name in singing and _speech(recordings, name)]
    else:
        wanted = new if protocol == "unseen-sources" else own
        songs = [song for song in songs if song.speaker in wanted]
    if not songs or not targets:
        missing = "songs that fit" if targets else "targets"
        raise DataError(f"--protocol {protocol}: the corpus has no {missing}; see svc/evaluation/README.md")
    return evenly_spaced(songs, MAX_SOURCES), targets


def arrange(
    protocol: str, request: EvaluationRequest, speakers: Sequence[str], data: TrainingData
) -> EvaluationRequest:
    """Write ``OUT/recordings/{songs,enrolment,truths,speech}/<speaker>/`` as links, and the request to evaluate them.

    The sources of the request are a corpus. For the other arguments see ``select``.

    Raises:
        DataError: see ``select``; or the folder cannot be written.
    """
    recordings = corpora.find(request.sources)
    sources, targets = select(protocol, recordings, speakers, data)
    takes: dict[tuple[str, str], list[Recording]] = {}
    for recording in sorted(recordings, key=lambda one: (one.path, one.start or 0.0)):
        takes.setdefault((recording.speaker, recording.group), []).append(recording)
    root = request.out / FOLDER
    shutil.rmtree(root, ignore_errors=True)
    with os_errors_as(DataError, root, "cannot be written", "choose another -o"):
        for source in sources:
            _place(source, root / "songs" / source.speaker / _name(source, takes))
            for name in targets:
                _place_truths(source, name, takes, root / "truths")
        for name in dict.fromkeys([*targets, *(source.speaker for source in sources)]):
            own = [r for r in recordings if r.speaker == name and r.kind == "song"] or _speech(recordings, name)
            for number, recording in enumerate(evenly_spaced(own, MAX_ENROLMENT_FILES)):
                _place(recording, root / "enrolment" / name / f"{number:02d}")
            if protocol in SPEECH_SECONDS and name in targets:
                for number, recording in enumerate(_first(SPEECH_SECONDS[protocol], _speech(recordings, name))):
                    _place(recording, root / "speech" / name / f"{number:02d}")
    songs, enrolment, truths = (root / name for name in ("songs", "enrolment", "truths"))
    return replace(request, speakers=tuple(targets), sources=songs, enrolment=enrolment, parallel=truths)


def _name(recording: Recording, takes: Takes) -> str:
    """Group and number of the take: the voice's fingerprints are found by it."""
    return f"{recording.group}/{takes[recording.speaker, recording.group].index(recording) + 1}"


def _place_truths(source: Recording, speaker: str, takes: Takes, folder: Path) -> None:
    """Up to two performances of a source's song by a speaker: the same take first, then its neighbour."""
    own = takes.get((speaker, source.group), [])
    number = takes[source.speaker, source.group].index(source)
    wanted = [own[n] for n in (number, number ^ 1) if n < len(own)] or own[:1]
    for take, suffix in zip(wanted, ("", ".2"), strict=False):
        _place(take, folder / speaker / f"{_name(source, takes)}{suffix}")


def _place(recording: Recording, path: Path) -> None:
    """A link to a recording, or a file of its segment, at a path without its suffix; the text beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    target = path.parent / f"{path.name}{recording.path.suffix if recording.start is None else '.wav'}"
    if target.exists():  # sources by several speakers have the same truths
        return
    if recording.text:
        (path.parent / f"{path.name}.txt").write_text(f"{recording.text}\n", encoding="utf-8")
    if recording.start is not None:
        blocks = list(read_segment(recording.path, recording.start, recording.end))
        files.write(target, Audio(np.concatenate([block.samples for block in blocks]), blocks[0].rate))
        return
    target.symlink_to(recording.path.resolve())


def _speech(recordings: Iterable[Recording], speaker: str) -> list[Recording]:
    return [recording for recording in recordings if recording.speaker == speaker and recording.kind == "speech"]


def _first(wanted: float, recordings: Iterable[Recording]) -> list[Recording]:
    """As many whole recordings as make up so many seconds."""
    chosen, seconds = [], 0.0
    for recording in recordings:
        if seconds < wanted:
            chosen.append(recording)
            seconds += (recording.end or soundfile.info(recording.path).duration) - (recording.start or 0.0)
    return chosen


def write_harmony_inputs(
    songs: Path, out: Path, skipped: list[str], separator: Separator | None = None
) -> dict[str, Path | None]:
    """Folders of inputs of ``harmony`` below OUT, with the paths of the songs: ``clean`` is none, the songs themselves.

    Without weights to separate with there is no ``separated``, but a sentence among the skipped.

    Raises:
        SvcError: a song cannot be read, or Praat is not installed.
    """
    inputs: dict[str, Path | None] = {"clean": None, "harmony": out / "harmony"}
    try:
        separator = separator or Separator()
        inputs["separated"] = out / "separated"
    except WeightsError as error:
        skipped.append(f"separated: {error}")
    paths = list(find_audio(songs))
    for path in progress(paths, "mix", "song", len(paths)):
        audio, name = read_audio(path), path.relative_to(songs).with_suffix(".wav")
        mixes = {"harmony": add_harmony(audio)}
        if separator:
            vocals, _ = separator.separate(add_band(audio).samples, audio.rate)
            mixes["separated"] = Audio(vocals.mean(axis=0), audio.rate)
        for kind, mix in mixes.items():
            (out / kind / name).parent.mkdir(parents=True, exist_ok=True)
            files.write(out / kind / name, mix)
    return inputs


def add_harmony(lead: Audio) -> Audio:
    """A voice (T,) with a second one of other formants, a major third above it at −6 dB."""
    sound, median = praat.to_praat(lead)
    changed = praat.change_gender(sound, FORMANTS, median * semitones_to_ratio(THIRD), 1.0)
    second = fit_length(changed.values[0].astype(np.float32), len(lead.samples))
    return _mix(lead, second, HARMONY_LEVEL)


def add_band(lead: Audio) -> Audio:
    """A voice (T,) with a synthetic band as loud as it: a chord and a bass in its key, and a drum."""
    _, median = praat.to_praat(lead)
    time = np.arange(len(lead.samples)) / lead.rate
    notes = [median * semitones_to_ratio(step - 12) for step in CHORD] + [median / 4]
    tones = sum(np.sin(2 * np.pi * note * k * time) / k for note in notes for k in range(1, 9))
    noise = np.random.default_rng(0).standard_normal(len(time))
    band = 0.3 * np.asarray(tones) + noise * np.exp(-(time % BEAT) / 0.03)
    return _mix(lead, band.astype(np.float32), 0.0)


def _mix(lead: Audio, other: Samples, level: float) -> Audio:
    """Both, the other at a level in dB relative to the lead's, within ±1."""
    powers = [float(np.mean(np.square(part, dtype=np.float64))) for part in (lead.samples, other)]
    gain = db_to_gain(level) * (powers[0] / max(powers[1], 1e-12)) ** 0.5
    mixed = lead.samples + np.float32(gain) * other
    return Audio((mixed / max(1.0, float(np.abs(mixed).max(initial=0.0)))).astype(np.float32), lead.rate)
