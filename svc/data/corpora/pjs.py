"""PJS, phoneme-balanced Japanese singing-voice corpus (Koguchi et al. 2020): 100 short songs of one man, also read.

Layout after the corpus's README and Amphion: ``PJS_corpus_ver1.1/pjs001/{pjs001_song.wav,pjs001_speech.wav,
pjs001.txt}``, beside them ``background_noise``. A folder of the audio files alone will do.
"""

from pathlib import Path

from svc.data.corpora.base import Corpus, Kind, Recording, each, read_text

_NUMBER = "pjs[0-9][0-9][0-9]"


def _recording(path: Path) -> Recording:
    name = path.stem.partition("_")[0]
    kind: Kind = "speech" if path.stem.endswith("_speech") else "song"
    group = CORPUS.group_of_kind(kind, name.removeprefix("pjs"))
    return Recording(path, "pjs", group, kind, "ja", "CC BY-SA 4.0", read_text(path.with_name(f"{name}.txt")))


CORPUS = Corpus(
    "pjs",
    "pjs001/pjs001_{song,speech}.wav",
    tuple(f"{prefix}{_NUMBER}_{kind}.*" for prefix in (f"{_NUMBER}/", "wavs/", "") for kind in ("song", "speech")),
    credit="PJS phoneme-balanced Japanese singing voice corpus (Koguchi et al. 2020)",
    read=each(_recording),
)
