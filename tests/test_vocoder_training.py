"""A vocoder's training step against a plain one, its two phases, and its runs."""

from __future__ import annotations

import csv
import dataclasses
import os
import re
import types
from unittest import mock

import keras
import librosa
import numpy as np
import pytest
import soundfile
import tensorflow as tf
from click.testing import CliRunner
from tensorboard.compat.proto import event_pb2

from melgan_tf.cli.maintain import start
from melgan_tf.config import Config, DataConfig, from_dict, presets, to_dict
from melgan_tf.config.registry import build_network
from melgan_tf.dsp import spectral
from melgan_tf.errors import ConfigError, MelGANError, UsageError
from melgan_tf.models.fast_vocoder.config import FastVocoderConfig
from melgan_tf.models.melgan.config import MelGANConfig
from melgan_tf.models.vocoder_training import train_step as vocoder
from melgan_tf.models.vocoder_training.config import VocoderObjective
from melgan_tf.models.vocoder_training.discriminator import MultiScaleDiscriminator
from melgan_tf.models.vocoder_training.task import VocoderTask
from melgan_tf.models.vocoder_training.train_step import VocoderGAN
from melgan_tf.progress import Progress
from melgan_tf.storage.checkpoints import CheckpointStore, collect, load
from melgan_tf.storage.run_directory import RunDirectory, with_training
from melgan_tf.training import callbacks, loop, optimizers
from melgan_tf.training.plan import mirrored
from melgan_tf.training.run import run
from melgan_tf.training.stft_loss import multi_resolution_stft

CLIP, BATCH = 1_024, 5
OBJECTIVE = VocoderObjective(adversarial_start=5, adversarial=1.0, feature_matching=10.0, stft=5.0, mel=15.0)
SPECTRAL = dataclasses.replace(OBJECTIVE, adversarial_start=0, adversarial=0.0, feature_matching=0.0)
JUDGED = VocoderObjective(adversarial=0.7, feature_matching=9.0)
FAST = FastVocoderConfig(channels=16, sub_channels=8)
MODELS = {"fast": FAST, "smallest": dataclasses.replace(FAST, dilations=(1,), sub_blocks=0, corrections=0),
          "melgan": MelGANConfig(ratios=(8, 4, 4), channels=4, residual_layers=2)}
BOTH = pytest.mark.parametrize("model", ["fast", "melgan"])


def settings(model="fast", objective=OBJECTIVE, **training):
    preset = presets.get("vocoder-16k")
    audio = dataclasses.replace(preset.audio, n_fft=512, hop_samples=128, mel_bins=32)
    config = dataclasses.replace(preset, audio=audio, data=DataConfig(CLIP, "random", 6.0),
                                 model=dataclasses.replace(MODELS[model], objective=objective))
    return with_training(config, **{"batch_size": BATCH, "steps": 0, "learning_rate_decay": 0.5, "xla": "off",
                                    "checkpoint_every": 1_000, "preview_every": 1_000} | training)


@pytest.fixture(scope="module", autouse=True)
def _small_discriminators():
    """Two scales of three layers in place of three of seven: 5 thousand weights in place of 17 million."""
    with mock.patch.object(vocoder, "MultiScaleDiscriminator",
                           lambda seed: MultiScaleDiscriminator(scales=2, channels=4, layers=2, seed=seed)):
        yield


@pytest.fixture
def _eager(monkeypatch):
    """Steps one operation at a time: for few of them, that is sooner done than tracing them."""
    monkeypatch.setattr(tf, "function", lambda function=None, **options: function or (lambda f: f))


class Recording(keras.optimizers.SGD):
    """Gradient descent that keeps the gradients it was given."""

    def apply(self, gradients, variables=None):
        self.seen = [np.asarray(gradient) for gradient in gradients]
        return super().apply(gradients, variables)


def gan(config, players=None, **how):
    """A compiled model. Its convolutions neither damp nor amplify: those that training begins with leave hardly any
    gradient in the layers furthest from the loss."""
    model = VocoderGAN(config)
    for player in (model.generator, model.discriminator):
        for variable in player.trainable_variables if player else ():
            if variable.name == "g":
                variable.assign(np.full(variable.shape, 1.5))
    model.compile(*(players or (optimizers.adam(config, "generator"), optimizers.adam(config, "discriminator"))), **how)
    return model


def clips(seed=0, count=BATCH):
    """Tones under noise, each of its own loudness."""
    rng = np.random.default_rng(seed)
    tones = np.sin(2 * np.pi * rng.uniform(0.01, 0.2, (count, 1)) * np.arange(CLIP))
    return tf.constant(rng.uniform(0.02, 0.8, (count, 1)) * (tones + 0.1 * rng.normal(size=(count, CLIP))), tf.float32)


def named(figures):
    return {name: float(figures[name]) for name in VocoderGAN.METRICS}


def values(player):
    return [np.asarray(variable) for variable in player.variables]


def changed(player, before):
    return [not np.array_equal(old, new) for old, new in zip(before, values(player), strict=True)]


# -- losses ----------------------------------------------------------------------------------------------------------

def librosa_stft_losses(fake, real):
    """Spectral convergence and log distance of each sound, from librosa's magnitudes."""
    found = []
    for length, hop in ((256, 64), (512, 128), (1024, 256)):
        floor = 1e-5 * length / 4
        pairs = [[np.sqrt(np.abs(librosa.stft(np.asarray(sound, "float64"), n_fft=length, hop_length=hop,
                                              pad_mode="reflect")) ** 2 + floor**2) for sound in pair]
                 for pair in zip(fake, real, strict=True)]
        found.append([(np.linalg.norm(b - a) / np.linalg.norm(b), np.mean(np.abs(np.log(a / b)))) for a, b in pairs])
    return np.mean(found, axis=0).T


def test_stft_loss_is_what_librosa_says():
    fake, real = clips(0), clips(1)
    np.testing.assert_allclose(multi_resolution_stft(fake, real), librosa_stft_losses(fake, real), rtol=1e-4)
    np.testing.assert_allclose(multi_resolution_stft(real, real), 0, atol=2e-6)


def plain_step(model, real, adversarial):
    """The same step as one would write it down; returns both players' gradients and the figures."""
    weights, audio = model.loss_weights, model.config.audio
    g, d = ([v.value for v in player.trainable_variables] if player else [] for player in
            (model.generator, model.discriminator))
    mel = spectral.mel_spectrogram(real, audio)
    loss_d, fooled, features, gradients_d, real_maps = 0.0, 0.0, 0.0, None, None
    if adversarial:
        with tf.GradientTape() as tape:
            real_maps, fake_maps = model.discriminator(real), model.discriminator(model.generator(mel)[:, :CLIP])
            loss_d = tf.add_n([tf.reduce_mean(tf.maximum(0.0, 1 - real_scale[-1]))
                               + tf.reduce_mean(tf.maximum(0.0, 1 + fake_scale[-1]))
                               for real_scale, fake_scale in zip(real_maps, fake_maps, strict=True)])
        gradients_d = tape.gradient(loss_d, d)
        model.discriminator_optimizer.apply(gradients_d, model.discriminator.trainable_variables)
    with tf.GradientTape() as tape:
        fake = model.generator(mel)[:, :CLIP]
        convergence, logarithmic = multi_resolution_stft(fake, real)
        stft = tf.reduce_mean(convergence) + tf.reduce_mean(logarithmic)
        distance = tf.reduce_mean(tf.abs(spectral.mel_spectrogram(fake, audio) - mel))
        if adversarial:
            fake_maps = model.discriminator(fake)
            fooled = -tf.add_n([tf.reduce_mean(scale[-1]) for scale in fake_maps])
            # two scales of two strided layers
            features = 4 / 3 / 2 * tf.add_n([tf.reduce_mean(tf.abs(a - b)) for scales in zip(real_maps, fake_maps,
                                             strict=True) for a, b in list(zip(*scales, strict=True))[:-1]])
        loss = (weights.stft * stft + weights.mel * distance + weights.adversarial * fooled
                + weights.feature_matching * features)
    gradients_g = tape.gradient(loss, g)
    stft, distance = stft * (weights.stft > 0), distance * (weights.mel > 0)
    return gradients_g, gradients_d, dict(zip(
        VocoderGAN.METRICS, map(float, (loss, stft, distance, fooled, features, loss_d)),
                                              strict=True))


@BOTH
@pytest.mark.parametrize(("objective", "adversarial", "shards"), [
    (OBJECTIVE, False, 3), (OBJECTIVE, True, 2), (JUDGED, True, 1), (SPECTRAL, False, 1)], ids=str)
def test_gradients_and_figures_are_those_of_the_plain_step(model, objective, adversarial, shards):
    config = settings(model, objective)
    ours = gan(config, (Recording(0.0), Recording(0.05)), shards=shards)
    theirs = gan(config, (Recording(0.0), Recording(0.05)))
    gradients_g, gradients_d, plain = plain_step(theirs, clips(), adversarial)
    figures = named(ours.train_step(clips(), adversarial))
    assert figures == pytest.approx(plain, rel=2e-4, abs=1e-5)
    pairs = list(zip(ours.generator_optimizer.seen, gradients_g, strict=True))
    pairs += zip(ours.discriminator_optimizer.seen, gradients_d, strict=True) if adversarial else []
    for a, b in pairs:
        assert np.linalg.norm(a - b) <= 2e-3 * np.linalg.norm(b)
    if adversarial:
        assert min(abs(figures[name]) for name in VocoderGAN.METRICS[3:]) > 0.005


@pytest.mark.parametrize("adversarial", [False, True])
def test_the_loss_is_the_sum_of_its_weighted_parts(adversarial):
    objective = VocoderObjective(adversarial_start=1, adversarial=2.0, feature_matching=3.0, stft=5.0, mel=7.0)
    figures = named(gan(settings(objective=objective), shards=2).train_step(clips(), adversarial))
    parts = [figures[f"generator/{name}"] for name in ("adversarial", "feature_matching", "stft", "mel")]
    assert figures["generator/loss"] == pytest.approx(np.dot([2, 3, 5, 7], parts), rel=1e-5)
    assert [part != 0 for part in parts] == [adversarial, adversarial, True, True]
    assert (figures["discriminator/loss"] > 0) is adversarial


@BOTH
@pytest.mark.parametrize("adversarial", [False, True])
@pytest.mark.parametrize("silent", [1, BATCH])
def test_silent_clips_leave_everything_finite(model, adversarial, silent):
    ours = gan(settings(model), (Recording(0.01), Recording(0.01)), shards=2)
    sounds = tf.concat([tf.zeros((silent, CLIP)), clips()[silent:]], 0)
    for _ in range(2):
        figures = named(ours.train_step(sounds, adversarial))
        assert np.isfinite(list(figures.values())).all(), figures
        assert all(np.isfinite(gradient).all() for gradient in ours.generator_optimizer.seen)
    for values_of in values(ours.generator), values(ours.discriminator):
        assert all(np.isfinite(value).all() for value in values_of)


@pytest.mark.usefixtures("_eager")
def test_a_figure_that_is_not_finite_stops_the_loop():
    model = gan(settings("smallest", SPECTRAL))
    dataset = tf.data.Dataset.from_tensors(clips() * np.nan).repeat()
    with pytest.raises(MelGANError, match=r"^generator/loss became nan in epoch 1: stopped; lower the learning rates"):
        loop.train(model, dataset, 0, 2, 2, keras.callbacks.CallbackList([]), tf.distribute.get_strategy())


# -- phases ----------------------------------------------------------------------------------------------------------

@pytest.mark.slow
@pytest.mark.parametrize("preset", [name for name in presets.names() if presets.get(name).family.makes == "waveforms"])
def test_every_preset_takes_steps_that_change_every_weight_of_who_learns(preset, monkeypatch):
    """With the discriminators that it comes with."""
    monkeypatch.setattr(vocoder, "MultiScaleDiscriminator", MultiScaleDiscriminator)
    whole = presets.get(preset)
    samples = 8 * whole.audio.hop_samples
    config = with_training(dataclasses.replace(whole, data=dataclasses.replace(whole.data, clip_samples=samples)),
                           batch_size=2)
    model = gan(config)
    assert model.discriminator.count_params() == pytest.approx(16.9e6, rel=0.01)
    sounds = tf.constant(0.3 * np.random.default_rng(0).normal(size=(2, samples)), tf.float32)
    for adversarial in (False, True) if model.switches else (True,):
        generator, discriminator = values(model.generator), values(model.discriminator)
        figures = named(model.train_step(sounds, adversarial))
        assert np.isfinite(list(figures.values())).all(), figures
        assert all(changed(model.generator, generator))
        assert all(np.mean(old != new) > 0.9 for old, new in zip(generator, values(model.generator), strict=True))
        moved = [had for had, variable in zip(changed(model.discriminator, discriminator),
                                              model.discriminator.variables, strict=True)
                 # within the margins, the real and the fake sounds pull equally at this one
                 if not adversarial or not variable.path.endswith("logits/bias")]
        assert all(moved) if adversarial else not any(moved)


@pytest.mark.parametrize(("rates", "moving"), [((0.0, 0.1), "discriminator"), ((0.1, 0.0), "generator")])
def test_each_player_moves_by_its_own_optimizer_alone(rates, moving):
    model = gan(settings(), tuple(keras.optimizers.SGD(rate) for rate in rates))
    before = {name: values(getattr(model, name)) for name in ("generator", "discriminator")}
    model.train_step(clips(), True)
    for name, old in before.items():
        assert any(changed(getattr(model, name), old)) is (name == moving)


@pytest.mark.parametrize(("objective", "switches", "phases"), [
    (OBJECTIVE, (5,), [False, False, True, True]), (JUDGED, (), [True] * 4), (SPECTRAL, (), [False] * 4),
    (dataclasses.replace(SPECTRAL, adversarial_start=5), (), [False] * 4),
    (dataclasses.replace(OBJECTIVE, adversarial=0.0), (5,), [False, False, True, True])])
def test_phases_follow_the_objective(objective, switches, phases):
    model = VocoderGAN(settings(objective=objective))
    assert model.switches == switches
    assert [model.phase(step) for step in (0, 4, 5, 10**6)] == phases
    assert (model.discriminator is None) is (objective.adversarial == objective.feature_matching == 0)
    model.compile(keras.optimizers.SGD(), keras.optimizers.SGD())
    assert ("discriminator" in model.parts()) is (model.discriminator is not None)


class Watching(keras.callbacks.Callback):
    """What the discriminators are like after each call, and the figures of each epoch."""

    def __init__(self):
        super().__init__()
        self.seen, self.logs = {}, []

    def on_train_batch_end(self, batch, logs=None):
        self.seen[batch] = (values(self.model.discriminator), int(self.model.discriminator_optimizer.iterations))

    def on_epoch_end(self, epoch, logs=None):
        self.logs.append(logs)


@pytest.mark.usefixtures("_eager")
def test_discriminators_join_at_their_step_and_not_before():
    model, watching = gan(settings("smallest")), Watching()
    previous = values(model.discriminator)
    dataset = tf.data.Dataset.from_tensors(clips()).repeat()
    loop.train(model, dataset, 0, 7, 1, keras.callbacks.CallbackList([watching], model=model),
               tf.distribute.get_strategy())
    assert list(watching.seen) == [1, 2, 3, 4, 5, 6, 7]
    for step, (weights, iterations) in watching.seen.items():
        assert iterations == max(0, step - 5)
        assert any(not np.array_equal(a, b) for a, b in zip(previous, weights, strict=True)) is (step > 5), step
        previous = weights
    for epoch, logs in enumerate(watching.logs):
        assert all((logs[name] != 0) is (epoch >= 5) for name in VocoderGAN.METRICS[3:])
        assert all(logs[name] > 0 for name in VocoderGAN.METRICS[1:3])


@pytest.mark.parametrize(("start", "calls"), [(0, [1, 3, 7, 10, 12, 20]), (6, [7, 9, 10, 12, 20]),
                                              (10, [11, 12, 16, 20])])
def test_calls_grow_but_never_run_past_a_switch_or_an_epoch(start, calls, monkeypatch):
    """Switches at 10 and 12, epochs of 20 steps."""
    class Counting:
        switches, metrics = (10, 12), []
        steps = [tf.Variable(0), tf.Variable(0)]

        def phase(self, step):
            return 10 <= step < 12

        def train_step(self, batch, how):
            self.steps[how].assign_add(1)

        def reset_metrics(self):
            pass

    monkeypatch.setattr(loop, "_SECONDS_PER_CALL", 1e9)
    ends, model = [], Counting()
    for variable in model.steps:
        variable.assign(0)
    watching = keras.callbacks.LambdaCallback(on_train_batch_end=lambda step, logs: ends.append(step))
    loop.train(model, tf.data.Dataset.range(99), start, 20, 20, keras.callbacks.CallbackList([watching]),
               tf.distribute.get_strategy())
    assert ends == calls
    assert [int(variable) for variable in model.steps] == [20 - start - 2, 2]


def trained_on(strategy):
    """The model and the figures after two steps of both players."""
    with strategy.scope():
        model = gan(settings("smallest", dataclasses.replace(OBJECTIVE, adversarial_start=0)),
                    (keras.optimizers.SGD(1e-3), keras.optimizers.SGD(1e-3)))
    logs = []
    recording = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, figures: logs.append(figures))
    sounds = np.concatenate([clips(seed, 4) for seed in range(2)]).reshape(2, 4, CLIP)
    loop.train(model, tf.data.Dataset.from_tensor_slices(sounds), 0, 2, 1, keras.callbacks.CallbackList([recording]),
               strategy)
    return model, logs


def test_two_devices_learn_what_one_does(monkeypatch):
    """Same global batches: the same weights, to rounding, in both copies."""
    monkeypatch.setattr(vocoder, "MultiScaleDiscriminator",
                        lambda seed: MultiScaleDiscriminator(scales=1, channels=4, layers=1, seed=seed))
    two, logs_of_two = trained_on(mirrored(["CPU:0", "CPU:1"]))
    one, logs_of_one = trained_on(tf.distribute.get_strategy())
    for player in ("generator", "discriminator"):
        for ours, theirs in zip(getattr(two, player).variables, getattr(one, player).variables, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-5, err_msg=ours.path)
            np.testing.assert_array_equal(*map(np.asarray, ours.value.values), err_msg=ours.path)
    for ours, theirs in zip(logs_of_two, logs_of_one, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-3)


# -- runs ------------------------------------------------------------------------------------------------------------

class Lines(Progress):
    def __init__(self):
        self.lines, self.warnings = [], []

    def line(self, text):
        self.lines.append(text)

    def warning(self, text):
        self.warnings.append(text)


def store(path):
    return CheckpointStore(path / "checkpoints")


def history(path):
    with open(path / "history.csv", newline="") as file:
        return [(int(row["epoch"]), *(row[name] for name in VocoderGAN.METRICS)) for row in csv.DictReader(file)]


@pytest.fixture
def _no_previews(monkeypatch):
    monkeypatch.setattr(callbacks.Preview, "on_train_begin", lambda self, logs=None: None)


def stopped_and_not(config, folder, path, stops):
    """Asserts that a run with stops ends as one without, both at the last of the stops."""
    run(with_training(config, steps=stops[-1]), folder, path / "whole")
    for stop, before in zip(stops, [None, *stops], strict=False):
        lines = Lines()
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
@pytest.mark.usefixtures("_no_previews", "_eager")
def test_stops_in_either_phase_are_exact(sound_folder, tmp_path):
    stopped_and_not(settings("melgan", batch_size=16), sound_folder, tmp_path, [3, 8, 10])


@pytest.mark.slow
@pytest.mark.usefixtures("_no_previews")
def test_a_stop_at_the_switch_is_exact_compiled_and_in_shards(sound_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1})
    monkeypatch.setattr(vocoder, "MultiScaleDiscriminator",
                        lambda seed: MultiScaleDiscriminator(scales=1, channels=4, layers=1, seed=seed))
    stopped_and_not(settings("smallest", batch_size=4, xla="on"), sound_folder, tmp_path, [5, 6])
    resolved = RunDirectory(tmp_path / "run").record()["resolved"]
    assert (resolved["xla"], resolved["shards"]) == (True, 2)


@pytest.mark.usefixtures("_no_previews", "_eager")
def test_a_run_of_a_generator_alone_trains_on_with_the_rest_new(sound_folder, tmp_path):
    """As `import-torch` makes it, and `melgan_tf.cli.maintain.start`."""
    config = settings("melgan", JUDGED, batch_size=16, generator_learning_rate=1e-4)
    imported = build_network(with_training(config, seed=9), training=True)
    store(tmp_path).save(collect(generator=imported.variables), 0,
                         {"epoch": 0, "audio_fingerprint": config.audio.fingerprint()})
    RunDirectory(tmp_path).write(config, {"imported_from": "elsewhere"}, {})
    for steps, words in ((1, "starting from the generator that is there"), (2, "resuming at step 1 ")):
        lines = Lines()
        assert run(with_training(config, steps=steps), sound_folder, tmp_path, lines).steps == steps
        assert lines.warnings == []
        assert any(line.startswith(words) for line in lines.lines)
    state = load(store(tmp_path).file(1))[0]
    fresh = collect(discriminator=vocoder.MultiScaleDiscriminator(seed=config.training.seed).variables)
    for begun in (collect(generator=imported.variables), fresh):
        for name, value in begun.items():
            moved = np.abs(state[name] - value).max()
            assert 0 < moved < 5e-4 or name.endswith("logits/bias"), name  # by a step of each player's Adam


@pytest.mark.usefixtures("_no_previews", "_eager")
def test_a_generator_alone_is_not_enough_later(sound_folder, tmp_path):
    config = settings("melgan", JUDGED, batch_size=16)
    store(tmp_path).save(collect(generator=build_network(config, training=True).variables), 3, {"epoch": 0})
    RunDirectory(tmp_path).write(config, {}, {})
    with pytest.raises(MelGANError, match="discriminator/.* is missing"):
        run(with_training(config, steps=4), sound_folder, tmp_path)


def test_a_run_starts_with_what_fits_of_another_vocoder(tmp_path):
    source, out = tmp_path / "old", tmp_path / "new"
    old = settings("fast", SPECTRAL)
    model = build_network(with_training(old, seed=3), training=True)
    store(source).save(collect(generator=model.variables), 0, {"audio_fingerprint": old.audio.fingerprint()})
    RunDirectory(source).write(old, {}, {})
    options = ["--vocoder", str(source), "--set", "model.low_rounds=1", "--set", "model.kernel=5"]
    result = CliRunner().invoke(start.main, [str(out), *options])
    assert result.exit_code == 0, result.output
    assert RunDirectory(out).config().model == dataclasses.replace(old.model, low_rounds=1, kernel=5)
    state, known = load(store(out).file(0))[0], collect(generator=model.variables)
    fresh = {name for name, value in state.items() if name not in known or value.shape != known[name].shape}
    assert len(fresh) == 3  # the first kernel, and the new layer's kernel and bias
    assert f"{len(state) - 3} of {len(state)} variables" in result.output
    for name in set(state) - fresh:
        np.testing.assert_array_equal(state[name], known[name], err_msg=name)
    again = CliRunner().invoke(start.main, [str(out), *options])
    assert isinstance(again.exception, UsageError)


def events(path):
    """Tag -> steps of every TensorBoard file of a run."""
    found = {}
    for file in sorted((path / "tensorboard").iterdir()):
        for record in tf.data.TFRecordDataset(str(file)):
            event = event_pb2.Event.FromString(record.numpy())
            for value in event.summary.value:
                found.setdefault(value.tag, []).append((event.step, value))
    return found


@pytest.mark.slow
def test_a_run_comes_nearer_to_the_sounds_and_shows_it(sound_folder, tmp_path):
    """Without corrections, which bring even an untrained model near."""
    config = settings("smallest", SPECTRAL, batch_size=8, epochs=4, checkpoint_every=1, preview_every=4, log_every=3,
                      generator_learning_rate=3e-3)
    lines = Lines()
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
    figures = dict(zip(VocoderGAN.METRICS, map(float, rows[3][1:]), strict=True))
    numbers = [float(number) for number in re.findall(r": (-?\d+\.\d{4})", shown[1])]
    wanted = [figures[f"generator/{name}"] for name in ("loss", "stft", "mel", "feature_matching")]
    np.testing.assert_allclose(numbers, [*wanted, figures["discriminator/loss"]], atol=1e-3)


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


# -- wrong settings --------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("preset", "changes", "words"), [
    ("melgan", {"audio": {"hop_samples": 128}}, ["model.ratios is [8, 8, 2, 2]", "product is audio.hop_samples (128)"]),
    ("melgan", {"model": {"ratios": (8, 8, 4)}, "audio": {"hop_samples": 255}}, ["model.ratios is [8, 8, 4]", "(255)"]),
    ("melgan", {"audio": {"compression": "none"}}, ["audio.compression is 'none'", "a vocoder needs log10"]),
    ("vocoder-16k", {"audio": {"compression": "none"}}, ["audio.compression is 'none'", "a vocoder needs log10"]),
    ("vocoder-16k", {"data": {"clip_samples": 8_000}}, ["data.clip_samples is 8000", "multiple of", "(512)"]),
    ("vocoder-22k", {"model": {"subframes": 3}}, ["model.subframes is 3", "double divides audio.hop_samples (256)"]),
    ("vocoder-22k", {"data": {"clip_samples": 256}}, ["data.clip_samples is 256", "(n_fft - hop_samples) / 2 (384)"]),
    ("vocoder-22k", {"model": {"low_rounds": 1}, "audio": {"hop_samples": 64, "n_fft": 1024}, "data":
     {"clip_samples": 8192}}, ["audio.hop_samples is 64", "multiple of 128"]),
    ("melgan", {"data": {"clip_samples": 768}}, ["data.clip_samples is 768", "at least 4 frames"]),
    ("melgan", {"model": {"residual_layers": 6}, "data": {"clip_samples": 256 * 30}}, ["at least 31 frames"]),
    ("vocoder-16k", {"audio": {"n_fft": 64, "hop_samples": 16, "mel_bins": 8}, "data": {"clip_samples": 240}},
     ["data.clip_samples is 240", "at least 256 samples", "model.objective.stft"]),
    ("vocoder-16k", {"model": {"objective": {"stft": 0, "mel": 0}}},
     ["model.objective.adversarial_start is ", "stft or mel above 0"]),
    ("melgan", {"model": {"objective": {"adversarial": 0, "feature_matching": 0}}}, ["something to learn from"]),
    ("melgan", {"training": {"precision": "mixed_float16"}}, ["training.precision is 'mixed_float16'", "float32"]),
])
def test_settings_that_cannot_work_are_refused(preset, changes, words):
    values_of = to_dict(presets.get(preset))
    for part, changed_values in changes.items():
        objective = changed_values.pop("objective", None) if part == "model" else None
        values_of[part] |= changed_values
        if objective:
            values_of[part]["objective"] |= objective
    with pytest.raises(ConfigError) as error:
        from_dict(Config, values_of)
    assert all(word in str(error.value) for word in words), str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("model", "clip_samples"), [("melgan", 512), ("fast", 384)])
def test_the_shortest_clips_that_are_accepted_can_be_learned_from(model, clip_samples):
    config = settings(model)
    config = dataclasses.replace(config, data=DataConfig(clip_samples))
    figures = named(gan(config).train_step(clips()[:, :clip_samples], True))
    assert np.isfinite(list(figures.values())).all()
