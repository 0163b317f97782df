"""TODO."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from melgan_tf import storage
from melgan_tf.dsp import spectral
from melgan_tf.data.labels import Classes
from melgan_tf.config import Config
from melgan_tf.data.mel_dataset import SoundSet, batches, class_shares, labelled_batches, load_folder
from melgan_tf.evaluation import embed, frechet_distance
from melgan_tf.evaluation.artifacts import faults
from melgan_tf.models.frame_gan.config import COMPARED_SOUNDS
from melgan_tf.models.sequence_gan.config import STEP_FRAMES
from melgan_tf.inference.sampler import Sampler
from melgan_tf.models.sequence_gan.networks import CONTEXT_STEPS
from melgan_tf.models.sequence_gan.sampler import SequenceSampler
from melgan_tf.dsp.spectrogram_image import mel_image
from melgan_tf.progress import Progress
from melgan_tf.data.exchange import Share
from melgan_tf.models.frame_gan import train_step as vocoder as sequence_gan as gan
from melgan_tf.models.sequence_gan import train_step as vocoder as sequence_gan as gan
from melgan_tf.models.spectrogram_gan import train_step as vocoder as sequence_gan as gan
from melgan_tf.models.vocoder_training import train_step as vocoder as sequence_gan as gan
from melgan_tf.inference.vocoder import vocoder_for
from melgan_tf.data.waveform_dataset import WaveformSet, clip_batches, load_waveforms
from melgan_tf.data.window_dataset import WindowSet, load_windows, window_batches
from melgan_tf.models.spectrogram_gan.task import SpectrogramTask
from melgan_tf.training.task import PREVIEWS


_FEW = 100


class FrameTask(SpectrogramTask):
    """Noise and class to mel spectrogram."""

    metrics = train_step.METRICS
    group = COMPARED_SOUNDS
    compiles_on_cpu = False  # measured: half as fast again without

    def check(self, progress: Progress) -> None:
        if len(self.sounds) < _FEW:
            progress.warning(f"{len(self.sounds)} sounds are few: what is made will stay near them; {_FEW} or more "
                             "give variety of its own")

    def facts(self) -> dict[str, Any]:
        return {**super().facts(), "classes": self.sounds.classes}

    def build(self) -> keras.Model:
        counts = np.array(list(self.sounds.classes.values()))
        self.model = train_step.FrameGAN(self.config, class_shares(counts, self.config.model.class_balance))
        return self.model

    def _sampler(self) -> Sampler:
        return Sampler(self.model.average, self.config, classes=Classes(self.sounds.classes),
                       vocoder=vocoder_for(self.config.audio))

    def dataset(self, start_step: int) -> tf.data.Dataset:
        settings = self.config.training
        return labelled_batches(self.sounds.mels, self.sounds.labels, settings.batch_size, settings.seed, start_step,
                                self.config.model.class_balance)

    def describe(self, logs: dict[str, float]) -> str:
        return (f"Loss_D: {logs['discriminator/loss']:.4f}\tadversarial: {logs['generator/adversarial']:.4f}\t"
                f"copies: {logs['generator/reconstruction']:.4f}\tKL: {logs['generator/kl']:.2f}\t"
                f"spread: {logs['generator/spread']:.3f}")

    def measure(self) -> dict[str, float]:
        made = self.sampler.generate(seed=0, count=PREVIEWS)["audio"]
        found = dataclasses.asdict(faults(made, self.config.audio.sample_rate))
        return {f"faults/{name}": value for name, value in found.items() if value is not None}
