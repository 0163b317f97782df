"""What happens beside the training steps: log lines, history, TensorBoard, previews, checkpoints, interruption."""

from __future__ import annotations

import csv
import io
import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from melgan_tf import storage
from melgan_tf.progress import Progress
from melgan_tf.storage.atomic import write_text
from melgan_tf.storage.checkpoints import CheckpointStore, State
from melgan_tf.storage.paths import RemotePath
from melgan_tf.storage.run_directory import RunDirectory
from melgan_tf.training.loop import NonFiniteError, Stop
from melgan_tf.training.task import Task

Logs = dict[str, float]


class RemoteWriter:
    """Writes for TensorBoard into a local folder that goes with the process, and copies that when it is flushed.

    TensorFlow's own writer would upload the whole file again after every epoch.

    Args:
        place: the remote folder.
    """

    def __init__(self, place: RemotePath) -> None:
        self.place, self.folder = place, tempfile.TemporaryDirectory(prefix="melgan-tf-")
        self.writer = tf.summary.create_file_writer(self.folder.name)
        self.as_default = self.writer.as_default

    def flush(self) -> None:
        """Puts what was written so far in its place."""
        self.writer.flush()
        for file in Path(self.folder.name).iterdir():
            with storage.uploading(self.place / file.name) as copy:
                shutil.copyfile(file, copy)


def summary_writer(run: RunDirectory) -> tf.summary.SummaryWriter | RemoteWriter:
    """What writes for TensorBoard."""
    if storage.is_remote(run.tensorboard):
        return RemoteWriter(run.tensorboard)
    return tf.summary.create_file_writer(str(run.tensorboard))


class LogLine(keras.callbacks.Callback):
    """Every ``every`` epochs, and after the last one, a line of metrics."""

    def __init__(self, progress: Progress, every: int, epochs: int, describe: Callable[[Logs], str]) -> None:
        super().__init__()
        self.progress, self.every, self.epochs, self.describe = progress, every, epochs, describe

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if epoch % self.every == 0 or epoch == self.epochs - 1:
            self.progress.line(f"[{epoch}/{self.epochs}]\t{self.describe(logs)}")


class History(keras.callbacks.Callback):
    """Figures of every epoch, in history.csv and in TensorBoard.

    A resumed run repeats the epochs since its checkpoint; the rows that are about to be repeated are dropped first.
    """

    def __init__(self, run: RunDirectory, writer: tf.summary.SummaryWriter, first_epoch: int,
                 metrics: tuple[str, ...]) -> None:
        super().__init__()
        self.run, self.writer, self.metrics = run, writer, metrics
        self.columns = ["epoch", "seconds", *metrics]
        self.rows = [row for row in self._stored() if int(row["epoch"]) < first_epoch]
        self.started, self.flushed = time.perf_counter(), 0.0
        self.flush_seconds = 60 if storage.is_remote(run.path) else 10
        self.before = float(self.rows[-1]["seconds"]) if self.rows else 0.0

    def _stored(self) -> list[dict[str, str]]:
        if not self.run.history_file.exists():
            return []
        rows = csv.DictReader(io.StringIO(self.run.history_file.read_text(encoding="utf-8")))
        return [row for row in rows if (row.get("epoch") or "").isdecimal() and row.get("seconds")]

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        now = time.perf_counter()
        values = {name: f"{logs[name]:.6g}" for name in self.metrics}
        self.rows.append({"epoch": epoch, "seconds": f"{self.before + now - self.started:.2f}", **values})
        with self.writer.as_default(epoch):
            for name in self.metrics:
                tf.summary.scalar(name, logs[name])
        if now - self.flushed > self.flush_seconds:
            self.flush()

    def on_train_end(self, logs: Logs | None = None) -> None:
        self.flush()

    def flush(self) -> None:
        """Writes what was recorded so far to disk."""
        text = io.StringIO()
        table = csv.DictWriter(text, self.columns, lineterminator="\n", extrasaction="ignore")
        table.writeheader()
        table.writerows(self.rows)
        write_text(self.run.history_file, text.getvalue())
        self.writer.flush()
        self.flushed = time.perf_counter()


class Checkpointing(keras.callbacks.Callback):
    """Saves every ``every`` epochs and at the end, and remembers the best by the task's own score."""

    def __init__(self, store: CheckpointStore, state: Callable[[], State], step: Callable[[], int], start: int,
                 history: History, task: Task, every: int) -> None:
        super().__init__()
        self.store, self.state, self.step, self.every = store, state, step, every
        self.saved = start or None  # not asked of the store: it may hold a damaged one of the same step
        self.history, self.task, self.writer = history, task, history.writer
        best = store.best_meta()
        self.best = best[task.score_name] if best else float("inf")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if (epoch + 1) % self.every == 0:
            self.save(epoch)

    def save(self, epoch: int) -> None:
        """Saves now, unless this step is saved already.

        Raises:
            NonFiniteError: a weight is infinite or not a number.
            MelGANError: the disk does not take the checkpoint.
        """
        step = self.step()
        if step == self.saved:
            return
        state = self.state()
        for name, values in state.items():
            if not np.all(np.isfinite(values)):
                raise NonFiniteError(f"{name} became infinite or not a number in epoch {epoch + 1}: stopped; lower the "
                                  "learning rates")
        self.history.flush()  # before, so that no epoch behind a checkpoint is ever missing
        distance = self.task.validation_score()
        with self.writer.as_default(epoch):
            for name, value in {self.task.score_name: distance, **self.task.extra_metrics()}.items():
                tf.summary.scalar(name, value)
        self.store.save(state, step, {"epoch": epoch, self.task.score_name: distance,
                                      "audio_fingerprint": self.task.config.audio.fingerprint()})
        self.saved = step
        if distance < self.best:
            self.best = distance
            self.store.mark_best(step)


class Preview(keras.callbacks.Callback):
    """Every ``every`` epochs pictures and sounds of what the model makes, always of the same inputs; real ones once."""

    def __init__(self, task: Task, writer: tf.summary.SummaryWriter, every: int, first_epoch: int) -> None:
        super().__init__()
        self.task, self.writer, self.every, self.first_epoch = task, writer, every, first_epoch

    def on_train_begin(self, logs: Logs | None = None) -> None:
        if self.first_epoch == 0:
            with self.writer.as_default(0):
                self.task.preview(0, real=True)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if (epoch + 1) % self.every == 0:
            with self.writer.as_default(epoch):
                self.task.preview(epoch, real=False)


class Interruption(keras.callbacks.Callback):
    """Turns the first Ctrl-C (or SIGTERM) into an orderly end; a second one ends the process at once.

    Args:
        progress: reports the signal.
        agree: from a signal that came here, or 0, makes the one that all workers stop for, or 0.

    Attributes:
        signal: the one that training stopped for, or 0.
    """

    def __init__(self, progress: Progress, agree: Callable[[int], int] = lambda number: number) -> None:
        super().__init__()
        self.progress, self.agree, self.received, self.signal = progress, agree, 0, 0
        self.previous: dict[int, Any] = {}

    def __enter__(self) -> Interruption:
        self.previous = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self.previous.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.received:
            raise KeyboardInterrupt
        self.received = number
        self.progress.warning("stopping after this step and saving; once more to stop at once")

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self.signal = self.agree(self.received)
        if self.signal:
            raise Stop
