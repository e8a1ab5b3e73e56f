"""Stereo placement of a mono conversion by parametric stereo (Breebaart et al. 2005).

Level of each channel and correlation of the two are measured in the source, per band and 20 ms, and given to the
converted voice, so that its position and width follow the source's.
"""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from svc.audio.chunks import iter_overlapping
from svc.audio.files import Samples
from svc.audio.stft import mel_filters

HOPS_PER_SECOND, BANDS = 50, 24  # windows of 40 ms overlap by half; mel bands up to Nyquist
SMOOTHING = np.array([0.25, 0.5, 0.75, 1.0, 0.75, 0.5, 0.25], np.float32)  # of the powers of neighbouring windows
MARGIN = len(SMOOTHING) // 2 + 2  # hops on either side that a sample depends on
CHUNK = 10 * HOPS_PER_SECOND  # hops
SPREAD, SILENCE = 1e-3, 1e-12  # power of all bands, and of nothing, that counts in each band: there the voice is placed
MIN_SUM = 0.125  # power of the mono mix relative to that of both channels: anti-phase is raised by 6 dB at most


def place(
    mono: Iterable[Samples], channels: Iterable[Samples], weights: NDArray[np.float32], rate: int, length: int
) -> Iterator[Samples]:
    """Stereo samples (T, 2) of a converted voice at the position of its source.

    Args:
        mono: the voice (T,) in parts.
        channels: its source (T, 2) in parts.
        weights: (2,) of the channels in the mono mix that was converted.
        rate: Hz of both.
        length: T.
    """
    hop = -(-rate // HOPS_PER_SECOND)
    hops = -(-length // hop)
    blocks = (iter_overlapping(stream, hop, hops, CHUNK, MARGIN) for stream in (mono, channels))
    for (block, voice), (_, source) in zip(*blocks, strict=True):
        placed = _place(voice, source, weights, rate, hop)
        core = block.core_slice
        yield placed[core.start * hop : min(core.stop * hop, length - block.with_context.start * hop)]


def _place(voice: Samples, source: Samples, weights: NDArray[np.float32], rate: int, hop: int) -> Samples:
    filters = mel_filters(rate, 2 * hop, BANDS, 0, rate / 2).astype(np.float32)
    filters[0, : filters[0].argmax()] = filters[-1, filters[-1].argmax() :] = 1  # 0 Hz and Nyquist belong to a band
    left, right, mix = (_spectra(samples, hop) for samples in (*source.T, source @ weights))
    products = ((left, left), (right, right), (mix, mix), (left, right))
    bands = np.stack([(one * other.conj()).real for one, other in products]) @ filters.T  # (4, N + 1, BANDS)
    smooth = np.apply_along_axis(np.convolve, 1, bands, SMOOTHING, mode="same")
    first, second, mono, cross = smooth + SPREAD * smooth.sum(axis=-1, keepdims=True) + SILENCE
    mono = np.maximum(mono, MIN_SUM * (first + second))
    gains = np.sqrt(first / mono), np.sqrt(second / mono)
    half = np.arccos(np.clip(cross / np.sqrt(first * second), -1, 1)) / 2
    turn = np.arctan(np.tan(half) * (gains[1] - gains[0]) / (gains[1] + gains[0]))  # the louder channel stays dry
    share = filters / filters.sum(axis=0)
    spectrum = _spectra(voice, hop)
    shifted = spectrum * np.where(share.argmax(axis=0) % 2, 1j, -1j)  # by a quarter of a cycle: uncorrelated
    placed = []
    for gain, angle in ((gains[0], turn + half), (gains[1], turn - half)):
        dry, wet = (gain * np.cos(angle)) @ share, (gain * np.sin(angle)) @ share
        placed.append(_overlap_add(np.fft.irfft(dry * spectrum + wet * shifted, 2 * hop), hop))
    return np.stack(placed, axis=1).astype(np.float32)


def _spectra(samples: Samples, hop: int) -> NDArray[np.complexfloating]:
    """Spectra (N + 1, hop + 1) of windows of samples (N·hop,) that overlap by half; the outer ones begin in silence."""
    padded = np.pad(samples, hop)
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * hop)[::hop]
    return np.fft.rfft(windows * _window(hop), axis=1)


def _overlap_add(windows: NDArray[np.floating], hop: int) -> NDArray[np.floating]:
    windows = windows * _window(hop)
    return (windows[:-1, hop:] + windows[1:, :hop]).ravel()


def _window(hop: int) -> NDArray[np.float32]:
    """Square root of a Hann window: twice applied, neighbours sum to 1."""
    return np.sin(np.pi * (np.arange(2 * hop) + 0.5) / (2 * hop)).astype(np.float32)
