"""Second voice: where another melody sounds besides the first, by harmonics that the first does not explain.

The harmonics of f0 are removed from the spectrum. What is left is compared with combs of harmonics of other pitches; if
one of them holds most of it, and this lasts, there is a second voice.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from svc.audio.chunks import iter_chunks, iter_overlapping
from svc.audio.files import Audio
from svc.audio.resample import resample_stream
from svc.audio.stft import frame
from svc.features.f0 import runs
from svc.utils.units import FRAMES_PER_SECOND, hop_samples

RATE, WINDOW, FFT = 8_000, 768, 2048  # Hz; samples of the Hann window and of the transform
STEP = 4  # frames between spectra
CHUNK, MARGIN = 6_000, 8  # frames; multiples of STEP
LOW, HIGH = 80.0, 2500.0  # Hz that are compared
HALF_LOBE = 2 * RATE / WINDOW  # Hz on either side of a harmonic
OCTAVE = 24  # quarter tones
PITCHES = 80.0 * 2 ** (np.arange(3.5 * OCTAVE) / OCTAVE)  # Hz
MIN_SHARE, MIN_LEVEL = 0.4, 0.02  # of the rest, in a comb beyond chance; power relative to that of the first voice
SEARCH_CENTS, HARMONICS = np.arange(-120.0, 121.0, 4.0), 8  # around a rough f0, by the levels of so many harmonics
SMOOTHING, MIN_DENSITY = 15, 0.5  # spectra, and the share of them with a second voice
MAX_STEP = 3  # quarter tones between spectra of one melody
MIN_SECONDS, GAP_SECONDS = 0.4, 0.6  # of a span; what is nearer is one span
Spans = list[tuple[float, float]]

_FREQUENCIES = np.arange(FFT // 2 + 1, dtype=np.float32) * (RATE / FFT)
_INSIDE = (_FREQUENCIES >= LOW) & (_FREQUENCIES <= HIGH)


def find_second_voice(audio: Audio, f0: NDArray[np.float32], voiced: NDArray[np.bool_]) -> Spans:
    """Spans in seconds where a second voice sounds with a melody of its own; in octaves it is not noticed.

    The first voice has f0 (N,) in Hz and voicing (N,).
    """
    moves, pitch = _moves(f0), np.zeros(-(-len(f0) // STEP), np.int64)
    present = np.zeros(len(pitch), np.bool_)
    for core, power in _spectra(audio, len(f0)):
        part = slice(core.start // STEP, -(-core.stop // STEP))
        pitch[part], present[part] = _other_pitch(power[::STEP], f0[core][::STEP], moves[core][::STEP])
    present &= voiced[::STEP]
    return _join(present & _steady(pitch, present))


def louder_voice(audio: Audio, f0: NDArray[np.float32], voiced: NDArray[np.bool_], spans: Spans) -> NDArray[np.float32]:
    """f0 (N,) that in some spans, where it is voiced, is moved to where its harmonics are loudest.

    There the autocorrelation that refines f0 lies between the two voices, 30 cents off for a third at −6 dB.
    """
    inside = np.zeros(len(f0), np.bool_)
    for start, end in spans:
        inside[round(start * FRAMES_PER_SECOND) : round(end * FRAMES_PER_SECOND)] = True
    inside &= voiced
    moved = f0.copy()
    for core, power in _spectra(audio, len(f0)) if spans else ():
        rows = np.flatnonzero(inside[core])
        if not len(rows):
            continue
        tried = f0[core][rows, None] * 2 ** (SEARCH_CENTS / 1200)
        loudness = np.zeros(tried.shape)
        for k in range(1, HARMONICS + 1):
            place = np.minimum(k * tried * (FFT / RATE), FFT // 2 - 1)
            low = place.astype(np.int64)
            level = np.sqrt(power[rows[:, None], low] * (1 - place % 1) + power[rows[:, None], low + 1] * (place % 1))
            loudness += level * (k * tried < HIGH)
        moved[core.start + rows] = tried[np.arange(len(rows)), loudness.argmax(axis=1)]
    return moved


def describe(spans: Sequence[tuple[float, float]]) -> str:
    """Spans as ``1.2–3.4, 7.0–8.1 s``; the first five."""
    listed = ", ".join(f"{start:.1f}–{end:.1f}" for start, end in spans[:5])
    return f"{listed} s" + (f" and {len(spans) - 5} more places" if len(spans) > 5 else "")


def _spectra(audio: Audio, frames: int) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Frames, and their power spectra (N, B), a minute at a time."""
    stream = resample_stream(iter_chunks(audio.samples), audio.rate, RATE)
    for block, samples in iter_overlapping(stream, hop_samples(RATE), frames, CHUNK, MARGIN):
        windows = frame(torch.from_numpy(samples)[None], WINDOW, hop_samples(RATE))[0, block.core_slice]
        yield block.core, torch.fft.rfft(windows * torch.hann_window(WINDOW), FFT).abs().square().numpy()


def _moves(f0: NDArray[np.float32]) -> NDArray[np.float32]:
    """Change of f0 (N,) in Hz within half a window on either side."""
    padded = np.pad(f0, 5, mode="edge")
    around = np.lib.stride_tricks.sliding_window_view(padded, 11)
    return np.minimum(np.abs(around - f0[:, None]).max(axis=1), 0.1 * f0)


def _harmonics(pitch: NDArray[np.floating], width: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Bins (…, B) within a lobe and a width (…,) in Hz that grows with the number of the harmonics of a pitch (…,)."""
    number = np.maximum(np.round(_FREQUENCIES / pitch[..., None]), 1)
    return np.abs(_FREQUENCIES - number * pitch[..., None]) < HALF_LOBE + number * width[..., None]


def _other_pitch(
    power: NDArray[np.float32], f0: NDArray[np.float32], moves: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Index of the pitch (N,) that explains most of what f0 (N,) does not, and whether it explains enough."""
    first = _harmonics(f0, moves)
    open_bins = (_INSIDE & ~first).astype(np.float32)
    rest = power * open_bins
    combs = (_harmonics(PITCHES, 0 * PITCHES) & _INSIDE).astype(np.float32).T  # (B, P)
    count, total = (part.sum(axis=1, keepdims=True) for part in (open_bins, rest))
    inside, chance = rest @ combs, np.minimum(open_bins @ combs / np.maximum(count, 1), 0.99)
    share = (inside / (total + 1e-12) - chance) / (1 - chance)
    best = share.argmax(axis=1)
    rows = np.arange(len(best))
    loud = inside[rows, best] > MIN_LEVEL * (power * (first & _INSIDE)).sum(axis=1)
    return best, (share[rows, best] > MIN_SHARE) & loud


def _steady(pitch: NDArray[np.int64], present: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Places (N,) whose pitch is near that of a neighbour, but for octaves."""
    away = np.abs(np.diff(pitch)) % OCTAVE
    near = (np.minimum(away, OCTAVE - away) <= MAX_STEP) & present[1:] & present[:-1]
    return np.append(near, False) | np.insert(near, 0, False)


def _join(present: NDArray[np.bool_]) -> Spans:
    step = STEP / FRAMES_PER_SECOND
    present = np.convolve(present, np.ones(SMOOTHING) / SMOOTHING, mode="same") > MIN_DENSITY
    merged: Spans = []
    for start, end in runs(present) * step:
        if end - start < MIN_SECONDS:
            continue
        if merged and start - merged[-1][1] < GAP_SECONDS:
            merged[-1] = (merged[-1][0], float(end))
        else:
            merged.append((float(start), float(end)))
    return merged
