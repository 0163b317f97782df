"""A vocoder in training: spectral losses first, then the discriminators as well.

As in `melgan_tf.models.spectrogram_gan.train_step`, the programs that compute gradients are pure functions of tensors, compiled by XLA, and
on a CPU the batch is cut into shards whose programs run side by side.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from melgan_tf.config import Config
from melgan_tf.dsp import spectral
from melgan_tf.models.families import build_vocoder
from melgan_tf.models.melgan.networks import MultiScaleDiscriminator
from melgan_tf.training.losses import feature_matching, hinge_discriminator, hinge_generator
from melgan_tf.training.replicas import leave_summing, replica_count, summed
from melgan_tf.training.sharding import shard_sizes, sum_shards, values_of
from melgan_tf.training.stft_loss import multi_resolution_stft

Tensors = list[tf.Tensor]

#: The names of what a step measures. Without discriminators theirs are 0.
METRICS = ("generator/loss", "generator/stft", "generator/mel", "generator/adversarial", "generator/feature_matching",
           "discriminator/loss")


class VocoderGAN(keras.Model):
    """Generator (mel -> waveform) against three discriminators, with spectral losses beside.

    A step in the first phase: the generator learns from the spectral losses alone. In the second: the discriminators
    learn from real and generated clips (hinge loss), then the generator from the updated discriminators, from the
    distance between feature maps (the real ones as they were before the update) and from the spectral losses.

    Args:
        config: what to build and what to learn from.

    Attributes:
        step: number of steps taken.
        switches: the steps at which the phase changes.

    Input: batches of waveforms ``(batch, clip_samples)``.

    Reference: Kumar et al., "MelGAN" (2019), section 2, and the authors' training script for the order of updates.
    """

    def __init__(self, config: Config, **kwargs) -> None:
        super().__init__(name="vocoder_gan", **kwargs)
        self.config, self.objective = config, config.model.objective
        self.generator = build_vocoder(config, training=True)
        self.discriminator = MultiScaleDiscriminator(seed=config.training.seed) if self._adversarial else None
        self.step = keras.Variable(0, dtype="int64", trainable=False, aggregation="only_first_replica", name="step")
        self.trackers = [keras.metrics.Mean(name=name) for name in METRICS]
        start = self.objective.adversarial_start
        self.switches = (start,) if self._adversarial and start else ()
        self.built = True

    @property
    def _adversarial(self) -> bool:
        return self.objective.adversarial > 0 or self.objective.feature_matching > 0

    def compile(self, generator_optimizer: keras.optimizers.Optimizer,
                discriminator_optimizer: keras.optimizers.Optimizer, xla: bool = False, shards: int = 1,
                **kwargs) -> None:
        """Sets how the model learns; see `SpectrogramGAN.compile`."""
        super().compile(optimizer=None, jit_compile=False, **kwargs)
        self.generator_optimizer, self.discriminator_optimizer = generator_optimizer, discriminator_optimizer
        leave_summing(generator_optimizer, discriminator_optimizer)
        generator_optimizer.build(self.generator.trainable_variables)
        if self.discriminator is not None:
            discriminator_optimizer.build(self.discriminator.trainable_variables)
        self.shards = shards

        def program(function: Callable[..., Any]) -> Callable[..., Any]:
            return tf.function(function, jit_compile=True, autograph=False) if xla else function

        self._spectral_program = program(self._spectral_gradients)
        self._discriminator_program = program(self._discriminator_gradients)
        self._generator_program = program(self._generator_gradients)

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        return self.trackers

    def parts(self) -> dict[str, list[keras.Variable]]:
        """Every variable that a checkpoint keeps, by part."""
        parts = {"run": [self.step], "generator": self.generator.variables,
                 "generator_optimizer": self.generator_optimizer.variables}
        if self.discriminator is not None:
            parts |= {"discriminator": self.discriminator.variables,
                      "discriminator_optimizer": self.discriminator_optimizer.variables}
        return parts

    def phase(self, step: int) -> bool:
        """Whether the discriminators take part in that step."""
        return self._adversarial and step >= self.objective.adversarial_start

    def train_step(self, waveforms: tf.Tensor, adversarial: bool = False) -> dict[str, tf.Tensor]:
        size = waveforms.shape[0]
        shards = tf.split(waveforms, shard_sizes(size, self.shards))
        shares = [shard.shape[0] / (size * replica_count()) for shard in shards]
        generator = values_of(self.generator)
        judged = tf.zeros(())
        if adversarial:
            discriminator = values_of(self.discriminator)
            results = [self._discriminator_program(shard, share, generator, discriminator)
                       for shard, share in zip(shards, shares, strict=True)]
            of_judges, = summed(sum_shards(gradients for gradients, _, _ in results))
            self.discriminator_optimizer.apply(of_judges, self.discriminator.trainable_variables)
            judged = tf.add_n([loss for _, loss, _ in results])
            discriminator = values_of(self.discriminator)
            learned = [self._generator_program(shard, share, maps, generator, discriminator)
                       for shard, share, (_, _, maps) in zip(shards, shares, results, strict=True)]
        else:
            learned = [self._spectral_program(shard, share, generator)
                       for shard, share in zip(shards, shares, strict=True)]
        of_generator, = summed(sum_shards(gradients for gradients, _ in learned))
        self.generator_optimizer.apply(of_generator, self.generator.trainable_variables)
        self.step.assign_add(1)
        return self._measure(tf.add_n([figures for _, figures in learned]), judged)

    def _generate(self, waveforms: tf.Tensor, generator: Tensors) -> tuple[tf.Tensor, tf.Tensor]:
        mel = spectral.mel_spectrogram(waveforms, self.config.audio)
        made = self.generator.stateless_call(generator, [], mel)[0]
        return tf.cast(made, tf.float32)[:, :waveforms.shape[1]], mel

    def _judge(self, waveforms: tf.Tensor, discriminator: Tensors) -> list[Tensors]:
        return self.discriminator.stateless_call(discriminator, [], waveforms)[0]

    def _spectral_losses(self, fake: tf.Tensor, real: tf.Tensor, mel: tf.Tensor) -> Tensors:
        """[STFT loss, mel loss], each 0 where it does not count."""
        stft = distance = tf.zeros(())
        if self.objective.stft:
            convergence, logarithmic = multi_resolution_stft(fake, real)
            stft = tf.reduce_mean(convergence + logarithmic)
        if self.objective.mel:
            distance = tf.reduce_mean(tf.abs(spectral.mel_spectrogram(fake, self.config.audio) - mel))
        return [stft, distance]

    def _spectral_gradients(self, real: tf.Tensor, share: float, generator: Tensors) -> tuple[Tensors, tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(generator)
            fake, mel = self._generate(real, generator)
            stft, distance = self._spectral_losses(fake, real, mel)
            loss = share * (self.objective.stft * stft + self.objective.mel * distance)
            scaled = self.generator_optimizer.scale_loss(loss)
        return tape.gradient(scaled, generator), tf.stack([loss, share * stft, share * distance, 0.0, 0.0])

    def _discriminator_gradients(self, real: tf.Tensor, share: float, generator: Tensors,
                                 discriminator: Tensors) -> tuple[Tensors, tf.Tensor, list[Tensors]]:
        """The discriminators' gradients, their loss, and their feature maps of the real clips."""
        fake, _ = self._generate(real, generator)
        with tf.GradientTape() as tape:
            tape.watch(discriminator)
            real_maps, fake_maps = self._judge(real, discriminator), self._judge(fake, discriminator)
            loss = share * hinge_discriminator([maps[-1] for maps in real_maps], [maps[-1] for maps in fake_maps])
            scaled = self.discriminator_optimizer.scale_loss(loss)
        return tape.gradient(scaled, discriminator), loss, real_maps

    def _generator_gradients(self, real: tf.Tensor, share: float, real_maps: list[Tensors], generator: Tensors,
                             discriminator: Tensors) -> tuple[Tensors, tf.Tensor]:
        weights = self.objective
        with tf.GradientTape() as tape:
            tape.watch(generator)
            fake, mel = self._generate(real, generator)
            maps = self._judge(fake, discriminator)
            adversarial = hinge_generator([scale[-1] for scale in maps])
            features = feature_matching(real_maps, maps)
            stft, distance = self._spectral_losses(fake, real, mel)
            loss = share * (weights.stft * stft + weights.mel * distance + weights.adversarial * adversarial
                            + weights.feature_matching * features)
            scaled = self.generator_optimizer.scale_loss(loss)
        figures = [loss, *(share * part for part in (stft, distance, adversarial, features))]
        return tape.gradient(scaled, generator), tf.stack(figures)

    def _measure(self, learned: tf.Tensor, judged: tf.Tensor) -> dict[str, tf.Tensor]:
        # each replica holds its share of a mean; the trackers average over replicas
        for tracker, value in zip(self.trackers, [*tf.unstack(learned), judged], strict=True):
            tracker.update_state(value * replica_count())
        return {tracker.name: tracker.result() for tracker in self.trackers}
