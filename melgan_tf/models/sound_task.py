"""The training task of all families that make sounds from noise."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from melgan_tf.config import AudioConfig
from melgan_tf.data.labels import Classes
from melgan_tf.dsp import spectral
from melgan_tf.evaluation import frechet_distance, with_floor
from melgan_tf.evaluation.artifacts import measure_artifacts
from melgan_tf.evaluation.embeddings.spectra import widening_cells
from melgan_tf.evaluation.embeddings.whitening import Whitening
from melgan_tf.inference.sampler import Sampler
from melgan_tf.inference.vocoder import vocoder_for
from melgan_tf.training.task import PREVIEWS, Task

#: Sounds that the score of a checkpoint is computed from.
SCORED_SOUNDS = 512

#: Fewer examples than this give a warning.
FEW_EXAMPLES = 100


def mel_levels(mels: tf.Tensor, audio: AudioConfig) -> np.ndarray:
    """Levels of mels ``(batch, frames, mel_bins)`` in time cells that widen, above the floor that `evaluate` has: the
    untrained embedding before it is whitened, at the mel's own resolution."""
    return widening_cells(with_floor(spectral.log_mel(mels, audio).numpy() - spectral.full_scale_db(audio)))


class SoundTask(Task):
    """Noise to mel spectrogram. The score is the Fréchet distance to real sounds in the untrained embedding, in mels.

    That needs no vocoder and is cheap enough to compute at every checkpoint. The sounds that `load` returns have
    ``examples(count)``: mels ``(count or fewer, frames, mel_bins)``.
    """

    score_name = "evaluation/frechet_spectra"
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
        levels = mel_levels(mels, self.config.audio)
        self.whitening = Whitening(levels)
        self.real = self.whitening(levels)

    def validation_score(self) -> float:
        made = mel_levels(self.sampler.mel(**self.inputs), self.config.audio)
        return frechet_distance(self.real, self.whitening(made))

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
