"""One training run, from a configuration and a folder to a run directory; begun or resumed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import keras
import tensorflow as tf

from melgan_tf.checkpoints import CheckpointStore, State, collect, restore
from melgan_tf.classes import Classes
from melgan_tf.config import Config, FrameGANConfig, SequenceGANConfig
from melgan_tf.data import SoundSet, steps_per_epoch
from melgan_tf.errors import MelGANError, UsageError
from melgan_tf.model_config import COMPARED_SOUNDS
from melgan_tf.progress import Progress
from melgan_tf.run_directory import RunDirectory, conflicts, write_text
from melgan_tf.training import callbacks as cb
from melgan_tf.training import loop
from melgan_tf.training.adam import Adam
from melgan_tf.training.tasks import Task, task_for
from melgan_tf.waveform_data import WaveformSet

#: Shards of mels smaller than this lose more in their matrix products than they win by running side by side.
_LEAST_SHARD = 32
#: Compiling takes a few seconds; shorter runs end sooner without it.
_LEAST_COMPILED_STEPS = 200
_FRAME_MODELS = FrameGANConfig | SequenceGANConfig


@dataclass(frozen=True)
class Result:
    """How a run ended.

    Attributes:
        steps: steps taken in all.
        epochs: epochs finished in all.
        signal: the signal that stopped it early, or 0.
        sounds: what it learned from.
    """

    steps: int
    epochs: int
    signal: int
    sounds: SoundSet | WaveformSet


@dataclass(frozen=True)
class _Plan:
    """What "auto" comes to on this machine."""

    strategy: tf.distribute.Strategy
    xla: bool
    shards: int


def run(config: Config, data: str | Path, run_directory: str | Path, progress: Progress | None = None,
        fresh: bool = False, valid: str | Path | None = None) -> Result:
    """Trains a model on a folder of sounds, or goes on where an earlier call stopped.

    A resumed run ends with the weights that it would have had if it had never stopped.

    Args:
        config: the resolved configuration.
        data: folder of sounds.
        run_directory: created if missing; everything is written below it.
        progress: told what happens.
        fresh: forget what is in the run directory and start anew.
        valid: folder of sounds that training does not see; the best checkpoint is the one nearest to them. Without it,
            the one that the run was begun with, or else the training sounds.

    Raises:
        UsageError: the run that is there was begun with another configuration.
        MelGANError: unusable data or run directory, damaged checkpoints, non-finite losses. What was saved stays.
    """
    progress = progress or Progress()
    directory = RunDirectory(run_directory)
    with directory.lock():
        if directory.exists() and not fresh and (differing := conflicts(config, directory.config())):
            raise UsageError(f"{directory.path} holds a run that was begun otherwise ({'; '.join(differing)}): give "
                             "another run directory, or begin anew")
        if valid is None and directory.exists() and not fresh:
            valid = directory.record()["data"].get("valid")
        task = task_for(config, data, progress, valid)
        if fresh:
            directory.clear()
        try:
            return _Session(config, Path(data), directory, progress, task).train()
        except tf.errors.OpError as error:
            if "tfevents" not in error.message:
                raise
            reason = error.message.rpartition(";")[2].strip()
            raise MelGANError(f"cannot write {directory.tensorboard}: {reason}") from None


class _Session:
    """One process's part of a run."""

    def __init__(self, config: Config, data: Path, directory: RunDirectory, progress: Progress, task: Task) -> None:
        self.config, self.data, self.directory, self.progress = config, data, directory, progress
        self.task, self.sounds = task, task.sounds
        settings = config.training
        self.per_epoch = steps_per_epoch(task.clips, settings.batch_size)
        self.end = settings.steps or settings.epochs * self.per_epoch
        self.plan = _plan(config, self.end, directory, progress)
        keras.mixed_precision.set_global_policy(settings.precision)
        self.store = CheckpointStore(directory.checkpoints, settings.keep_checkpoints)
        with self.plan.strategy.scope():
            self.model = task.build()
            self.model.compile(_adam(config, "generator"), _adam(config, "discriminator"), self.plan.xla,
                               self.plan.shards)

    def train(self) -> Result:
        start = self._resume()
        self._describe()
        if start >= self.end:
            self.progress.line(f"already trained for {start} steps ({start // self.per_epoch} epochs): nothing to do; "
                               "ask for more with --epochs or --steps")
            return Result(start, start // self.per_epoch, 0, self.sounds)
        dataset = self.task.dataset(start)
        self.task.start_judging()
        writer = tf.summary.create_file_writer(str(self.directory.tensorboard))
        checkpointing, others = self._callbacks(writer, start)
        with cb.Interruption(self.progress) as interruption, self._saving(checkpointing):
            listed = keras.callbacks.CallbackList([*others, checkpointing, interruption], model=self.model)
            try:
                with self.progress.task("training", self.end, "steps", start) as advance:
                    loop.train(self.model, dataset, start, self.end, self.per_epoch, listed, self.plan.strategy,
                               advance)
            except loop.NonFiniteError as error:
                raise loop.NonFiniteError(f"{error}; {self._last_good()}") from None
        step = self._step()
        return Result(step, step // self.per_epoch, interruption.signal, self.sounds)

    def _callbacks(self, writer: tf.summary.SummaryWriter,
                   start: int) -> tuple[cb.Checkpointing, list[keras.callbacks.Callback]]:
        settings = self.config.training
        first_epoch = start // self.per_epoch
        epochs = -(-self.end // self.per_epoch)
        history = cb.History(self.directory, writer, first_epoch, self.task.metrics)
        checkpointing = cb.Checkpointing(self.store, self._state, self._step, start, history, self.task,
                                         settings.checkpoint_every)
        return checkpointing, [cb.LogLine(self.progress, settings.log_every, epochs, self.task.describe), history,
                               cb.Preview(self.task, writer, settings.preview_every, first_epoch)]

    @contextlib.contextmanager
    def _saving(self, checkpointing: cb.Checkpointing) -> Iterator[None]:
        """Whatever way training ends, but for non-finite losses, its last step is saved."""
        with contextlib.suppress(loop.Stop):
            yield
        checkpointing.save(max(0, self._step() - 1) // self.per_epoch)  # the epoch of the last step
        checkpointing.history.flush()

    def _resume(self) -> int:
        found = self.store.newest()
        if found is None:
            return 0
        state, meta, damaged = found
        for line in damaged:
            self.progress.warning(f"{line}: going back to step {meta['step']}")
        begun = {name.split("/", 1)[0] for name in state}
        if meta["step"] == 0 and begun == {"generator"}:  # imported, or started from another run's weights
            restore(state, generator=self.model.generator.variables)
            self.progress.line("starting from the generator that is there; everything else begins anew")
            return 0
        record = self.directory.record()
        self._require_classes(record["data"].get("classes"))
        restore(state, **self.model.parts())
        if record["data"].get("fingerprint") != self.sounds.fingerprint:
            self.progress.warning(f"the sounds have changed since this run began ({record['data'].get('sounds')} then, "
                                  f"{len(self.sounds)} now): it goes on with the new ones")
        self.progress.line(f"resuming at step {meta['step']} (epoch {meta['step'] // self.per_epoch})")
        return meta["step"]

    def _require_classes(self, begun: dict[str, int] | None) -> None:
        """Refuses folders of other names than the run began with: a label's places are theirs."""
        now = self.task.facts().get("classes")
        if begun and now and list(begun) != list(now):
            names = [", ".join(Classes(counts).names) for counts in (begun, now)]
            raise UsageError(f"{self.directory.path} was begun with the classes {names[0]}, but the sounds are of "
                             f"{names[1]}: give the same folders, or another run directory")

    def _describe(self) -> None:
        sounds = self.sounds
        data = {"folder": str(self.data.resolve()), "sounds": len(sounds), "skipped": len(sounds.skipped),
                "fingerprint": sounds.fingerprint, **self.task.facts()}
        resolved = {"xla": self.plan.xla, "shards": self.plan.shards, "steps_per_epoch": self.per_epoch,
                    "replicas": self.plan.strategy.num_replicas_in_sync}
        self.directory.write(self.config, data, resolved)
        write_text(self.directory.skipped_file, "".join(f"{s.name}\t{s.reason}\n" for s in sounds.skipped))

    def _last_good(self) -> str:
        steps = self.store.steps()
        return f"the last good checkpoint is {self.store.file(steps[-1])}" if steps else "there is no checkpoint yet"

    def _state(self) -> State:
        return collect(**self.model.parts())

    def _step(self) -> int:
        return int(self.model.step.numpy())  # mirrored on several devices it has no int() of its own


def mirrored(devices: list[str] | None = None) -> tf.distribute.Strategy:
    """One copy of the model on every device.

    Gradients are added up on one of them. TensorFlow's own choice, collective operations, aborts now and then ("Shape
    mismatch in the collective instance") where a step has two optimizers: the devices do not always begin the two
    reductions in the same order.

    Args:
        devices: by name; all GPUs without.
    """
    return tf.distribute.MirroredStrategy(devices, cross_device_ops=tf.distribute.ReductionToOneDevice())


def _adam(config: Config, player: str) -> keras.optimizers.Optimizer:
    settings = config.training
    rate = getattr(settings, f"{player}_learning_rate")
    if settings.learning_rate_decay < 1:
        rate = keras.optimizers.schedules.ExponentialDecay(rate, 1000, settings.learning_rate_decay)
    adam = Adam(rate, settings.beta_1, settings.beta_2, settings.epsilon,
                name=f"{player}_adam")
    if settings.precision == "mixed_float16":  # half precision underflows without it
        return keras.optimizers.LossScaleOptimizer(adam, name=f"{player}_loss_scale")
    return adam


def _plan(config: Config, steps: int, directory: RunDirectory, progress: Progress) -> _Plan:
    """Decides where and how to compute; a resumed run keeps to what it began with, if it can."""
    settings = config.training
    gpus = tf.config.list_logical_devices("GPU")
    strategy = mirrored() if len(gpus) > 1 else tf.distribute.get_strategy()
    if settings.batch_size % max(1, len(gpus)):
        raise MelGANError(f"training.batch_size is {settings.batch_size}: give a multiple of the {len(gpus)} GPUs")
    begun = directory.record()["resolved"] if directory.exists() else {}
    if settings.xla == "auto":
        frames = isinstance(config.model, _FRAME_MODELS) and not gpus  # measured: half as fast again without
        xla = begun.get("xla", steps >= _LEAST_COMPILED_STEPS and not frames)
        if not xla and not frames:
            progress.line(f"XLA is off: {steps} steps are over before compiling pays (--xla forces it)")
    else:
        xla = settings.xla == "on"
    cores = len(os.sched_getaffinity(0))
    least = 1 if config.is_vocoder else _LEAST_SHARD
    shards = begun.get("shards") or (1 if gpus else max(1, min(cores, settings.batch_size // least)))
    if isinstance(config.model, _FRAME_MODELS) and settings.batch_size % (COMPARED_SOUNDS * shards):
        shards = 1  # whole groups that the discriminator compares
    return _Plan(strategy, xla, shards)
