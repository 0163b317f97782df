"""The learned prior: invertible, with the density that its Jacobian says, and able to learn."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from melgan_tf.dsp.whole_vectors import by_whole_vectors
from melgan_tf.models.layers.frame_conv import Seeds
from melgan_tf.models.vae_gan.prior import Prior

SIZE, CONDITION = 7, 3


@pytest.fixture
def prior() -> Prior:
    """One that changes a lot."""
    found, rng = Prior(SIZE, CONDITION, Seeds(0)), np.random.default_rng(1)
    for variable in found.trainable_variables:
        variable.assign(variable + 0.01 * rng.standard_normal(variable.shape))
    return found


@pytest.fixture(scope="module")
def noise() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((50, SIZE)).astype(np.float32)


@pytest.fixture(scope="module")
def condition() -> np.ndarray:
    return np.eye(CONDITION, dtype=np.float32)[np.arange(50) % CONDITION]


def test_it_is_inverted(prior, noise, condition):
    latent = prior(noise, condition)
    assert np.abs(latent - noise).mean() > 0.5
    np.testing.assert_allclose(prior.inverse(latent, condition)[0], noise, atol=1e-3)


@pytest.mark.parametrize("function", [tf.exp, tf.tanh])
def test_functions_round_a_row_alike_in_a_batch_of_any_size(noise, function):
    whole = np.asarray(by_whole_vectors(function, tf.constant(noise)))
    np.testing.assert_allclose(whole, function(noise), rtol=1e-6)
    for size in (1, 2, 3, 16):
        np.testing.assert_array_equal(by_whole_vectors(function, tf.constant(noise[:size])), whole[:size])


def test_every_number_depends_on_the_condition(prior, noise, condition):
    assert np.all(np.abs(prior(noise, condition) - prior(noise, np.roll(condition, 1, axis=1))).max(axis=0) > 0.01)


def test_the_log_determinant_is_that_of_the_jacobian(prior, noise, condition):
    latent = prior(noise, condition)
    with tf.GradientTape() as tape:
        x = tf.constant(noise)
        tape.watch(x)
        y = prior(x, condition)
    expected = np.linalg.slogdet(tape.batch_jacobian(y, x).numpy())[1]
    np.testing.assert_allclose(prior.inverse(latent, condition)[1], expected, atol=1e-3)


def test_at_first_it_changes_next_to_nothing(noise, condition):
    prior = Prior(SIZE, CONDITION, Seeds(0))
    assert np.abs(prior(noise, condition) - noise).mean() < 0.03
    np.testing.assert_allclose(prior.loss(noise, condition), 0.5 * np.sum(noise**2, axis=1), rtol=0.1, atol=0.1)


@pytest.mark.slow
def test_it_learns_a_distribution_that_is_not_normal():
    """A ring for one condition, two points for the other: nearly no density between."""
    prior, rng = Prior(2, 2, Seeds(0)), np.random.default_rng(3)
    optimizer = keras.optimizers.Adam(5e-4)
    angle = rng.uniform(0, 2 * np.pi, 512)
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=1) * 2 + rng.normal(0, 0.1, (512, 2))
    points = np.sign(rng.normal(0, 1, (512, 1))) * [1.5, 1.5] + rng.normal(0, 0.1, (512, 2))
    latents = np.concatenate([ring, points]).astype(np.float32)
    condition = np.repeat(np.eye(2, dtype=np.float32), 512, axis=0)

    @tf.function(autograph=False)
    def step() -> None:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(prior.loss(latents, condition))
        optimizer.apply(tape.gradient(loss, prior.trainable_variables), prior.trainable_variables)

    for _ in range(500):
        step()
    drawn = np.asarray(prior(rng.standard_normal((1024, 2)).astype(np.float32), condition))
    radius = np.linalg.norm(drawn[:512], axis=1)
    assert np.mean(np.abs(radius - 2) < 0.5) > 0.7  # of normal noise 0.28
    assert np.mean(np.abs(np.abs(drawn[512:]) - 1.5).max(axis=1) < 0.5) > 0.6  # of normal noise 0.07
