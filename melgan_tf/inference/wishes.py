"""Sounds that are as somebody wishes: noise is moved until the mel that it makes has the wanted features.

What a network was asked for it makes only more or less. Features are measured in its mel, so that gradients pass, and
the noise goes the shortest way to where they are as wanted: Gauss-Newton with damping. The way is the same for the same
noise, short, and continuous, so sounds of a seed, variations and interpolations stay what they are.

Reference: Levenberg, "A Method for the Solution of Certain Non-Linear Problems in Least Squares" (1944).
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import tensorflow as tf

from melgan_tf.config import AudioConfig
from melgan_tf.dsp import spectral
from melgan_tf.dsp.mel_filters import band_centers

_STEPS = 8
_LONGEST = 1.5  # of a step; the noise itself has a length of about ten
_DAMPING = 0.02
_MOST = 0.001  # of all sounds, that have less than 0 and more than 1
_LEAST_SPREAD = 0.05
_SOUNDS, _AT_ONCE, _SEED = 128, 64, 2**61  # by which the features of a class are known

#: Noise ``(batch, noise_dim)`` and label ``(batch, classes)``, if any -> mel ``(batch, frames, mel_bins)``.
MakeMel = Callable[..., tf.Tensor]


class Measures(Protocol):
    """Features of mels, so that gradients pass.

    Attributes:
        names: of the features.
    """

    names: tuple[str, ...]

    def __call__(self, mel: tf.Tensor) -> tf.Tensor:
        """``(batch, frames, mel_bins)`` -> ``(batch, features)``."""


class HitMeasures:
    """Brightness, decay and pitch of one-shots, all as logarithms.

    Brightness is the centroid of the spectrum; decay the centroid of the level over time; pitch the frequency around
    which power is densest, which is that of the fundamental where it is strongest.

    Args:
        audio: the mel configuration.

    Examples:
        >>> from melgan_tf import presets
        >>> audio = presets.get("drums").audio
        >>> HitMeasures(audio)(tf.fill((2, 10, audio.mel_bins), -1.0)).shape
        TensorShape([2, 3])
    """

    names = ("brightness", "decay", "pitch")

    def __init__(self, audio: AudioConfig) -> None:
        centers, self.width = band_centers(audio)
        self.audio, self.hertz = audio, np.maximum(centers, 1.0).astype(np.float32)

    def __call__(self, mel: tf.Tensor) -> tf.Tensor:
        """See `Measures`."""
        magnitude = tf.pow(10.0, spectral.log_mel(mel, self.audio) / 20.0)
        level = tf.reduce_mean(magnitude, axis=2)
        spectrum, power = (tf.reduce_mean(x, axis=1) for x in (magnitude, tf.square(magnitude)))
        times = np.arange(1, mel.shape[1] + 1, dtype=np.float32)
        return tf.stack([tf.math.log(_mean(self.hertz, spectrum * self.width)), tf.math.log(_mean(times, level)),
                         _mean(np.log(self.hertz), tf.square(power * self.width))], axis=-1)


def _mean(values: np.ndarray, weights: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(values * weights, axis=-1) / tf.maximum(tf.reduce_sum(weights, axis=-1), 1e-12)


def normal_score(share: float) -> float:
    """The value that this share of normal numbers is below; the ends are where one of a thousand is.

    Examples:
        >>> normal_score(0.5), round(normal_score(0.975), 2), round(normal_score(0), 2)
        (0.0, 1.96, -3.09)
    """
    return statistics.NormalDist().inv_cdf(min(max(share, _MOST), 1 - _MOST))


def normal_scores(shares: tf.Tensor) -> tf.Tensor:
    """`normal_score` of tensors; below 0, not a number."""
    scores = tf.math.ndtri(tf.clip_by_value(tf.cast(shares, tf.float64), _MOST, 1 - _MOST))
    return tf.where(shares < 0, np.float32("nan"), tf.cast(scores, tf.float32))


@dataclass(frozen=True)
class Wish:
    """Features that sounds are to have.

    Attributes:
        make: makes mels.
        measures: measures them.
        names: of the features that may be wished for.
        usual: ``(2, classes, features)``: mean and standard deviation of these features.
    """

    make: MakeMel
    measures: Measures
    names: tuple[str, ...]
    usual: np.ndarray

    @classmethod
    def of(cls, make: MakeMel, measures: Measures, names: Iterable[str], noise_dim: int, classes: int) -> Wish:
        """The wish, by sounds that a model makes of random noise; ``classes`` is their number, 0 of a model without."""
        noise, names = tf.random.stateless_normal((_SOUNDS, noise_dim), (_SEED, 0)), tuple(names)

        def found(*labels: tf.Tensor) -> np.ndarray:
            parts = [measures(make(noise[first:first + _AT_ONCE], *(label[first:first + _AT_ONCE] for label in labels)))
                     for first in range(0, _SOUNDS, _AT_ONCE)]
            return _pick(tf.concat(parts, axis=0), measures, names).numpy()

        of_class = [found(tf.one_hot(tf.fill([_SOUNDS], number), classes)) for number in range(classes)] or [found()]
        usual = np.stack([[values.mean(axis=0) for values in of_class],
                          [np.maximum(values.std(axis=0), _LEAST_SPREAD) for values in of_class]])
        return cls(make, measures, names, usual.astype(np.float32))

    def granted(self, noise: tf.Tensor, label: tf.Tensor | None, wanted: tf.Tensor) -> tf.Tensor:
        """The noise ``(batch, noise_dim)`` nearby whose sounds are as wished.

        Args:
            noise: ``(batch, noise_dim)``.
            label: ``(batch, classes)``; None of a model without.
            wanted: ``(batch, features)``, in standard deviations from the mean of the class; not a number: any.
        """
        labels = () if label is None else (label,)
        center, width = (tf.matmul(label, part) if labels else part for part in map(tf.constant, self.usual))
        free = tf.math.is_nan(wanted)

        def off(noise: tf.Tensor) -> tf.Tensor:
            """Standard deviations that the features are off: ``(batch, features)``."""
            found = _pick(self.measures(self.make(noise, *labels)), self.measures, self.names)
            return tf.where(free, 0.0, (found - center) / width - wanted)

        def step(noise: tf.Tensor, best: tf.Tensor, least: tf.Tensor) -> tuple[tf.Tensor, ...]:
            with tf.GradientTape(persistent=True) as tape:
                tape.watch(noise)
                found = off(noise)
                each = tf.unstack(found, axis=1)
            slopes = tf.stack([tape.gradient(one, noise) for one in each], axis=1)
            square = tf.matmul(slopes, slopes, transpose_b=True) + _DAMPING * tf.eye(len(each))
            move = tf.squeeze(tf.matmul(slopes, tf.linalg.solve(square, found[..., None]), transpose_a=True), -1)
            better = _size(found) < least
            return (noise - tf.clip_by_norm(move, _LONGEST, axes=[1]), tf.where(better, noise, best),
                    tf.where(better, _size(found), least))

        start = (noise, noise, tf.fill((tf.shape(noise)[0], 1), np.float32(np.inf)))
        noise, best, least = tf.while_loop(lambda *_: True, step, start, maximum_iterations=_STEPS)
        return tf.where(_size(off(noise)) < least, noise, best)


def _pick(found: tf.Tensor, measures: Measures, names: Iterable[str]) -> tf.Tensor:
    """Of all features ``(batch, features)`` those of these names."""
    return tf.gather(found, [measures.names.index(name) for name in names], axis=1)


def _size(off: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(tf.square(off), axis=1, keepdims=True)
