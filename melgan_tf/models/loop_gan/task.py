"""What training a loop GAN takes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf

from melgan_tf.data.loop_dataset import LoopSet, load_loops
from melgan_tf.data.mel_dataset import class_probabilities, labeled_batches
from melgan_tf.models.frame_gan.task import FrameTask
from melgan_tf.models.loop_gan.config import BARS, BEAT_FRAMES, BEATS, KEY_NUMBERS
from melgan_tf.models.loop_gan.features import Features
from melgan_tf.models.loop_gan.networks import key_numbers
from melgan_tf.models.loop_gan.train_step import LoopGAN
from melgan_tf.models.vae_gan.prior import CONDITIONED_KERNEL
from melgan_tf.progress import Progress

_LABELED_KERNELS = ("/style_1/kernel", "/first/kernel", "/posterior_of_style/kernel", "/projection/kernel",
                    "/bar_projection/kernel", CONDITIONED_KERNEL)
_MEASURED = 64  # loops at a time
_LEAST_SPREAD = 0.05  # of a feature, where all loops of a class are alike
_WIDEST = 3.0  # standard deviations


class LoopTask(FrameTask):
    """Noise and class to mel spectrogram on the grid."""

    sounds: LoopSet
    labeled_kernels = _LABELED_KERNELS
    bars = BARS

    def load(self, data: str | Path, progress: Progress) -> LoopSet:
        return load_loops(data, self.config, BEATS, BEAT_FRAMES, progress)

    @property
    def clips(self) -> int:
        return len(self.sounds.mels)

    def build(self) -> LoopGAN:
        self._measure()
        counts = np.array(list(self.sounds.classes.values()))
        self.model = LoopGAN(self.config, class_probabilities(counts, self.config.model.class_balance), self._spread)
        return self.model

    def _measure(self) -> None:
        """The features of all loops, in standard deviations from the mean of their class."""
        measure = Features(self.config)
        found = np.concatenate([measure(measure.scale.from_mel(self.sounds.mels[first:first + _MEASURED])).numpy()
                                for first in range(0, self.clips, _MEASURED)])
        classes = [found[self.sounds.labels == number] for number in range(len(self.sounds.classes))]
        self._spread = np.stack([[own.mean(axis=0) for own in classes],
                                 [np.maximum(own.std(axis=0), _LEAST_SPREAD) for own in classes]]).astype(np.float32)
        center, width = self._spread[:, self.sounds.labels]
        self._features = np.clip((found - center) / width, -_WIDEST, _WIDEST)

    def dataset(self, start_step: int) -> tf.data.Dataset:
        settings, model = self.config.training, self.config.model
        keys = np.stack([np.zeros(KEY_NUMBERS, np.float32) if key is None else key_numbers(key)
                         for key in self.sounds.keys])
        return labeled_batches(self.sounds.mels, self.sounds.labels, settings.batch_size, settings.seed, start_step,
                               model.class_balance, (self._features, keys))
