"""Reading audio files, with the integrity checks that libsndfile does not make; writing is in ``writing``.

libsndfile reads a WAV cut in half, NaN samples and peaks of 1e6 without an error.
Accepted are PCM, floating-point, µ-law and A-law samples, and FLAC, ALAC, Vorbis, Opus and MPEG. Its
decoders of the rest of what it reads (ADPCM of all kinds, GSM 6.10, DWVW, DPCM) are not safe with broken files.
"""

import logging
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from svc.audio import ffmpeg
from svc.audio.ffmpeg import unsupported_codec
from svc.audio.integrity import declares_mpeg_length, sample_chunk
from svc.audio.writing import FORMATS, MAX_RATE, MIN_RATE, check_format, open_writer, write
from svc.errors import file_error, last_message

__all__ = ["FORMATS", "MAX_RATE", "MIN_RATE", "Audio", "check_format", "open_writer", "write"]

Samples = NDArray[np.float32]

MIN_SECONDS = 0.3
MAX_PEAK = 4.0  # full scale; float files may run a little over 1
MIN_LEVEL = -60.0  # dB, of the loudest 100 ms, above the rumble
MIN_SUM = -20.0  # dB, of the averaged channels against the channels: what is left would be as much too soft
RUMBLE_HZ = 50  # and below
VOICE_BAND_HZ = 150, 4000
MAX_BELOW_LOUDEST = 12.0  # dB in that band; a quieter channel does not count
SURROUND, OGG_ENDINGS = {3, 5, 6, 7, 8}, {".ogg", ".oga", ".opus"}  # channels with a centre, third, or second in Ogg
SUBTYPES = {"PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"}
COMPRESSED = {"VORBIS", "OPUS", "MPEG_LAYER_I", "MPEG_LAYER_II", "MPEG_LAYER_III"} | {
    f"ALAC_{bits}" for bits in (16, 20, 24, 32)
}
_READ_SAMPLES = 1 << 22  # at a time, of all channels: a header may claim any number of samples
_MPEG_SLACK = 0.9  # of the length that an MPEG file declares, with or without the encoder's delay
_NOT_AUDIO, _UNKNOWN_ENCODING = 1, 4  # libsndfile's errors
_NO_LENGTH = 1 << 62  # libsndfile's number of samples where a FLAC file does not give it
_FRAMES, _WINDOW_BINS = 10, 2  # a second, of which levels are measured; half the width of their window's spectrum
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Audio:
    """Mono samples (T,) at a rate in Hz."""

    samples: Samples
    rate: int

    @property
    def seconds(self) -> float:
        """Duration."""
        return len(self.samples) / self.rate

    def first(self, seconds: float) -> "Audio":
        """Its beginning, all of it if it is no longer."""
        return Audio(self.samples[: round(seconds * self.rate)], self.rate)


def read(path: Path) -> Audio:
    """Read a file of any rate and channel count as checked mono samples: the mix of ``channel_weights``.

    Raises:
        AudioError: the file is missing, not audio, cut short, silent, too short, or its samples are wild.
    """
    parts = list(read_blocks(path))
    return Audio(np.concatenate([part.samples for part in parts]), parts[0].rate)


def read_blocks(path: Path, weights: Samples | None = None) -> Iterator[Audio]:
    """What ``read`` reads, some seconds at a time; only at the end is known whether the file is good.

    Args:
        path: the file.
        weights: of its channels, if they are known.

    Raises:
        AudioError: as ``read``.
    """
    weights = channel_weights(path) if weights is None else weights
    for samples, rate in read_channels(path):
        yield Audio(samples @ weights, rate)


def channel_weights(path: Path) -> Samples:
    """Weights (C,) of the channels in the mono mix: those with the voice count alike, of surround the centre alone.

    A low-frequency channel, or one with no more than the reverberation of the voice, does not count.

    Raises:
        AudioError: as ``read``.
    """
    path = Path(path)
    with _opened(path) as stream:
        count = stream.channels
    chunk = sample_chunk(path)
    if chunk and not chunk.has_length:
        _LOG.warning("%s", file_error(path, "its header does not hold its length (a recorder was stopped, or it came "
                                            "through a pipe); read to the end of the file"))  # fmt: skip
    if count == 1:
        return np.ones(1, np.float32)
    power = sum(np.square(np.abs(_spectra(samples, rate, *VOICE_BAND_HZ))).sum(axis=(0, 1))
                for samples, rate in read_channels(path))  # fmt: skip
    kept = np.asarray(power >= np.max(power) * 10 ** (-MAX_BELOW_LOUDEST / 10))
    centre = (1 if path.suffix.lower() in OGG_ENDINGS else 2) if count in SURROUND else 0
    if centre and kept[centre]:
        kept = np.arange(count) == centre
    return (kept / kept.sum()).astype(np.float32)


def read_channels(path: Path) -> Iterator[tuple[Samples, int]]:
    """What ``read_blocks`` mixes: samples (T, C) of all channels, and their rate in Hz.

    Raises:
        AudioError: as ``read``.
    """
    path = Path(path)
    with _opened(path) as stream:
        for samples in _decode(path, stream):
            yield samples, stream.samplerate


@contextmanager
def _opened(path: Path) -> Iterator["soundfile.SoundFile"]:
    """A file to decode, its header checked."""
    check_file(path)
    with ExitStack() as opened:
        try:
            stream = _open(path, opened)
            _check_header(path, stream)
            yield stream
        except OSError as error:
            raise file_error(path, f"cannot be read ({error.strerror}); check its permissions") from None
        except (soundfile.SoundFileError, ValueError) as error:
            code = getattr(error, "code", None)
            if code == _NOT_AUDIO:
                raise file_error(path, "not audio that can be read; give a WAV, FLAC, OGG or MP3 file") from None
            if code == _UNKNOWN_ENCODING:
                raise file_error(path, "its encoding is not supported; convert it to WAV or FLAC") from None
            raise file_error(path, f"damaged ({last_message(error)}); copy it again or export it as WAV") from None


def _open(path: Path, opened: ExitStack) -> "soundfile.SoundFile":
    """The file, or what ffmpeg makes of it, until the stack is closed."""
    chunk = sample_chunk(path)
    if chunk and not chunk.is_complete:
        raise file_error(path, "cut short (the header declares more than there is); copy it again")
    if chunk and not chunk.has_length and chunk.declared == 0:
        return opened.enter_context(soundfile.SoundFile(opened.enter_context(chunk.open(path))))
    # By descriptor: libsndfile takes a name of - for standard input and guesses from extensions.
    file = opened.enter_context(path.open("rb", buffering=0))
    try:
        return opened.enter_context(soundfile.SoundFile(file.fileno(), closefd=False))
    except soundfile.SoundFileError:
        codec = unsupported_codec(path)
        if codec is None:
            raise
    return opened.enter_context(soundfile.SoundFile(opened.enter_context(ffmpeg.decoded(path, codec))))


def check_file(path: Path) -> None:
    """Refuse what is not a file with something in it.

    Raises:
        AudioError: there is no such file, or it is a folder, a device or empty.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        reason = "a link to a file that is gone" if path.is_symlink() else "no such file"
        raise file_error(path, f"{reason}; check the path") from None
    except (OSError, ValueError) as error:
        raise file_error(path, f"cannot be opened ({getattr(error, 'strerror', error)}); check the path") from None
    if stat.S_ISDIR(status.st_mode):
        raise file_error(path, "is a folder; name an audio file")
    if not stat.S_ISREG(status.st_mode):
        raise file_error(path, "is a device or pipe; name an audio file")
    if status.st_size == 0:
        raise file_error(path, "is empty (0 bytes); record or copy it again")


def check_header(path: Path) -> None:
    """``check_file``, and refuse what is no audio by its header; of what ffmpeg decodes, no header is read.

    Raises:
        AudioError: as ``read``.
    """
    check_file(path)
    with suppress(OSError):  # ``_opened`` reports it
        if unsupported_codec(path):
            return
    with _opened(path):
        pass


def _check_header(path: Path, stream: "soundfile.SoundFile") -> None:
    if stream.subtype not in SUBTYPES | COMPRESSED:
        raise file_error(path, f"{stream.subtype} samples are not accepted; convert it to WAV or FLAC")
    if not MIN_RATE <= stream.samplerate <= MAX_RATE:
        raise file_error(path, f"sampled at {stream.samplerate} Hz; give a file between {MIN_RATE} and {MAX_RATE} Hz")
    if stream.frames >= _NO_LENGTH:
        raise file_error(path, "does not say how long it is (was it streamed?); convert it to WAV")


def _decode(path: Path, stream: "soundfile.SoundFile") -> Iterator[Samples]:
    """Parts (T, C) of a file, checked on the way, as is their average."""
    size = stream.samplerate // _FRAMES
    step = max(1, _READ_SAMPLES // (stream.channels * size)) * size
    count = 0
    loudest = loudest_sum = -np.inf
    while len(block := stream.read(step, dtype="float32", always_2d=True)):
        _check_values(path, block)
        count += len(block)
        spectra = _spectra(block, stream.samplerate, RUMBLE_HZ, stream.samplerate // 2)
        loudest = max(loudest, _peak_level(spectra))
        loudest_sum = max(loudest_sum, _peak_level(spectra.mean(axis=2, keepdims=True)))
        yield block
    if count < _least_samples(path, stream):
        raise file_error(path, f"cut short ({count} of {stream.frames} samples); copy it again")
    if count < MIN_SECONDS * stream.samplerate:
        raise file_error(path, f"only {count / stream.samplerate:.3f} s long; give at least {MIN_SECONDS} s")
    if loudest < MIN_LEVEL:
        raise file_error(path, f"silent (below {MIN_LEVEL:.0f} dB throughout); record it louder")
    if loudest_sum < max(loudest + MIN_SUM, MIN_LEVEL):
        raise file_error(path, "its channels cancel each other; give one channel of it")


def _least_samples(path: Path, stream: "soundfile.SoundFile") -> float:
    """Samples that must be there for the file not to be cut short, as far as it says how many there are."""
    if stream.subtype.startswith("MPEG"):
        return _MPEG_SLACK * stream.frames if declares_mpeg_length(path) else 0
    return stream.frames


def _check_values(path: Path, block: Samples) -> None:
    if not np.isfinite(block).all():
        raise file_error(path, "holds samples that are not numbers (NaN or infinity); export it again")
    peak = float(np.abs(block).max())
    if peak > MAX_PEAK:
        raise file_error(path, f"peaks at {peak:.3g} times full scale; export it normalised")


def _spectra(samples: Samples, rate: int, low: int, high: int) -> NDArray[np.complexfloating]:
    """Spectra (n, bins, C) between two frequencies of the whole tenths of a second of samples (T, C).

    Their squares add up to the power.
    """
    size = rate // _FRAMES
    whole = samples[: len(samples) // size * size].reshape(-1, size, samples.shape[1])
    window = np.hanning(size).astype(np.float32)[:, None]
    spectra = np.fft.rfft(whole * (window * np.float32(np.sqrt(2 / size / np.square(window).sum()))), axis=1)
    return spectra[:, low // _FRAMES + _WINDOW_BINS : high // _FRAMES + 1]


def _peak_level(spectra: NDArray[np.complexfloating]) -> float:
    """Level in dB of the loudest of some spectra (n, bins, C), averaged over the channels."""
    power = np.square(np.abs(spectra)).sum(axis=1).mean(axis=1)
    return float(10 * np.log10(power.max(initial=0.0) + 1e-20))
