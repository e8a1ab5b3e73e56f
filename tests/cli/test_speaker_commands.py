"""The commands speakers, rename, remove and merge."""

import numpy as np
import pytest
from test_cli import svc
from test_speakers import CAT, row

from svc.inference import speakers
from svc.inference.voice import VoiceFile

V = "runs/a/voice.safetensors"


def test_all_speakers_are_listed(world, voice, monkeypatch, capsys):
    speakers.without(speakers.with_speaker(voice, CAT, row(np.ones(4))), "0").save(world / "b.safetensors")
    code, out, _ = svc(monkeypatch, capsys, "speakers", "b.safetensors")
    assert code == 0
    lines = out.splitlines()
    assert lines.pop(0) == "b.safetensors: 2 speakers, minutes of recordings, range for --transpose auto"
    assert lines[0].split() == ["1", "Bob", "Ö.", "1.5", "min", "trained", "80–220", "Hz,", "median", "110"]
    assert lines[1].split() == ["2", "Cat", "0.5", "min", "adapted", "200–500", "Hz,", "median", "300"]
    assert lines[-1].startswith("next: svc convert")


def test_rename_remove_and_back(world, monkeypatch, capsys):
    code, out, _ = svc(monkeypatch, capsys, "rename", V, "1", "Bea", "-o", "b.safetensors")
    assert code == 0
    assert "1  Bea" in out
    code, out, _ = svc(monkeypatch, capsys, "remove", "b.safetensors", "Ann", "-o", "c.safetensors")
    assert code == 0
    assert [(s.number, s.name) for s in VoiceFile.load(world / "c.safetensors").speakers] == [(1, "Bea")]
    assert "next: svc convert" in out


def test_merge(world, voice, monkeypatch, capsys):
    speakers.with_speaker(voice, CAT, row(np.ones(4))).save(world / "b.safetensors")
    code, out, _ = svc(monkeypatch, capsys, "merge", V, "b.safetensors", "-o", "c.safetensors")
    assert code == 0
    assert "Cat is now number 2" in out
    assert [s.name for s in VoiceFile.load(world / "c.safetensors").speakers] == ["Ann", "Bob Ö.", "Cat"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["rename", V, "7", "Bea", "-o", "b.safetensors"], "it has 0 Ann"),
        (["rename", V, "0", "../Bea", "-o", "b.safetensors"], "no speaker name"),
        (["rename", V, "0", "Bea", "-o", "b.bin"], "end it in .safetensors"),
        (["rename", V, "0", "Bea", "-o", V], "exists already"),
        (["remove", V, "Zoe", "-o", "b.safetensors"], "it has 0 Ann"),
        (["merge", V, "song.wav", "-o", "b.safetensors"], "song.wav: is not a safetensors file"),
        (["speakers", "nothing.safetensors"], "nothing.safetensors: no such file"),
    ],
    ids=lambda value: " ".join(value[:3]) if isinstance(value, list) else "",
)
def test_errors_are_one_line(world, monkeypatch, capsys, arguments, sentence):
    code, _, err = svc(monkeypatch, capsys, *arguments)
    assert code == 2
    assert sentence in err
    assert err.count("\n") == 1
    assert not (world / "b.safetensors").exists()
