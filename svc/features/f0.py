"""f0 tracking with CREPE and a Viterbi decoder (without torchcrepe's random dither)."""

from collections.abc import Callable, Iterator, Sequence
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray

from svc import encoders
from svc.audio.chunks import Block, iter_chunks, iter_overlapping
from svc.audio.files import Audio, Samples
from svc.audio.resample import resample_stream
from svc.audio.stft import frame
from svc.config import F0Config
from svc.encoders import crepe
from svc.features import f0_refinement
from svc.utils.units import hop_samples

F0Curve = NDArray[np.float32]

CENTS_PER_BIN = 20.0
FIRST_BIN_CENTS = 1997.3794084376191  # over 10 Hz: 31.7 Hz
BATCH = 32  # frames; measured fastest on CPUs
BLOCK = 60_000  # frames, ten minutes: what is longer is tracked in blocks
OVERLAP = 200  # frames of context on either side of a block for its Viterbi path
ISLAND_FRAMES, ISLAND_DB = 6, 30.0  # shorter voiced islands this far below the notes are no notes
WEAK, STRONG = 0.65, 0.8  # autocorrelation of frames that may be creak, and of those that are no whisper
MIN_STRONG, CONTEXT_FRAMES = 0.15, 50  # share of strong frames among the voiced ones within 0.5 s
LONG_RUN = 20  # voiced frames
RUMBLE_HZ, MAX_RUMBLE = 50.0, 0.1  # what is below is removed if its power is more, relative to what is above
LOW_CONFIDENCE = 0.1, 0.5  # periodicity of frames that the second network tracks; below there is no pitch
_MAX_JUMP_BINS = 11  # bins between neighbouring frames that the path may cross
_MEAN_BINS = 4  # on either side of the path


def track(
    audio: Audio,
    frames: int,
    config: F0Config,
    progress: Callable[[int], object] = lambda _: None,
    audible: NDArray[np.bool_] | None = None,
    models: Sequence[crepe.Crepe] | None = None,
) -> tuple[F0Curve, F0Curve]:
    """f0 before any voicing decision, and periodicity, of every frame.

    The path is the most probable one whose neighbours are less than 12 bins apart (Viterbi, as in torchcrepe);
    the frequency is the mean of the bins around it, weighted by their probabilities, then moved to where the audio's
    autocorrelation peaks. No randomness anywhere.

    Frames past the end of the audio read as silence. Of audible frames (N,) alone, all if not given, the others have
    periodicity 0 and cost nothing. The models are on any device; those of the process on the CPU if not given.

    Returns:
        (N,) Hz and (N,) 0–1.
    """
    mask = np.ones(frames, dtype=np.bool_) if audible is None else audible
    models = models or crepe_models(config)
    tracked, periodicity = np.empty((2, frames), dtype=np.float32)
    rate = f0_refinement.SAMPLE_RATE  # of CREPE too
    stream = resample_stream(iter_chunks(audio.samples), audio.rate, rate)
    for block, samples in iter_overlapping(stream, hop_samples(rate), frames, BLOCK, OVERLAP):
        samples = remove_rumble(samples, rate)
        curve, confidence = _run_crepe(samples, mask[block.with_context], config, models, _within(block, progress))
        if config.refine:
            curve, confidence = _refine(torch.from_numpy(samples), curve, confidence, mask[block.with_context], config)
        tracked[block.core], periodicity[block.core] = curve[block.core_slice], confidence[block.core_slice]
    progress(frames)
    return tracked, periodicity


def _refine(
    samples: torch.Tensor, curve: F0Curve, periodicity: F0Curve, audible: NDArray[np.bool_], config: F0Config
) -> tuple[F0Curve, F0Curve]:
    """Curve and periodicity (N,), moved to the autocorrelation's peaks, with creak and without whispers."""
    moved, alike = f0_refinement.refine_by_autocorrelation(samples, torch.from_numpy(curve))
    curve, height = moved.numpy().clip(config.fmin, config.fmax), alike.numpy()
    low = np.flatnonzero(audible & ((periodicity < config.voicing_threshold) | (height < WEAK)))
    creak, alike = f0_refinement.track_creak(samples, torch.from_numpy(low))
    creaky = np.zeros(len(curve), np.bool_)
    creaky[low] = alike.numpy() > 0
    creaky = without_short_runs(creaky, ISLAND_FRAMES)
    curve[creaky], periodicity[creaky] = creak.numpy()[creaky[low]], alike.numpy()[creaky[low]]
    voiced = periodicity >= config.voicing_threshold
    return curve, np.where(whispered(voiced, voiced & (creaky | (height >= STRONG))), 0, periodicity)


def whispered(voiced: NDArray[np.bool_], strong: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Voiced frames (N,) that are formants of a whisper, taken for pitch.

    Around them few voiced frames are strongly periodic, and none is in a long run, as those of a voice in noise are.
    """
    strong = strong | without_short_runs(voiced, LONG_RUN)
    around = np.ones(2 * CONTEXT_FRAMES + 1)
    near = [np.convolve(np.pad(frames, CONTEXT_FRAMES), around, mode="valid") for frames in (voiced, strong)]
    return voiced & (near[1] < MIN_STRONG * near[0])


def runs(frames: NDArray[np.bool_]) -> NDArray[np.intp]:
    """First frame of every run of frames (N,), and the first one after it (K, 2)."""
    return np.flatnonzero(np.diff(frames, prepend=False, append=False)).reshape(-1, 2)


def without_short_runs(frames: NDArray[np.bool_], shortest: int) -> NDArray[np.bool_]:
    """Frames (N,) that stand in runs of some length."""
    kept = frames.copy()
    for start, stop in runs(frames):
        kept[start:stop] = stop - start >= shortest
    return kept


def remove_rumble(samples: Samples, rate: int) -> Samples:
    """Samples (T,) without what is below 50 Hz, if that is loud: CREPE sees windows of unit power, rumble included."""
    spectrum = np.fft.rfft(samples)
    power, edge = np.square(np.abs(spectrum)), round(RUMBLE_HZ * len(samples) / rate)
    if power[:edge].sum() <= MAX_RUMBLE * power[edge:].sum():
        return samples
    spectrum[:edge] = 0
    return np.fft.irfft(spectrum, len(samples)).astype(np.float32)


def _run_crepe(
    samples: Samples,
    audible: NDArray[np.bool_],
    config: F0Config,
    models: Sequence[crepe.Crepe],
    progress: Callable[[float], object],
) -> tuple[F0Curve, F0Curve]:
    """Rough f0 and periodicity (N,) of audio (160 N,) at 16 kHz; reports the share that is done."""
    windows = frame(torch.from_numpy(samples)[None], crepe.WINDOW, crepe.HOP)[0]
    probabilities = np.zeros((len(audible), crepe.BINS), dtype=np.float32)
    where = np.flatnonzero(audible)
    for number, network in enumerate(models):
        for share in _run_network(network, windows, where, probabilities):
            progress((number + share) / len(models))
        rough, periodicity = decode(probabilities, config.fmin, config.fmax)
        where = np.flatnonzero((periodicity > LOW_CONFIDENCE[0]) & (periodicity < LOW_CONFIDENCE[1]))
        if not len(where):
            break
    return rough, periodicity


def _within(block: Block, progress: Callable[[int], object]) -> Callable[[float], object]:
    """Progress in frames of all, by the share done of a block."""
    done, todo = block.core.start, block.core.stop - block.core.start
    return lambda share: progress(done + int(todo * share))


def crepe_models(config: F0Config) -> list[crepe.Crepe]:
    """The networks of a configuration on the CPU; the second tracks frames that the first is unsure of."""
    names = ("tiny", "full") if config.model == "both" else (config.model,)
    return [cast("crepe.Crepe", encoders.shared(f"crepe-{name}")) for name in names]


def _run_network(
    network: crepe.Crepe, windows: torch.Tensor, where: NDArray[np.intp], probabilities: NDArray[np.float32]
) -> Iterator[float]:
    """Put a network's probabilities (N, 360) of some of the frames (N, 1024) in their places; yields the share done."""
    device = network.classifier.weight.device
    batch = BATCH if device.type == "cpu" else 1024
    for start in range(0, len(where), batch):
        places = where[start : start + batch]
        chunk = crepe.normalise(windows[torch.from_numpy(places)].to(device))
        with torch.inference_mode():
            probabilities[places] = network.activations(chunk)["pitch"].cpu().numpy()
        yield (start + len(places)) / len(where)


def decode(probabilities: NDArray[np.float32], fmin: float, fmax: float) -> tuple[F0Curve, F0Curve]:
    """Path and periodicity of pitch probabilities (N, 360) within a range in Hz."""
    edges = np.searchsorted(bin_cents(), [1200 * np.log2(fmin / 10), 1200 * np.log2(fmax / 10)])
    centres, scores = bin_cents()[slice(*edges)], probabilities[:, slice(*edges)]
    path = _viterbi(scores)
    around = np.clip(path[:, None] + np.arange(-_MEAN_BINS, _MEAN_BINS + 1), 0, len(centres) - 1)
    weights = np.take_along_axis(scores, around, axis=1).astype(np.float64) + 1e-12
    cents = (weights * centres[around]).sum(axis=1) / weights.sum(axis=1)
    periodicity = np.take_along_axis(scores, path[:, None], axis=1)[:, 0]
    return (10 * 2 ** (cents / 1200)).astype(np.float32), periodicity.astype(np.float32)


def bin_cents() -> NDArray[np.float64]:
    """Centre of each of the 360 bins in cents over 10 Hz."""
    return FIRST_BIN_CENTS + CENTS_PER_BIN * np.arange(crepe.BINS, dtype=np.float64)


def voicing(periodicity: F0Curve, loudness: F0Curve, config: F0Config) -> NDArray[np.bool_]:
    """Frames (N,) that are voiced: periodic, not far below the loudest frame of the file, and no short quiet island."""
    voiced = (periodicity >= config.voicing_threshold) & above_silence(loudness, config)
    return without_islands(voiced, loudness, float(np.median(loudness[voiced])) if voiced.any() else 0.0)


def without_islands(voiced: NDArray[np.bool_], loudness: F0Curve, notes_db: float) -> NDArray[np.bool_]:
    """Voicing (N,) without islands shorter than 60 ms that lie 30 dB below the notes: breath taken for pitch."""
    kept = voiced.copy()
    for start, stop in runs(voiced):
        kept[start:stop] = stop - start >= ISLAND_FRAMES or loudness[start:stop].max() >= notes_db - ISLAND_DB
    return kept


def above_silence(loudness: F0Curve, config: F0Config) -> NDArray[np.bool_]:
    """Frames (N,) that are not far below the loudest frame of the file."""
    return loudness >= loudness.max(initial=-np.inf) + config.silence_threshold_db


def _viterbi(probabilities: NDArray[np.float32]) -> NDArray[np.int64]:
    frames, bins = probabilities.shape
    if not frames:
        return np.zeros(0, dtype=np.int64)
    steps = np.arange(-_MAX_JUMP_BINS, _MAX_JUMP_BINS + 1)
    log_step = np.log(np.maximum(_MAX_JUMP_BINS + 1 - np.abs(steps), 0) / (_MAX_JUMP_BINS + 1) ** 2)
    origin = np.empty((frames, bins), dtype=np.int16)
    padded = np.full(bins + 2 * _MAX_JUMP_BINS, -np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * _MAX_JUMP_BINS + 1)
    score = np.log(probabilities[0] + 1e-10, dtype=np.float64)
    rows = np.arange(bins)
    for n in range(1, frames):
        padded[_MAX_JUMP_BINS:-_MAX_JUMP_BINS] = score
        candidates = windows + log_step
        best = candidates.argmax(axis=1)
        origin[n] = rows + best - _MAX_JUMP_BINS
        score = candidates[rows, best] + np.log(probabilities[n] + 1e-10, dtype=np.float64)
    path = np.empty(frames, dtype=np.int64)
    path[-1] = score.argmax()
    for n in range(frames - 1, 0, -1):
        path[n - 1] = origin[n, path[n]]
    return path
