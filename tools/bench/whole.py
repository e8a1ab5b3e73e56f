"""Whole commands: features of audio, conversion of a song, preparation of a folder."""

import contextlib
import io
import statistics
import sys
from collections.abc import Mapping
from functools import partial
from itertools import count
from pathlib import Path

import host
from material import SPEAKERS, Sizes, sing
from networks import BASE, configured, random_generator
from timing import Columns, Contestant, Group, Timed, significant

from svc import encoders
from svc.audio import files
from svc.audio.files import Audio
from svc.data import prepare as preparing
from svc.data.synthetic.phrases import phrase
from svc.data.synthetic.singers import SINGERS, write_singers
from svc.features import content, extract
from svc.inference.converter import Converter
from svc.inference.voice import VoiceFile, VoiceSpeaker
from svc.utils.units import FRAMES_PER_SECOND

SONG_RATE = 44_100  # Hz


def features(sizes: Sizes) -> Group:
    """Content and loudness."""
    config = configured(BASE)
    audio = sing(sizes.content, config.sample_rate).audio
    level = extract.measure_loudness(audio)
    content_config = config.features.content
    encoder = encoders.load(content_config.encoder)
    contestants = [
        Contestant(
            "svc: content",
            partial(content.extract, encoder, content_config.layer, audio, len(level), level),
            audio.seconds,
        ),
        Contestant("svc: loudness", partial(extract.measure_loudness, audio), audio.seconds),
    ]
    text = f"{audio.seconds:g} s of synthetic singing at {config.sample_rate} Hz; content with resampling."
    return Group("content", text, contestants, "svc: content")


def conversion(sizes: Sizes, path: Path | None, folder: Path) -> Group:
    """Conversion of a song in memory, and once by a fresh process from file to file."""
    voice = VoiceFile.load(path) if path else _random_voice()
    song = sing(sizes.song, SONG_RATE).audio
    source, voice_path = folder / "song.wav", folder / "voice.safetensors"
    files.write(source, song)
    voice.save(voice_path)
    command = [sys.executable, "-m", "svc", "convert", "-s", "0", "-v", str(voice_path), str(source)]
    command += ["-o", str(folder / "converted.wav"), "-f"]
    fresh = {"svc convert": host.watch(command)}
    converter = Converter(voice)
    weights = sum(parameter.numel() for parameter in voice.generator.parameters())
    contestants = [Contestant("svc convert", partial(_convert, converter, song), song.seconds, weights)]
    whose = "the voice of --voice" if path else "random weights"
    text = (
        f"{song.seconds:g} s of synthetic singing at {SONG_RATE} Hz with {whose} "
        f"({voice.config.features.f0.model} CREPE): everything but start-up. Its stages as RTF, medians. A fresh "
        "process, started once, also imports, reads and writes."
    )
    return Group("convert", text, contestants, "svc convert", columns=partial(_stages, fresh))


def preparation(sizes: Sizes, folder: Path) -> Group:
    """Preparation of a folder of singers, each time into a new folder."""
    data = folder / "singers"
    write_singers(data, sizes.phrases)
    seconds = len(SINGERS) * sum(phrase(n).frames for n in range(sizes.phrases)) / FRAMES_PER_SECOND
    everyone = host.cores()
    numbers = count()

    def run(jobs: int) -> None:
        with contextlib.redirect_stderr(io.StringIO()):  # its progress bars
            preparing.prepare(data, folder / f"prepared{next(numbers)}", configured(BASE), jobs)

    contestants = [
        Contestant(f"svc prepare, jobs {jobs}", partial(run, jobs), seconds / jobs) for jobs in sorted({1, everyone})
    ]
    text = (
        f"{len(SINGERS) * sizes.phrases} synthetic files, {seconds:.0f} s, of {len(SINGERS)} singers. Per core: jobs × "
        "seconds for a second of audio; more than one job includes starting the processes."
    )
    return Group("prepare", text, contestants, "svc prepare, jobs 1")


def _random_voice() -> VoiceFile:
    config = configured(BASE)
    speakers = tuple(VoiceSpeaker(f"speaker {n}", 600.0, 220.0, 110.0, 440.0, number=n) for n in range(SPEAKERS))
    generator = random_generator(config, "cpu").requires_grad_(False)
    return VoiceFile.of(generator, config, speakers, {"note": "random weights"}, "", SPEAKERS)


def _convert(converter: Converter, song: Audio) -> dict[str, float]:
    return converter.convert(song, "0")[1].timings


def _stages(fresh: Mapping[str, tuple[float, float]], timed: Mapping[str, Timed]) -> Columns:
    columns = {}
    for name, entry in timed.items():
        stages = {stage: statistics.median(spent[stage] for spent in entry.outcomes) for stage in entry.outcomes[0]}
        seconds, (spent, peak) = entry.contestant.seconds, fresh[name]
        columns[name] = {
            **{stage: significant(value / seconds) for stage, value in stages.items()},
            "fresh process, RTF": significant(spent / seconds),
            "its peak memory": f"{peak:.0f} MB",
        }
    return columns
