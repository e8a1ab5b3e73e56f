"""Source separation: the vocals of a full mix by Hybrid Demucs (Défossez 2111.03600), and the converted voice put back.

The network is torchaudio's, trained on MUSDB-HQ and 150 more songs.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from svc.audio import files
from svc.audio.files import Audio, Samples
from svc.audio.resample import fit_length, resample
from svc.encoders.weights import Download, load_published
from svc.errors import AudioError, WeightsError, printable
from svc.features.f0_csv import write_csv
from svc.inference.converter import ConversionOptions, ConversionReport, Converter, Progress, no_progress
from svc.inference.loudness import Gain

NAME = "hdemucs-high-musdb-plus"
SHA256 = "a004b2790d73ffeaa535db458a1a79b539dfdbafbccc31f275d07e632ebd7816"  # of the published file
FALLBACK_HINT = "or give the vocal by itself, without --separate"
SAMPLE_RATE = 44_100  # Hz of the network
SOURCES = ("drums", "bass", "other", "vocals")
SEGMENT, OVERLAP = 10 * SAMPLE_RATE, SAMPLE_RATE  # samples
SILENCE = 1e-6  # RMS, −120 dB
MAX_VOCAL_PEAK = 2.0  # relative to the mix; what the network makes beyond it is clipped

Network = Callable[[Tensor], Tensor]


class Separator:
    """Separates the vocals of a mix from the rest.

    Args:
        device: to compute on.
        network: from mixes (B, 2, T) at 44.1 kHz to sources (B, 4, 2, T), the last the vocals; the published one if
            not given.

    Raises:
        WeightsError: the published weights are not in the cache and cannot be downloaded, or are refused.
    """

    def __init__(self, device: str = "cpu", network: Network | None = None):
        self.device = device
        self.network = network or load_pretrained().to(device)

    def separate(self, mix: Samples, rate: int, progress: Progress = no_progress) -> tuple[Samples, Samples]:
        """Vocals and rest (2, T), which sum to the mix.

        Args:
            mix: (2, T), or (T,) for two equal channels, at any rate.
            rate: Hz.
            progress: called with ``separate`` and the share that is done.

        Raises:
            AudioError: a sample of the mix is NaN or infinite.
            WeightsError: a sample of the network's output is.
        """
        mix = _stereo(mix)
        if not np.isfinite(mix).all():
            raise AudioError("the mix holds NaN or infinite samples; export it again")
        mean, scale = (mix.mean(dtype=np.float64), mix.std(dtype=np.float64)) if mix.size else (0.0, 0.0)
        if scale < SILENCE:
            return np.zeros_like(mix), mix
        normalised = _resample(((mix - mean) / scale).astype(np.float32), rate, SAMPLE_RATE)
        vocals = scale * _resample(self._vocals(normalised, progress), SAMPLE_RATE, rate)
        if not np.isfinite(vocals).all():
            raise WeightsError(f"{NAME}: the output holds NaN or infinite samples; try --device cpu, {FALLBACK_HINT}")
        peak = MAX_VOCAL_PEAK * float(np.abs(mix).max())
        vocals = np.stack([fit_length(channel, mix.shape[1]) for channel in vocals]).clip(-peak, peak)
        vocals = vocals.astype(np.float32)
        return vocals, mix - vocals

    def _vocals(self, mix: Samples, progress: Progress) -> Samples:
        """Vocals (2, T) at the network's rate, in segments of 10 s with a linear crossfade of 1 s."""
        length, vocals = mix.shape[1], np.zeros_like(mix)
        ramp = ((np.arange(OVERLAP) + 0.5) / OVERLAP).astype(np.float32)
        for start in range(0, max(1, length - OVERLAP), SEGMENT - OVERLAP):
            segment = mix[:, start : start + SEGMENT]
            count = segment.shape[1]
            padded = np.pad(segment, ((0, 0), (0, max(0, SAMPLE_RATE - count))))
            with torch.inference_mode():
                sources = self.network(torch.from_numpy(padded)[None].to(self.device))
            output = sources[0, SOURCES.index("vocals"), :, :count].float().cpu().numpy().copy()
            if start > 0:
                output[:, :OVERLAP] *= ramp
            if start + count < length:
                output[:, -OVERLAP:] *= ramp[::-1]
            vocals[:, start : start + count] += output
            progress("separate", min(1.0, (start + count) / max(1, length)))
        return vocals


def convert_full_mix(
    converter: Converter, separator: Separator, source: Path, target: Path, options: ConversionOptions,
    progress: Progress = no_progress,
) -> ConversionReport:  # fmt: skip
    """Convert the vocals of a mono or stereo mix and put them back; the mix is in memory as a whole.

    Raises:
        SvcError: an input cannot be read, has no vocals, or the output cannot be written.
    """
    mix, rate = read_stereo(source)
    files.check_format(target, rate)
    vocals, rest = separator.separate(mix, rate, progress)
    level = rms_db(vocals)
    if level < files.MIN_LEVEL:
        raise AudioError(f"{source}: no vocals found; give a song with a voice, or leave --separate out")
    converted, report = converter.convert(
        Audio(vocals.mean(axis=0), rate), options.speaker, transpose=options.transpose, f0_csv=options.f0_csv,
        progress=progress,
    )  # fmt: skip
    output, attenuation_db = remix(converted.samples, vocals, rest)
    with files.open_writer(target, rate, channels=2) as file:
        for start in range(0, output.shape[1], rate):
            file.write(output[:, start : start + rate].T)
    if options.save_f0_csv:
        write_csv(options.save_f0_csv, report.source_f0)
    attenuated = f", output {attenuation_db:.1f} dB quieter to avoid clipping" if attenuation_db else ""
    report.gain = Gain()  # undone by ``remix``
    report.levels = f"vocals {rms_db(mix) - level:.1f} dB below the mix{attenuated}"
    return report


def remix(converted: Samples, vocals: Samples, rest: Samples) -> tuple[Samples, float]:
    """The rest with converted vocals, which get the energy of the vocals in each channel by one gain each.

    Args:
        converted: (T,).
        vocals: (2, T), the originals.
        rest: (2, T).

    Returns:
        (2, T) within ±1, and by how many dB all of it was attenuated for that.
    """
    energy = np.square(converted, dtype=np.float64).sum()
    gains = np.sqrt(np.square(vocals, dtype=np.float64).sum(axis=1, keepdims=True) / energy) if energy else 0.0
    mixed = rest + (gains * converted).astype(np.float32)
    peak = max(1.0, float(np.abs(mixed).max(initial=0)))
    return (mixed / peak).astype(np.float32), 20 * float(np.log10(peak))


def rms_db(samples: Samples) -> float:
    """RMS level of samples of any shape in dB of full scale; −200 for silence."""
    return float(10 * np.log10(np.square(samples, dtype=np.float64).sum() / max(1, samples.size) + 1e-20))


def weights_url() -> str:
    """URL of the published weights."""
    return f"https://download.pytorch.org/torchaudio/{_bundle()._model_path}"


def load_pretrained() -> Any:
    """The network with the published weights from the cache.

    Raises:
        WeightsError: they are not in the cache and cannot be downloaded, or are refused.
    """
    with torch.device("meta"):
        network = _bundle()._model_factory_func()
    load_published(network, Download(NAME, weights_url(), SHA256, FALLBACK_HINT))
    return network.eval().requires_grad_(False)


def read_stereo(path: Path) -> tuple[Samples, int]:
    """Samples (2, T) and rate in Hz of a file of one or two channels, checked like ``files.read``.

    Raises:
        AudioError: the file is refused there, or has more channels.
    """
    blocks = list(files.read_channels(path))
    samples = np.concatenate([block for block, _ in blocks]).T
    if len(samples) > 2:
        raise AudioError(f"{printable(str(path))}: has {len(samples)} channels; mix it down to two")
    return _stereo(samples), blocks[0][1]


def _bundle() -> Any:
    from torchaudio.pipelines import HDEMUCS_HIGH_MUSDB_PLUS

    return HDEMUCS_HIGH_MUSDB_PLUS


def _stereo(samples: Samples) -> Samples:
    """(2, T) from that, (1, T) or (T,)."""
    return np.ascontiguousarray(np.broadcast_to(samples, (2, samples.shape[-1])), np.float32)


def _resample(samples: Samples, old: int, new: int) -> Samples:
    return np.stack([resample(Audio(channel, old), new).samples for channel in samples])
