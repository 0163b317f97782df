"""Blocks and their spectra, compared with plain NumPy loops and numpy.fft."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from melgan_tf.dsp import stft

SHAPES = [(16, 8), (16, 4), (64, 16), (12, 12), (1024, 256)]
MATMUL = pytest.mark.parametrize("use_matmul_dft", [False, True], ids=["fft", "matmul"])


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def added(blocks, hop):
    """Blocks ``(batch, count, length)`` added one by one, in double precision."""
    count, length = blocks.shape[1:]
    total = np.zeros((len(blocks), (count - 1) * hop + length))
    for i in range(count):
        total[:, i * hop:i * hop + length] += blocks[:, i]
    return total


# -- blocks ----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("length", "hop"), SHAPES)
@pytest.mark.parametrize("count", [1, 2, 7])
def test_cut_takes_a_block_every_hop(length, hop, count):
    wave = noise(3, (count - 1) * hop + length)
    blocks = stft.cut(tf.constant(wave), length, hop).numpy()
    assert blocks.shape == (3, count, length)
    for i in range(count):
        np.testing.assert_array_equal(blocks[:, i], wave[:, i * hop:i * hop + length])


@pytest.mark.parametrize(("length", "hop"), SHAPES)
@pytest.mark.parametrize("count", [1, 2, 7])
def test_overlap_add_adds_every_block_a_hop_later(length, hop, count):
    blocks = noise(3, count, length)
    total = stft.overlap_add(tf.constant(blocks), hop).numpy()
    np.testing.assert_allclose(total, added(blocks, hop), rtol=0, atol=1e-5)


def mean_by_loops(blocks, window, weight, hop, floor, counts):
    weights = np.broadcast_to(weight, blocks.shape) * counts
    return added(blocks * window, hop) / np.maximum(added(weights, hop), floor)


@pytest.mark.parametrize(("length", "hop"), SHAPES)
@pytest.mark.parametrize("count", [1, 2, 3, 9])
def test_overlap_mean_divides_by_what_the_windows_add_up_to(length, hop, count):
    """At the ends fewer windows meet than in the middle; windows of no symmetry tell the two ends apart."""
    blocks, window = noise(2, count, length), np.linspace(0.1, 1, length, dtype="float32")
    weight = window ** 2
    mean = stft.overlap_mean(tf.constant(blocks), window, weight, hop, 0.05).numpy()
    np.testing.assert_allclose(mean, mean_by_loops(blocks, window, weight, hop, 0.05, np.ones((2, count, 1))),
                               rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("length", "hop"), SHAPES)
def test_masked_blocks_have_no_weight(length, hop):
    """The first sound has three blocks, the second five, of seven."""
    counts = np.array([[1, 1, 1, 0, 0, 0, 0], [1, 1, 1, 1, 1, 0, 0]], "float32")[:, :, None]
    blocks, window = noise(2, 7, length) * counts, np.linspace(0.1, 1, length, dtype="float32")
    mean = stft.overlap_mean(tf.constant(blocks), window, window, hop, 1e-3, tf.constant(counts)).numpy()
    np.testing.assert_allclose(mean, mean_by_loops(blocks, window, window, hop, 1e-3, counts), rtol=1e-5, atol=1e-5)
    for sound, present in enumerate((3, 5)):
        alone = stft.overlap_mean(tf.constant(blocks[sound:sound + 1, :present]), window, window, hop, 1e-3)
        np.testing.assert_allclose(mean[sound, :alone.shape[1]], alone[0], rtol=1e-5, atol=1e-5)
        assert not mean[sound, alone.shape[1]:].any()


def test_overlap_mean_never_divides_by_less_than_the_floor():
    window = np.array([0.0, 0.01, 1.0, 1.0], "float32")
    mean = stft.overlap_mean(tf.ones((1, 1, 4)), window, window, 4, 0.5).numpy()
    np.testing.assert_allclose(mean, [[0.0, 0.02, 1.0, 1.0]], rtol=1e-6)


# -- spectra ---------------------------------------------------------------------------------------------------------

@MATMUL
@pytest.mark.parametrize("length", [2, 4, 16, 50, 512, 1024])
def test_forward_is_numpys_transform(length, use_matmul_dft):
    blocks = noise(2, 3, length)
    real, imaginary = stft.forward(tf.constant(blocks), use_matmul_dft)
    expected = np.fft.rfft(blocks.astype(np.float64))
    atol = 1e-4 * np.abs(expected).max()
    np.testing.assert_allclose(real, expected.real, rtol=0, atol=atol)
    np.testing.assert_allclose(imaginary, expected.imag, rtol=0, atol=atol)


@MATMUL
@pytest.mark.parametrize("length", [2, 4, 16, 50, 512, 1024])
def test_inverse_is_numpys_transform(length, use_matmul_dft):
    """The lowest and the highest bin are given an imaginary part that must not count."""
    real, imaginary = noise(2, 3, length // 2 + 1), noise(2, 3, length // 2 + 1, seed=1)
    blocks = stft.inverse((tf.constant(real), tf.constant(imaginary)), length, use_matmul_dft).numpy()
    expected = np.fft.irfft(real + 1j * imaginary.astype(np.float64), length)
    assert blocks.shape == (2, 3, length)
    np.testing.assert_allclose(blocks, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


@MATMUL
@pytest.mark.parametrize("length", [16, 50, 1024])
def test_there_and_back(length, use_matmul_dft):
    blocks = noise(2, 3, length)
    back = stft.inverse(stft.forward(tf.constant(blocks), use_matmul_dft), length, use_matmul_dft)
    np.testing.assert_allclose(back, blocks, rtol=0, atol=1e-4)


@pytest.mark.parametrize("repeat", [False, True])
@pytest.mark.parametrize("reach", [1, 2])
def test_mirrored_is_numpys_padding(reach, repeat):
    wave, mode = noise(2, 7 * 4), "symmetric" if repeat else "reflect"
    expected = np.pad(wave, ((0, 0), (reach * 4,) * 2), mode=mode)
    for present in (None, tf.ones((2, 7, 1))):
        np.testing.assert_array_equal(stft.mirrored(tf.constant(wave), 4, reach, present, repeat), expected)


@pytest.mark.parametrize("repeat", [False, True])
def test_a_sound_is_mirrored_where_it_ends(repeat):
    """Two sounds of different length, each with masked hops before and after it."""
    wave, present = noise(2, 12 * 4), np.zeros((2, 12, 1), "float32")
    for i, (first, end) in enumerate(((3, 8), (2, 9))):
        present[i, first:end] = 1
    wave *= np.repeat(present[:, :, 0], 4, axis=1)
    made = stft.mirrored(tf.constant(wave), 4, 2, tf.constant(present), repeat).numpy()
    for i, (first, end) in enumerate(((3, 8), (2, 9))):
        alone = stft.mirrored(tf.constant(wave[i:i + 1, first * 4:end * 4]), 4, 2, None, repeat)[0]
        np.testing.assert_array_equal(made[i, first * 4:(end + 4) * 4], alone)
        assert not made[i, :first * 4].any()
        assert not made[i, (end + 4) * 4:].any()


def test_matrix_products_need_no_fft():
    """TFLite has none."""
    def names(use_matmul_dft):
        function = tf.function(lambda x: stft.inverse(stft.forward(x, use_matmul_dft), 16, use_matmul_dft))
        graph = function.get_concrete_function(tf.TensorSpec((None, None, 16))).graph
        return {operation.type for operation in graph.get_operations()}

    assert {"RFFT", "IRFFT"} <= names(False)
    assert not any("FFT" in name or "Complex" in name for name in names(True))
