"""Content of conversions: of whom, of which clips, and that it is trained on."""

from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from test_recipes import recipe

from svc.audio.files import Audio
from svc.data import manifest
from svc.data.dataset import CropDataset, read_features
from svc.errors import DataError
from svc.features import content
from svc.features.cache import Store
from svc.features.extract import measure_loudness
from svc.inference import transpose
from svc.inference.voice import Known


@pytest.fixture
def own(voice, prepared, tmp_path):
    """A voice of the prepared singers."""
    singers = tuple(Known(**asdict(singer), number=number) for number, singer in enumerate(prepared.singers))
    made = replace(voice, singers=singers)
    made.save(tmp_path / "voice.safetensors")
    return made


@pytest.fixture
def translated(own, prepared, tmp_path):
    recipe("back_translate").main(tmp_path / "voice.safetensors", prepared.folder, tmp_path / "out", 3)
    return manifest.read(tmp_path / "out")


def test_clips_to_train_on_are_heard_from_others(translated, prepared):
    before, after = Store(prepared.folder / "store"), Store(translated.folder / "store")
    assert translated.sha256 != prepared.sha256
    for old, new in zip(prepared.clips, translated.clips, strict=True):
        assert replace(new, key=old.key) == old
        arrays = set(before.shapes(old.key))
        assert set(after.shapes(new.key)) - arrays == ({"translated"} if old.split == "train" else set())
        for name in arrays:
            np.testing.assert_array_equal(after.get(new.key, name), before.get(old.key, name))
        if old.split == "train":
            assert after.shapes(new.key)["translated"] == (1, 20, old.frames)  # there is one other


def test_it_is_the_content_of_what_the_other_sings(translated, prepared, own):
    """Of two singers the other, an octave or two away, in one piece."""
    clip = translated.split("train")[0]
    store = Store(translated.folder / "store")
    number = 1 - prepared.number(clip.singer)
    features = read_features(store, clip, 0, clip.frames)
    octaves = transpose.choose("auto", features.f0[features.voiced], prepared.singers[number].range)
    assert octaves % 12 == 0
    asked = features.conditioning(torch.eye(2)[number]).transposed(octaves)
    with torch.inference_mode():
        sung = Audio(own.generator(asked)[0].numpy(), own.config.sample_rate)
    wanted = content.extract(sung, clip.frames, measure_loudness(sung), own.config.features.content)
    for heard in store.get(clip.key, "translated"):
        np.testing.assert_allclose(heard, wanted, atol=0.02)


def test_it_is_trained_on_as_often_as_asked(translated, tiny):
    def drawn(share: float) -> list[torch.Tensor]:
        items = CropDataset(translated, replace(tiny, train=replace(tiny.train, back_translated=share)))
        return [items[epoch, 0].conditioning.content[0] for epoch in range(60)]

    always, half = drawn(1.0), drawn(0.5)
    store, places = Store(translated.folder / "store"), []
    for clip in translated.split("train"):
        places += [
            np.lib.stride_tricks.sliding_window_view(h, always[0].shape[1], -1)
            for h in store.get(clip.key, "translated").astype(np.float32)
        ]

    def is_translated(crop: torch.Tensor) -> bool:
        return any((windows == crop.numpy()[:, None]).all((0, 2)).any() for windows in places)

    assert all(map(is_translated, always))
    assert 0.25 < np.mean([is_translated(crop) for crop in half]) < 0.75


def test_without_conversions_there_is_nothing_to_train_on(prepared, tiny):
    with pytest.raises(DataError, match=r"holds no conversions; make them with recipes/back_translate\.py"):
        CropDataset(prepared, replace(tiny, train=replace(tiny.train, back_translated=0.5)))


def test_a_voice_of_others_is_refused(voice, prepared, tmp_path):
    voice.save(tmp_path / "voice.safetensors")
    with pytest.raises(DataError, match="knows other singers than"):
        recipe("back_translate").main(tmp_path / "voice.safetensors", prepared.folder, tmp_path / "out", 2)
