"""The two players: shapes, initial weights, and every layer's values against loops in plain NumPy."""

from __future__ import annotations

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from melgan_tf.models.layers.packed_conv import pack, unpack
from melgan_tf.models.spectrogram_gan.networks import Discriminator, Generator

GENERATOR_MAPS = [(3, 2, 256), (7, 4, 128), (15, 8, 32), (32, 17, 8), (64, 16, 1)]
DISCRIMINATOR_MAPS = [(32, 17, 4), (15, 8, 16), (7, 4, 32), (3, 2, 64), (2, 2, 128)]
#: stride, padding, output padding of each layer, as published
UP = [((2, 2), 0, (0, 0)), ((2, 2), 0, (0, 0)), ((2, 2), 0, (0, 0)), ((2, 2), 0, (1, 1)), ((2, 1), 1, (1, 0))]
DOWN = [((2, 1), 1), ((2, 2), 0), ((2, 2), 0), ((2, 2), 0), ((2, 2), 1)]


# -- the same arithmetic, as the definitions say it ------------------------------------------------------------------

def selu(x):
    alpha, scale = 1.6732632423543772, 1.0507009873554805
    return scale * np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def transposed_convolution(x, kernel, bias, stride, padding, output_padding):
    """Every input pixel stamps the kernel onto the output; then the border is cut off."""
    batch, rows, columns, _ = x.shape
    full = np.zeros((batch, (rows - 1) * stride[0] + 3 + output_padding[0],
                     (columns - 1) * stride[1] + 2 + output_padding[1], kernel.shape[-1]))
    for i, j in itertools.product(range(rows), range(columns)):
        for a, q in itertools.product(range(3), range(2)):
            full[:, i * stride[0] + a, j * stride[1] + q] += x[:, i, j] @ kernel[a, q]
    return full[:, padding:full.shape[1] - padding, padding:full.shape[2] - padding] + bias


def convolution(x, kernel, bias, stride, padding):
    """Every output pixel is the kernel's product with the patch below it."""
    x = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    batch, rows, columns, _ = x.shape
    y = np.zeros((batch, (rows - 3) // stride[0] + 1, (columns - 2) // stride[1] + 1, kernel.shape[-1]))
    for i, j in itertools.product(range(y.shape[1]), range(y.shape[2])):
        for a, q in itertools.product(range(3), range(2)):
            y[:, i, j] += x[:, i * stride[0] + a, j * stride[1] + q] @ kernel[a, q]
    return y + bias


def numpy_generator(noise, weights):
    maps = [noise[:, None, None, :]]
    for (stride, padding, output_padding), kernel, bias in zip(UP, weights[::2], weights[1::2], strict=True):
        maps.append(selu(transposed_convolution(maps[-1], kernel, bias, stride, padding, output_padding)))
    return maps[1:]


def numpy_discriminator(patch, weights):
    maps = [patch]
    for (stride, padding), kernel, bias in zip(DOWN, weights[:10:2], weights[1:10:2], strict=True):
        maps.append(selu(convolution(maps[-1], kernel, bias, stride, padding)))
    hidden = selu(maps[-1].reshape(len(patch), -1) @ weights[10] + weights[11])
    return maps[1:], hidden @ weights[12] + weights[13]


def with_random_weights(model, seed=0):
    """Weights large enough that every layer matters, biases included."""
    rng = np.random.default_rng(seed)
    for variable in model.trainable_variables:
        shape = tuple(variable.shape)
        scale = 0.5 if len(shape) == 1 else np.sqrt(1.5 / np.prod(shape[:-1]))
        variable.assign(rng.normal(0, scale, shape))
    return model


def weights_of(model):
    return [np.asarray(variable, "float64") for variable in model.trainable_variables]


@pytest.fixture(scope="module")
def generator():
    return with_random_weights(Generator(), 1)


@pytest.fixture(scope="module")
def discriminator():
    return with_random_weights(Discriminator(), 2)


@pytest.fixture(scope="module")
def noise():
    return np.random.default_rng(3).normal(size=(3, 20)).astype("float32")


@pytest.fixture(scope="module")
def patch():
    return np.random.default_rng(4).normal(size=(3, 64, 16, 1)).astype("float32")


def same(actual, expected):
    """Equal to within float32's rounding over the few thousand additions of a layer."""
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


# -- shapes and values -----------------------------------------------------------------------------------------------

def test_generator_is_the_published_stack_of_transposed_convolutions(generator, noise):
    expected = numpy_generator(noise.astype("float64"), weights_of(generator))
    maps = generator.feature_maps(noise)
    assert [tuple(m.shape[1:]) for m in maps] == GENERATOR_MAPS
    assert [m.shape[1:] for m in expected] == GENERATOR_MAPS
    for ours, theirs in zip(maps, expected, strict=True):
        assert np.std(theirs) > 0.3
        same(ours, theirs)
    same(generator(noise), expected[-1])


def test_discriminator_is_the_published_stack_of_convolutions(discriminator, patch):
    expected, logits = numpy_discriminator(patch.astype("float64"), weights_of(discriminator))
    maps = discriminator.feature_maps(patch)
    assert [tuple(m.shape[1:]) for m in maps] == DISCRIMINATOR_MAPS
    assert [m.shape[1:] for m in expected] == DISCRIMINATOR_MAPS
    for ours, theirs in zip(maps, expected, strict=True):
        assert np.std(theirs) > 0.1
        same(ours, theirs)
    assert np.ptp(logits) > 0.01
    same(discriminator(patch, logits=True), logits)
    same(discriminator(patch), 1 / (1 + np.exp(-logits)))


def test_every_weight_tensor_is_where_the_reference_expects_it(generator, discriminator):
    kernels = [(3, 2, i, o) for i, o in itertools.pairwise([20, 256, 128, 32, 8, 1])]
    assert [w.shape for w in weights_of(generator)] == [s for k in kernels for s in (k, k[-1:])]
    kernels = [(3, 2, i, o) for i, o in itertools.pairwise([1, 4, 16, 32, 64, 128])] + [(512, 64), (64, 1)]
    assert [w.shape for w in weights_of(discriminator)] == [s for k in kernels for s in (k, k[-1:])]
    assert generator.count_params() == 253_913
    assert discriminator.count_params() == 98_061
    assert not generator.non_trainable_variables
    assert not discriminator.non_trainable_variables


def test_packed_is_the_same_in_another_order(generator, discriminator, noise, patch):
    packed = generator(noise, packed=True)
    assert packed.shape == (64, 3, 16)
    np.testing.assert_array_equal(unpack(packed, 1), generator(noise))
    np.testing.assert_array_equal(pack(generator(noise)), packed)
    np.testing.assert_array_equal(discriminator(pack(patch), packed=True), discriminator(patch))


def test_packing_keeps_every_value_in_its_place():
    maps = np.arange(2 * 3 * 4 * 5, dtype="float32").reshape(2, 3, 4, 5)
    packed = np.asarray(pack(tf.constant(maps)))
    assert packed.shape == (3, 2, 20)
    assert packed[2, 1, 3 * 5 + 4] == maps[1, 2, 3, 4]
    np.testing.assert_array_equal(unpack(pack(tf.constant(maps)), 5), maps)


@pytest.mark.parametrize("batch", [1, 5])
def test_a_graph_of_unknown_batch_size_gives_the_same(generator, discriminator, batch):
    noise = np.random.default_rng(batch).normal(size=(batch, 20)).astype("float32")

    @tf.function(input_signature=[tf.TensorSpec((None, 20), tf.float32)])
    def judged(noise):
        return discriminator(generator(noise))

    np.testing.assert_allclose(judged(noise), discriminator(generator(noise)), rtol=1e-5, atol=1e-6)


def test_sounds_do_not_influence_each_other(generator, discriminator, noise, patch):
    same(generator(noise[1:2]), np.asarray(generator(noise))[1:2])
    same(discriminator(patch[1:2], logits=True), np.asarray(discriminator(patch, logits=True))[1:2])


def test_other_noise_lengths_are_built_and_wrong_ones_refused():
    assert Generator(noise_dim=7)(np.zeros((2, 7), "float32")).shape == (2, 64, 16, 1)
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError)):
        Generator(noise_dim=7)(np.zeros((2, 8), "float32"))


def test_outputs_stay_in_their_ranges(generator, discriminator, noise):
    image = np.asarray(generator(10 * noise))
    assert image.min() > -1.7581
    assert image.min() < -1.5  # SELU's lower end is reached: the last layer has it too
    assert image.max() > 1.0
    probability = np.asarray(discriminator(image))
    assert probability.shape == (3, 1)
    assert np.all((probability > 0) & (probability < 1))


# -- how the weights begin -------------------------------------------------------------------------------------------

def named(model):
    return {variable.path: np.asarray(variable) for variable in model.trainable_variables}


@pytest.mark.parametrize("std", [0.02, 0.1])
@pytest.mark.parametrize("player", [Generator, Discriminator])
def test_convolutions_begin_normal_with_zero_biases(player, std):
    kernels = 0
    for name, value in named(player(weight_std=std)).items():
        if "dense" in name:
            continue
        if "bias" in name:
            assert not value.any()
            continue
        kernels += 1
        error = std / np.sqrt(value.size)
        assert abs(value.mean()) < 5 * error
        assert abs(value.std() - std) < 5 * error / np.sqrt(2)
        if value.size > 1_000:  # a normal distribution has its tails, a uniform or truncated one does not
            assert np.abs(value).max() > 2.8 * std
    assert kernels == 5


def test_dense_layers_begin_uniform_within_their_fan_in():
    weights = named(Discriminator())
    for layer, fan_in in (("dense_1", 512), ("dense_2", 64)):
        bound = fan_in ** -0.5
        kernel, bias = weights[f"{layer}/kernel"], weights[f"{layer}/bias"]
        for value in (kernel, bias):
            assert np.abs(value).max() <= bound
            assert np.abs(value).max() > 0
        assert abs(kernel.std() - bound / np.sqrt(3)) < 0.15 * bound


def test_no_two_layers_draw_the_same_numbers():
    kernels = {}
    for model in (Generator(seed=0), Discriminator(seed=0), Generator(seed=1), Discriminator(seed=1)):
        for name, value in named(model).items():
            if value.any() and value.size > 1:
                kernels[model.name, len(kernels), name] = value.ravel() / value.std()
    for (a, first), (b, second) in itertools.combinations(kernels.items(), 2):
        size = min(first.size, second.size)
        assert not np.allclose(first[:size], second[:size]), (a, b)
        if size > 100:
            assert abs(np.corrcoef(first[:size], second[:size])[0, 1]) < 6 / np.sqrt(size), (a, b)


@pytest.mark.parametrize("player", [Generator, Discriminator])
def test_seed_decides_the_initial_weights(player):
    first, again, other = (player(seed=seed).get_weights() for seed in (5, 5, 6))
    for a, b, c in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(a, b)
        assert not a.any() or not np.array_equal(a, c)


# -- gradients -------------------------------------------------------------------------------------------------------

def test_a_gradient_reaches_every_single_weight(generator, discriminator):
    rng = np.random.default_rng(7)
    noise, patch = (tf.constant(rng.normal(size=shape), tf.float32) for shape in ((4, 20), (4, 64, 16, 1)))
    goal = tf.constant(rng.normal(size=(4, 64, 16, 1)), tf.float32)
    variables = [v.value for v in generator.trainable_variables + discriminator.trainable_variables]
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(generator(noise) * goal) + tf.reduce_sum(discriminator(patch, logits=True))
    for variable, gradient in zip(variables, tape.gradient(loss, variables), strict=True):
        assert gradient is not None, variable.name
        assert np.isfinite(gradient).all(), variable.name
        assert np.all(np.asarray(gradient) != 0), variable.name


def test_the_border_column_carries_the_gradient_of_its_bias(generator, noise):
    """The 17th column of layer 4 holds nothing but the activated bias, and the last layer reads it."""
    bias = generator.up_4.bias
    goal = tf.constant(np.random.default_rng(8).normal(size=(3, 64, 16, 1)), tf.float32)

    def loss_with(value):
        weights = weights_of(generator)
        weights[7] = value
        return np.sum(numpy_generator(noise.astype("float64"), weights)[-1] * goal.numpy())

    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(generator(noise) * goal)
    gradient = tape.gradient(loss, bias.value)
    value = np.asarray(bias, "float64")
    slopes = [(loss_with(value + step) - loss_with(value - step)) / 2e-6 for step in 1e-6 * np.eye(8)]
    np.testing.assert_allclose(gradient, slopes, rtol=1e-3, atol=1e-3)


def test_layers_follow_the_precision_policy(noise):
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    image = Generator()(noise)
    assert image.dtype == tf.bfloat16
    logits = Discriminator()(image, logits=True)
    assert logits.dtype == tf.float32  # losses are computed in full precision
    assert all(v.dtype == "float32" for v in Generator().trainable_variables)
