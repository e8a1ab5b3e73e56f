"""``svc evaluate --protocol``: what is evaluated, with which voice; conversion and scores are tested elsewhere."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from test_cli import svc

from svc.adaptation import pipeline
from svc.audio import files
from svc.audio.files import Audio
from svc.cli import evaluate
from svc.features.training_data import TrainingData, song_hash
from svc.inference.voice import VoiceFile

DATA = TrainingData(frozenset({song_hash("Ann", "folder/old")}))


@pytest.fixture
def corpus(tmp_path):
    """A song that Ann trained on and one that she did not; Cat, who is not in the voice, also speaks."""
    time = np.arange(14_400) / 24_000
    tone = Audio((0.1 * sum(np.sin(2 * np.pi * 200 * k * time) / k for k in range(1, 9))).astype(np.float32), 24_000)
    for name in ("Ann/old", "Ann/new", "Cat/new", "Cat/speech"):
        (tmp_path / "data" / name).mkdir(parents=True)
        files.write(tmp_path / "data" / name / "1.wav", tone)
    return tmp_path / "data"


@pytest.fixture
def run(corpus, voice, tmp_path, monkeypatch, capsys):
    """Runs a protocol; its output and what would be evaluated: requests and names of the voice's speakers."""

    def protocol(name):
        evaluated = []
        replace(voice, training_data=DATA).save(tmp_path / "voice.safetensors")
        monkeypatch.setattr(
            evaluate, "_evaluate", lambda request, made, *_: evaluated.append((request, len(made.voice.speakers)))
        )
        arguments = ("-v", tmp_path / "voice.safetensors", "--sources", corpus, "-o", tmp_path / "out")
        return *svc(monkeypatch, capsys, "evaluate", "--protocol", name, *arguments), evaluated

    return protocol


def songs(request):
    return sorted(str(path.relative_to(request.sources)) for path in request.sources.rglob("*.wav"))


def test_speech_of_a_new_speaker_is_fitted(run, monkeypatch, tmp_path):
    fitted = []

    def adapt(voice, clips, options, work_dir, **_):
        fitted.append((options.name, [path.name for path in clips.iterdir()]))
        return SimpleNamespace(voice=voice, outcome=SimpleNamespace(interrupted=False))

    monkeypatch.setattr(pipeline, "adapt", adapt)
    code, _, err, [(request, _)] = run("one-minute")
    assert code == 0, err
    assert fitted == [("Cat", ["00.wav"])]
    assert request.speakers == ("Cat",)
    assert songs(request) == ["Ann/folder/new/1.wav", "Cat/folder/new/1.wav"]
    assert VoiceFile.load(tmp_path / "out" / "voice.safetensors")


def test_harmony_has_other_inputs_for_the_same_songs(run, monkeypatch):
    pytest.importorskip("parselmouth")
    network = SimpleNamespace(to=lambda _device: lambda mix: mix[:, None].repeat(1, 4, 1, 1))
    monkeypatch.setattr("svc.inference.separation.load_pretrained", lambda: network)
    code, _, err, evaluated = run("harmony")
    assert code == 0, err
    assert [request.out.name for request, _ in evaluated] == ["clean", "harmony", "separated"]
    clean, harmony, separated = (request for request, _ in evaluated)
    assert clean.sources == harmony.sources
    assert clean.inputs is None
    for request in (harmony, separated):
        assert (request.inputs / "Ann" / "folder" / "new" / "1.wav").is_file()
