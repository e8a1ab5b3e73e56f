"""Habits at the command line: aliases, several songs, names that tell the key, and a hint that stays in key."""

from types import SimpleNamespace

import numpy as np
import pytest
from test_cli import svc

from svc.cli.app import expand_aliases
from svc.cli.convert import _key
from svc.features.speaker import Speaker
from svc.inference.converter import ConversionReport, Converter


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("convert --singer Ann --key=+3 a.wav", "convert --speaker Ann --transpose=+3 a.wav"),
        ("convert --pitch -2 -- --key", "convert --transpose -2 -- --key"),
        ("style a.wav b.wav --pitch keep", "style a.wav b.wav --pitch keep"),
        ("fit clips --license CC0", "fit clips --licence CC0"),
        ("speakers v", "speakers -v v"),
        ("rename v.safetensors 0 Bea -o b.safetensors", "rename -v v.safetensors 0 Bea -o b.safetensors"),
        ("rename 0 Bea -v v.safetensors", "rename 0 Bea -v v.safetensors"),
        ("merge a.safetensors b.safetensors", "merge -v a.safetensors b.safetensors"),
        ("--help", "--help"),
        ("", ""),
    ],
)
def test_aliases(typed, meant):
    assert expand_aliases(typed.split()) == meant.split()


def test_names_tell_the_key():
    assert [_key(shift) for shift in (3.0, -0.5, 0.0, "match", "auto")] == ["+3", "-0.5", "+0", "_match", ""]


@pytest.mark.parametrize(
    ("hz", "shift", "hint"),
    [
        (440.0, 0.0, "add --transpose -12 to stay in key with 0% of the notes outside"),
        (440.0, 3.0, "add --transpose -9 to stay in key with 0% of the notes outside"),
        (310.0, 0.0, "no other octave fits better; --transpose match"),
    ],
)
def test_the_hint_stays_in_key(hz, shift, hint):
    report = ConversionReport(transpose=shift, share_above_range=1.0, source_f0=np.array([0, hz, hz], np.float32))
    bass = SimpleNamespace(label="Bob", stats=Speaker("Bob", 60.0, 220.0, 200.0, 270.0))
    if hz == 310.0:
        report.share_above_range = 0.5
        report.source_f0 = np.array([235, 310], np.float32)
    assert hint in report.range_lines(bass)[-1]


def test_several_songs(world, monkeypatch, capsys):
    written = []

    def convert_file(self, source, target, options, progress=None):
        written.append((source.name, str(target)))
        target.write_bytes(b"x")
        return ConversionReport(seconds=1.0)

    monkeypatch.setattr(Converter, "convert_file", convert_file)
    (world / "b.wav").write_bytes((world / "song.wav").read_bytes())
    code, out, _ = svc(monkeypatch, capsys, "convert", "-s", "Ann", "-t", "+3", "song.wav", "b.wav", "-o", "out")
    assert code == 0
    assert written == [("song.wav", "out/song_Ann+3.wav"), ("b.wav", "out/b_Ann+3.wav")]
    assert "2 songs converted" in out
    code, out, _ = svc(monkeypatch, capsys, "convert", "-s", "Ann", "-t", "+3", "song.wav", "-o", "out")
    assert (code, len(written)) == (2, 2)  # a folder as -o: the name is in it, and exists
    code, _, err = svc(monkeypatch, capsys, "convert", "-s", "Ann", "song.wav", "song.wav")
    assert code == 2
    assert "2 songs would get this name" in err


def test_a_warning_begins_a_line_though_a_bar_is_shown(world, monkeypatch, capsys):
    recorded = bytearray((world / "song.wav").read_bytes())
    place = recorded.index(b"data") + 4
    recorded[place : place + 4] = bytes(4)
    (world / "recorded.wav").write_bytes(recorded)
    code, _, err = svc(monkeypatch, capsys, "convert", "-s", "Ann", "recorded.wav")
    assert code == 0
    warnings = [line.strip() for line in err.replace("\r", "\n").splitlines() if "header" in line]
    assert len(warnings) == 1
    assert warnings[0].startswith("recorded.wav: its header")


def test_guidance_changes_the_voice(world, monkeypatch, capsys):
    """The voice has .4; 0 is the plain voice, and a negative one is refused."""
    sounds = {}
    for guidance in (None, "0.4", "0"):
        arguments = ["--guidance", guidance] if guidance else []
        out = world / f"{guidance}.wav"
        code, _, err = svc(monkeypatch, capsys, "convert", "song.wav", "-s", "Ann", "-o", out, *arguments)
        assert code == 0, err
        sounds[guidance] = out.read_bytes()
    assert sounds[None] == sounds["0.4"] != sounds["0"]
    assert svc(monkeypatch, capsys, "convert", "song.wav", "-s", "Ann", "--guidance", "-1")[0] == 2
