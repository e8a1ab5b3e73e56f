"""Streaming features: loudness, f0 and content of a recording that is still growing, from windows with look-ahead."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from svc.audio.files import Audio, Samples
from svc.audio.resample import resample
from svc.encoders.crepe import Crepe
from svc.features import content, f0
from svc.features.conditioning import fill_unvoiced
from svc.features.extract import FeatureExtractor, Features, measure_loudness
from svc.utils.units import FRAMES_PER_SECOND, db_to_gain, hop_samples

HISTORY_FRAMES, LOOKAHEAD_FRAMES = 100, 40  # of f0 tracking, before and after a block
EDGE_FRAMES = 2  # on either side of a window, where resampling depends on what is outside
MIN_LOUDEST_DB = -45.0  # the loudest frame counts as no quieter than this
MEDIAN_FRAMES = 600 * FRAMES_PER_SECOND  # voiced frames, the last ones, whose median level counts
EMPTY = np.zeros(0, dtype=np.float32)


class AudioBuffer:
    """The last seconds of audio at one rate; frames are numbered from the beginning of the recording."""

    def __init__(self, rate: int):
        self.rate, self.hop = rate, hop_samples(rate)
        self.length = self.frames = self._first = 0  # samples and whole frames so far; the first frame that is kept
        self._chunks: list[Samples] = []

    def add(self, samples: Samples) -> None:
        """Append samples (T,)."""
        self._chunks.append(samples)
        self.length += len(samples)
        self.frames = self.length // self.hop

    def window(self, first: int, last: int, context: int, rate: int) -> tuple[Samples, slice]:
        """Audio (T,) at a rate of frames first … last − 1 with context frames around, and the slice of the former."""
        start, stop = max(0, first - context), min(last + context, self.frames)
        low, high = max(0, start - EDGE_FRAMES), min(stop + EDGE_FRAMES, self.frames)
        self._chunks = [np.concatenate(self._chunks)]
        kept = self._chunks[0][(low - self._first) * self.hop : (high - self._first) * self.hop]
        samples, hop = resample(Audio(kept, self.rate), rate).samples, hop_samples(rate)
        return samples[(start - low) * hop : (stop - low) * hop], slice(first - start, last - start)

    def drop(self, before: int) -> None:
        """Forget all frames before one."""
        gone = max(0, before - self._first)
        self._chunks, self._first = [np.concatenate(self._chunks)[gone * self.hop :]], self._first + gone


class StreamingFeatures:
    """Features of a growing recording, block by block and final; statistics are those of all audio so far.

    Attributes:
        audio: add to it.
        done: frames whose features are final.
        lookahead: frames after a block that its features depend on.
    """

    def __init__(self, extractor: FeatureExtractor):
        self._extractor, self._encoder, self._config = extractor, extractor.encoder, extractor.config
        config = extractor.config
        self.audio, self.done = AudioBuffer(config.sample_rate), 0
        self.lookahead = max(LOOKAHEAD_FRAMES + Crepe.margin, self._encoder.margin) + EDGE_FRAMES
        self._history = max(HISTORY_FRAMES + Crepe.margin, self._encoder.margin) + EDGE_FRAMES
        self._loudest = MIN_LOUDEST_DB
        self._voiced_levels = EMPTY
        self._last_f0 = EMPTY  # of the last final frame
        self._moments = np.zeros(1 + 2 * content.channels(config.features.content))

    def extract(self, last: int) -> Features:
        """Features of the frames that are not final yet, up to ``last`` − 1."""
        pitch, voiced, level = self._track_f0(last)
        features = self._encode_content(last, level)
        levels = np.append(self._voiced_levels, level[voiced])[-MEDIAN_FRAMES:]
        active = levels[levels >= self._loudest - content.ACTIVE]
        median = np.float32(np.median(active)) if len(active) else np.float32(self._loudest)
        self._voiced_levels, self._last_f0, self.done = levels, pitch[-1:], last
        self.audio.drop(last - self._history)
        return Features(pitch, voiced, level, level - median, features)

    def _track_f0(self, last: int) -> tuple[f0.F0Curve, NDArray[np.bool_], f0.F0Curve]:
        """f0, held through unvoiced frames, voicing and level of a block; f0 from a window around it."""
        config = self._config.features.f0
        start, stop = max(0, self.done - HISTORY_FRAMES), min(last + LOOKAHEAD_FRAMES, self.audio.frames)
        samples, inner = self.audio.window(start, stop, Crepe.margin, self.audio.rate)
        window = Audio(samples, self.audio.rate)
        level = measure_loudness(window)
        self._loudest = max(self._loudest, float(level[inner].max()))
        audible = level >= self._loudest + config.silence_threshold_db
        pitch, periodicity = f0.track(window, len(level), config, audible=audible, models=self._extractor.crepe)
        notes = float(np.median(self._voiced_levels)) if len(self._voiced_levels) else self._loudest
        voiced = f0.without_islands(audible & (periodicity >= config.voicing_threshold), level, notes)
        ahead = slice(inner.start + self.done - start, inner.stop)
        held = fill_unvoiced(
            np.append(self._last_f0, pitch[ahead]), np.append(np.ones(len(self._last_f0), np.bool_), voiced[ahead])
        )[len(self._last_f0) :]
        block = slice(ahead.start, ahead.start + last - self.done)
        return held[: last - self.done], voiced[block], level[block]

    def _encode_content(self, last: int, level: f0.F0Curve) -> content.Features:
        """Content (C, N) of a block, normalised by the statistics of the active frames so far."""
        samples, inner = self.audio.window(self.done, last, self._encoder.margin, self._encoder.sample_rate)
        gain = np.float32(db_to_gain(content.LEVEL - self._loudest))
        features = content.encode(self._encoder, self._config.features.content.layer, samples * gain)[:, inner]
        if self._encoder.normalization == "none":
            return features
        active = features[:, level >= self._loudest - content.ACTIVE].astype(np.float64)
        self._moments += np.concatenate([[active.shape[1]], active.sum(axis=1), np.square(active).sum(axis=1)])
        mean, square = np.split(self._moments[1:, None] / max(1.0, self._moments[0]), 2)
        spread = content.deviation(self._encoder, mean, np.maximum(square - mean**2, 0))
        return ((features - mean) / spread).astype(np.float32)
