"""What is heard of a recording that is still growing: its end, its melody and its words so far."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from svc.audio.files import Audio, Samples
from svc.audio.resample import resample
from svc.audio.stft import frame
from svc.audio.weighting import FLOOR
from svc.config import ContentConfig, F0Config
from svc.data.synthetic.singers import SINGERS, phrase, render
from svc.encoders.crepe import BINS, HOP, WINDOW, Crepe, normalise
from svc.features import content, f0, f0_refinement
from svc.features.conditioning import hold
from svc.features.extract import measure_loudness
from svc.features.f0 import BATCH, UNSURE, Curve
from svc.utils.units import db_to_gain, hop_samples

CONTEXT = f0.OVERLAP  # frames before a block that the melody's path is found with
EDGE = 2  # frames around a window within which resampling hears its ends
REFINE_MARGIN = 5  # frames on either side that a refined melody depends on: three periods of 50 Hz, and some
PRIOR = 300  # active frames; as long as there are fewer, those of synthetic singers make up for them
NOTHING = np.zeros(0, dtype=np.float32)


class Past:
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


class Melody:
    """f0 and voicing: the networks are asked about a frame once, and its path is found anew with every block."""

    def __init__(self, knobs: F0Config, device: str):
        self._knobs, self._device = knobs, device
        self._curve, self._voiced = NOTHING, np.zeros(0, dtype=np.bool_)  # of decided frames, of CONTEXT at most
        self._probabilities = np.zeros((0, BINS), dtype=np.float32)  # of these and of all that was seen after them

    def find(self, audio: Past, first: int, last: int, audible: NDArray[np.bool_]) -> tuple[Curve, NDArray[np.bool_]]:
        """Held f0 in Hz and voicing of frames from ``first`` on, audible or not (K,); forecasts from ``last``."""
        before, lead = len(self._curve), min(first, REFINE_MARGIN)
        rough, periodicity = self._hear(audio, first - before, audible)
        curve = rough[before - lead :]
        if self._knobs.refine:
            samples, _ = audio.around(first - lead, first + len(audible), 0, f0_refinement.RATE)
            curve = f0_refinement.refine(torch.from_numpy(samples), torch.from_numpy(curve)).numpy()
            curve = curve.clip(self._knobs.fmin, self._knobs.fmax)
        voiced = np.append(self._voiced, audible & (periodicity[before:] >= self._knobs.periodicity))
        sources = voiced.copy()
        sources[: min(1, before)] = True  # of what was sung before it
        held = hold(np.append(self._curve, curve[lead:]), sources)
        kept = slice(max(0, before + last - first - CONTEXT), before + last - first)
        self._curve, self._voiced, self._probabilities = held[kept], voiced[kept], self._probabilities[kept.start :]
        return held[before:], voiced[before:]

    def _hear(self, audio: Past, start: int, audible: NDArray[np.bool_]) -> tuple[Curve, Curve]:
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


class Usual:
    """The level at which somebody sings: the median so far of voiced frames within 40 dB of the loudest."""

    def __init__(self) -> None:
        self._counts = np.zeros(1200, dtype=np.int64)  # in each tenth of a dB above the floor

    def hear(self, level: Curve, loudest: float) -> np.float32:
        """What it is in dB when voiced frames of these levels (N,) were heard, too; ``loudest`` if none ever was."""
        places = ((level - FLOOR) * 10).astype(int).clip(0, len(self._counts) - 1)
        np.add.at(self._counts, places, 1)
        quiet = max(0, int((loudest - content.ACTIVE - FLOOR) * 10))
        counted = self._counts[quiet:].cumsum()
        if not counted[-1]:
            return np.float32(loudest)
        return np.float32(FLOOR + (quiet + int(np.searchsorted(counted, (counted[-1] + 1) // 2)) + 0.5) / 10)


class Words:
    """Content, with zero mean and unit variance over what was active so far: moments are kept by level."""

    def __init__(self, config: ContentConfig):
        self.encoder, self._layer, self._prior = content.load(config.encoder), config.layer, _prior(config)
        self._moments = np.zeros((120, 1 + 2 * content.channels(config)))  # in each dB above the floor

    def hear(self, audio: Past, first: int, last: int, level: Curve, loudest: float) -> Curve:
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
