"""Mel filters and A-weighting without librosa: the numbers of librosa."""

import librosa
import numpy as np
import pytest

from svc.audio import stft
from svc.audio.stft import mel_filters


@pytest.mark.parametrize("rate", [16_000, 16_000 * 0.8])
def test_filters_are_librosas(rate):
    wanted = librosa.filters.mel(sr=rate, n_fft=1024, n_mels=40, fmin=60, fmax=6000, norm=None, dtype=np.float64)
    np.testing.assert_allclose(mel_filters(rate, 1024, 40, 60, 6000), wanted, atol=1e-12)


def test_the_a_weighting_is_librosas():
    wanted = librosa.A_weighting(np.maximum(librosa.fft_frequencies(sr=24_000, n_fft=960), 1.0), min_db=None)
    actual = 10 * np.log10(1.5 * stft._weights(960, 24_000).numpy())
    np.testing.assert_allclose(actual, wanted, atol=1e-9)
