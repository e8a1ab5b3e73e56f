"""What a speaker encoder measures: ``python recipes/analyse_speaker_encoder.py SPEAKERS`` (Thoidis et al. 2023).

Correlation of its cosine between clips with low-level similarities: MFCC statistics, median f0, median formants.
"""

import json
from itertools import islice
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from svc import cli
from svc.audio import files, praat
from svc.audio.files import Audio
from svc.audio.find import find_audio
from svc.encoders.speaker_encoder import SpeakerEncoder
from svc.evaluation.metrics.speaker import load_speaker_similarity
from svc.utils.progress import progress

FORMANTS = (1, 2, 3, 4)
CEILING = 5250.0  # Hz, of the formant analysis: between Praat's values for men and for women

Vector = NDArray[np.float64]


def main(
    speakers: Annotated[Path, typer.Argument(help="folder with one folder of clips for each speaker")],
    clips: Annotated[int, typer.Option(help="of each speaker; speakers with fewer are left out")] = 10,
    seconds: Annotated[float, typer.Option(help="of each clip, at most")] = 5.0,
) -> None:
    """Print r with each similarity, R² of all of them together, and what R² loses without each."""
    paths = {folder.name: list(islice(find_audio(folder), clips)) for folder in sorted(speakers.iterdir())}
    sounds = {name: [files.read(path).first(seconds) for path in several]
              for name, several in paths.items() if len(several) == clips}  # fmt: skip
    owner = np.repeat(np.arange(len(sounds)), clips)
    every = [audio for several in sounds.values() for audio in several]
    encoder = SpeakerEncoder()
    embeddings = np.stack([encoder.embed(audio) for audio in progress(every, "embed", "clip", len(every))])
    voices = np.array([pitch_and_formants(audio) for audio in progress(every, "analyse", "clip", len(every))])
    cepstra = load_speaker_similarity("cepstral", sounds).clips
    mfcc = np.concatenate([cepstra[name] for name in sounds])
    pairs = np.triu_indices(len(every), 1)
    similarities = {
        "mfcc": (mfcc @ mfcc.T)[pairs],
        "f0": -np.abs(voices[pairs[0], 0] - voices[pairs[1], 0]),
        "formants": -np.linalg.norm(voices[pairs[0], 1:] - voices[pairs[1], 1:], axis=1),
    }
    cosine, other = (embeddings @ embeddings.T)[pairs], owner[pairs[0]] != owner[pairs[1]]
    for heading, chosen in (("all pairs", np.ones_like(other)), ("pairs of two speakers", other)):
        typer.echo(json.dumps({"pairs": heading, "n": int(chosen.sum())} | explain(cosine[chosen], {
            name: values[chosen] for name, values in similarities.items()
        })))  # fmt: skip


def pitch_and_formants(audio: Audio) -> Vector:
    """Logarithms to base 2 of the median f0 and of the medians of four formants in voiced frames: (5,)."""
    sound, median = praat.to_praat(audio)
    pitch = sound.to_pitch(pitch_floor=praat.FLOOR, pitch_ceiling=praat.CEILING)
    formants = sound.to_formant_burg(maximum_formant=CEILING)
    times = pitch.xs()[pitch.selected_array["frequency"] > 0]
    tracks = [[formants.get_value_at_time(number, time) for time in times[::2]] for number in FORMANTS]
    return np.log2([median, *(np.nanmedian(track) for track in tracks)])


def explain(cosine: Vector, similarities: dict[str, Vector]) -> dict[str, float]:
    """Pearson's r with each similarity, and R² of linear regressions on all, and on all but one."""
    names = list(similarities)
    whole = r_squared(cosine, [similarities[name] for name in names])
    rows = {f"r_{name}": float(np.corrcoef(cosine, similarities[name])[0, 1]) for name in names} | {"r2": whole}
    for name in names:
        rows[f"r2_loss_without_{name}"] = whole - r_squared(cosine, [similarities[n] for n in names if n != name])
    return {name: round(value, 3) for name, value in rows.items()}


def r_squared(target: Vector, columns: list[Vector]) -> float:
    """Share of the variance of a target that a linear regression explains."""
    design = np.stack([np.ones_like(target), *columns], axis=1)
    rest = target - design @ np.linalg.lstsq(design, target, rcond=None)[0]
    return float(1 - rest.var() / target.var())


if __name__ == "__main__":
    cli.run(main)
