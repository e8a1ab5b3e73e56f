"""A recording that is still growing, converted block by block and a stated time behind."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import fields, replace
from typing import BinaryIO

import numpy as np
import soxr
import torch

from svc.audio.chunks import parts
from svc.audio.files import MAX_PEAK, MAX_RATE, MIN_RATE, Audio, Samples
from svc.audio.resample import fit_length, resampled_length
from svc.audio.weighting import WINDOW_FRAMES
from svc.encoders.crepe import Crepe
from svc.errors import AudioError
from svc.features.conditioning import Conditioning
from svc.features.extract import Features, measure_loudness
from svc.features.f0 import Curve
from svc.inference import transpose as transposition
from svc.inference.converter import Converter
from svc.inference.speaker_mix import cast
from svc.inference.streaming_features import EDGE, NOTHING, REFINE_MARGIN, Melody, Past, Usual, Words
from svc.utils.units import FRAMES_PER_SECOND

PATH = 40  # frames after a block that the melody's path is found with
QUIET = -45.0  # dB; the loudest frame counts as no quieter than this


class Stream:
    """Converts what is pushed, in blocks; what has been sung is never taken back.

    A block is decided when all after it has been heard that its features depend on, and sung when the generator's
    margin is decided, too. So what comes out is, but for rounding, one call of the generator over all decided frames;
    it is the same to the bit for pushes of any sizes, and memory is constant. Unlike in ``Converter.convert``,

    - the loudest frame, which sets from what level on frames can be voiced and how loud the encoder hears, is the
      loudest so far (.4 s after the block included), and counts as −45 dB at least;
    - the usual level, above which a note is an effort, is the median of all voiced frames so far, and before there
      are any the loudest; where it moves, from one block to the next, so does the effort;
    - mean and variance of content are those of all active frames so far; less than 3 s of them are filled up with
      synthetic singers. What was active only until somebody sang louder no longer counts;
    - the melody's path is found with 2 s before and .4 s after a block. A pause keeps the melody before it until the
      one after it is in sight, where the whole changes in its middle;
    - a key that is no number is chosen anew with each block until a second of voice was sung; until then it may jump.

    Args:
        converter: of the voice.
        speaker: as for ``svc.inference.speaker_mix.cast``; a table of mixes runs from the first sample on.
        rate: Hz of what is pushed and of what comes out.
        transpose: semitones, ``auto`` or ``match``; as an attribute the semitones of the last block.
        block: seconds, in steps of 20 ms. Short ones cost more: the generator sings its margins with each.

    Attributes:
        latency: seconds by which a sample comes out after its input at most; the time of computing comes on top.

    Raises:
        WeightsError, DataError: as ``svc.inference.speaker_mix.cast``.
        AudioError: the rate is out of range.
    """

    def __init__(
        self, converter: Converter, speaker: str, rate: int, transpose: transposition.Key = 0.0, block: float = 1.0
    ):
        if not MIN_RATE <= rate <= MAX_RATE:
            raise AudioError(f"a stream of {rate} Hz: give a rate between {MIN_RATE} and {MAX_RATE} Hz")
        config, ours = converter.voice.config, converter.voice.config.sample_rate
        self._converter, self._cast, self._key = converter, cast(converter.voice, speaker), transpose
        self._audio = Past(ours)
        self._melody, self._words = Melody(config.features.f0, converter.device), Words(config.features.content)
        self._usual = Usual()
        self._frames = 2 * max(1, round(block * FRAMES_PER_SECOND / 2))  # even: some encoders answer every other frame
        self._ahead = max(PATH + Crepe.margin, self._words.encoder.margin) + EDGE
        self._behind = max(REFINE_MARGIN, self._words.encoder.margin) + EDGE
        frames = self._frames + self._ahead + converter.generator.margin
        self.latency = frames / FRAMES_PER_SECOND + resampling_lag(rate, ours) + resampling_lag(ours, rate)
        self.rate, self.block, self.transpose = rate, self._frames / FRAMES_PER_SECOND, 0.0
        self._entry = soxr.ResampleStream(rate, ours, 1, quality="HQ")
        self._exit = soxr.ResampleStream(ours, rate, 1, quality="HQ")
        self._taken = self._given = self._decided = self._sung = 0  # samples and frames, in and out
        self._level, self._loudest = NOTHING, QUIET  # dB, of frames from the first undecided one on, and of all
        self._voice, self._turns = NOTHING, 0  # Hz of the first voiced frames; last phase, 2^-52 cycles
        self._asked: Conditioning | None = None  # decided frames that the generator still looks at

    def push(self, samples: Samples) -> Samples:
        """What is finished when the next samples (T,) are there; NaN counts as silence, and peaks are cut at 4."""
        made = [NOTHING]
        for part in parts(samples):
            self._taken += len(part)
            self._audio.add(self._entry.resample_chunk(np.nan_to_num(part).clip(-MAX_PEAK, MAX_PEAK)))
            while self._audio.frames >= self._decided + self._frames + self._ahead:
                made.append(self._sing(self._decided + self._frames))
        output = self._exit.resample_chunk(np.concatenate(made))
        self._given += len(output)
        return output

    def finish(self) -> Samples:
        """All samples that are missing; nothing can be pushed any more."""
        heard, hop = self._audio.length, self._audio.hop
        length = resampled_length(self._taken, self.rate, self._audio.rate)
        rest = fit_length(self._entry.resample_chunk(NOTHING, last=True), max(0, length - heard))
        self._audio.add(fit_length(rest, len(rest) + -(heard + len(rest)) % hop))
        made = [NOTHING]
        while self._decided < self._audio.frames:
            made.append(self._sing(min(self._decided + self._frames, self._audio.frames)))
        return fit_length(self._exit.resample_chunk(np.concatenate(made), last=True), self._taken - self._given)

    def _sing(self, decided: int) -> Samples:
        """Decide frames up to so many, and sing those that have the generator's margin, or the end, behind them."""
        generator, hop = self._converter.generator, self._audio.hop
        fresh = self._decide(decided)
        asked = fresh if self._asked is None else _joined(self._asked, fresh)
        begin, last = int(asked.start), decided if decided == self._audio.frames else decided - generator.margin
        self._asked = asked.crop(max(0, last - generator.margin - begin), asked.frames)
        start, self._sung = self._sung, max(self._sung, last)
        with torch.inference_mode():
            audio = generator(asked.to(self._converter.device))[0].cpu().numpy()
        return np.ascontiguousarray(audio[(start - begin) * hop : (self._sung - begin) * hop])

    def _decide(self, last: int) -> Conditioning:
        """What is to be sung in the frames up to ``last`` − 1, once and for all."""
        audio, first, count = self._audio, self._decided, last - self._decided
        heard, view = first + len(self._level), min(last + PATH, audio.frames)
        samples, inner = audio.around(heard, view, WINDOW_FRAMES // 2, audio.rate)
        self._level = np.append(self._level, measure_loudness(Audio(samples, audio.rate))[inner])
        self._loudest = max(self._loudest, float(self._level.max()))
        audible = self._level >= self._loudest + self._converter.voice.config.features.f0.level
        pitch, voiced = self._melody.find(audio, first, last, audible)
        if len(self._voice) < FRAMES_PER_SECOND:
            self.transpose = transposition.choose(
                self._key, np.append(self._voice, pitch[voiced]), self._cast.singer.range
            )
            self._voice = np.append(self._voice, pitch[:count][voiced[:count]])
        sung, level = transposition.shifted(pitch[:count], self.transpose), self._level[:count]
        words = self._words.hear(audio, first, last, level, self._loudest)
        before = None if self._asked is None else float(self._asked.f0[0, -1])
        phase, self._turns = continued_phase(sung, before, self._turns)
        weights = self._cast.weights[:, np.arange(first, last).clip(max=self._cast.weights.shape[1] - 1)]
        self._decided, self._level = last, self._level[count:]
        audio.forget(last - self._behind)
        effort = level - self._usual.hear(level[voiced[:count]], self._loudest)
        asked = Features(sung, voiced[:count], level, effort, words).conditioning(torch.from_numpy(weights))
        return replace(asked, phase=torch.from_numpy(phase)[None])


def _joined(one: Conditioning, other: Conditioning) -> Conditioning:
    """One after the other; the start is that of the first."""
    both = {f.name: torch.cat([getattr(one, f.name), getattr(other, f.name)], dim=-1) for f in fields(Conditioning)}
    return Conditioning(**both | {"start": one.start})


def continued_phase(melody: Curve, before: float | None, turns: int) -> tuple[Curve, int]:
    """``conditioning.phase_track`` of a held f0 (N,) from an f0 in Hz and a phase in 2^-52 cycles on; its last."""
    steady = np.append(-melody[0] if before is None else before, melody).astype(np.float64) / FRAMES_PER_SECOND
    advance = 0.5 * (steady[1:] + steady[:-1])  # by nothing to a first frame
    whole = (turns + np.cumsum((np.mod(advance, 1.0) * 2.0**52).astype(np.int64))) % 2**52
    return (whole / 2.0**52).astype(np.float32) % np.float32(1.0), int(whole[-1])


def resampling_lag(old: int, new: int) -> float:
    """Seconds by which a stream that is brought to another rate comes later at most, found by trying; to 1 ms above."""
    stream, piece = soxr.ResampleStream(old, new, 1, quality="HQ"), np.zeros(old // 1000, dtype=np.float32)
    made = np.cumsum([len(stream.resample_chunk(piece)) for _ in range(3000)])
    return float((np.arange(1, 3001) * len(piece) / old - made / new).max()) + 1e-3 * (old != new)


def pump(stream: Stream, source: BinaryIO, sink: BinaryIO) -> None:
    """Convert 16-bit little-endian mono PCM as it comes, until its end, or nobody reads the sink, which closes.

    Raises:
        AudioError: it begins as a WAV file does, which says at what rate and width; nothing is written then.
    """
    read, rest = getattr(source, "read1", source.read), b""
    beginning = b""

    def give(samples: Samples) -> None:
        sink.write((samples * 2**15).round().clip(-(2**15), 2**15 - 1).astype("<i2").tobytes())
        sink.flush()

    try:
        while data := read(2 * round(stream.block * stream.rate)):
            data = rest + data
            beginning = beginning or data[:4]
            if beginning == b"RIFF":
                raise AudioError("-: begins like a WAV file, and a stream is raw samples; convert it without --stream")
            rest = data[len(data) // 2 * 2 :]
            give(stream.push(np.frombuffer(data, "<i2", len(data) // 2) * np.float32(2**-15)))
        give(stream.finish())
    except BrokenPipeError:
        with suppress(OSError):
            sink.close()
