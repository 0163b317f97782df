"""TODO."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from melgan_tf.data.exchange import Share
from melgan_tf.data.window_dataset import WindowSet, load_windows, window_batches
from melgan_tf.inference.sampler import Sampler
from melgan_tf.inference.vocoder import vocoder_for
from melgan_tf.models.frame_gan.task import _FEW, FrameTask
from melgan_tf.models.sequence_gan.config import STEP_FRAMES
from melgan_tf.models.sequence_gan.networks import CONTEXT_STEPS
from melgan_tf.models.sequence_gan.sampler import SequenceSampler
from melgan_tf.progress import Progress
from melgan_tf.training.task import Task


class SequenceTask(FrameTask):
    """Sequences of noise to mel spectrograms of any length. Judged, and shown, by windows."""

    metrics = train_step.METRICS
    sounds: WindowSet

    def _load(self, data: str | Path, progress: Progress, share: Share | None = None) -> WindowSet:
        return load_windows(data, self.config, CONTEXT_STEPS * STEP_FRAMES, progress, share)

    def check(self, progress: Progress) -> None:
        if self.clips < _FEW:
            seconds = self.config.data.clip_samples / self.config.audio.sample_rate
            progress.warning(f"{self.clips} windows of {seconds:.2g} seconds are few: what is made will stay near "
                             f"them; {_FEW} or more give variety of its own")

    @property
    def clips(self) -> int:
        return int(self.sounds.clips.sum())

    def facts(self) -> dict[str, Any]:
        return Task.facts(self)

    def build(self) -> keras.Model:
        self.model = train_step.SequenceGAN(self.config)
        return self.model

    def _sampler(self) -> Sampler:
        return SequenceSampler(self.model.average, self.config, vocoder=vocoder_for(self.config.audio))

    def _examples(self, sounds: WindowSet, count: int) -> np.ndarray:
        return sounds.examples(count)

    def dataset(self, start_step: int) -> tf.data.Dataset:
        settings = self.config.training
        return window_batches(self.sounds, settings.batch_size, CONTEXT_STEPS * STEP_FRAMES, settings.seed, start_step)
