"""The training step of the loop GAN: that of `melgan_tf.models.vae_gan.train_step`, with classes, features and keys."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from melgan_tf.config import Config
from melgan_tf.inference.sampler import draw_classes
from melgan_tf.models.loop_gan.config import FEATURES, GIVEN, KEY_NUMBERS
from melgan_tf.models.loop_gan.features import Features
from melgan_tf.models.loop_gan.networks import Discriminator, Encoder, Generator, condition
from melgan_tf.models.vae_gan.train_step import VAEGAN, Forward, reparameterize
from melgan_tf.training.losses import kl_divergence
from melgan_tf.training.replicas import replica_slice
from melgan_tf.training.sharding import Tensors


class LoopGAN(VAEGAN):
    """Generator, encoder and discriminator of loops with classes, features and keys.

    Args:
        config: loss weights and seed.
        shares: ``(classes,)``: how often each class is made.
        spread: ``(2, classes, 3)``: mean and standard deviation of the features of each class.

    Input: batches ``(mels, labels, features, keys)``: ``(batch, frames, mel_bins)``, class numbers ``(batch,)``,
        features in standard deviations ``(batch, 3)``, and keys ``(batch, 3)``, zeros where unknown.
    """

    def __init__(self, config: Config, shares: np.ndarray, spread: np.ndarray) -> None:
        self.shares, self.classes, self.spread = shares, len(shares), spread
        self.features = Features(config)
        super().__init__(config, *(network(config, len(shares)) for network in
                                   (Generator, Generator, Encoder, Discriminator)), name="loop_gan")

    def inputs(self, mels: tf.Tensor, labels: tf.Tensor, features: tf.Tensor, keys: tf.Tensor) -> dict[str, tf.Tensor]:
        count, dim = mels.shape[0], self.config.model.noise_dim
        noise_seed, encoder_seed, class_seed, augmentation_seed, key_seed = self.seeds(5)

        def normal(seed: tf.Tensor, size: int) -> tf.Tensor:
            return replica_slice(lambda rows: tf.random.stateless_normal((rows, size), seed), count)

        uniform = replica_slice(lambda rows: tf.random.stateless_uniform((rows,), class_seed), count)
        known = tf.reduce_any(keys != 0, axis=-1, keepdims=True)  # an unknown key is any
        keys = tf.where(known, keys, normal(key_seed, KEY_NUMBERS))
        return {"real": self.scale.from_mel(mels), "real_label": tf.one_hot(labels, self.classes),
                "real_given": tf.concat([features, keys], axis=-1),
                "noise": normal(noise_seed, dim), "label": draw_classes(uniform, self.shares),
                "encoder_noise": normal(encoder_seed, dim - GIVEN),
                "augmentation": self.augmentation_draws(augmentation_seed, count)}

    def forward(self, inputs: dict[str, tf.Tensor], generator: Generator, encoder: Encoder) -> Forward:
        real, real_label, given = inputs["real"], inputs["real_label"], inputs["real_given"]
        noise, label = inputs["noise"], inputs["label"]
        mean, log_variance = encoder(real, real_label)
        latent = reparameterize(mean, log_variance, inputs["encoder_noise"])
        prior = generator.prior.loss(tf.stop_gradient(latent), condition(given, real_label))
        new_latent = tf.stop_gradient(generator.latent(noise, label))
        fake, reconstruction = tf.split(generator(tf.concat([new_latent, tf.concat([given, latent], axis=-1)], 0),
                                                  tf.concat([label, real_label], 0)), 2)
        center, width = (tf.matmul(label, tf.constant(part)) for part in self.spread)
        heard = (self.features(fake) - center) / width
        return Forward(real, fake, reconstruction, tf.reduce_mean(kl_divergence(mean, log_variance)),
                       (condition(given, real_label),), (condition(noise[:, :GIVEN], label),),
                       {"features": tf.reduce_mean(tf.abs(heard - noise[:, :len(FEATURES)]))}, tf.reduce_mean(prior))

    def logits_and_maps(self, outputs: tuple) -> tuple[Tensors, Tensors]:
        *logits, maps = outputs
        return logits, maps
