"""The sequence GAN in training: as the frame GAN, on windows of long sounds.

Real windows come with their neighbourhood, `CONTEXT_STEPS` steps on either side, so that the encoder can say what made
the window *and* what was around it: the generator sees no ends in training either.
"""

from __future__ import annotations

import math

import keras
import numpy as np
import tensorflow as tf

from melgan_tf.config import Config
from melgan_tf.models.frame_gan.train_step import METRICS as FRAME_METRICS
from melgan_tf.models.frame_gan.train_step import FrameGAN, Tensors
from melgan_tf.models.sequence_gan.config import STEP_FRAMES
from melgan_tf.models.sequence_gan.networks import CONTEXT_STEPS, Discriminator, Encoder, Generator
from melgan_tf.training.augmentation import Augmentation
from melgan_tf.training.losses import feature_distance, hinge_discriminator, hinge_generator, kl_divergence
from melgan_tf.training.replicas import own_rows
from melgan_tf.training.sharding import draw_number

#: The names of what a step measures, the same in logs, history and TensorBoard.
METRICS = FRAME_METRICS


class SequenceGAN(FrameGAN):
    """Generator and encoder against the discriminator, with a running average of the generator's weights.

    A step is the frame GAN's, with these differences: the style of a sound made of noise moves as it does in use, that
    of a copy stands still; the discriminator's verdicts on the whole and on its stretches are added.

    Args:
        config: shapes, objective and seed.

    Input: batches ``(mels, labels)``: ``(batch, frames + 2 * 16 * CONTEXT_STEPS, mel_bins)``, and numbers ``(batch,)``
        that are not used.
    """

    def __init__(self, config: Config) -> None:
        super().__init__(config, np.ones(1), name="sequence_gan")
        self.steps = config.mel_shape[1] // STEP_FRAMES

    def _players(self) -> list[keras.Model]:
        return [kind(self.config) for kind in (Generator, Generator, Encoder, Discriminator)]

    def _inputs(self, mels: tf.Tensor, labels: tf.Tensor) -> Tensors:
        return [self.scale.from_mel(mels), *self._draws(mels.shape[0])]

    def _draws(self, count: int) -> Tensors:
        """Noise and style of the made sounds, the encoder's noise and style, and what decides the augmentation."""
        model, length = self.config.model, self.steps + 2 * CONTEXT_STEPS
        seeds = [tf.stack([tf.cast(self.config.training.seed, tf.int64), draw_number(self.step) * 8 + index])
                 for index in range(6)]

        def normal(seed: tf.Tensor, *shape: int) -> tf.Tensor:
            return own_rows(lambda rows: tf.random.stateless_normal((rows, *shape), seed), count)

        noise, of_encoder = (normal(seed, length, model.noise_dim) for seed in seeds[:2])
        here, there, style_of_encoder = (normal(seed, model.style_dim) for seed in seeds[2:5])
        turned = np.arange(length) * STEP_FRAMES * self.config.audio.hop_samples / self.config.audio.sample_rate
        angles = tf.constant(turned / model.style_seconds * math.pi / 2, tf.float32)[:, None]
        # a quarter turn from one style to another; which of them it begins with makes no difference
        style = tf.cos(angles) * here[:, None] + tf.sin(angles) * there[:, None]
        return [noise, style, of_encoder, style_of_encoder,
                own_rows(lambda rows: tf.random.stateless_uniform((rows, 3 * Augmentation.DRAWS), seeds[5]), count)]

    def _gradients(self, share: float, around: tf.Tensor, noise: tf.Tensor, style: tf.Tensor, of_encoder: tf.Tensor,
                   style_of_encoder: tf.Tensor, draws: tf.Tensor, generator: Tensors, encoder: Tensors,
                   discriminator: Tensors) -> tuple[Tensors, Tensors, tf.Tensor]:
        """A shard's gradients, for the discriminator and for generator with encoder, and its part of the figures."""
        goal, frozen = self.objective, [tf.zeros(v.shape) for v in self.discriminator.directions]
        edge = CONTEXT_STEPS * STEP_FRAMES
        real = around[:, edge:-edge]

        def generate(*inputs: tf.Tensor) -> tf.Tensor:
            return self.generator.stateless_call(generator, [], *inputs)[0]

        def judge(x: tf.Tensor) -> tuple[list[tf.Tensor], Tensors]:
            whole, stretches, maps = self.discriminator.stateless_call(discriminator, frozen, x)[0]
            return [whole, stretches], maps

        of_fake, of_real, of_copy = tf.split(draws, 3, axis=-1)
        with tf.GradientTape(persistent=True) as tape:
            tape.watch([generator, encoder, discriminator])
            mean, log_variance, style_mean, style_log_variance = self.encoder.stateless_call(encoder, [], around)[0]
            found = mean + of_encoder * tf.exp(0.5 * log_variance)
            found_style = style_mean + style_of_encoder * tf.exp(0.5 * style_log_variance)
            still = tf.repeat(found_style[:, None], found.shape[1], axis=1)
            fake, copy = tf.split(generate(tf.concat([noise, found], 0), tf.concat([style, still], 0)), 2)
            real_logits, _ = judge(self.augment(real, of_real))
            fake_logits, _ = judge(self.augment(fake, of_fake))
            of_judge = hinge_discriminator(real_logits, fake_logits)
            adversarial = hinge_generator(fake_logits)
            distance = tf.reduce_mean(tf.abs(copy - real))
            divergence = tf.reduce_mean(kl_divergence(style_mean, style_log_variance)) \
                + self.steps * tf.reduce_mean(kl_divergence(mean, log_variance))
            of_generator = goal.adversarial * adversarial + goal.reconstruction * distance + goal.kl * divergence
            if goal.copy_adversarial or goal.feature_matching:
                copy_logits, copy_maps = judge(self.augment(copy, of_copy))
                _, real_maps = judge(self.augment(real, of_copy))
                of_generator += (goal.copy_adversarial * hinge_generator(copy_logits)
                                 + goal.feature_matching * feature_distance(real_maps, copy_maps))
            of_judge, of_generator = share * of_judge, share * of_generator
        spread = tf.reduce_mean(tf.math.reduce_std(fake, 0)) / tf.reduce_mean(tf.math.reduce_std(real, 0))
        figures = [tf.reduce_mean(real_logits[0]), tf.reduce_mean(fake_logits[0]), adversarial, distance, divergence,
                   spread]
        return (tape.gradient(of_judge, discriminator), tape.gradient(of_generator, generator + encoder),
                tf.stack([of_judge, *(share * figure for figure in figures)]))
