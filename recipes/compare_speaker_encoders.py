"""Speaker encoders by EER and nearest speaker: ``python recipes/compare_speaker_encoders.py RAVDESS SPEECH …``."""

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from verification import verify

from svc import cli
from svc.audio import files
from svc.audio.files import Audio
from svc.audio.find import find_audio
from svc.encoders.speaker_encoder import SpeakerEncoder
from svc.evaluation.metrics.speaker import load_speaker_similarity
from svc.evaluation.statistics import Estimate
from svc.utils.progress import progress

Clips = dict[str, list[Audio]]
Vectors = dict[str, NDArray[np.floating]]
KINDS = "RAVDESS speech", "RAVDESS song", "speech → song"
SECONDS = 5.0, 20.0, 60.0


def main(
    ravdess: Annotated[Path, typer.Argument(help="folder with actorNN/{speech,song}")],
    speech: Annotated[Path, typer.Argument(help="folder with one folder of clips for each speaker")],
    encoders: Annotated[list[str], typer.Option("--encoder", "-e", help="weights, untrained, cepstral, campplus …")],
    held_out: Annotated[Path | None, typer.Option(help="list of the speakers to use, from the training")] = None,
    clips: Annotated[int, typer.Option(help="of each speaker and kind")] = 10,
) -> None:
    """Print a table of EER and nearest-speaker accuracy for speech, singing, and speech → singing."""
    names = held_out.read_text().splitlines() if held_out else [path.name for path in sorted(speech.iterdir())]
    kinds = {kind: {actor.name: list(_read(actor / kind, clips)) for actor in sorted(ravdess.iterdir())}
             for kind in ("speech", "song")}  # fmt: skip
    people = {name: list(_read(speech / name, clips)) for name in names}
    several = {name: sounds for name, sounds in people.items() if len(sounds) == clips}
    halves = {name: _halves(sounds[0]) for name, sounds in people.items() if len(sounds) < clips}
    heads = f"{len(several)} people, other clips", f"{len(halves)} people, halves of a clip", *KINDS
    stability = (f"{seconds:.0f} s of speech to other clips" for seconds in SECONDS)
    typer.echo(f"| encoder | {' | '.join((*heads, *stability))} |\n|{9 * '---|'}")
    for name in encoders:
        embed = embedder(name)
        speech_vectors, song_vectors = embed(kinds["speech"]), embed(kinds["song"])
        results = [
            verify(embed(several)),
            verify(embed(halves)),
            verify(speech_vectors),
            verify(song_vectors),
            verify(speech_vectors, song_vectors),
        ]
        cells = [f"{_percent(result.eer)}; {_percent(result.accuracy)}" for result in results]
        rows = embed({person: [_joined(sounds[clips // 2 :], SECONDS[-1]),
                               *(_joined(sounds[: clips // 2], seconds) for seconds in SECONDS)]
                      for person, sounds in several.items()})  # fmt: skip
        reference = {person: vectors[:1] for person, vectors in rows.items()}
        for place in range(1, len(SECONDS) + 1):
            result = verify(reference, {person: vectors[place : place + 1] for person, vectors in rows.items()})
            own = np.mean([vectors[0] @ vectors[place] for vectors in rows.values()])
            cells.append(f"{100 * result.accuracy.mean:.0f}, cosine {own:.2f}")
        typer.echo(f"| {Path(name).parent.name or name} | {' | '.join(cells)} |")


def embedder(name: str) -> Callable[[Clips], Vectors]:
    """Unit vectors (clips, D) of the clips of speakers, by a speaker metric or by weights of ours."""
    if name == "untrained" or name.endswith(".safetensors"):
        torch.manual_seed(0)
        encoder = SpeakerEncoder(None if name == "untrained" else Path(name))
        return lambda clips: {
            speaker: np.stack([encoder.embed(audio) for audio in sounds])
            for speaker, sounds in progress(clips.items(), name, "speaker", len(clips))
        }
    return lambda clips: dict(load_speaker_similarity(name, clips).clips)


def _read(folder: Path, clips: int) -> Iterator[Audio]:
    paths = sorted(find_audio(folder))
    return map(files.read, islice(paths[:: max(1, len(paths) // clips)], clips))


def _halves(audio: Audio) -> list[Audio]:
    middle = len(audio.samples) // 2
    return [Audio(audio.samples[:middle], audio.rate), Audio(audio.samples[middle:], audio.rate)]


def _joined(sounds: list[Audio], seconds: float) -> Audio:
    return Audio(np.concatenate([sound.samples for sound in sounds]), sounds[0].rate).first(seconds)


def _percent(value: Estimate) -> str:
    return f"{100 * value.mean:.1f} ({100 * value.low:.1f}–{100 * value.high:.1f})"


if __name__ == "__main__":
    cli.run(main)
