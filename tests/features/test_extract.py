"""Feature extraction: what it does not depend on."""

import numpy as np
import pytest

from svc.audio.files import Audio
from svc.data.synthetic.phrases import phrase
from svc.data.synthetic.singers import SINGERS, render
from svc.features.extract import FeatureExtractor, without_offset


def test_a_dc_offset_changes_nothing(tiny):
    """Pauses stay silent, and no frame becomes voiced."""
    samples = render(SINGERS[0], phrase(0), tiny.sample_rate).samples
    samples = samples[: len(samples) // 100 * 100]
    samples -= samples.mean()
    extract = FeatureExtractor(tiny).extract
    without, with_offset = (extract(Audio(samples + np.float32(offset), tiny.sample_rate)) for offset in (0, 0.05))
    assert np.array_equal(with_offset.voiced, without.voiced)
    np.testing.assert_allclose(with_offset.loudness, without.loudness, atol=0.5)
    np.testing.assert_allclose(with_offset.content, without.content, atol=0.05)


@pytest.mark.parametrize(("offset", "removed"), [(1e-3, False), (3e-3, True), (-3e-3, True)])
def test_a_small_offset_stays_to_the_bit(offset, removed):
    audio = Audio(np.full(1_000, offset, np.float32), 16_000)
    assert (without_offset(audio) is not audio) is removed
