"""What a family of models brings to the training engine: its data, model, log line, score and previews.

`melgan_tf.training.run` asks a task for these and treats all families alike.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from melgan_tf import storage
from melgan_tf.config import Config
from melgan_tf.dsp import spectral
from melgan_tf.dsp.spectrogram_image import mel_image
from melgan_tf.errors import MelGANError
from melgan_tf.progress import Progress, counted
from melgan_tf.storage.checkpoints import State
from melgan_tf.training.gan import GAN

#: Sounds in a preview.
PREVIEWS = 16


class TrainingSounds(Protocol):
    """Sounds that were read: what the engine needs to know of them.

    Attributes:
        fingerprint: hexadecimal digits of the names and contents of the files.
        skipped: files that were not used, each with ``name`` and ``reason``.
    """

    fingerprint: str
    skipped: Sequence[Any]

    def __len__(self) -> int:
        """Number of sounds."""

    def examples(self, count: int) -> np.ndarray:
        """At most ``count`` examples of the sounds: whole ones, or pieces of one length."""


class Task(ABC):
    """One kind of training.

    Args:
        config: the run's configuration.
        data: folder of sounds.
        progress: reports every file.
        valid: folder of sounds that training does not see, for the score; without it those of ``data``.

    Attributes:
        score_name: what `validation_score` returns is called in checkpoints and TensorBoard.
        model: set by `build`.
        minibatch_group: sounds that the model compares with each other; shards hold whole groups.
        example: what an example is called.
        min_scored: fewest examples that `validation_score` can be taken from.
        min_shard_size: a smaller shard loses more than it wins by running beside others.
        bars: of an example, for lines in its pictures; 0: it has none.
        compiles_on_cpu: whether XLA makes its steps faster on a CPU.
        sounds: what was read.
        validation_sounds: what the score is taken from.
    """

    score_name: str
    model: GAN
    minibatch_group = 1
    example = "sound"
    min_scored = 1
    min_shard_size = 32  # in matrix products of mels
    bars = 0
    compiles_on_cpu = True

    def __init__(self, config: Config, data: str | Path, progress: Progress, valid: str | Path | None = None) -> None:
        self.config, self.valid = config, valid
        self.sounds = self.load(data, progress)
        if config.data.hold_out:
            found, self.sounds = len(self.sounds), self.sounds.seen(config.data.hold_out)
            progress.line(f"{found - len(self.sounds)} of {counted(found, 'sound')} are kept aside, to compare with "
                          "(--set data.hold_out=0 learns from all)")
        self.check(progress)
        self.validation_sounds = self.load(valid, progress) if valid else self.sounds
        self._validation_ready = False
        self._check_scored(valid or data)

    @abstractmethod
    def load(self, data: str | Path, progress: Progress) -> TrainingSounds:
        """Reads sounds."""

    def _check_scored(self, place: str | Path) -> None:
        found = len(self.validation_sounds.examples(self.min_scored))
        if found < self.min_scored:
            skipped = self.validation_sounds.skipped
            why = f" ({len(skipped)} files were skipped; {skipped[0].name}: {skipped[0].reason})" if skipped else ""
            raise MelGANError(f"{place} has {found} usable {self.example}{why}, but comparing checkpoints takes "
                              f"{self.min_scored} or more: add sounds, or give a folder of others with --valid")

    @abstractmethod
    def check(self, progress: Progress) -> None:
        """Raises an error for too few sounds, or warns."""

    @property
    @abstractmethod
    def clips(self) -> int:
        """Number of examples in an epoch."""

    def metadata(self) -> dict[str, Any]:
        """What else config.json records about the sounds."""
        return {"valid": str(storage.path(self.valid).resolve())} if self.valid else {}

    def check_resumable(self, before: dict[str, Any]) -> None:  # noqa: B027  most families accept any sounds
        """Raises a `UsageError` if a run cannot continue with these sounds; families with classes override it.

        Args:
            before: what config.json recorded about the sounds when the run started.
        """

    @abstractmethod
    def build(self) -> GAN:
        """Builds `model`, not compiled."""

    def adapt_weights(self, state: State, classes: tuple[str, ...]) -> State:
        """The weights of another run, rearranged for the sounds of this one; families with classes override it.

        Args:
            state: networks' variables by the names of checkpoints.
            classes: the names of the other run's classes.
        """
        return state

    @abstractmethod
    def setup_validation(self) -> None:
        """Prepares `validation_score` and the previews, after the weights are in place."""

    def require_validation(self) -> None:
        """Calls `setup_validation`, unless it was called before and did not fail."""
        if not self._validation_ready:
            self.setup_validation()
            self._validation_ready = True

    @abstractmethod
    def dataset(self, start_step: int) -> tf.data.Dataset:
        """Endless batches; the first is that of step ``start_step``."""

    @abstractmethod
    def log_line(self, logs: dict[str, float]) -> str:
        """An epoch's mean metrics, for the log."""

    @abstractmethod
    def validation_score(self) -> float:
        """How far the model is from the real sounds; lower is better."""

    def extra_metrics(self) -> dict[str, float]:
        """Further metrics for TensorBoard at every checkpoint, by name."""
        return {}

    @abstractmethod
    def preview(self, epoch: int, real: bool) -> None:
        """Writes pictures and sounds to the current summary writer: real ones, or what the model makes."""

    def summarize(self, name: str, mels: np.ndarray, waveforms: np.ndarray) -> None:
        """Writes mels ``(count, frames, mel_bins)`` and waveforms ``(count, samples)`` to the summary writer."""
        audio = self.config.audio
        pictures = mel_image(spectral.log_mel(mels, audio).numpy(), bars=self.bars)
        tf.summary.image(f"mel/{name}", pictures, max_outputs=PREVIEWS)
        tf.summary.audio(f"audio/{name}", waveforms[..., None], audio.sample_rate, max_outputs=PREVIEWS)
