"""What happens beside the training steps: log lines, history, TensorBoard, previews, checkpoints, interruption."""

from __future__ import annotations

import contextlib
import csv
import io
import math
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from melgan_tf import storage
from melgan_tf.errors import MelGANError
from melgan_tf.progress import Progress
from melgan_tf.runtime.signals import StopSignals
from melgan_tf.storage.atomic import write_text
from melgan_tf.storage.checkpoints import CheckpointStore, State
from melgan_tf.storage.paths import RemotePath
from melgan_tf.storage.run_directory import RunDirectory
from melgan_tf.training.guard import Guard
from melgan_tf.training.loop import NonFiniteError, Stop
from melgan_tf.training.task import Task

Logs = dict[str, float]
Meta = dict[str, Any]


class RemoteWriter:
    """Writes for TensorBoard into a local folder, and copies that when it is flushed.

    TensorFlow's own writer would upload the whole file again after every epoch.

    Args:
        place: the remote folder.
        folder: a local one of its own.
    """

    def __init__(self, place: RemotePath, folder: Path) -> None:
        self.place, self.folder = place, folder
        self.writer = tf.summary.create_file_writer(str(folder))
        self.as_default = self.writer.as_default

    def flush(self) -> None:
        """Puts what was written so far in its place."""
        self.writer.flush()
        for file in self.folder.iterdir():
            with storage.uploading(self.place / file.name) as copy:
                shutil.copyfile(file, copy)


@contextlib.contextmanager
def summary_writer(run: RunDirectory, guard: Guard) -> Iterator[tf.summary.SummaryWriter | RemoteWriter]:
    """Gives what writes for TensorBoard; where it cannot, what writes nothing."""
    with contextlib.ExitStack() as stack:
        writer = tf.summary.create_noop_writer()
        with guard("opening the files of TensorBoard"):
            if storage.is_remote(run.tensorboard):
                writer = RemoteWriter(run.tensorboard, stack.enter_context(storage.temporary_folder()))
            else:
                writer = tf.summary.create_file_writer(str(run.tensorboard))
        yield writer


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

    def __init__(self, run: RunDirectory, writer: tf.summary.SummaryWriter | RemoteWriter, first_epoch: int,
                 metrics: tuple[str, ...], guard: Guard) -> None:
        super().__init__()
        self.run, self.writer, self.metrics, self.guard = run, writer, metrics, guard
        self.columns = ["epoch", "seconds", *metrics]
        self.rows: list[dict[str, Any]] = []
        with guard("reading history.csv"):
            self.rows = [row for row in run.history() if int(row["epoch"]) < first_epoch]
        self.started, self.flushed = time.perf_counter(), 0.0
        self.flush_seconds = 60 if storage.is_remote(run.path) else 10
        self.before = float(self.rows[-1]["seconds"]) if self.rows else 0.0

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        now = time.perf_counter()
        values = {name: f"{logs[name]:.6g}" for name in self.metrics}
        self.rows.append({"epoch": epoch, "seconds": f"{self.before + now - self.started:.2f}", **values})
        self.scalars(epoch, {name: logs[name] for name in self.metrics})
        if now - self.flushed > self.flush_seconds:
            self.flush()

    def scalars(self, epoch: int, values: Logs) -> None:
        """Adds figures for TensorBoard."""
        with self.guard("writing for TensorBoard"), self.writer.as_default(epoch):
            for name, value in values.items():
                tf.summary.scalar(name, value)

    def on_train_end(self, logs: Logs | None = None) -> None:
        self.flush()

    def flush(self) -> None:
        """Writes what was recorded so far to disk."""
        text = io.StringIO()
        table = csv.DictWriter(text, self.columns, lineterminator="\n", extrasaction="ignore")
        table.writeheader()
        table.writerows(self.rows)
        with self.guard("writing history.csv"):
            write_text(self.run.history_file, text.getvalue())
        with self.guard("writing for TensorBoard"):
            self.writer.flush()
        self.flushed = time.perf_counter()


class Checkpointing(keras.callbacks.Callback):
    """Saves every ``every`` epochs and at the end; then measures, and remembers the best by the task's own score.

    A checkpoint is saved before it is measured, and once more with its score. So whatever fails, or ends the process,
    while it is measured, costs no training; `finish_newest` makes up for it when the run continues.

    Args:
        store: the checkpoints.
        state, step: what to save, and its number of steps.
        newest: the record of the checkpoint that the model is in the state of; None if there is none.
        history: receives the figures.
        task: measures.
        every: epochs between two checkpoints.
    """

    def __init__(self, store: CheckpointStore, state: Callable[[], State], step: Callable[[], int],
                 newest: Meta | None, history: History, task: Task, every: int) -> None:
        super().__init__()
        self.store, self.state, self.step, self.every = store, state, step, every
        self.newest = newest
        self.history, self.task, self.guard = history, task, history.guard
        self.best = best_score(store, task)

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
        if self.newest and step == self.newest["step"]:
            return
        state = self.state()
        for name, values in state.items():
            if not np.all(np.isfinite(values)):
                raise NonFiniteError(f"{name} became infinite or not a number in epoch {epoch + 1}: stopped; lower the "
                                  "learning rates")
        self.history.flush()  # before, so that no epoch behind a checkpoint is ever missing
        newest = {"epoch": epoch, "audio_fingerprint": self.task.config.audio.fingerprint(), "step": step}
        self.store.save(state, step, newest)
        self.newest = newest
        self._measure(state)

    def finish_newest(self) -> None:
        """Does what is still to do for the checkpoint that the run continues from: a process may have been killed."""
        if self.newest and self.task.score_name not in self.newest:
            self._measure(self.state())
        elif self.newest:
            self._mark_best(self.newest[self.task.score_name])

    def _measure(self, state: State) -> None:
        epoch, step, name = self.newest["epoch"], self.newest["step"], self.task.score_name
        with self.guard("measuring a checkpoint"):
            self.task.require_validation()
            score = self.task.validation_score()
            if not math.isfinite(score):
                raise MelGANError(f"its {name} is {score}")
            self.history.scalars(epoch, {name: score})
            self.newest = {**self.newest, name: score}
            self.store.save(state, step, self.newest)
            self._mark_best(score)
        with self.guard("measuring further figures of a checkpoint"):
            self.history.scalars(epoch, self.task.extra_metrics())

    def _mark_best(self, score: float) -> None:
        with self.guard("keeping the best checkpoint"):
            if score < self.best:
                self.store.mark_best(self.newest["step"])
                self.best = score


def best_score(store: CheckpointStore, task: Task) -> float:
    """The score of the best checkpoint; infinity if there is none."""
    score = (store.best_meta() or {}).get(task.score_name)
    return score if isinstance(score, int | float) else math.inf


class Preview(keras.callbacks.Callback):
    """Every ``every`` epochs pictures and sounds of what the model makes, always of the same inputs; real ones once."""

    def __init__(self, task: Task, history: History, every: int, first_epoch: int) -> None:
        super().__init__()
        self.task, self.history, self.every, self.first_epoch = task, history, every, first_epoch

    def on_train_begin(self, logs: Logs | None = None) -> None:
        if self.first_epoch == 0:
            self._write(0, real=True)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if (epoch + 1) % self.every == 0:
            self._write(epoch, real=False)

    def _write(self, epoch: int, real: bool) -> None:
        with self.history.guard("the preview"), self.history.writer.as_default(epoch):
            self.task.require_validation()
            self.task.preview(epoch, real)


class Interruption(keras.callbacks.Callback):
    """Turns the first signal to stop into an orderly end; a second Ctrl-C ends the process at once.

    Args:
        progress: reports the signal.
        agree: from a signal that came here, or 0, makes the one that all workers stop for, or 0.

    Attributes:
        signal: the one that training stopped for, or 0.
    """

    def __init__(self, progress: Progress, agree: Callable[[int], int] = lambda number: number) -> None:
        super().__init__()
        self.progress, self.agree, self.signal = progress, agree, 0
        self._signals = StopSignals()

    @property
    def received(self) -> int:
        """The signal that came to this process, or 0."""
        return self._signals.received

    def __enter__(self) -> Interruption:
        self._signals.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._signals.__exit__(*exception)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self.signal = self.agree(self.received)
        if self.signal:
            once_more = "; once more to stop at once" if self.signal == signal.SIGINT else ""
            self.progress.warning(f"stopping after this step and saving{once_more}")
            raise Stop
