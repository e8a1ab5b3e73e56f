"""Configuration: every fault is a sentence that names the option, all at once, and nothing else is ever raised."""

import math
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from svc.config import (
    OLD_OPTIONS,
    Config,
    differences,
    flatten,
    from_tree,
    load,
    parse_overrides,
    to_tree,
)
from svc.errors import ConfigError

DEFAULTS = to_tree(Config())
CONFIGS = sorted((Path(__file__).parents[2] / "svc" / "config").glob("*.yaml"))


def refused(tree: object) -> str:
    with pytest.raises(ConfigError) as caught:
        from_tree(tree)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def nested(dotted: str, value: object) -> dict:
    for name in reversed(dotted.split(".")):
        value = {name: value}
    return value


# --- what is accepted ---


def test_defaults_are_valid():
    assert from_tree({}) == from_tree(DEFAULTS) == load(None) == Config()
    assert (Config().hop, Config().segment_frames, Config().clamp_to_segment(0.4)) == (441, 100, 40)


def test_shipped_configs_load():
    assert "base.yaml" in [path.name for path in CONFIGS]
    for config in map(load, CONFIGS):
        assert from_tree(to_tree(config)) == config


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("train: {learning_rate: 1e-4}", "train.learning_rate", 1e-4),  # a text in YAML 1.1
        ("train: {learning_rate: 1}", "train.learning_rate", 1.0),
        ("train: {precision: no}", "train.precision", "no"),  # false in YAML 1.1
        ("train: {precision: bf16}", "train.precision", "bf16"),
        ("loss: {scales: [512]}", "loss.scales", [512]),
        ("model: {source_filter: false}", "model.source_filter", False),
        ("", "train.seed", 0),
    ],
)
def test_yaml_as_people_write_it(tmp_path, text, name, value):
    path = tmp_path / "x.yaml"
    path.write_text(text)
    found = flatten(to_tree(load(path)))[name]
    assert (found, type(found)) == (value, type(value))


def test_overrides_win_and_are_yaml(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("train: {steps: 5, batch_size: 3}\n")
    overrides = parse_overrides(
        ["train.steps=10", "loss.scales=[64, 128]", " train.precision = no", "model.voiced_noise_level=1e-3"]
    )
    assert overrides == {
        "train.steps": 10,
        "loss.scales": [64, 128],
        "train.precision": False,
        "model.voiced_noise_level": "1e-3",
    }
    config = load(path, overrides)
    assert (config.train.steps, config.train.batch_size, config.train.precision) == (10, 3, "no")
    assert (config.loss.scales, config.model.voiced_noise_level) == ((64, 128), 1e-3)


def test_differences():
    changed = to_tree(load(None, {"train.steps": 5, "loss.scales": [64], "model.source_filter": False}))
    assert differences(DEFAULTS, changed) == [
        "loss.scales: [4096, 2048, 1024, 512, 256, 128] → [64]",
        "model.source_filter: True → False",
        "train.steps: 4000 → 5",
    ]
    assert differences(changed, changed) == []
    assert differences({"a": {"b": 1}}, {"a": {"c": 1}}) == ["a.b: 1 → None", "a.c: None → 1"]


def test_configs_of_the_package_have_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load(Path("base")) == Config()
    assert load(Path("paper")).model.wavenet.layers == 30
    (tmp_path / "base").write_text("train: {steps: 7}")
    assert load(Path("base")).train.steps == 7  # a file of that name comes first


def test_new_names_are_options():
    assert set(OLD_OPTIONS.values()) <= flatten(DEFAULTS).keys()
    assert not set(OLD_OPTIONS) & flatten(DEFAULTS).keys()


# --- what is refused ---


def test_an_old_name_of_an_option_gives_the_new_one():
    for old, new in OLD_OPTIONS.items():
        assert f"{old} is now {new}" in refused(nested(old, 1))


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        ({"train": {"step": 1}}, "unknown option train.step (did you mean steps?)"),
        ({"features": {"f0": {"fmn": 1}}}, "unknown option features.f0.fmn (did you mean fmin?)"),
        ({"train": {"steps": 1.5}}, "train.steps must be a whole number, not 1.5"),
        ({"train": {"steps": True}}, "train.steps must be a whole number, not True"),
        ({"train": {"learning_rate": None}}, "train.learning_rate must be a number, not None"),
        ({"features": {"f0": {"refine": 1}}}, "features.f0.refine must be true or false, not 1"),
        ({"features": {"content": {"layer": 5}}}, "features.content.layer must be a text, not 5"),
        ({"perceptual": {"crepe": {"distance": "l3"}}}, "crepe.distance must be one of l1, l2, cosine, not 'l3'"),
        ({"perceptual": {"crepe": {"layers": ["embedding"]}}}, "crepe.layers must be some of conv1, conv2,"),
        ({"loss": {"scales": 512}}, "loss.scales must be a list, not 512"),
        ({"loss": {"scales": [512, "x"]}}, "loss.scales must be a whole number, not 'x'"),
        ({"model": 5}, "model must hold `name: value` pairs, not 5"),
        ([1], "config must hold `name: value` pairs, not [1]"),
    ],
)
def test_a_wrong_option_is_named(tree, words):
    assert words in refused(tree)


@pytest.mark.parametrize(
    ("names", "values", "words"),
    [
        ("sample_rate", (0, -24_000, 24_050, 4_000, 400_000), "sample_rate must be a multiple of 100 Hz"),
        ("features.f0.fmin", (40, 3_000), "an octave or more below"),
        ("features.f0.fmax", (5_000, 20), "an octave or more below"),
        ("features.content.perturbation_factors", ([1.0, 0.1], [3.0]), "must lie in 0.5–2, not [1.0, 0.1]"),
        ("features.f0.voicing_threshold train.min_lr_ratio", (-0.1, 1.1), "must lie in 0–1, not -0.1"),
        ("model.wavenet.kernel_size", (2, 4), "model.wavenet.kernel_size must be odd"),
        ("discriminator.channels discriminator.max_channels", (0, 10**9), "must lie in 1–4096, not 0"),
        ("discriminator.periods discriminator.strides", ([2, 0],), "must lie in 1–100, not [2, 0]"),
        ("discriminator.periods loss.scales", ([],), "must not be empty"),
        ("loss.spectral loss.adversarial loss.feature_matching", (-0.1,), "must lie in 0–1000000000, not -0.1"),
        ("train.steps train.batch_size train.keep_checkpoints", (0, -1), "must lie in 1–1000000000, not 0"),
        ("train.segment_seconds", (0.0, -1, 0.1, 1e300), "must lie in 0.2–60, not 0.0"),
        ("train.learning_rate train.discriminator_learning_rate", (0.0, -1e-3), "must lie in 1e-09–1, not 0.0"),
        ("train.segment_seconds loss.spectral", (math.nan, math.inf, -math.inf), "must be a number, not nan"),
    ],
)
def test_an_option_out_of_range_is_refused(names, values, words):
    for dotted in names.split():
        messages = [refused(nested(dotted, value)) for value in values]
        assert words in messages[0]
        assert all(dotted.split(".")[-1] in message for message in messages)


def test_rules_between_options():
    assert "needs model.wavenet.layers" in refused({"model": {"source_filter": False, "wavenet": {"layers": 0}}})
    assert "perturbation_factors must rise" in refused({"features": {"content": {"perturbation_factors": [1.1, 0.9]}}})
    assert "features.content.encoder must be one of " in refused({"features": {"content": {"encoder": "ge2e"}}})
    assert "features.content.layer of cepstral must be one of cepstra, envelope" in refused(
        {"features": {"content": {"encoder": "cepstral"}}}
    )
    assert "an octave or more below" in refused({"features": {"f0": {"fmin": 500, "fmax": 400}}})


def test_all_faults_at_once():
    message = refused({"train": {"steps": "x", "stps": 1}, "model": {"hidden_layers": 2.5}, "qqq": 1, "loss": []})
    assert message.count(";") == 4
    message = refused({"sample_rate": 1, "train": {"steps": 0, "ema_decay": 2}, "loss": {"spectral": -1}})
    assert message.count(";") == 4


def test_repulsion_stays_below_what_it_is_taken_off():
    assert "below loss.spectral" in refused({"loss": {"energy_repulsion": 1.0}})
    assert from_tree({"loss": {"energy_repulsion": 0.9}}).loss.energy_repulsion == 0.9
    assert from_tree({"loss": {"energy_repulsion": 0, "spectral": 0}}).loss.spectral == 0


@pytest.mark.parametrize(
    "text",
    [
        "a: [",
        "just words",
        b"\xff\xfe\x00",
        "a: !!python/object/apply:os.system [echo]",
        "a: 2001-99-99",
        f"train: {{steps: {'9' * 5000}}}",
        "[" * 5000,
        "loss: {scales: &a [*a]}",
    ],
    ids=lambda text: repr(text[:12]),
)
def test_bad_files_are_one_sentence(tmp_path, text):
    path = tmp_path / "x.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError) as caught:
        load(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert len(message.splitlines()) == 1
    assert len(message) < 500


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("train.steps", "write it as group.option=value"),
        ("train.steps=[", "the value is not YAML"),
        ("train.steps=ten", "train.steps must be a whole number, not 'ten'"),
        ("sample_rate.x=5", "sample_rate must be a whole number"),
        ("train..steps=5", "unknown option train."),
    ],
)
def test_bad_overrides(assignment, words):
    with pytest.raises(ConfigError) as caught:
        load(None, parse_overrides([assignment]))
    assert words in str(caught.value)


NUMBERS = st.integers() | st.floats() | st.sampled_from([10**30, -(10**400), 2, 64])
SCALARS = st.none() | st.booleans() | NUMBERS | st.text(max_size=10) | st.dates() | st.just("1e-4")
NAMES = st.sampled_from(sorted({name for dotted in flatten(DEFAULTS) for name in dotted.split(".")})) | SCALARS
TREES = st.recursive(SCALARS, lambda node: st.lists(node, max_size=4) | st.dictionaries(NAMES, node, max_size=4))
SHAPED = st.fixed_dictionaries(
    {},
    optional={
        group: st.fixed_dictionaries({}, optional=dict.fromkeys(options, TREES)) if isinstance(options, dict) else TREES
        for group, options in DEFAULTS.items()
    },
)


def usable(config: Config) -> None:
    """What everything else asks of a configuration."""
    window = config.clamp_to_segment(config.train.discriminator_segment_seconds)
    assert (config.hop, config.segment_frames >= 20, window >= 10) == (config.sample_rate // 100, True, True)
    assert from_tree(to_tree(config)) == config


@settings(max_examples=60, deadline=None)
@given(tree=SHAPED | TREES)
@example(tree={"train": {"gradient_accumulation_steps": 0}})
def test_any_tree_is_a_config_or_a_sentence(tree):
    try:
        config = from_tree(tree)
    except ConfigError:
        return
    usable(config)
