"""What the frames of an MP3 hold against what its first frame and its decoder say.

libsndfile believes the Info or Xing frame, or guesses from the mean size of the frames, and stops there.
"""

import re
import struct
from dataclasses import dataclass
from typing import BinaryIO

_MPEG1_LAYER3_KBPS = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_MPEG2_LAYER3_KBPS = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_BYTES_SLACK = 0.99  # encoders disagree on what the number of bytes counts; mpg123, too, warns beyond 1 %
_FRAMES_SLACK = 2  # that the info frame may leave out
_TRIMMED = 2 * 0xFFF + 529  # at most: delay and padding by the encoder, 12 bits each, and delay of the decoder
_RUN = 3  # frames in a row tell frames from bytes that look like a header
_BLOCK = 1 << 16
_HEADER = re.compile(rb"\xff[\xe2\xe3\xf2\xf3\xfa\xfb][\x10-\xef]")  # of layer III, with a bit rate


@dataclass(frozen=True, slots=True)
class _Info:
    """Numbers of frames, without this one, and of bytes, as far as an Info or Xing frame gives them."""

    frames: int | None
    bytes: int | None


@dataclass(frozen=True, slots=True)
class _Frames:
    """The layer III frames up to the first gap."""

    start: int
    end: int
    count: int
    samples: int
    info: _Info | None  # the first frame, where it holds no samples
    gap: bool  # more frames follow behind other bytes


def missing(stream: BinaryIO, size: int) -> bool:
    """Whether the last frame lacks bytes, or the file is shorter than its first frame says.

    Args:
        stream: behind the tags at the start.
        size: of the file.
    """
    frames = _walk(stream)
    if frames.info is not None:
        promised = frames.info
        if promised.bytes is not None and frames.start + promised.bytes * _BYTES_SLACK > size:
            return True
        if promised.frames is not None and not frames.gap and promised.frames >= frames.count:
            return True
    return frames.end > size


def lengths(stream: BinaryIO) -> range | None:
    """Numbers of samples that the whole of the file may give; the decoder may stop early.

    Returns:
        No number if the first frame leaves out others or more frames follow behind a gap, as where files
        are strung together; None if there are no layer III frames.
    """
    frames = _walk(stream)
    if not frames.count:
        return None
    each = frames.samples // frames.count
    if frames.gap:
        return range(0)
    if frames.info is None:
        return range(frames.samples - each, frames.samples + 1)
    audible = frames.count - 1
    if frames.info.frames is not None and frames.info.frames < audible - _FRAMES_SLACK:
        return range(0)
    return range((audible - _FRAMES_SLACK) * each - _TRIMMED, frames.samples + 1)


def _walk(stream: BinaryIO) -> _Frames:
    start = stream.tell()
    info = _info(stream.read(64))
    position, count, samples = start, 0, 0
    while frame := _frame_at(stream, position):
        position += frame[0]
        samples += frame[1]
        count += 1
    gap = count > 0 and _resumes(stream, position)
    return _Frames(start, position, count, samples, info, gap)


def _resumes(stream: BinaryIO, position: int) -> bool:
    """Whether frames go on behind a tag or damage."""
    stream.seek(position)
    while block := stream.read(_BLOCK):
        for match in _HEADER.finditer(block):
            if _is_run(stream, position + match.start(), match.group()[:2]):
                return True
        position += max(len(block) - 2, 1)  # a header may lie across
        stream.seek(position)
    return False


def _is_run(stream: BinaryIO, position: int, start: bytes) -> bool:
    for _ in range(_RUN):
        frame = _frame_at(stream, position, start)
        if frame is None:
            return False
        position += frame[0]
    return True


def _frame_at(stream: BinaryIO, position: int, start: bytes = b"") -> tuple[int, int] | None:
    """Length in bytes and in samples of the frame that starts there and with these bytes."""
    stream.seek(position)
    header = stream.read(4)
    if len(header) < 4 or not header.startswith(start) or not _HEADER.match(header):
        return None
    version, index, rate_index = (header[1] >> 3) & 3, header[2] >> 4, (header[2] >> 2) & 3
    if rate_index == 3:
        return None
    kbps = (_MPEG1_LAYER3_KBPS if version == 3 else _MPEG2_LAYER3_KBPS)[index]
    rate = (44_100, 48_000, 32_000)[rate_index] // {3: 1, 2: 2, 0: 4}[version]
    samples = 1152 if version == 3 else 576
    return samples // 8 * kbps * 1000 // rate + ((header[2] >> 1) & 1), samples


def _info(frame: bytes) -> _Info | None:
    at = max(frame.find(b"Xing"), frame.find(b"Info"))
    if at < 0 or len(frame) < at + 16:
        return None
    flags, *fields = struct.unpack(">III", frame[at + 4 : at + 16])
    frames = (fields[0] or None) if flags & 1 else None
    return _Info(frames, fields[flags & 1] if flags & 2 else None)  # the number of frames comes first, if any
