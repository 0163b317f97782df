"""What training a sequence GAN takes."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf

from melgan_tf.data.window_dataset import WindowSet, load_window_set, window_batches
from melgan_tf.models.sequence_gan.config import STEP_FRAMES
from melgan_tf.models.sequence_gan.networks import CONTEXT_STEPS
from melgan_tf.models.sequence_gan.train_step import SequenceGAN
from melgan_tf.models.sound_task import FEW_EXAMPLES
from melgan_tf.models.vae_gan.task import VAEGANTask
from melgan_tf.progress import Progress

_CONTEXT_FRAMES = CONTEXT_STEPS * STEP_FRAMES


class SequenceTask(VAEGANTask):
    """Sequences of noise to mel spectrograms of any length; scored and previewed by windows."""

    example = "window"
    sounds: WindowSet

    def load(self, data: str | Path, progress: Progress) -> WindowSet:
        return load_window_set(data, self.config, _CONTEXT_FRAMES, progress)

    def check(self, progress: Progress) -> None:
        if self.clips < FEW_EXAMPLES:
            seconds = self.config.data.clip_samples / self.config.audio.sample_rate
            progress.warning(f"{self.clips} windows of {seconds:.2g} seconds are few: what is made will stay near "
                             f"them; {FEW_EXAMPLES} or more give variety of its own")

    @property
    def clips(self) -> int:
        return int(self.sounds.clips.sum())

    def build(self) -> SequenceGAN:
        self.model = SequenceGAN(self.config)
        return self.model

    def dataset(self, start_step: int) -> tf.data.Dataset:
        settings = self.config.training
        return window_batches(self.sounds, settings.batch_size, _CONTEXT_FRAMES, settings.seed, start_step)
