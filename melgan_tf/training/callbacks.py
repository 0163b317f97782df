"""What happens beside the training steps: log lines, history, TensorBoard, previews, checkpoints, interruption."""

from __future__ import annotations

import csv
import io
import signal
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from melgan_tf import spectral
from melgan_tf.checkpoints import CheckpointStore, State
from melgan_tf.errors import MelGANError
from melgan_tf.evaluation import embed, frechet_distance
from melgan_tf.models.sampler import Sampler
from melgan_tf.pictures import mel_image
from melgan_tf.progress import Progress
from melgan_tf.run_directory import RunDirectory, write_text
from melgan_tf.training.gan import METRICS
from melgan_tf.training.loop import Stop

FRECHET = "evaluation/frechet"
_PREVIEWS = 16
_JUDGED = 512

Logs = dict[str, float]


class LogLine(keras.callbacks.Callback):
    """Every ``every`` epochs, and after the last, the line that the original program printed."""

    def __init__(self, progress: Progress, every: int, epochs: int) -> None:
        super().__init__()
        self.progress, self.every, self.epochs = progress, every, epochs

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if epoch % self.every == 0 or epoch == self.epochs - 1:
            loss_d, loss_g, real, before, after = (logs[name] for name in METRICS)
            self.progress.line(f"[{epoch}/{self.epochs}]\tLoss_D: {loss_d:.4f}\tLoss_G: {loss_g:.4f}\t"
                               f"D(x): {real:.4f}\tD(G(z)): {before:.4f} / {after:.4f}")


class History(keras.callbacks.Callback):
    """Figures of every epoch, in history.csv and in TensorBoard.

    A resumed run repeats the epochs since its checkpoint; the rows that are about to be repeated are dropped first.
    """

    def __init__(self, run: RunDirectory, writer: tf.summary.SummaryWriter, first_epoch: int) -> None:
        super().__init__()
        self.run, self.writer = run, writer
        self.columns = ["epoch", "seconds", *METRICS]
        self.rows = [row for row in self._stored() if int(row["epoch"]) < first_epoch]
        self.began, self.flushed = time.perf_counter(), 0.0
        self.before = float(self.rows[-1]["seconds"]) if self.rows else 0.0

    def _stored(self) -> list[dict[str, str]]:
        if not self.run.history_file.exists():
            return []
        with open(self.run.history_file, newline="", encoding="utf-8") as file:
            return [row for row in csv.DictReader(file) if (row.get("epoch") or "").isdecimal() and row.get("seconds")]

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        now = time.perf_counter()
        figures = {name: f"{logs[name]:.6g}" for name in METRICS}
        self.rows.append({"epoch": epoch, "seconds": f"{self.before + now - self.began:.2f}", **figures})
        with self.writer.as_default(epoch):
            for name in METRICS:
                tf.summary.scalar(name, logs[name])
        if now - self.flushed > 10:
            self.flush()

    def on_train_end(self, logs: Logs | None = None) -> None:
        self.flush()

    def flush(self) -> None:
        """Puts the figures so far on disk."""
        text = io.StringIO()
        table = csv.DictWriter(text, self.columns, lineterminator="\n", extrasaction="ignore")
        table.writeheader()
        table.writerows(self.rows)
        write_text(self.run.history_file, text.getvalue())
        self.writer.flush()
        self.flushed = time.perf_counter()


class Checkpointing(keras.callbacks.Callback):
    """Saves every ``every`` epochs and at the end, and remembers the best by Fréchet distance.

    The distance is that of log-mel statistics between generated mels (one fixed noise) and the training sounds: cheap
    enough to take at every checkpoint, and blind to nothing that the ear would call the same.
    """

    def __init__(self, store: CheckpointStore, state: Callable[[], State], step: Callable[[], int], start: int,
                 history: History, sampler: Sampler, mels: np.ndarray, every: int) -> None:
        super().__init__()
        self.store, self.state, self.step, self.every = store, state, step, every
        self.saved = start or None  # not asked of the store: it may hold a damaged one of the same step
        self.history, self.sampler, self.writer = history, sampler, history.writer
        self.noise = sampler.noise(0, min(_JUDGED, len(mels)))
        self.real = embed(spectral.log_mel(mels[_spaced(len(mels), _JUDGED)], sampler.audio).numpy())
        best = store.best_meta()
        self.best = best[FRECHET] if best else float("inf")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if (epoch + 1) % self.every == 0:
            self.save(epoch)

    def save(self, epoch: int) -> None:
        """Saves now, unless this step is saved already.

        Raises:
            MelGANError: a weight is infinite or not a number, or the disk does not take the checkpoint.
        """
        step = self.step()
        if step == self.saved:
            return
        state = self.state()
        for name, values in state.items():
            if not np.all(np.isfinite(values)):
                raise MelGANError(f"{name} became infinite or not a number in epoch {epoch + 1}: stopped; lower the "
                                  "learning rates")
        self.history.flush()  # before, so that no epoch behind a checkpoint is ever missing
        fake = embed(spectral.log_mel(self.sampler.mel(self.noise), self.sampler.audio).numpy())
        distance = frechet_distance(self.real, fake)
        with self.writer.as_default(epoch):
            tf.summary.scalar(FRECHET, distance)
        self.store.save(state, step, {"epoch": epoch, FRECHET: distance,
                                      "audio_fingerprint": self.sampler.audio.fingerprint()})
        self.saved = step
        if distance < self.best:
            self.best = distance
            self.store.mark_best(step)


class Preview(keras.callbacks.Callback):
    """Every ``every`` epochs: pictures and sounds of the same sixteen noise vectors in TensorBoard; real ones once."""

    def __init__(self, sampler: Sampler, mels: np.ndarray, writer: tf.summary.SummaryWriter, every: int,
                 first_epoch: int) -> None:
        super().__init__()
        self.sampler, self.writer, self.every = sampler, writer, every
        self.mels, self.first_epoch = mels[_spaced(len(mels), _PREVIEWS)], first_epoch

    def on_train_begin(self, logs: Logs | None = None) -> None:
        if self.first_epoch == 0:
            self._write("real", self.mels, self.sampler.render(tf.constant(self.mels)).numpy(), 0)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if (epoch + 1) % self.every == 0:
            sounds = self.sampler.generate(seed=0, count=_PREVIEWS)
            self._write("fake", sounds["mel"], sounds["audio"], epoch)

    def _write(self, name: str, mels: np.ndarray, waveforms: np.ndarray, epoch: int) -> None:
        pictures = mel_image(spectral.log_mel(mels, self.sampler.audio).numpy())
        with self.writer.as_default(epoch):
            tf.summary.image(f"mel/{name}", pictures, max_outputs=_PREVIEWS)
            tf.summary.audio(f"audio/{name}", waveforms[..., None], self.sampler.audio.sample_rate,
                             max_outputs=_PREVIEWS)


class Interruption(keras.callbacks.Callback):
    """Turns the first Ctrl-C (or SIGTERM) into an orderly end; a second one ends the process at once."""

    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self.progress, self.signal = progress, 0
        self.previous: dict[int, Any] = {}

    def __enter__(self) -> Interruption:
        self.previous = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self.previous.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.signal:
            raise KeyboardInterrupt
        self.signal = number
        self.progress.warning("stopping after this step and saving; once more to stop at once")

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        if self.signal:
            raise Stop


def _spaced(count: int, wanted: int) -> np.ndarray:
    """Indices spread over all classes of a sorted folder."""
    return np.unique(np.linspace(0, count - 1, min(count, wanted)).round().astype(int))
