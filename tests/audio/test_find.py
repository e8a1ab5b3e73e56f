"""Audio files in a folder tree: by what they are, each once."""

from pathlib import Path

import pytest
import soundfile
from zoo import tone

from svc.audio.find import find_audio
from svc.data.sources import find_by_speaker
from svc.inference.batch import list_jobs


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"[00:01.00] la la la\n")


def names(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in find_audio(folder)]


def test_side_files_are_ignored_by_what_they_are(tmp_path):
    side = (
        "a.lrc",
        "a.txt",
        "a.wav.asd",
        "a.wav.reapeaks",
        "cover.jpg",
        "Thumbs.db",
        "._a.wav",
        "desktop.ini",
        "readme",
    )
    touch(tmp_path, *side, "a.wav", "b.FLAC", "c.m4a", "d.spx")
    for kind in ("WAV", "FLAC", "OGG", "AIFF", "AU", "CAF", "W64"):
        soundfile.write(tmp_path / f"take of {kind}...", tone(44_100), 44_100, format=kind)
    found = ["a.wav", "b.FLAC", "c.m4a", "d.spx"]
    assert names(tmp_path) == found + [f"take of {k}..." for k in ("AIFF", "AU", "CAF", "FLAC", "OGG", "W64", "WAV")]


def test_a_lyrics_file_beside_a_song_does_not_stop_a_folder(tmp_path):
    touch(tmp_path, "songs/a.wav", "songs/a.lrc", "songs/a.srt", "songs/a.wav.asd")
    assert list_jobs(tmp_path / "songs", tmp_path / "out", ".wav") == [
        (tmp_path / "songs/a.wav", tmp_path / "out/a.wav")
    ]


def test_trash_and_hidden_folders_are_not_entered(tmp_path):
    touch(tmp_path, "Ann/a.wav")
    for folder in (".Trash-1000/files", "$RECYCLE.BIN", "__MACOSX/Ann", ".git", "System Volume Information", "@eaDir"):
        touch(tmp_path, f"{folder}/x.wav", f"Ann/{folder}/x.wav")
    assert names(tmp_path) == ["Ann/a.wav"]
    assert find_by_speaker(tmp_path) == ([("Ann", tmp_path / "Ann/a.wav")], [])


def test_a_link_out_of_the_tree_is_followed_once(tmp_path):
    touch(tmp_path, "data/Ann/a.wav", "elsewhere/in/b.wav", "elsewhere/c.wav")
    for name in ("more", "still more"):
        (tmp_path / "data/Ann" / name).symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/in/loop").symlink_to("..")
    (tmp_path / "data/Ann/part").symlink_to(tmp_path / "elsewhere/in")
    (tmp_path / "data/Bob").symlink_to(tmp_path / "elsewhere")
    assert names(tmp_path / "data/Ann") == ["a.wav", "more/c.wav", "more/in/b.wav"]
    files, rejected = find_by_speaker(tmp_path / "data")
    assert [(name, path.name) for name, path in files] == [("Ann", "a.wav"), ("Ann", "c.wav"), ("Ann", "b.wav")]
    assert [row["path"] for row in rejected] == ["Bob"]


@pytest.mark.parametrize("target", [".", "..", "Bob", "Bob/songs"])
def test_a_link_into_the_tree_doubles_nobody(tmp_path, target):
    touch(tmp_path, "data/Ann/a.wav", "data/Bob/songs/b.wav", "x.wav")
    (tmp_path / "data/all").symlink_to(target)
    (tmp_path / "data/Ann/more").symlink_to(Path("..") / target)
    files, rejected = find_by_speaker(tmp_path / "data")
    assert [(name, path.name) for name, path in files] == [("Ann", "a.wav"), ("Bob", "b.wav")]
    assert [row["path"] for row in rejected] == ["all"]
    assert "remove the link" in rejected[0]["reason"]
