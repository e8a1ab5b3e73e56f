"""Speaker selection: names, numbers, mixes, and mixes that change."""

from dataclasses import replace

import numpy as np
import pytest

from svc.errors import DataError, WeightsError
from svc.inference.converter import Converter
from svc.inference.speaker_mix import parse_speaker


def test_one_speaker_by_name_or_number(voice):
    for text in ("Bob Ö.", "1", "bob ö."):
        result = parse_speaker(voice, text)
        assert (result.label, result.weights.tolist(), result.stats) == ("Bob Ö.", [[0], [1]], voice.speakers[1])


def test_a_mix_is_in_proportion(voice):
    result = parse_speaker(voice, "Ann:3, 1:1")
    assert result.weights.tolist() == [[0.75], [0.25]]
    assert result.label == "Ann0.75+Bob Ö.0.25"
    assert result.stats.median_f0 == pytest.approx(220 * 2**-0.25)  # an octave apart, a quarter of the way
    assert parse_speaker(voice, "Ann,Bob Ö.").weights.tolist() == [[0.5], [0.5]]
    assert parse_speaker(voice, "Ann:1,Bob Ö.:0").stats == voice.speakers[0]


def with_names(voice, *names):
    speakers = [replace(speaker, name=name) for speaker, name in zip(voice.speakers, names, strict=True)]
    return replace(voice, speakers=tuple(speakers))


def test_a_name_that_is_a_number(voice):
    """Is found by name; where it is another speaker's number as well, it is refused with both ways out."""
    odd = with_names(voice, "7", "Bob")
    assert parse_speaker(odd, "7").label == "7"
    shadowing = with_names(voice, "1", "Bob")
    with pytest.raises(WeightsError, match="1 is the name of #0 and the number of Bob; write #0 or #1"):
        parse_speaker(shadowing, "1")
    assert [parse_speaker(shadowing, text).label for text in ("#0", "#1", "0", "Bob")] == ["1", "Bob", "1", "Bob"]
    assert parse_speaker(shadowing, "#0:1,#1:3").weights.tolist() == [[0.25], [0.75]]
    assert parse_speaker(with_names(voice, "0", "Bob"), "0").label == "0"  # its own number


def test_a_name_with_a_comma_is_mixed_by_its_number(voice):
    odd = with_names(voice, "Smith, Jane", "Smith")
    assert parse_speaker(odd, "Smith, Jane").label == "Smith, Jane"
    assert parse_speaker(odd, "Smith:1, #0:3").weights.tolist() == [[0.75], [0.25]]


@pytest.mark.parametrize(
    ("text", "error", "way_out"),
    [
        ("Zoe", WeightsError, "it has 0 Ann, 1 Bob"),
        ("Ann:1,Zoe:1", WeightsError, "it has 0 Ann, 1 Bob"),
        ("Ann:x", DataError, "write a mix as"),
        ("Ann:-1,1:2", DataError, "0 or more"),
        ("Ann:0,1:0", DataError, "not all of them 0"),
        ("Ann:inf,1:1", DataError, "0 or more"),
        ("Ann:nan", DataError, "0 or more"),
        ("none.csv", DataError, "cannot be read"),
    ],
)
def test_errors_name_the_way_out(voice, text, error, way_out):
    with pytest.raises(error, match=way_out):
        parse_speaker(voice, text)


def test_a_mix_that_changes(voice, tmp_path):
    table = tmp_path / "fade.csv"
    table.write_text("seconds,Bob Ö.,Ann\n0.005,0,2\n0.505,2,2\n1.005,4,0\n")
    result = parse_speaker(voice, str(table))
    weights = result.weights_at(slice(0, 200)).numpy()
    assert weights.shape == (2, 200)
    np.testing.assert_allclose(weights.sum(axis=0), 1, atol=1e-6)
    np.testing.assert_allclose(weights[1, [0, 25, 50, 75, 100, 199]], [0, 0.25, 0.5, 0.75, 1, 1], atol=1e-6)
    assert result.label == "fade"
    assert result.weights_at(slice(0, 10)).shape == (2, 10)


@pytest.mark.parametrize(
    ("text", "way_out"),
    [
        ("", "begin with a line"),
        ("seconds,Ann\n", "every line needs"),
        ("0,1,0\n0.5,0,1\n", "does not name the speakers"),
        ("seconds\n0\n", "does not name the speakers"),
        ("seconds,Ann\n0,1,2\n", "every line needs"),
        ("seconds,Ann\n0,x\n", "begin with a line"),
        ("seconds,Ann\n0,nan\n", "every line needs"),
        ("seconds,Ann\n1,1\n0,1\n", "times must rise"),
        ("seconds,Ann\n0,-1\n", "0 or more"),
        ("seconds,Ann\n1e9,1\n", "times must rise"),
        ("seconds,Ann,1\n0,1,0\n1,0,0\n", "all shares of a line are 0"),
    ],
)
def test_a_csv_that_is_not_valid(voice, tmp_path, text, way_out):
    table = tmp_path / "mix.csv"
    table.write_text(text)
    with pytest.raises(DataError, match=way_out) as caught:
        parse_speaker(voice, str(table))
    assert str(table) in str(caught.value)


def test_a_changing_mix_ends_as_its_speakers_alone(voice, tone, tmp_path):
    """Ann to begin with, Bob at the end; in between neither."""
    table = tmp_path / "fade.csv"
    table.write_text("seconds,Ann,Bob Ö.\n0.5,1,0\n0.7,0,1\n")
    converter = Converter(voice)
    mixed, ann, bob = (converter.convert(tone, who, transpose=0)[0].samples for who in (str(table), "Ann", "1"))
    edge = (voice.generator.margin + 1) * 441
    assert np.abs(ann - bob).max() > 1e-3
    np.testing.assert_allclose(
        mixed[: 22_050 - edge], ann[: 22_050 - edge], atol=1e-5, rtol=0.01
    )  # one gain keeps all below full scale
    np.testing.assert_allclose(mixed[30_870 + edge :], bob[30_870 + edge :], atol=1e-5, rtol=0.01)
    assert np.abs(mixed - ann).max() > 1e-3
