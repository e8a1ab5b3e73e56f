"""A whole evaluation, with judges that need no extra: every system, every file that cannot be scored, the report."""

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from svc.audio.files import Audio, write
from svc.data.synthetic.singers import SINGERS, phrase, render
from svc.errors import DataError
from svc.evaluation import publish, run
from svc.evaluation.evaluator import Judges, read
from svc.evaluation.metrics import spectral, transcript
from svc.evaluation.metrics.content import word_error
from svc.evaluation.metrics.table import sorts
from svc.evaluation.run import Request, evaluate
from svc.inference.converter import Converter

JUDGES = Judges(pitch="crepe", identity="cepstral", words="mfcc")  # none needs an extra
ALTO, BASS, SOPRANO = SINGERS[:3]


def sing(path, singer, seed, semitones=0.0, gain=1.0):
    song = phrase(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    natural = render(singer, song)
    sung = render(singer, song, f0=natural.f0 * 2 ** (semitones / 12)) if semitones else natural
    write(path, Audio(sung.samples * np.float32(gain), sung.rate))


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two songs by the alto, references of three singers, the first song again by the alto and twice by the bass."""
    root = tmp_path_factory.mktemp("evaluation")
    for seed in (50, 51):
        sing(root / "songs" / "alto" / f"{seed}.wav", ALTO, seed)
    for singer in (ALTO, BASS, SOPRANO):
        for seed in (1, 2, 3):
            sing(root / "references" / singer.name / f"{seed}.wav", singer, seed)
    sing(root / "truths" / "bass" / "50.wav", BASS, 50)
    sing(root / "truths" / "bass" / "50.other.wav", BASS, 50, semitones=0.2)
    sing(root / "truths" / "alto" / "50.wav", ALTO, 50, gain=0.5)
    higher = render(ALTO, phrase(50), f0=render(ALTO, phrase(50)).f0 * 2 ** (1 / 12))
    write(root / "truths" / "alto" / "50.other.wav", Audio(np.pad(higher.samples, (4800, 0)), higher.rate))
    return root


def request(folders, out, **more):
    known = {"sources": folders / "songs", "references": folders / "references", "parallel": folders / "truths"}
    return Request(**known | {"out": out, "judges": JUDGES} | more)


@pytest.fixture(scope="module")
def found(folders):
    made = folders / "converted"
    sing(made / "bass" / "alto" / "50.wav", BASS, 50)
    sing(made / "bass" / "alto" / "51.wav", ALTO, 51, semitones=1.0, gain=0.5)
    return evaluate(request(folders, folders / "out", converted=made))


class TestReadyConversions:
    """The conversions are the bass herself for one song, and the source a semitone higher for the other."""

    def row(self, found, system, song):
        (row,) = (row for row in found.scored.rows if (row["system"], row["song"]) == (system, song))
        return row

    def test_the_target_herself(self, found):
        row = self.row(found, "voice", "alto/50")
        assert row["named_target"] == 1
        assert row["named_source"] == 0
        assert row["likeness"] > 0.8
        assert row["mcd"] == pytest.approx(0, abs=1e-3)
        assert row["f0_median"] < 25  # each singer has a vibrato of her own

    def test_the_source_a_semitone_higher(self, found):
        row = self.row(found, "voice", "alto/51")
        assert row["shift"] == pytest.approx(100, abs=3)
        assert row["gain"] == pytest.approx(-6, abs=0.5)
        assert row["f0_rmse"] < 20
        assert (row["named_target"], row["named_source"]) == (0, 1)
        assert row["likeness"] < 0.3
        assert "mcd" not in row

    def test_between_floor_and_ceiling(self, found):
        floor, ceiling = (self.row(found, system, "alto/50") for system in ("copied", "truth"))
        assert floor["f0_rmse"] == floor["words"] == floor["likeness"] == 0
        assert floor["named_source"] == ceiling["named_target"] == 1
        assert floor["mcd"] > 2 * ceiling["mcd"] > 0
        assert floor["cosine"] < ceiling["cosine"]
        baseline = self.row(found, "equalised", "alto/50")
        assert baseline["cosine"] > floor["cosine"]
        assert baseline["mcd"] < floor["mcd"]

    def test_words_of_who_sings_it_again(self, found, folders, monkeypatch):
        """Takes are brought onto the source's clock; the source itself, softer, is no other take."""
        take, truth, baseline = (self.row(found, system, "alto/50") for system in ("take", "truth", "equalised"))
        assert take["singer"] == take["target"] == "alto"
        assert take["words"] < truth["words"] < baseline["words"]
        source, late = (
            found.panel.hear(read(folders / place)) for place in ("songs/alto/50.wav", "truths/alto/50.other.wav")
        )
        assert 0.03 < 3 * take["words"] < word_error(source.content, late.content, source.audio)
        monkeypatch.setattr(spectral, "on_clock", lambda **_: None)
        assert math.isnan(found.panel.again(late, source)["words"])

    def test_references_stand_for_the_ceiling(self, found):
        own = [row for row in found.scored.rows if row["system"] == "reference"]
        assert [row["target"] for row in own] == ["bass"] * 3
        assert all(row["named_target"] == 1 for row in own)

    def test_published(self, found, folders):
        asked = request(folders, folders / "out")
        assert not asked.out.exists()
        markdown = publish.publish(found, asked, "ready <made>", shown=5)
        assert "| converted | 2 |" in markdown
        assert "| source copied | 2 |" in markdown
        told = json.loads((asked.out / "scores.json").read_text(), parse_constant=pytest.fail)  # no NaN
        assert told["summary"]["converted"]["named_target"]["mean"] == 0.5
        rows, _ = publish.load(asked.out)
        assert len(rows) == len(found.scored.rows)
        page = (asked.out / "report.html").read_text()
        assert page.count("data:audio/flac;base64,") == 2 * 3
        assert page.count("data:image/png;base64,") == 2 + 1
        assert "truth: bass singing it" in page
        assert "reference: bass" in page
        assert "ready &lt;made&gt;" in page
        assert (asked.out / "scores.md").read_text().startswith("# ready")


def test_bad_files_are_skipped_with_their_reason(folders, tmp_path):
    for seed in (50, 51):
        sing(tmp_path / "songs" / "alto" / f"{seed}.wav", ALTO, seed)
    (tmp_path / "songs" / "alto" / "broken.wav").write_text("not audio")
    for name, seed in (("50", 50), ("51", 51), ("broken", 50), ("stranger", 50)):
        sing(tmp_path / "made" / "bass" / "alto" / f"{name}.wav", BASS, seed)
    sing(tmp_path / "made" / "soprano" / "alto" / "50.wav", SOPRANO, 50, gain=1e-6)
    short = Audio(render(SOPRANO, phrase(51)).samples[:24_000], 24_000)
    write(tmp_path / "made" / "soprano" / "alto" / "51.wav", short)
    asked = request(folders, tmp_path / "out", sources=tmp_path / "songs", converted=tmp_path / "made")
    found = evaluate(asked)
    assert {(case.song.name, case.target) for case in found.scored.cases} == {("50", "bass"), ("51", "bass")}
    assert {row["target"] for row in found.scored.rows if row["system"] != "take"} == {"bass"}
    reasons = {Path(reason.split(": ")[0]).name: reason for reason in found.scored.skipped}
    assert sorted(reasons) == ["50.wav", "51.wav", "broken.wav", "stranger.wav"]
    assert "silent" in reasons["50.wav"]
    assert "its source" in reasons["51.wav"]
    assert "not audio" in reasons["broken.wav"]
    assert "no source alto/stranger" in reasons["stranger.wav"]


def test_references_that_nobody_can_be_known_by(folders, tmp_path):
    """The alto's are long, the bass's as they should be, the soprano's is broken."""
    sung = render(ALTO, phrase(1))
    for name in ("alto", "soprano"):
        (tmp_path / name).mkdir()
    write(tmp_path / "alto" / "long.wav", Audio(np.resize(sung.samples, 31 * sung.rate), sung.rate))
    write(tmp_path / "alto" / "late.wav", Audio(np.pad(sung.samples, (30 * sung.rate, 0)), sung.rate))
    (tmp_path / "bass").symlink_to(folders / "references" / "bass")
    (tmp_path / "soprano" / "1.wav").write_text("not audio")
    asked = request(folders, folders / "out", references=tmp_path, targets=2)
    found = evaluate(asked)
    assert [(case.song.name, case.target) for case in found.scored.cases] == [("50", "bass"), ("51", "bass")]
    late, broken, unknown = found.scored.skipped
    assert late.endswith("late.wav: silent for its first 30 s; cut them off")
    assert "1.wav: not audio" in broken
    assert unknown == "no recordings to know soprano by; put some in a folder for --references"
    (known,) = found.enrolled["alto"]
    assert known.seconds == 30
    assert known.samples.base is None  # the rest is not kept
    with pytest.raises(DataError, match="no recordings to know soprano by; put some in a folder for --references"):
        evaluate(replace(asked, speakers=("soprano",)))


def test_a_singer_is_known_by_as_much_as_is_enough(folders, monkeypatch):
    paths = sorted((folders / "references" / "alto").iterdir())
    for seconds, count in ((300.0, 3), (0.1, 1)):
        monkeypatch.setattr(run, "ENOUGH", seconds)
        assert len(run._enrol({"alto": paths}, [])["alto"]) == count
    monkeypatch.setattr(run, "REFERENCES", 2)
    monkeypatch.setattr(run, "ENOUGH", 300.0)
    assert len(run._enrol({"alto": paths}, [])["alto"]) == 2


@pytest.fixture(scope="module")
def named(voice):
    """An untrained voice that claims to know the alto and the bass."""
    pairs = zip(voice.singers, ("alto", "bass"), strict=True)
    return replace(voice, singers=tuple(replace(singer, name=name) for singer, name in pairs))


class TestVoice:
    def test_converts_and_keeps_what_it_made(self, folders, named, tmp_path):
        found = evaluate(request(folders, tmp_path), Converter(named))
        assert sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.wav")) == [
            "converted/alto/alto/50.wav",
            "converted/alto/alto/51.wav",
            "converted/bass/alto/50.wav",
            "converted/bass/alto/51.wav",
        ]
        assert {name: len(rows) for name, rows in sorts(found.scored.rows).items() if name != "· same octave"} == {
            "reconstructed": 2,
            "converted": 2,
            "source copied": 2,
            "source, pitch shifted and equalised": 2,
            "truth": 1,
            "another take of the source": 1,
            "the target's references": 6,
        }
        assert all(row["stft"] > 0 for row in found.scored.rows if row["singer"] == row["target"] and "stft" in row)
        again = evaluate(request(folders, tmp_path / "again", converted=tmp_path / "converted"))
        assert {(r["song"], r["target"], r.get("cosine")) for r in again.scored.rows} == {
            (r["song"], r["target"], r.get("cosine")) for r in found.scored.rows
        }

    def test_target_without_references(self, folders, voice, tmp_path):
        with pytest.raises(DataError, match=r"no recordings to know Ann, Bob Ö\. by"):
            evaluate(request(folders, tmp_path), Converter(voice))
        assert not list(tmp_path.iterdir())

    def test_one_speaker(self, folders, named, tmp_path):
        found = evaluate(request(folders, tmp_path, speakers=("1",)), Converter(named))
        assert {case.target for case in found.scored.cases} == {"bass"}


class TestTranscripts:
    def test_by_the_words_beside_the_songs(self, folders, found, tmp_path, monkeypatch):
        """Everybody who sings a song is read, its words are known to the judges, and a broken text costs its song."""
        pytest.importorskip("pocketsphinx")
        later = len(read(folders / "truths" / "alto" / "50.other.wav").samples)
        monkeypatch.setattr(
            transcript.Sphinx,
            "transcribe",
            lambda _self, audio: "ah oh ah" if len(audio.samples) == later else "ah oh",
        )
        shutil.copytree(folders / "songs", tmp_path / "songs")
        (tmp_path / "songs" / "alto" / "50.txt").write_text("Ah, oh! AH")
        (tmp_path / "songs" / "alto" / "51.txt").write_bytes(b"\xff")
        asked = request(
            folders,
            tmp_path / "out",
            sources=tmp_path / "songs",
            converted=folders / "converted",
            judges=replace(JUDGES, transcribe="sphinx"),
        )
        heard = evaluate(asked)
        assert heard.panel.judges.vocabulary == ("ah", "oh")
        rows = {row["system"]: row for row in heard.scored.rows if row["system"] != "reference"}
        assert set(rows) == {"voice", "copied", "equalised", "truth", "take"}
        for row in rows.values():
            assert row["song"] == "alto/50"
        told = {system: (row["wer"], row["wer_difference"]) for system, row in rows.items()}
        assert told.pop("take") == pytest.approx((0, -1 / 3))
        assert told == {system: pytest.approx((1 / 3, 0)) for system in ("voice", "copied", "equalised", "truth")}
        assert sum("51.txt: cannot be read" in reason for reason in heard.scored.skipped) >= 1
        publish.publish(heard, asked, "x", 1)
        assert json.loads((tmp_path / "out" / "scores.json").read_text())["judges"]["vocabulary"] == ["ah", "oh"]


class TestFloorAndCeilingAlone:
    def test_without_voice(self, folders, tmp_path):
        found = evaluate(request(folders, tmp_path / "out", targets=1))
        rows = [(row["song"], row["target"], row["system"]) for row in found.scored.rows]
        first, second = ("alto/50", "bass"), ("alto/51", "soprano")
        assert sorted(rows[:6]) == [
            ("alto/50", "alto", "take"),
            *((*first, system) for system in ("copied", "equalised", "truth")),
            *((*second, system) for system in ("copied", "equalised")),
        ]
        assert rows[6:] == [(f"{n}/{i}", n, "reference") for n in ("bass", "soprano") for i in range(3)]
        assert found.scored.skipped == []
        assert not list(tmp_path.iterdir())

    def test_sources_stand_in_for_references(self, folders, tmp_path):
        found = evaluate(request(folders, tmp_path, sources=folders / "references", references=None, targets=1))
        own = [row for row in found.scored.rows if row["system"] == "reference"]
        others = [row for row in found.scored.rows if row["system"] == "copied"]
        assert np.mean([row["cosine"] for row in own]) > 0.3 > 0 > np.mean([row["cosine"] for row in others])
        assert {row["target"] for row in own} == {row["target"] for row in others} == {"alto", "bass", "soprano"}

    def test_nobody_else(self, folders, tmp_path):
        with pytest.raises(DataError, match="nobody else to compare with; name a folder of singers with --references"):
            evaluate(request(folders, tmp_path, references=None))
