"""Make the base voice that ships: the voice of a finished pretraining, singers first, in 16-bit weights."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from svc import cli

if TYPE_CHECKING:
    from svc.data.manifest import Manifest
    from svc.features.training_data import TrainingData
    from svc.inference.voice import VoiceFile

LICENCE = "MIT; the recordings have licences of their own"
NOTE = "singers and readers whose recordings have free licences; do not pass yourself off as one of them"
SOURCES = {  # licence and credit, by folder, of recordings that are no corpus with a reader
    "kumi": ("free with credit", "Hitsuboku Kumi by Cubialpha"),
    "scottpoid": ("free with credit", "SCOTTPOID by Scott"),
    "yuki": ("public domain", "UTAU Yuki by Adios"),
    "dorodoro": ("any use", "dorodoro by Cerenothoa"),
    "iona": ("MIT", "Iona by titinko/utsu"),
    "martin": ("MIT", "vocobox/human-voice-dataset"),
    "erithacus": ("CC BY 4.0", "Erithacus by Robyn"),
    "nit": ("CC BY 3.0", "NIT song database, Nagoya Institute of Technology"),
}


def main(
    prepared: Annotated[Path, typer.Argument(help="folder made by `svc prepare`, on which the run was trained")],
    run: Annotated[
        Path, typer.Argument(help="folder of a run of `svc train -c pretrain`, or a voice file made from one")
    ],
    checkpoint: Annotated[str, typer.Option(help="last or best")] = "last",
) -> None:
    """Write svc/voices/base.safetensors, and the speaker encodings beside it for zero-shot conversion."""
    from safetensors.numpy import save_file

    from svc.adaptation.zero_shot import ENCODINGS
    from svc.cli.export import export_run
    from svc.data import manifest
    from svc.data.speaker_encodings import encode_speakers
    from svc.features.training_data import check_licence
    from svc.inference.base_voice import BASE_VOICE
    from svc.inference.voice import VoiceFile
    from svc.models.weight_names import EMBEDDING

    clips = manifest.read(prepared)
    data = describe_sources(clips)
    check_licence(LICENCE, data)
    card = {"licence": LICENCE, "speakers": NOTE}
    exported = VoiceFile.load(run) if run.is_file() else export_run(run, checkpoint, card, prepared)
    voice, order = order_speakers(exported, clips)
    voice = replace(voice, training_data=data, card=voice.card | card | data.card)
    BASE_VOICE.parent.mkdir(exist_ok=True)
    voice.save(BASE_VOICE, half=True)
    encodings = encode_speakers(clips)[order].astype("float16")
    save_file({"encodings": encodings, "embeddings": voice.weights[EMBEDDING].astype("float16")}, ENCODINGS)
    for path in (BASE_VOICE, ENCODINGS):
        typer.echo(f"{path}: {path.stat().st_size / 1e6:.2f} MB")
    typer.echo("next: svc speakers -v base")


def describe_sources(clips: "Manifest") -> "TrainingData":
    """Fingerprints, licences and credits, also of the folders in ``SOURCES``."""
    from svc.data.provenance import training_data

    rows = [(clip, clip.path.partition("/")[0]) for clip in clips.clips]
    data = training_data(replace(clip, licence=SOURCES[name][0]) if name in SOURCES else clip for clip, name in rows)
    credits = tuple(SOURCES[name][1] for name in dict.fromkeys(name for _, name in rows) if name in SOURCES)
    return replace(data, credits=data.credits + credits)


def order_speakers(voice: "VoiceFile", clips: "Manifest") -> "tuple[VoiceFile, list[int]]":
    """The voice with those who sing first, the widest range first, then readers by name; and old indices.

    The range of those who only speak is a guess.
    """
    from svc.adaptation.speech_or_singing import singing_range
    from svc.models.weight_names import SPEAKER_PARAM_NAMES

    singing = {clip.speaker for clip in clips.clips if clip.kind == "song"}
    singers = [speaker for speaker in voice.speakers if speaker.name in singing]
    singers.sort(key=lambda speaker: speaker.low_f0 / speaker.high_f0)
    readers = sorted((s for s in voice.speakers if s.name not in singing), key=lambda speaker: speaker.name)
    order = [voice.speaker_index(speaker.name) for speaker in (*singers, *readers)]
    speakers = []
    for number, index in enumerate(order):
        band = max(clip.band for clip in clips.clips if clip.speaker == voice.speakers[index].name)
        speaker = replace(voice.speakers[index], number=number, band=band)
        kind = "song" if speaker.name in singing else "speech"
        speakers.append(singing_range(speaker, kind))
    rows = {name: voice.weights[name][order] for name in SPEAKER_PARAM_NAMES}
    return replace(voice, speakers=tuple(speakers), weights={**voice.weights, **rows}), order


if __name__ == "__main__":
    cli.run(main)
