"""Configurations and presets: what is accepted, what is refused and in which words."""

from __future__ import annotations

import dataclasses
import json
import math
import subprocess
import sys

import pytest

from melgan_tf import config, presets
from melgan_tf.config import AudioConfig, Config, DataConfig, ModelConfig, TrainingConfig
from melgan_tf.errors import ConfigError, UsageError

PARTS = {"audio": AudioConfig, "data": DataConfig, "model": ModelConfig, "training": TrainingConfig}


def test_seed_preset_is_the_original_recipe():
    seed = presets.get("seed")
    audio, training = seed.audio, seed.training
    assert (audio.sample_rate, audio.n_fft, audio.hop_samples, audio.mel_bins) == (16_000, 1024, 512, 64)
    assert (audio.mel_scale, audio.mel_norm, audio.power, audio.padding) == ("htk", "none", 2.0, "centre")
    assert (audio.compression, audio.min_hz, audio.max_hz) == ("none", 0.0, 8_000.0)
    assert seed.data.clip_samples == 8_000
    assert seed.mel_shape == (64, 16)
    assert (seed.model.noise_dim, seed.model.weight_std) == (20, 0.02)
    assert (training.batch_size, training.epochs) == (128, 5_000)
    assert (training.generator_learning_rate, training.discriminator_learning_rate) == (2e-4, 2e-4)
    assert (training.beta_1, training.beta_2, training.epsilon) == (0.5, 0.999, 1e-8)


@pytest.mark.parametrize("name", presets.names())
def test_every_preset_is_described_and_knows_its_name(name):
    assert presets.get(name).preset == name
    assert len(presets.DESCRIPTIONS[name]) > 20
    assert set(presets.DESCRIPTIONS) == set(presets.names())


@pytest.mark.parametrize(("name", "hint"), [("sead", "did you mean 'seed'?"), ("!", "known are seed")])
def test_unknown_preset_is_refused_with_a_hint(name, hint):
    with pytest.raises(ConfigError) as error:
        presets.get(name)
    assert repr(name) in str(error.value)
    assert hint in str(error.value)


@pytest.mark.parametrize("name", presets.names())
def test_a_configuration_survives_json(name):
    original = presets.get(name)
    assert config.from_dict(Config, json.loads(json.dumps(config.to_dict(original)))) == original


def test_values_left_out_take_their_defaults():
    assert config.from_dict(Config, {"training": {"batch_size": 7}}) == Config(training=TrainingConfig(batch_size=7))


def test_configurations_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().preset = "other"


@pytest.mark.parametrize(("values", "words"), [
    ({"trainig": {}}, ["'trainig'", "did you mean 'training'?"]),
    ({"training": {"batchsize": 3}}, ["'training.batchsize'", "did you mean 'batch_size'?"]),
    ({"batch_size": 3}, ["'batch_size'", "did you mean 'training.batch_size'?"]),
    ({"model": {"zzz": 3}}, ["'model.zzz'", "known are noise_dim, weight_std"]),
    ({"model": 3}, ["model is 3", "give an object"]),
    ([], ["the configuration is []", "give an object"]),
    ({"audio": {"mel_scale": "mel"}}, ["audio.mel_scale is 'mel'", "htk, slaney"]),
    ({"preset": 1}, ["preset is 1", "give str"]),
    ({"data": {"clip_samples": 512}}, ["data.clip_samples is 512", "more than n_fft / 2 (512)"]),
])
def test_malformed_configurations_are_refused(values, words):
    with pytest.raises(ConfigError) as error:
        config.from_dict(Config, values)
    assert all(word in str(error.value) for word in words), str(error.value)
    assert "\n" not in str(error.value)
    assert error.value.exit_code == 2


#: For each numeric key a value just outside its range on either side (None: there is no such side).
LIMITS = {
    "audio.sample_rate": (999, 384_001), "audio.n_fft": (14, 65_538), "audio.hop_samples": (0, 1025),
    "audio.mel_bins": (0, 513), "audio.min_hz": (-1.0, 8_000.0), "audio.max_hz": (0.0, 8_000.5),
    "audio.power": (1.5, 3.0), "audio.floor": (0.0, None), "data.clip_samples": (63, 100_000_001),
    "model.noise_dim": (0, 4097), "model.weight_std": (0.0, 1.01), "training.batch_size": (0, None),
    "training.epochs": (0, None), "training.steps": (-1, None), "training.generator_learning_rate": (0.0, 1.01),
    "training.discriminator_learning_rate": (0.0, 1.01), "training.beta_1": (-0.1, 1.0),
    "training.beta_2": (-0.1, 1.0), "training.epsilon": (0.0, None), "training.seed": (-1, 2**31),
    "training.log_every": (0, None), "training.checkpoint_every": (0, None), "training.keep_checkpoints": (0, None),
    "training.preview_every": (0, None),
}


def field_types():
    return {f"{part}.{f.name}": f.type for part, cls in PARTS.items() for f in dataclasses.fields(cls)}


def test_every_number_has_tested_limits():
    numeric = {key for key, kind in field_types().items() if kind in ("int", "float")}
    assert numeric == set(LIMITS)
    assert {key for key in config.known_keys() if "." in key} == set(field_types())


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, pair in LIMITS.items() for value in pair
                                            if value is not None])
def test_values_out_of_range_are_refused(key, value):
    part, name = key.split(".")
    with pytest.raises(ConfigError) as error:
        PARTS[part](**{name: value})
    # the lower edge of max_hz is told as the upper edge of min_hz
    assert key in str(error.value) or key == "audio.max_hz"
    assert "give" in str(error.value)


@pytest.mark.parametrize("key", LIMITS)
@pytest.mark.parametrize("value", ["5", None, True, math.nan, math.inf, [1]], ids=str)
def test_values_of_the_wrong_type_are_refused(key, value):
    part, name = key.split(".")
    with pytest.raises(ConfigError, match=f"^{part}.{name} is "):
        PARTS[part](**{name: value})


def test_an_odd_transform_is_refused_and_whole_numbers_do_for_floats_only():
    with pytest.raises(ConfigError, match="even"):
        AudioConfig(n_fft=1023)
    power = AudioConfig(power=1).power
    assert (power, type(power)) == (1.0, float)
    with pytest.raises(ConfigError, match="training.epochs is 2.0: give a whole number"):
        TrainingConfig(epochs=2.0)


def test_an_int_and_its_float_are_one_configuration():
    assert AudioConfig(max_hz=8_000).fingerprint() == AudioConfig(max_hz=8_000.0).fingerprint()


def test_fingerprint_changes_with_every_field():
    changed = {"sample_rate": 22_050, "n_fft": 2048, "hop_samples": 256, "mel_bins": 32, "min_hz": 20.0,
               "max_hz": 7_000.0, "mel_scale": "slaney", "mel_norm": "slaney", "power": 1.0, "padding": "half-hop",
               "compression": "log10", "floor": 1e-4}
    assert set(changed) | {"window"} == {f.name for f in dataclasses.fields(AudioConfig)}
    prints = {AudioConfig(**{name: value}).fingerprint() for name, value in changed.items()}
    assert len(prints | {AudioConfig().fingerprint()}) == len(changed) + 1
    assert all(len(p) == 12 for p in prints)


def test_fingerprint_is_the_one_that_old_checkpoints_hold():
    assert AudioConfig().fingerprint() == "19307874bec6"


def test_differences_are_named():
    assert AudioConfig().differences(AudioConfig(hop_samples=256, power=1.0)) == ["hop_samples: 512 / 256",
                                                                                  "power: 2.0 / 1.0"]
    assert AudioConfig().differences(AudioConfig()) == []


@pytest.mark.parametrize(("padding", "samples", "frames"), [
    ("centre", 8_000, 16), ("centre", 511, 1), ("centre", 512, 2), ("half-hop", 8_000, 15), ("half-hop", 8_192, 16)])
def test_frames(padding, samples, frames):
    assert AudioConfig(padding=padding).frames(samples) == frames


def test_merge_lays_nested_values_over_others():
    base = {"a": {"b": 1, "c": 2}, "d": 3}
    assert config.merge(base, {"a": {"b": 9}, "e": 4}) == {"a": {"b": 9, "c": 2}, "d": 3, "e": 4}
    assert base == {"a": {"b": 1, "c": 2}, "d": 3}
    with pytest.raises(ConfigError, match="give an object"):
        config.merge(base, [1])


@pytest.mark.parametrize(("text", "values"), [
    ("training.batch_size=64", {"training": {"batch_size": 64}}), ("preset=seed", {"preset": "seed"}),
    ("training.xla=off", {"training": {"xla": "off"}}), ("a.b.c=1e-3", {"a": {"b": {"c": 0.001}}}),
    ("a==", {"a": "="}), (" a.b =1", {"a": {"b": 1}})])
def test_assignments_are_read(text, values):
    assert config.parse_assignment(text) == values


@pytest.mark.parametrize("text", ["training.batch_size", "=3", "a..b=1", "a b=1", ""])
def test_malformed_assignments_are_refused(text):
    with pytest.raises(ConfigError, match="give PART.KEY=VALUE"):
        config.parse_assignment(text)


def test_unreadable_files_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="No such file"):
        config.read_json(tmp_path / "missing.json")
    with pytest.raises(ConfigError, match="Is a directory"):
        config.read_json(tmp_path)
    (tmp_path / "text.json").write_text("training:\n  epochs: 3\n")
    with pytest.raises(ConfigError, match=r"text\.json is not JSON"):
        config.read_json(tmp_path / "text.json")
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe{}")
    with pytest.raises(ConfigError, match=r"bytes\.json is not JSON"):
        config.read_json(tmp_path / "bytes.json")
    (tmp_path / "good.json").write_text('{"training": {"epochs": 3}}')
    assert config.read_json(tmp_path / "good.json") == {"training": {"epochs": 3}}


def test_config_errors_are_usage_errors():
    assert issubclass(ConfigError, UsageError)


def test_neither_configurations_nor_the_command_line_load_tensorflow():
    code = ("import sys, melgan_tf.config, melgan_tf.presets, melgan_tf.cli.main; "
            "sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)")
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
