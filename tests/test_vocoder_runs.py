"""Runs of vocoders: stopped and resumed in either phase, started from a generator alone, nearer with every epoch."""

from __future__ import annotations

import dataclasses
import os
import re
import types

import numpy as np
import pytest
import soundfile
import tensorflow as tf
from run_contents import events
from run_contents import history as read_history
from told import Told
from vocoder_settings import CLIP, JUDGED, SPECTRAL, settings

from melgan_tf.config.registry import build_network
from melgan_tf.errors import MelGANError
from melgan_tf.models.vocoder_training import train_step
from melgan_tf.models.vocoder_training.discriminator import MultiScaleDiscriminator
from melgan_tf.models.vocoder_training.task import VocoderTask
from melgan_tf.models.vocoder_training.train_step import VocoderGAN
from melgan_tf.progress import Progress
from melgan_tf.storage.checkpoints import CheckpointStore, collect, load
from melgan_tf.storage.run_directory import RunDirectory, with_training
from melgan_tf.training import callbacks
from melgan_tf.training.initial_weights import apply_initial_weights, load_initial_weights
from melgan_tf.training.run import run

pytestmark = pytest.mark.usefixtures("small_discriminators")


def store(path):
    return CheckpointStore(path / "checkpoints")


def history(path):
    return [(int(row["epoch"]), *(row[name] for name in VocoderGAN.METRICS)) for row in read_history(path)]


@pytest.fixture
def _no_previews(monkeypatch):
    monkeypatch.setattr(callbacks.Preview, "on_train_begin", lambda self, logs=None: None)


def stopped_and_not(config, folder, path, stops):
    """Asserts that a run with stops ends as one without, both at the last of the stops."""
    run(with_training(config, steps=stops[-1]), folder, path / "whole")
    for stop, before in zip(stops, [None, *stops], strict=False):
        lines = Told()
        assert run(with_training(config, steps=stop), folder, path / "run", lines).steps == stop
        assert lines.warnings == []
        assert before is None or any(line.startswith(f"resuming at step {before} ") for line in lines.lines)
    (ours, meta), (theirs, other_meta) = (load(store(path / name).file(stops[-1])) for name in ("run", "whole"))
    assert set(ours) == set(theirs)
    assert {name.split("/")[0] for name in ours} == {"run", "generator", "discriminator", "generator_optimizer",
                                                     "discriminator_optimizer"}
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)
    assert meta == other_meta
    assert ours["generator_optimizer/generator_adam/iteration"] == stops[-1]
    assert ours["discriminator_optimizer/discriminator_adam/iteration"] == stops[-1] - 5


@pytest.mark.slow
@pytest.mark.usefixtures("_no_previews", "eager")
def test_stops_in_either_phase_are_exact(sound_folder, tmp_path):
    stopped_and_not(settings("melgan", batch_size=16), sound_folder, tmp_path, [3, 8, 10])


@pytest.mark.nightly
@pytest.mark.usefixtures("_no_previews")
def test_a_stop_at_the_switch_is_exact_compiled_and_in_shards(sound_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1})
    monkeypatch.setattr(train_step, "MultiScaleDiscriminator",
                        lambda seed: MultiScaleDiscriminator(scales=1, channels=4, layers=1, seed=seed))
    stopped_and_not(settings("smallest", batch_size=4, xla="on"), sound_folder, tmp_path, [5, 6])
    resolved = RunDirectory(tmp_path / "run").record()["resolved"]
    assert (resolved["xla"], resolved["shards"]) == (True, 2)


@pytest.mark.slow
@pytest.mark.usefixtures("_no_previews", "eager")
def test_a_run_of_a_generator_alone_trains_on_with_the_rest_new(sound_folder, tmp_path):
    """As `import-torch` makes it."""
    config = settings("melgan", JUDGED, batch_size=16, generator_learning_rate=1e-4)
    imported = build_network(with_training(config, seed=9), training=True)
    store(tmp_path).save(collect(generator=imported.variables), 0,
                         {"epoch": 0, "audio_fingerprint": config.audio.fingerprint()})
    RunDirectory(tmp_path).write(config, {"imported_from": "elsewhere"}, {})
    for steps, words in ((1, "starting from the generator in the checkpoint"), (2, "resuming at step 1 ")):
        lines = Told()
        assert run(with_training(config, steps=steps), sound_folder, tmp_path, lines).steps == steps
        assert lines.warnings == []
        assert any(line.startswith(words) for line in lines.lines)
    state = load(store(tmp_path).file(1))[0]
    fresh = collect(discriminator=train_step.MultiScaleDiscriminator(seed=config.training.seed).variables)
    for begun in (collect(generator=imported.variables), fresh):
        for name, value in begun.items():
            moved = np.abs(state[name] - value).max()
            assert 0 < moved < 5e-4 or name.endswith("logits/bias"), name  # by a step of each player's Adam


@pytest.mark.usefixtures("_no_previews", "eager")
def test_a_generator_alone_is_not_enough_later(sound_folder, tmp_path):
    config = settings("melgan", JUDGED, batch_size=16)
    store(tmp_path).save(collect(generator=build_network(config, training=True).variables), 3, {"epoch": 0})
    RunDirectory(tmp_path).write(config, {}, {})
    with pytest.raises(MelGANError, match="does not fit the model: .* is missing"):
        run(with_training(config, steps=4), sound_folder, tmp_path)


def test_a_run_starts_with_what_fits_of_another_vocoder(sound_folder, tmp_path):
    old = settings("fast", SPECTRAL)
    model = build_network(with_training(old, seed=3), training=True)
    store(tmp_path).save(collect(generator=model.variables), 0, {"audio_fingerprint": old.audio.fingerprint()})
    RunDirectory(tmp_path).write(old, {}, {})
    new = dataclasses.replace(old, model=dataclasses.replace(old.model, low_rounds=1, kernel=5))
    task = VocoderTask(new, sound_folder, Progress())
    task.build()
    known = collect(generator=model.variables)
    line = apply_initial_weights(load_initial_weights(tmp_path, new), task)
    state = collect(generator=task.model.generator.variables)
    fresh = {name for name, value in state.items() if name not in known or value.shape != known[name].shape}
    assert len(fresh) == 3  # the first kernel, and the new layer's kernel and bias
    assert f"generator {len(state) - 3} of {len(state)}" in line
    for name in set(state) - fresh:
        np.testing.assert_array_equal(state[name], known[name], err_msg=name)


@pytest.mark.slow
def test_a_run_comes_nearer_to_the_sounds_and_shows_it(sound_folder, tmp_path):
    """Without corrections, which bring even an untrained model near."""
    config = settings("smallest", SPECTRAL, batch_size=8, epochs=4, checkpoint_every=1, preview_every=4, log_every=3,
                      generator_learning_rate=3e-3)
    lines = Told()
    result = run(config, sound_folder, tmp_path, lines)
    per_epoch = -(-result.sounds.clips // 8)
    assert (result.steps, result.epochs, len(result.sounds)) == (4 * per_epoch, 4, 24)
    found, rows = events(tmp_path), history(tmp_path)
    assert set(found) == {*VocoderGAN.METRICS, "evaluation/mel_db", "mel/real", "mel/fake", "audio/real", "audio/fake"}
    distances = [float(tf.make_ndarray(value.tensor)) for _, value in found["evaluation/mel_db"]]
    assert [step for step, _ in found["evaluation/mel_db"]] == [0, 1, 2, 3]
    assert distances[3] < 0.9 * distances[0]
    assert store(tmp_path).best_meta()["evaluation/mel_db"] == pytest.approx(min(distances), rel=1e-6)
    assert not any(name.startswith("discriminator") for name in load(store(tmp_path).file(result.steps))[0])
    assert ([step for step, _ in found["audio/real"]], [step for step, _ in found["audio/fake"]]) == ([0], [3])
    for tag in ("audio/real", "audio/fake"):
        sounds = tf.make_ndarray(found[tag][0][1].tensor)[:, 0]
        waveform, rate = tf.audio.decode_wav(sounds[0])
        assert (len(sounds), int(rate), waveform.shape) == (16, 16_000, (CLIP, 1))
    shown = [line for line in lines.lines if line.startswith("[")]
    assert (len(shown), [row[0] for row in rows]) == (2, [0, 1, 2, 3])
    metrics = dict(zip(VocoderGAN.METRICS, map(float, rows[3][1:]), strict=True))
    numbers = [float(number) for number in re.findall(r": (-?\d+\.\d{4})", shown[1])]
    wanted = [metrics[f"generator/{name}"] for name in ("loss", "stft", "mel", "feature_matching")]
    np.testing.assert_allclose(numbers, [*wanted, metrics["discriminator/loss"]], atol=1e-3)


@pytest.mark.parametrize("power", [1.0, 2.0])
@pytest.mark.parametrize(("gain", "decibels"), [(1.0, 0.0), (0.5, 6.02), (-2.0, 6.02), (0.1, 20.0)])
def test_a_copy_is_judged_in_decibels(tmp_path, power, gain, decibels):
    soundfile.write(tmp_path / "noise.wav", np.random.default_rng(0).uniform(-0.9, 0.9, 4_000), 16_000)
    config = settings()
    config = dataclasses.replace(config, audio=dataclasses.replace(config.audio, power=power))
    task = VocoderTask(config, tmp_path, Progress())
    task.model = types.SimpleNamespace(generator=lambda mels: tf.pad(gain * task.clip, [[0, 0], [0, 128]]))
    task.setup_validation()
    assert task.validation_score() == pytest.approx(decibels, abs=0.01)
