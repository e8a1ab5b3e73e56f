"""Turkish makam a cappella sections dataset (Dzhambazov, MTG-UPF): songs of 6 singers, cut into sections.

Layout (github.com/MTG/turkish-makam-acapella-sections-dataset): ``barbaros/02_Gel_2_zemin.wav``, that is singer,
track, song, number and section (zemin, nakarat, meyan). Names vary: ``bu_aksam_part1_zemin``, a composer before
``_-_``, seconds behind ``_from_``; some songs go by another title, or by the singer of a published recording.
Whole songs beside their sections are the same sound again and are left out.
"""

import re
from pathlib import Path

from svc.data.corpora.base import Corpus, Recording, each

TITLES = {  # other names of a song, by the words in its TextGrid
    "gel_guzelim_camlicaya": "gel",
    "melihat_gulses": "kimseye",
    "sakin_gec_kalma": "bu_aksam",
}
_STEM = re.compile(r"(?:[0-9]+_)?(?:.*_-_)?(.+?)_(?:part)?[0-9]+_.*", re.IGNORECASE)


def _recording(path: Path) -> Recording | None:
    name = _STEM.fullmatch(path.stem)
    if name is None:
        return None
    song = re.sub(r"[-_ ]+", "_", name[1].lower())
    return Recording(path, path.parent.name, CORPUS.group(TITLES.get(song, song)), "song", "tr", "CC BY 4.0")


CORPUS = Corpus(
    "makam",
    "<singer>/02_Gel_2_zemin.wav",
    tuple(f"*/*_{section}*.*" for section in ("zemin", "nakarat", "meyan", "[Pp]art[0-9]")),
    credit="Turkish makam a cappella sections dataset (Dzhambazov, MTG-UPF)",
    read=each(_recording),
)
