"""Configurations and presets: what is accepted, what is refused and in which words."""

from __future__ import annotations

import dataclasses
import json
import math
import subprocess
import sys
import typing

import pytest

from melgan_tf import config
from melgan_tf.config import AudioConfig, Config, DataConfig, TrainingConfig, presets
from melgan_tf.errors import ConfigError, UsageError
from melgan_tf.models.fast_vocoder.config import FastVocoderConfig
from melgan_tf.models.frame_gan.config import AugmentationConfig, FrameGANConfig, VAEGANObjective
from melgan_tf.models.loop_gan.config import LoopGANConfig, LoopObjective
from melgan_tf.models.melgan.config import MelGANConfig
from melgan_tf.models.sequence_gan.config import SequenceGANConfig
from melgan_tf.models.spectrogram_gan.config import SpectrogramGANConfig
from melgan_tf.models.vocoder_training.config import VocoderObjective

PARTS = {"audio": AudioConfig, "data": DataConfig, "spectrogram-gan": SpectrogramGANConfig,
         "frame-gan": FrameGANConfig, "sequence-gan": SequenceGANConfig, "frame-objective": VAEGANObjective,
         "augmentation": AugmentationConfig, "loop-gan": LoopGANConfig, "loop-objective": LoopObjective,
         "melgan": MelGANConfig, "fast-vocoder": FastVocoderConfig, "objective": VocoderObjective,
         "training": TrainingConfig}
MODELS = ("spectrogram-gan", "frame-gan", "sequence-gan", "loop-gan", "melgan", "fast-vocoder")
NESTED = {**dict.fromkeys(("objective", "frame-objective", "loop-objective"), "model.objective"),
          "augmentation": "model.augmentation"}


def dotted(key):
    """What messages call a key of `PARTS`."""
    part, name = key.split(".")
    return f"{'model' if part in MODELS else NESTED.get(part, part)}.{name}"


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
    assert (seed.model.kind, seed.family.makes) == ("spectrogram-gan", "clips")
    assert (seed.data.window, seed.data.gain_db, training.learning_rate_decay) == ("beginning", 0.0, 1.0)


def test_melgan_preset_is_the_papers():
    melgan = presets.get("melgan")
    audio, model, training = melgan.audio, melgan.model, melgan.training
    assert (audio.sample_rate, audio.n_fft, audio.hop_samples, audio.mel_bins) == (22_050, 1024, 256, 80)
    assert (audio.mel_scale, audio.mel_norm, audio.power, audio.padding) == ("slaney", "slaney", 1.0, "half-hop")
    assert (audio.compression, audio.floor, audio.min_hz, audio.max_hz) == ("log10", 1e-5, 0.0, 11_025.0)
    assert (melgan.data.clip_samples, melgan.data.window, melgan.mel_shape) == (8_192, "random", (80, 32))
    assert (model.ratios, model.channels, model.residual_layers) == ((8, 8, 2, 2), 32, 3)
    assert model.objective == VocoderObjective(adversarial_start=0, adversarial=1, feature_matching=10, stft=0, mel=0)
    assert (training.batch_size, training.beta_1, training.beta_2) == (16, 0.5, 0.9)
    assert (training.generator_learning_rate, training.discriminator_learning_rate) == (1e-4, 1e-4)


def test_vocoder_presets_share_the_mels_of_what_they_follow():
    assert presets.get("vocoder-22k").audio == presets.get("melgan").audio
    drums = presets.get("vocoder-16k").audio
    assert drums.differences(presets.get("seed").audio) == ["compression: log10 / none"]


@pytest.mark.parametrize("name", presets.names())
def test_every_preset_is_described_and_knows_its_name(name):
    assert presets.get(name).preset == name
    assert len(presets.description(name)) > 20


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
    ({"model": {"zzz": 3}}, ["'model.zzz'", "known are kind, noise_dim, weight_std"]),
    ({"model": {"kind": "melgan", "noise_dim": 3}},
     ["'model.noise_dim'", "known are channels, kind, objective, ratios, residual_layers"]),
    ({"model": {"kind": "fast-vocoder", "objective": {"mell": 3}}}, ["'model.objective.mell'", "did you mean 'mel'?"]),
    ({"model": {"kind": "fast-vocoder", "objective": 3}}, ["model.objective is 3", "give an object"]),
    ({"model": {"kind": "wavenet"}},
     ["model.kind is 'wavenet'", "one of spectrogram-gan, frame-gan, sequence-gan, loop-gan, melgan, fast-vocoder"]),
    ({"model": {"kind": ["melgan"]}}, ["model.kind is ['melgan']", "give one of"]),
    ({"model": {"kind": "melgan", "ratios": 256}}, ["model.ratios is 256", "give a list of whole numbers"]),
    ({"model": 3}, ["model is 3", "give an object"]),
    ([], ["the configuration is []", "give an object"]),
    ({"audio": {"mel_scale": "mel"}}, ["audio.mel_scale is 'mel'", "htk, slaney"]),
    ({"preset": 1}, ["preset is 1", "give str"]),
    ({"data": {"clip_samples": 512}}, ["data.clip_samples is 512", "more than n_fft / 2 (512)"]),
    ({"data": {"clip_samples": 256}, "audio": {"padding": "half-hop"}},
     ["data.clip_samples is 256", "more than (n_fft - hop_samples) / 2 (256)"]),
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
    "data.gain_db": (-0.1, 60.1), "data.hold_out": (-1, 1_001),
    "spectrogram-gan.noise_dim": (0, 4097), "spectrogram-gan.weight_std": (0.0, 1.01),
    "frame-gan.noise_dim": (0, 4097), "frame-gan.channels": (0, 4097), "frame-gan.ceiling": (None, None),
    "frame-gan.gradient_penalty": (-0.1, None), "frame-gan.average": (-0.1, 1.0),
    "frame-gan.class_balance": (-0.1, 1.1), "frame-gan.diffuse": (-0.1, 1.1), "frame-gan.texture": (-0.1, 12.1),
    "sequence-gan.noise_dim": (0, 4097), "sequence-gan.style_dim": (0, 4097),
    "sequence-gan.style_seconds": (0.09, 3601.0), "sequence-gan.channels": (0, 4097),
    "sequence-gan.ceiling": (None, None), "sequence-gan.gradient_penalty": (-0.1, None),
    "sequence-gan.average": (-0.1, 1.0), "sequence-gan.quietest_db": (0.0, 201.0),
    "loop-gan.noise_dim": (0, 4097), "loop-gan.beat_noise": (0, 4097), "loop-gan.channels": (0, 4097),
    "loop-gan.ceiling": (None, None), "loop-gan.gradient_penalty": (-0.1, None), "loop-gan.average": (-0.1, 1.0),
    "loop-gan.class_balance": (-0.1, 1.1), "loop-gan.texture": (-0.1, 12.1), "loop-gan.tuning": (-0.1, 1.1),
    **{f"loop-objective.{name}": (-0.1, None) for name in ("adversarial", "reconstruction", "kl", "copy_adversarial",
                                                           "feature_matching", "features")},
    "frame-objective.adversarial": (-0.1, None), "frame-objective.reconstruction": (-0.1, None),
    "frame-objective.kl": (-0.1, None), "frame-objective.copy_adversarial": (-0.1, None),
    "frame-objective.feature_matching": (-0.1, None), "augmentation.bin_shift": (-1, 65),
    "augmentation.frame_shift": (-1, 65), "augmentation.gain": (-0.1, 1.1),
    "melgan.channels": (0, 513), "melgan.residual_layers": (0, 7),
    "fast-vocoder.channels": (0, 4097), "fast-vocoder.kernel": (-1, 33), "fast-vocoder.subframes": (0, 65),
    "fast-vocoder.sub_channels": (0, 4097), "fast-vocoder.sub_blocks": (-1, 65), "fast-vocoder.overlap": (1, 5),
    "fast-vocoder.carriers": (0, 9), "fast-vocoder.low_rounds": (-1, 65),
    "fast-vocoder.scatter_frames": (-1, 65), "fast-vocoder.corrections": (-1, 65),
    "objective.adversarial_start": (-1, None), "objective.adversarial": (-0.1, None),
    "objective.feature_matching": (-0.1, None), "objective.stft": (-0.1, None), "objective.mel": (-0.1, None),
    "training.batch_size": (0, None),
    "training.epochs": (0, None), "training.steps": (-1, None), "training.generator_learning_rate": (0.0, 1.01),
    "training.discriminator_learning_rate": (0.0, 1.01), "training.learning_rate_decay": (0.0, 1.01),
    "training.beta_1": (-0.1, 1.0), "training.beta_2": (-0.1, 1.0), "training.epsilon": (0.0, None),
    "training.seed": (-1, 2**31), "training.log_every": (0, None), "training.checkpoint_every": (0, None),
    "training.keep_checkpoints": (0, None), "training.preview_every": (0, None),
}


def field_types():
    hints = {part: typing.get_type_hints(cls) for part, cls in PARTS.items()}
    return {f"{part}.{f.name}": hints[part][f.name] for part, cls in PARTS.items() for f in dataclasses.fields(cls)}


def test_every_number_has_tested_limits():
    numeric = {key for key, kind in field_types().items() if kind in (int, float)}
    assert numeric == set(LIMITS)
    assert set(config.known_keys(config.Config)) == {"preset"} | set(map(dotted, field_types())) - set(NESTED.values())


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, pair in LIMITS.items() for value in pair
                                            if value is not None])
def test_values_out_of_range_are_refused(key, value):
    part, name = key.split(".")
    with pytest.raises(ConfigError) as error:
        PARTS[part](**{name: value})
    # the lower edge of max_hz is told as the upper edge of min_hz
    assert f"{dotted(key)} is {value!r}: " in str(error.value) or key == "audio.max_hz"
    assert "give" in str(error.value)


@pytest.mark.parametrize("key", LIMITS)
@pytest.mark.parametrize("value", ["5", None, True, math.nan, math.inf, [1]], ids=str)
def test_values_of_the_wrong_type_are_refused(key, value):
    part, name = key.split(".")
    with pytest.raises(ConfigError, match=f"^{dotted(key)} is "):
        PARTS[part](**{name: value})


@pytest.mark.parametrize(("cls", "name", "values"), [
    *((MelGANConfig, "ratios", ratios) for ratios in ((), (2,) * 9, (1, 8), (8, 65))),
    *((FastVocoderConfig, "dilations", dilations) for dilations in ((0,), (1, 65), (1, -2)))], ids=str)
def test_lists_out_of_range_are_refused(cls, name, values):
    with pytest.raises(ConfigError, match="give .* 64$") as error:
        cls(**{name: values})
    assert str(error.value).startswith(f"model.{name} is {list(values)}: ")


@pytest.mark.parametrize(("cls", "name"), [(MelGANConfig, "ratios"), (FastVocoderConfig, "dilations")])
@pytest.mark.parametrize("values", [[8, 8], (8.0, 8), (True, 8), "8,8", 64, None], ids=str)
def test_lists_of_the_wrong_type_are_refused(cls, name, values):
    with pytest.raises(ConfigError, match=rf"^model\.{name} is .*: give a list of whole numbers$"):
        cls(**{name: values})


@pytest.mark.parametrize(("part", "changes", "words"), [
    ("audio", {"compression": "none"}, "audio.compression is 'none': a frame GAN needs log10"),
    ("audio", {"floor": 1e6}, "model.ceiling is 5.0: give more than the logarithm of audio.floor"),
    ("data", {"clip_samples": 9_000}, "data.clip_samples is 9000: give as many samples as make 4, 8, 16"),
    ("data", {"level": "loud"}, "data.level is 'loud': give one of natural, peak"),
    ("training", {"precision": "mixed_bfloat16"},
     "training.precision is 'mixed_bfloat16': a frame GAN learns in float32"),
    ("training", {"batch_size": 12}, "training.batch_size is 12: give a multiple of 8")])
def test_what_a_frame_gan_cannot_do_is_refused(part, changes, words):
    drums = presets.get("drums")
    with pytest.raises(ConfigError, match=f"^{words}"):
        dataclasses.replace(drums, **{part: dataclasses.replace(getattr(drums, part), **changes)})


def test_a_frame_gan_needs_something_to_learn_from():
    with pytest.raises(ConfigError, match="model.objective.adversarial is 0.0: give something to learn from"):
        VAEGANObjective(adversarial=0.0, reconstruction=0.0)


@pytest.mark.parametrize("overlap", [1, 3, 8])
def test_an_overlap_of_two_or_four_windows_only(overlap):
    with pytest.raises(ConfigError, match=f"model.overlap is {overlap}: give 2 or 4"):
        FastVocoderConfig(overlap=overlap)


def test_an_even_kernel_is_refused():
    with pytest.raises(ConfigError, match="model.kernel is 4: give an odd number"):
        FastVocoderConfig(kernel=4)


@pytest.mark.parametrize(("values", "cls"), [({}, SpectrogramGANConfig), ({"noise_dim": 3}, SpectrogramGANConfig),
                                             ({"kind": "spectrogram-gan"}, SpectrogramGANConfig)])
def test_a_model_without_a_kind_is_the_spectrogram_gan(values, cls):
    """As in the configurations that were written before there were kinds."""
    assert type(config.from_dict(Config, {"model": values}).model) is cls


def test_the_kind_tells_models_apart():
    vocoder = presets.get("melgan")
    values = config.to_dict(vocoder) | {"model": {"kind": "melgan", "ratios": [4, 8, 8], "channels": 7}}
    assert config.from_dict(Config, values).model == MelGANConfig(ratios=(4, 8, 8), channels=7)
    with pytest.raises(ConfigError, match="^model is .*: give ModelConfig"):
        Config(model=TrainingConfig())


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
    code = ("import sys, melgan_tf.config, melgan_tf.config.presets, melgan_tf.cli.main; "
            "sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)")
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
