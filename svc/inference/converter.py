"""Converter: singing voice conversion of audio, files and clips; in chunks, equal to one pass to the last sample."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
import torch

from svc.audio import files
from svc.audio.chunks import buffer_samples, iter_chunks, resample_to_buffer
from svc.audio.files import Audio, Samples
from svc.audio.resample import resample_stream
from svc.errors import WeightsError, printable
from svc.features import content
from svc.features.conditioning import Conditioning, one_hot
from svc.features.extract import FeatureExtractor, Features
from svc.features.f0_csv import read_csv, write_csv
from svc.features.second_voice import find_second_voice, louder_voice
from svc.features.transpose import Transpose, choose_transposition, share_outside_range, transpose_f0
from svc.inference.loudness import Loudness, apply_gain, check_level, choose_gain, match_level
from svc.inference.network import average_speaker
from svc.inference.options import ConversionOptions, ConversionReport, Progress, no_progress
from svc.inference.speaker_mix import SpeakerMix, parse_speaker
from svc.inference.stereo import place as stereo_placement
from svc.inference.voice import VoiceFile
from svc.utils.units import FRAMES_PER_SECOND

__all__ = ["ConversionOptions", "ConversionReport", "Converter", "Progress", "check_content_encoder", "no_progress"]

MAX_BAND_SHARE = 0.95  # of the band up to Nyquist: recordings that reach higher have no limit
CHUNK_FRAMES = 10 * FRAMES_PER_SECOND


def check_content_encoder(voice: VoiceFile) -> None:
    """Compare the content encoder with that of the voice's training.

    Raises:
        WeightsError: they differ.
    """
    if voice.encoder not in ("", content.encoder_fingerprint(voice.config.features.content)):
        raise WeightsError(
            f"this voice was trained with other weights of {printable(voice.encoder.partition(' ')[0])} than are "
            "here; convert with the svc that made it, or train it again"
        )


class Converter:
    """Converts to the speakers of a voice, with networks of its own on its device.

    Args:
        voice: stays as it is, on the CPU.
        device: to compute on.
        guidance: see ``Generator.forward``; that of the voice if not given.

    Raises:
        WeightsError: the content encoder differs from that of the voice's training, or guidance is not possible.
    """

    def __init__(self, voice: VoiceFile, device: str = "cpu", guidance: float | None = None):
        self.voice = voice
        self.device = device
        if guidance and voice.generator.source_filter is None:
            raise WeightsError("guidance: this voice has no source-filter stage; leave it out")
        self.guidance = voice.config.model.guidance if guidance is None else guidance
        self.average = average_speaker(voice).to(device)
        self.generator = copy.deepcopy(voice.generator).to(device)
        check_content_encoder(voice)
        self.features = FeatureExtractor(voice.config, device)

    def convert(
        self, audio: Audio, speaker: str | SpeakerMix, *, transpose: Transpose = "auto", f0_csv: Path | None = None,
        loudness: Loudness = "source", progress: Progress = no_progress, stereo: Samples | None = None,
    ) -> tuple[Audio, ConversionReport]:  # fmt: skip
        """Convert audio at any rate; the output has its rate and, to the sample, its length.

        Args:
            audio: the source.
            speaker, transpose, f0_csv, loudness: see ``ConversionOptions``.
            progress: called with the name of a stage, ``extract`` or ``synthesise``, and the share that is done.
            stereo: (T, 2) of which the source is the mean; the output is (T, 2) then, placed as these are.

        Raises:
            WeightsError: the voice has no such speaker.
            DataError: the mix or the CSV cannot be read.
        """
        options = ConversionOptions(speaker, transpose, loudness, f0_csv)
        report = ConversionReport()

        def place(mono: Iterator[Samples], length: int) -> Iterator[Samples]:
            halves = np.full(2, 0.5, np.float32)
            return mono if stereo is None else stereo_placement(mono, iter_chunks(stereo), halves, audio.rate, length)

        samples = np.concatenate(list(self._convert([audio], audio.rate, options, report, progress, place)))
        return Audio(samples, audio.rate), report

    def convert_file(
        self, source: Path, target: Path, options: ConversionOptions, progress: Progress = no_progress
    ) -> ConversionReport:
        """Convert a file of any length in constant memory; the target appears whole or not at all.

        Of a stereo file the mono mix is converted, and placed as the source is.

        Raises:
            SvcError: an input cannot be read, or the output not be written.
        """
        weights = files.channel_weights(source)
        blocks = files.read_blocks(source, weights)
        first = next(blocks)
        files.check_format(target, first.rate)
        report, stereo = ConversionReport(), len(weights) == 2 and not options.mono

        def place(mono: Iterator[Samples], length: int) -> Iterator[Samples]:
            channels = (samples for samples, _ in files.read_channels(source))
            return stereo_placement(mono, channels, weights, first.rate, length) if stereo else mono

        with files.open_writer(target, first.rate, 1 + stereo) as file:
            for chunk in self._convert(chain([first], blocks), first.rate, options, report, progress, place):
                file.write(chunk)
        if options.save_f0_csv:
            write_csv(options.save_f0_csv, report.source_f0)
        report.lap("resample")
        return report

    def convert_clip(
        self, features: Features, speaker: int, use_wavenet: bool = True, transpose: Transpose = "auto"
    ) -> tuple[Conditioning, Samples]:
        """A clip converted from its stored features to the speaker at an index, by default by octaves into the range.

        Returns:
            The conditioning (B = 1), and samples (T,) at the voice's rate.
        """
        moved, _ = self._transpose(features, transpose, self.voice.speakers[speaker].range)
        conditioning = moved.conditioning(one_hot(speaker, len(self.voice.speakers)))
        band = self.voice.speakers[speaker].band
        return conditioning, np.concatenate(list(self.synthesise(conditioning, use_wavenet=use_wavenet, band=band)))

    def _convert(
        self, blocks: Iterable[Audio], rate: int, options: ConversionOptions, report: ConversionReport,
        progress: Progress, place: Callable[[Iterator[Samples], int], Iterator[Samples]] = lambda mono, _length: mono,
    ) -> Iterator[Samples]:  # fmt: skip
        """Read → extract → transpose → synthesise → level → resample → place → gain: chunks at the source's rate."""
        mix = self.parse_speaker(options.speaker)
        check_level(options.loudness, mix)
        ours = self.voice.config.sample_rate
        source = resample_to_buffer(blocks, ours)
        report.seconds = source.seconds
        report.lap("resample")
        features = self.extract(source.audio, options.f0_csv, report, progress)
        if not options.f0_csv:
            report.second_voice = find_second_voice(source.audio, features.f0, features.voiced)
            f0 = louder_voice(source.audio, features.f0, features.voiced, report.second_voice)
            features = replace(features, f0=f0)
        moved, report.transpose = self._transpose(features, options.transpose, mix.stats.range)
        frames = len(features.f0)
        report.source_f0, report.f0 = (np.where(f.voiced, f.f0, 0).astype(np.float32) for f in (features, moved))
        low, high = mix.stats.range[1:]
        report.share_below_range, report.share_above_range = share_outside_range(moved.f0[moved.voiced], low, high)
        conditioning = moved.conditioning(mix.weights_at(slice(0, frames)))
        report.lap("content")
        samples = self._timed(self.synthesise(conditioning, band=mix.stats.band), frames, report, progress)
        levelled = match_level(samples, ours, moved.loudness)
        whole = buffer_samples(place(resample_stream(levelled, ours, rate, source.length), source.length), rate)
        report.gain = choose_gain(options.loudness, whole, rate, conditioning, mix)
        yield from apply_gain(whole, report.gain)
        report.lap("resample")

    def parse_speaker(self, speaker: str | SpeakerMix) -> SpeakerMix:
        """See ``svc.inference.speaker_mix.parse_speaker``."""
        return parse_speaker(self.voice, speaker) if isinstance(speaker, str) else speaker

    def extract(
        self, audio: Audio, f0_csv: Path | None = None, report: ConversionReport | None = None,
        progress: Progress = no_progress,
    ) -> Features:  # fmt: skip
        """Features of audio at the voice's rate, whole frames long."""
        frames = len(audio.samples) // self.voice.config.hop
        curve = read_csv(f0_csv, frames) if f0_csv else None

        def show(stage: str, done: int) -> None:
            progress("extract", done / frames)
            if report and (stage, done) == ("content", 0):
                report.lap("f0")

        return self.features.extract(audio, curve, show)

    @staticmethod
    def _transpose(
        features: Features, transpose: Transpose, range_: tuple[float, float, float]
    ) -> tuple[Features, float]:
        semitones = choose_transposition(transpose, features.f0[features.voiced], range_)
        return replace(features, f0=transpose_f0(features.f0, semitones)), semitones

    def band_limit(self, band: float) -> float:
        """Frequency in Hz above which envelopes fall, for a speaker whose recordings have a band; 0 for none."""
        return band if band < MAX_BAND_SHARE * self.voice.config.sample_rate / 2 else 0.0

    def synthesise(
        self, conditioning: Conditioning, chunk: int = CHUNK_FRAMES, use_wavenet: bool = True, band: float = 0.0
    ) -> Iterator[Samples]:
        """Audio (T,) in chunks, each with the generator's receptive field as context, so equal to one pass.

        Args:
            conditioning: B = 1.
            chunk: frames.
            use_wavenet: else the source–filter stage alone, where there is one.
            band: of the speaker's recordings in Hz, 0 if not known.
        """
        margin, hop = self.generator.margin, self.voice.config.hop
        for first in range(0, conditioning.frames, chunk):
            last = min(conditioning.frames, first + chunk)
            before, after = max(0, first - margin), min(conditioning.frames, last + margin)
            with torch.inference_mode():
                part = conditioning.crop(before, after).to(self.device)
                limit = self.band_limit(band)
                audio = self.generator(part, use_wavenet, limit, self.guidance, self.average)[0].cpu().numpy()
            yield audio[(first - before) * hop : (last - before) * hop]

    @staticmethod
    def _timed(
        chunks: Iterable[Samples], frames: int, report: ConversionReport, progress: Progress
    ) -> Iterator[Samples]:
        for number, chunk in enumerate(chunks):
            report.lap("generator")
            progress("synthesise", min(1.0, (number + 1) * CHUNK_FRAMES / frames))
            yield chunk
            report.lap("resample")
