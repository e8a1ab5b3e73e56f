"""The base voice: those who sing come first, and every source has its credit."""

from dataclasses import replace

import numpy as np
from test_recipes import recipe

from svc.models.weight_names import EMBEDDING, SPEAKER_PARAM_NAMES


def test_singers_come_first_and_keep_their_embeddings(voice, prepared):
    clips = [replace(clip, speaker={"alto": "Ann", "bass": "Bob Ö."}[clip.speaker]) for clip in prepared.clips]
    clips = [replace(clip, kind="song" if clip.speaker != "Ann" else "speech") for clip in clips]
    ordered, order = recipe("make_base").order_speakers(voice, replace(prepared, clips=clips))
    assert order == [1, 0]
    assert [(speaker.name, speaker.number) for speaker in ordered.speakers] == [("Bob Ö.", 0), ("Ann", 1)]
    np.testing.assert_array_equal(ordered.weights[EMBEDDING], voice.weights[EMBEDDING][[1, 0]])
    assert ordered.speakers[0].range == voice.speakers[1].range
    assert ordered.speakers[1].range != voice.speakers[0].range  # a guess


def test_the_average_is_that_of_each_weight_and_of_each_speakers_own_rows(voice):
    turned = replace(voice, speakers=voice.speakers[::-1])
    turned = replace(turned, weights=voice.weights | {n: voice.weights[n][::-1] + 1 for n in SPEAKER_PARAM_NAMES})
    averaged = recipe("average_voices").average_weights(turned, voice, 0.5)
    for name, weight in averaged.weights.items():
        own = voice.weights[name]
        np.testing.assert_allclose(weight, own + 0.5 if name in SPEAKER_PARAM_NAMES else own, rtol=1e-6)


def test_sources_without_a_reader_have_licence_and_credit(prepared):
    clips = [replace(clip, path=f"nit/{clip.path}", licence="") for clip in prepared.clips]
    data = recipe("make_base").describe_sources(replace(prepared, clips=clips))
    assert list(data.licences) == ["CC BY 3.0"]
    assert data.credits == ("NIT song database, Nagoya Institute of Technology",)
