"""A zoo of audio files as users have them: broken ones, and odd ones that are fine."""

import struct
from pathlib import Path

import numpy as np
import soundfile

TONE = 440.0  # Hz, in every good file
SECONDS = 1.0
AMPLITUDE = 0.5


def tone(rate: int = 16_000, seconds: float = SECONDS) -> np.ndarray:
    return AMPLITUDE * np.sin(2 * np.pi * TONE * np.arange(round(rate * seconds)) / rate)


def pcm(samples: np.ndarray) -> bytes:
    return (samples * 32767).astype("<i2").tobytes()


def chunk(name: bytes, body: bytes, length: int | None = None) -> bytes:
    """A RIFF chunk, padded to even length, whose header may claim another length."""
    return name + struct.pack("<I", len(body) if length is None else length) + body + b"\0" * (len(body) % 2)


def riff(*chunks: bytes, length: int | None = None) -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body) if length is None else length) + body


def fmt(rate: int = 16_000, channels: int = 1, bits: int = 16) -> bytes:
    frame = channels * bits // 8
    return chunk(b"fmt ", struct.pack("<HHIIHH", 1, channels, rate, rate * frame, frame, bits))


def make_zoo(folder: Path) -> tuple[dict[str, Path], dict[str, Path]]:
    """Files that must be refused and files that must be read, by what they are."""
    return _make_bad(folder / "bad"), _make_good(folder / "good")


def _make_bad(folder: Path) -> dict[str, Path]:
    folder.mkdir(parents=True)
    files: dict[str, Path] = {}

    def put(what: str, name: str, data: bytes) -> None:
        files[what] = folder / name
        files[what].write_bytes(data)

    def sound(what: str, name: str, samples: np.ndarray, subtype: str | None = None) -> None:
        files[what] = folder / name
        soundfile.write(files[what], samples, 16_000, subtype=subtype)

    put("0 bytes", "empty.wav", b"")
    put("text", "text.wav", b"This is not a song, it only has the name of one.\n" * 100)
    for kind in ("wav", "flac", "mp3"):
        whole = folder / f"whole.{kind}"
        soundfile.write(whole, tone(44_100, 3), 44_100)
        put(f"{kind} cut in half", f"half.{kind}", whole.read_bytes()[: whole.stat().st_size // 2])
        whole.unlink()
    sound("1 sample", "one.wav", np.array([0.5]))
    sound("silence", "silence.wav", np.zeros(16_000))
    for what, value in (("NaN", np.nan), ("infinite", np.inf), ("peak 1e6", 1e6)):
        samples = tone()
        samples[7_000] = value
        sound(what, f"{what.replace(' ', '-')}.wav", samples, "FLOAT")
    sound("anti-phase stereo", "anti.wav", np.stack([tone(), -tone()], axis=1))
    sound("IMA ADPCM", "adpcm.wav", tone(), "IMA_ADPCM")
    sound("GSM", "gsm.wav", tone(), "GSM610")
    put("header claims 1 GB", "1gb.wav", riff(fmt(), chunk(b"data", pcm(tone()), 2**30)))
    put("header only", "header.wav", riff(fmt(), chunk(b"data", pcm(tone())))[:44])
    put("4000 Hz", "slow.wav", riff(fmt(4_000), chunk(b"data", pcm(tone(4_000)))))
    noise = np.random.default_rng(0).bytes(20_000)
    for kind in ("flac", "mp3", "ogg"):
        put(f"random bytes as {kind}", f"random.{kind}", noise)
    put("line break in the name", "text\nmore.wav", b"no audio")
    files["folder"] = folder / "folder.wav"
    files["folder"].mkdir()
    files["missing"] = folder / "missing.wav"
    files["dangling symlink"] = folder / "dangling.wav"
    files["dangling symlink"].symlink_to("nowhere.wav")
    files["symlink loop"] = folder / "loop.wav"
    files["symlink loop"].symlink_to("loop.wav")
    return files


def _make_good(folder: Path) -> dict[str, Path]:
    folder.mkdir(parents=True)
    files: dict[str, Path] = {}

    def put(what: str, data: bytes) -> None:
        files[what] = folder / f"{what.replace(' ', '-')}.wav"
        files[what].write_bytes(data)

    def sound(
        what: str,
        name: str,
        rate: int = 16_000,
        subtype: str | None = None,
        channels: int = 1,
        **options: str,
    ) -> None:
        files[what] = folder / name
        samples = np.repeat(tone(rate)[:, None], channels, axis=1)
        soundfile.write(files[what], samples, rate, subtype=subtype, **options)

    sound("16 kHz", "16k.wav")
    sound("44.1 kHz", "44k1.wav", 44_100)
    sound("8-bit", "8bit.wav", subtype="PCM_U8")
    sound("24-bit 96 kHz", "24bit.wav", 96_000, "PCM_24")
    sound("float64", "double.wav", 22_050, "DOUBLE")
    sound("stereo", "stereo.wav", 44_100, channels=2)
    sound("8 channels", "eight.wav", 48_000, channels=8)
    sound("µ-law", "ulaw.wav", subtype="ULAW")
    sound("A-law", "alaw.aiff", 44_100, "ALAW")
    sound("extensible", "extensible.wav", 44_100, "PCM_24", 2, format="WAVEX")
    sound("big-endian", "rifx.wav", format="WAV", endian="BIG")
    sound("RF64", "rf64.wav", format="RF64")
    sound("flac", "tone.flac", 44_100, "PCM_24", 2)
    sound("ogg", "tone.ogg", 44_100)
    sound("opus", "tone.opus", 48_000, "OPUS", format="OGG")
    sound("mp3", "tone.mp3", 44_100)
    sound("mp3 of low rate", "low.mp3", 16_000)
    for kind in ("aiff", "au", "caf", "w64"):
        sound(kind, f"tone.{kind}", 44_100)
    odd = (
        *("Für Élise 🎵 歌.wav", "two  spaces .wav", "-o.wav", 'it\'s "her".wav', "$(touch x).wav"),
        *("dots...wav", "trailing dots.wav...", "UPPER.WAV", "no extension", "x" * 251 + ".wav"),
    )
    for name in odd:
        sound(f"named {name[:20]}", name, format="WAV")
    data = chunk(b"data", pcm(tone()))
    put("chunks after", riff(fmt(), data, chunk(b"LIST", b"INFOISFT\x05\0\0\0song\0"), chunk(b"odd ", b"abc")))
    put("odd chunk before", riff(fmt(), chunk(b"junk", b"abc"), data))
    put("junk after", riff(fmt(), data) + b"\x00\xffleft over" * 9)
    put("streamed", riff(fmt(), chunk(b"data", pcm(tone()), 0xFFFFFFFF), length=0xFFFFFFFF))
    id3 = b"ID3\x03\0\0\0\0\x01\x00" + bytes(128)
    put("flac behind a tag", id3 + files["flac"].read_bytes())
    guid = b"\1\0\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71"  # PCM
    wide = struct.pack("<HHIIHHHHI", 0xFFFE, 1, 96_000, 384_000, 4, 32, 22, 24, 4) + guid  # 24 valid bits in 32
    left = chunk(b"data", (tone(96_000) * 0x7FFFFF).astype("<i4").__lshift__(8).tobytes())
    put("24 bits in 32", riff(chunk(b"bext", bytes(602)), chunk(b"fmt ", wide), left, chunk(b"iXML", b"<a/>")))
    put("mp3 by another name", id3 + files["mp3"].read_bytes() + b"TAG" + bytes(125))
    return files
