"""The training step of the sequence GAN: that of `melgan_tf.models.vae_gan.train_step`, on windows of long sounds.

Real windows come with their neighborhood, `CONTEXT_STEPS` steps on either side, so that the encoder can say what made
the window *and* what was around it: the generator sees no ends in training either.
"""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf

from melgan_tf.config import Config
from melgan_tf.models.sequence_gan.config import STEP_FRAMES
from melgan_tf.models.sequence_gan.networks import CONTEXT_STEPS, Discriminator, Encoder, Generator
from melgan_tf.models.vae_gan.train_step import VAEGAN, Forward, reparameterize
from melgan_tf.training.losses import kl_divergence
from melgan_tf.training.replicas import replica_slice
from melgan_tf.training.sharding import Tensors


class SequenceGAN(VAEGAN):
    """Generator, encoder and discriminator of sounds of any length.

    The style of a sound made of noise moves as it does in use, that of a reconstruction is constant; the
    discriminator's logits of the whole window and of its patches count alike.

    Args:
        config: shapes, loss weights and seed.

    Input: batches ``(mels, labels)``: ``(batch, frames + 2 * 16 * CONTEXT_STEPS, mel_bins)``, and numbers ``(batch,)``
        that are not used.
    """

    def __init__(self, config: Config) -> None:
        self.steps = config.mel_shape[1] // STEP_FRAMES
        super().__init__(config, *(network(config) for network in (Generator, Generator, Encoder, Discriminator)),
                         name="sequence_gan")

    def inputs(self, mels: tf.Tensor, labels: tf.Tensor) -> dict[str, tf.Tensor]:
        model, audio, count = self.config.model, self.config.audio, mels.shape[0]
        length = self.steps + 2 * CONTEXT_STEPS
        *seeds, augmentation_seed = self.seeds(8)[:6]

        def normal(seed: tf.Tensor, *shape: int) -> tf.Tensor:
            return replica_slice(lambda rows: tf.random.stateless_normal((rows, *shape), seed), count)

        noise, encoder_noise = (normal(seed, length, model.noise_dim) for seed in seeds[:2])
        style_start, style_end, encoder_style_noise = (normal(seed, model.style_dim) for seed in seeds[2:])
        seconds = np.arange(length) * STEP_FRAMES * audio.hop_samples / audio.sample_rate
        angles = tf.constant(seconds / model.style_seconds * math.pi / 2, tf.float32)[:, None]
        # a quarter turn from one style to another; which of them comes first makes no difference
        style = tf.cos(angles) * style_start[:, None] + tf.sin(angles) * style_end[:, None]
        return {"context": self.scale.from_mel(mels), "noise": noise, "style": style, "encoder_noise": encoder_noise,
                "encoder_style_noise": encoder_style_noise,
                "augmentation": self.augmentation_draws(augmentation_seed, count)}

    def forward(self, inputs: dict[str, tf.Tensor], generator: Generator, encoder: Encoder) -> Forward:
        context, edge = inputs["context"], CONTEXT_STEPS * STEP_FRAMES
        mean, log_variance, style_mean, style_log_variance = encoder(context)
        z_posterior = reparameterize(mean, log_variance, inputs["encoder_noise"])
        style_posterior = reparameterize(style_mean, style_log_variance, inputs["encoder_style_noise"])
        constant_style = tf.repeat(style_posterior[:, None], z_posterior.shape[1], axis=1)
        fake, reconstruction = tf.split(generator(tf.concat([inputs["noise"], z_posterior], 0),
                                                  tf.concat([inputs["style"], constant_style], 0)), 2)
        kl = (tf.reduce_mean(kl_divergence(style_mean, style_log_variance))
              + self.steps * tf.reduce_mean(kl_divergence(mean, log_variance)))
        return Forward(context[:, edge:-edge], fake, reconstruction, kl)

    def logits_and_maps(self, outputs: tuple) -> tuple[Tensors, Tensors]:
        whole, patches, maps = outputs
        return [whole, patches], maps
