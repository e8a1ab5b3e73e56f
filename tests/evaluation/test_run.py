"""A whole evaluation with metrics that need no extra: every system, every file that is skipped, the report."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from svc.audio.files import Audio, write
from svc.data.synthetic.phrases import phrase
from svc.data.synthetic.singers import SINGERS, render
from svc.errors import DataError
from svc.evaluation import evaluator, report, run
from svc.evaluation.evaluator import EvaluatorConfig
from svc.evaluation.metrics.table import by_exposure, group_rows
from svc.evaluation.run import EvaluationRequest, evaluate
from svc.features.training_data import TrainingData, song_hash
from svc.inference.converter import Converter

METRICS = EvaluatorConfig(speaker_encoder="cepstral")
ALTO, BASS, SOPRANO = SINGERS[:3]


def sing(path, speaker, seed, semitones=0.0, gain=1.0):
    song = phrase(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    natural = render(speaker, song)
    performance = render(speaker, song, f0=natural.f0 * 2 ** (semitones / 12)) if semitones else natural
    write(path, Audio(performance.samples * np.float32(gain), performance.rate))


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two songs by the alto, enrolment of three speakers, the first song twice by the bass."""
    root = tmp_path_factory.mktemp("evaluation")
    for seed in (50, 51):
        sing(root / "songs" / "alto" / f"{seed}.wav", ALTO, seed)
    for speaker in (ALTO, BASS, SOPRANO):
        for seed in (1, 2, 3):
            sing(root / "enrolment" / speaker.name / f"{seed}.wav", speaker, seed)
    sing(root / "truths" / "bass" / "50.wav", BASS, 50)
    sing(root / "truths" / "bass" / "50.other.wav", BASS, 50, semitones=0.2)
    return root


def request(folders, out, **more):
    places = {"sources": folders / "songs", "enrolment": folders / "enrolment", "parallel": folders / "truths"}
    return EvaluationRequest(**places | {"out": out, "metrics": METRICS} | more)


@pytest.fixture(scope="module")
def evaluation(folders):
    converted = folders / "converted"
    sing(converted / "bass" / "alto" / "50.wav", BASS, 50)
    sing(converted / "bass" / "alto" / "51.wav", ALTO, 51, semitones=1.0, gain=0.5)
    return evaluate(request(folders, folders / "out", converted=converted))


class TestExistingConversions:
    """The bass's own performance of one song, and the source a semitone higher for the other."""

    def row(self, evaluation, system, song):
        (row,) = (row for row in evaluation.scores.rows if (row["system"], row["song"]) == (system, song))
        return row

    def test_the_target_s_own_recording(self, evaluation):
        row = self.row(evaluation, "voice", "alto/50")
        assert row["named_target"] == 1
        assert row["named_source"] == 0
        assert row["progress"] > 0.8
        assert row["mcd"] == pytest.approx(0, abs=1e-3)
        assert row["f0_median"] < 25  # each singer has a vibrato of her own

    def test_the_source_a_semitone_higher(self, evaluation):
        row = self.row(evaluation, "voice", "alto/51")
        assert row["shift"] == pytest.approx(100, abs=3)
        assert row["f0_rmse"] < 20
        assert (row["named_target"], row["named_source"]) == (0, 1)
        assert row["progress"] < 0.3
        assert "mcd" not in row

    def test_between_floor_and_ceiling(self, evaluation):
        floor, ceiling = (self.row(evaluation, system, "alto/50") for system in ("copied", "truth"))
        assert floor["f0_rmse"] == floor["content_distance"] == floor["progress"] == 0
        assert floor["named_source"] == ceiling["named_target"] == 1
        assert floor["mcd"] > 2 * ceiling["mcd"] > 0
        assert floor["cosine"] < ceiling["cosine"]

    def test_enrolment_is_scored_leaving_one_out(self, evaluation):
        own = [row for row in evaluation.scores.rows if row["system"] == "reference"]
        assert [row["target"] for row in own] == ["bass"] * 3
        assert all(row["named_target"] == 1 for row in own)

    def test_report(self, evaluation, folders):
        req = request(folders, folders / "out")
        assert not req.out.exists()
        lines = report.write_report(evaluation, req, "existing <conversions>", num_examples=5).split("\n")
        assert 3 <= len(lines) <= 4
        assert lines[0].startswith("2 conversions of 2 songs: melody")
        assert "1 of 2 taken for the target" in lines[0]
        assert lines[1].startswith("similarity: identified as target 50.0% (source 0.0%, truth 100.0%)")
        markdown = (req.out / "scores.md").read_text()
        assert "| converted | 2 |" in markdown
        assert "| source, unconverted | 2 |" in markdown
        content = json.loads((req.out / "scores.json").read_text(), parse_constant=pytest.fail)  # no NaN
        assert content["summary"]["converted"]["named_target"]["mean"] == 0.5
        rows, _ = report.load_scores(req.out)
        assert len(rows) == len(evaluation.scores.rows)
        page = (req.out / "report.html").read_text()
        assert page.count("data:audio/flac;base64,") == 2 * 3
        assert page.count("data:image/png;base64,") == 2 * 3
        assert "truth: bass&#39;s own performance" in page
        assert "another recording of bass" in page
        headings = re.findall(r"<h2>([^<]*)", page)  # worst first
        assert headings == [
            "alto/51 → bass, +1 semitones, not taken for the target",
            "alto/50 → bass, -14 semitones, taken for the target",
        ]
        assert "2 of 2 outputs, the least similar to its target first." in page
        assert re.search(r'<li class="good"[^>]*own performance\)"><span>similarity', page)
        assert re.search(r'<li class="poor"[^>]*><span>similarity', page)
        assert "existing &lt;conversions&gt;" in page
        assert (req.out / "scores.md").read_text().startswith("# existing")


def test_bad_files_are_skipped_with_their_reason(folders, tmp_path):
    for seed in (50, 51):
        sing(tmp_path / "songs" / "alto" / f"{seed}.wav", ALTO, seed)
    (tmp_path / "songs" / "alto" / "broken.wav").write_text("not audio")
    for name, seed in (("50", 50), ("51", 51), ("broken", 50), ("stranger", 50)):
        sing(tmp_path / "converted" / "bass" / "alto" / f"{name}.wav", BASS, seed)
    sing(tmp_path / "converted" / "soprano" / "alto" / "50.wav", SOPRANO, 50, gain=1e-6)
    short = Audio(render(SOPRANO, phrase(51)).samples[:24_000], 24_000)
    write(tmp_path / "converted" / "soprano" / "alto" / "51.wav", short)
    req = request(folders, tmp_path / "out", sources=tmp_path / "songs", converted=tmp_path / "converted")
    evaluation = evaluate(req)
    assert {(pair.song.name, pair.target) for pair in evaluation.scores.pairs} == {("50", "bass"), ("51", "bass")}
    assert {row["target"] for row in evaluation.scores.rows} == {"bass"}
    reasons = {Path(reason.split(": ")[0]).name: reason for reason in evaluation.scores.skipped}
    assert sorted(reasons) == ["50.wav", "51.wav", "broken.wav", "stranger.wav"]
    assert "silent" in reasons["50.wav"]
    assert "its source" in reasons["51.wav"]
    assert "not audio" in reasons["broken.wav"]
    assert "no source alto/stranger" in reasons["stranger.wav"]


def test_unusable_enrolment(folders, tmp_path):
    """The alto's are long, the bass's as they should be, the soprano's is broken."""
    performance = render(ALTO, phrase(1))
    enrolment, rate = tmp_path / "enrolment", performance.rate
    for name in ("alto", "soprano"):
        (enrolment / name).mkdir(parents=True)
    write(enrolment / "alto" / "long.wav", Audio(np.resize(performance.samples, 31 * rate), rate))
    write(enrolment / "alto" / "late.wav", Audio(np.pad(performance.samples, (30 * rate, 0)), rate))
    (enrolment / "bass").symlink_to(folders / "enrolment" / "bass")
    (enrolment / "soprano" / "1.wav").write_text("not audio")
    for name in ("bass", "soprano"):
        shutil.copytree(folders / "songs", tmp_path / "converted" / name)
    req = request(folders, tmp_path / "out", enrolment=tmp_path / "enrolment", converted=tmp_path / "converted")
    evaluation = evaluate(req)
    assert [(pair.song.name, pair.target) for pair in evaluation.scores.pairs] == [("50", "bass"), ("51", "bass")]
    late, broken, missing = evaluation.scores.skipped
    assert late.endswith("late.wav: silent for its first 30 s; cut them off")
    assert "1.wav: not audio" in broken
    assert missing == "no enrolment recordings of soprano; put some in a folder for --enrolment"
    (recording,) = evaluation.enrolment["alto"]
    assert recording.seconds == 30
    assert recording.samples.base is None  # the rest is not kept
    with pytest.raises(DataError, match="no enrolment recordings of soprano; put some in a folder for --enrolment"):
        evaluate(replace(req, speakers=("soprano",)))


@pytest.fixture(scope="module")
def named(voice):
    """An untrained voice whose speakers are called alto and bass; it says that it knows a song of the alto."""
    pairs = zip(voice.speakers, ("alto", "bass"), strict=True)
    speakers = tuple(replace(singer, name=name) for singer, name in pairs)
    return replace(voice, speakers=speakers, training_data=TrainingData(frozenset({song_hash("alto", "folder/51")})))


class TestVoice:
    def test_converts_and_keeps_the_conversions(self, folders, named, tmp_path):
        evaluation = evaluate(request(folders, tmp_path), Converter(named))
        assert sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.wav")) == [
            f"{folder}/{target}/alto/{song}.wav"
            for folder in ("converted", "source_filter")
            for target in ("alto", "bass")
            for song in (50, 51)
        ]
        assert {name: len(rows) for name, rows in group_rows(evaluation.scores.rows).items()} == {
            "reconstructed": 2,
            "converted": 2,
            "reconstructed, source–filter stage alone": 2,
            "converted, source–filter stage alone": 2,
            "source, unconverted": 2,
            "target's own performance": 1,
            "target's enrolment recordings": 6,
        }
        assert all(
            row["stft"] > 0 for row in evaluation.scores.rows if row["speaker"] == row["target"] and "stft" in row
        )
        voice = [row for row in evaluation.scores.rows if row["system"] == "voice"]
        assert all(-120 <= row["wavenet_0-1"] <= 40 and "wavenet_8-12" in row for row in voice)
        assert evaluation.notes == ["The voice was trained on 1 of 2 songs, or on their truths."]
        unseen, seen = by_exposure(evaluation.scores.rows).items()
        assert (unseen[0], seen[0]) == (", songs not trained on", ", songs trained on")
        assert [{r["song"] for r in rows if r["system"] == "voice"} for _, rows in (unseen, seen)] == [
            {"alto/50"},
            {"alto/51"},
        ]
        report.write_report(evaluation, request(folders, tmp_path), "x", 0)
        text = (tmp_path / "scores.md").read_text()
        assert text.index("Content, songs not trained on") < text.index("f0 and loudness, songs trained on")
        assert json.loads((tmp_path / "scores.json").read_text())["summary"]["converted"]["f0_rmse"]["files"] == 1
        again = evaluate(request(folders, tmp_path / "again", converted=tmp_path / "converted"))
        assert {(r["song"], r["target"], r.get("cosine")) for r in again.scores.rows} == {
            (r["song"], r["target"], r.get("cosine")) for r in evaluation.scores.rows if r["system"] != "source_filter"
        }


def test_of_many_speakers_without_recordings_a_few_are_named(tmp_path):
    """The base voice has 280."""
    skipped: list[str] = []
    names = [f"reader {number}" for number in range(20)]
    run._plan(request(tmp_path, tmp_path), [], ["Ann", *names], {"Ann"}, skipped)
    assert skipped == [
        f"no enrolment recordings of {', '.join(names[:8])} and 12 more; put some in a folder for --enrolment"
    ]


def test_lyrics_beside_the_songs(folders, evaluation, tmp_path, monkeypatch):
    """Source, output and truth are transcribed; a broken text skips its song."""
    pytest.importorskip("jiwer")
    monkeypatch.setattr(evaluator, "WhisperASR", lambda *_: SimpleNamespace(transcribe=lambda _audio: "ah oh"))
    for seed, text in ((50, b"Ah, oh! AH"), (51, b"\xff")):
        sing(tmp_path / "songs" / "alto" / f"{seed}.wav", ALTO, seed)
        (tmp_path / "songs" / "alto" / f"{seed}.txt").write_bytes(text)
    places = {"sources": tmp_path / "songs", "converted": folders / "converted"}
    scores = evaluate(request(folders, tmp_path / "out", **places, metrics=replace(METRICS, asr="small"))).scores
    rows = {row["system"]: row for row in scores.rows if row["system"] != "reference"}
    assert set(rows) == {"voice", "copied", "truth"}
    for row in rows.values():
        assert row["song"] == "alto/50"
        assert (row["wer"], row["wer_difference"]) == pytest.approx((1 / 3, 0))
    assert any("51.txt: cannot be read" in reason for reason in scores.skipped)
