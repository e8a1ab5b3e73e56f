"""The speaker encoder hears what Resemblyzer does, to rounding, and leads gradients to the audio alone."""

import importlib.util
import sys
from functools import lru_cache

import numpy as np
import pytest
import torch

from svc.data.synthetic.phrases import phrase
from svc.data.synthetic.singers import SINGERS, render
from svc.encoders.ge2e import BANDS, HOP, SAMPLE_RATE, WINDOW, GE2ESpeakerEncoder
from svc.errors import SvcError
from svc.utils.optional import import_optional

needed = pytest.mark.skipif(not importlib.util.find_spec("resemblyzer"), reason="needs the eval extra")
PARTIAL = round(1.6 * SAMPLE_RATE)  # samples
speaker = lru_cache(GE2ESpeakerEncoder)


@lru_cache
def singing(singer: int = 0) -> np.ndarray:
    return render(SINGERS[singer], phrase(singer), SAMPLE_RATE).samples[: 2 * PARTIAL]


@needed
@pytest.mark.parametrize("samples", [PARTIAL, PARTIAL + 77, 3 * HOP - 1, WINDOW])
def test_the_spectrum_is_theirs(samples):
    """In all frames but the last, which is centred on the end of the audio and is heard of no partial."""
    audio = np.stack([singing(singer)[8_000 : 8_000 + samples] for singer in range(2)])
    theirs = import_optional("resemblyzer.audio").wav_to_mel_spectrogram
    wanted = np.stack([theirs(row)[: samples // HOP] for row in audio])
    result = speaker().mel(torch.from_numpy(audio)).numpy()
    assert result.shape == wanted.shape == (2, samples // HOP, BANDS)
    np.testing.assert_allclose(result, wanted, rtol=1e-4, atol=1e-6 * wanted.max())


@needed
def test_the_vectors_are_theirs():
    audio = np.stack([singing(singer)[:PARTIAL] for singer in range(3)])
    theirs = import_optional("resemblyzer").VoiceEncoder("cpu", verbose=False)
    wanted = np.stack([theirs.embed_utterance(row) for row in audio])
    result = speaker().embed(torch.from_numpy(audio)).numpy()
    np.testing.assert_allclose(result, wanted, rtol=1e-4, atol=1e-5)
    assert (wanted[0] @ wanted[1:].T).max() < 0.95  # not the same for everybody


def test_without_the_package_it_is_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "resemblyzer", None)
    with pytest.raises(
        SvcError, match=r"^resemblyzer is not installed; run `pip install [^\n]*'resemblyzer>=[^\n]*'`$"
    ):
        GE2ESpeakerEncoder()
