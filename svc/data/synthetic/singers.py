"""Source–filter synthesis of four singers in NumPy, for the demonstration and the tests.

A phrase says what is sung: syllables, melody, timing. A singer says with what voice: length of the vocal
tract, glottal tilt, breath, vibrato, median pitch. Two singers given one phrase and one f0 curve differ in
timbre alone, so the true answer to a conversion can be rendered.

The source is a band-limited pulse train, aspiration noise and frication noise; the filter is a cascade of
gliding resonances, applied to overlapping windows of the source.

Shapes: N frames of 10 ms, T = N·hop samples, M milliseconds, J windows of 10 ms every 5 ms, B bins.
"""

import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from svc.audio.files import Audio, write
from svc.data.synthetic.phrases import NASAL_POLE, Phrase, phones_of, recorded_phrase
from svc.errors import DataError, os_errors_as
from svc.utils.units import db_to_gain, hop_samples, seconds_to_frames

Vector = NDArray[np.float64]
Real = NDArray[np.float32]
Complex = NDArray[np.complex64]

PEAK = 0.5  # of every rendition, full scale
GLOTTAL_CORNER = 200.0  # Hz, where the source's spectrum starts to fall
REFERENCE = 500.0  # Hz, where the sources of all singers are equally loud


@dataclass(frozen=True, slots=True)
class Singer:
    """A voice: all that is not in the phrase."""

    name: str
    median: float  # Hz, the pitch of a phrase's tonic
    tract: float  # formant frequencies relative to a man's of 17.5 cm
    tilt: float  # dB per octave by which the source falls, lip radiation included
    breath: float  # dB, aspiration in 200 Hz relative to a harmonic at 500 Hz
    bandwidth: float  # factor on all formant bandwidths
    ring: float  # dB, the singer's formant
    ring_hz: float  # Hz, its centre
    vibrato_hz: float
    vibrato_cents: float  # largest deviation


SINGERS: tuple[Singer, ...] = (
    Singer("alto", 220.0, 1.12, 6.0, -44.0, 0.9, 0.0, 3200.0, 5.2, 35.0),  # bright
    Singer("bass", 98.0, 0.84, 9.0, -42.0, 1.0, 9.0, 2200.0, 4.7, 45.0),  # dark
    Singer("soprano", 349.0, 1.3, 10.0, -23.0, 1.0, 0.0, 3700.0, 6.3, 60.0),  # breathy
    Singer("tenor", 156.0, 0.97, 6.0, -48.0, 0.8, 15.0, 2800.0, 5.7, 50.0),  # ringing
)


@dataclass(frozen=True, slots=True)
class Rendition:
    """Samples (T,) at a rate in Hz, and the true f0 (N,) in Hz at the frames' centres, 0 where unvoiced."""

    samples: Real
    f0: Vector
    rate: int


def render(
    singer: Singer,
    phrase: Phrase,
    rate: int = 24_000,
    *,
    median: float | None = None,
    f0: Vector | None = None,
) -> Rendition:
    """Sing a phrase; the same arguments give the same bits.

    Args:
        singer: the voice.
        phrase: syllables, melody and timing.
        rate: Hz, a multiple of 100.
        median: Hz, in place of the singer's own; the vibrato stays the singer's.
        f0: (N,) Hz, the curve of another rendition of this phrase, sung in place of the singer's melody and
            vibrato; zeros in voiced frames are interpolated.

    Raises:
        ValueError: the rate is not a multiple of 100 Hz, or `f0` is not a curve for this phrase.
    """
    hop, count = hop_samples(rate), phrase.frames
    formants, levels, colours = _tracks(phrase)
    rng = np.random.default_rng([phrase.seed, zlib.crc32(singer.name.encode())])
    own = _melody(singer, phrase, median or singer.median, rng)  # even if unused: the noise stays the same
    curve = own if f0 is None else _filled(f0, count)
    voiced = _at(levels[0], np.arange(0.5, count) * 10.0) > 0.1

    times = (np.arange(count * hop) + 0.5) * 1000.0 / rate
    pitch = np.exp(_at(np.log(curve), times, 10.0))
    sources = _sources(singer, pitch, _at(levels, times), rate, rng)
    step = hop // 2
    middles = np.arange(count * hop // step + 1) * step * 1000.0 / rate
    tract = _at(formants, middles) * singer.tract
    # Singers open the jaw when the fundamental would pass the first formant.
    tract[0] = np.maximum(tract[0], 1.15 * _at(curve, middles, 10.0))
    samples = _filter(singer, sources, tract, _at(colours, middles) * singer.tract, rate)[: count * hop]
    samples *= PEAK / max(float(np.abs(samples).max()), 1e-9)
    samples += phrase.noise * rng.standard_normal(len(samples))
    return Rendition(samples.astype(np.float32), np.where(voiced, curve, 0.0), rate)


def save_rendition(path: Path, rendition: Rendition) -> None:
    """Write the samples of a rendition to an audio file.

    Raises:
        AudioError: the file cannot be written.
    """
    write(path, Audio(rendition.samples, rendition.rate))


def write_singers(folder: Path, phrases: int, rate: int = 24_000, seed: int = 0) -> None:
    """Write ``folder/<singer>/phrase_000.wav`` and on: recorded phrases `seed`, `seed` + 1 … by every singer.

    Raises:
        DataError: a folder cannot be made.
        AudioError: a file cannot be written.
    """
    for singer in SINGERS:
        home = Path(folder) / singer.name
        with os_errors_as(DataError, home, "cannot be made", "choose another folder"):
            home.mkdir(parents=True, exist_ok=True)
        for index in range(phrases):
            save_rendition(home / f"phrase_{index:03d}.wav", render(singer, recorded_phrase(seed + index), rate))


def _tracks(phrase: Phrase) -> tuple[Vector, Vector, Vector]:
    """Articulate: F1–F5 and the nasal zero (6, M), levels (3, M) and hiss colours (2, M) per millisecond."""
    phones = phones_of(phrase)
    counts = [10 * seconds_to_frames(phone.seconds) for phone in phones]
    formants = np.repeat(np.log([(*phone.formants, phone.zero) for phone in phones]), counts, axis=0).T
    levels = np.repeat([(phone.voice, phone.breath, phone.hiss) for phone in phones], counts, axis=0).T
    colours = np.repeat([phone.colour for phone in phones], counts, axis=0).T
    glides = np.stack([_smooth(row, 50) for row in formants])
    fades = np.stack([_smooth(row, width) for row, width in zip(levels, (24, 16, 8), strict=True)])
    return np.exp(glides), fades, colours


def _smooth(track: Vector, width: int) -> Vector:
    kernel = np.hanning(width // 2 * 2 + 3)[1:-1]
    return np.convolve(np.pad(track, width // 2, mode="edge"), kernel / kernel.sum(), mode="valid")


def _at(tracks: Vector, times: Vector, period: float = 1.0) -> Vector:
    """Read tracks (…, M), whose cells last `period` ms, at times in ms."""
    cells = (np.arange(tracks.shape[-1]) + 0.5) * period
    return np.asarray(np.apply_along_axis(lambda row: np.interp(times, cells, row), -1, tracks))


def _melody(singer: Singer, phrase: Phrase, median: float, rng: np.random.Generator) -> Vector:
    """Draw f0 (N,) in Hz: gliding notes, vibrato that sets in late in a note, a drift of a few cents."""
    lengths = [seconds_to_frames(note.seconds) + seconds_to_frames(note.rest) for note in phrase.notes]
    lengths.insert(0, seconds_to_frames(phrase.lead))
    notes = np.array([phrase.notes[0].semitones, *(note.semitones for note in phrase.notes)])
    age = np.concatenate([np.arange(length) for length in lengths]) / 100.0
    depth = singer.vibrato_cents / 100.0 * np.clip((age - 0.15) / 0.2, 0.0, 1.0)
    vibrato = np.sin(2 * np.pi * (singer.vibrato_hz * np.arange(len(age)) / 100.0 + rng.random()))
    drift = _smooth(rng.normal(0.0, 0.3, len(age)), 30)
    semitones = _smooth(np.repeat(notes, lengths), 9) + _smooth(depth, 5) * vibrato + drift
    return np.asarray(median * 2.0 ** (semitones / 12.0))


def _filled(f0: Vector, count: int) -> Vector:
    f0 = np.asarray(f0, dtype=np.float64)
    if f0.shape != (count,) or not np.isfinite(f0).all() or not (f0 > 0).any():
        raise ValueError(f"f0 of shape {f0.shape} is no curve for a phrase of {count} frames")
    voiced = np.flatnonzero(f0 > 0)
    return np.where(f0 > 0, f0, np.exp(np.interp(np.arange(count), voiced, np.log(f0[voiced]))))


def _sources(
    singer: Singer, pitch: Vector, levels: Vector, rate: int, rng: np.random.Generator
) -> tuple[Vector, Vector, Vector]:
    """Draw pulses, aspiration and frication, (T,) each flat in spectrum, from f0 (T,) and levels (3, T)."""
    count = len(pitch)
    slow = rng.normal(0.0, 1.0, (2, count * 200 // rate + 2))
    jitter, shimmer = _at(slow, np.arange(count) * 1000.0 / rate, 5.0)
    cycles = np.cumsum(pitch) / rate + 0.001 * jitter  # jitter of the phase: f0 stays true
    half = np.pi * (cycles % 1.0)
    # The sum of cos(k·phase) up to 0.47 of the rate in closed form; the topmost fades in and out with f0.
    harmonics, part = np.divmod(0.47 * rate / pitch, 1.0)
    sine = np.sin(half)
    flat = np.abs(sine) < 1e-7
    kernel = np.sin((2 * harmonics + 1) * half) / (2 * np.where(flat, 1.0, sine)) - 0.5
    pulses = np.where(flat, harmonics, kernel) + part * np.cos(2 * (harmonics + 1) * half)

    voice, breath, hiss = levels
    noise = rng.normal(0.0, np.sqrt(rate / 2 / 200.0 / 2.0), (2, count))  # in 200 Hz as loud as a harmonic
    breathy = db_to_gain(singer.breath) * voice * (1.0 + 0.6 * np.cos(2 * half))
    return pulses * voice * (1.0 + 0.03 * shimmer), noise[0] * (breathy + 0.2 * breath), noise[1] * 0.7 * hiss


def _filter(
    singer: Singer, sources: tuple[Vector, Vector, Vector], tract: Vector, colours: Vector, rate: int
) -> Vector:
    """Pass sources (T,) through formants (6, J) and hiss colours (2, J), all in Hz."""
    step = hop_samples(rate) // 2
    size = 1 << int(np.ceil(np.log2(0.04 * rate)))  # room for the resonances to ring out
    bins = np.fft.rfftfreq(size, 1 / rate).astype(np.float32)
    window = np.hanning(2 * step + 1)[:-1].astype(np.float32)

    def spectra(source: Vector) -> Complex:
        padded = np.pad(source.astype(np.float32), (step, tract.shape[1] * step - len(source)))
        return np.asarray(np.fft.rfft(sliding_window_view(padded, 2 * step)[::step] * window, size))

    pulses, aspiration, hiss = (spectra(source) for source in sources)
    poles = _root(NASAL_POLE * singer.tract, 100.0, bins)
    for formant in tract[:5, :, None]:
        poles = poles * _root(formant, singer.bandwidth * (60 + formant / 20), bins)
    slope = (1 + 1j * np.append(bins, REFERENCE) / GLOTTAL_CORNER) ** (-singer.tilt / 6.02)
    glottis = (slope[:-1] / np.abs(slope[-1])).astype(np.complex64)
    throat = pulses * glottis + aspiration * (1j * bins / (1000 + 1j * bins))
    throat *= _root(tract[5, :, None], 100.0, bins) * _upper(singer, bins, rate) / poles
    centre, width = colours[:, :, None]
    hiss *= (1j * bins * (width / centre**2) / _root(centre, width, bins)) ** 2
    return _overlap_add(np.fft.irfft(throat + hiss, size), step)


def _root(frequency: Vector | float, bandwidth: Vector | float, bins: Real) -> Complex:
    """Evaluate a second-order polynomial, 1 at 0 Hz: a resonance when divided by."""
    return np.asarray(1 - (bins / frequency) ** 2 + 1j * bins * (bandwidth / frequency**2), np.complex64)


def _upper(singer: Singer, bins: Real, rate: int) -> Complex:
    """Evaluate what stays in the tract (B,): the resonances above F5 and the singer's formant."""
    formants = np.asarray((np.arange(6, rate // 1000)[:, None] - 0.5) * 1000.0 * singer.tract, np.float64)
    wide, narrow = 300.0 * db_to_gain(singer.ring), 300.0
    ring = _root(singer.ring_hz, wide, bins) / _root(singer.ring_hz, narrow, bins)
    poles = _root(formants, singer.bandwidth * (60 + formants / 20), bins)
    return np.asarray(ring / np.prod(poles, axis=0))


def _overlap_add(blocks: Vector, step: int) -> Vector:
    """Sum blocks (J, S) that start every `step` samples, from -`step` on."""
    count, size = blocks.shape
    pieces = -(-size // step)
    blocks = np.pad(blocks, ((0, 0), (0, pieces * step - size))).reshape(count, pieces, step)
    output = np.zeros((count + pieces, step))
    for piece in range(pieces):
        output[piece : piece + count] += blocks[:, piece]
    return output.reshape(-1)[step:]
