"""The vocal out of a full mix, and a converted voice back in its place.

The network is torchaudio's Hybrid Demucs (Défossez 2111.03600), trained on MUSDB-HQ and 150 more songs.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from svc.audio import files
from svc.audio.files import Audio, Samples
from svc.audio.resample import fit_length, resample
from svc.encoders import safetensors_io
from svc.encoders.download import weights_file
from svc.errors import AudioError, WeightsError, printable

PUBLISHER = "https://download.pytorch.org/torchaudio"
NAME = "hdemucs-high-musdb-plus"
WITHOUT = "or give the vocal by itself, without --separate"
SAMPLE_RATE = 44_100  # Hz that the network hears
SOURCES = ("drums", "bass", "other", "vocals")  # in its order
SEGMENT, OVERLAP, SHORTEST = 10, 1, 1  # s; whole seconds are whole samples at every rate
EDGE = 0.1  # of the overlap at either end, unused: there the network and the resampling hear where a segment ends
SILENCE = 1e-6  # RMS: −120 dB
WILDEST = 2.0  # peaks of the mix, that no vocal in it goes beyond

Network = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Remix:
    """A mix with another voice in it.

    Attributes:
        samples: (2, T), nowhere beyond ±1.
        gains: of the converted voice in the left and the right channel.
        lowered: dB by which all of it, gains included, was then lowered so that nothing clips; 0 if nothing would.
    """

    samples: Samples
    gains: tuple[float, float]
    lowered: float


class Separator:
    """Tells the vocal of a mix from the rest.

    Args:
        device: to compute on.
        network: from mixes (B, 2, T) at 44.1 kHz to their sources (B, 4, 2, T), of which the last is the vocal; by
            default the published one.

    Raises:
        WeightsError: the published weights are not in the cache and cannot be fetched, are damaged, or have changed.
    """

    def __init__(self, device: str = "cpu", network: Network | None = None):
        self.device = device
        self.network = network or published().to(device)

    def separate(
        self, mix: Samples, rate: int, progress: Callable[[str, float], object] = lambda _stage, _share: None
    ) -> tuple[Samples, Samples]:
        """Vocal and rest, both (2, T) at the rate of the mix; together they are the mix.

        Args:
            mix: (2, T); (T,) counts as two equal channels.
            rate: Hz.
            progress: called with the name of the stage and the share of it that is done.

        Raises:
            AudioError: a sample of the mix is not a number.
            WeightsError: the network made samples that are not numbers.
        """
        mix = _stereo(mix)
        vocal, done = np.empty_like(mix), 0
        for part in self.stream(mix, rate):
            vocal[:, done : done + part.shape[1]] = part
            done += part.shape[1]
            progress("separate", done / max(1, mix.shape[1]))
        return vocal, mix - vocal

    def stream(self, mix: Samples, rate: int) -> Iterator[Samples]:
        """The vocal of a mix in finished parts (2, n), of nine seconds but for the last; arguments as of ``separate``.

        Beyond the mix it needs the memory of a segment. The network hears ten seconds at a time, in which the mix is
        of zero mean and, all of it together, of unit variance; a linear crossfade leads from each segment to the
        next. A constant offset of the mix is none of the vocal's. A vocal beyond twice the peak of the mix is clipped
        there, so that what is added to the rest again is the mix in float32, too.

        Raises:
            AudioError: a sample of the mix is not a number.
            WeightsError: the network made samples that are not numbers.
        """
        mix = _stereo(mix)
        mean, spread, peak = _statistics(mix)
        if spread < SILENCE:
            yield np.zeros_like(mix)
            return
        samples, overlap, step = mix.shape[1], OVERLAP * rate, (SEGMENT - OVERLAP) * rate
        fade = _fade(overlap)
        before = np.zeros((2, 0), np.float32)
        for start in range(0, max(1, samples - overlap), step):
            stop = min(samples, start + SEGMENT * rate)
            early = max(0, min(start, (stop - SEGMENT * rate) // rate * rate))  # the last hears as much as the others
            heard = (mix[:, early:stop] - mean) / spread
            vocal = spread * self._vocal(heard, rate)[:, start - early :]
            if not np.isfinite(vocal).all():
                raise WeightsError(
                    f"{NAME}: made samples that are not numbers, from {start // rate} s on; try --device cpu, {WITHOUT}"
                )
            shared = before.shape[1]
            vocal[:, :shared] = before + fade[:shared] * (vocal[:, :shared] - before)
            finished = step if stop < samples else stop - start
            yield np.clip(vocal[:, :finished], -WILDEST * peak, WILDEST * peak)
            before = vocal[:, finished:]

    def _vocal(self, mix: Samples, rate: int) -> Samples:
        """The network's vocal (2, T) of a segment (2, T) at any rate."""
        samples = mix.shape[1]
        padded = np.pad(mix, ((0, 0), (0, max(0, SHORTEST * rate - samples))))
        heard = torch.from_numpy(_resampled(padded, rate, SAMPLE_RATE))[None]
        with torch.inference_mode():
            vocal = self.network(heard.to(self.device))[0, SOURCES.index("vocals")]
        made = _resampled(vocal.float().cpu().numpy(), SAMPLE_RATE, rate)
        return np.stack([fit_length(channel, samples) for channel in made])


def remix(converted: Samples, vocal: Samples, rest: Samples) -> Remix:
    """A converted voice in place of the vocal.

    It is given the energy that the vocal has in each channel, by one gain for the whole song: the converted voice
    follows the dynamics of the vocal by itself, and a gain that moved would follow what is left of the band in it.
    Level and place are so those of the vocal; its width (reverb, double tracks) is not.

    Args:
        converted: (T,).
        vocal: (2, T), that was.
        rest: (2, T).
    """
    energy = _energy(converted)
    left, right = (float(np.sqrt(_energy(channel) / energy)) if energy > 0 else 0.0 for channel in vocal)
    mixed = rest + np.array([[left], [right]], np.float32) * converted
    peak = np.maximum(1, np.abs(mixed).max(initial=0))
    return Remix(mixed / peak, (left, right), float(20 * np.log10(peak)))


def level(samples: Samples) -> float:
    """RMS of samples of any shape in dB of full scale; silence reads −200."""
    return float(10 * np.log10(_energy(samples) / max(1, samples.size) + 1e-20))


def address() -> str:
    """Where the publisher has the weights."""
    return f"{PUBLISHER}/{_bundle()._model_path}"


def published() -> Any:
    """The network with the published weights, from the cache, of whose archive nothing is executed.

    Raises:
        WeightsError: they are not in the cache and cannot be fetched, are damaged, or have changed.
    """
    with torch.device("meta"):
        network = _bundle()._model_factory_func()
    wanted = network.state_dict()
    path = weights_file(NAME, address(), wanted, without=WITHOUT)
    network.load_state_dict(safetensors_io.read(path, wanted, "delete it to have it made anew"), assign=True)
    return network.eval().requires_grad_(False)


def read(path: Path) -> tuple[Samples, int]:
    """Samples (2, T) and rate in Hz of a file of one or two channels, checked as ``files.read`` does.

    Raises:
        AudioError: the file is refused there, or has more channels.
    """
    parts = list(files.channels(path))
    rate, samples = parts[0][1], np.concatenate([part for part, _ in parts]).T
    del parts
    if len(samples) > 2:
        raise AudioError(f"{_named(path)}: has {len(samples)} channels; mix it down to two")
    return _stereo(samples), rate


def write(path: Path, samples: Samples, rate: int) -> None:
    """Write samples (2, T) as ``files.write`` does mono ones: clipped at ±1, 24-bit, whole or not at all.

    Raises:
        AudioError: the folder or the format does not take the file, or a sample is not a number.
    """
    with files.writing(path, rate, channels=2) as file:
        for start in range(0, samples.shape[1], rate):
            file.write(samples[:, start : start + rate].T)


def _bundle() -> Any:
    from torchaudio.pipelines import HDEMUCS_HIGH_MUSDB_PLUS

    return HDEMUCS_HIGH_MUSDB_PLUS


def _named(path: Path) -> str:
    return printable(str(path))


def _stereo(samples: Samples) -> Samples:
    """(2, T) of that, (1, T) or (T,)."""
    return np.ascontiguousarray(np.broadcast_to(samples, (2, samples.shape[-1])), np.float32)


def _energy(samples: Samples) -> float:
    """Sum of squares, summed in double precision without a copy."""
    flat = samples.reshape(-1)
    return float(np.einsum("t,t->", flat, flat, dtype=np.float64))


def _statistics(mix: Samples) -> tuple[float, float, float]:
    """Mean, standard deviation and peak of all samples, of both channels together.

    That of their average, which the network's authors take, would be none where the channels cancel; the network
    normalises what it hears once more by itself.

    Raises:
        AudioError: a sample is not a number.
    """
    size = max(1, mix.size)
    mean = float(mix.sum(dtype=np.float64)) / size
    peak = float(max(mix.max(initial=0), -mix.min(initial=0)))
    if not np.isfinite((mean, peak)).all():
        raise AudioError("the mix holds samples that are not numbers (NaN or infinity); export it again")
    return mean, max(0.0, _energy(mix) / size - mean**2) ** 0.5, peak


def _fade(length: int) -> Samples:
    """From 0 to 1, symmetrical, linear between the edges."""
    place = (np.arange(length) + 0.5) / length
    return np.clip((place - EDGE) / (1 - 2 * EDGE), 0, 1).astype(np.float32)


def _resampled(samples: Samples, old: int, new: int) -> Samples:
    """Both channels (2, T) at another rate in Hz."""
    return np.stack([resample(Audio(channel, old), new).samples for channel in samples])
