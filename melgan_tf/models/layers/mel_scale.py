"""Log mels <-> [-1, 1], the range of the networks."""

from __future__ import annotations

import math

import keras
from keras import ops

from melgan_tf.config import AudioConfig


class MelScale:
    """Log mels to [-1, 1] and back: -1 is the floor of the mel configuration, 1 the ceiling.

    Args:
        audio: the mel configuration, with logarithmic compression.
        ceiling: log10 of the loudest mel.
    """

    def __init__(self, audio: AudioConfig, ceiling: float) -> None:
        self.floor, self.ceiling = math.log10(audio.floor), ceiling

    def to_mel(self, x: keras.KerasTensor) -> keras.KerasTensor:
        """From [-1, 1]."""
        return (x + 1.0) * ((self.ceiling - self.floor) / 2) + self.floor

    def from_mel(self, mel: keras.KerasTensor) -> keras.KerasTensor:
        """To [-1, 1]; louder mels than the ceiling become 1."""
        return ops.clip((mel - self.floor) * (2 / (self.ceiling - self.floor)) - 1.0, -1.0, 1.0)
