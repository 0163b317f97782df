"""The training step of all vocoders: spectral losses first, then the discriminators as well.

How a step is cut up is said in `melgan_tf.training.gan`.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from melgan_tf.config import Config
from melgan_tf.config.registry import build_network
from melgan_tf.dsp import spectral
from melgan_tf.models.vocoder_training.discriminator import MultiScaleDiscriminator
from melgan_tf.training.gan import GAN, weighted_sum
from melgan_tf.training.losses import feature_matching, hinge_discriminator, hinge_generator
from melgan_tf.training.replicas import all_reduce_sum, replica_count
from melgan_tf.training.sharding import Tensors, shard_sizes, sum_shards, trainable_tensors
from melgan_tf.training.stft_loss import multi_resolution_stft


class VocoderGAN(GAN):
    """Generator (mel -> waveform) against three discriminators, with spectral losses beside.

    A step in the first phase: the generator learns from the spectral losses alone. In the second: the discriminators
    learn from real and generated clips (hinge loss), then the generator from the updated discriminators, from the
    distance between feature maps (the real ones as they were before the update) and from the spectral losses.

    Args:
        config: what to build and what to learn from.

    Attributes:
        switches: the steps at which the phase changes.

    Input: batches of waveforms ``(batch, clip_samples)``.

    Reference: Kumar et al., "MelGAN" (2019), section 2, and the authors' training script for the order of updates.
    """

    METRICS = ("generator/loss", "generator/stft", "generator/mel", "generator/adversarial",
               "generator/feature_matching", "discriminator/loss")

    def __init__(self, config: Config) -> None:
        self.loss_weights = weights = config.model.objective
        self._adversarial = weights.adversarial > 0 or weights.feature_matching > 0
        self.switches = ((weights.adversarial_start,) if self._adversarial and weights.adversarial_start else ())
        super().__init__(config, {
            "generator": build_network(config, training=True),
            "discriminator": MultiScaleDiscriminator(seed=config.training.seed) if self._adversarial else None,
        }, "vocoder_gan")

    def build_programs(self, program: Callable[[Callable], Callable]) -> None:
        self._spectral_program = program(self._spectral_grads)
        self._discriminator_program = program(self._discriminator_grads)
        self._generator_program = program(self._generator_grads)

    def phase(self, step: int) -> bool:
        """Whether the discriminators take part in that step."""
        return self._adversarial and step >= self.loss_weights.adversarial_start

    def train_step(self, waveforms: tf.Tensor, adversarial: bool = False) -> dict[str, tf.Tensor]:
        size = waveforms.shape[0]
        shards = tf.split(waveforms, shard_sizes(size, self.shards))
        weights = [shard.shape[0] / (size * replica_count()) for shard in shards]
        generator = trainable_tensors(self.generator)
        discriminator_loss = tf.zeros(())
        if adversarial:
            discriminator = trainable_tensors(self.discriminator)
            disc_results = [self._discriminator_program(shard, weight, generator, discriminator)
                            for shard, weight in zip(shards, weights, strict=True)]
            discriminator_grads, = all_reduce_sum(sum_shards(grads for grads, _, _ in disc_results))
            self.discriminator_optimizer.apply(discriminator_grads, self.discriminator_variables)
            discriminator_loss = tf.add_n([loss for _, loss, _ in disc_results])
            discriminator = trainable_tensors(self.discriminator)
            gen_results = [self._generator_program(shard, weight, maps, generator, discriminator)
                           for shard, weight, (_, _, maps) in zip(shards, weights, disc_results, strict=True)]
        else:
            gen_results = [self._spectral_program(shard, weight, generator)
                           for shard, weight in zip(shards, weights, strict=True)]
        generator_grads, = all_reduce_sum(sum_shards(grads for grads, _ in gen_results))
        self.generator_optimizer.apply(generator_grads, self.generator_variables)
        generator_metrics = tf.add_n([metrics for _, metrics in gen_results])
        return self.finish_step([*tf.unstack(generator_metrics), discriminator_loss])

    def _generate(self, waveforms: tf.Tensor, generator: Tensors) -> tuple[tf.Tensor, tf.Tensor]:
        """The waveforms that the generator makes of the mels of real ones, and these mels."""
        mel = spectral.mel_spectrogram(waveforms, self.config.audio)
        fake = self.generator.stateless_call(generator, [], mel)[0]
        return tf.cast(fake, tf.float32)[:, :waveforms.shape[1]], mel

    def _feature_maps(self, waveforms: tf.Tensor, discriminator: Tensors) -> list[Tensors]:
        """Of each scale its feature maps, the logits last."""
        return self.discriminator.stateless_call(discriminator, [], waveforms)[0]

    def _spectral_losses(self, fake: tf.Tensor, real: tf.Tensor, mel: tf.Tensor) -> dict[str, tf.Tensor]:
        """The losses without discriminators, each 0 where its weight is."""
        stft = distance = tf.zeros(())
        if self.loss_weights.stft:
            convergence, log_magnitude = multi_resolution_stft(fake, real)
            stft = tf.reduce_mean(convergence + log_magnitude)
        if self.loss_weights.mel:
            distance = tf.reduce_mean(tf.abs(spectral.mel_spectrogram(fake, self.config.audio) - mel))
        return {"stft": stft, "mel": distance}

    def _spectral_grads(self, real: tf.Tensor, weight: float, generator: Tensors) -> tuple[Tensors, tf.Tensor]:
        """The generator's gradients in the first phase, and its part of the metrics."""
        with tf.GradientTape() as tape:
            tape.watch(generator)
            fake, mel = self._generate(real, generator)
            scaled, metrics = self._objective(weight, self._spectral_losses(fake, real, mel))
        return tape.gradient(scaled, generator), metrics

    def _discriminator_grads(self, real: tf.Tensor, weight: float, generator: Tensors,
                             discriminator: Tensors) -> tuple[Tensors, tf.Tensor, list[Tensors]]:
        """The discriminators' gradients, their loss, and their feature maps of the real clips."""
        fake, _ = self._generate(real, generator)
        with tf.GradientTape() as tape:
            tape.watch(discriminator)
            real_maps, fake_maps = (self._feature_maps(waveforms, discriminator) for waveforms in (real, fake))
            loss = weight * hinge_discriminator([maps[-1] for maps in real_maps], [maps[-1] for maps in fake_maps])
            scaled = self.discriminator_optimizer.scale_loss(loss)
        return tape.gradient(scaled, discriminator), loss, real_maps

    def _generator_grads(self, real: tf.Tensor, weight: float, real_maps: list[Tensors], generator: Tensors,
                         discriminator: Tensors) -> tuple[Tensors, tf.Tensor]:
        """The generator's gradients in the second phase, and its part of the metrics."""
        with tf.GradientTape() as tape:
            tape.watch(generator)
            fake, mel = self._generate(real, generator)
            maps = self._feature_maps(fake, discriminator)
            scaled, metrics = self._objective(weight, {
                **self._spectral_losses(fake, real, mel), "adversarial": hinge_generator([scale[-1] for scale in maps]),
                "feature_matching": feature_matching(real_maps, maps)})
        return tape.gradient(scaled, generator), metrics

    def _objective(self, weight: float, losses: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        """The loss as the optimizer scales it, and the shard's part of the generator's metrics."""
        loss = weight * weighted_sum(losses, self.loss_weights)
        parts = [losses.get(name.partition("/")[2], tf.zeros(())) for name in self.METRICS[1:-1]]
        return self.generator_optimizer.scale_loss(loss), tf.stack([loss, *(weight * part for part in parts)])
