"""Protocols: sources, targets, truths and enrolment of each, on a corpus in the layout of RAVDESS."""

import numpy as np
import pytest

from svc.audio import files
from svc.audio.files import Audio
from svc.data.corpora import find
from svc.errors import DataError
from svc.evaluation import protocols
from svc.evaluation import songs as layout
from svc.evaluation.metrics import f0
from svc.evaluation.protocols import PROTOCOLS, arrange, select
from svc.evaluation.run import EvaluationRequest
from svc.features.training_data import TrainingData, song_hash

VOICE = ["actor01", "actor02"]
DATA = TrainingData(frozenset(song_hash(name, "ravdess/04-01") for name in VOICE))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Two songs in two takes by each of four actors, of whom two are in the voice; three sentences of 25 s by three."""
    root = tmp_path_factory.mktemp("corpus")
    for actor in ("01", "02", "03", "04"):
        (root / f"actor{actor}" / "song").mkdir(parents=True)
        for emotion in ("04", "05"):
            for take in ("01", "02"):
                (root / f"actor{actor}" / "song" / f"03-02-{emotion}-01-01-{take}-{actor}.wav").touch()
        for sentence in range(1, 5) if actor != "04" else ():
            path = root / f"actor{actor}" / "speech" / f"03-01-0{sentence}-01-01-01-{actor}.wav"
            path.parent.mkdir(exist_ok=True)
            files.write(path, Audio(np.zeros(25 * 8000, np.float32), 8000))
    return root


@pytest.mark.parametrize(
    ("name", "sources", "targets"),
    [
        ("seen-speakers", {"actor01", "actor02"}, VOICE),
        ("harmony", {"actor01", "actor02"}, VOICE),
        ("unseen-sources", {"actor03", "actor04"}, VOICE),
        ("zero-shot", {"actor01", "actor02", "actor03", "actor04"}, ["actor03"]),
        ("one-minute", {"actor01", "actor02", "actor03", "actor04"}, ["actor03"]),
    ],
)
def test_sources_and_targets(name, sources, targets, corpus):
    songs, chosen = select(name, find(corpus), VOICE, DATA)
    assert {song.speaker for song in songs} == sources
    assert {song.group for song in songs} == {"ravdess/05-01"}
    assert len(songs) == 2 * len(sources)
    assert chosen == targets


def test_folders_of_a_minute_of_speech(corpus, tmp_path):
    request = arrange("one-minute", EvaluationRequest(sources=corpus, out=tmp_path), VOICE, DATA)
    assert request.speakers == ("actor03",)
    songs = layout.find_songs(request.sources)
    assert [song.id for song in songs][:2] == ["actor01/ravdess/05-01/1", "actor01/ravdess/05-01/2"]
    assert songs[0].text == "Kids are talking by the door\n"
    takes = layout.find_parallel_takes(request.parallel, "actor03", songs[1])
    assert [take.resolve().name for take in takes] == [f"03-02-05-01-01-0{n}-03.wav" for n in (2, 1)]
    assert len(list((tmp_path / "recordings" / "speech" / "actor03").glob("*.wav"))) == 3  # 75 s
    enrolment = layout.find_recordings(request.enrolment, "--enrolment")
    assert {name: len(paths) for name, paths in enrolment.items()} == {f"actor0{n}": 4 for n in range(1, 5)}
    again = arrange("seen-speakers", EvaluationRequest(sources=corpus, out=tmp_path), VOICE, DATA)
    assert not (tmp_path / "recordings" / "speech").exists()
    assert {song.speaker for song in layout.find_songs(again.sources)} == set(VOICE)


def test_nothing_that_fits(corpus):
    recordings = find(corpus)
    with pytest.raises(DataError, match=f"choose one of {', '.join(PROTOCOLS)}"):
        select("seen", recordings, VOICE, DATA)
    with pytest.raises(DataError, match="does not say what it was trained on"):
        select("harmony", recordings, VOICE, TrainingData())
    with pytest.raises(DataError, match="no songs that fit"):
        select("unseen-sources", recordings, [f"actor0{n}" for n in range(1, 5)], DATA)
    with pytest.raises(DataError, match="no targets"):
        select("one-minute", recordings, [f"actor0{n}" for n in range(1, 5)], DATA)


def voice(f0_hz):
    time = np.arange(24_000) / 24_000
    return Audio((0.1 * sum(np.sin(2 * np.pi * f0_hz * k * time) / k for k in range(1, 20))).astype(np.float32), 24_000)


def test_a_second_voice_a_third_above(tmp_path):
    """What is added has −6 dB and four semitones more; without weights there is no separation."""
    pytest.importorskip("parselmouth")
    lead = voice(220.0)
    both = protocols.add_harmony(lead)
    second = both.samples - lead.samples
    assert 10 * np.log10(np.mean(second**2) / np.mean(lead.samples**2)) == pytest.approx(-6, abs=0.1)
    pitch = f0.praat(Audio(second, 24_000))
    assert 12 * np.log2(np.median(pitch[pitch > 0]) / 220) == pytest.approx(4, abs=0.1)
    (tmp_path / "songs" / "Ann").mkdir(parents=True)
    files.write(tmp_path / "songs" / "Ann" / "x.wav", lead)
    skipped: list[str] = []

    class Everything:
        def separate(self, mix, rate):
            return np.stack([mix, mix]), np.zeros((2, len(mix)))

    inputs = protocols.write_harmony_inputs(tmp_path / "songs", tmp_path / "out", skipped, Everything())
    assert inputs == {"clean": None} | {name: tmp_path / "out" / name for name in ("harmony", "separated")}
    assert files.read(inputs["harmony"] / "Ann" / "x.wav").seconds == 1
    band = files.read(inputs["separated"] / "Ann" / "x.wav")
    np.testing.assert_allclose(band.samples, protocols.add_band(lead).samples, atol=1e-4)
    assert skipped == []
