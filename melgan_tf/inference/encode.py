"""A recording -> the noise with which a model makes it, as far as it can: GAN inversion.

The encoder's mean, of every class if none is given, and random noise are starting points; the nearest of them are
improved by gradient descent through the generator, on the difference of the mels.

Reference: Zhu et al., "Generative Visual Manipulation on the Natural Image Manifold" (2016), section 3.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from melgan_tf.audio.edit import is_silent
from melgan_tf.dsp import spectral
from melgan_tf.errors import MelGANError, UsageError
from melgan_tf.inference.recipe import Encoded, Recipe

if TYPE_CHECKING:
    from melgan_tf.inference.sound_model import SoundModel

#: Mean difference of the mels, dB, beyond which a recording is out of a model's reach. The drum models come within it
#: of 25 of 32 drum sounds and of 2 of 32 notes and loops.
REACH_DB = 6.0

_RANDOM_STARTS = 64
_IMPROVED = 8  # starting points
_STEPS, _LEARNING_RATE = 150, 0.05
_PRIOR = 0.02  # dB for each unit of mean squared noise beyond its expectation: keeps the noise probable
_RANGE_DB = 60.0  # below the loudest value of a mel; nothing softer is compared


@dataclass(frozen=True)
class Encoding:
    """A recording as a model can make it.

    Attributes:
        recipe: makes the sound.
        distance_db: mean absolute difference of both mels, dB, over the 60 dB below the loudest value.
    """

    recipe: Recipe
    distance_db: float

    @property
    def within_reach(self) -> bool:
        """Whether the model can make the recording, more or less."""
        return self.distance_db <= REACH_DB


def encode(model: SoundModel, samples: np.ndarray, name: str, label: str | None = None) -> Encoding:
    """Finds what makes a recording; see `melgan_tf.inference.sound_model.SoundModel.encode`.

    Args:
        samples: ``(any,)`` at the model's sample rate. A one-shot starts at its onset and is cut or padded to that
            length; a loop is whole bars.
        name: of the recording, for the recipe.
    """
    target = recording_mel(model, samples, name)
    noise, labels = _starts(model, target, label)
    made = model.sampler.pattern(tf.constant(noise), None if labels is None else tf.constant(labels))
    nearest = np.argsort(_distances(model, made, target).numpy(), kind="stable")[:_IMPROVED]
    noise, labels = noise[nearest], None if labels is None else labels[nearest]
    noise, distances = _improve(model, target, noise, labels)
    best = int(distances.argmin())
    weights = None if labels is None else model.sampler.classes.weights(labels[best])
    return Encoding(Recipe(Encoded(tuple(map(float, noise[best])), name), weights), float(distances[best]))


def require_encodable(model: SoundModel) -> None:
    """Raises a `UsageError` for a model of sounds of any length."""
    if model.config.family.makes != "clips":
        raise UsageError(f"a model of preset {model.config.preset!r} cannot encode recordings: vary a sound that it "
                         "made, or use a model of one-shots")


def recording_mel(model: SoundModel, samples: np.ndarray, name: str) -> tf.Tensor:
    """The mel ``(1, frames, mel_bins)`` of a recording, treated as training treats sounds.

    Raises:
        MelGANError: it is silent.
    """
    if is_silent(samples):
        raise MelGANError(f"{name} is silent: give a recording that can be heard")
    samples = samples.astype(np.float32)
    if model.config.data.level == "peak":
        samples = samples / np.max(np.abs(samples))
    return model.sampler.pattern_of(samples)


def _starts(model: SoundModel, target: tf.Tensor, label: str | None) -> tuple[np.ndarray, np.ndarray | None]:
    """Noise ``(starts, noise_dim)`` and, with classes, labels ``(starts, classes)``."""
    random = model.sampler.noise(0, _RANDOM_STARTS).numpy()
    if not model.sampler.classes:
        if label:
            model.label(label)  # says that there are no classes
        return random, None
    classes = np.eye(len(model.classes), dtype=np.float32) if label is None else model.label(label)[None]
    labels = classes[np.arange(_RANDOM_STARTS) % len(classes)]
    encoder = model.load_encoder()
    if encoder is None:
        return random, labels
    latents = encoder.latent(tf.repeat(target, len(classes), axis=0), tf.constant(classes))
    encoded = model.sampler.generator.noise(latents, tf.constant(classes)).numpy()
    return np.concatenate([encoded, random]), np.concatenate([classes, labels])


def _distances(model: SoundModel, made: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Mean absolute differences ``(sounds,)`` of mels, dB."""
    made, target = (spectral.log_mel(mel, model.config.audio) for mel in (made, target))
    floor = tf.reduce_max(target) - _RANGE_DB
    made, target = tf.maximum(made, floor), tf.maximum(target, floor)
    heard = tf.cast(tf.maximum(made, target) > floor, tf.float32)  # not where both are silent
    difference = tf.abs(made - target) * heard
    return tf.reduce_sum(difference, axis=(1, 2)) / tf.maximum(tf.reduce_sum(heard, axis=(1, 2)), 1.0)


def _improve(model: SoundModel, target: tf.Tensor, noise: np.ndarray, labels: np.ndarray | None
             ) -> tuple[np.ndarray, np.ndarray]:
    """Gradient descent (Adam) from each starting point: noise, and distances ``(starts,)``."""
    label = None if labels is None else tf.constant(labels)
    variable = tf.Variable(noise)

    @tf.function(autograph=False)
    def loss_and_gradient() -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            found = _distances(model, model.sampler.pattern(variable, label), target)
            excess = tf.reduce_mean(tf.square(variable), axis=1) - 1.0
            loss = tf.reduce_sum(found + _PRIOR * tf.nn.relu(excess) * variable.shape[1])
        return found, tape.gradient(loss, variable)

    first, second = np.zeros_like(noise), np.zeros_like(noise)
    best, nearest = noise.copy(), np.full(len(noise), np.inf, np.float32)
    for step in range(1, _STEPS + 1):
        found, gradient = (value.numpy() for value in loss_and_gradient())
        better = found < nearest
        best[better], nearest[better] = variable.numpy()[better], found[better]
        first, second = 0.9 * first + 0.1 * gradient, 0.99 * second + 0.01 * gradient ** 2
        move = first / (1 - 0.9 ** step) / (np.sqrt(second / (1 - 0.99 ** step)) + 1e-8)
        variable.assign_sub((_LEARNING_RATE * (1 - (step - 1) / _STEPS) * move).astype(np.float32))
    return best, nearest
