"""What training a vocoder takes, whatever the family."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf

from melgan_tf.data.waveform_dataset import WaveformSet, clip_batches, load_waveforms
from melgan_tf.dsp import spectral
from melgan_tf.models.vocoder_training.train_step import VocoderGAN
from melgan_tf.progress import Progress
from melgan_tf.training.task import PREVIEWS, Task

_SCORED_CLIPS = 64


class VocoderTask(Task):
    """Mel spectrogram to waveform. The score is the mean difference of log mels, real and copied, in dB, of 64
    clips."""

    score_name = "evaluation/mel_db"
    min_shard_size = 1
    sounds: WaveformSet

    def load(self, data: str | Path, progress: Progress) -> WaveformSet:
        return load_waveforms(data, self.config, progress)

    def check(self, progress: Progress) -> None:
        """One sound is enough."""

    @property
    def clips(self) -> int:
        return self.sounds.clips

    def build(self) -> VocoderGAN:
        self.model = VocoderGAN(self.config)
        return self.model

    def setup_validation(self) -> None:
        self.clip = self.validation_sounds.examples(_SCORED_CLIPS)
        self.mels = spectral.mel_spectrogram(tf.constant(self.clip), self.config.audio)
        self._vocode = tf.function(lambda mels: self.model.generator(mels), autograph=False)

    def _copies(self, count: int) -> tf.Tensor:
        return tf.cast(self._vocode(self.mels[:count]), tf.float32)[:, :self.clip.shape[1]]

    def dataset(self, start_step: int) -> tf.data.Dataset:
        return clip_batches(self.sounds, self.config, start_step)

    def log_line(self, logs: dict[str, float]) -> str:
        return (f"Loss_G: {logs['generator/loss']:.4f}\tSTFT: {logs['generator/stft']:.4f}\t"
                f"mel: {logs['generator/mel']:.4f}\tfeatures: {logs['generator/feature_matching']:.4f}\t"
                f"Loss_D: {logs['discriminator/loss']:.4f}")

    def validation_score(self) -> float:
        audio = self.config.audio
        made = spectral.mel_spectrogram(self._copies(len(self.clip)), audio)
        decibels = 20.0 / audio.power
        return float(decibels * tf.reduce_mean(tf.abs(made - self.mels)))

    def preview(self, epoch: int, real: bool) -> None:
        waveforms = self.clip[:PREVIEWS] if real else self._copies(PREVIEWS).numpy()
        mels = spectral.mel_spectrogram(tf.constant(waveforms), self.config.audio).numpy()
        self.summarize("real" if real else "fake", mels, waveforms)
