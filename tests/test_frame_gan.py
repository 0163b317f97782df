"""The frame GAN: its layers against NumPy, its scale, its step, its labels."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from drums import write_drums

from melgan_tf.config import presets
from melgan_tf.models.frame_gan.networks import Discriminator, Encoder, Generator
from melgan_tf.models.frame_gan.task import FrameTask
from melgan_tf.models.frame_gan.train_step import FrameGAN
from melgan_tf.models.layers.frame_conv import FrameConv, gather, smooth, smooth_ring, spread, swap
from melgan_tf.models.layers.mel_scale import MelScale
from melgan_tf.models.vae_gan.augmentation import Augmentation
from melgan_tf.progress import Progress
from melgan_tf.training.losses import gradient_penalty
from melgan_tf.training.optimizers import Adam

DRUMS = presets.get("drums")
TINY = dataclasses.replace(DRUMS, model=dataclasses.replace(DRUMS.model, channels=8),
                           training=dataclasses.replace(DRUMS.training, batch_size=16))
SHARES = np.array([0.5, 0.25, 0.25])


def batch(size=16, seed=0):
    rng = np.random.default_rng(seed)
    return (tf.constant(rng.uniform(-5, 4, (size, 16, 64)), tf.float32),
            tf.constant(rng.integers(0, 3, size), tf.int32))


def compiled(config=TINY, shards=1, **objective):
    goal = dataclasses.replace(config.model.objective, **objective)
    model = FrameGAN(dataclasses.replace(config, model=dataclasses.replace(config.model, objective=goal)), SHARES)
    model.compile(Adam(1e-3, 0.5), Adam(1e-3, 0.5), shards=shards)
    return model


def values(variables):
    return [np.asarray(variable) for variable in variables]


def test_frame_conv_is_a_convolution_with_zeros_beyond_the_ends():
    layer = FrameConv(5, 7, seed=3)
    layer.bias.assign(np.arange(7.0))
    x = np.random.default_rng(0).normal(size=(2, 6, 5)).astype("float32")
    padded = np.pad(x, ((0, 0), (1, 1), (0, 0)))
    wanted = sum(padded[:, tap:tap + 6] @ np.asarray(layer.kernel)[tap] for tap in range(3)) + np.arange(7.0)
    np.testing.assert_allclose(swap(layer(swap(x))), wanted, atol=1e-5)


@pytest.mark.parametrize(("ends", "around"), [("zeros", [[0, 0], [1, 1], [0, 0]]), ("ring", None),
                                              ("none", [[0, 0], [0, 0], [0, 0]])])
def test_frame_conv_and_its_gradients_are_those_of_tensorflows_convolution(ends, around):
    layer = FrameConv(5, 7, seed=3, ends=ends)
    kernel = tf.constant(np.asarray(layer.kernel))
    x = tf.constant(np.random.default_rng(0).normal(size=(2, 6, 5)), tf.float32)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([x, kernel])
        made = swap(layer.stateless_call([kernel, tf.zeros(7)], [], swap(x))[0])
        longer = tf.concat([x[:, -1:], x, x[:, :1]], 1) if around is None else tf.pad(x, around)
        wanted = tf.nn.conv1d(longer, kernel, 1, "VALID")
        ours, theirs = tf.reduce_sum(tf.sin(made)), tf.reduce_sum(tf.sin(wanted))
    np.testing.assert_allclose(made, wanted, atol=1e-5)
    for source in (x, kernel):
        np.testing.assert_allclose(tape.gradient(ours, source), tape.gradient(theirs, source), atol=1e-4)


def test_gathering_and_spreading_frames_undo_each_other():
    x = tf.reshape(tf.range(48.0), (4, 2, 6))
    halved = gather(x, 2)
    np.testing.assert_array_equal(halved[0, 0], [*range(6), *range(12, 18)])
    np.testing.assert_array_equal(spread(halved, 2), x)


def test_smoothing_removes_what_alternates_and_keeps_what_is_constant():
    x = tf.constant([1.0, -1, 1, -1, 1, -1])[:, None, None]
    np.testing.assert_allclose(smooth(x)[1:-1], 0.0, atol=1e-7)
    np.testing.assert_allclose(smooth(tf.ones((6, 1, 1))), 1.0)


@pytest.mark.parametrize("smooth", [smooth, smooth_ring])
def test_the_gradient_of_smoothing_is_that_of_its_matrix(smooth):
    unit = tf.eye(5)[:, :, None]  # (frames, batch, 1): each sound one frame
    matrix = smooth(unit)[:, :, 0]
    x = tf.random.normal((5, 1, 1), seed=1)
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(smooth(x) ** 2)
    np.testing.assert_allclose(tape.gradient(total, x)[:, 0], 2 * tf.transpose(matrix) @ (matrix @ x[:, 0]), rtol=1e-5)


def test_generator_keeps_the_seeds_shapes_and_the_mels_scale():
    generator = Generator(TINY, classes=3)
    mel = generator.mel(tf.random.normal((2, 20), seed=1), tf.one_hot([0, 2], 3))
    assert mel.shape == (2, 16, 64)
    assert np.all(mel >= -5.0)
    assert np.all(mel <= 5.0)
    scale = MelScale(TINY.audio, 5.0)
    np.testing.assert_allclose(scale.from_mel(scale.to_mel(tf.constant([-1.0, 0.0, 1.0]))), [-1, 0, 1], atol=1e-6)
    assert float(scale.from_mel(tf.constant(7.0))) == 1.0


def test_activations_stay_near_variance_one_through_the_generator():
    generator = Generator(DRUMS, classes=8)
    made = generator(tf.random.normal((64, 20), seed=2), tf.one_hot(np.arange(64) % 8, 8)).numpy()
    assert 0.2 < np.arctanh(np.clip(made, -0.9999, 0.9999)).std() < 1.0


def test_a_label_changes_the_sound_and_mixtures_lie_between():
    generator = Generator(TINY, classes=3)
    noise = tf.tile(tf.random.normal((1, 20), seed=4), (3, 1))
    one, other, mixed = generator(noise, tf.constant([[1.0, 0, 0], [0, 1, 0], [0.5, 0.5, 0]])).numpy()
    assert np.abs(one - other).max() > 0.05
    assert np.abs(mixed - one).mean() < np.abs(other - one).mean()


@pytest.mark.parametrize("frames", [4, 8, 32, 64])
def test_any_power_of_two_frames(frames):
    config = dataclasses.replace(TINY, data=dataclasses.replace(TINY.data, clip_samples=512 * (frames - 1)))
    noise, label = tf.zeros((8, 20)), tf.one_hot([0] * 8, 3)
    mel = Generator(config, 3)(noise, label)
    assert mel.shape == (8, frames, 64)
    assert [part.shape for part in Encoder(config, 3)(mel, label)] == [(8, 20), (8, 20)]
    assert Discriminator(config, 3)(mel, label)[0].shape == (8,)


def test_the_discriminator_sees_that_all_sounds_are_alike():
    discriminator = Discriminator(TINY, 3)
    x, label = tf.random.normal((16, 16, 64), seed=1), tf.one_hot([0] * 16, 3)
    alike = tf.tile(x[:1], (16, 1, 1))
    assert abs(float(discriminator(x, label)[0][0]) - float(discriminator(alike, label)[0][0])) > 1e-4


@pytest.mark.slow
def test_the_penalty_is_the_mean_squared_gradient_of_the_discriminator():
    discriminator, label = Discriminator(TINY, 3), tf.one_hot([0] * 8, 3)
    x = tf.Variable(tf.random.normal((8, 16, 64), seed=1))
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(discriminator(x, label)[0])
    # a slope of its own for each sound: the group's deviation, which mixes them, is a small part
    exact = float(tf.reduce_mean(tf.reduce_sum(tape.gradient(total, x) ** 2, axis=(1, 2))))
    logits, moved = discriminator(x, label)[0], (x + 1e-3 * tf.random.normal(x.shape, seed=seed) for seed in range(200))
    found = [float(gradient_penalty([logits], [discriminator(one, label)[0]], 1e-3)) for one in moved]
    assert np.mean(found) == pytest.approx(exact, rel=0.15)


def test_augmentation_moves_whole_bins_and_frames_and_brings_silence_in():
    change = Augmentation(bins=6, frames=4, bin_shift=1, frame_shift=1, gain=0.1)
    x = tf.reshape(tf.range(24.0) / 24, (1, 4, 6))
    up = change(x, tf.constant([[0.99, 0.5, 0.5]])).numpy()[0]
    np.testing.assert_allclose(up[:, 1:], x[0, :, :-1], atol=1e-6)
    np.testing.assert_allclose(up[:, 0], -1.0, atol=1e-6)
    still = change(x, tf.constant([[0.5, 0.5, 1.0]])).numpy()[0]
    np.testing.assert_allclose(still, x[0] + 0.1, atol=1e-6)
    moved = change(x, tf.constant([[0.5, 0.01, 0.5]])).numpy()[0]
    assert np.allclose(moved[0], -1.0, atol=1e-6) != np.allclose(moved[-1], -1.0, atol=1e-6)


@pytest.mark.slow
def test_a_step_moves_every_player_and_all_metrics_are_finite():
    model = compiled(copy_adversarial=0.5, feature_matching=1.0)
    players = {name: model.parts()[name] for name in ("generator", "learning_generator", "encoder", "discriminator")}
    before = {name: values(variables) for name, variables in players.items()}
    metrics = model.train_step(batch())
    assert sorted(metrics) == sorted(FrameGAN.METRICS)
    assert all(np.isfinite(float(value)) for value in metrics.values())
    for name, variables in players.items():
        for variable, old in zip(variables, before[name], strict=True):
            assert not np.array_equal(np.asarray(variable), old), variable.path


@pytest.mark.parametrize("alone", ["discriminator", "generator"])
def test_the_losses_reach_only_the_players_that_they_are_meant_for(alone):
    model = compiled(adversarial=0.0 if alone == "discriminator" else 1.0, reconstruction=1e-9, kl=0.0)
    model.compile(keras.optimizers.SGD(1.0), keras.optimizers.SGD(1.0))
    prior = model.generator.prior.trainable_variables  # learns always, from what the encoder finds
    kept = {id(variable) for variable in prior}
    players = ([variable for variable in model.generator_variables if id(variable) not in kept],
               model.discriminator_variables, prior)
    before = [values(player) for player in players]
    model.train_step(batch())
    moved = [max(np.abs(new - old).max() for new, old in zip(values(player), weights, strict=True))
             for player, weights in zip(players, before, strict=True)]
    assert min(moved[1:]) > 1e-6
    assert (moved[0] > 1e-6) == (alone == "generator")


@pytest.mark.slow
def test_shards_change_nothing_but_rounding():
    config = dataclasses.replace(TINY, training=dataclasses.replace(TINY.training, batch_size=32))
    whole, cut = compiled(config), compiled(config, shards=2)
    for model in (whole, cut):  # groups of sounds differ between the two, so that feature is left out
        kernel = next(v for v in model.discriminator.trainable_variables if v.path.endswith("judge/kernel"))
        kernel.assign(np.concatenate([np.asarray(kernel)[:-1], np.zeros((1, 8), "float32")]))
    metrics = [{k: float(v) for k, v in model.train_step(batch(32)).items()} for model in (whole, cut)]
    for name in ("discriminator/loss", "generator/adversarial", "generator/reconstruction", "generator/kl"):
        np.testing.assert_allclose(metrics[0][name], metrics[1][name], rtol=1e-3)
    for ours, theirs in zip(values(whole.generator.variables), values(cut.generator.variables), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2.1e-3)  # Adam's first step moves every weight by its rate


def test_the_average_follows_the_generator():
    model = compiled()
    start = values(model.generator.variables)
    model.ema_generator.set_weights(start)
    model.train_step(batch())
    keep = min(TINY.model.average, 1 / 10)
    averages, learned = values(model.ema_generator.variables), values(model.generator.variables)
    for slow, old, new in zip(averages, start, learned, strict=True):
        np.testing.assert_allclose(slow, new + keep * (old - new), atol=1e-6)


@pytest.mark.nightly
def test_an_encoder_learns_to_copy():
    model = compiled(adversarial=0.01, kl=0.0)
    step = tf.function(model.train_step, autograph=False)
    metrics = []
    for _ in range(80):
        model.reset_metrics()
        metrics.append(float(step(batch())["generator/reconstruction"]))
    assert np.mean(metrics[-5:]) < 0.9 * np.mean(metrics[:5])


@pytest.mark.slow
def test_faults_are_measured_at_a_checkpoint(tmp_path):
    write_drums(tmp_path, each=3)
    task = FrameTask(TINY, tmp_path, Progress())
    task.build()
    task.setup_validation()
    measured = task.extra_metrics()
    assert {"faults/hum_db", "faults/dc_offset", "faults/silent"} <= set(measured)
    assert np.isfinite(list(measured.values())).all()
