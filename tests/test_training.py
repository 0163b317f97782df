"""The training step against a plain one, optimizers, and how a run decides where to compute."""

from __future__ import annotations

import math
import os

import keras
import numpy as np
import pytest
import tensorflow as tf
from told import Told

from melgan_tf.config import presets
from melgan_tf.data.mel_dataset import batches, load_folder
from melgan_tf.models.frame_gan.task import FrameTask
from melgan_tf.models.spectrogram_gan.task import SpectrogramTask
from melgan_tf.models.spectrogram_gan.train_step import SpectrogramGAN
from melgan_tf.models.vocoder_training.task import VocoderTask
from melgan_tf.storage.run_directory import with_training
from melgan_tf.training import optimizers
from melgan_tf.training.plan import plan
from melgan_tf.training.sharding import shard_sizes

BATCH = 8
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
    """One step on lists of variables; returns the gradients and the five metrics."""
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
    metrics = [loss_d, loss_g, *(tf.reduce_sum(weights * p) for p in (real, before, after))]
    return gradients_g, gradients_d, np.array(metrics)


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


def randomized(variables, seed=0):
    """Weights of a trained network's size: those that training begins with give gradients of next to nothing."""
    rng = np.random.default_rng(seed)
    for variable in variables:
        shape = tuple(variable.shape)
        scale = 0.1 if len(shape) == 1 else np.sqrt(1.0 / np.prod(shape[:-1]))
        variable.assign(rng.normal(0, scale, shape))


def gan(players=None, xla=False, shards=1, config=SEED, random_weights=True):
    model = SpectrogramGAN(config)
    if random_weights:
        randomized([*model.generator.variables, *model.discriminator.variables])
    players = players or (optimizers.adam(config, "generator"), optimizers.adam(config, "discriminator"))
    model.compile(*players, xla=xla, shards=shards)
    return model


def plain_copy():
    """The variables of both players, as `gan` begins."""
    model = SpectrogramGAN(SEED)
    randomized([*model.generator.variables, *model.discriminator.variables])
    return model.generator.variables, model.discriminator.variables


def batch(seed=0, fillers=2, size=BATCH):
    """Mels on the scale of quiet drums, the weights of an epoch's last batch, and noise."""
    rng = np.random.default_rng(seed)
    mels = np.abs(rng.normal(size=(size, 64, 16, 1))).astype("float32")
    weights = np.where(np.arange(size) < size - fillers, 1 / (size - fillers), 0.0).astype("float32")
    return tf.constant(mels), tf.constant(weights), tf.constant(rng.normal(size=(size, 20)), tf.float32)


def stepped(model, times=1):
    """Takes steps with known noise, eagerly (tracing takes longer); the metrics of the last one."""
    for index in range(times):
        mels, weights, noise = batch(index)
        model.draw_noise = lambda count, noise=noise: noise
        model.reset_metrics()
        metrics = model.train_step((mels, weights))
    return np.array([float(metrics[name]) for name in SpectrogramGAN.METRICS])


def values(model):
    return [np.asarray(v) for v in [*model.generator.variables, *model.discriminator.variables]]


def close(ours, theirs, tolerance):
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance)


@pytest.mark.slow
@pytest.mark.parametrize("shards", [1, 2, 3])
def test_gradients_and_metrics_are_those_of_the_plain_step(shards):
    model = gan((Recording(0.01), Recording(0.01)), shards=shards)
    copy = plain_copy()
    plain_g, plain_d, plain_metrics = plain_step(*copy, (Recording(0.01), Recording(0.01)), *batch())
    metrics = stepped(model)
    for ours, theirs in ((model.generator_optimizer.seen, plain_g), (model.discriminator_optimizer.seen, plain_d)):
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=2e-5 * np.abs(b).max())
    np.testing.assert_allclose(metrics, plain_metrics, rtol=2e-5)
    assert np.ptp(metrics) > 0.05


@pytest.mark.slow
@pytest.mark.parametrize(("xla", "shards"), [
    pytest.param(False, 1, marks=pytest.mark.nightly), (False, 3), (True, 2)])
def test_weights_after_three_steps_are_those_of_the_plain_step_with_the_papers_adam(xla, shards):
    model = gan(xla=xla, shards=shards)
    copy = plain_copy()
    before, optimizers = values(model), (PaperAdam(), PaperAdam())
    for index in range(3):
        _, _, plain_metrics = plain_step(*copy, optimizers, *batch(index))
    metrics = stepped(model, 3)
    np.testing.assert_allclose(metrics, plain_metrics, rtol=1e-4)
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
    metrics = []
    for model, junk in ((with_mels, 0.0), (others, 50.0)):
        model.draw_noise = lambda count, junk=junk: tf.concat([noise[:6], noise[6:] + junk], 0)
        metrics.append(model.train_step((tf.concat([mels[:6], mels[6:] + junk], 0), weights)))
    for name in SpectrogramGAN.METRICS:
        assert float(metrics[0][name]) == pytest.approx(float(metrics[1][name]), rel=1e-6)
    for ours, theirs in ((with_mels.generator_optimizer, others.generator_optimizer),
                         (with_mels.discriminator_optimizer, others.discriminator_optimizer)):
        for a, b in zip(ours.seen, theirs.seen, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6 * np.abs(b).max())


def test_metrics_start_where_nothing_is_known(sound_folder):
    """ln 2 for each of the discriminator's two questions and for the generator's one; probabilities of a half."""
    model = gan(random_weights=False)
    data = next(iter(batches(load_folder(sound_folder, SEED).images(), BATCH, 0)))
    metrics = model.train_step(data)
    metrics = [float(metrics[name]) for name in SpectrogramGAN.METRICS]
    assert metrics == pytest.approx([2 * math.log(2), math.log(2), 0.5, 0.5, 0.5], rel=0.03)


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
    metrics = stepped(model, 2)
    np.testing.assert_allclose(metrics, expected, rtol=0.05, atol=0.02)
    assert int(model.step) == 2  # none was left out for an overflow
    for old, new in zip(before, values(model), strict=True):
        assert new.dtype == np.float32
        assert np.isfinite(new).all()
        assert np.mean(old != new) > 0.9
    if precision == "mixed_float16":
        assert isinstance(model.generator_optimizer, keras.optimizers.LossScaleOptimizer)


def test_replicas_draw_together_what_one_draws():
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    with strategy.scope():
        model = gan()
    model.step.assign(3)
    drawn = strategy.run(lambda: model.draw_noise(4)).values
    alone = gan()
    alone.step.assign(3)
    np.testing.assert_array_equal(np.concatenate(drawn), alone.draw_noise(8))


# -- how to compute

@pytest.mark.parametrize(("steps", "wanted"), [(199, False), (200, True)])
def test_xla_is_used_where_it_pays_and_a_resumed_run_keeps_to_its_choice(tiny_config, steps, wanted):
    lines, task = Told(), SpectrogramTask
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
    assert plan(task, config, 500, {}, Told()).shards == shards


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
