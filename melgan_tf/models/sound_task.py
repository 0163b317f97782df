"""The training task of all families that make sounds from noise."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from melgan_tf.config import AudioConfig
from melgan_tf.data.labels import Classes
from melgan_tf.dsp import spectral
from melgan_tf.evaluation import embed, frechet_distance, with_floor
from melgan_tf.evaluation.artifacts import measure_artifacts
from melgan_tf.inference.sampler import Sampler
from melgan_tf.inference.vocoder import vocoder_for
from melgan_tf.training.task import PREVIEWS, Task

#: Sounds that the score of a checkpoint is computed from.
SCORED_SOUNDS = 512

#: Fewer examples than this give a warning.
FEW_EXAMPLES = 100


def log_mel_statistics(mels: tf.Tensor, audio: AudioConfig) -> np.ndarray:
    """The training-free embedding of mels ``(batch, frames, mel_bins)``, above the floor that `evaluate` has."""
    return embed(with_floor(spectral.log_mel(mels, audio).numpy() - spectral.full_scale_db(audio)))


class SoundTask(Task):
    """Noise to mel spectrogram. The score is the Fréchet distance of log-mel statistics to real sounds.

    That is cheap enough to compute at every checkpoint. The sounds that `load` returns have ``examples(count)``: mels
    ``(count or fewer, frames, mel_bins)``.
    """

    score_name = "evaluation/frechet"
    min_scored = 2  # a distribution has a spread

    @property
    def trained_generator(self) -> Any:
        """The network that is scored and previewed."""
        return self.model.networks["generator"]

    @property
    def classes(self) -> Classes | None:
        """The classes of the sounds, if the model has classes."""
        return None

    def new_sampler(self) -> Sampler:
        """Makes sounds with the network as it is."""
        return self.config.family.load("sampler")(self.trained_generator, self.config, classes=self.classes,
                                                  vocoder=vocoder_for(self.config.audio))

    def setup_validation(self) -> None:
        mels = self.validation_sounds.examples(SCORED_SOUNDS)
        self.sampler = self.new_sampler()
        self.inputs = tf.function(self.sampler.inputs, autograph=False)(tf.constant(0, tf.int64),
                                                                        tf.constant(len(mels)))
        self.real = log_mel_statistics(mels, self.config.audio)

    def validation_score(self) -> float:
        return frechet_distance(self.real, log_mel_statistics(self.sampler.mel(**self.inputs),
                                                                 self.config.audio))

    def preview(self, epoch: int, real: bool) -> None:
        if real:
            mels = self.sounds.examples(PREVIEWS)
            self.summarize("real", mels, self.sampler.render(tf.constant(mels)).numpy())
        else:
            made = self.sampler.generate(seed=0, count=PREVIEWS)
            self.summarize("fake", made["mel"], made["audio"])

    def artifact_metrics(self) -> dict[str, float]:
        """Clicks, hum and the like in what the model makes, by the names of TensorBoard."""
        made = self.sampler.generate(seed=0, count=PREVIEWS)["audio"]
        found = dataclasses.asdict(measure_artifacts(made, self.config.audio.sample_rate))
        return {f"faults/{name}": value for name, value in found.items() if value is not None}
