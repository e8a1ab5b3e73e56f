"""f0 curves in CSV files: a round trip to the bit; other units and columns are understood by a header or refused."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from svc.errors import DataError
from svc.features import f0_csv

ROWS = "0.005,100\n0.015,200\n0.025,0\n"
SONG = np.where(np.arange(180) % 60 < 20, 0.0, 220 * 2 ** (np.arange(180) / 600))  # Hz


def read(tmp_path, text: str | bytes, frames: int = 3) -> list[float]:
    path = tmp_path / "x.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return f0_csv.read_csv(path, frames).tolist()


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(curve=st.lists(st.just(0.0) | st.floats(80, 2400, width=32), max_size=40))
def test_a_round_trip_is_the_same_to_the_bit(tmp_path, curve):
    exact = np.array([*curve, 220.1], np.float32)
    f0_csv.write_csv(tmp_path / "x.csv", exact)
    np.testing.assert_array_equal(f0_csv.read_csv(tmp_path / "x.csv", len(exact)), exact)


@pytest.mark.parametrize(
    "text",
    [
        ROWS,
        "seconds,hz\n" + ROWS,
        "time,f0,confidence\n" + ROWS.replace("\n", ",1\n"),
        "confidence,Frequency [Hz],time (s)\n1,100,0.005\n.9,200,.015\n.02,330,.025\n",
        "Time (ms),hz\n5,100\n15,200\n25,0\n",
        ROWS.replace("\n", "\r\n"),
        ROWS.replace("\n", "\n\n"),
        "\ufeff" + ROWS,
        '"0.005","100"\n 0.015, 200\n2.5e-2,0',
    ],
    ids=["bare", "header", "confidence", "order", "ms", "windows", "blank lines", "byte-order mark", "quotes"],
)
def test_tables_as_people_write_them(tmp_path, text):
    assert read(tmp_path, text) == [100, 200, 0]


def test_midi_notes(tmp_path):
    assert read(tmp_path, "seconds,midi\n0.005,69\n0.015,57.0\n0.025,0\n") == [440, 220, 0]


def table(head: str, time, values) -> str:
    return f"{head}\n" * bool(head) + "".join(f"{t:.6g},{v:.3f}\n" for t, v in zip(time, values, strict=True))


SECONDS = (np.arange(180) + 0.5) / 100
MIDI = np.where(SONG > 0, 69 + 12 * np.log2(np.maximum(SONG, 1) / 440), 0)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (table("seconds,cents", SECONDS, 100 * MIDI), "names no column of seconds or ms, or none of hz or midi"),
        (table("", SECONDS, 100 * MIDI), "no note that is sung"),
        (table("seconds,hz", SECONDS, 100 * MIDI), "no note that is sung"),
        (table("", SECONDS, MIDI), "may be a MIDI note"),
        (table("", 1000 * SECONDS, SONG), "goes on to 1795.0 s, but the song ends at 1.8 s"),
        (table("", np.arange(180), SONG), "goes on to 179.0 s"),
        (table("frame,hz", np.arange(180), SONG), "names no column of seconds"),
        ("0,00,220,50\n1,00,220,50\n2,00,220,50\n", "decimal commas"),
        ("0,0;220,5\n1,5;220,5\n", "decimal commas"),
        ("0.005,100,0.9\n1.8,100,0.9\n", "no header and not two columns"),
        (table("", SECONDS, 0 * SONG), "no voiced point"),
        (table("", SECONDS, 12 + 0 * SONG), "no note that is sung"),
        (table("", SECONDS / 10, SONG), "ends at 0.2 s of 1.8 s"),
    ],
)
def test_what_would_be_a_wrong_melody_is_refused(tmp_path, text, reason):
    with pytest.raises(DataError, match=reason):
        read(tmp_path, text, 180)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "seconds,hz\n",
        "0.1,x\n",
        "0.1,220\n0.1,220\n",
        "0.1,-220\n",
        "nan,220\n",
        "0.1,1e300\n",
        b"0.1,220\n\xff\xfe\n",
    ],
)
def test_bad_tables_are_one_sentence(tmp_path, text):
    with pytest.raises(DataError) as caught:
        read(tmp_path, text)
    message = str(caught.value)
    assert message.startswith(str(tmp_path / "x.csv: "))
    assert "; " in message
    assert len(message.splitlines()) == 1


CELLS = st.text("0123456789.,-+eE \"'\r\n\t;nainfxé_\0", max_size=40) | st.text(max_size=20)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=CELLS, frames=st.integers(0, 20))
def test_any_text_is_a_curve_or_a_sentence(tmp_path, text, frames):
    path = tmp_path / "x.csv"
    path.write_text(text, encoding="utf-8", errors="replace", newline="")
    try:
        curve = f0_csv.read_csv(path, frames)
    except DataError:
        return
    assert curve.shape == (frames,)
    assert curve.dtype == np.float32
    assert (np.isfinite(curve) & (curve >= 0)).all()


def test_between_points_in_cents_and_over_gaps_by_the_nearest():
    def at(*points: tuple[float, float]) -> list[float]:
        return f0_csv._on_clock(*map(np.array, zip(*points, strict=True)), 5).tolist()  # 0.005 … 0.045 s

    assert at((0.005, 100), (0.045, 400)) == pytest.approx([100 * 2 ** (n / 2) for n in range(5)])
    assert at((0.005, 100.0), (0.045, 0)) == [100, 100, 0, 0, 0]
    assert at((0.005, 0.0), (0.045, 100)) == [0, 0, 100, 100, 100]
    assert at((0.02, 0.0), (0.03, 0)) == [0] * 5
    assert at((0.02, 300.0)) == [300] * 5
    assert at((0.015, 100.0), (0.025, 200)) == pytest.approx([100, 100, 200, 200, 200])
