"""Breath and pauses of a conversion by the base voice: breath of -40 to -60 dB comes out within 10 dB, without hiss."""

import numpy as np
import pytest
from scipy import signal

from svc.audio.files import Audio
from svc.data.synthetic.phrases import phrase
from svc.data.synthetic.singers import SINGERS, render
from svc.inference.base_voice import find_voice
from svc.inference.converter import Converter
from svc.inference.voice import VoiceFile

LEVELS = (-40.0, -50.0, -60.0)  # dB relative to the loudest frame
FLOOR = -80.0  # of the noise of the room
GAP = 0.4  # s


def breath_band(samples: np.ndarray, rate: int) -> np.ndarray:
    sos = signal.butter(6, [1_000, 8_000], "band", fs=rate, output="sos")
    return signal.sosfilt(sos, samples.astype(float))


@pytest.fixture(scope="module")
def song() -> tuple[Audio, int]:
    """Three seconds of a phrase, then pauses and breaths in turn; and the place of the first pause."""
    performance = render(SINGERS[1], phrase(3))
    rate, rng = performance.rate, np.random.default_rng(0)
    sung = performance.samples[: 3 * rate].astype(float)
    frames = sung[: len(sung) // (rate // 100) * (rate // 100)].reshape(-1, rate // 100)
    loudest = np.sqrt(np.square(frames).mean(1).max())
    gap = round(GAP * rate)
    parts = [sung]
    for level in LEVELS:
        parts += [np.zeros(gap), loudest * 10 ** (level / 20) * rng.standard_normal(gap)]
    samples = np.concatenate([*parts, np.zeros(gap)])
    samples += loudest * 10 ** (FLOOR / 20) * rng.standard_normal(len(samples))
    return Audio(samples.astype(np.float32), rate), len(sung)


@pytest.mark.parametrize("speaker", ["kumi", "goekhan"])
def test_breath_is_kept_and_pauses_stay_quiet(song, speaker):
    source, start = song
    output = Converter(VoiceFile.load(find_voice("base"))).convert(source, speaker)[0]
    gap, edge = round(GAP * source.rate), source.rate // 10
    levels = []
    for audio in (source, output):
        band = breath_band(audio.samples, audio.rate)[start : start + (2 * len(LEVELS) + 1) * gap].reshape(-1, gap)
        levels.append(10 * np.log10(np.square(band[:, edge:-edge]).mean(1)))
    change = levels[1] - levels[0]
    assert np.abs(change[1::2]).max() < 10  # breaths
    assert change[::2].max() < 3  # pauses
