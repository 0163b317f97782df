"""The spectrogram GAN in training: two optimizers, one step.

How a step is cut up: each of the four programs below is a pure function of tensors (weights come as arguments), and is
compiled by XLA on its own. On a CPU the batch is cut into shards, one per core, whose programs run side by side, each
on one thread: that keeps every core busy where one large program, parallel only inside its matrix products, leaves
them waiting for each other. Gradients are summed, so the result is the batch's, whatever the number of shards.
"""

from __future__ import annotations

import keras
import tensorflow as tf
from keras import ops

from melgan_tf.config import Config
from melgan_tf.layers import pack
from melgan_tf.losses import binary_cross_entropy
from melgan_tf.models.spectrogram_gan import Discriminator, Generator

#: The names of what a step measures, the same in logs, history and TensorBoard.
METRICS = ("discriminator/loss", "generator/loss", "discriminator/real", "discriminator/fake_before",
           "discriminator/fake_after")

Tensors = list[tf.Tensor]


class SpectrogramGAN(keras.Model):
    """Generator against discriminator, with binary cross-entropy.

    A step: the discriminator learns from real sounds (label 1) and generated ones (label 0), the two losses added;
    then the generator learns, against label 1, through the updated discriminator, from the same noise.

    Noise is a function of the seed and the step number alone, so that a resumed run continues as if never stopped.

    Args:
        config: shapes, initial weights and seed.

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
        self.discriminator_optimizer = discriminator_optimizer
        generator_optimizer.build(self.generator.trainable_variables)
        discriminator_optimizer.build(self.discriminator.trainable_variables)
        self.shards = shards

        def program(function):  # one compiled program per shape
            return tf.function(function, jit_compile=True, autograph=False) if xla else function

        self._generate_program = program(self._generate)
        self._discriminate_program = program(self._discriminate)
        self._fool_program = program(self._fool)
        # a replica's update meets the other replicas', which cannot be compiled into it
        apply_compiled = xla and tf.distribute.get_strategy().num_replicas_in_sync == 1
        self._update_programs = {
            player: tf.function(update, jit_compile=True, autograph=False) if apply_compiled else update
            for player, update in (("generator", self._update_generator),
                                   ("discriminator", self._update_discriminator))}

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        return self.trackers

    @property
    def step(self) -> keras.Variable:
        """Number of steps taken."""
        return self.discriminator_optimizer.iterations

    def train_step(self, data: tuple[tf.Tensor, tf.Tensor]) -> dict[str, tf.Tensor]:
        mels, weights = data
        noise = self._noise(mels.shape[0])
        sizes = _shard_sizes(mels.shape[0], self.shards)
        mels, weights, noise = (tf.split(tensor, sizes) for tensor in (mels, weights, noise))

        generator = [tf.convert_to_tensor(v) for v in self.generator.trainable_variables]
        discriminator = [tf.convert_to_tensor(v) for v in self.discriminator.trainable_variables]
        fakes, tapes, gradients, measured = [], [], [], []
        for shard in range(len(sizes)):
            with tf.GradientTape() as tape:
                tape.watch(generator)
                fakes.append(self._generate_program(noise[shard], generator))
            tapes.append(tape)
            gradient, figures = self._discriminate_program(mels[shard], fakes[shard], weights[shard], discriminator)
            gradients.append(gradient)
            measured.append(figures)
        self._update_programs["discriminator"](gradients)

        discriminator = [tf.convert_to_tensor(v) for v in self.discriminator.trainable_variables]
        gradients, fooled = [], []
        for shard in range(len(sizes)):
            fake_gradient, figures = self._fool_program(fakes[shard], weights[shard], discriminator)
            gradients.append(tapes[shard].gradient(fakes[shard], generator, output_gradients=fake_gradient))
            fooled.append(figures)
        self._update_programs["generator"](gradients)
        return self._measure(tf.add_n(measured), tf.add_n(fooled))

    def _noise(self, count: int) -> tf.Tensor:
        context = tf.distribute.get_replica_context()
        replica = context.replica_id_in_sync_group if context and context.num_replicas_in_sync > 1 else 0
        seed = tf.stack([tf.cast(self.seed, tf.int64), tf.convert_to_tensor(self.step, tf.int64) * 4096
                         + tf.cast(replica, tf.int64)])
        return tf.random.stateless_normal((count, self.generator.noise_dim), seed)

    def _generate(self, noise: tf.Tensor, generator: Tensors) -> tf.Tensor:
        return self.generator.stateless_call(generator, [], noise, packed=True)[0]

    def _judge(self, discriminator: Tensors, packed: tf.Tensor) -> tf.Tensor:
        return self.discriminator.stateless_call(discriminator, [], packed, packed=True, logits=True)[0]

    def _discriminate(self, mels: tf.Tensor, fake: tf.Tensor, weights: tf.Tensor,
                      discriminator: Tensors) -> tuple[Tensors, tf.Tensor]:
        """The discriminator's gradients, and [loss, D(x), D(G(z))]."""
        with tf.GradientTape() as tape:
            tape.watch(discriminator)
            both = ops.concatenate([ops.cast(pack(mels), fake.dtype), fake], axis=1)
            real_logits, fake_logits = ops.split(self._judge(discriminator, both), 2)
            loss = (_weighted(binary_cross_entropy(real_logits, 1.0), weights)
                    + _weighted(binary_cross_entropy(fake_logits, 0.0), weights))
            scaled = self.discriminator_optimizer.scale_loss(loss)
        figures = [loss, _weighted(ops.sigmoid(real_logits), weights), _weighted(ops.sigmoid(fake_logits), weights)]
        return tape.gradient(scaled, discriminator), tf.stack(figures)

    def _fool(self, fake: tf.Tensor, weights: tf.Tensor, discriminator: Tensors) -> tuple[tf.Tensor, tf.Tensor]:
        """The generator's gradient with respect to its output, and [loss, D(G(z))]."""
        with tf.GradientTape() as tape:
            tape.watch(fake)
            logits = self._judge(discriminator, fake)
            loss = _weighted(binary_cross_entropy(logits, 1.0), weights)
            scaled = self.generator_optimizer.scale_loss(loss)
        return tape.gradient(scaled, fake), tf.stack([loss, _weighted(ops.sigmoid(logits), weights)])

    def _update_generator(self, gradients: list[Tensors]) -> None:
        self.generator_optimizer.apply(_sum(gradients), self.generator.trainable_variables)

    def _update_discriminator(self, gradients: list[Tensors]) -> None:
        self.discriminator_optimizer.apply(_sum(gradients), self.discriminator.trainable_variables)

    def _measure(self, judged: tf.Tensor, fooled: tf.Tensor) -> dict[str, tf.Tensor]:
        # each replica holds its part of a weighted sum; the trackers average over replicas
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        values = [judged[0], fooled[0], judged[1], judged[2], fooled[1]]
        for tracker, value in zip(self.trackers, values, strict=True):
            tracker.update_state(value * replicas)
        return {tracker.name: tracker.result() for tracker in self.trackers}


def _weighted(values: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    return ops.sum(ops.reshape(values, (-1,)) * weights)


def _sum(shards: list[Tensors]) -> Tensors:
    return [tf.add_n(list(parts)) for parts in zip(*shards, strict=True)]


def _shard_sizes(batch: int, shards: int) -> list[int]:
    shards = max(1, min(shards, batch))
    return [batch // shards + (1 if index < batch % shards else 0) for index in range(shards)]
