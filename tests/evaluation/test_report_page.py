"""The report: one file that needs nothing else, whatever is written into it."""

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import soundfile
from matplotlib.figure import Figure

from svc.audio.files import Audio
from svc.audio.plot import plot_spectrogram
from svc.evaluation import page

RATE = 16_000


@pytest.fixture
def audio() -> Audio:
    times = np.arange(RATE // 2) / RATE
    return Audio((0.5 * np.sin(2 * np.pi * 1000 * times)).astype(np.float32), RATE)


def plotted(*arguments):
    axes = Figure().subplots()
    plot_spectrogram(axes, *arguments)
    return axes


def mel(hertz):
    return 2595 * np.log10(1 + hertz / 700)


class TestPage:
    @pytest.fixture
    def page(self, audio, tmp_path) -> str:
        hostile = "<script>alert(1)</script>"
        examples = [page.AudioExample(hostile, audio, np.full(50, 200.0)), page.AudioExample("no f0", audio)]
        table = page.Table(["who", hostile], [["a & b", "1 ±2"], [hostile, "2"]], ["", hostile])
        sections = [page.Section(hostile, examples, [page.Mark(hostile, hostile, 0.25, hostile)])]
        page.write(tmp_path / "p.html", page.Page(hostile, hostile, {hostile: table}, sections, [hostile], hostile))
        return (tmp_path / "p.html").read_text(encoding="utf-8")

    def test_needs_nothing_else(self, page):
        links = []

        class Links(HTMLParser):
            def handle_starttag(self, tag, attrs):
                assert tag not in {"link", "iframe", "object"}
                links.extend(value for name, value in attrs if name in {"src", "href", "data", "srcset"})

        Links().feed(page)
        assert len(links) == 4
        assert all(link.startswith(("data:audio/flac;base64,", "data:image/png;base64,")) for link in links)
        assert not re.search(r"https?:|url\(|@import", page)

    def test_escapes(self, page):
        assert page.count("<script>") == 1
        assert "alert" not in page[page.index("<script>") :]
        # title, heading, intro, order, section's heading, mark's label, value and hint, button, caption, alt text,
        # table's heading, column, hint, cell, note
        assert page.count("&lt;script&gt;") == 16
        assert "<td>a &amp; b</td>" in page

    def test_order_and_marks(self, page):
        """The sentence and the players come before the tables, which are folded."""
        places = [page.index(part) for part in ('class="intro"', "<audio", "<details>", "<table>")]
        assert places == sorted(places)
        assert '<meta name="viewport"' in page
        assert "prefers-color-scheme: dark" in page
        assert '<li class="poor"' in page
        assert "--at: 25%" in page
        assert "<td>1 <small>±2</small></td>" in page

    def test_sound(self, page, audio):
        data = re.search(r'data:audio/flac;base64,([^"]+)"', page)[1]
        samples, rate = soundfile.read(io.BytesIO(base64.b64decode(data)), dtype="float32")
        assert rate == RATE
        np.testing.assert_allclose(samples, audio.samples, atol=1e-4)

    def test_beyond_full_scale_is_scaled(self, audio):
        """Not clipped, and said so."""
        player = page._player(page.AudioExample("loud", Audio(4 * audio.samples, RATE)))
        samples, _ = soundfile.read(io.BytesIO(base64.b64decode(player["data"])), dtype="float32")
        np.testing.assert_allclose(samples, audio.samples / np.abs(audio.samples).max(), atol=1e-4)
        assert player["title"] == "loud (-6.0 dB, to avoid clipping)"


class TestSpectrogram:
    def test_f0_where_voiced(self, audio):
        """With a reference below it."""
        f0 = np.repeat([0.0, 200.0, -1.0], [10, 30, 10])
        reference, line = plotted(audio.samples, RATE, f0, "title", np.full(50, 300.0)).lines
        assert reference.get_data()[1] == pytest.approx(mel(300))
        times, heights = line.get_data()
        np.testing.assert_allclose(times, (np.arange(50) + 0.5) / 100)
        np.testing.assert_allclose(heights[10:40], mel(200))
        assert np.isnan(heights[:10]).all()
        assert np.isnan(heights[40:]).all()

    def test_the_spectrum_on_its_axis(self):
        rate = 48_000
        times = np.arange(rate // 2) / rate
        axes = plotted((0.5 * np.sin(2 * np.pi * 1000 * times)).astype(np.float32), rate, None, "title")
        (image,) = axes.images
        level, (_, end, _, top) = np.asarray(image.get_array()), image.get_extent()
        assert end == pytest.approx(0.5, abs=0.005)
        assert top == pytest.approx(mel(min(16_000, rate / 2)))
        loudest = level[:, 25].argmax() / (len(level) - 1) * top
        assert loudest == pytest.approx(mel(1000), abs=top / len(level))
        assert image.get_clim() == (-110, -20)
        assert -9 < level[:, 25].max() < 20 * np.log10(0.5) + 0.1  # of full scale, at any rate, at or beside a row
        assert axes.get_title(loc="left") == "title"
