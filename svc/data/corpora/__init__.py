"""Corpora of songs and speech: readers, by name or by directory layout."""

from pathlib import Path

from svc.audio.find import is_audio
from svc.data.corpora import mandarin, singing, speech
from svc.data.corpora.base import Corpus, Recording, check_folder, has_audio, subfolders
from svc.data.corpora.folder import FOLDER
from svc.data.corpora.utau import UTAU
from svc.errors import DataError

__all__ = ["CORPORA", "Corpus", "Recording", "detect", "find"]

_SINGING: tuple[Corpus, ...] = (
    singing.NUS48E,
    singing.VOCALSET,
    mandarin.OPENSINGER,
    mandarin.M4SINGER,
    mandarin.OPENCPOP,
    singing.CSD,
)
_SINGING += (singing.RAVDESS, singing.PJS, UTAU, singing.MAKAM)
_SPEECH = (speech.VCTK, speech.LJSPEECH, speech.LIBRISPEECH)
CORPORA: dict[str, Corpus] = {corpus.name: corpus for corpus in (*_SINGING, *_SPEECH, FOLDER)}


def find(root: Path, corpus: str | None = None) -> list[Recording]:
    """Recordings of a corpus, by its name, or by the directory layout where no name is given.

    Raises:
        DataError: there is no corpus of that name, or no such corpus in the folder.
    """
    name = detect(root) if corpus is None else corpus
    if name not in CORPORA:
        raise DataError(f"{root}: no corpus is called {name!r}; choose one of {', '.join(CORPORA)}")
    return CORPORA[name].find(root)


def detect(root: Path) -> str:
    """Name of the corpus in a folder by its directory layout; ``folder`` if it looks like none.

    A folder that is all its parent holds is looked into; so are several of one corpus beside each other.

    Raises:
        DataError: it is not a folder, or holds several corpora.
    """
    check_folder(root)
    name = _layout(root)
    if name is not None:
        return name
    below = [path for path in subfolders(root) if has_audio(path)]
    if any(is_audio(path.name) for path in root.iterdir()) or not below:
        return "folder"
    if len(below) == 1:
        return detect(below[0])
    if all(UTAU.banks(path) for path in below):  # at several depths
        return UTAU.name
    layouts = {path: _layout(path) for path in below}
    names = sorted({name for name in layouts.values() if name is not None})
    if not names:
        return "folder"
    if len(names) == 1 and None not in layouts.values():
        return names[0]
    example = next(path for path, name in layouts.items() if name is not None)
    raise DataError(
        f"{root}: holds several corpora ({example.name} is {layouts[example]}); name one of its folders at a time, "
        "or choose the corpus 'folder' if each of them is a speaker"
    )


def _layout(root: Path) -> str | None:
    return next((name for name, corpus in CORPORA.items() if corpus.matches(root)), None)
