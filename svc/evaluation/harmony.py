"""Inputs of the protocol ``harmony``: a song alone, with a second voice a third above, and separated from a band.

The triple of YingMusic-SVC (2512.04793): conversions of each are compared with the clean song.
"""

from pathlib import Path

import numpy as np

from svc.audio import files, praat
from svc.audio.files import Audio, Samples
from svc.audio.find import find_audio
from svc.audio.resample import fit_length
from svc.errors import WeightsError
from svc.evaluation.evaluator import read_audio
from svc.inference.separation import Separator
from svc.utils.progress import progress
from svc.utils.units import db_to_gain, semitones_to_ratio

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


def write_inputs(
    songs: Path, out: Path, skipped: list[str], separator: Separator | None = None
) -> dict[str, Path | None]:
    """Folders of inputs below OUT, each with the paths of the songs: ``clean`` is none, the songs themselves.

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
