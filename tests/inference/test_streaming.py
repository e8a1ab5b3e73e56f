"""Streaming conversion: independent of the sizes of pushes, on time, and close to the offline features."""

import io
import os

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from svc.audio.files import Audio
from svc.data.synthetic.phrases import phrase
from svc.data.synthetic.singers import SINGERS, render
from svc.errors import AudioError, WeightsError
from svc.features.conditioning import phase_track
from svc.inference import streaming as streams
from svc.inference.converter import Converter
from svc.inference.streaming import StreamingConverter, convert_pcm_pipe

RATE = 24_000


def level(samples) -> float:
    return 10 * np.log10(np.square(samples, dtype=np.float64).mean() + 1e-30)


def song(*numbers: int, rate: int = RATE) -> np.ndarray:
    """Phrases of the alto over faint noise."""
    samples = np.concatenate([render(SINGERS[0], phrase(number), rate).samples for number in numbers])
    return (samples + 1e-4 * np.random.default_rng(0).standard_normal(len(samples))).astype(np.float32)


def stream_all(stream: StreamingConverter, samples, sizes=(4_800,)) -> np.ndarray:
    """What comes of pushing a song in pieces of these sizes, again and again."""
    rendered, start = [], 0
    while start < len(samples):
        for size in sizes:
            rendered.append(stream.push(samples[start : start + size]))
            start += size
    return np.concatenate([*rendered, stream.finish()])


def decided(stream: StreamingConverter) -> list:
    """Fills with what is decided while the stream sings."""
    parts, decide = [], stream._next_conditioning

    def record(last):
        parts.append(decide(last))
        return parts[-1]

    stream._next_conditioning = record
    return parts


def joined(parts):
    whole = parts[0]
    for part in parts[1:]:
        whole = streams._concatenate(whole, part)
    return whole


@pytest.fixture(scope="module")
def converter(voice) -> Converter:
    return Converter(voice)


@pytest.fixture(scope="module")
def long(converter):
    """A phrase sung four times, what was decided of it, what came out, and the features of the whole."""
    samples = np.tile(song(3)[: 3 * RATE], 4)
    stream = StreamingConverter(converter, "Ann", RATE)
    parts = decided(stream)
    rendered = stream_all(stream, samples)
    return samples, joined(parts), rendered, converter.features.extract(Audio(samples, RATE))


@pytest.fixture(scope="module")
def short(converter):
    """Two seconds at 22.05 kHz, and how they are sung when pushed at once."""
    samples = song(1, rate=22_100)[: 2 * 22_050 + 7]
    return samples, stream_all(
        StreamingConverter(converter, "Bob Ö.", 22_050, block_seconds=0.4), samples, (len(samples),)
    )


@pytest.mark.parametrize("sizes", [(997,), (1, 13, 0, 441)])
def test_pieces_of_any_size_give_the_same_bits(converter, short, sizes):
    samples, whole = short
    assert level(whole) > -60
    np.testing.assert_array_equal(
        stream_all(StreamingConverter(converter, "1", 22_050, block_seconds=0.4), samples, sizes), whole
    )


@settings(max_examples=6, deadline=None)
@given(
    rate=st.sampled_from([8_000, 16_000, 22_050, 24_000, 44_100, 48_000, 96_001]),
    count=st.integers(0, 20_000),
    size=st.integers(1, 8_000),
)
def test_as_much_comes_out_as_went_in(converter, rate, count, size):
    samples = np.random.default_rng(count).normal(0, 0.01, count).astype(np.float32)
    stream = StreamingConverter(converter, "0", rate, block_seconds=0.2)
    pulled, pushed = 0, 0
    for start in range(0, count, size):
        pushed += len(samples[start : start + size])
        pulled += len(stream.push(samples[start : start + size]))
        assert pulled <= pushed
        assert pushed - pulled <= stream.latency * rate + size
    rest = stream.finish()
    assert pulled + len(rest) == count
    assert np.isfinite(rest).all()


def test_one_call_of_the_generator_gives_the_same(converter, long):
    _, conditioning, rendered, _ = long
    with torch.inference_mode():
        whole = converter.generator(conditioning, guidance=converter.voice.config.model.guidance)[0].numpy()
    peak = np.abs(whole).max()
    assert peak > 1e-2
    np.testing.assert_allclose(rendered[: 3 * RATE], whole[: 3 * RATE], atol=1e-5 * peak)
    np.testing.assert_allclose(
        rendered, whole, atol=1e-4 * peak
    )  # the longer the call, the less exact its interpolation


def test_a_pause_keeps_the_f0(converter):
    """Longer than is remembered; until the next note is in sight."""
    time = np.arange(RATE) / RATE
    low, high = (0.2 * (np.sin(2 * np.pi * pitch * time) + np.sin(4 * np.pi * pitch * time)) for pitch in (150, 300))
    stream = StreamingConverter(converter, "0", RATE, block_seconds=0.5)
    parts = decided(stream)
    stream_all(stream, np.concatenate([low, np.zeros(4 * RATE), high]).astype(np.float32))
    conditioning = joined(parts)
    melody = conditioning.f0[0].numpy()
    assert not conditioning.voiced[0, 110:490].any()
    np.testing.assert_allclose(melody[20:450], 150, rtol=0.05)
    assert np.ptp(melody[110:450]) == 0
    np.testing.assert_allclose(melody[499:580], 300, rtol=0.02)


@pytest.mark.parametrize("cut", [1, 500, 4_099])
def test_a_phase_of_hours_goes_on_to_the_bit(cut):
    melody = (220 * 2 ** np.random.default_rng(0).normal(0, 1, 5_000)).astype(np.float32)
    first, turns = streams.continued_phase(melody[:cut], None, 0)
    second, _ = streams.continued_phase(melody[cut:], float(melody[cut - 1]), turns)
    np.testing.assert_array_equal(np.append(first, second), phase_track(melody))


def test_after_ten_seconds_features_are_those_of_the_whole(long):
    _, conditioning, _, whole = long
    late = slice(900, 1_200)
    voiced = conditioning.voiced[0].numpy() > 0
    assert whole.voiced[late].mean() > 0.5
    assert (voiced == whole.voiced).mean() > 0.995
    cents = np.abs(1200 * np.log2(conditioning.f0[0].numpy() / whole.f0))[whole.voiced & voiced]
    assert (cents < 1).mean() > 0.99
    np.testing.assert_allclose(conditioning.loudness[0].numpy(), whole.loudness, atol=1e-3)
    np.testing.assert_allclose(
        conditioning.relative_loudness[0, 1_100:].numpy(), whole.relative_loudness[1_100:], atol=0.1
    )  # the last block
    active = whole.loudness[late] > whole.loudness.max() - 40
    off = (conditioning.content[0].numpy() - whole.content)[:, late][:, active]
    assert np.sqrt(np.square(off).mean()) < 0.05  # of a deviation


@pytest.mark.parametrize(("rate", "block"), [(RATE, 0.5), (48_000, 0.3)])
def test_the_latency_is_what_it_says_and_no_more(converter, rate, block):
    stream, latest = StreamingConverter(converter, "0", rate, block_seconds=block), 0
    step, pulled = rate // 1000, 0
    for pushed in range(step, 2 * rate, step):
        rendered = len(stream.push(np.zeros(step, dtype=np.float32)))
        latest = max(latest, pushed - pulled)  # of the first sample that comes out now, or not even now
        pulled += rendered
    lags = 0.0 if rate == RATE else 0.08  # which are seldom longest at the same time
    assert stream.latency - lags <= latest / rate <= stream.latency
    margin = converter.generator.margin / 100
    assert stream.latency == pytest.approx(block + 0.46 + margin + lags, abs=2e-3)


def test_silence_stays_silent(converter):
    samples = song(2)[: 2 * RATE]
    rendered = stream_all(
        StreamingConverter(converter, "0", RATE), np.concatenate([np.zeros(2 * RATE), samples, np.zeros(2 * RATE)])
    )
    assert level(rendered[2 * RATE : 4 * RATE]) > -60
    for quiet in (rendered[: int(1.9 * RATE)], rendered[int(4.1 * RATE) :]):
        assert level(quiet) < level(rendered[2 * RATE : 4 * RATE]) - 60
    assert level(stream_all(StreamingConverter(converter, "0", RATE), np.zeros(2 * RATE, dtype=np.float32))) < -80


def test_memory_is_constant(converter):
    """Everything that a stream keeps, after 6 and after 12 seconds."""

    def size(thing, seen) -> int:
        if id(thing) in seen or isinstance(thing, Converter):
            return 0
        seen.add(id(thing))
        if isinstance(thing, np.ndarray | torch.Tensor):
            return thing.nbytes
        inside = thing if isinstance(thing, list | tuple) else getattr(thing, "__dict__", {}).values()
        slots = [getattr(thing, name) for name in getattr(type(thing), "__slots__", ()) if hasattr(thing, name)]
        return sum(size(one, seen) for one in [*inside, *slots])

    stream = StreamingConverter(converter, "0", RATE)
    stream.push(np.concatenate([song(1)[:RATE], np.zeros(5 * RATE, dtype=np.float32)]))
    before = size(stream, set())
    stream.push(np.zeros(6 * RATE, dtype=np.float32))
    assert 4 * RATE < size(stream, set()) <= before


def test_the_transposition(converter, long):
    alto = long[0][: 2 * RATE]
    stream = StreamingConverter(converter, "Bob Ö.", RATE, "auto")
    parts = decided(stream)
    stream_all(stream, alto)
    assert stream.transpose == -12
    conditioning, whole = joined(parts), long[3]
    both = (conditioning.voiced[0].numpy() > 0)[50:150] & whole.voiced[50:150]
    np.testing.assert_allclose(conditioning.f0[0].numpy()[50:150][both], whole.f0[50:150][both] / 2, rtol=1e-3)
    fifth = StreamingConverter(converter, "0", RATE, 7.0)
    fifth.push(alto)
    assert fifth.transpose == 7


def test_a_mix_changes_in_time(converter, tmp_path):
    table = tmp_path / "mix.csv"
    table.write_text("seconds,Ann,0\n0,0,1\n".replace(",0\n", ",Bob Ö.\n", 1) + "0.5,1,0\n")
    stream = StreamingConverter(converter, str(table), RATE, block_seconds=0.2)
    parts = decided(stream)
    stream_all(stream, np.zeros(RATE, dtype=np.float32))
    singer = joined(parts).speaker[0].numpy()
    np.testing.assert_allclose(singer[0, [0, 24, 60, 99]], [0.01, 0.49, 1, 1], atol=1e-5)
    np.testing.assert_allclose(singer.sum(axis=0), 1, rtol=1e-6)


class Trickle(io.RawIOBase):
    """Bytes that come a few at a time."""

    def __init__(self, data: bytes, sizes):
        self.data, self.sizes = data, list(sizes)

    def read(self, most=-1) -> bytes:
        size = min(most, self.sizes.pop(0) if self.sizes else 9_999)
        part, self.data = self.data[:size], self.data[size:]
        return part


def test_a_wav_file_is_no_stream(converter):
    sink = io.BytesIO()
    with pytest.raises(AudioError, match="begins like a WAV file, but a stream is raw samples"):
        convert_pcm_pipe(
            StreamingConverter(converter, "0", RATE, block_seconds=0.3), io.BytesIO(b"RIFF" + bytes(RATE)), sink
        )
    assert sink.getvalue() == b""


def test_pcm_is_pumped_as_it_comes(converter):
    samples = (song(1)[: RATE + 100] * 2**15).round().astype("<i2")
    whole = stream_all(StreamingConverter(converter, "0", RATE, block_seconds=0.3), samples.astype(np.float32) / 2**15)
    for source in (Trickle(samples.tobytes() + b"\0", [1, 2, 5, 7_001]), io.BytesIO(samples.tobytes())):
        sink = io.BytesIO()
        convert_pcm_pipe(StreamingConverter(converter, "0", RATE, block_seconds=0.3), source, sink)
        rendered = np.frombuffer(sink.getvalue(), "<i2")
        np.testing.assert_array_equal(rendered, (whole * 2**15).round().clip(-(2**15), 2**15 - 1))


def test_a_closed_sink_ends_the_stream(converter):
    reader, writer = os.pipe()
    os.close(reader)
    sink = os.fdopen(writer, "wb")
    convert_pcm_pipe(
        StreamingConverter(converter, "0", RATE, block_seconds=0.2),
        io.BytesIO(song(1)[:RATE].astype("<i2").tobytes()),
        sink,
    )
    assert sink.closed


def test_refusals(converter):
    with pytest.raises(AudioError, match="a stream of 100 Hz: give a rate between 8000 and 192000 Hz"):
        StreamingConverter(converter, "0", 100)
    with pytest.raises(WeightsError, match="no speaker 'Eve'"):
        StreamingConverter(converter, "Eve", RATE)
