"""What training a spectrogram GAN takes."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf

from melgan_tf.data.mel_dataset import SoundSet, batches, load_folder
from melgan_tf.inference.renderer import GriffinLim
from melgan_tf.inference.sampler import Sampler
from melgan_tf.models.sound_task import SoundTask
from melgan_tf.models.spectrogram_gan.train_step import SpectrogramGAN
from melgan_tf.progress import Progress


class SpectrogramTask(SoundTask):
    """Noise to power mel spectrogram."""

    sounds: SoundSet

    def load(self, data: str | Path, progress: Progress) -> SoundSet:
        return load_folder(data, self.config, progress)

    def check(self, progress: Progress) -> None:
        if len(self.sounds) < self.config.training.batch_size:
            batches(self.sounds.images(), self.config.training.batch_size, 0)  # says what is wrong

    @property
    def clips(self) -> int:
        return len(self.sounds)

    def build(self) -> SpectrogramGAN:
        self.model = SpectrogramGAN(self.config)
        return self.model

    def new_sampler(self) -> Sampler:
        return Sampler(self.trained_generator, self.config, vocoder=GriffinLim())

    def dataset(self, start_step: int) -> tf.data.Dataset:
        settings = self.config.training
        return batches(self.sounds.images(), settings.batch_size, settings.seed, start_step)

    def log_line(self, logs: dict[str, float]) -> str:
        loss_d, loss_g, real, before, after = (logs[name] for name in self.model.METRICS)
        return (f"Loss_D: {loss_d:.4f}\tLoss_G: {loss_g:.4f}\tD(x): {real:.4f}\t"
                f"D(G(z)): {before:.4f} / {after:.4f}")
