"""NUS-48E sung and spoken lyrics corpus (Duan et al. 2013): 12 singers, 4 of 20 English songs each, sung and read.

Layout after Amphion, ``egs/datasets/README.md``: ``nus-smc-corpus_48/ADIZ/{sing,read}/01.{wav,txt}``. The number of
a song is the same for all singers. The ``.txt`` files hold phone boundaries, not lyrics.
"""

from pathlib import Path

from svc.data.corpora.base import RESEARCH_ONLY, Corpus, Kind, Recording, each

SINGERS = ("ADIZ", "JLEE", "JTAN", "KENN", "MCUR", "MPOL", "MPUR", "NJAT", "PMAR", "SAMF", "VKOW", "ZHIY")
KINDS: dict[str, Kind] = {"sing": "song", "read": "speech"}


def _recording(path: Path) -> Recording:
    kind = KINDS[path.parent.name]
    group = CORPUS.group_of_kind(kind, path.stem)
    return Recording(path, path.parent.parent.name, group, kind, "en", RESEARCH_ONLY)


CORPUS = Corpus(
    "nus48e",
    "ADIZ/{sing,read}/01.wav",
    tuple(f"{singer}/{folder}/[0-9][0-9].*" for singer in SINGERS for folder in KINDS),
    credit="NUS-48E sung and spoken lyrics corpus (Duan et al. 2013, National University of Singapore)",
    read=each(_recording),
)
