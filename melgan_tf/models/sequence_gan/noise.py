"""Noise and style of the sequence GAN, step by step: of any stretch of a sound, and of loops.

Both are functions of the seed, the sound's number and the step alone, so a sound may be made from anywhere, in
pieces of any length, and its beginning does not depend on where it ends.

A new style is drawn every few seconds; between two draws it turns from one to the other by a quarter of a circle::

    style = cos(a) * one + sin(a) * other,  a from 0 to 90 degrees

which is as normally distributed everywhere as at the draws themselves. No two are alike, so nothing repeats. In a loop,
both are periodic: the last step leads into the first as any step leads into the next. A loop that is long enough for
two draws goes around the whole circle, since from one to the other and back it would be its own mirror image.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import tensorflow as tf

from melgan_tf.config import Config
from melgan_tf.models.sequence_gan.config import STEP_FRAMES

_STYLE_SEED = 2**62  # styles are drawn from another stream than noise
_STEPS_OF_A_SOUND = 2**32
_BEFORE = 2**16  # steps of the neighborhood before the first have negative numbers


@functools.partial(tf.function, autograph=False, reduce_retracing=True)
def _vectors(keys: tf.Tensor, length: int) -> tf.Tensor:
    """A vector for every key ``(keys, 2)``: a graph, since thousands of single draws would be slow one by one."""
    return tf.map_fn(lambda key: tf.random.stateless_normal((length,), key), keys, fn_output_signature=tf.float32)


@dataclass(frozen=True)
class SequenceNoise:
    """What a sound is made of.

    Attributes:
        noise_dim, style_dim: lengths of the vectors.
        turn_steps: steps in which the style turns into another, where it is free to choose.
        draw: keys ``(keys, 2)`` and a length -> standard normal vectors ``(keys, length)``.
    """

    noise_dim: int
    style_dim: int
    turn_steps: int
    draw: Callable[[tf.Tensor, int], tf.Tensor] = _vectors

    @classmethod
    def of(cls, config: Config) -> SequenceNoise:
        """That of a configuration."""
        model, audio = config.model, config.audio
        seconds = STEP_FRAMES * audio.hop_samples / audio.sample_rate
        return cls(model.noise_dim, model.style_dim, max(1, round(model.style_seconds / seconds)))

    def noise(self, seed: tf.Tensor | int, sound: tf.Tensor | int, steps: tf.Tensor, period: int = 0) -> tf.Tensor:
        """The noise of steps of a sound: the shape of ``steps``, and ``(noise_dim,)``.

        Args:
            seed: 0 to 2**63 - 1; or several, as ``sound``.
            sound: its number, from 0; or several, of a shape that broadcasts with ``steps``.
            steps: int64, from -2**16 on.
            period: steps of a loop; 0: none.
        """
        steps = tf.math.floormod(steps, period) if period else steps
        return self._drawn(tf.cast(seed, tf.int64), sound, steps, self.noise_dim)

    def style(self, seed: tf.Tensor | int, sound: tf.Tensor | int, steps: tf.Tensor, period: int = 0) -> tf.Tensor:
        """The style of steps of a sound: the shape of ``steps``, and ``(style_dim,)``; arguments as for `noise`."""
        turns = self.turns(period)
        if period and turns < 2:  # from one draw back to the same: there is nowhere to turn to
            return self._styles(seed, sound, tf.zeros_like(steps))
        numerator, denominator = (turns, period) if period else (1, self.turn_steps)
        scaled = steps * numerator  # whole numbers: a period later it is exactly the same
        if turns == 2:  # there and back would be the same way: a whole circle instead
            angle = tf.cast(tf.math.floormod(steps, period), tf.float32) / period * (2 * math.pi)
            one, other = (self._styles(seed, sound, tf.fill(tf.shape(steps), tf.constant(number, steps.dtype)))
                          for number in (0, 1))
            return tf.cos(angle)[..., None] * one + tf.sin(angle)[..., None] * other
        before = tf.math.floordiv(scaled, denominator)
        angle = tf.cast(scaled - before * denominator, tf.float32) / denominator * (math.pi / 2)
        after = before + 1
        if period:
            before, after = tf.math.floormod(before, turns), tf.math.floormod(after, turns)
        return (tf.cos(angle)[..., None] * self._styles(seed, sound, before)
                + tf.sin(angle)[..., None] * self._styles(seed, sound, after))

    def turns(self, period: int) -> int:
        """How often the style of a loop turns."""
        return max(1, round(period / self.turn_steps))

    def _styles(self, seed: tf.Tensor | int, sound: tf.Tensor | int, numbers: tf.Tensor) -> tf.Tensor:
        return self._drawn(tf.cast(seed, tf.int64) + _STYLE_SEED, sound, numbers, self.style_dim)

    def _drawn(self, seed: tf.Tensor, sound: tf.Tensor | int, numbers: tf.Tensor, length: int) -> tf.Tensor:
        """A vector for every sound and number, standard normal: ``(..., length)``."""
        codes = tf.cast(sound, tf.int64) * _STEPS_OF_A_SOUND + _BEFORE + tf.cast(numbers, tf.int64)
        keys = tf.stack([tf.broadcast_to(seed, tf.shape(codes)), codes], axis=-1)
        drawn = self.draw(tf.reshape(keys, (-1, 2)), length)
        return tf.reshape(drawn, tf.concat([tf.shape(codes), [length]], 0))
