"""Noise from seeds in operations that TFLite has: number for number that of `tf.random.stateless_normal`.

Philox: Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", 2011.
"""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf

#: How noise comes from a seed and the number of a sound, for exports to state.
RECIPE = (
    "As tf.random.stateless_normal((noise_dim,), (seed, index)): Philox4x32-10 of the counter (seed low, seed high, "
    "index low, index high), words of 32 bits, under the key (0x3EC8F720, 0x02461E29) gives a, b, c, d; Philox4x32-10 "
    "of (i, 0, c, d) under (a, b) gives p, q, r, s, of which numbers 4i to 4i + 3 are made. With f(x) = (x mod 2**23) "
    "/ 2**23 and R = sqrt(-2 ln max(f(p), 1e-7)): R sin(2 pi f(q)), R cos(2 pi f(q)); then the same of r, s.")

_ROUNDS = 10
_MULTIPLIERS = np.array([0xD2511F53, 0xCD9E8D57], np.int64)
_STEPS = np.arange(_ROUNDS, dtype=np.int64)[:, None, None] * np.array([0x9E3779B9, 0xBB67AE85], np.int64)
_FIRST_KEY = np.array([[0x3EC8F720, 0x02461E29]], np.int32)


def normal(keys: tf.Tensor, length: int) -> tf.Tensor:
    """Standard normal numbers of each key.

    Args:
        keys: ``(keys, 2)``, int64, the number of keys known: seed and index.
        length: numbers of each.

    Output shape: ``(keys, length)``.

    Examples:
        >>> made = normal(tf.constant([[7, 2]], tf.int64), 3)
        >>> bool(np.allclose(made[0], tf.random.stateless_normal((3,), (7, 2)), atol=1e-6))
        True
    """
    count, blocks = keys.shape[0], -(-length // 4)
    mixed = tf.gather(_philox(tf.reshape(_words(keys), (count, 4)), tf.constant(_FIRST_KEY)),
                      np.repeat(np.arange(count), blocks))
    numbers = np.stack([np.tile(np.arange(blocks), count), np.zeros(count * blocks)], axis=1).astype(np.int32)
    bits = _philox(tf.concat([numbers, mixed[:, 2:]], axis=1), mixed[:, :2])
    uniform = tf.cast(tf.math.floormod(bits, 2 ** 23), tf.float32) / 2.0 ** 23
    radius = tf.sqrt(-2.0 * tf.math.log(tf.maximum(uniform[:, ::2], 1e-7)))
    angle = 2.0 * math.pi * uniform[:, 1::2]
    pairs = tf.stack([radius * tf.sin(angle), radius * tf.cos(angle)], axis=-1)
    return tf.reshape(pairs, (count, 4 * blocks))[:, :length]


def _philox(counter: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
    """Counters ``(counters, 4)`` under keys ``(counters or 1, 2)`` -> random words ``(counters, 4)``, all int32."""
    even, odd = counter[:, ::2], counter[:, 1::2]
    for round_key in tf.unstack(_words(_unsigned(key) + _STEPS)[..., 0]):
        products = tf.gather(_words(_unsigned(even) * _MULTIPLIERS), [1, 0], axis=1)
        even, odd = tf.bitwise.bitwise_xor(tf.bitwise.bitwise_xor(products[..., 1], odd), round_key), products[..., 0]
    return tf.reshape(tf.stack([even, odd], axis=-1), (-1, 4))


def _words(numbers: tf.Tensor) -> tf.Tensor:
    """int64 -> its lower and upper 32 bits, along a new last axis."""
    return tf.bitcast(numbers, tf.int32)


def _unsigned(words: tf.Tensor) -> tf.Tensor:
    """int32 -> the same bits as unsigned numbers, in int64."""
    return tf.bitcast(tf.stack([words, tf.zeros_like(words)], axis=-1), tf.int64)
