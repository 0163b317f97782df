"""The training step against a plain one, and what a run leaves on disk."""

from __future__ import annotations

import csv
import math
import os

import keras
import numpy as np
import pytest
import tensorflow as tf
from drums import write_drums
from tensorboard.compat.proto import event_pb2

from melgan_tf.config import presets
from melgan_tf.data.mel_dataset import batches, load_folder
from melgan_tf.errors import MelGANError, UsageError
from melgan_tf.models.frame_gan.task import FrameTask
from melgan_tf.models.spectrogram_gan import task as spectrogram_task
from melgan_tf.models.spectrogram_gan.task import SpectrogramTask
from melgan_tf.models.spectrogram_gan.train_step import SpectrogramGAN
from melgan_tf.models.vocoder_training.task import VocoderTask
from melgan_tf.progress import Progress
from melgan_tf.storage.checkpoints import CheckpointStore, load
from melgan_tf.storage.run_directory import RunDirectory, with_training
from melgan_tf.training import callbacks, loop, optimizers
from melgan_tf.training import run as run_module
from melgan_tf.training.plan import plan
from melgan_tf.training.run import run
from melgan_tf.training.sharding import shard_sizes

BATCH = 8
FIGURE = SpectrogramTask.score_name
SEED = with_training(presets.get("seed"), batch_size=BATCH)


# -- the same step without packing, shards, programs: as one would write it down -------------------------------------

def plain_generator(noise, weights):
    maps = noise[:, None, None, :]
    # stride, full output size, columns and rows to cut off
    plan = [((2, 2), (3, 2), 0), ((2, 2), (7, 4), 0), ((2, 2), (15, 8), 0), ((2, 2), (32, 17), 0),
            ((2, 1), (66, 18), 1)]
    for (stride, size, cut), kernel, bias in zip(plan, weights[::2], weights[1::2], strict=True):
        shape = (noise.shape[0], *size, kernel.shape[-1])
        y = tf.nn.conv2d_transpose(maps, tf.transpose(kernel, (0, 1, 3, 2)), shape, stride, "VALID")
        maps = tf.nn.selu(y[:, cut:size[0] - cut, cut:size[1] - cut] + bias)
    return maps


def plain_discriminator(maps, weights):
    plan = [((2, 1), 1), ((2, 2), 0), ((2, 2), 0), ((2, 2), 0), ((2, 2), 1)]
    for (stride, padding), kernel, bias in zip(plan, weights[:10:2], weights[1:10:2], strict=True):
        around = [[0, 0], [padding, padding], [padding, padding], [0, 0]]
        maps = tf.nn.selu(tf.nn.conv2d(tf.pad(maps, around), kernel, stride, "VALID") + bias)
    hidden = tf.nn.selu(tf.reshape(maps, (maps.shape[0], -1)) @ weights[10] + weights[11])
    return tf.sigmoid(hidden @ weights[12] + weights[13])[:, 0]


def plain_step(generator, discriminator, optimizers, mels, weights, noise):
    """One step on lists of variables; returns the gradients and the five figures."""
    g, d = ([v.value for v in variables] for variables in (generator, discriminator))
    with tf.GradientTape() as tape:
        real, before = plain_discriminator(mels, d), plain_discriminator(plain_generator(noise, g), d)
        loss_d = -tf.reduce_sum(weights * (tf.math.log(real) + tf.math.log(1 - before)))
    gradients_d = tape.gradient(loss_d, d)
    optimizers[1].apply(gradients_d, discriminator)
    with tf.GradientTape() as tape:
        after = plain_discriminator(plain_generator(noise, g), d)
        loss_g = -tf.reduce_sum(weights * tf.math.log(after))
    gradients_g = tape.gradient(loss_g, g)
    optimizers[0].apply(gradients_g, generator)
    figures = [loss_d, loss_g, *(tf.reduce_sum(weights * p) for p in (real, before, after))]
    return gradients_g, gradients_d, np.array(figures)


class Recording(keras.optimizers.SGD):
    """Gradient descent that keeps the gradients it was given."""

    def apply(self, gradients, variables=None):
        self.seen = [np.asarray(gradient) for gradient in gradients]
        return super().apply(gradients, variables)


class PaperAdam:
    """Algorithm 1 of the paper, line by line."""

    def __init__(self, rate=2e-4, beta_1=0.5, beta_2=0.999, epsilon=1e-8):
        self.rate, self.beta_1, self.beta_2, self.epsilon = rate, beta_1, beta_2, epsilon
        self.t, self.m, self.v = 0, {}, {}

    def apply(self, gradients, variables):
        self.t += 1
        for index, (gradient, variable) in enumerate(zip(gradients, variables, strict=True)):
            g = np.asarray(gradient, "float64")
            m = self.m[index] = self.beta_1 * self.m.get(index, 0.0) + (1 - self.beta_1) * g
            v = self.v[index] = self.beta_2 * self.v.get(index, 0.0) + (1 - self.beta_2) * g**2
            m_hat, v_hat = m / (1 - self.beta_1**self.t), v / (1 - self.beta_2**self.t)
            variable.assign(np.asarray(variable) - self.rate * m_hat / (np.sqrt(v_hat) + self.epsilon))


def randomised(variables, seed=0):
    """Weights of a trained network's size: those that training begins with give gradients of next to nothing."""
    rng = np.random.default_rng(seed)
    for variable in variables:
        shape = tuple(variable.shape)
        scale = 0.1 if len(shape) == 1 else np.sqrt(1.0 / np.prod(shape[:-1]))
        variable.assign(rng.normal(0, scale, shape))


def gan(players=None, xla=False, shards=1, config=SEED, random_weights=True):
    model = SpectrogramGAN(config)
    if random_weights:
        randomised([*model.generator.variables, *model.discriminator.variables])
    players = players or (optimizers.adam(config, "generator"), optimizers.adam(config, "discriminator"))
    model.compile(*players, xla=xla, shards=shards)
    return model


def plain_copy():
    """The variables of both players, as `gan` begins."""
    model = SpectrogramGAN(SEED)
    randomised([*model.generator.variables, *model.discriminator.variables])
    return model.generator.variables, model.discriminator.variables


def batch(seed=0, fillers=2, size=BATCH):
    """Mels on the scale of quiet drums, the weights of an epoch's last batch, and noise."""
    rng = np.random.default_rng(seed)
    mels = np.abs(rng.normal(size=(size, 64, 16, 1))).astype("float32")
    weights = np.where(np.arange(size) < size - fillers, 1 / (size - fillers), 0.0).astype("float32")
    return tf.constant(mels), tf.constant(weights), tf.constant(rng.normal(size=(size, 20)), tf.float32)


def stepped(model, times=1):
    """Takes steps with known noise, eagerly (tracing takes longer); the figures of the last one."""
    for index in range(times):
        mels, weights, noise = batch(index)
        model.draw_noise = lambda count, noise=noise: noise
        model.reset_metrics()
        figures = model.train_step((mels, weights))
    return np.array([float(figures[name]) for name in SpectrogramGAN.METRICS])


def values(model):
    return [np.asarray(v) for v in [*model.generator.variables, *model.discriminator.variables]]


def close(ours, theirs, tolerance):
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance)


@pytest.mark.parametrize("shards", [1, 2, 3])
def test_gradients_and_figures_are_those_of_the_plain_step(shards):
    model = gan((Recording(0.01), Recording(0.01)), shards=shards)
    copy = plain_copy()
    plain_g, plain_d, plain_figures = plain_step(*copy, (Recording(0.01), Recording(0.01)), *batch())
    figures = stepped(model)
    for ours, theirs in ((model.generator_optimizer.seen, plain_g), (model.discriminator_optimizer.seen, plain_d)):
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=2e-5 * np.abs(b).max())
    np.testing.assert_allclose(figures, plain_figures, rtol=2e-5)
    assert np.ptp(figures) > 0.05


@pytest.mark.slow
@pytest.mark.parametrize(("xla", "shards"), [(False, 1), (False, 3), (True, 2)])
def test_weights_after_three_steps_are_those_of_the_plain_step_with_the_papers_adam(xla, shards):
    model = gan(xla=xla, shards=shards)
    copy = plain_copy()
    before, optimizers = values(model), (PaperAdam(), PaperAdam())
    for index in range(3):
        _, _, plain_figures = plain_step(*copy, optimizers, *batch(index))
    figures = stepped(model, 3)
    np.testing.assert_allclose(figures, plain_figures, rtol=1e-4)
    assert max(np.abs(a - b).max() for a, b in zip(values(model), before, strict=True)) > 3e-4
    close(values(model), [np.asarray(v) for variables in copy for v in variables], 1e-5)
    for ours, theirs in zip((model.generator_optimizer, model.discriminator_optimizer), optimizers, strict=True):
        assert int(ours.iterations) == 3
        moments = [moment for pair in zip(theirs.m.values(), theirs.v.values(), strict=True) for moment in pair]
        for a, b in zip(ours.variables[2:], moments, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=2e-5 * np.abs(b).max() + 1e-12)


def test_adam_is_that_of_the_paper_for_gradients_as_small_as_its_epsilon():
    sizes = 10.0 ** np.arange(-11, 3)
    ours, theirs, keras_own = (keras.Variable(np.zeros(len(sizes)), dtype="float32") for _ in range(3))
    adam, paper = optimizers.adam(SEED, "generator"), PaperAdam()
    other = keras.optimizers.Adam(2e-4, 0.5, 0.999, epsilon=1e-8)
    for optimizer, variable in ((adam, ours), (other, keras_own)):
        optimizer.build([variable])
    for sign in (1, 1, -0.5, 2, 1):
        for optimizer, variable in ((adam, ours), (paper, theirs), (other, keras_own)):
            optimizer.apply([tf.constant(sign * sizes, tf.float32)], [variable])
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)
    assert np.abs(keras_own / theirs - 1).max() > 0.5  # the difference that this class is for


def test_fillers_have_no_influence():
    with_mels, others = gan((Recording(0.01), Recording(0.01))), gan((Recording(0.01), Recording(0.01)))
    mels, weights, noise = batch()
    figures = []
    for model, junk in ((with_mels, 0.0), (others, 50.0)):
        model.draw_noise = lambda count, junk=junk: tf.concat([noise[:6], noise[6:] + junk], 0)
        figures.append(model.train_step((tf.concat([mels[:6], mels[6:] + junk], 0), weights)))
    for name in SpectrogramGAN.METRICS:
        assert float(figures[0][name]) == pytest.approx(float(figures[1][name]), rel=1e-6)
    for ours, theirs in ((with_mels.generator_optimizer, others.generator_optimizer),
                         (with_mels.discriminator_optimizer, others.discriminator_optimizer)):
        for a, b in zip(ours.seen, theirs.seen, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6 * np.abs(b).max())


@pytest.mark.parametrize("preset", [n for n in presets.names() if presets.get(n).model.kind == "spectrogram-gan"])
def test_every_preset_takes_a_step_that_changes_every_weight(preset):
    config = with_training(presets.get(preset), batch_size=BATCH)
    model = gan(config=config, random_weights=False)
    before = values(model)
    mels, weights, _ = batch()
    figures = tf.function(model.train_step)((mels, weights))
    assert all(np.isfinite(float(value)) for value in figures.values())
    for variable, old, new in zip([*model.generator.variables, *model.discriminator.variables], before, values(model),
                                  strict=True):
        assert np.mean(old != new) > 0.99, variable.path


@pytest.mark.parametrize(("rates", "moving"), [((0.0, 0.1), "discriminator"), ((0.1, 0.0), "generator")])
def test_each_player_moves_by_its_own_optimizer_alone(rates, moving):
    model = gan(tuple(keras.optimizers.SGD(rate) for rate in rates))
    before = {name: [np.asarray(v) for v in getattr(model, name).variables] for name in ("generator", "discriminator")}
    stepped(model)
    for name, old in before.items():
        changed = [not np.array_equal(a, np.asarray(b)) for a, b in zip(old, getattr(model, name).variables,
                                                                        strict=True)]
        assert all(changed) if name == moving else not any(changed)


def test_figures_begin_where_nobody_knows_anything(sound_folder):
    """ln 2 for each of the discriminator's two questions and for the generator's one; probabilities of a half."""
    model = gan(random_weights=False)
    data = next(iter(batches(load_folder(sound_folder, SEED).images(), BATCH, 0)))
    figures = model.train_step(data)
    figures = [float(figures[name]) for name in SpectrogramGAN.METRICS]
    assert figures == pytest.approx([2 * math.log(2), math.log(2), 0.5, 0.5, 0.5], rel=0.03)


def test_noise_is_a_function_of_seed_and_step():
    model, again, other = gan(), gan(), gan(config=with_training(SEED, seed=1))
    first = model.draw_noise(BATCH).numpy()
    np.testing.assert_array_equal(first, again.draw_noise(BATCH))
    assert not np.allclose(first, other.draw_noise(BATCH))
    model.train_step(batch()[:2])
    assert int(model.step) == 1
    second = model.draw_noise(BATCH).numpy()
    assert not np.intersect1d(first, second).size
    again.step.assign(1)
    np.testing.assert_array_equal(second, again.draw_noise(BATCH))
    many = model.draw_noise(4_000).numpy()
    assert abs(many.mean()) < 0.02
    assert abs(many.std() - 1) < 0.02


# -- precision and devices -------------------------------------------------------------------------------------------

@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_takes_finite_steps_near_the_full_ones(precision):
    full = gan()
    expected = stepped(full, 2)
    keras.mixed_precision.set_global_policy(precision)
    model = gan(config=with_training(SEED, precision=precision))
    before = values(model)
    figures = stepped(model, 2)
    np.testing.assert_allclose(figures, expected, rtol=0.05, atol=0.02)
    assert int(model.step) == 2  # none was left out for an overflow
    for old, new in zip(before, values(model), strict=True):
        assert new.dtype == np.float32
        assert np.isfinite(new).all()
        assert np.mean(old != new) > 0.9
    if precision == "mixed_float16":
        assert isinstance(model.generator_optimizer, keras.optimizers.LossScaleOptimizer)


def trained_on(strategy, noise, steps=4):
    """The model and the figures after some steps of the loop on a strategy."""
    images = np.abs(np.random.default_rng(5).normal(size=(14, 64, 16, 1))).astype("float32")  # a batch and one of 6
    with strategy.scope():
        model = gan()

    def known(count):
        context = tf.distribute.get_replica_context()
        return noise[context.replica_id_in_sync_group * count:][:count]

    model.draw_noise = known
    logs = []
    recording = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, figures: logs.append(figures))
    loop.train(model, batches(images, BATCH, 0), 0, steps, 2, keras.callbacks.CallbackList([recording]), strategy)
    return model, logs


@pytest.mark.slow
def test_two_devices_learn_what_one_does():
    """Same global batches, and the noise of one device cut in two: the same weights, to rounding."""
    noise = batch(3)[2]
    two, logs_of_two = trained_on(tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]), noise)
    one, logs_of_one = trained_on(tf.distribute.get_strategy(), noise)
    assert two.step.numpy() == one.step.numpy() == 4
    close(values(two), values(one), 1e-5)
    for variable in [*two.generator.variables, *two.discriminator.variables]:
        np.testing.assert_array_equal(*map(np.asarray, variable.value.values), err_msg=variable.path)  # both copies
    for ours, theirs in zip(logs_of_two, logs_of_one, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4)


def test_replicas_draw_together_what_one_draws():
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    with strategy.scope():
        model = gan()
    model.step.assign(3)
    drawn = strategy.run(lambda: model.draw_noise(4)).values
    alone = gan()
    alone.step.assign(3)
    np.testing.assert_array_equal(np.concatenate(drawn), alone.draw_noise(8))


@pytest.mark.slow
def test_a_run_on_two_devices_is_saved_and_goes_on(sound_folder, tmp_path, tiny_config, monkeypatch):
    def on_two(*args):
        return plan(*args, strategy=tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]))

    monkeypatch.setattr(run_module, "plan", on_two)
    monkeypatch.setattr(callbacks.Preview, "on_train_begin", lambda self, logs=None: None)
    assert run(with_training(tiny_config, epochs=1), sound_folder, tmp_path / "run").steps == 3
    assert run(with_training(tiny_config, epochs=2), sound_folder, tmp_path / "run").steps == 6
    assert CheckpointStore(tmp_path / "run" / "checkpoints").steps() == [3, 6]
    assert RunDirectory(tmp_path / "run").record()["resolved"]["replicas"] == 2
    assert len(history(tmp_path / "run")) == 2


# -- a run -----------------------------------------------------------------------------------------------------------

class Lines(Progress):
    def __init__(self):
        self.lines, self.warnings = [], []

    def line(self, text):
        self.lines.append(text)

    def warning(self, text):
        self.warnings.append(text)


def history(path):
    with open(path / "history.csv", newline="") as file:
        return list(csv.DictReader(file))


def events(path):
    """Tag -> [(step, value)] of every TensorBoard file of a run."""
    found = {}
    for file in sorted((path / "tensorboard").iterdir()):
        for record in tf.data.TFRecordDataset(str(file)):
            event = event_pb2.Event.FromString(record.numpy())
            for value in event.summary.value:
                found.setdefault(value.tag, []).append((event.step, value))
    return found


@pytest.fixture(scope="module")
def finished(_sound_folder, tmp_path_factory):
    """A run of four epochs, and what it said."""
    path, lines = tmp_path_factory.mktemp("finished") / "run", Lines()
    config = with_training(SEED, epochs=4, checkpoint_every=1, keep_checkpoints=2, log_every=2, preview_every=2,
                           xla="off")
    return path, config, run(config, _sound_folder, path, lines), lines


@pytest.mark.slow
def test_a_run_tells_what_it_did(finished):
    path, config, result, lines = finished
    assert (result.steps, result.epochs, result.signal, len(result.sounds)) == (12, 4, 0, 24)
    shown = [line for line in lines.lines if line.startswith("[")]
    assert [line.split("\t")[0] for line in shown] == ["[0/4]", "[2/4]", "[3/4]"]
    rows = history(path)
    wanted = "Loss_D: {:.4f} Loss_G: {:.4f} D(x): {:.4f} D(G(z)): {:.4f} / {:.4f}".format(
        *(float(rows[2][name]) for name in SpectrogramGAN.METRICS))
    assert shown[1].split("\t")[1:] == [part.strip() for part in wanted.replace(" Loss_G", "\tLoss_G").replace(
        " D(", "\tD(").split("\t")]
    assert lines.warnings == []


@pytest.mark.slow
def test_history_has_one_row_an_epoch(finished):
    rows = history(finished[0])
    assert [int(row["epoch"]) for row in rows] == [0, 1, 2, 3]
    seconds = [float(row["seconds"]) for row in rows]
    assert seconds == sorted(seconds)
    for row in rows:
        assert all(0 < float(row[name]) < 3 for name in SpectrogramGAN.METRICS)


@pytest.mark.slow
def test_tensorboard_shows_figures_pictures_and_sounds(finished):
    path, config, *_ = finished
    found, rows = events(path), history(path)
    assert set(found) == {*SpectrogramGAN.METRICS, FIGURE, "mel/real", "mel/fake", "audio/real", "audio/fake"}
    for name in SpectrogramGAN.METRICS:
        assert [step for step, _ in found[name]] == [0, 1, 2, 3]
        shown = [float(tf.make_ndarray(value.tensor)) for _, value in found[name]]
        assert shown == pytest.approx([float(row[name]) for row in rows], rel=1e-5)
    assert [step for step, _ in found["audio/real"]] == [0]
    assert [step for step, _ in found["audio/fake"]] == [1, 3]
    for tag in ("audio/real", "audio/fake"):
        clips = tf.make_ndarray(found[tag][0][1].tensor)[:, 0]
        assert len(clips) == 16
        waveform, rate = tf.audio.decode_wav(clips[0])
        assert (int(rate), waveform.shape) == (16_000, (8_000, 1))
    for tag in ("mel/real", "mel/fake"):
        width, height, *pictures = tf.make_ndarray(found[tag][0][1].tensor)
        assert len(pictures) == 16
        assert tf.io.decode_png(pictures[0]).shape[:2] == (int(height), int(width))
    assert all(value.metadata.plugin_data.plugin_name == "audio" for _, value in found["audio/fake"])
    assert all(value.metadata.plugin_data.plugin_name == "images" for _, value in found["mel/fake"])


@pytest.mark.slow
def test_checkpoints_on_disk_are_the_newest_and_the_best(finished):
    path, config, *_ = finished
    store = CheckpointStore(path / "checkpoints")
    assert store.steps() == [9, 12]
    distances = [float(tf.make_ndarray(value.tensor)) for _, value in events(path)[FIGURE]]
    assert len(distances) == 4
    best = store.best_meta()
    assert best[FIGURE] == pytest.approx(min(distances), rel=1e-6)
    assert best["step"] == 3 * (int(np.argmin(distances)) + 1)
    state, meta = load(store.file(12))
    assert meta["audio_fingerprint"] == config.audio.fingerprint()
    assert meta["epoch"] == 3
    assert {name.split("/")[0] for name in state} == {"run", "generator", "discriminator", "generator_optimizer",
                                                      "discriminator_optimizer"}
    assert state["run/step"] == 12


@pytest.mark.slow
def test_config_json_is_complete(finished, sound_folder):
    path, config, result, _ = finished
    record = RunDirectory(path).record()
    assert RunDirectory(path).config() == config
    assert record["data"] == {"folder": str(sound_folder.resolve()), "sounds": 24, "skipped": 0,
                              "fingerprint": result.sounds.fingerprint}
    assert record["resolved"] == {"xla": False, "shards": 1, "steps_per_epoch": 3, "replicas": 1}
    assert (path / "skipped.txt").read_text() == ""


@pytest.mark.slow
def test_a_finished_run_has_nothing_to_do(finished, sound_folder):
    path, config, *_ = finished
    before = {file: file.stat().st_mtime_ns for file in (path / "checkpoints").iterdir()}
    lines = Lines()
    assert run(config, sound_folder, path, lines).steps == 12
    assert any("already trained for 12 steps (4 epochs): nothing to do" in line for line in lines.lines)
    assert {file: file.stat().st_mtime_ns for file in (path / "checkpoints").iterdir()} == before
    assert len(history(path)) == 4


def test_config_json_is_there_before_the_first_step_and_skipped_sounds_are_told(tmp_path, tiny_config, monkeypatch):
    folder = write_drums(tmp_path / "drums", each=4)
    (folder / "broken.wav").write_bytes(b"RIFF")

    class Halt(Exception):  # noqa: N818
        pass

    def halt(*args, **kwargs):
        raise Halt

    monkeypatch.setattr(loop, "train", halt)
    with pytest.raises(Halt):
        run(tiny_config, folder, tmp_path / "run")
    assert RunDirectory(tmp_path / "run").config() == tiny_config
    name, reason = (tmp_path / "run" / "skipped.txt").read_text().strip().split("\t")
    assert name == "broken.wav"
    assert reason


@pytest.mark.parametrize("moment", ["mean", "weights"])
def test_a_non_finite_loss_or_weight_stops_the_run_and_keeps_the_last_checkpoint(
        sound_folder, tmp_path, tiny_config, monkeypatch, moment):
    """A loss shows in the epoch's mean; a weight spoilt by the last step of an epoch shows in no figure yet."""
    monkeypatch.setattr(callbacks.Preview, "on_train_begin", lambda self, logs=None: None)
    if moment == "mean":
        def poisoned(images, batch_size, seed, start_step=0):
            whole = batches(images, batch_size, seed, start_step)
            return whole.enumerate(start_step).map(
                lambda step, pair: (tf.where(step == 7, math.nan, pair[0]), pair[1]))  # in the third epoch

        monkeypatch.setattr(spectrogram_task, "batches", poisoned)
        message = r"discriminator/loss became nan in epoch 3: stopped; lower the learning rates"
    else:
        def spoil(self, epoch, logs=None):
            if epoch == 2:
                bias = self.model.generator.up_3.bias
                bias.assign(bias * math.nan)

        monkeypatch.setattr(callbacks.LogLine, "on_epoch_end", spoil)
        message = r"generator/up_3/bias became infinite or not a number in epoch 3: stopped; lower the learning rates"
    with pytest.raises(MelGANError, match=message + "; the last good checkpoint is .*step-00000006.npz"):
        run(tiny_config, sound_folder, tmp_path / "run")
    store = CheckpointStore(tmp_path / "run" / "checkpoints")
    assert store.steps() == [3, 6]
    state, _, damaged = store.newest()
    assert not damaged
    assert all(np.isfinite(value).all() for value in state.values())
    assert [int(row["epoch"]) for row in history(tmp_path / "run")][:2] == [0, 1]


def test_too_few_sounds_are_refused_and_nothing_is_written(sound_folder, tmp_path, tiny_config):
    with pytest.raises(MelGANError, match="24 sounds are too few for batches of 25: add sounds or set"):
        run(with_training(tiny_config, batch_size=25), sound_folder, tmp_path / "run")
    with pytest.raises(UsageError, match="folder .* does not exist"):
        run(tiny_config, tmp_path / "missing", tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_two_runs_in_one_directory_are_refused(sound_folder, tmp_path, tiny_config):
    with RunDirectory(tmp_path).lock(), pytest.raises(MelGANError, match="another process is training in"):
        run(tiny_config, sound_folder, tmp_path)


@pytest.mark.parametrize(("steps", "wanted"), [(199, False), (200, True)])
def test_xla_is_used_where_it_pays_and_a_resumed_run_keeps_to_its_choice(tiny_config, steps, wanted):
    lines, task = Lines(), SpectrogramTask
    auto = with_training(tiny_config, xla="auto")
    assert plan(task, auto, steps, {}, lines).xla is wanted
    assert bool(lines.lines) is not wanted  # told why it is off
    assert plan(task, with_training(auto, xla="on"), steps, {}, lines).xla
    assert not plan(task, with_training(auto, xla="off"), steps, {}, lines).xla
    resumed = plan(task, auto, steps, {"xla": not wanted, "shards": 7}, lines)
    assert resumed.xla is not wanted
    assert resumed.shards == 7


@pytest.mark.parametrize(("preset", "task", "batch_size", "shards"), [
    ("seed", SpectrogramTask, 128, 4), ("seed", SpectrogramTask, 64, 2),
    ("seed", SpectrogramTask, 31, 1), ("melgan", VocoderTask, 16, 4), ("melgan", VocoderTask, 3, 3),
    ("vocoder-16k", VocoderTask, 1, 1), ("drums", FrameTask, 64, 2), ("drums", FrameTask, 104, 1)])
def test_shards_are_as_many_as_cores_unless_they_were_too_small(monkeypatch, preset, task, batch_size, shards):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1, 2, 3})
    config = with_training(presets.get(preset), batch_size=batch_size)
    assert plan(task, config, 500, {}, Lines()).shards == shards


@pytest.mark.parametrize(("decay", "rates"), [(1.0, [2e-4, 2e-4, 2e-4]), (0.5, [2e-4, 1e-4, 2e-4 / 2**2.5])])
def test_learning_rates_fall_smoothly(decay, rates):
    for player in ("generator", "discriminator"):
        adam = optimizers.adam(with_training(SEED, learning_rate_decay=decay), player)
        adam.build([keras.Variable(np.zeros(1))])
        for step, rate in zip((0, 1_000, 2_500), rates, strict=True):
            adam.iterations.assign(step)
            assert float(adam.learning_rate) == pytest.approx(rate, rel=1e-5)


def test_shards_divide_a_batch_into_nearly_equal_parts():
    for size in range(1, 40):
        for shards in range(1, 9):
            sizes = shard_sizes(size, shards)
            assert sum(sizes) == size
            assert len(sizes) == min(size, shards)
            assert max(sizes) - min(sizes) <= 1
