"""Binary cross-entropy from logits, against numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf

from melgan_tf.training.losses import binary_cross_entropy


@pytest.mark.parametrize(("logit", "label", "loss"), [
    (0.0, 1.0, 0.6931471805599453), (0.0, 0.0, 0.6931471805599453),
    # sigmoid(ln 3) = 3/4: -ln(3/4) and -ln(1/4)
    (math.log(3), 1.0, 0.2876820724517809), (math.log(3), 0.0, 1.3862943611198906),
    (-math.log(3), 1.0, 1.3862943611198906), (-math.log(3), 0.0, 0.2876820724517809),
    (1.0, 1.0, 0.31326168751822286), (1.0, 0.0, 1.3132616875182228),
    # label smoothing: 0.9 * 0.31326... + 0.1 * 1.31326...
    (1.0, 0.9, 0.41326168751822286)])
def test_hand_computed_values(logit, label, loss):
    assert float(binary_cross_entropy(tf.constant([[logit]]), label)[0]) == pytest.approx(loss, rel=1e-6)


def test_one_value_per_sound():
    losses = binary_cross_entropy(tf.constant([[0.0], [1.0], [-1.0]]), 1.0)
    np.testing.assert_allclose(losses, [math.log(2), 0.31326169, 1.31326169], rtol=1e-6)


@pytest.mark.parametrize(("logit", "label", "loss", "slope"), [
    (1e4, 1.0, 0.0, 0.0), (1e4, 0.0, 1e4, 1.0), (-1e4, 1.0, 1e4, -1.0), (-1e4, 0.0, 0.0, 0.0),
    (1e30, 0.0, 1e30, 1.0), (-100.0, 1.0, 100.0, -1.0)])
def test_large_logits_stay_finite_and_keep_their_gradient(logit, label, loss, slope):
    x = tf.constant([[logit]])
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = binary_cross_entropy(x, label)
    assert float(value[0]) == pytest.approx(loss, rel=1e-6, abs=1e-30)
    assert float(tape.gradient(value, x)[0, 0]) == pytest.approx(slope, abs=1e-6)


@pytest.mark.parametrize("logit", [-3.0, -0.5, 0.0, 0.5, 3.0])
@pytest.mark.parametrize("label", [0.0, 1.0])
def test_gradient_is_probability_minus_label(logit, label):
    x = tf.constant([[logit]])
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = binary_cross_entropy(x, label)
    assert float(tape.gradient(value, x)[0, 0]) == pytest.approx(1 / (1 + math.exp(-logit)) - label, abs=1e-6)


def test_compiled_it_is_the_same():
    logits = tf.constant([[-1e30], [-1e4], [-90.0], [-1.0], [0.0], [1.0], [90.0], [1e4], [1e30]])
    for label in (0.0, 1.0):
        compiled = tf.function(lambda x, label=label: binary_cross_entropy(x, label), jit_compile=True)
        np.testing.assert_allclose(compiled(logits), binary_cross_entropy(logits, label), rtol=1e-5, atol=1e-30)
