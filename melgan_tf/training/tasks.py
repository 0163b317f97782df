"""What is trained: for each kind of model its data, its training step, its log line, its figure and its previews.

`melgan_tf.training.run` asks a task for these and treats all models alike.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from melgan_tf import spectral, storage
from melgan_tf.classes import Classes
from melgan_tf.config import Config
from melgan_tf.data import SoundSet, batches, class_shares, labelled_batches, load_folder
from melgan_tf.evaluation import embed, frechet_distance
from melgan_tf.evaluation.faults import faults
from melgan_tf.model_config import COMPARED_SOUNDS, STEP_FRAMES
from melgan_tf.models.sampler import Sampler
from melgan_tf.models.sequence_gan import CONTEXT_STEPS
from melgan_tf.models.sequence_sampler import SequenceSampler
from melgan_tf.pictures import mel_image
from melgan_tf.progress import Progress
from melgan_tf.shared_reading import Share
from melgan_tf.training import frame_gan, gan, sequence_gan, vocoder
from melgan_tf.vocoders import vocoder_for
from melgan_tf.waveform_data import WaveformSet, clip_batches, load_waveforms
from melgan_tf.window_data import WindowSet, load_windows, window_batches

PREVIEWS = 16
_JUDGED = 512
_COPIED = 64
_FEW = 100


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


class SpectrogramTask(Task):
    """Noise to mel spectrogram. Judged by the Fréchet distance of log-mel statistics to real sounds.

    That is cheap enough to take at every checkpoint, and blind to nothing that the ear would call the same.
    """

    figure = "evaluation/frechet"
    metrics = gan.METRICS
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
        self.model = gan.SpectrogramGAN(self.config)
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


class FrameTask(SpectrogramTask):
    """Noise and class to mel spectrogram."""

    metrics = frame_gan.METRICS
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
        self.model = frame_gan.FrameGAN(self.config, class_shares(counts, self.config.model.class_balance))
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


class SequenceTask(FrameTask):
    """Sequences of noise to mel spectrograms of any length. Judged, and shown, by windows."""

    metrics = sequence_gan.METRICS
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
        self.model = sequence_gan.SequenceGAN(self.config)
        return self.model

    def _sampler(self) -> Sampler:
        return SequenceSampler(self.model.average, self.config, vocoder=vocoder_for(self.config.audio))

    def _examples(self, sounds: WindowSet, count: int) -> np.ndarray:
        return sounds.examples(count)

    def dataset(self, start_step: int) -> tf.data.Dataset:
        settings = self.config.training
        return window_batches(self.sounds, settings.batch_size, CONTEXT_STEPS * STEP_FRAMES, settings.seed, start_step)


class VocoderTask(Task):
    """Mel spectrogram to waveform. Judged by the log mels of 64 clips: real against copied, mean difference in dB."""

    figure = "evaluation/mel_db"
    metrics = vocoder.METRICS
    least_shard = 1
    sounds: WaveformSet

    def _load(self, data: str | Path, progress: Progress, share: Share | None = None) -> WaveformSet:
        return load_waveforms(data, self.config, progress, share)

    def check(self, progress: Progress) -> None:
        """One sound is enough."""

    @property
    def clips(self) -> int:
        return self.sounds.clips

    def build(self) -> keras.Model:
        self.model = vocoder.VocoderGAN(self.config)
        return self.model

    def start_judging(self) -> None:
        self.clip = self.held_out.examples(_COPIED)
        self.mels = spectral.mel_spectrogram(tf.constant(self.clip), self.config.audio)
        self._vocode = tf.function(lambda mels: self.model.generator(mels), autograph=False)

    def _copies(self, count: int) -> tf.Tensor:
        return tf.cast(self._vocode(self.mels[:count]), tf.float32)[:, :self.clip.shape[1]]

    def dataset(self, start_step: int) -> tf.data.Dataset:
        return clip_batches(self.sounds, self.config, start_step)

    def describe(self, logs: dict[str, float]) -> str:
        return (f"Loss_G: {logs['generator/loss']:.4f}\tSTFT: {logs['generator/stft']:.4f}\t"
                f"mel: {logs['generator/mel']:.4f}\tfeatures: {logs['generator/feature_matching']:.4f}\t"
                f"Loss_D: {logs['discriminator/loss']:.4f}")

    def judge(self) -> float:
        audio = self.config.audio
        made = spectral.mel_spectrogram(self._copies(len(self.clip)), audio)
        decibels = 20.0 / audio.power
        return float(decibels * tf.reduce_mean(tf.abs(made - self.mels)))

    def preview(self, epoch: int, real: bool) -> None:
        waveforms = self.clip[:PREVIEWS] if real else self._copies(PREVIEWS).numpy()
        mels = spectral.mel_spectrogram(tf.constant(waveforms), self.config.audio).numpy()
        self._summaries("real" if real else "fake", mels, waveforms)


def task_for(config: Config, data: str | Path, progress: Progress, valid: str | Path | None = None,
             share: Share | None = None) -> Task:
    """Reads the sounds for a configuration's kind of training; see `Task`."""
    kinds = {"spectrogram-gan": SpectrogramTask, "frame-gan": FrameTask, "sequence-gan": SequenceTask}
    return kinds.get(config.model.kind, VocoderTask)(config, data, progress, valid, share)


def spaced(count: int, wanted: int) -> np.ndarray:
    """Indices spread over all classes of a sorted folder."""
    return np.unique(np.linspace(0, count - 1, min(count, wanted)).round().astype(int))
