"""Rendering mels to waveforms: the protocol of trained vocoders and Griffin-Lim."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import keras
import tensorflow as tf

from melgan_tf.config import AudioConfig
from melgan_tf.dsp.griffin_lim import mel_to_waveform
from melgan_tf.errors import UsageError
from melgan_tf.inference.streaming import StreamingVocoder

#: The name of Griffin-Lim for `--vocoder`.
GRIFFIN_LIM = "griffin-lim"


class Renderer(Protocol):
    """Turns mels into waveforms.

    Attributes:
        name: as `--vocoder` takes it.
        model: the network, or None.
        random_phases: whether its phases are random, so that noise sounds like noise.
        clock_period_frames: the period of its clock in frames; 1 if it has no clock.
    """

    name: str
    model: keras.Model | None
    random_phases: bool
    clock_period_frames: int

    def render(self, mel: tf.Tensor, audio: AudioConfig, length: int | None = None,
               use_matmul_dft: bool = False) -> tf.Tensor:
        """The waveforms ``(batch, length)`` of mels ``(batch, frames, mel_bins)``.

        Args:
            mel: on the scale of `audio`.
            audio: the mel configuration.
            length: samples; by default those of all frames.
            use_matmul_dft: compute Fourier transforms as matrix products, for phones.
        """

    def stream(self) -> StreamingVocoder:
        """Synthesis piece by piece: ``push`` frames as they come, ``finish`` at the end."""

    def metadata(self) -> dict[str, Any]:
        """Its entry in records and receipts."""


@dataclass(frozen=True)
class GriffinLim:
    """Rendering by phase retrieval: no weights, any mel configuration. See `melgan_tf.dsp.griffin_lim`.

    Args:
        iterations: of the algorithm.
    """

    iterations: int = 32
    name = GRIFFIN_LIM
    model = None
    random_phases = True
    clock_period_frames = 1

    def render(self, mel: tf.Tensor, audio: AudioConfig, length: int | None = None,
               use_matmul_dft: bool = False) -> tf.Tensor:
        """See `Renderer.render`."""
        return mel_to_waveform(mel, audio, self.iterations, length=length, use_matmul_dft=use_matmul_dft)

    def stream(self) -> StreamingVocoder:
        """Refuses: phase retrieval needs the whole sound.

        Raises:
            UsageError: always.
        """
        raise UsageError("Griffin-Lim cannot render piece by piece, as sounds of any length need: give a vocoder that "
                         "fits the model's mels (--vocoder RUN)")

    def metadata(self) -> dict[str, Any]:
        """See `Renderer.metadata`."""
        return {"name": self.name, "iterations": self.iterations}
