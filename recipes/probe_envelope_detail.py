"""How much of a speaker lies in the detail of the envelopes? Analysis and synthesis with envelopes blurred on purpose.

Each song is synthesised from its own CheapTrick envelope on the voice's excitations, with the voice's split into
harmonics and noise, and compared with the recording by a speaker encoder. What a blur costs here is what a generator
loses that predicts a blurred average, whatever else it knows of the speaker.
"""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from svc import cli
from svc.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor

    from svc.features.conditioning import Conditioning
    from svc.inference.converter import Converter

BLURS = {  # frames of 10 ms and points of the envelope, of moving averages
    "none": (1, 1),
    "30 ms": (3, 1),
    "50 ms": (5, 1),
    "90 ms": (9, 1),
    "300 Hz": (1, 3),
    "500 Hz": (1, 5),
}


def main(
    songs: Annotated[Path, typer.Argument(help="folder of songs")],
    voice: Annotated[str, typer.Option("-v", "--voice", help="voice file at 44.1 kHz, or base")] = "base",
    speaker_encoder: Annotated[str, typer.Option(help="as in svc evaluate")] = "campplus",
) -> None:
    """Print the mean cosine of the recordings and their synthesis, for each kind of blur."""
    import numpy as np
    import torch

    from svc.audio.files import Audio, read
    from svc.audio.find import find_audio
    from svc.audio.resample import resample
    from svc.evaluation.metrics.speaker import load_speaker_similarity
    from svc.inference.base_voice import find_voice
    from svc.inference.converter import Converter
    from svc.inference.voice import VoiceFile

    converter = Converter(VoiceFile.load(find_voice(Path(voice))))
    rate, hop = converter.voice.config.sample_rate, converter.voice.config.hop
    sources = [resample(read(path), rate) for path in find_audio(songs)]
    if not sources or converter.generator.source_filter is None:
        raise DataError(f"{songs}: no songs, or a voice without source-filter stage")
    similarity = load_speaker_similarity(speaker_encoder, {str(n): [song] for n, song in enumerate(sources)})
    first_speaker = torch.eye(len(converter.voice.speakers))[0]
    cosines: dict[str, list[float]] = {name: [] for name in BLURS}
    for number, source in enumerate(sources):
        conditioning = converter.extract(source).conditioning(first_speaker)
        audio = torch.from_numpy(source.samples[: conditioning.frames * hop])[None]
        for name, blur in BLURS.items():
            with torch.no_grad():
                samples = synthesise(converter, conditioning, audio, blur)[0].numpy()
            embedding = similarity.embed(Audio(samples, rate))
            cosines[name].append(similarity.cosines(embedding)[str(number)])
    for name, values in cosines.items():
        typer.echo(f"blur {name:8} cosine {np.mean(values):.3f}")


def synthesise(
    converter: "Converter", conditioning: "Conditioning", audio: "Tensor", blur: tuple[int, int]
) -> "Tensor":
    """Audio (1, T) from the blurred envelope of audio (1, T), split into harmonics and noise as the voice does."""
    import torch
    from torch.nn.functional import avg_pool2d, logsigmoid

    from svc.losses.envelope import spectral_envelope

    assert converter.generator.source_filter
    stage, hop = converter.generator.source_filter, converter.voice.config.hop
    envelope = spectral_envelope(audio, conditioning.f0, hop, stage.points)
    envelope = envelope - conditioning.loudness[..., None] * (math.log(10) / 20)
    padding = (blur[0] // 2, blur[1] // 2)
    envelope = avg_pool2d(envelope[:, None], blur, 1, padding, count_include_pad=False)[:, 0]
    harmonics, noise = stage.envelopes(converter.generator.conditioner(conditioning)).unbind(dim=2)
    ratio, voiced = 2 * (noise - harmonics), conditioning.voiced[..., None] > 0
    split = torch.stack(
        [envelope + logsigmoid(-ratio) / 2, torch.where(voiced, envelope + logsigmoid(ratio) / 2, envelope)], dim=2
    )
    gain = (10 ** (conditioning.loudness / 20)).repeat_interleave(hop, dim=-1)
    return stage(converter.generator.excitation(conditioning), split).sum(dim=1) * gain


if __name__ == "__main__":
    cli.run(main)
