"""What training generator, encoder and discriminator takes, whatever the family."""

from __future__ import annotations

from melgan_tf.models.sound_task import SoundTask
from melgan_tf.models.vae_gan.config import COMPARED_SOUNDS


class VAEGANTask(SoundTask):
    """Noise to log mel spectrogram, with an encoder beside."""

    minibatch_group = COMPARED_SOUNDS
    compiles_on_cpu = False  # measured: half as fast again without

    def log_line(self, logs: dict[str, float]) -> str:
        return (f"Loss_D: {logs['discriminator/loss']:.4f}\tadversarial: {logs['generator/adversarial']:.4f}\t"
                f"reconstruction: {logs['generator/reconstruction']:.4f}\tKL: {logs['generator/kl']:.2f}\t"
                f"diversity: {logs['generator/spread']:.3f}")

    def extra_metrics(self) -> dict[str, float]:
        return self.artifact_metrics()
