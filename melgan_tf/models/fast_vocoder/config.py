"""Configuration of the fast vocoder. No TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Literal

from melgan_tf.config.registry import ModelConfig
from melgan_tf.config.schema import Range, Width, check_fields, require
from melgan_tf.models.vocoder_training.config import VocoderObjective, check_clips, check_mels

if TYPE_CHECKING:
    from melgan_tf.config.config import Config

Rounds = Annotated[int, Range(0, 64)]


@dataclass(frozen=True)
class FastVocoderConfig(ModelConfig):
    """The fast vocoder: see `melgan_tf.models.fast_vocoder.network`.

    Attributes:
        kind: always "fast-vocoder".
        channels: width at frame rate.
        kernel: frames of mel in the first convolution, odd.
        dilations: dilation of each residual block, frames; its kernel has three frames.
        subframes: pieces per frame, each with a Fourier transform of its own.
        sub_channels, sub_blocks: width and number of the blocks at that rate.
        overlap: windows per sample: 2 or 4.
        carriers: frequencies within each of the lower bins.
        scatter_frames: frames on either side of those in which a factor without a carrier repeats itself; what repeats
            gets random phases, so that steady sounds do not buzz at the frame rate; 0: it buzzes.
        low_rounds: iterations of phase retrieval for the lowest frequencies, before the corrections; 0: none.
        corrections: number of times that the waveform's mel is matched to the given one.
        objective: of its training.
    """

    kind: Literal["fast-vocoder"] = "fast-vocoder"
    channels: Width = 192
    kernel: int = 7
    dilations: tuple[int, ...] = (1, 2, 4, 1)
    subframes: Annotated[int, Range(1, 64)] = 1
    sub_channels: Width = 128
    sub_blocks: Rounds = 1
    overlap: int = 2
    carriers: Annotated[int, Range(1, 8)] = 4
    scatter_frames: Rounds = 0
    low_rounds: Rounds = 0
    corrections: Rounds = 1
    objective: VocoderObjective = field(default_factory=VocoderObjective)

    def __post_init__(self) -> None:
        check_fields(self, "model")
        require(1 <= self.kernel <= 31 and self.kernel % 2 == 1, "model.kernel", self.kernel,
                "give an odd number from 1 to 31")
        require(len(self.dilations) <= 64 and all(1 <= dilation <= 64 for dilation in self.dilations),
                "model.dilations", list(self.dilations), "give at most 64 numbers from 1 to 64")
        require(self.subframes * self.sub_channels <= 8192, "model.sub_channels", self.sub_channels,
                f"give less, or fewer model.subframes ({self.subframes}): at most 8192 values a frame")
        require(self.overlap in (2, 4), "model.overlap", self.overlap, "give 2 or 4")

    def check(self, config: Config) -> None:
        audio = config.audio
        check_mels(config)
        require(audio.hop_samples % (2 * self.subframes) == 0, "model.subframes", self.subframes,
                f"give a number whose double divides audio.hop_samples ({audio.hop_samples})")
        require(not (self.corrections or self.low_rounds) or audio.n_fft % audio.hop_samples == 0,
                "audio.hop_samples", audio.hop_samples,
                f"a vocoder with corrections or low rounds needs a divisor of audio.n_fft ({audio.n_fft})")
        require(not self.low_rounds or audio.hop_samples % 128 == 0, "audio.hop_samples", audio.hop_samples,
                "a vocoder with low rounds needs a multiple of 128")
        check_clips(config)
