"""The training step of the toy family."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from melgan_tf.config import Config
from melgan_tf.training.gan import GAN
from melgan_tf.training.losses import hinge_discriminator, hinge_generator
from melgan_tf.training.replicas import all_reduce_sum, replica_count, replica_slice
from melgan_tf.training.sharding import Tensors, step_seed, trainable_tensors
from toy_family.networks import Discriminator, Generator


class ToyGAN(GAN):
    """Generator against discriminator, hinge loss; both learn from the same forward pass.

    Input: batches ``(mels, labels)``: ``(batch, frames, mel_bins)``, and numbers that are not used.
    """

    METRICS = ("discriminator/loss", "generator/loss")

    def __init__(self, config: Config) -> None:
        super().__init__(config, {"generator": Generator(config), "discriminator": Discriminator(config)}, "toy_gan")

    def build_programs(self, program: Callable[[Callable], Callable]) -> None:
        self._program = program(self._grads)

    def train_step(self, data: tuple[tf.Tensor, tf.Tensor]) -> dict[str, tf.Tensor]:
        mels, _ = data
        settings = self.config
        # random numbers are a function of seed and step alone, so that a resumed run draws the same
        seed = tf.stack([tf.cast(settings.training.seed, tf.int64), step_seed(self.step)])
        noise = replica_slice(lambda rows: tf.random.stateless_normal((rows, settings.model.noise_dim), seed),
                              mels.shape[0])
        discriminator_grads, generator_grads, metrics = self._program(
            self.generator.scale.from_mel(mels), noise, trainable_tensors(self.generator),
            trainable_tensors(self.discriminator))
        discriminator_grads, generator_grads = all_reduce_sum(discriminator_grads, generator_grads)
        self.discriminator_optimizer.apply(discriminator_grads, self.discriminator_variables)
        self.generator_optimizer.apply(generator_grads, self.generator_variables)
        return self.finish_step(tf.unstack(metrics))

    def _grads(self, real: tf.Tensor, noise: tf.Tensor, generator: Tensors,
               discriminator: Tensors) -> tuple[Tensors, Tensors, tf.Tensor]:
        """This replica's part of the gradients and metrics: weights come in as tensors, so that XLA can compile it."""
        weight = 1.0 / replica_count()
        with tf.GradientTape(persistent=True) as tape:
            tape.watch([generator, discriminator])
            fake = self.generator.stateless_call(generator, [], noise)[0]
            real_logits, fake_logits = (self.discriminator.stateless_call(discriminator, [], mel)[0]
                                        for mel in (real, fake))
            discriminator_loss = weight * hinge_discriminator([real_logits], [fake_logits])
            generator_loss = weight * hinge_generator([fake_logits])
        return (tape.gradient(discriminator_loss, discriminator), tape.gradient(generator_loss, generator),
                tf.stack([discriminator_loss, generator_loss]))
