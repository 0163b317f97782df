"""What training the toy family takes: its data, its model and its line in the log."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf

from melgan_tf.data.mel_dataset import SoundSet, labeled_batches, load_folder
from melgan_tf.models.sound_task import SoundTask
from melgan_tf.progress import Progress
from toy_family.train_step import ToyGAN


class ToyTask(SoundTask):
    """Noise to log mel spectrogram. `SoundTask` brings the score, the previews and the sampler."""

    sounds: SoundSet

    def load(self, data: str | Path, progress: Progress) -> SoundSet:
        return load_folder(data, self.config, progress)

    def check(self, progress: Progress) -> None:
        """Any number of sounds will do."""

    @property
    def clips(self) -> int:
        return len(self.sounds)

    def build(self) -> ToyGAN:
        self.model = ToyGAN(self.config)
        return self.model

    def dataset(self, start_step: int) -> tf.data.Dataset:
        settings = self.config.training
        return labeled_batches(self.sounds.mels, self.sounds.labels, settings.batch_size, settings.seed, start_step)

    def log_line(self, logs: dict[str, float]) -> str:
        return f"Loss_D: {logs['discriminator/loss']:.4f}\tLoss_G: {logs['generator/loss']:.4f}"
