"""What is trained: for each kind of model its data, its training step, its log line, its figure and its previews.

`melgan_tf.training.run` asks a task for these and treats all models alike.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from melgan_tf import storage
from melgan_tf.config import Config
from melgan_tf.data.exchange import Share
from melgan_tf.dsp import spectral
from melgan_tf.dsp.spectrogram_image import mel_image
from melgan_tf.progress import Progress

PREVIEWS = 16


class Task(ABC):
    """One kind of training.

    Args:
        config: the run's configuration.
        data: folder of sounds.
        progress: told of every file.
        valid: folder of sounds to judge by, which training does not see; without it those of ``data``.
        share: how several workers divide the files of ``data`` among them.

    Attributes:
        sounds: what was read.
        held_out: what is judged by.
        clips: examples that make an epoch.
        figure: the name of what `judge` returns.
        model: set by `build`.
        group: sounds that the model compares with each other: whatever a batch is cut into holds whole groups.
        least_shard: a shard smaller than this loses more than it wins by running beside others.
        compiles_on_cpu: whether XLA makes its steps faster on a CPU.
    """

    figure: str
    metrics: tuple[str, ...]
    model: keras.Model
    group = 1
    least_shard = 32  # in matrix products of mels
    compiles_on_cpu = True

    def __init__(self, config: Config, data: str | Path, progress: Progress, valid: str | Path | None = None,
                 share: Share | None = None) -> None:
        self.config, self.valid = config, valid
        self.sounds = self._load(data, progress, share)
        self.check(progress)
        self.held_out = self._load(valid, progress) if valid else self.sounds

    @abstractmethod
    def _load(self, data: str | Path, progress: Progress, share: Share | None = None) -> Any: ...

    @abstractmethod
    def check(self, progress: Progress) -> None:
        """Refuses, or warns of, sounds that are too few."""

    @property
    @abstractmethod
    def clips(self) -> int: ...

    def facts(self) -> dict[str, Any]:
        """What else config.json is to say of the sounds."""
        return {"valid": str(storage.path(self.valid).resolve())} if self.valid else {}

    @abstractmethod
    def build(self) -> keras.Model:
        """Makes `model`, not compiled."""

    @abstractmethod
    def start_judging(self) -> None:
        """Prepares `judge` and the previews; called once, after the weights are in place."""

    @abstractmethod
    def dataset(self, start_step: int) -> tf.data.Dataset: ...

    @abstractmethod
    def describe(self, logs: dict[str, float]) -> str:
        """The figures of an epoch, for its log line."""

    @abstractmethod
    def judge(self) -> float:
        """How far the model is from the real sounds; lower is better."""

    def measure(self) -> dict[str, float]:
        """Further figures for TensorBoard at every checkpoint, by name."""
        return {}

    @abstractmethod
    def preview(self, epoch: int, real: bool) -> None:
        """Writes pictures and sounds to the current summary writer: real ones, or what the model makes."""

    def _summaries(self, name: str, mels: np.ndarray, waveforms: np.ndarray) -> None:
        audio = self.config.audio
        tf.summary.image(f"mel/{name}", mel_image(spectral.log_mel(mels, audio).numpy()), max_outputs=PREVIEWS)
        tf.summary.audio(f"audio/{name}", waveforms[..., None], audio.sample_rate, max_outputs=PREVIEWS)


