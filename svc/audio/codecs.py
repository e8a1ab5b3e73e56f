"""Codecs that libsndfile does not read, by the beginning of the file."""

from dataclasses import dataclass
from pathlib import Path


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
