"""A recording that is still growing, converted block by block and a stated time behind."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import fields, replace
from functools import lru_cache
from typing import BinaryIO

import numpy as np
import soxr
import torch
from numpy.typing import NDArray

from svc import key
from svc.audio.files import MAX_PEAK, MAX_RATE, MIN_RATE, Audio, Samples
from svc.audio.loudness import FLOOR, WINDOW_FRAMES
from svc.audio.parts import parts
from svc.audio.resample import fit_length, resample, resampled_length
from svc.audio.spectrogram import frame
from svc.conditioning import Conditioning, hold
from svc.config import ContentConfig, F0Config
from svc.convert import Converter
from svc.data.synthetic import SINGERS, phrase, render
from svc.encoders.crepe import BINS, HOP, WINDOW, Crepe, normalise
from svc.errors import AudioError
from svc.features import content, f0, refine
from svc.features.extract import Features, measure_loudness
from svc.features.f0 import BATCH, UNSURE, Curve
from svc.identities import cast
from svc.units import FRAMES_PER_SECOND, db_to_gain, hop_samples

PATH, CONTEXT = 40, f0.OVERLAP  # frames after and before a block that the melody's path is found with
EDGE = 2  # frames around a window within which resampling hears its ends
REFINE_MARGIN = 5  # frames on either side that a refined melody depends on: four periods of 50 Hz
QUIET = -45.0  # dB; the loudest frame counts as no quieter than this
PRIOR = 300  # active frames; as long as there are fewer, those of synthetic singers make up for them
NOTHING = np.zeros(0, dtype=np.float32)


class Stream:
    """Converts what is pushed, in blocks; what has been sung is never taken back.

    A block is decided when all after it has been heard that its features depend on, and sung when the generator's
    margin is decided, too. So what comes out is, but for rounding, one call of the generator over all decided frames;
    it is the same to the bit for pushes of any sizes, and memory is constant. Unlike in ``Converter.convert``,

    - the loudest frame, which sets from what level on frames can be voiced and how loud the encoder hears, is the
      loudest so far (.4 s after the block included), and counts as −45 dB at least;
    - mean and variance of content are those of all active frames so far; less than 3 s of them are filled up with
      synthetic singers. What was active only until somebody sang louder no longer counts;
    - the melody's path is found with 2 s before and .4 s after a block. A pause keeps the melody before it until the
      one after it is in sight, where the whole changes in its middle;
    - a key that is no number is chosen anew with each block until a second of voice was sung; until then it may jump.

    Args:
        converter: of the voice.
        speaker: as for ``svc.identities.cast``; a table of mixes runs from the first sample on.
        rate: Hz of what is pushed and of what comes out.
        transpose: semitones, ``auto`` or ``match``; as an attribute the semitones of the last block.
        block: seconds, in steps of 20 ms. Short ones cost more: the generator sings its margins with each.

    Attributes:
        latency: seconds by which a sample comes out after its input at most; the time of computing comes on top.

    Raises:
        WeightsError, DataError: as ``svc.identities.cast``.
        AudioError: the rate is out of range.
    """

    def __init__(self, converter: Converter, speaker: str, rate: int, transpose: key.Key = 0.0, block: float = 1.0):
        if not MIN_RATE <= rate <= MAX_RATE:
            raise AudioError(f"a stream of {rate} Hz: give a rate between {MIN_RATE} and {MAX_RATE} Hz")
        config, ours = converter.voice.config, converter.voice.config.sample_rate
        self._converter, self._cast, self._key = converter, cast(converter.voice, speaker), transpose
        self._audio = _Past(ours)
        self._melody, self._words = _Melody(config.features.f0, converter.device), _Words(config.features.content)
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
            self.transpose = key.choose(self._key, np.append(self._voice, pitch[voiced]), self._cast.singer.range)
            self._voice = np.append(self._voice, pitch[:count][voiced[:count]])
        sung, level = key.shifted(pitch[:count], self.transpose), self._level[:count]
        words = self._words.hear(audio, first, last, level, self._loudest)
        before = None if self._asked is None else float(self._asked.f0[0, -1])
        phase, self._turns = continued_phase(sung, before, self._turns)
        weights = self._cast.weights[:, np.arange(first, last).clip(max=self._cast.weights.shape[1] - 1)]
        self._decided, self._level = last, self._level[count:]
        audio.forget(last - self._behind)
        asked = Features(sung, voiced[:count], level, words).conditioning(torch.from_numpy(weights))
        return replace(asked, phase=torch.from_numpy(phase)[None])


class _Past:
    """The end of the audio so far, at the voice's rate, its frames numbered from the beginning."""

    def __init__(self, rate: int):
        self.rate, self.hop = rate, hop_samples(rate)
        self.length = self.frames = self._first = 0  # samples and whole frames so far; the first frame that is kept
        self._kept: list[Samples] = []

    def add(self, samples: Samples) -> None:
        """What comes next."""
        self._kept.append(samples)
        self.length += len(samples)
        self.frames = self.length // self.hop

    def around(self, first: int, last: int, margin: int, rate: int) -> tuple[Samples, slice]:
        """Audio, as of the whole at a rate, of frames first … last − 1 and those around them; and where they are."""
        start, stop = max(0, first - margin), min(last + margin, self.frames)
        low, high = max(0, start - EDGE), min(stop + EDGE, self.frames)
        self._kept = [np.concatenate(self._kept)]
        window = self._kept[0][(low - self._first) * self.hop : (high - self._first) * self.hop]
        made, hop = resample(Audio(window, self.rate), rate).samples, hop_samples(rate)
        return made[(start - low) * hop : (stop - low) * hop], slice(first - start, last - start)

    def forget(self, before: int) -> None:
        """All before a frame."""
        gone = max(0, before - self._first)
        self._kept, self._first = [np.concatenate(self._kept)[gone * self.hop :]], self._first + gone


class _Melody:
    """f0 and voicing: the networks are asked about a frame once, and its path is found anew with every block."""

    def __init__(self, knobs: F0Config, device: str):
        self._knobs, self._device = knobs, device
        self._curve, self._voiced = NOTHING, np.zeros(0, dtype=np.bool_)  # of decided frames, of CONTEXT at most
        self._probabilities = np.zeros((0, BINS), dtype=np.float32)  # of these and of all that was seen after them

    def find(self, audio: _Past, first: int, last: int, audible: NDArray[np.bool_]) -> tuple[Curve, NDArray[np.bool_]]:
        """Held f0 in Hz and voicing of frames from ``first`` on, audible or not (K,); forecasts from ``last``."""
        before, lead = len(self._curve), min(first, REFINE_MARGIN)
        rough, periodicity = self._hear(audio, first - before, audible)
        curve = rough[before - lead :]
        if self._knobs.refine:
            samples, _ = audio.around(first - lead, first + len(audible), 0, refine.RATE)
            curve = refine.refine(torch.from_numpy(samples), torch.from_numpy(curve)).numpy()
            curve = curve.clip(self._knobs.fmin, self._knobs.fmax)
        voiced = np.append(self._voiced, audible & (periodicity[before:] >= self._knobs.periodicity))
        sources = voiced.copy()
        sources[: min(1, before)] = True  # of what was sung before it
        held = hold(np.append(self._curve, curve[lead:]), sources)
        kept = slice(max(0, before + last - first - CONTEXT), before + last - first)
        self._curve, self._voiced, self._probabilities = held[kept], voiced[kept], self._probabilities[kept.start :]
        return held[before:], voiced[before:]

    def _hear(self, audio: _Past, start: int, audible: NDArray[np.bool_]) -> tuple[Curve, Curve]:
        """Rough f0 and periodicity of the frames from ``start`` on; the audible ones at the end are heard if new."""
        known, end = self._probabilities, start + len(self._curve) + len(audible)
        samples, inner = audio.around(start + len(known), end, Crepe.margin, Crepe.sample_rate)
        windows = frame(torch.from_numpy(samples)[None], WINDOW, HOP)[0, inner]
        where = np.flatnonzero(audible[len(audible) - len(windows) :])
        fresh = np.zeros((len(windows), BINS), dtype=np.float32)
        for network in f0.networks(self._knobs):
            for places in (where[n : n + BATCH] for n in range(0, len(where), BATCH)):
                asked = normalise(windows[torch.from_numpy(places)].to(self._device))
                with torch.inference_mode():
                    fresh[places] = network.layers(asked)["pitch"].cpu().numpy()
            self._probabilities = np.concatenate([known, fresh])
            rough, periodicity = f0.decode(self._probabilities, self._knobs.fmin, self._knobs.fmax)
            recent = periodicity[len(known) :]
            where = np.flatnonzero((recent > UNSURE[0]) & (recent < UNSURE[1]))
            if not len(where):
                break
        return rough, periodicity


class _Words:
    """Content, with zero mean and unit variance over what was active so far: moments are kept by level."""

    def __init__(self, config: ContentConfig):
        self.encoder, self._layer, self._prior = content.load(config.encoder), config.layer, _prior(config)
        self._moments = np.zeros((120, 1 + 2 * content.channels(config)))  # in each dB above the floor

    def hear(self, audio: _Past, first: int, last: int, level: Curve, loudest: float) -> Curve:
        """(C, N) of N frames, first … last − 1, of levels (N,) in dB, as ``loudest`` is."""
        samples, inner = audio.around(first, last, self.encoder.margin, self.encoder.sample_rate)
        gain = np.float32(db_to_gain(content.LEVEL - loudest))
        heard = content.encode(self.encoder, self._layer, samples * gain)[:, inner]
        if self.encoder.normalised == "no":
            return heard
        np.add.at(self._moments, (level - FLOOR).astype(int).clip(0, len(self._moments) - 1), _moments(heard))
        total = self._moments[max(0, int(loudest - content.ACTIVE - FLOOR)) :].sum(axis=0)
        total += max(0.0, PRIOR - total[0]) * self._prior
        mean, square = np.split(total[1:, None] / total[0], 2)
        variance = square - mean**2
        variance = variance.mean() if self.encoder.normalised == "together" else variance
        return ((heard - mean) / np.sqrt(np.maximum(variance, 1e-6))).astype(np.float32)


@lru_cache(maxsize=2)
def _prior(config: ContentConfig) -> NDArray[np.float64]:
    """Mean moments (1 + 2 C,) of synthetic singers."""
    encoder = content.load(config.encoder)
    sung = [render(singer, phrase(number), encoder.sample_rate).samples for number, singer in enumerate(SINGERS)]
    audio = Audio(np.concatenate(sung), encoder.sample_rate)
    level = measure_loudness(audio)
    heard = content.encode(encoder, config.layer, content.at_level(audio, level).samples)
    return _moments(heard[:, level >= level.max() - content.ACTIVE]).mean(axis=0)


def _moments(heard: Curve) -> NDArray[np.float64]:
    """1, features and squared features (N, 1 + 2 C) of features (C, N)."""
    return np.concatenate([np.ones((1, heard.shape[1])), heard, np.square(heard, dtype=np.float64)]).T


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
    """Convert 16-bit little-endian mono PCM as it comes, until its end, or nobody reads the sink, which closes."""
    read, rest = getattr(source, "read1", source.read), b""

    def give(samples: Samples) -> None:
        sink.write((samples * 2**15).round().clip(-(2**15), 2**15 - 1).astype("<i2").tobytes())
        sink.flush()

    try:
        while data := read(2 * round(stream.block * stream.rate)):
            data = rest + data
            rest = data[len(data) // 2 * 2 :]
            give(stream.push(np.frombuffer(data, "<i2", len(data) // 2) * np.float32(2**-15)))
        give(stream.finish())
    except BrokenPipeError:
        with suppress(OSError):
            sink.close()
