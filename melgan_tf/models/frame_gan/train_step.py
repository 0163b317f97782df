"""The frame GAN in training: generator and encoder against the discriminator, one step.

As in `melgan_tf.models.spectrogram_gan.train_step`, the program that computes gradients is a pure function of tensors, compiled by XLA, and
on a CPU the batch is cut into shards whose programs run side by side. All players learn from the same forward pass.
"""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from melgan_tf.config import Config
from melgan_tf.inference.sampler import draw_classes
from melgan_tf.models.frame_gan.networks import Discriminator, Encoder, Generator
from melgan_tf.models.layers.spectral_norm import Normalised
from melgan_tf.training.augmentation import Augmentation
from melgan_tf.training.losses import feature_distance, hinge_discriminator, hinge_generator, kl_divergence
from melgan_tf.training.replicas import leave_summing, own_rows, replica_count, summed
from melgan_tf.training.sharding import draw_number, shard_sizes, sum_shards, values_of

#: The names of what a step measures, the same in logs, history and TensorBoard.
METRICS = ("discriminator/loss", "discriminator/real", "discriminator/fake", "generator/adversarial",
           "generator/reconstruction", "generator/kl", "generator/spread")

Tensors = list[tf.Tensor]


class FrameGAN(keras.Model):
    """Generator and encoder against the discriminator, with a running average of the generator's weights.

    A step: sounds are made of noise, and real sounds are made again of what the encoder finds in them. The
    discriminator learns to tell real from made (hinge loss); the generator to deceive it with both kinds and to come
    near the real sounds in the second; the encoder to serve that, and to stay near the noise's own distribution.

    Noise and augmentation are functions of the seed and the step number alone, so that a resumed run continues as if
    never stopped.

    Args:
        config: shapes, objective and seed.
        shares: ``(classes,)``: how often each class is made.

    Attributes:
        step: number of steps taken.
        average: the generator whose weights are the running average: the one to use.

    Input: batches ``(mels, labels)``: ``(batch, frames, mel_bins)`` and class numbers ``(batch,)``.

    Reference: see `melgan_tf.models.frame_gan.networks`; Yazıcı et al., "The Unusual Effectiveness of Averaging in GAN Training"
    (2019).
    """

    def __init__(self, config: Config, shares: np.ndarray, **kwargs) -> None:
        super().__init__(**{"name": "frame_gan", **kwargs})
        self.config, self.objective, self.classes = config, config.model.objective, len(shares)
        self.generator, self.average, self.encoder, self.discriminator = self._players()
        self.scale = self.generator.scale
        bins, frames = config.mel_shape
        augment = config.model.augmentation
        self.augment = Augmentation(bins, frames, augment.bin_shift, augment.frame_shift, augment.gain)
        self.shares = shares
        self.step = keras.Variable(0, dtype="int64", trainable=False, aggregation="only_first_replica", name="step")
        self.trackers = [keras.metrics.Mean(name=name) for name in METRICS]
        self.built = True

    def _players(self) -> list[keras.Model]:
        """Generator, running average, encoder and discriminator, with initial weights."""
        return [kind(self.config, self.classes) for kind in (Generator, Generator, Encoder, Discriminator)]

    @property
    def learners(self) -> list[keras.Variable]:
        """What the generator's optimizer moves: generator and encoder."""
        return self.generator.trainable_variables + self.encoder.trainable_variables

    def compile(self, generator_optimizer: keras.optimizers.Optimizer,
                discriminator_optimizer: keras.optimizers.Optimizer, xla: bool = False, shards: int = 1,
                **kwargs) -> None:
        """Sets how the model learns; see `SpectrogramGAN.compile`."""
        super().compile(optimizer=None, jit_compile=False, **kwargs)
        self.generator_optimizer, self.discriminator_optimizer = generator_optimizer, discriminator_optimizer
        leave_summing(generator_optimizer, discriminator_optimizer)
        generator_optimizer.build(self.learners)
        discriminator_optimizer.build(self.discriminator.trainable_variables)
        self.shards = shards
        self._program = tf.function(self._gradients, jit_compile=True, autograph=False) if xla else self._gradients

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        return self.trackers

    def parts(self) -> dict[str, list[keras.Variable]]:
        """Every variable that a checkpoint keeps, by part; "generator" is the average."""
        return {"run": [self.step], "generator": self.average.variables,
                "learning_generator": self.generator.variables, "encoder": self.encoder.variables,
                "discriminator": self.discriminator.variables,
                "generator_optimizer": self.generator_optimizer.variables,
                "discriminator_optimizer": self.discriminator_optimizer.variables}

    def train_step(self, data: tuple[tf.Tensor, tf.Tensor]) -> dict[str, tf.Tensor]:
        mels, labels = data
        inputs = self._inputs(mels, labels)
        sizes = shard_sizes(mels.shape[0], self.shards)
        shards = zip(*(tf.split(tensor, sizes) for tensor in inputs), strict=True)
        judge = Normalised(self.discriminator.trainable_variables, self.discriminator.kernels,
                           self.discriminator.directions, self.config.model.discriminator_gain)
        weights = (values_of(self.generator), values_of(self.encoder), judge.values)
        shares = [size / (mels.shape[0] * replica_count()) for size in sizes]
        results = [self._program(share, *shard, *weights) for share, shard in zip(shares, shards, strict=True)]

        of_judge, of_generator = summed(judge.gradient(sum_shards(found for found, _, _ in results)),
                                        sum_shards(found for _, found, _ in results))
        self.discriminator_optimizer.apply(of_judge, self.discriminator.trainable_variables)
        self.generator_optimizer.apply(of_generator, self.learners)
        for direction, value in zip(self.discriminator.directions, judge.directions, strict=True):
            direction.assign(value)
        self._follow()
        self.step.assign_add(1)
        for tracker, value in zip(self.trackers, tf.unstack(tf.add_n([figures for _, _, figures in results])),
                                  strict=True):
            tracker.update_state(value * replica_count())  # each replica holds its share of a mean
        return {tracker.name: tracker.result() for tracker in self.trackers}

    def _inputs(self, mels: tf.Tensor, labels: tf.Tensor) -> Tensors:
        """What `_gradients` takes beside the weights; the first axis is the batch's."""
        return [self.scale.from_mel(mels), tf.one_hot(labels, self.classes), *self._draws(mels.shape[0])]

    def _draws(self, count: int) -> Tensors:
        """Noise and labels of the made sounds, the encoder's noise, and what decides the augmentation."""
        seeds = [tf.stack([tf.cast(self.config.training.seed, tf.int64), draw_number(self.step) * 4 + index])
                 for index in range(4)]
        dim = self.config.model.noise_dim
        noise, of_encoder = (own_rows(lambda rows, seed=seed: tf.random.stateless_normal((rows, dim), seed), count)
                             for seed in seeds[:2])
        chance = own_rows(lambda rows: tf.random.stateless_uniform((rows,), seeds[2]), count)
        return [noise, draw_classes(chance, self.shares), of_encoder,
                own_rows(lambda rows: tf.random.stateless_uniform((rows, 3 * Augmentation.DRAWS), seeds[3]), count)]

    def _gradients(self, share: float, real: tf.Tensor, real_label: tf.Tensor, noise: tf.Tensor, label: tf.Tensor,
                   of_encoder: tf.Tensor, draws: tf.Tensor, generator: Tensors, encoder: Tensors,
                   discriminator: Tensors) -> tuple[Tensors, Tensors, tf.Tensor]:
        """A shard's gradients, for the discriminator and for generator with encoder, and its part of the figures."""
        goal, frozen = self.objective, [tf.zeros(v.shape) for v in self.discriminator.directions]

        def generate(*inputs: tf.Tensor) -> tf.Tensor:
            return self.generator.stateless_call(generator, [], *inputs)[0]

        def judge(*inputs: tf.Tensor) -> tuple[tf.Tensor, Tensors]:
            return self.discriminator.stateless_call(discriminator, frozen, *inputs)[0]

        of_fake, of_real, of_copy = tf.split(draws, 3, axis=-1)
        with tf.GradientTape(persistent=True) as tape:
            tape.watch([generator, encoder, discriminator])
            mean, log_variance = self.encoder.stateless_call(encoder, [], real, real_label)[0]
            found = mean + of_encoder * tf.exp(0.5 * log_variance)
            fake, copy = generate(noise, label), generate(found, real_label)
            real_logits, _ = judge(self.augment(real, of_real), real_label)
            fake_logits, _ = judge(self.augment(fake, of_fake), label)
            of_judge = hinge_discriminator([real_logits], [fake_logits])
            adversarial = hinge_generator([fake_logits])
            distance = tf.reduce_mean(tf.abs(copy - real))
            divergence = tf.reduce_mean(kl_divergence(mean, log_variance))
            of_generator = (goal.adversarial * adversarial + goal.reconstruction * distance + goal.kl * divergence)
            if goal.copy_adversarial or goal.feature_matching:
                copy_logits, copy_maps = judge(self.augment(copy, of_copy), real_label)
                _, real_maps = judge(self.augment(real, of_copy), real_label)
                of_generator += (goal.copy_adversarial * hinge_generator([copy_logits])
                                 + goal.feature_matching * feature_distance(real_maps, copy_maps))
            of_judge, of_generator = share * of_judge, share * of_generator
        spread = tf.reduce_mean(tf.math.reduce_std(fake, 0)) / tf.reduce_mean(tf.math.reduce_std(real, 0))
        figures = [tf.reduce_mean(real_logits), tf.reduce_mean(fake_logits), adversarial, distance, divergence, spread]
        return (tape.gradient(of_judge, discriminator), tape.gradient(of_generator, generator + encoder),
                tf.stack([of_judge, *(share * figure for figure in figures)]))

    def _follow(self) -> None:
        """Moves the average towards the generator; in the beginning, when there is little to average, faster."""
        step = tf.cast(tf.convert_to_tensor(self.step), tf.float32)
        keep = tf.minimum(self.config.model.average, (1.0 + step) / (10.0 + step))
        for slow, variable in zip(self.average.variables, self.generator.variables, strict=True):
            fast = ops.convert_to_tensor(variable)
            slow.assign(fast + keep * (ops.convert_to_tensor(slow) - fast))
