"""Speaker adaptation: no other speaker changes by a bit, the held-out loss falls, and errors are one line."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from test_cli import svc

from svc.adaptation import finetuning, pipeline, speaker_embedding, speech_or_singing
from svc.audio import files
from svc.cli import fit
from svc.data import manifest
from svc.data.batch import Batch
from svc.data.dataset import SegmentDataset, read_features
from svc.data.prepare import prepare
from svc.data.synthetic.phrases import phrase
from svc.data.synthetic.singers import SINGERS, render, save_rendition
from svc.errors import DataError, WeightsError
from svc.features.cache import FeatureCache, from_int16
from svc.features.conditioning import one_hot
from svc.features.speaker import Speaker
from svc.features.transpose import choose_transposition
from svc.inference import speakers
from svc.inference import voice as voice_module
from svc.inference.converter import Converter
from svc.inference.voice import VoiceFile
from svc.models.weight_names import EMBEDDING, SPEAKER_FILM_OFFSET, SPEAKER_PARAM_NAMES
from svc.training import loop

SMALL = {"train.batch_size": 2, "train.segment_seconds": 0.4}
QUICK = SMALL | {"train.steps": 4, "train.validate_every": 2, "train.checkpoint_every": 2, "train.log_every": 2}
SETS = [part for name, value in QUICK.items() for part in ("--set", f"{name}={value}")]


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """A third synthetic singer's phrases, and a file that is none."""
    folder = tmp_path_factory.mktemp("clips")
    for number in range(2):
        save_rendition(folder / f"{number}.wav", render(SINGERS[2], phrase(number)))
    (folder / "broken.wav").write_bytes(b"nothing")
    return folder


@pytest.fixture(scope="module")
def ready(voice, clips, tmp_path_factory):
    out = tmp_path_factory.mktemp("ready") / "prepared"
    prepare(clips, out, voice.config, 1, speaker="Cat")
    return manifest.read(out)


def train_embedding(voice, ready, run, config):
    """Initialise and train the embedding: the result, the start, and the voice with the speaker."""
    segments = speaker_embedding.sample_segments(ready, config)
    initial = speaker_embedding.nearest_speaker_mix(voice, segments, config)
    outcome = speaker_embedding.train_embedding(voice, initial, ready, run, config, cpu=True)
    return outcome, initial, speakers.with_speaker(voice, ready.speakers[0], speaker_embedding.trained_params(run))


def test_the_initial_mix_recovers_a_mix_of_speakers(voice, ready):
    """Crops of a mix of Ann and Bob are sung by that mix again, better than by either."""
    config = speaker_embedding.adaptation_config(voice, {"train.segment_seconds": 0.4})
    items = SegmentDataset(ready, config)
    crops = Batch.stack([items[0, n] for n in range(4)])
    weights = torch.tensor([[0.7, 0.3]]).expand(4, -1)
    with torch.no_grad():
        audio = voice.generator(crops.conditioning.with_speaker(weights), use_wavenet=False)
    start = speaker_embedding.nearest_speaker_mix(
        voice, Batch(crops.conditioning, audio, crops.band, crops.other_speaker), config
    )
    ann, bob = voice.weights[EMBEDDING]
    share = (start.params[EMBEDDING] - bob) @ (ann - bob) / np.sum((ann - bob) ** 2)
    assert share == pytest.approx(0.7, abs=0.1)
    assert start.nearest[0] == "Ann"


def test_only_the_speakers_own_parameters_are_trained(voice, ready, tmp_path):
    config = speaker_embedding.adaptation_config(voice, QUICK)
    outcome, start, new = train_embedding(voice, ready, tmp_path / "run", config)
    assert outcome.step == QUICK["train.steps"]
    assert [s.name for s in new.speakers] == ["Ann", "Bob Ö.", "Cat"]
    before, after = voice.generator.state_dict(), new.generator.state_dict()
    for name, value in before.items():
        assert torch.equal(after[name][:2] if name in SPEAKER_PARAM_NAMES else after[name], value)
    assert (speakers.speaker_params(new, 2)[SPEAKER_FILM_OFFSET] != start.params[SPEAKER_FILM_OFFSET]).any()
    assert new.speakers[2].median_f0 == ready.speakers[0].median_f0
    assert np.isfinite(speakers.speaker_params(new, 2)[EMBEDDING]).all()


def test_the_held_out_distance_falls(voice, ready, tmp_path):
    config = speaker_embedding.adaptation_config(
        voice, SMALL | {"train.steps": 20, "train.validate_every": 5, "train.learning_rate": 0.02}
    )
    train_embedding(voice, ready, tmp_path / "run", config)
    lines = (tmp_path / "run" / "validation.jsonl").read_text().splitlines()
    scores = [json.loads(line)["spectral"] for line in lines]
    assert min(scores[1:]) < scores[0]


def test_the_range_of_singing_is_measured_and_that_of_speech_is_guessed():
    """Median f0 of twelve actors' speech and songs: a song by a voice of the same sex stays where it is."""
    cat = Speaker("Cat", 60.0, 100.0, 80.0, 150.0, -20.0)
    assert speech_or_singing.singing_range(cat, "song") == cat
    songs = {False: (174.0, 155.0, 221.0), True: (350.0, 315.0, 441.0)}  # by high voices
    for median in (87, 105, 115, 141, 136, 196, 221, 277):  # 136 and 277 are lively
        target = speech_or_singing.singing_range(replace(cat, median_f0=median), "speech")
        for high, song in songs.items():
            expected = 12 * ((median > 160) - high)
            assert choose_transposition("auto", np.array(song), target.range) == expected


def test_gliding_f0_is_speech_and_steady_f0_is_singing():
    time = np.arange(400)
    voiced = np.ones(400, dtype=bool)
    vibrato = 57 + 0.5 * np.sin(2 * np.pi * time / 18)  # a semitone wide, 5.6 Hz
    assert (speech_or_singing._f0_movement(vibrato, voiced) < 0.1).all()
    glide = 57 + 3 * np.sin(2 * np.pi * time / 80)
    assert np.mean(speech_or_singing._f0_movement(glide, voiced) < 0.3) < 0.2
    assert not len(speech_or_singing._f0_movement(vibrato, time % 25 > 0))  # no stretch is long enough


def test_a_large_voice_replays_some_speakers_and_the_others_keep_their_parameters(voice, monkeypatch, tmp_path):
    """Of four speakers, one is replayed beside the new one; the generator and these two change."""
    monkeypatch.setattr(finetuning, "REPLAY_SPEAKERS", 1)
    params = {name: value[0] for name, value in voice.weights.items() if name in SPEAKER_PARAM_NAMES}
    for name, seconds in (("Cat", 120.0), ("Dan", 30.0)):
        voice = speakers.with_speaker(voice, Speaker(name, seconds, 200.0, 150.0, 300.0), params)
    replayed = finetuning.with_replay_speakers(voice)
    assert [speaker.name for speaker in replayed.speakers] == ["Cat", "Dan"]
    weights = {name: torch.from_numpy(value) + 1 for name, value in replayed.weights.items()}
    monkeypatch.setattr(finetuning.checkpoint, "best_or_last", lambda run: run)
    monkeypatch.setattr(finetuning.checkpoint, "ema_weights", lambda _: weights)
    tuned = finetuning.apply_finetuned(voice, tmp_path)
    for name, value in voice.weights.items():
        changed = np.array([0, 0, 1, 1])[:, None] if name in SPEAKER_PARAM_NAMES else 1
        np.testing.assert_allclose(tuned.weights[name], value + changed, rtol=1e-6)
    assert [speaker.kind for speaker in tuned.speakers] == ["trained", "trained", "adapted", "finetuned"]


class TestCommand:
    def test_a_speaker_is_added(self, world, clips, monkeypatch, capsys):
        arguments = ["fit", str(clips), "-n", "Cat", "-o", "new.safetensors", "--cpu", "--type", "singing", *SETS]
        code, out, _ = svc(monkeypatch, capsys, *arguments, "--note", "a test", "--license", "CC0")
        assert code == 0
        assert "Cat: 2 files, " in out
        assert "rejected: 1" in out
        assert "less than a minute" in out
        assert "new.safetensors: Cat is number 2" in out
        assert out.splitlines()[-1] == "next: svc convert --voice new.safetensors --speaker 'Cat' SONG.wav"
        assert not (world / "new.fit").exists()
        assert VoiceFile.read(world / "new.safetensors").card["about Cat"] == "a test; licence CC0"
        assert "of 1 held-out clips" in out or "likeness not measured" in out
        assert "new.wav: a clip re-synthesised, and a phrase converted; listen to it" in out
        assert files.read(world / "new.wav").seconds > 4
        code, out, _ = svc(monkeypatch, capsys, "convert", "-v", "new.safetensors", "-s", "2", "song.wav")
        assert code == 0
        for name in ("runs/a/voice.safetensors", "new.safetensors"):
            svc(monkeypatch, capsys, "convert", "-v", name, "-s", "1", "song.wav", "-o", f"as_{name[:3]}.wav")
        assert (world / "as_run.wav").read_bytes() == (world / "as_new.wav").read_bytes()

    def test_the_model_is_finetuned(self, world, clips, voice, monkeypatch, capsys):
        monkeypatch.setattr(fit, "_listen", lambda *_: None)
        arguments = ["fit", str(clips), "-n", "Cat", "-o", "new.safetensors", "--cpu", "--type", "singing", *SETS]
        assert svc(monkeypatch, capsys, *arguments, "--finetune-model")[0] == 0
        new = VoiceFile.load(world / "new.safetensors")
        assert [speaker.kind for speaker in new.speakers] == ["trained", "trained", "finetuned"]
        shared = [name for name in voice.weights if name not in SPEAKER_PARAM_NAMES]
        assert any((new.weights[name] != voice.weights[name]).any() for name in shared)

    def test_a_full_disk_at_its_end_costs_no_step(self, world, clips, monkeypatch, capsys):
        monkeypatch.setattr(fit, "_listen", lambda *_: None)
        arguments = ["fit", str(clips), "-n", "Cat", "-o", "new.safetensors", "--cpu", "--type", "singing", *SETS]

        def full(*_arguments: object) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(voice_module, "write_bytes", full)
            code, _, err = svc(monkeypatch, capsys, *arguments)
        assert code == 2
        assert err.splitlines()[-1].startswith("svc: new.safetensors: cannot be written (No space left on device)")
        assert (world / "new.fit").is_dir()
        monkeypatch.setattr(loop, "train_step", None)  # nothing is trained again
        assert svc(monkeypatch, capsys, *arguments)[0] == 0
        assert VoiceFile.read(world / "new.safetensors").speakers[-1].name == "Cat"

    def test_interrupted_it_goes_on(self, world, clips, monkeypatch, capsys):
        """Half the steps, then all of them: the same voice as without the pause."""
        monkeypatch.setattr(fit, "_listen", lambda *_: None)
        arguments = ["fit", str(clips), "-n", "Cat", "--cpu", *SETS]
        svc(monkeypatch, capsys, *arguments, "-o", "a.safetensors")
        with monkeypatch.context() as patch:
            patch.setattr(loop, "any_rank", lambda *_: True)
            code, out, _ = svc(monkeypatch, capsys, *arguments, "-o", "b.safetensors")
        assert code == 0
        assert "stopped and saved at step 1" in out
        assert not (world / "b.safetensors").exists()
        svc(monkeypatch, capsys, *arguments, "-o", "b.safetensors")
        one, other = (VoiceFile.load(world / name) for name in ("a.safetensors", "b.safetensors"))
        assert speakers._params_key(speakers.speaker_params(one, 2)) == speakers._params_key(
            speakers.speaker_params(other, 2)
        )

    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            (["nowhere", "-n", "Cat", "-o", "b.safetensors"], "nowhere: no such folder"),
            (["song.wav", "-n", "Cat", "-o", "b.safetensors"], "song.wav: is a file; put it into a folder"),
            (["good", "-n", "5", "-o", "b.safetensors"], "is a number"),
            (["empty", "-n", "Cat", "-o", "b.safetensors"], "empty: holds no recordings"),
            (["bad", "-n", "Cat", "-o", "b.safetensors"], "none of 1 files is usable"),
            (["good", "-n", "ann", "-o", "b.safetensors"], "in this voice already"),
            (["good", "-n", "../x", "-o", "b.safetensors"], "no speaker name"),
            (["good", "-n", "Cat", "-o", "b.wav"], "end it in .safetensors"),
            (["good", "-n", "Cat", "-o", "b.safetensors", "--type", "noise"], "give auto, speech, singing"),
            (["good", "-n", "Cat", "-o", "b.safetensors", "--set", "train.stepz=3"], "unknown option"),
        ],
        ids=lambda value: value[0] + value[2][:3] if isinstance(value, list) else "",
    )
    def test_errors_are_one_line(self, world, monkeypatch, capsys, arguments, sentence):
        for folder in ("empty", "bad", "good"):
            (world / folder).mkdir()
        (world / "bad" / "a.wav").write_bytes(b"nothing")
        shutil.copy(world / "song.wav", world / "good" / "a.wav")
        code, _, err = svc(monkeypatch, capsys, "fit", *arguments)
        assert code == 2
        assert sentence in err.splitlines()[-1]
        assert not (world / "b.safetensors").exists()
        assert not (world / "b.fit").exists()


@pytest.fixture(scope="module")
def fitted(voice, ready, tmp_path_factory):
    run = tmp_path_factory.mktemp("fitted") / "run"
    return train_embedding(voice, ready, run, speaker_embedding.adaptation_config(voice, QUICK))[2]


@pytest.fixture
def quick(voice, clips, tmp_path):
    """A function that prepares and joins in a folder."""

    def run(voice=voice, clips=clips, full=False):
        options = pipeline.AdaptOptions("Cat", "song", full, QUICK)
        return pipeline.adapt(voice, clips, options, tmp_path / "work", jobs=1, cpu=True)

    return run


def test_training_that_did_not_help_is_left_out(quick, monkeypatch):
    """Where every step is judged to be worse than the one before, the mix of known singers stays, to the bit."""
    scores = iter(range(100, 0, -1))
    monkeypatch.setattr(loop.validation, "spectral_score", lambda *_: {"spectral": 1.0, "overall": next(scores) / 100})
    result = quick(full=True)
    assert (result.outcome.best_step, result.outcome.step) == (0, QUICK["train.steps"])
    assert result.voice.speakers[-1].kind == "adapted"
    for name, mixed in result.initial.params.items():
        assert np.array_equal(result.voice.weights[name][-1], mixed)


def test_another_voice_is_another_run(voice, quick, tmp_path, monkeypatch):
    """What was begun with one voice is not gone on with in another."""
    with monkeypatch.context() as patch:
        patch.setattr(loop, "any_rank", lambda *_: True)
        assert quick().outcome.interrupted
    other = speakers.with_renamed(voice, "0", "Zoe")
    result = quick(voice=replace(other, weights=other.weights | {EMBEDDING: other.weights[EMBEDDING] + 1}))
    assert result.outcome.step == QUICK["train.steps"]
    assert len([path for path in (tmp_path / "work").iterdir() if (path / "checkpoints").exists()]) == 2


def test_a_foreign_work_folder_is_left_alone(quick, tmp_path):
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "thesis.txt").write_text("all of it")
    with pytest.raises(DataError, match="is in the way"):
        quick()
    assert (tmp_path / "work" / "thesis.txt").read_text() == "all of it"


def test_a_voice_of_another_encoder_is_refused_first(voice, quick, tmp_path):
    with pytest.raises(WeightsError, match="other weights of cepstral"):
        quick(voice=replace(voice, encoder="cepstral/1 " + "0" * 64))
    assert not (tmp_path / "work").exists()


def test_the_training_options_of_a_voice_are_not_used(voice):
    """Of the configuration in a voice only what it sings by is taken over."""
    wild = replace(voice.config.train, num_workers=1000, batch_size=10**6)
    loss = replace(voice.config.loss, speaker=replace(voice.config.loss.speaker, weight=1.0))
    config = replace(voice.config, train=wild, loss=loss)
    taken = speaker_embedding.adaptation_config(replace(voice, config=config), {})
    assert (taken.train.num_workers, taken.train.batch_size) == (0, 8)
    assert taken.loss.speaker.weight == 0
    assert {loss.weight for loss in taken.perceptual.values()} == {0}
    assert (taken.model, taken.features, taken.loss.scales) == (config.model, config.features, config.loss.scales)


def test_speech_and_singing_are_classified(ready, voice, tmp_path, monkeypatch):
    """Sung phrases hold their notes; the same glide once their melody is drawn out over two octaves."""
    assert speech_or_singing.classify_speech_or_singing(speech_or_singing.read_tracks(ready)) == "song"
    get = FeatureCache.get

    def gliding(store, key, name, *span):
        curve = get(store, key, name, *span)
        return curve * 2 ** np.sin(np.arange(len(curve)) / 20) if name == "f0" else curve

    monkeypatch.setattr(FeatureCache, "get", gliding)
    assert speech_or_singing.classify_speech_or_singing(speech_or_singing.read_tracks(ready)) == "speech"


class TestFinetuning:
    def test_replay_data_are_conversions_to_the_other_speakers(self, fitted, ready, tmp_path, monkeypatch):
        """The clips of other speakers are conversions by the source–filter stage, in their octave."""
        monkeypatch.setattr(finetuning, "REPLAY_SECONDS", 3.0)
        replayed = finetuning.make_replay_dataset(fitted, ready, tmp_path / "replayed")
        assert [s.name for s in replayed.speakers] == ["Ann", "Bob Ö.", "Cat"]
        assert {c.path for c in replayed.clips if c.speaker == "Cat"} == {c.path for c in ready.clips}
        store = FeatureCache(replayed.folder / "store")
        for speaker in fitted.speakers[:2]:
            own = [c for c in replayed.clips if c.speaker == speaker.name]
            assert 3 <= sum(c.frames for c in own) / 100 < 12
            assert {c.split for c in own} == {"train"}
            features = read_features(store, own[0], 0, own[0].frames)
            conditioning = features.conditioning(one_hot(fitted.speaker_index(speaker.name), 3))
            with torch.inference_mode():
                expected = (
                    fitted.generator(conditioning, use_wavenet=False)[0].clamp(-1, 1).numpy()
                )  # untrained, it is too loud
            stored = from_int16(store.get(own[0].key, "audio"))
            assert np.abs(stored - expected).max() < 1e-4 + 1e-3 * np.abs(expected).max()

    def test_the_source_filter_stage_changes_and_the_others_hardly(self, fitted, ready, tone, tmp_path):
        replayed = finetuning.make_replay_dataset(fitted, ready, tmp_path / "replayed")
        config = speaker_embedding.adaptation_config(fitted, finetuning.FINETUNE_DEFAULTS | QUICK)
        outcome = finetuning.finetune(fitted, replayed, tmp_path / "run", config, cpu=True)
        assert outcome.step == QUICK["train.steps"]
        new = finetuning.apply_finetuned(fitted, tmp_path / "run")
        assert [s.kind for s in new.speakers] == ["trained", "trained", "finetuned"]
        assert speakers.shared_weights_hash(new) != speakers.shared_weights_hash(fitted)
        assert all(
            torch.equal(new.generator.get_parameter(n), w)
            for n, w in fitted.generator.named_parameters()
            if "wavenet" in n
        )
        before, after = (Converter(v).convert(tone, "Ann")[0].samples for v in (fitted, new))
        assert 0 < np.sqrt(np.mean((after - before) ** 2)) < 0.3 * np.sqrt(np.mean(before**2))


def test_a_single_recording_will_do(quick, clips, tmp_path):
    (tmp_path / "one").mkdir()
    shutil.copy(clips / "0.wav", tmp_path / "one")
    result = quick(clips=tmp_path / "one")
    assert result.voice.speakers[-1].name == "Cat"
    assert result.outcome.best_step is None


def test_speech_is_pitch_shifted(voice, ready, tmp_path):
    pytest.importorskip("parselmouth")
    shifted = speaker_embedding.with_pitch_shifted_speech(voice, ready, tmp_path / "shifted")
    own, more = (shifted.clips[: len(ready.clips)], shifted.clips[len(ready.clips) :])
    assert list(own) == list(ready.clips)
    assert [clip.path for clip in more] == [f"{clip.path} pitch-shifted" for clip in ready.split("train")]
    store = FeatureCache(shifted.folder / "store")
    for before, after in zip(ready.split("train"), more, strict=True):
        assert after.frames == before.frames
        low, high = (
            np.median(store.get(c.key, "f0")[store.get(c.key, "voiced").astype(bool)]) for c in (before, after)
        )
        assert 1 < 12 * np.log2(high / low) < 11
