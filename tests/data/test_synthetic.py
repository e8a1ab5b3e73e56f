"""The synthetic singers: their physics, their timing, and that they can be told apart."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from svc.audio.files import read
from svc.data.synthetic.phrases import CONSONANTS, SCALE, VOWELS, Note, Phrase, phrase, recorded_phrase
from svc.data.synthetic.singers import SINGERS, Rendition, render, write_singers
from svc.utils.units import hop_samples

RATE = 24_000
BY_NAME = {singer.name: singer for singer in SINGERS}
TENOR = BY_NAME["tenor"]
names = pytest.mark.parametrize("name", sorted(BY_NAME))


def held(vowel: str, consonant: str = "", seconds: float = 1.5) -> Phrase:
    return Phrase((Note(consonant, vowel, 0.0, seconds, rest=0.15),), lead=0.15)


def still(singer, **changes):
    """The singer without vibrato or breath."""
    return replace(singer, vibrato_cents=0.0, breath=-120.0, **changes)


def flat_curve(phrase: Phrase, frequency: float) -> np.ndarray:
    return np.full(phrase.frames, frequency)


def spectrum(samples: np.ndarray, size: int = 1 << 18) -> tuple[np.ndarray, np.ndarray]:
    windowed = samples * np.blackman(len(samples))
    return np.fft.rfftfreq(size, 1 / RATE), np.abs(np.fft.rfft(windowed, size))


def harmonic_levels(samples: np.ndarray, f0: float) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies and dB of all harmonics of a steady tone below 10 kHz."""
    bins, magnitude = spectrum(samples)
    harmonics = np.arange(1, int(10_000 / f0)) * f0
    peaks = [magnitude[np.abs(bins - harmonic) < f0 / 4].max() for harmonic in harmonics]
    return harmonics, 20 * np.log10(peaks)


def periodicity(samples: np.ndarray) -> float:
    """Largest normalised autocorrelation at a lag of 1.7 to 17 ms."""
    samples = samples - samples.mean()
    power = np.fft.rfft(samples, 2 * len(samples))
    correlation = np.fft.irfft(np.abs(power) ** 2)[: len(samples)]
    overlap = np.arange(len(samples), 0, -1) / len(samples)
    return float((correlation / overlap / correlation[0])[RATE // 600 : RATE // 60].max())


def long_term(sung: Rendition) -> np.ndarray:
    """Mean level (dB) of 20 bands from 2.3 to 11 kHz in the voiced frames, less its own mean."""
    frames = np.lib.stride_tricks.sliding_window_view(sung.samples, 1024)[:: hop_samples(RATE)]
    power = np.abs(np.fft.rfft(frames[sung.f0[2 : 2 + len(frames)] > 0] * np.hanning(1024))) ** 2
    places = np.round(np.geomspace(2300, 11_000, 21) / RATE * 1024).astype(int)
    bands = [power[:, low:high].mean(axis=1) for low, high in pairwise(places)]
    level = (10 * np.log10(bands)).mean(axis=1)
    return level - level.mean()


@pytest.mark.parametrize(("name", "vowel"), [("alto", "i"), ("bass", "a")])
def test_the_fundamental_follows_the_curve(name, vowel):
    """Instantaneous frequency of the fundamental, through vibrato and drift, over 50 ms."""
    sung = render(BY_NAME[name], held(vowel))
    bins = np.fft.rfftfreq(len(sung.samples), 1 / RATE)
    typical = np.median(sung.f0[sung.f0 > 0])
    band = np.fft.rfft(sung.samples) * (np.abs(bins - typical) < typical / 2)
    analytic = np.fft.ifft(band, len(sung.samples))  # the negative frequencies stay zero
    phase = np.unwrap(np.angle(analytic)) / (2 * np.pi)
    hop = hop_samples(RATE)
    for start in range(25, 145, 5):
        found = (phase[(start + 5) * hop] - phase[start * hop]) * 20
        expected = float(sung.f0[start : start + 5].mean())
        assert abs(1200 * np.log2(found / expected)) < 5, start


def test_the_curve_holds_at_its_frame_centres():
    """A curve that climbs an octave has its value at the centre of a frame, not at its start."""
    sung_phrase = held("a")
    curve = 150.0 * 2.0 ** (np.arange(sung_phrase.frames) / sung_phrase.frames)
    sung = render(still(TENOR), sung_phrase, f0=curve)
    hop = hop_samples(RATE)
    errors = []
    for frame in range(40, 140, 5):
        centre = int((frame + 0.5) * hop)
        bins, magnitude = spectrum(sung.samples[centre - 960 : centre + 960])
        near = np.abs(bins - curve[frame]) < 40
        errors.append(1200 * np.log2(float(bins[near][magnitude[near].argmax()]) / curve[frame]))
    assert np.abs(errors).max() < 5
    assert abs(np.mean(errors)) < 2  # half a frame would be 3.3


@pytest.mark.parametrize(("vowel", "tract"), [("a", 0.9), ("i", 1.2)])
def test_formants_scale_with_the_tract(vowel, tract):
    sung_phrase = held(vowel)
    singer = still(TENOR, tract=tract, tilt=6.0, ring=0.0, bandwidth=0.6)
    sung = render(singer, sung_phrase, f0=flat_curve(sung_phrase, 60.0))
    harmonics, level = harmonic_levels(sung.samples[RATE // 2 : 3 * RATE // 2], 60.0)
    level = level + 6.0 * np.log2(np.maximum(harmonics, 200.0))
    for formant in VOWELS[vowel]:
        near = np.abs(harmonics - formant * tract) < 150
        peak = harmonics[near][level[near].argmax()]
        assert abs(peak - formant * tract) <= 75  # just over one harmonic


def test_the_source_falls_by_its_tilt():
    sung_phrase = held("a")
    curve = flat_curve(sung_phrase, 200.0)
    part = slice(RATE // 2, 3 * RATE // 2)
    levels = [
        harmonic_levels(render(still(TENOR, tilt=tilt), sung_phrase, f0=curve).samples[part], 200.0)[1]
        for tilt in (4.0, 10.0)
    ]
    difference = levels[0] - levels[1]
    assert difference[31] - difference[7] == pytest.approx(2 * 6.0, abs=0.5)  # 1600 Hz to 6400 Hz


@pytest.mark.parametrize(("name", "consonant"), [("alto", "s"), ("bass", "f")])
def test_fricatives_have_no_harmonics(name, consonant):
    sung = render(BY_NAME[name], held("a", consonant))
    noise = sung.samples[int(0.165 * RATE) : int(0.235 * RATE)]
    vowel = sung.samples[int(0.6 * RATE) : int(0.67 * RATE)]
    assert (sung.f0[16:24] == 0).all()
    assert np.sqrt(np.mean(noise**2)) > 1e-3
    assert periodicity(noise) < 0.4 < 0.8 < periodicity(vowel)


@pytest.mark.parametrize("consonant", sorted(CONSONANTS))
def test_voicing_follows_the_consonant(consonant):
    sung = render(TENOR, held("e", consonant))
    voiced = consonant in {"", "z", "m", "n", "l", "w", "j"}
    length = round(100 * sum(phone.seconds for phone in CONSONANTS[consonant]))
    assert (sung.f0[:14] == 0).all()
    assert (sung.f0[-14:] == 0).all()
    assert ((sung.f0[17 : 15 + length - 2] > 0) == voiced).all()
    assert (sung.f0[15 + length + 2 : -18] > 0).all()


def test_two_singers_share_timing_and_a_given_curve():
    seed = 5
    sung_phrase = phrase(seed)
    source = render(BY_NAME["alto"], sung_phrase)
    target = render(BY_NAME["bass"], sung_phrase, f0=source.f0)
    own = render(BY_NAME["bass"], sung_phrase)
    assert np.array_equal(source.f0, target.f0)
    assert len(source.samples) == len(target.samples) == len(own.samples)
    assert np.array_equal(source.f0 > 0, own.f0 > 0)
    assert len(source.f0) == len(source.samples) // hop_samples(RATE) == sung_phrase.frames


def test_transposition_and_median_move_the_curve():
    sung_phrase = phrase(1)
    plain = render(TENOR, sung_phrase)
    voiced = plain.f0 > 0
    up = render(TENOR, sung_phrase, transpose=12.0)
    assert up.f0[voiced] == pytest.approx(2 * plain.f0[voiced])
    high = render(TENOR, sung_phrase, median=3 * TENOR.median)
    assert high.f0[voiced] == pytest.approx(3 * plain.f0[voiced])
    given = render(BY_NAME["bass"], sung_phrase, f0=plain.f0, transpose=-12.0)
    assert given.f0 == pytest.approx(plain.f0 / 2)


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_renditions_are_deterministic_and_in_range(rate):
    first, second = (render(BY_NAME["soprano"], phrase(2), rate) for _ in range(2))
    assert first.samples.tobytes() == second.samples.tobytes()
    assert np.array_equal(first.f0, second.f0)
    assert first.samples.dtype == np.float32
    assert first.rate == rate
    assert np.isfinite(first.samples).all()
    assert np.abs(first.samples).max() == pytest.approx(0.5)
    assert len(first.f0) == len(first.samples) // hop_samples(rate)


def test_phrases_are_what_they_promise():
    for seed in range(40):
        made = phrase(seed)
        assert made == phrase(seed)
        assert 6 <= len(made.notes) <= 10
        assert 3.7 <= made.frames / 100 <= 5.3
        assert all(note.semitones in SCALE and abs(note.semitones) <= 7 for note in made.notes)
    assert phrase(0) != phrase(1)


@names
def test_a_recorded_phrase_is_the_phrase_with_a_breath_and_a_room(name):
    """The breath lies 40 to 60 dB below the loudest frame, the room below the breath; the notes stay."""
    for seed in range(4):
        recorded = recorded_phrase(seed)
        assert recorded.notes == phrase(seed).notes
        sung = render(BY_NAME[name], recorded)
        assert len(sung.f0) == recorded.frames == len(sung.samples) // hop_samples(RATE)
        assert (sung.f0[:54] == 0).all()
        level = 10 * np.log10(np.square(sung.samples.reshape(-1, hop_samples(RATE))).mean(axis=1))
        breath, room = np.median(level[16:38]), np.median(level[:8])
        assert -61 < breath - level.max() < -34
        assert -92 < room < -78 < breath
        assert room < breath - 5


def test_a_spectrum_names_the_singer():
    """Nearest centroid of long-term spectra, all singing one curve, on phrases not in the centroids."""

    def at_one_pitch(seed):
        sung_phrase = phrase(seed)
        curve = render(TENOR, sung_phrase, median=200.0).f0
        return [long_term(render(singer, sung_phrase, f0=curve)) for singer in SINGERS]

    centroids = np.mean([at_one_pitch(seed) for seed in range(4)], axis=0)
    for seed in range(100, 103):
        for index, found in enumerate(at_one_pitch(seed)):
            distances = np.sqrt(np.mean((centroids - found) ** 2, axis=1))
            assert distances.argmin() == index
            assert np.sort(distances)[1] > 1.2 * distances[index]


def test_files_hold_the_renditions(tmp_path):
    write_singers(tmp_path / "voices", 2, rate=16_000, seed=5)
    found = sorted(path.relative_to(tmp_path / "voices").as_posix() for path in tmp_path.rglob("*.wav"))
    assert found == [f"{name}/phrase_{n:03d}.wav" for name in sorted(BY_NAME) for n in range(2)]
    audio = read(tmp_path / "voices" / "bass" / "phrase_001.wav")
    expected = render(BY_NAME["bass"], recorded_phrase(6), 16_000)
    assert audio.rate == 16_000
    assert np.abs(audio.samples - expected.samples).max() < 1e-6
