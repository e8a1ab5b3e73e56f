"""The command line: it answers at once, names the next command, and errors are one line."""

import json
import resource
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from typer.main import get_command
from zoo import make_zoo

from svc.adaptation.initial_weights import initialise_from
from svc.audio import files
from svc.audio.files import Audio
from svc.cli import COMMANDS, load_commands, main, train
from svc.cli.app import RENAMED_OPTIONS, app
from svc.cli.prepare import print_summary
from svc.config import load, to_tree
from svc.data.prepare import Summary
from svc.errors import WeightsError
from svc.features.training_data import TrainingData
from svc.inference.voice import VoiceFile
from svc.models.weight_names import SPEAKER_PARAM_NAMES
from svc.training import loop
from svc.training.state import create_state

ROOT = Path(__file__).parents[2]


def svc(monkeypatch, capsys, *arguments) -> tuple[int, str, str]:
    """Exit code, output and error output of a command."""
    monkeypatch.setattr(sys, "argv", ["svc", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        main()
    shown = capsys.readouterr()
    return int(stopped.value.code or 0), shown.out, shown.err


def test_help_answers_in_half_a_second():
    """Of the processor, and the best of three, so that other programs do not count."""
    times = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "svc", "--help"], cwd=ROOT, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(times) < 0.5


def test_commands_are_these(monkeypatch, capsys):
    _, out, _ = svc(monkeypatch, capsys, "--help")
    lines = out.partition("Commands:\n")[2].partition("\n\n")[0].splitlines()
    assert [line.split()[0] for line in lines] == list(COMMANDS)
    assert not any(line.endswith("...") for line in lines)  # cut by click: shorten the first line of its docstring


@pytest.mark.parametrize("command", COMMANDS)
def test_help_names_values_in_words(command, monkeypatch, capsys):
    """Of types as Python prints them, there is none; options and texts fit a terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    code, out, _ = svc(monkeypatch, capsys, command, "--help")
    assert code == 0
    assert not any(kind in out for kind in ("<path>", "<str>", "<int", "<float", "<list", "{", "None"))
    assert max(map(len, out.splitlines())) <= 80


OLD = [(command, old, new) for command, options in RENAMED_OPTIONS.items() for old, new in options.items()]


@pytest.mark.parametrize(("command", "old", "new"), OLD)
def test_an_old_option_names_the_new_one(command, old, new, monkeypatch, capsys):
    code, out, err = svc(monkeypatch, capsys, command, "x", f"{old}=y")
    assert (code, out) == (2, "")
    assert err == f"svc: {old}: this option is now {new}; see svc {command} --help\n"
    load_commands([command])
    options = [name for option in get_command(app).commands[command].params for name in option.opts]
    assert new in options
    assert old not in options


def test_train_prepares_a_folder_of_recordings_first(prepared, tmp_path, monkeypatch, capsys):
    calls = []
    monkeypatch.setattr(train, "prepare_data", lambda *args_: calls.append(("prepare", *args_[:2])))
    monkeypatch.setattr(train, "train_voice", lambda *args_, **_: calls.append(("train", *args_[:2])))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "choir").mkdir()
    assert svc(monkeypatch, capsys, "train", "choir")[0] == 0
    run = Path("runs") / "choir"
    assert calls == [("prepare", Path("choir"), run / "prepared"), ("train", run / "prepared", run)]
    calls.clear()
    assert svc(monkeypatch, capsys, "train", prepared.folder, "-o", "mine")[0] == 0
    assert calls == [("train", prepared.folder, Path("mine"))]


def test_training_leaves_a_voice_and_a_licence_that_fits(prepared, tiny, tmp_path, monkeypatch, capsys):
    """Stopped before its end, as by Ctrl-C."""
    (tmp_path / "config.yaml").write_text(json.dumps(to_tree(tiny)))
    monkeypatch.setattr(train, "validation_evaluator", lambda *_: None)
    monkeypatch.setattr(loop, "any_rank", lambda *_: True)
    options = ("-c", tmp_path / "config.yaml", "-o", tmp_path / "run", "--cpu", "--license", "CC0", "--note", "of me")
    code, out, err = svc(monkeypatch, capsys, "train", prepared.folder, *options)
    assert code == 0, err
    assert "stopped and saved at step 1" in out
    assert "to continue, run the same command again" in out.splitlines()[-1]
    assert ("report.html" in out, (tmp_path / "run" / "report.html").exists()) == (False, False)
    card = VoiceFile.read(tmp_path / "run" / "voice.safetensors").card
    assert (card["licence"], card["speakers"]) == ("CC0", "of me")


def test_training_starts_from_a_voice(voice, prepared, tiny, tmp_path, monkeypatch, capsys):
    """All weights but the speakers' are the voice's at step 0; another sample rate is refused."""
    tree = to_tree(tiny)
    (tmp_path / "config.yaml").write_text(json.dumps(tree))
    (tmp_path / "other.yaml").write_text(json.dumps(tree | {"sample_rate": 16_000}))
    replace(voice, training_data=TrainingData(frozenset([b"12345"]))).save(tmp_path / "ann.safetensors")
    config = load(tmp_path / "config.yaml")
    state = create_state(config, content_channels=20, num_speakers=3, device=torch.device("cpu"))
    initialise_from(tmp_path / "ann.safetensors", config, ["Cat", "Ann", "Dan"])(state)
    for name, value in state.generator.state_dict().items():
        own = torch.from_numpy(voice.weights[name])
        rows = torch.stack([own.mean(0), own[0], own.mean(0)])
        assert torch.equal(value, rows if name in SPEAKER_PARAM_NAMES else own)
    monkeypatch.setattr(train, "validation_evaluator", lambda *_: None)
    monkeypatch.setattr(loop, "any_rank", lambda *_: True)
    options = ("--from", tmp_path / "ann.safetensors", "-o", tmp_path / "run", "--cpu")
    code, _, err = svc(monkeypatch, capsys, "train", prepared.folder, "-c", tmp_path / "config.yaml", *options)
    assert code == 0, err
    trained = VoiceFile.read(tmp_path / "run" / "voice.safetensors")
    assert b"12345" in trained.training_data.hashes
    assert any(name.startswith("wavenet.") for name in trained.weights)  # although the run ended before its turn
    with pytest.raises(WeightsError, match="at 24000 Hz, and the config asks for 16000 Hz"):
        initialise_from(tmp_path / "ann.safetensors", load(tmp_path / "other.yaml"), [])


def test_speakers(world, monkeypatch, capsys):
    code, out, _ = svc(monkeypatch, capsys, "speakers", "runs/a/voice.safetensors")
    assert code == 0
    assert "0  Ann" in out
    assert "1  Bob Ö." in out
    assert "licence: CC0" in out
    assert "next: svc convert" in out
    code, out, _ = svc(monkeypatch, capsys, "speakers", "base")
    assert out.startswith("base: ")
    assert "next: svc convert --voice base --speaker 0 SONG.wav" in out


def test_a_short_speaker_is_one_whose_clips_are_short(prepared, tmp_path, capsys):
    """Those of the test side count too, as in the column of minutes."""
    clip, speaker = prepared.clips[0], prepared.speakers[0]
    for frames, short in ((5_900, True), (6_100, False)):
        clips = [replace(clip, speaker=speaker.name, frames=frames)]
        print_summary(Summary(clips, [replace(speaker, seconds=50.0)], [], []), tmp_path)
        assert ("less than a minute" in capsys.readouterr().out) == short


def test_convert_finds_the_voice_and_names_the_output(world, monkeypatch, capsys):
    code, out, _ = svc(monkeypatch, capsys, "convert", "--speaker", "1", "song.wav")
    assert code == 0
    assert "next: listen to song_Bob Ö..wav" in out
    info = soundfile.info("song_Bob Ö..wav")
    assert (info.frames, info.samplerate) == (44_100, 44_100)


def test_f0_is_written_and_read_back(world, monkeypatch, capsys):
    svc(monkeypatch, capsys, "convert", "-s", "0", "-t", "12", "song.wav", "-o", "a.wav", "--save-f0-csv", "a.csv")
    code, _, _ = svc(
        monkeypatch, capsys, "convert", "-s", "0", "-t", "12", "--f0-csv", "a.csv", "song.wav", "-o", "b.wav"
    )
    assert code == 0
    assert Path("a.wav").read_bytes() == Path("b.wav").read_bytes()


def test_terminal_escapes_in_a_card_are_not_shown(world, voice, monkeypatch, capsys):
    stranger = replace(voice, card={"licence": "free\x1b[31m\nsvc: beware"})
    stranger.save(world / "v.safetensors")
    _, out, _ = svc(monkeypatch, capsys, "speakers", "v.safetensors")
    assert "\x1b" not in out
    assert "licence: free [31m svc: beware" in out


def test_convert_never_overwrites_without_force(world, monkeypatch, capsys):
    svc(monkeypatch, capsys, "convert", "-s", "0", "song.wav", "-o", "out.flac")
    before = Path("out.flac").read_bytes()
    code, _, err = svc(monkeypatch, capsys, "convert", "-s", "1", "song.wav", "-o", "out.flac")
    assert code == 2
    assert "exists already; add -f" in err
    assert Path("out.flac").read_bytes() == before
    code, _, _ = svc(monkeypatch, capsys, "convert", "-s", "1", "song.wav", "-o", "out.flac", "-f")
    assert code == 0
    assert Path("out.flac").read_bytes() != before


WRONG = {
    "no such speaker": (["convert", "-s", "7", "song.wav"], "no speaker '7' in this voice"),
    "output is the song": (["convert", "-s", "0", "-f", "song.wav", "-o", "song.wav"], "is an input"),
    "no such recording": (["convert", "-s", "none.wav", "song.wav"], "none.wav: no such file"),
    "folder as a speaker": (["convert", "-s", "runs", "song.wav"], "runs: is a folder; name one recording"),
    "no such clips": (["fit", "none", "-n", "Cy", "-o", "c.safetensors"], "no such folder"),
    "folder as a song": (["convert", "-s", "0", "."], "is a folder; add -r"),
    "long name": (["convert", "-s", "0", "song.wav", "-o", "x" * 300 + ".wav"], "cannot be a file name"),
    "no such song": (["convert", "-s", "0", "none.wav"], "no such file"),
    "no such voice": (["convert", "-s", "0", "-v", "none", "song.wav"], "no such file"),
    "transpose": (["convert", "-s", "0", "-t", "high", "song.wav"], "give auto, match, or semitones"),
    "device": (["convert", "-s", "0", "--device", "tpu", "song.wav"], "not there; use cpu"),
    "format": (["convert", "-s", "0", "song.wav", "-o", "song.xyz"], "format"),
    "folder": (["convert", "-s", "0", "song.wav", "-o", "no/where.wav"], "no such folder"),
    "curve": (["convert", "-s", "0", "--f0-csv", "song.wav", "song.wav"], "seconds,hz"),
    "no data": (["prepare", "none", "-o", "out"], "no such folder"),
    "no config": (["prepare", ".", "-o", "out", "-c", "none.yaml"], "cannot be read"),
    "unknown option": (["prepare", ".", "-o", "out", "--set", "train.stepz=3"], "did you mean steps"),
    "no run": (["export", "runs/a", "-o", "v.safetensors"], "no complete checkpoint"),
}


@pytest.mark.parametrize("case", WRONG)
def test_errors_are_one_line_and_leave_nothing(case, world, monkeypatch, capsys):
    arguments, sentence = WRONG[case]
    before = sorted(world.rglob("*"))
    code, _, err = svc(monkeypatch, capsys, *arguments)
    lines_out = [line for line in err.splitlines() if line.startswith("svc: ")]
    assert code == 2
    assert len(lines_out) == 1
    assert sentence in lines_out[0]
    assert "Traceback" not in err
    assert sorted(world.rglob("*")) == before


def test_convert_refuses_every_bad_file(world, monkeypatch, capsys):
    shutil.rmtree("zoo", ignore_errors=True)
    Path("zoo").mkdir()
    bad, _ = make_zoo(world / "zoo")
    for name, path in bad.items():
        code, _, err = svc(monkeypatch, capsys, "convert", "-s", "0", "-o", "out.wav", "--", path)
        assert code == 2, name
        assert [line.startswith("svc: ") for line in err.splitlines() if line].count(True) == 1, name
        assert not Path("out.wav").exists(), name


class TestEvaluate:
    OWN = ("--speaker-encoder", "cepstral")

    def test_existing_conversions_and_comparison(self, singers_folder, monkeypatch, capsys, tmp_path):
        """One system copies the song, the other another song by the target."""
        original, other = (singers_folder / name / "0.wav" for name in ("alto", "bass"))
        for place, path in (("first", original), ("second", other)):
            (tmp_path / place / "bass" / "alto").mkdir(parents=True)
            audio = files.read(path)
            samples = np.resize(audio.samples, len(files.read(original).samples))
            files.write(tmp_path / place / "bass" / "alto" / "0.wav", Audio(samples, audio.rate))
            arguments = ("--sources", singers_folder, "--converted", tmp_path / place, "-o", tmp_path / f"{place}_out")
            code, lines_out, err = svc(monkeypatch, capsys, "evaluate", *arguments, *self.OWN)
            assert code == 0, err
        code, lines_out, err = svc(monkeypatch, capsys, "compare", tmp_path / "first_out", tmp_path / "second_out")
        assert code == 0, err
        (line,) = (line for line in lines_out.splitlines() if line.startswith("| cosine to target"))
        assert line.endswith("| 1 | 1.000 | too few songs |")
        assert "next: listen" in lines_out

    @pytest.mark.parametrize("name", ["scores.json", "scores.md", "report.html", "converted"])
    def test_nothing_is_replaced_without_force(self, name, singers_folder, monkeypatch, capsys, tmp_path):
        (tmp_path / name).write_text("mine")
        code, _, err = svc(monkeypatch, capsys, "evaluate", "--sources", singers_folder, "-o", tmp_path, *self.OWN)
        assert code == 2
        assert f"{name}: exists already; add -f to replace it or give another -o" in err
        assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(name, "mine")]

    @pytest.mark.parametrize(
        ("arguments", "reason"),
        [
            (("--f0-tracker", "ears"), "--f0-tracker ears: no such tracker; give one of praat, pyin"),
            (("--speaker-encoder", "ears"), "--speaker-encoder ears: no such encoder; choose one of campplus"),
            (("--mos", "ears"), "ears"),
            (("--sources", "none"), "none: no such folder; choose another with --sources"),
            (("--enrolment", "none"), "none: no such folder; choose another with --enrolment"),
            (("--speaker", "Nobody"), "--speaker Nobody: no such enrolment folder; there are alto, bass"),
            (("--parallel", "none"), "none: no such folder; choose another with --parallel"),
            (("--converted", "none"), "none: no such folder; choose another with --converted"),
            (("--voice", "a", "--converted", "b"), "not both"),
        ],
    )
    def test_errors_are_one_line(self, arguments, reason, singers_folder, monkeypatch, capsys, tmp_path_factory):
        converted, tmp_path = tmp_path_factory.mktemp("converted"), tmp_path_factory.mktemp("empty")
        shutil.copytree(singers_folder, converted / "alto")
        base_options = ("--sources", singers_folder, "--converted", converted, "-o", tmp_path / "out", *self.OWN)
        code, _, err = svc(monkeypatch, capsys, "evaluate", *base_options, *arguments)
        assert code == 2
        assert reason in err
        assert "Traceback" not in err
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize("option", ["--sources", "--enrolment", "--parallel", "--converted"])
    def test_out_inside_what_is_read(self, option, singers_folder, monkeypatch, capsys, tmp_path):
        (tmp_path / "real" / "alto").mkdir(parents=True)
        (tmp_path / "inputs").mkdir()
        (tmp_path / "inputs" / "alto").symlink_to(tmp_path / "real" / "alto")
        (tmp_path / "link").symlink_to(tmp_path / "inputs")
        before = sorted(tmp_path.rglob("*"))
        for place in ("inputs", "link/new", "inputs/alto/new", "real/alto"):
            base_options = ("--sources", singers_folder, option, tmp_path / "inputs", "-o", tmp_path / place)
            code, _, err = svc(monkeypatch, capsys, "evaluate", *base_options, *self.OWN)
            assert code == 2
            assert f"{place}: lies inside the folder of {option}, where it would count as a speaker" in err
        assert sorted(tmp_path.rglob("*")) == before

    def test_scores_that_are_not_valid(self, monkeypatch, capsys, tmp_path):
        for text in ("", "[]", '{"rows": [{"system": 1}]}', '{"rows": 3}', "{" * 10_000):
            (tmp_path / "scores.json").write_text(text)
            code, _, err = svc(monkeypatch, capsys, "compare", tmp_path, tmp_path)
            assert code == 2
            assert "no scores of this version; make them with `svc evaluate -o`" in err
