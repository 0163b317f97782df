"""Noise in operations that TFLite has, against TensorFlow's own."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from melgan_tf.inference import portable_noise
from melgan_tf.models.sequence_gan.noise import SequenceNoise

NUMBER = tf.TensorSpec((1,), tf.int64)
SOUNDS = [*((seed, seed % 3) for seed in range(14)), (2**40 + 1, 2**33), (2**63 - 1, 2**62 + 5)]


def converted(function):
    """What computes a function of seed and index with LiteRT's own operations."""
    concrete = tf.function(function, input_signature=[NUMBER, NUMBER]).get_concrete_function()
    interpreter = Interpreter(model_content=tf.lite.TFLiteConverter.from_concrete_functions([concrete]).convert())
    interpreter.allocate_tensors()
    (seed, index), (made,) = interpreter.get_input_details(), interpreter.get_output_details()

    def run(*values):
        for details, value in zip((seed, index), values, strict=True):
            interpreter.set_tensor(details["index"], np.array([value], np.int64))
        interpreter.invoke()
        return interpreter.get_tensor(made["index"])

    return run


@pytest.mark.parametrize("length", [20, 33])
def test_litert_draws_what_tensorflow_draws(length):
    drawn = converted(lambda seed, index: portable_noise.normal(tf.stack([seed, index], axis=1), length))
    for sound in SOUNDS:
        wanted = tf.random.stateless_normal((length,), tf.constant(sound, tf.int64))
        np.testing.assert_allclose(drawn(*sound)[0], wanted, atol=1e-5)


def test_several_keys_are_drawn_each_for_itself():
    drawn = portable_noise.normal(tf.constant(SOUNDS, tf.int64), 6)
    for row, sound in zip(drawn, SOUNDS, strict=True):
        np.testing.assert_allclose(row, tf.random.stateless_normal((6,), tf.constant(sound, tf.int64)), atol=1e-5)


@pytest.mark.slow
def test_noise_of_sequences_is_the_same():
    own = SequenceNoise(noise_dim=4, style_dim=6, turn_steps=5)
    other = dataclasses.replace(own, draw=portable_noise.normal)
    steps = tf.range(-5, 13, dtype=tf.int64)
    drawn = converted(lambda seed, index: tf.concat(
        [draw(seed[:, None], index[:, None], steps) for draw in (other.noise, other.style)], axis=-1))
    for sound in [(3, 0), (2**40 + 1, 7)]:
        wanted = np.concatenate([own.noise(*sound, steps), own.style(*sound, steps)], axis=-1)
        np.testing.assert_allclose(drawn(*sound)[0], wanted, atol=1e-5)
