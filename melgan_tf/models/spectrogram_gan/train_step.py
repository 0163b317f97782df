"""The training step of the spectrogram GAN; how a step is cut up is said in `melgan_tf.training.gan`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf
from keras import ops

from melgan_tf.config import Config
from melgan_tf.models.layers.packed_conv import pack
from melgan_tf.models.spectrogram_gan.networks import Discriminator, Generator
from melgan_tf.training.gan import GAN
from melgan_tf.training.losses import binary_cross_entropy
from melgan_tf.training.replicas import all_reduce_sum, replica_slice
from melgan_tf.training.sharding import Tensors, shard_sizes, step_seed, sum_shards, trainable_tensors


class SpectrogramGAN(GAN):
    """Generator against discriminator, with binary cross-entropy.

    A step: the discriminator learns from real sounds (label 1) and generated ones (label 0), the two losses added;
    then the generator learns, against label 1, through the updated discriminator, from the same noise.

    Args:
        config: shapes, initial weights and seed.

    Input: batches ``(mels, weights)``: ``(batch, mel_bins, frames, 1)`` and ``(batch,)``. The weights sum to 1 over the
        (global) batch; a sound of weight 0 only fills the batch up, which keeps every batch at one shape.

    Reference: Goodfellow et al. (2014); the recipe is that of PyTorch's DCGAN example.
    """

    METRICS = ("discriminator/loss", "generator/loss", "discriminator/real", "discriminator/fake_before",
               "discriminator/fake_after")

    def __init__(self, config: Config) -> None:
        model, self.seed = config.model, config.training.seed
        super().__init__(config, {"generator": Generator(model.noise_dim, model.weight_std, self.seed),
                                  "discriminator": Discriminator(model.weight_std, self.seed)}, "spectrogram_gan")

    def build_programs(self, program: Callable[[Callable], Callable]) -> None:
        self._discriminator_program = program(self._discriminator_grads)
        self._generator_program = program(self._generator_grads)

    def train_step(self, data: tuple[tf.Tensor, tf.Tensor]) -> dict[str, tf.Tensor]:
        mels, weights = data
        noise = self.draw_noise(mels.shape[0])
        sizes = shard_sizes(mels.shape[0], self.shards)
        mels, weights, noise = (tf.split(tensor, sizes) for tensor in (mels, weights, noise))

        generator, discriminator = trainable_tensors(self.generator), trainable_tensors(self.discriminator)
        disc_results = [self._discriminator_program(*shard, generator, discriminator)
                        for shard in zip(noise, mels, weights, strict=True)]
        discriminator_grads, = all_reduce_sum(sum_shards(grads for grads, _, _ in disc_results))
        self.discriminator_optimizer.apply(discriminator_grads, self.discriminator_variables)

        discriminator = trainable_tensors(self.discriminator)
        gen_results = [self._generator_program(maps, *shard, generator, discriminator)
                       for (_, _, maps), *shard in zip(disc_results, noise, weights, strict=True)]
        generator_grads, = all_reduce_sum(sum_shards(grads for grads, _ in gen_results))
        self.generator_optimizer.apply(generator_grads, self.generator_variables)
        disc_loss, real, fake_before = tf.unstack(tf.add_n([metrics for _, metrics, _ in disc_results]))
        gen_loss, fake_after = tf.unstack(tf.add_n([metrics for _, metrics in gen_results]))
        return self.finish_step([disc_loss, gen_loss, real, fake_before, fake_after])

    def draw_noise(self, count: int) -> tf.Tensor:
        """This replica's noise of this step, ``(count, noise_dim)``."""
        seed = tf.stack([tf.cast(self.seed, tf.int64), step_seed(self.step)])
        return replica_slice(lambda rows: tf.random.stateless_normal((rows, self.generator.noise_dim), seed), count)

    def _generate(self, noise: tf.Tensor, generator: Tensors, **options: Any) -> Any:
        return self.generator.stateless_call(generator, [], noise, packed=True, **options)[0]

    def _logits(self, packed: tf.Tensor, discriminator: Tensors) -> tf.Tensor:
        return self.discriminator.stateless_call(discriminator, [], packed, packed=True, logits=True)[0]

    def _discriminator_grads(self, noise: tf.Tensor, mels: tf.Tensor, weights: tf.Tensor, generator: Tensors,
                             discriminator: Tensors) -> tuple[Tensors, tf.Tensor, Tensors]:
        """The discriminator's gradients, [loss, D(x), D(G(z))], and the outputs of the generator's layers."""
        maps = self._generate(noise, generator, return_all=True)
        with tf.GradientTape() as tape:
            tape.watch(discriminator)
            both = ops.concatenate([ops.cast(pack(mels), maps[-1].dtype), maps[-1]], axis=1)
            real_logits, fake_logits = ops.split(self._logits(both, discriminator), 2)
            loss = (_weighted(binary_cross_entropy(real_logits, 1.0), weights)
                    + _weighted(binary_cross_entropy(fake_logits, 0.0), weights))
            scaled = self.discriminator_optimizer.scale_loss(loss)
        metrics = [loss, _weighted(ops.sigmoid(real_logits), weights), _weighted(ops.sigmoid(fake_logits), weights)]
        return tape.gradient(scaled, discriminator), tf.stack(metrics), maps

    def _generator_grads(self, maps: Tensors, noise: tf.Tensor, weights: tf.Tensor, generator: Tensors,
                         discriminator: Tensors) -> tuple[Tensors, tf.Tensor]:
        """The generator's gradients, and [loss, D(G(z))].

        The sounds are those the discriminator learned from, so the generator need not run again: with the outputs of
        its layers known, compiled code contains only its gradients.
        """
        with tf.GradientTape() as tape:
            tape.watch(generator)
            logits = self._logits(self._generate(noise, generator, cached_maps=maps), discriminator)
            loss = _weighted(binary_cross_entropy(logits, 1.0), weights)
            scaled = self.generator_optimizer.scale_loss(loss)
        return tape.gradient(scaled, generator), tf.stack([loss, _weighted(ops.sigmoid(logits), weights)])


def _weighted(values: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    return ops.sum(ops.reshape(values, (-1,)) * weights)
