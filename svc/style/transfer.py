"""Style transfer of two clips: the content's windows are optimised to have the texture of the style clip."""

import contextlib
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import librosa
import numpy as np
import torch
from torch import Tensor

from svc.audio import lufs
from svc.audio.files import Audio, Samples
from svc.audio.praat import DEFAULT_PITCH, change_gender, to_praat
from svc.audio.resample import fit_length, resample
from svc.errors import DataError
from svc.features.extract import measure_loudness
from svc.style import phase
from svc.style.layers import Layers, make_layers
from svc.style.losses import StyleObjective
from svc.style.optimise import Losses, optimise
from svc.style.phase import mel_points, reconstruct, stft
from svc.style.presets import StyleConfig
from svc.utils.optional import MissingExtra, import_optional
from svc.utils.units import db_to_gain

MIN_SECONDS = 1.0
MAX_STYLE_SECONDS = 30.0  # of sound; the rest of a longer style clip is not used
OVERLAP_SECONDS = 0.5
LEVEL = -23.0  # LUFS, of both clips in the encoder
SILENT = 40.0  # dB below the loudest frame: pauses of the style clip are cut out
RATE, SMOOTH = 16_000, 5  # Hz and frames, of the loudness that is matched
MAX_GAIN = 20.0  # dB
SEED_PRAAT = "random = random_initializeWithSeedUnsafelyButPredictably (0)"
Progress = Callable[[float, Losses], None]


@dataclass(slots=True)
class StyleResult:
    """A transfer."""

    audio: Audio  # the output, at the content's rate and of its length
    content: Audio  # what it has to agree with in f0 and loudness: transposed if the pitch was matched
    semitones: float = 0.0  # of that transposition
    trace: list[Losses] = field(default_factory=list)  # losses of every evaluation of the first window
    seconds: float = 0.0  # of computing


def transfer(
    content: Audio,
    style: Audio,
    config: StyleConfig,
    *,
    match_pitch: bool = True,
    progress: Progress = lambda _share, _losses: None,
) -> StyleResult:
    """Give a clip the texture of another one, of any rates; it keeps its words, timing and melody.

    Args:
        content: the clip.
        style: 30 s of its sound are used.
        config: options, by ``svc.style.presets.make_config``.
        match_pitch: transpose the content to the median f0 of the style first.
        progress: called with the share that is done, and the losses of an evaluation.

    Raises:
        DataError: a clip is shorter than 1 s or silent, both are the same, or the memory does not suffice.
        MissingExtra: the pitch is to be matched, and Praat is not installed.
        WeightsError: the weights of the encoder are not there.
    """
    started = time.perf_counter()
    check_clips(content, style)
    content, semitones = match_median_pitch(content, style) if match_pitch else (content, 0.0)
    rate = config.sample_rate
    gain, samples = normalise_level(content, rate, config.normalise_level)
    texture = normalise_level(style, rate, config.normalise_level)[1]
    target = log_spectrogram(_without_pauses(texture, rate), config)
    output, trace = _transfer_windows(samples, target, config, progress)
    audio = _at_rate_of(content, Audio(output / gain, rate))
    if config.phase == "envelope":  # above the encoder's band the content stays as it is
        band = _at_rate_of(content, resample(content, rate))
        audio = Audio(audio.samples + content.samples - band.samples, content.rate)
    if config.match_loudness:
        audio = match_loudness(audio, content)
    return StyleResult(audio, content, semitones, trace, time.perf_counter() - started)


def _transfer_windows(
    samples: Samples, target: Tensor, config: StyleConfig, progress: Progress
) -> tuple[Samples, list[Losses]]:
    """The content (T,) in overlapping windows, cross-faded, and the losses of the first."""
    layers = make_layers(config)
    size = min(len(samples), round(config.window_seconds * config.sample_rate))
    overlap = min(round(OVERLAP_SECONDS * config.sample_rate), size // 2)
    _check_layers_and_memory(layers, config, size // config.hop + 1, target.shape[-1])
    starts = [min(start, len(samples) - size) for start in range(0, max(1, len(samples) - overlap), size - overlap)]
    fade = np.minimum(1, np.minimum(np.arange(1, size + 1), np.arange(size, 0, -1)) / overlap).astype(np.float32)
    output, weight = np.zeros((2, len(samples)), np.float32)
    trace: list[Losses] = []
    for number, start in enumerate(starts):

        def show(count: int, last: Losses, number: int = number) -> None:
            progress((number + min(1.0, count / config.evaluations)) / len(starts), last)

        part, losses = transfer_window(samples[start : start + size], target, layers, config, show)
        output[start : start + size] += fade * part
        weight[start : start + size] += fade
        trace = trace or losses
    progress(1.0, trace[-1])
    return output / weight, trace


def transfer_window(
    samples: Samples,
    target: Tensor,
    layers: Callable[[Tensor], Layers],
    config: StyleConfig,
    progress: Callable[[int, Losses], None] = lambda _count, _losses: None,
) -> tuple[Samples, list[Losses]]:
    """One window (T,) of the content with the style of log(1 + |STFT|) (1, bins, M), and the losses on the way."""
    spectrum = stft(samples, config)
    content = torch.log1p(spectrum.abs())
    objective = StyleObjective(layers, content, target, config)
    if config.variable == "envelope":
        points, level = mel_points(config.sample_rate, content.shape[1]).T, spectrum.abs()

        def filtered(change: Tensor) -> Tensor:
            return torch.log1p(level * torch.exp(points @ change.clamp(-phase.MAX_GAIN, phase.MAX_GAIN)))

        start = torch.zeros(1, points.shape[1], content.shape[-1])
        change, trace = optimise(start, lambda change: objective(filtered(change)), config, progress)
        return reconstruct(filtered(change), spectrum, len(samples), config), trace
    start = content
    if config.start == "noise":
        start = 1e-3 * torch.randn(content.shape, generator=torch.Generator().manual_seed(config.seed))
    spectrogram, trace = optimise(start, objective, config, progress)
    return reconstruct(spectrogram, spectrum, len(samples), config), trace


def check_clips(content: Audio, style: Audio) -> None:
    """Refuse what no style transfer can be made of.

    Raises:
        DataError: a clip is shorter than 1 s or silent, or both are the same.
    """
    for name, audio in (("content", content), ("style", style)):
        if audio.seconds < MIN_SECONDS:
            raise DataError(f"the {name} is {audio.seconds:.2f} s long; give at least {MIN_SECONDS:.0f} s")
        if lufs.integrated(audio.samples, audio.rate) == -np.inf:
            raise DataError(f"the {name} is silent (below {lufs.ABSOLUTE:.0f} LUFS); give a louder recording")
    if content.rate == style.rate and np.array_equal(content.samples, style.samples):
        raise DataError("content and style are the same recording; give two different ones")


def match_median_pitch(content: Audio, style: Audio) -> tuple[Audio, float]:
    """The content at the median f0 of the style, by PSOLA, and the semitones it was transposed by.

    It stays as it is if one of the two has no pitch.

    Raises:
        MissingExtra: Praat is not installed.
    """
    try:
        import_optional("parselmouth.praat").run(SEED_PRAAT)  # PSOLA draws
    except MissingExtra as error:
        raise MissingExtra(f"{error}, or add --pitch keep") from None
    sound, median = to_praat(content)
    _, wanted = to_praat(style)
    if DEFAULT_PITCH in (median, wanted):
        return content, 0.0
    shifted = change_gender(sound, 1.0, wanted, 1.0).values[0].astype(np.float32)
    return Audio(fit_length(shifted, len(content.samples)), content.rate), 12 * float(np.log2(wanted / median))


def match_loudness(audio: Audio, content: Audio) -> Audio:
    """Give every 10 ms the A-weighted loudness of the content, by at most 20 dB."""
    levels = [measure_loudness(resample(clip, RATE)) for clip in (content, audio)]
    gain = np.clip(levels[0] - levels[1], -MAX_GAIN, MAX_GAIN)
    gain = np.convolve(np.pad(gain, SMOOTH // 2, mode="edge"), np.ones(SMOOTH) / SMOOTH, mode="valid")
    places = np.arange(len(audio.samples)) / audio.rate
    curve = np.interp(places, (np.arange(len(gain)) + 0.5) / 100, gain)
    return Audio((audio.samples * 10 ** (curve / 20)).astype(np.float32), audio.rate)


def _at_rate_of(content: Audio, audio: Audio) -> Audio:
    return Audio(fit_length(resample(audio, content.rate).samples, len(content.samples)), content.rate)


def log_spectrogram(samples: Samples, config: StyleConfig) -> Tensor:
    """log(1 + |STFT|) (1, bins, N) of samples (T,)."""
    return torch.log1p(stft(samples, config).abs())


def normalise_level(audio: Audio, rate: int, wanted: bool = True) -> tuple[float, Samples]:
    """The gain to -23 LUFS, and the samples at that level and rate; a gain of 1 if that is not wanted."""
    gain = db_to_gain(LEVEL - lufs.integrated(audio.samples, audio.rate)) if wanted else 1.0
    return gain, gain * resample(audio, rate).samples


def _without_pauses(samples: Samples, rate: int) -> Samples:
    """At most 30 s of sound."""
    spans = librosa.effects.split(samples, top_db=SILENT)
    sound = np.concatenate([samples[first:last] for first, last in spans])
    return np.ascontiguousarray(sound[: round(MAX_STYLE_SECONDS * rate)])


def _check_layers_and_memory(make: Callable[[Tensor], Layers], config: StyleConfig, content: int, style: int) -> None:
    """Refuse layers that do not exist, and what needs more memory than is free for so many frames."""
    probe = min(64, content, style)
    try:
        with torch.no_grad():
            layers = make(torch.zeros(1, config.fft // 2 + 1, probe))
    except RuntimeError:
        raise DataError(f"{probe} frames are too few for {config.encoder}; give longer clips") from None
    wrong = [name for name in (*config.content_layers, *config.style_layers) if name not in layers]
    if wrong:
        raise DataError(f"{config.encoder}: has no layer {wrong[0]}; give one of {', '.join(layers)}")
    values = sum(layer.numel() for layer in layers.values()) / probe
    needed = 4 * (values * (6 * content + 3 * style) + content * (20 * config.fft + 4 * (content + style)))
    free = math.inf
    with contextlib.suppress(ValueError, OSError, AttributeError):  # not known on this system
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if needed > free:
        raise DataError(
            f"needs about {needed / 1e9:.1f} GB of memory, {free / 1e9:.1f} GB are free; "
            "add --set window_seconds=5 or choose another preset"
        )
