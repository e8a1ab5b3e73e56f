"""Make the base voice that ships: the voice of a finished pretraining, singers first, in 16-bit weights."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from svc import cli

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from svc.data.manifest import Manifest
    from svc.features.training_data import TrainingData
    from svc.inference.voice import VoiceFile

LICENCE = "MIT; the recordings have licences of their own"
NOTE = "singers and readers who published their recordings under free licences; ask before you pass off as one of them"
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
    prepared: Annotated[Path, typer.Argument(help="folder made by `svc prepare`, of which the run was trained")],
    run: Annotated[Path, typer.Argument(help="folder of a run of `svc train -c pretrain`")],
    checkpoint: Annotated[str, typer.Option(help="last or best")] = "last",
) -> None:
    """Write svc/voices/base.safetensors, and the speaker encodings beside it for zero-shot conversion."""
    from safetensors.numpy import save_file

    from svc.adaptation.zero_shot import ENCODINGS
    from svc.cli.export import export_run
    from svc.data import manifest
    from svc.inference.base_voice import BASE_VOICE
    from svc.models.weight_names import EMBEDDING

    clips = manifest.read(prepared)
    data = describe_sources(clips)
    voice = export_run(run, checkpoint, {"licence": LICENCE, "speakers": NOTE})
    voice = replace(order_speakers(voice, clips), training_data=data, card=voice.card | data.card)
    BASE_VOICE.parent.mkdir(exist_ok=True)
    voice.save(BASE_VOICE, half=True)
    encodings = encode_speakers(voice, clips)
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


def order_speakers(voice: "VoiceFile", clips: "Manifest") -> "VoiceFile":
    """The voice with those who sing first, each group by name; the range of those who only speak is a guess."""
    from svc.adaptation.speech_or_singing import singing_range
    from svc.models.weight_names import SPEAKER_PARAM_NAMES

    singing = {clip.speaker for clip in clips.clips if clip.kind == "song"}
    names = sorted((speaker.name for speaker in voice.speakers), key=lambda name: (name not in singing, name))
    order = [voice.speaker_index(name) for name in names]
    speakers = []
    for number, index in enumerate(order):
        speaker = replace(voice.speakers[index], number=number)
        kind = "song" if speaker.name in singing else "speech"
        speakers.append(singing_range(speaker, kind))
    rows = {name: voice.weights[name][order] for name in SPEAKER_PARAM_NAMES}
    return replace(voice, speakers=tuple(speakers), weights={**voice.weights, **rows})


def encode_speakers(voice: "VoiceFile", clips: "Manifest") -> "NDArray[np.float16]":
    """Embeddings (S, 128) of the voice's speakers by the speaker encoder, from their training clips."""
    import numpy as np

    from svc.adaptation.zero_shot import encode
    from svc.audio.files import Audio
    from svc.data.dataset import read_audio
    from svc.features.cache import FeatureCache
    from svc.utils.progress import progress

    cache, rate, hop = FeatureCache(clips.folder / "store"), voice.config.sample_rate, voice.config.hop
    rows = []
    for speaker in progress(voice.speakers, "encode", "speaker", len(voice.speakers)):
        own = [clip for clip in clips.split("train") if clip.speaker == speaker.name][:8]
        rows.append(encode([Audio(read_audio(cache, clip, 0, clip.frames, hop)[0].numpy(), rate) for clip in own]))
    return np.stack(rows).astype(np.float16)


if __name__ == "__main__":
    cli.run(main)
