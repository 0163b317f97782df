"""What training a frame GAN takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from melgan_tf.data.labels import Classes
from melgan_tf.data.mel_dataset import SoundSet, class_probabilities, labeled_batches, load_folder
from melgan_tf.errors import UsageError
from melgan_tf.models.frame_gan.train_step import FrameGAN
from melgan_tf.models.sound_task import FEW_EXAMPLES
from melgan_tf.models.vae_gan.prior import CONDITIONED_KERNEL
from melgan_tf.models.vae_gan.task import VAEGANTask
from melgan_tf.progress import Progress
from melgan_tf.storage.checkpoints import State
from melgan_tf.training.initial_weights import map_class_rows

#: The kernels whose last rows belong to the label.
_LABELED_KERNELS = ("/style_1/kernel", "/first/kernel", "/posterior/kernel", "/projection/kernel", CONDITIONED_KERNEL)


class FrameTask(VAEGANTask):
    """Noise and class to mel spectrogram."""

    sounds: SoundSet
    labeled_kernels = _LABELED_KERNELS

    def load(self, data: str | Path, progress: Progress) -> SoundSet:
        return load_folder(data, self.config, progress)

    def check(self, progress: Progress) -> None:
        if len(self.sounds) < FEW_EXAMPLES:
            progress.warning(f"{len(self.sounds)} sounds are few: what is made will stay near them; {FEW_EXAMPLES} or "
                             "more give variety of its own")

    @property
    def clips(self) -> int:
        return len(self.sounds)

    @property
    def classes(self) -> Classes:
        return Classes(self.sounds.classes)

    def metadata(self) -> dict[str, Any]:
        return {**super().metadata(), "classes": self.sounds.classes}

    def check_resumable(self, before: dict[str, Any]) -> None:
        """Requires folders of the same names: each has its place in a label."""
        started = before.get("classes")
        if started and list(started) != list(self.sounds.classes):
            names = [", ".join(Classes(counts).names) for counts in (started, self.sounds.classes)]
            raise UsageError(f"the run was started with the classes {names[0]}, but the sounds have the classes "
                             f"{names[1]}: give the same folders, or another run directory")

    def build(self) -> FrameGAN:
        counts = np.array(list(self.sounds.classes.values()))
        self.model = FrameGAN(self.config, class_probabilities(counts, self.config.model.class_balance))
        return self.model

    def adapt_weights(self, state: State, classes: tuple[str, ...]) -> State:
        """Class rows of the kernels that take a label go where this run has the class."""
        return {name: map_class_rows(value, classes, tuple(self.sounds.classes))
                if classes and name.endswith(self.labeled_kernels) else value for name, value in state.items()}

    def dataset(self, start_step: int) -> tf.data.Dataset:
        settings = self.config.training
        return labeled_batches(self.sounds.mels, self.sounds.labels, settings.batch_size, settings.seed, start_step,
                                self.config.model.class_balance)
