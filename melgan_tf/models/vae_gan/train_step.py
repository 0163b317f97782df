"""The training step of generator, encoder and discriminator; how it is cut up is said in `melgan_tf.training.gan`.

All networks learn from the same forward pass.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import keras
import tensorflow as tf
from keras import ops

from melgan_tf.config import Config
from melgan_tf.models.vae_gan.augmentation import Augmentation
from melgan_tf.training.gan import GAN, weighted_sum
from melgan_tf.training.losses import (
    feature_distance,
    gradient_penalty,
    relativistic_discriminator,
    relativistic_generator,
)
from melgan_tf.training.replicas import all_reduce_sum, replica_count, replica_slice
from melgan_tf.training.sharding import Tensors, shard_sizes, step_seed, sum_shards, trainable_tensors

#: How far `gradient_penalty` moves a sound, in [-1, 1].
_PENALTY_DISTANCE = 0.05


class Forward(NamedTuple):
    """What generator and encoder make of a batch.

    Attributes:
        real, fake, reconstruction: ``(batch, frames, mel_bins)`` in [-1, 1]: sounds of the data, sounds of noise, and
            what the generator makes of the encoder's outcome.
        kl: the mean divergence of the encoder's outcome from the distribution of noise; a scalar.
        real_condition, fake_condition: further inputs of the discriminator, for real and for fake sounds.
        losses: further losses of the generator, by the names of their weights.
        prior_loss: what the learned prior learns from, if there is one. Nothing else does, so it needs no weight.
    """

    real: tf.Tensor
    fake: tf.Tensor
    reconstruction: tf.Tensor
    kl: tf.Tensor
    real_condition: tuple[tf.Tensor, ...] = ()
    fake_condition: tuple[tf.Tensor, ...] = ()
    losses: Mapping[str, tf.Tensor] = MappingProxyType({})
    prior_loss: tf.Tensor | float = 0.0


class VAEGAN(GAN):
    """Generator and encoder against the discriminator, with an exponential moving average of the generator's weights.

    A step: sounds are made of noise, and real sounds are reconstructed from what the encoder finds in them. The
    discriminator learns to tell a fake sound from a real one beside it, with a penalty on its slope at both; the
    generator to deceive it and to come near the real sounds in the reconstruction; the encoder to serve that, and to
    stay near the noise's own distribution.

    Args:
        config: shapes, loss weights and seed.
        generator, ema_generator, encoder, discriminator: the networks.
        name: of the Keras model.

    Attributes:
        ema_generator: the generator whose weights are the moving average: the one to use.

    Reference: Larsen et al., "Autoencoding beyond pixels" (2016); Huang et al., "The GAN is dead; long live the GAN!"
    (R3GAN, 2024); Yazıcı et al., "The Unusual Effectiveness of Averaging in GAN Training" (2019).
    """

    METRICS = ("discriminator/loss", "discriminator/real", "discriminator/fake", "generator/adversarial",
               "generator/reconstruction", "generator/kl", "generator/spread")

    def __init__(self, config: Config, generator: keras.Model, ema_generator: keras.Model, encoder: keras.Model,
                 discriminator: keras.Model, name: str) -> None:
        super().__init__(config, {"generator": generator, "encoder": encoder, "discriminator": discriminator}, name)
        self.ema_generator, self.encoder = ema_generator, encoder
        # a checkpoint's "generator" is the average
        self.networks = {"generator": ema_generator, "learning_generator": generator, "encoder": encoder,
                         "discriminator": discriminator}
        self.loss_weights, self.scale = config.model.objective, generator.scale
        bins, frames = config.mel_shape
        augment = config.model.augmentation
        self.augment = Augmentation(bins, frames, augment.bin_shift, augment.frame_shift, augment.gain)

    @property
    def generator_variables(self) -> list[keras.Variable]:
        return self.generator.trainable_variables + self.encoder.trainable_variables

    def build_programs(self, program: Callable[[Callable], Callable]) -> None:
        self._program = program(self._grads)

    @abstractmethod
    def inputs(self, *data: tf.Tensor) -> dict[str, tf.Tensor]:
        """What `forward` takes, and ``augmentation``: the first axis of all is the batch's.

        Args:
            data: a batch of the dataset.
        """

    @abstractmethod
    def forward(self, inputs: dict[str, tf.Tensor], generator: keras.Model, encoder: keras.Model) -> Forward:
        """Makes fake sounds and reconstructions.

        Args:
            inputs: a shard of what `inputs` returned.
            generator, encoder: the networks.
        """

    @abstractmethod
    def logits_and_maps(self, outputs: tuple) -> tuple[Tensors, Tensors]:
        """The discriminator's logits, of the whole sound first, and its feature maps."""

    def train_step(self, data: tuple[tf.Tensor, ...]) -> dict[str, tf.Tensor]:
        batch = data[0].shape[0]
        inputs = self.inputs(*data)
        inputs["penalty_noise"] = self._penalty_noise(*data[0].shape)
        sizes = shard_sizes(batch, self.shards)
        pieces = zip(*(tf.split(tensor, sizes) for tensor in inputs.values()), strict=True)
        shards = [dict(zip(inputs, piece, strict=True)) for piece in pieces]
        tensors = tuple(map(trainable_tensors, (self.generator, self.encoder, self.discriminator)))
        weights = [size / (batch * replica_count()) for size in sizes]
        results = [self._program(weight, shard, *tensors) for weight, shard in zip(weights, shards, strict=True)]

        discriminator_grads, generator_grads = all_reduce_sum(
            sum_shards(grads for grads, _, _ in results), sum_shards(grads for _, grads, _ in results))
        self.discriminator_optimizer.apply(discriminator_grads, self.discriminator_variables)
        self.generator_optimizer.apply(generator_grads, self.generator_variables)
        self._update_ema()
        return self.finish_step(tf.unstack(tf.add_n([metrics for _, _, metrics in results])))

    def seeds(self, count: int) -> list[tf.Tensor]:
        """``count`` seeds that no other step has."""
        return [tf.stack([tf.cast(self.config.training.seed, tf.int64), step_seed(self.step) * count + index])
                for index in range(count)]

    def augmentation_draws(self, seed: tf.Tensor, batch: int) -> tf.Tensor:
        """What decides the augmentation of fake and real sounds and of reconstructions."""
        return replica_slice(lambda rows: tf.random.stateless_uniform((rows, 3 * Augmentation.DRAWS), seed), batch)

    def _grads(self, weight: float, inputs: dict[str, tf.Tensor], generator: Tensors, encoder: Tensors,
               discriminator: Tensors) -> tuple[Tensors, Tensors, tf.Tensor]:
        """A shard's gradients, for the discriminator and for generator with encoder, and its part of the metrics.

        Args:
            weight: the shard's part of the global batch.
        """
        weights = self.loss_weights
        fake_augmentation, real_augmentation, recon_augmentation = tf.split(inputs["augmentation"], 3, axis=-1)

        def discriminate(*parts: tuple[tf.Tensor, ...]) -> tuple[list[Tensors], Tensors]:
            """The logits of each part, sounds and their conditions, in one call; and the feature maps of all."""
            logits, maps = self.logits_and_maps(self.discriminator(
                *(tf.concat(inputs, 0) for inputs in zip(*parts, strict=True))))
            return [*zip(*(tf.split(scale, len(parts)) for scale in logits), strict=True)], maps

        values = [*zip(self.generator_variables, generator + encoder, strict=True),
                  *zip(self.discriminator_variables, discriminator, strict=True)]
        with tf.GradientTape(persistent=True) as tape, keras.StatelessScope(values):
            tape.watch([generator, encoder, discriminator])
            made = self.forward(inputs, self.generator, self.encoder)
            real, fake = self.augment(made.real, real_augmentation), self.augment(made.fake, fake_augmentation)
            moved = [tf.stop_gradient(seen) + _PENALTY_DISTANCE * noise[:, :seen.shape[1]] for seen, noise in
                     zip((real, fake), tf.unstack(inputs["penalty_noise"], axis=1), strict=True)]
            # the generator learns from `fake` alone: its gradients need not pass through the others
            (fake_logits,), _ = discriminate((fake, *made.fake_condition))
            (real_logits, moved_real_logits, moved_fake_logits), _ = discriminate(
                (real, *made.real_condition), (moved[0], *made.real_condition), (moved[1], *made.fake_condition))
            penalties = (gradient_penalty(real_logits, moved_real_logits, _PENALTY_DISTANCE)
                         + gradient_penalty(fake_logits, moved_fake_logits, _PENALTY_DISTANCE))
            losses = {"adversarial": relativistic_generator(real_logits, fake_logits),
                      "reconstruction": tf.reduce_mean(tf.abs(made.reconstruction - made.real)),
                      "kl": made.kl, **made.losses}
            if weights.copy_adversarial or weights.feature_matching:
                recon, real = (self.augment(mel, recon_augmentation) for mel in (made.reconstruction, made.real))
                (recon_logits,), recon_maps = discriminate((recon, *made.real_condition))
                _, real_maps = discriminate((real, *made.real_condition))
                losses |= {"copy_adversarial": relativistic_generator(real_logits, recon_logits),
                           "feature_matching": feature_distance(real_maps, recon_maps)}
            generator_loss = weight * (weighted_sum(losses, weights) + made.prior_loss)
            adversarial = relativistic_discriminator(real_logits, fake_logits)
            discriminator_loss = weight * (adversarial + 0.5 * self.config.model.gradient_penalty * penalties)
        spread = (tf.reduce_mean(tf.math.reduce_std(made.fake, 0))
                  / tf.reduce_mean(tf.math.reduce_std(made.real, 0)))
        metrics = [adversarial, tf.reduce_mean(real_logits[0]), tf.reduce_mean(fake_logits[0]), losses["adversarial"],
                   losses["reconstruction"], losses["kl"], spread]
        return (tape.gradient(discriminator_loss, discriminator), tape.gradient(generator_loss, generator + encoder),
                tf.stack([weight * metric for metric in metrics]))

    def _penalty_noise(self, batch: int, frames: int, bins: int) -> tf.Tensor:
        """Where the penalty measures the slope, for real and for fake sounds: ``(batch, 2, frames, mel_bins)``.

        Frames of context, which the discriminator does not see, are cut off where it is used.
        """
        seed = tf.stack([tf.cast(~self.config.training.seed, tf.int64), step_seed(self.step)])
        return replica_slice(
            lambda rows: tf.random.stateless_uniform((rows, 2, frames, bins), seed, -3 ** 0.5, 3 ** 0.5), batch)

    def _update_ema(self) -> None:
        """Moves the average towards the generator; in the beginning, when there is little to average, faster."""
        step = tf.cast(tf.convert_to_tensor(self.step), tf.float32)
        decay = tf.minimum(self.config.model.average, (1.0 + step) / (10.0 + step))
        for average, variable in zip(self.ema_generator.variables, self.generator.variables, strict=True):
            value = ops.convert_to_tensor(variable)
            average.assign(value + decay * (ops.convert_to_tensor(average) - value))


def reparameterize(mean: tf.Tensor, log_variance: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
    """A sample of the normal distributions that an encoder found: ``mean + noise * standard deviation``.

    Reference: Kingma & Welling, "Auto-Encoding Variational Bayes" (2014), section 2.4.
    """
    return mean + noise * tf.exp(0.5 * log_variance)
