"""Adversarial and feature-matching losses against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from melgan_tf.training.losses import (
    feature_matching,
    hinge_discriminator,
    hinge_generator,
    relativistic_discriminator,
    relativistic_generator,
)


def logits(*values):
    return tf.constant(values, tf.float32)


@pytest.mark.parametrize(("real", "fake", "expected"), [
    ([2.0], [-2.0], 0.0),  # both beyond the margin
    ([1.0], [-1.0], 0.0),  # both on it
    ([0.0], [0.0], 2.0),
    ([0.5], [-3.0], 0.5),
    ([3.0], [0.5], 1.5),
    ([-1.0], [2.0], 5.0),  # both on the wrong side
    ([2.0, 0.0, -1.0, 1.0], [-2.0, 1.0], 0.75 + 1.0),  # means: (0 + 1 + 2 + 0) / 4 and (0 + 2) / 2
])
def test_hinge_discriminator(real, fake, expected):
    assert float(hinge_discriminator([logits(*real)], [logits(*fake)])) == pytest.approx(expected)


def test_hinge_losses_add_up_over_scales_whatever_their_lengths():
    real, fake = [logits(0.0, 4.0), logits(0.5)], [logits(1.0), logits(-0.5, -2.0, 0.0, -4.0)]
    assert float(hinge_discriminator(real, fake)) == pytest.approx((0.5 + 2.0) + (0.5 + 1.5 / 4))
    assert float(hinge_generator(fake)) == pytest.approx(-1.0 + 6.5 / 4)


def test_relativistic_losses_compare_pairs_and_mirror_each_other():
    real, fake = [logits(1.0, 0.0), logits(2.0)], [logits(0.0, 3.0), logits(2.0)]
    expected = (np.log1p(np.exp(-1.0)) + np.log1p(np.exp(3.0))) / 2 + np.log(2.0)
    assert float(relativistic_discriminator(real, fake)) == pytest.approx(expected)
    assert float(relativistic_generator(fake, real)) == pytest.approx(expected)
    assert float(relativistic_discriminator([logits(100.0)], [logits(-100.0)])) == pytest.approx(0.0, abs=1e-6)


def test_hinge_generator_keeps_its_slope_where_the_discriminators_loss_is_flat():
    fake = logits(-5.0, 0.0, 5.0, 1.0)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(fake)
        generator, discriminator = hinge_generator([fake]), hinge_discriminator([fake], [fake])
    np.testing.assert_allclose(tape.gradient(generator, fake), [-0.25] * 4)
    np.testing.assert_allclose(tape.gradient(discriminator, fake), [-0.25, 0.0, 0.25, 0.25])


def scale(*distances, layers=4):
    """``layers + 3`` maps a scale: real ones of zeros and fake ones at these mean distances."""
    shapes = [(2, 2 * index + 1, 3) for index in range(layers + 3)]
    signs = [np.resize([1.0, -1.0], shape) for shape in shapes]
    return ([tf.zeros(shape) for shape in shapes],
            [tf.constant(distance * sign, tf.float32) for distance, sign in zip(distances, signs, strict=True)])


def test_feature_matching_of_the_papers_discriminators():
    """Three scales of four layers: 4 / (4 + 1) / 3 for each of their first six maps; the logits do not count."""
    scales = [scale(1, 2, 3, 4, 5, 6, 1000), scale(0, 0, 0, 0, 0, 9, 1000), scale(3, 0, 0, 0, 0, 0, 1000)]
    real, fake = zip(*scales, strict=True)
    assert float(feature_matching(list(real), list(fake))) == pytest.approx(0.8 / 3 * (21 + 9 + 3))
    assert float(feature_matching(list(fake), list(real))) == pytest.approx(0.8 / 3 * (21 + 9 + 3))
    assert float(feature_matching(list(fake), list(fake))) == 0.0


def test_feature_matching_weighs_by_the_number_of_layers_and_scales():
    real, fake = scale(1, 1, 1, 1, 100, layers=2)
    assert float(feature_matching([real], [fake])) == pytest.approx(4 / 3 * 4)
    assert float(feature_matching([real, real], [fake, real])) == pytest.approx(4 / 3 * 4 / 2)


def test_scales_that_do_not_pair_up_are_refused():
    real, fake = scale(1, 1, 1, 1, 1, layers=2)
    for pairs in (([real], [fake, fake]), ([real], [fake[:-1]])):
        with pytest.raises(ValueError, match="zip"):
            feature_matching(*pairs)
    with pytest.raises(ValueError, match="zip"):
        hinge_discriminator([logits(1.0)], [])
