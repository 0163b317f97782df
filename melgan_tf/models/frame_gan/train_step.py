"""The training step of the frame GAN: that of `melgan_tf.models.vae_gan.train_step`, with classes."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from melgan_tf.config import Config
from melgan_tf.inference.sampler import draw_classes
from melgan_tf.models.frame_gan.networks import Discriminator, Encoder, Generator
from melgan_tf.models.vae_gan.train_step import VAEGAN, Forward, reparameterize
from melgan_tf.training.losses import kl_divergence
from melgan_tf.training.replicas import replica_slice
from melgan_tf.training.sharding import Tensors


class FrameGAN(VAEGAN):
    """Generator, encoder and discriminator of sounds with classes.

    Args:
        config: shapes, loss weights and seed.
        shares: ``(classes,)``: how often each class is made.

    Input: batches ``(mels, labels)``: ``(batch, frames, mel_bins)`` and class numbers ``(batch,)``.
    """

    def __init__(self, config: Config, shares: np.ndarray) -> None:
        self.shares, self.classes = shares, len(shares)
        super().__init__(config, *(network(config, len(shares)) for network in
                                   (Generator, Generator, Encoder, Discriminator)), name="frame_gan")

    def inputs(self, mels: tf.Tensor, labels: tf.Tensor) -> dict[str, tf.Tensor]:
        count, dim = mels.shape[0], self.config.model.noise_dim
        noise_seed, encoder_seed, class_seed, augmentation_seed = self.seeds(4)

        def normal(seed: tf.Tensor) -> tf.Tensor:
            return replica_slice(lambda rows: tf.random.stateless_normal((rows, dim), seed), count)

        uniform = replica_slice(lambda rows: tf.random.stateless_uniform((rows,), class_seed), count)
        return {"real": self.scale.from_mel(mels), "real_label": tf.one_hot(labels, self.classes),
                "noise": normal(noise_seed), "label": draw_classes(uniform, self.shares),
                "encoder_noise": normal(encoder_seed),
                "augmentation": self.augmentation_draws(augmentation_seed, count)}

    def forward(self, inputs: dict[str, tf.Tensor], generator: Generator, encoder: Encoder) -> Forward:
        real, real_label, label = inputs["real"], inputs["real_label"], inputs["label"]
        mean, log_variance = encoder(real, real_label)
        latent = reparameterize(mean, log_variance, inputs["encoder_noise"])
        new_latent = tf.stop_gradient(generator.latent(inputs["noise"], label))
        fake, reconstruction = tf.split(generator(tf.concat([new_latent, latent], 0),
                                                  tf.concat([label, real_label], 0)), 2)
        return Forward(real, fake, reconstruction, tf.reduce_mean(kl_divergence(mean, log_variance)),
                       (real_label,), (label,),
                       prior_loss=tf.reduce_mean(generator.prior.loss(tf.stop_gradient(latent), real_label)))

    def logits_and_maps(self, outputs: tuple) -> tuple[Tensors, Tensors]:
        logits, maps = outputs
        return [logits], maps
