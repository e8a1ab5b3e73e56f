"""A-weighting against the IEC curve, and bin by bin; the pre-emphasis filters; filtering against an FIR filter."""

import numpy as np
import pytest
import scipy.signal
import torch

from svc.audio.weighting import CURVES, a_weighting, bin_gains, weight

IEC = {15: -39.4, 20: -19.1, 23: -10.9, 27: -3.2, 30: 0.0, 34: 1.3, 38: -0.1, 41: -4.3, 43: -9.3}  # by third octave


def test_the_curve_is_that_of_the_standard():
    np.testing.assert_allclose(a_weighting(10 ** (np.array(list(IEC)) / 10)), list(IEC.values()), atol=0.051)


@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_a_weighting_bin_by_bin(rate):
    bins = 20 * np.log10(bin_gains("a_weighting", 1024, rate)[1:])
    np.testing.assert_allclose(bins, a_weighting(np.fft.rfftfreq(1024, 1 / rate)[1:]), atol=1e-9)


@pytest.mark.parametrize("rate", [16_000, 24_000, 44_100, 48_000])
def test_257_taps_of_the_filter_follow_the_curve(rate):
    impulse = torch.zeros(1, 257)
    impulse[0, 128] = 1
    hz = np.geomspace(200, 0.45 * rate, 100)
    _, response = scipy.signal.freqz(weight(impulse, "a_weighting", rate)[0].double().numpy(), 1, hz, fs=rate)
    np.testing.assert_allclose(20 * np.log10(np.abs(response)), a_weighting(hz), atol=0.2)


@pytest.mark.parametrize(
    ("name", "taps"), [("pre_emphasis", [1, -0.85]), ("folded_pre_emphasis", [1, 0, -0.85]), ("low_pass", [1, 0.85])]
)
def test_filters_of_the_paper(name, taps):
    response = np.abs(scipy.signal.freqz(taps, 1, np.fft.rfftfreq(256, 1 / 44_100), fs=44_100)[1])
    np.testing.assert_allclose(bin_gains(name, 256, 44_100), response, atol=1e-12)
    slow = bin_gains(name, 256, 22_050)  # the same time constant at half the rate
    assert slow[0] == pytest.approx(1 + np.sign(taps[-1]) * 0.85**2)


@pytest.mark.parametrize("name", CURVES)
def test_audio_is_filtered_as_by_the_fir_filter(name):
    audio = torch.randn(2, 3_000, generator=torch.Generator().manual_seed(0))
    taps = np.fft.fftshift(np.fft.irfft(bin_gains(name, 2**15, 16_000)))[2**14 - 1_000 : 2**14 + 1_001]
    wanted = scipy.signal.fftconvolve(audio.numpy(), taps[None], mode="same", axes=1)
    np.testing.assert_allclose(weight(audio, name, 16_000).numpy(), wanted, atol=2e-3)
