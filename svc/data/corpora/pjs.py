"""PJS, phoneme-balanced Japanese singing-voice corpus (Koguchi et al. 2020): 100 short songs of one man, also read.

Layout after the corpus's README and Amphion: ``PJS_corpus_ver1.1/pjs001/{pjs001_song.wav,pjs001_speech.wav,
pjs001.txt}``, beside them ``background_noise``. A folder of the audio files alone will do.
"""

from pathlib import Path

from svc.data.corpora.base import Layout, Recording, read_text

_NUMBER = "pjs[0-9][0-9][0-9]"
CREDIT = "PJS phoneme-balanced Japanese singing voice corpus (Koguchi et al. 2020)"
LAYOUT = Layout(
    "pjs",
    "pjs001/pjs001_{song,speech}.wav",
    tuple(f"{prefix}{_NUMBER}_{kind}.*" for prefix in (f"{_NUMBER}/", "wavs/", "") for kind in ("song", "speech")),
)


def find(root: Path) -> list[Recording]:
    """Recordings of PJS; the song and the speech of a sentence are groups apart.

    Raises:
        DataError: there are none, or a text cannot be read.
    """
    return [_recording(path) for path in LAYOUT.all_files(root)]


def _recording(path: Path) -> Recording:
    name, _, kind = path.stem.partition("_")
    number, text = name.removeprefix("pjs"), read_text(path.with_name(f"{name}.txt"))
    if kind == "speech":
        return Recording(path, "pjs", LAYOUT.group("speech", number), "speech", "ja", "CC BY-SA 4.0", text)
    return Recording(path, "pjs", LAYOUT.group(number), "song", "ja", "CC BY-SA 4.0", text)
