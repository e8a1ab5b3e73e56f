"""Streaming conversion: a recording that is still growing, block by block, with a fixed latency."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import fields, replace
from typing import BinaryIO

import numpy as np
import soxr
import torch

from svc.audio.chunks import iter_chunks
from svc.audio.files import MAX_PEAK, MAX_RATE, MIN_RATE, Samples
from svc.audio.resample import fit_length, resampled_length
from svc.errors import AudioError
from svc.features.conditioning import Conditioning
from svc.features.f0 import F0Curve
from svc.features.transpose import Transpose, choose_transposition, transpose_f0
from svc.inference.converter import Converter
from svc.inference.speaker_mix import SpeakerMix
from svc.inference.streaming_features import EMPTY, StreamingFeatures
from svc.utils.units import FRAMES_PER_SECOND


class StreamingConverter:
    """Converts samples as they are pushed; output is never revised.

    A block is final when its look-ahead has arrived, and is rendered when the generator's receptive field is final.
    The output equals, but for rounding, one pass of the generator over the final conditioning; it does not depend on
    the sizes of pushes, and memory is constant. Differences from ``Converter.convert``:

    - loudest frame, median voiced level, and mean and variance of content are those of the recording so far (with the
      look-ahead), so content settles in the first seconds; the loudest frame counts as −45 dB at least;
    - f0 is tracked in a window from 1 s before to .4 s after a block; a pause keeps the f0 before it;
    - an automatic transposition may change until a second of voice was converted.

    Args:
        converter: of the voice.
        speaker: as for ``svc.inference.speaker_mix.parse_speaker``; a CSV of mixes starts at the first sample.
        rate: Hz of input and output.
        transpose: semitones, ``auto`` or ``match``; as an attribute the semitones of the last block.
        block_seconds: in steps of 20 ms. Short blocks cost more: windows and receptive fields overlap more.

    Attributes:
        latency: seconds from input to output at most, without the time of computing.

    Raises:
        WeightsError, DataError: as ``svc.inference.speaker_mix.parse_speaker``.
        AudioError: the rate is out of range.
    """

    def __init__(
        self,
        converter: Converter,
        speaker: str | SpeakerMix,
        rate: int,
        transpose: Transpose = 0.0,
        block_seconds: float = 1.0,
    ):
        if not MIN_RATE <= rate <= MAX_RATE:
            raise AudioError(f"a stream of {rate} Hz: give a rate between {MIN_RATE} and {MAX_RATE} Hz")
        self._converter, self._mix, self._transpose = converter, converter.parse_speaker(speaker), transpose
        self._features = StreamingFeatures(converter.features)
        ours = converter.voice.config.sample_rate
        self._block = 2 * max(1, round(block_seconds * FRAMES_PER_SECOND / 2))  # frames, even: SSL encoders have 20 ms
        frames = self._block + self._features.lookahead + converter.generator.margin
        self.latency = frames / FRAMES_PER_SECOND + resampling_delay(rate, ours) + resampling_delay(ours, rate)
        self.rate, self.block_seconds, self.transpose = rate, self._block / FRAMES_PER_SECOND, 0.0
        self._resample_in = soxr.ResampleStream(rate, ours, 1, quality="HQ")
        self._resample_out = soxr.ResampleStream(ours, rate, 1, quality="HQ")
        self._samples_in = self._samples_out = self._rendered = 0  # the last in frames
        self._voiced_f0, self._phase = EMPTY, 0  # Hz of the first voiced frames; last phase in 2^-52 cycles
        self._pending: Conditioning | None = None  # final frames that the generator still needs

    def push(self, samples: Samples) -> Samples:
        """The output that is ready after these samples (T,); NaN counts as silence, peaks are clipped at 4."""
        audio, output = self._features.audio, [EMPTY]
        for chunk in iter_chunks(np.asarray(samples, dtype=np.float32)):
            self._samples_in += len(chunk)
            audio.add(self._resample_in.resample_chunk(np.nan_to_num(chunk).clip(-MAX_PEAK, MAX_PEAK)))
            while audio.frames >= self._features.done + self._block + self._features.lookahead:
                output.append(self._convert_block(self._features.done + self._block))
        resampled = self._resample_out.resample_chunk(np.concatenate(output))
        self._samples_out += len(resampled)
        return resampled

    def finish(self) -> Samples:
        """The rest of the output; nothing can be pushed afterwards."""
        audio, output = self._features.audio, [EMPTY]
        length = resampled_length(self._samples_in, self.rate, audio.rate)
        rest = fit_length(self._resample_in.resample_chunk(EMPTY, last=True), max(0, length - audio.length))
        audio.add(fit_length(rest, len(rest) + -(audio.length + len(rest)) % audio.hop))
        while self._features.done < audio.frames:
            output.append(self._convert_block(min(self._features.done + self._block, audio.frames)))
        resampled = self._resample_out.resample_chunk(np.concatenate(output), last=True)
        return fit_length(resampled, self._samples_in - self._samples_out)

    def _convert_block(self, last: int) -> Samples:
        """Make frames final up to ``last`` − 1, and render those with a complete receptive field."""
        generator, audio = self._converter.generator, self._features.audio
        new = self._next_conditioning(last)
        pending = new if self._pending is None else _concatenate(self._pending, new)
        begin = int(pending.start_frame)
        stop = last if last == audio.frames else last - generator.margin
        self._pending = pending.crop(max(0, stop - generator.margin - begin), pending.frames)
        start, self._rendered = self._rendered, max(self._rendered, stop)
        with torch.inference_mode():
            band = self._converter.band_limit(self._mix.stats.band)
            guidance = {"guidance": self._converter.guidance, "average": self._converter.average}
            samples = generator(pending.to(self._converter.device), band=band, **guidance)[0].cpu().numpy()
        return np.ascontiguousarray(samples[(start - begin) * audio.hop : (self._rendered - begin) * audio.hop])

    def _next_conditioning(self, last: int) -> Conditioning:
        """Conditioning of the next frames, up to ``last`` − 1, transposed, its phase continued."""
        first, features = self._features.done, self._features.extract(last)
        if len(self._voiced_f0) < FRAMES_PER_SECOND:
            self._voiced_f0 = np.append(self._voiced_f0, features.f0[features.voiced])
            self.transpose = choose_transposition(self._transpose, self._voiced_f0, self._mix.stats.range)
        features = replace(features, f0=transpose_f0(features.f0, self.transpose))
        before = None if self._pending is None else float(self._pending.f0[0, -1])
        phase, self._phase = continued_phase(features.f0, before, self._phase)
        conditioning = features.conditioning(self._mix.weights_at(slice(first, last)))
        start = torch.full_like(conditioning.start_frame, first)
        return replace(conditioning, phase=torch.from_numpy(phase)[None], start_frame=start)


def _concatenate(one: Conditioning, other: Conditioning) -> Conditioning:
    """Two conditionings in time; a constant mix stays one."""
    joined = {
        f.name: torch.cat([getattr(one, f.name), getattr(other, f.name)], dim=-1)
        for f in fields(Conditioning)
        if f.name not in ("start_frame", "speaker") or (f.name == "speaker" and one.speaker.ndim == 3)
    }
    return replace(one, **joined)


def continued_phase(f0: F0Curve, before: float | None, phase: int) -> tuple[F0Curve, int]:
    """``conditioning.phase_track`` of f0 (N,), continued from the f0 in Hz and the phase before, in 2^-52 cycles."""
    steady = np.append(-f0[0] if before is None else before, f0).astype(np.float64) / FRAMES_PER_SECOND
    advance = 0.5 * (steady[1:] + steady[:-1])  # 0 to the first frame of all
    whole = (phase + np.cumsum((np.mod(advance, 1.0) * 2.0**52).astype(np.int64))) % 2**52
    return (whole / 2.0**52).astype(np.float32) % np.float32(1.0), int(whole[-1])


def resampling_delay(old: int, new: int) -> float:
    """Largest delay in seconds of a resampled stream, measured, rounded up by 1 ms."""
    stream, piece = soxr.ResampleStream(old, new, 1, quality="HQ"), np.zeros(old // 1000, dtype=np.float32)
    count = np.cumsum([len(stream.resample_chunk(piece)) for _ in range(3000)])
    return float((np.arange(1, 3001) * len(piece) / old - count / new).max()) + 1e-3 * (old != new)


def convert_pcm_pipe(stream: StreamingConverter, source: BinaryIO, sink: BinaryIO) -> float:
    """Convert 16-bit little-endian mono PCM from a pipe to a pipe, until the source ends or the sink is closed.

    Returns:
        The peak of the output before it was clipped at ±1.

    Raises:
        AudioError: the source begins like a WAV file; nothing is written then.
    """
    read, rest, head, peak = getattr(source, "read1", source.read), b"", b"", 0.0

    def write(samples: Samples) -> None:
        nonlocal peak
        peak = max(peak, float(np.abs(samples).max(initial=0.0)))
        sink.write((samples * 2**15).round().clip(-(2**15), 2**15 - 1).astype("<i2").tobytes())
        sink.flush()

    try:
        while data := read(2 * round(stream.block_seconds * stream.rate)):
            data = rest + data
            head = head or data[:4]
            if head == b"RIFF":
                raise AudioError("-: begins like a WAV file, but a stream is raw samples; convert it without --stream")
            rest = data[len(data) // 2 * 2 :]
            write(stream.push(np.frombuffer(data, "<i2", len(data) // 2) * np.float32(2**-15)))
        write(stream.finish())
    except BrokenPipeError:
        with suppress(OSError):
            sink.close()
    return peak
