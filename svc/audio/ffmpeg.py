"""Codecs that libsndfile does not read, as AAC in MP4, which phones record: by the program ffmpeg."""

import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from svc.errors import file_error, printable

WRITABLE = {".m4a", ".mp4", ".aac"}
BIT_RATE = "192k"


@dataclass(frozen=True, slots=True)
class Codec:
    """A codec that libsndfile does not read.

    Attributes:
        name: for messages.
        demuxers: of ffmpeg, those that may open such a file.
        signature: bytes at the beginning of such a file, by their place.
    """

    name: str
    demuxers: str
    signature: dict[int, bytes]


CODECS = (
    Codec("AAC or ALAC in MP4", "mov", {4: b"ftyp"}),
    Codec("AAC", "aac", {0: b"\xff\xf1"}),
    Codec("AAC", "aac", {0: b"\xff\xf9"}),
    Codec("ALAC in CAF", "caf", {0: b"caff", 28: b"alac"}),
    Codec("AAC in CAF", "caf", {0: b"caff", 28: b"aac "}),
    Codec("FLAC in Ogg", "ogg", {0: b"OggS", 28: b"\x7fFLAC"}),
    Codec("Speex", "ogg", {0: b"OggS", 28: b"Speex "}),
    Codec("Windows Media", "asf", {0: b"\x30\x26\xb2\x75"}),
    Codec("Matroska or WebM", "matroska", {0: b"\x1a\x45\xdf\xa3"}),
    Codec("Monkey's Audio", "ape", {0: b"MAC "}),
    Codec("WavPack", "wv", {0: b"wvpk"}),
    Codec("True Audio", "tta", {0: b"TTA1"}),
    Codec("Musepack", "mpc8", {0: b"MPCK"}),
    Codec("Musepack", "mpc", {0: b"MP+"}),
    Codec("DSD", "dsf", {0: b"DSD "}),
    Codec("DSD", "iff", {0: b"FRM8"}),
    Codec("AMR", "amr", {0: b"#!AMR"}),
    Codec("AC-3", "ac3", {0: b"\x0b\x77"}),
)


def unsupported_codec(path: Path) -> Codec | None:
    """The codec of a file if it is one that libsndfile does not read.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as stream:
        head = stream.read(64)
    for codec in CODECS:
        if all(head[place:].startswith(data) for place, data in codec.signature.items()):
            return codec
    return None


def check(path: Path, codec: str = "") -> str:
    """The program.

    Raises:
        AudioError: it is not installed.
    """
    program = shutil.which("ffmpeg")
    if program is None:
        needs = f"{codec or path.suffix.lower()} needs ffmpeg, which is not installed"
        raise file_error(path, f"{needs}; install it, or convert it to .wav")
    return program


@contextmanager
def decoded(path: Path, codec: Codec) -> Iterator[Path]:
    """The first audio track as a temporary WAV file.

    Args:
        path: the file.
        codec: of it.

    Raises:
        AudioError: ffmpeg is not installed, or cannot read the file.
    """
    check(path, codec.name)
    with tempfile.TemporaryDirectory() as folder:
        wav = Path(folder) / "decoded.wav"
        source = ("-protocol_whitelist", "file", "-format_whitelist", codec.demuxers, "-i", f"file:{path.resolve()}")
        _run(path, "read", [*source, "-map", "0:a:0", "-c:a", "pcm_s24le", str(wav)])
        yield wav


@contextmanager
def encoded(path: Path) -> Iterator[Path]:
    """A temporary WAV file to write; at the end of the block the file is made of it, whole or not at all.

    Raises:
        AudioError: ffmpeg is not installed, or cannot write the file.
    """
    check(path)
    temporary = path.with_name(f".svc-{secrets.token_hex(8)}{path.suffix}")
    try:
        with tempfile.TemporaryDirectory() as folder:
            wav = Path(folder) / "source.wav"
            yield wav
            arguments = ["-i", str(wav), "-c:a", "aac", "-b:a", BIT_RATE, f"file:{temporary.resolve()}"]
            _run(path, "written", arguments)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _run(path: Path, action: str, arguments: Sequence[str]) -> None:
    command = [check(path), "-nostdin", "-hide_banner", "-loglevel", "error", "-y", *arguments]
    ran = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)  # noqa: S603
    if ran.returncode:
        lines = ran.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise file_error(path, f"cannot be {action} by ffmpeg ({printable(lines[-1])[:200]}); give or name a .wav file")
