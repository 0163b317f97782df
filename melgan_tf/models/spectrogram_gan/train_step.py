"""The spectrogram GAN in training: two optimizers, one step.

How a step is cut up: the two programs that compute gradients are pure functions of tensors (weights come as arguments),
each compiled by XLA. On a CPU the batch is cut into shards, one per core, whose programs run side by side, each on one
thread: that keeps every core busy where one large program, parallel only inside its matrix products, leaves them
waiting for each other. Gradients are summed, so the result is the batch's, whatever the number of shards.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from melgan_tf.config import Config
from melgan_tf.models.layers.packed_conv import pack
from melgan_tf.models.spectrogram_gan.networks import Discriminator, Generator
from melgan_tf.training.losses import binary_cross_entropy
from melgan_tf.training.replicas import leave_summing, own_rows, replica_count, summed
from melgan_tf.training.sharding import Tensors, draw_number, shard_sizes, sum_shards, values_of

#: The names of what a step measures, the same in logs, history and TensorBoard.
METRICS = ("discriminator/loss", "generator/loss", "discriminator/real", "discriminator/fake_before",
           "discriminator/fake_after")


class SpectrogramGAN(keras.Model):
    """Generator against discriminator, with binary cross-entropy.

    A step: the discriminator learns from real sounds (label 1) and generated ones (label 0), the two losses added;
    then the generator learns, against label 1, through the updated discriminator, from the same noise.

    Noise is a function of the seed and the step number alone, so that a resumed run continues as if never stopped.

    Args:
        config: shapes, initial weights and seed.

    Attributes:
        step: number of steps taken.

    Input: batches ``(mels, weights)``: ``(batch, mel_bins, frames, 1)`` and ``(batch,)``. The weights sum to 1 over the
        (global) batch; a sound of weight 0 only fills the batch up, which keeps every batch at one shape.

    Reference: Goodfellow et al. (2014); the recipe is that of PyTorch's DCGAN example.
    """

    def __init__(self, config: Config, **kwargs) -> None:
        super().__init__(name="spectrogram_gan", **kwargs)
        model, seed = config.model, config.training.seed
        self.generator = Generator(model.noise_dim, model.weight_std, seed)
        self.discriminator = Discriminator(model.weight_std, seed)
        self.seed = seed
        # not an optimizer's count: with half precision that leaves out the steps whose gradients overflowed
        self.step = keras.Variable(0, dtype="int64", trainable=False, aggregation="only_first_replica", name="step")
        self.trackers = [keras.metrics.Mean(name=name) for name in METRICS]
        self.built = True

    def compile(self, generator_optimizer: keras.optimizers.Optimizer,
                discriminator_optimizer: keras.optimizers.Optimizer, xla: bool = False, shards: int = 1,
                **kwargs) -> None:
        """Sets how the model learns.

        Args:
            generator_optimizer, discriminator_optimizer: one each; built here, so that a checkpoint restores them.
            xla: compile the programs of a step with XLA.
            shards: into how many pieces the batch is cut, to run side by side.
            **kwargs: for `keras.Model.compile`.
        """
        super().compile(optimizer=None, jit_compile=False, **kwargs)
        self.generator_optimizer = generator_optimizer
        leave_summing(generator_optimizer, discriminator_optimizer)
        self.discriminator_optimizer = discriminator_optimizer
        generator_optimizer.build(self.generator.trainable_variables)
        discriminator_optimizer.build(self.discriminator.trainable_variables)
        self.shards = shards

        def program(function: Callable[..., Any], compiled: bool = xla) -> Callable[..., Any]:
            return tf.function(function, jit_compile=True, autograph=False) if compiled else function

        self._discriminator_program = program(self._discriminator_gradients)
        self._generator_program = program(self._generator_gradients)

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        return self.trackers

    def parts(self) -> dict[str, list[keras.Variable]]:
        """Every variable that a checkpoint keeps, by part."""
        return {"run": [self.step], "generator": self.generator.variables,
                "discriminator": self.discriminator.variables,
                "generator_optimizer": self.generator_optimizer.variables,
                "discriminator_optimizer": self.discriminator_optimizer.variables}

    def train_step(self, data: tuple[tf.Tensor, tf.Tensor]) -> dict[str, tf.Tensor]:
        mels, weights = data
        noise = self._noise(mels.shape[0])
        sizes = shard_sizes(mels.shape[0], self.shards)
        mels, weights, noise = (tf.split(tensor, sizes) for tensor in (mels, weights, noise))

        generator, discriminator = values_of(self.generator), values_of(self.discriminator)
        judged = [self._discriminator_program(*shard, generator, discriminator)
                  for shard in zip(noise, mels, weights, strict=True)]
        of_judge, = summed(sum_shards(gradients for gradients, _, _ in judged))
        self.discriminator_optimizer.apply(of_judge, self.discriminator.trainable_variables)

        discriminator = values_of(self.discriminator)
        fooled = [self._generator_program(maps, *shard, generator, discriminator)
                  for (_, _, maps), *shard in zip(judged, noise, weights, strict=True)]
        of_generator, = summed(sum_shards(gradients for gradients, _ in fooled))
        self.generator_optimizer.apply(of_generator, self.generator.trainable_variables)
        self.step.assign_add(1)
        return self._measure(tf.add_n([figures for _, figures, _ in judged]),
                             tf.add_n([figures for _, figures in fooled]))

    def _noise(self, count: int) -> tf.Tensor:
        seed = tf.stack([tf.cast(self.seed, tf.int64), draw_number(self.step)])
        return own_rows(lambda rows: tf.random.stateless_normal((rows, self.generator.noise_dim), seed), count)

    def _generate(self, noise: tf.Tensor, generator: Tensors, **how: Any) -> Any:
        return self.generator.stateless_call(generator, [], noise, packed=True, **how)[0]

    def _judge(self, discriminator: Tensors, packed: tf.Tensor) -> tf.Tensor:
        return self.discriminator.stateless_call(discriminator, [], packed, packed=True, logits=True)[0]

    def _discriminator_gradients(self, noise: tf.Tensor, mels: tf.Tensor, weights: tf.Tensor, generator: Tensors,
                                 discriminator: Tensors) -> tuple[Tensors, tf.Tensor, Tensors]:
        """The discriminator's gradients, [loss, D(x), D(G(z))], and the outputs of the generator's layers."""
        maps = self._generate(noise, generator, every=True)
        with tf.GradientTape() as tape:
            tape.watch(discriminator)
            both = ops.concatenate([ops.cast(pack(mels), maps[-1].dtype), maps[-1]], axis=1)
            real_logits, fake_logits = ops.split(self._judge(discriminator, both), 2)
            loss = (_weighted(binary_cross_entropy(real_logits, 1.0), weights)
                    + _weighted(binary_cross_entropy(fake_logits, 0.0), weights))
            scaled = self.discriminator_optimizer.scale_loss(loss)
        figures = [loss, _weighted(ops.sigmoid(real_logits), weights), _weighted(ops.sigmoid(fake_logits), weights)]
        return tape.gradient(scaled, discriminator), tf.stack(figures), maps

    def _generator_gradients(self, maps: Tensors, noise: tf.Tensor, weights: tf.Tensor, generator: Tensors,
                             discriminator: Tensors) -> tuple[Tensors, tf.Tensor]:
        """The generator's gradients, and [loss, D(G(z))].

        The sounds are those the discriminator learned from, so the generator need not run again: with the outputs of
        its layers known, compiled code contains only its gradients.
        """
        with tf.GradientTape() as tape:
            tape.watch(generator)
            logits = self._judge(discriminator, self._generate(noise, generator, known=maps))
            loss = _weighted(binary_cross_entropy(logits, 1.0), weights)
            scaled = self.generator_optimizer.scale_loss(loss)
        return tape.gradient(scaled, generator), tf.stack([loss, _weighted(ops.sigmoid(logits), weights)])

    def _measure(self, judged: tf.Tensor, fooled: tf.Tensor) -> dict[str, tf.Tensor]:
        # each replica holds its part of a weighted sum; the trackers average over replicas
        values = [judged[0], fooled[0], judged[1], judged[2], fooled[1]]
        for tracker, value in zip(self.trackers, values, strict=True):
            tracker.update_state(value * replica_count())
        return {tracker.name: tracker.result() for tracker in self.trackers}


def _weighted(values: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    return ops.sum(ops.reshape(values, (-1,)) * weights)


