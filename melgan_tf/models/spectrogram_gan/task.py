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
from melgan_tf.models.frame_gan import train_step as vocoder as sequence_gan
from melgan_tf.models.sequence_gan import train_step as vocoder as sequence_gan
from melgan_tf.models.spectrogram_gan import train_step as vocoder as sequence_gan
from melgan_tf.models.vocoder_training import train_step as vocoder as sequence_gan
from melgan_tf.inference.vocoder import vocoder_for
from melgan_tf.data.waveform_dataset import WaveformSet, clip_batches, load_waveforms
from melgan_tf.data.window_dataset import WindowSet, load_windows, window_batches
from melgan_tf.training.task import PREVIEWS, Task


_JUDGED = 512


class SpectrogramTask(Task):
    """Noise to mel spectrogram. Judged by the Fréchet distance of log-mel statistics to real sounds.

    That is cheap enough to take at every checkpoint, and blind to nothing that the ear would call the same.
    """

    figure = "evaluation/frechet"
    metrics = train_step.METRICS
    sounds: SoundSet

    def _load(self, data: str | Path, progress: Progress, share: Share | None = None) -> SoundSet:
        return load_folder(data, self.config, progress, share)

    def check(self, progress: Progress) -> None:
        if len(self.sounds) < self.config.training.batch_size:
            batches(self.sounds.images(), self.config.training.batch_size, 0)  # says what is wrong

    @property
    def clips(self) -> int:
        return len(self.sounds)

    def build(self) -> keras.Model:
        self.model = train_step.SpectrogramGAN(self.config)
        return self.model

    def start_judging(self) -> None:
        mels = self._examples(self.held_out, _JUDGED)
        self.sampler = self._sampler()
        self.inputs = tf.function(self.sampler.inputs, autograph=False)(tf.constant(0, tf.int64),
                                                                        tf.constant(len(mels)))
        self.real = embed(spectral.log_mel(mels, self.config.audio).numpy())

    def _examples(self, sounds: Any, count: int) -> np.ndarray:
        """The mels of sounds spread over a set, so many or all."""
        return sounds.mels[spaced(len(sounds.mels), count)]

    def _sampler(self) -> Sampler:
        return Sampler(self.model.generator, self.config)

    def dataset(self, start_step: int) -> tf.data.Dataset:
        settings = self.config.training
        return batches(self.sounds.images(), settings.batch_size, settings.seed, start_step)

    def describe(self, logs: dict[str, float]) -> str:
        loss_d, loss_g, real, before, after = (logs[name] for name in self.metrics)
        return (f"Loss_D: {loss_d:.4f}\tLoss_G: {loss_g:.4f}\tD(x): {real:.4f}\t"
                f"D(G(z)): {before:.4f} / {after:.4f}")

    def judge(self) -> float:
        fake = embed(spectral.log_mel(self.sampler.mel(**self.inputs), self.config.audio).numpy())
        return frechet_distance(self.real, fake)

    def preview(self, epoch: int, real: bool) -> None:
        if real:
            mels = self._examples(self.sounds, PREVIEWS)
            self._summaries("real", mels, self.sampler.render(tf.constant(mels)).numpy())
        else:
            made = self.sampler.generate(seed=0, count=PREVIEWS)
            self._summaries("fake", made["mel"], made["audio"])


def spaced(count: int, wanted: int) -> np.ndarray:
    """Indices spread over all classes of a sorted folder."""
    return np.unique(np.linspace(0, count - 1, min(count, wanted)).round().astype(int))
