"""Configuration of the loop GAN. No TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from melgan_tf.config.registry import ModelConfig
from melgan_tf.config.schema import Decay, Fraction, Weight, Width, check_fields, require
from melgan_tf.config.tempo import TEMPOS
from melgan_tf.models.vae_gan.config import AugmentationConfig, TextureDecibels, VAEGANObjective, check_log_mels

if TYPE_CHECKING:
    from melgan_tf.config.config import Config

BEATS_PER_BAR = 4
#: Bars and beats of a loop that the networks learn from.
BARS = 2
BEATS = BARS * BEATS_PER_BAR
#: Frames of mel in a beat, at any tempo.
BEAT_FRAMES = 48
SIXTEENTH_FRAMES = BEAT_FRAMES // 4
GRID_FRAMES = BEATS * BEAT_FRAMES
#: Numbers of noise with a meaning: density, brightness and loudness; then root and mode of the key.
FEATURES = ("density", "brightness", "loudness")
KEY_NUMBERS = 3
GIVEN = len(FEATURES) + KEY_NUMBERS


@dataclass(frozen=True)
class LoopObjective(VAEGANObjective):
    """What generator and encoder learn from: see `VAEGANObjective`.

    Attributes:
        features: weight of the distance between the features that a sound was asked to have and those it has.
    """

    features: Weight = 0.5


@dataclass(frozen=True)
class LoopGANConfig(ModelConfig):
    """The loop GAN: see `melgan_tf.models.loop_gan.networks`. Its classes are the folders that the loops lie in.

    Attributes:
        kind: always "loop-gan".
        noise_dim: length of the noise vector: six numbers with a meaning, those of the whole loop, those of its beats.
        beat_noise: numbers of noise for each of the eight beats.
        channels: number of channels of the maps of beats and sixteenths; finer ones have a half and a third.
        ceiling: log10 of the mel value at the top of the networks' scale, 1; louder values are clipped.
        gradient_penalty: gamma of the penalties R1 and R2: half of it weighs the squared slope of the discriminator.
        average: decay of the exponential moving average of the generator's weights.
        class_balance: 0 draws classes as often as they occur, 1 draws all equally often.
        texture: standard deviation of detail that the generator leaves out, dB: see `melgan_tf.inference.texture`.
        tuning: how far notes are brought into tune, from 0 to 1: see `melgan_tf.models.loop_gan.tuning`.
        objective: what it learns from.
        augmentation: what is changed at random.
    """

    kind: Literal["loop-gan"] = "loop-gan"
    noise_dim: Width = 96
    beat_noise: Width = 4
    channels: Width = 192
    ceiling: float = 1.0
    gradient_penalty: Weight = 0.5
    average: Decay = 0.9995
    class_balance: Fraction = 0.25
    texture: TextureDecibels = 0.0
    tuning: Fraction = 0.0
    objective: LoopObjective = field(default_factory=lambda: LoopObjective(kl=0.004))
    augmentation: AugmentationConfig = field(default_factory=lambda: AugmentationConfig(1, 0, 0.05))

    def __post_init__(self) -> None:
        check_fields(self, "model")
        least = GIVEN + BEATS * self.beat_noise
        require(self.noise_dim > least, "model.noise_dim", self.noise_dim,
                f"give more than {GIVEN} + {BEATS} * beat_noise ({least})")

    @staticmethod
    def tempo(config: Config) -> float:
        """Beats per minute at which clips are two bars: the tempo of loops unless another is asked for."""
        return 60.0 * BEATS * config.audio.sample_rate / config.data.clip_samples

    @property
    def style_dim(self) -> int:
        """Numbers of noise of the whole loop."""
        return self.noise_dim - GIVEN - BEATS * self.beat_noise

    def check(self, config: Config) -> None:
        bpm = self.tempo(config)
        require(TEMPOS[0] <= bpm <= TEMPOS[1], "data.clip_samples", config.data.clip_samples,
                f"give the samples of {BARS} bars at {TEMPOS[0]:g} to {TEMPOS[1]:g} beats per minute, not at {bpm:.4g}")
        require(self.augmentation.frame_shift == 0, "model.augmentation.frame_shift", self.augmentation.frame_shift,
                "give 0: a loop GAN learns what stands where")
        check_log_mels(config, "a loop GAN")
