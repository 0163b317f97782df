"""One training run, from a configuration and a folder to a run directory; new or resumed."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from melgan_tf import storage
from melgan_tf.config import Config, to_dict
from melgan_tf.data.mel_dataset import steps_per_epoch
from melgan_tf.errors import UsageError, is_redacted, visible
from melgan_tf.progress import Progress, counted
from melgan_tf.storage.atomic import write_text
from melgan_tf.storage.checkpoints import CheckpointStore, State, collect, named_variables, restore
from melgan_tf.storage.run_directory import RunDirectory, conflicts, versions
from melgan_tf.training import callbacks as cb
from melgan_tf.training import loop
from melgan_tf.training.cluster import worker_from_environment
from melgan_tf.training.guard import Guard
from melgan_tf.training.initial_weights import InitialWeights, apply_initial_weights, load_initial_weights
from melgan_tf.training.optimizers import adam
from melgan_tf.training.plan import plan
from melgan_tf.training.resolve import introduction
from melgan_tf.training.task import Task, TrainingSounds
from melgan_tf.training.workers import WAIT_SECONDS, Workers
from melgan_tf.weights.licenses import folder_license

_MANY_EPOCHS = 50  # of which progress is told in epochs


@dataclass(frozen=True)
class Result:
    """How a run ended.

    Attributes:
        steps: steps taken in all.
        epochs: epochs finished in all.
        signal: the signal that stopped it early, or 0.
        sounds: what it learned from.
        config: its configuration.
        is_chief: whether this process wrote the run directory: of several workers one does.
        page: where new sounds and one's own can be compared, after fine-tuning.
        findings: what that comparison found, in words.
    """

    steps: int
    epochs: int
    signal: int
    sounds: TrainingSounds
    config: Config
    is_chief: bool = True
    page: Path | None = None
    findings: tuple[str, ...] = ()


def run(config: Config, data: str | Path, run_directory: str | Path, progress: Progress | None = None,
        fresh: bool = False, valid: str | Path | None = None, wait_seconds: float = WAIT_SECONDS,
        init_from: str | Path | None = None) -> Result:
    """Trains a model on a folder of sounds, or continues where an earlier call stopped.

    A resumed run ends with the weights that it would have had if it had never stopped. If ``TF_CONFIG`` names other
    workers, this is one of several processes that train together; only the chief then needs, and writes, the run
    directory.

    Args:
        config: the resolved configuration.
        data: folder of sounds.
        run_directory: created if missing; everything is written below it.
        progress: reports what happens.
        fresh: delete what is in the run directory and start over.
        valid: folder of sounds that training does not see; the best checkpoint is the one nearest to them. Without it,
            the one that the run was started with, or else the training sounds.
        wait_seconds: how long to wait for other workers.
        init_from: a run or a model of the package whose weights a new run starts from: fine-tuning.

    Raises:
        UsageError: the run directory contains a run with another configuration; or ``TF_CONFIG`` is invalid.
        MelGANError: unusable data or run directory, damaged checkpoints, non-finite losses, a lost worker. What was
            saved stays.
    """
    progress = progress or Progress()
    directory = RunDirectory(run_directory)
    spec = worker_from_environment()
    with contextlib.ExitStack() as stack:
        if spec is None or spec.is_chief:
            stack.enter_context(directory.lock())
            valid = _prepare(config, directory, fresh, valid)
        workers = Workers(spec, wait_seconds)
        stack.enter_context(workers.translate_errors())
        workers.assert_equal({"settings": json.dumps(to_dict(config)), "versions": json.dumps(versions())})
        resuming = not fresh and CheckpointStore(directory.checkpoints).steps()
        initial = load_initial_weights(init_from, progress) if init_from and not resuming else None
        task = config.family.load("task")(config, data, progress, valid if workers.is_chief else None)
        if fresh and workers.is_chief:
            directory.clear()
        return _Session(config, storage.path(data), directory, progress, task, workers, initial).train()


def _prepare(config: Config, directory: RunDirectory, fresh: bool, valid: str | Path | None) -> str | Path | None:
    """Refuses a run with another configuration; returns the folder of validation sounds."""
    if not directory.exists() or fresh:
        return valid
    if differing := conflicts(config, directory.config()):
        raise UsageError(f"{directory.path} contains a run started with a different configuration "
                         f"({'; '.join(differing)}): give another run directory, or start over with fresh")
    before = directory.record()["data"].get("valid")
    if valid is None and before and is_redacted(before):
        raise UsageError(f"the run was started with the validation sounds {before}, whose address was recorded without "
                         "its secrets: give the full one again (--valid)")
    return before if valid is None else valid


class _Session:
    """One process's part of a run."""

    def __init__(self, config: Config, data: Path, directory: RunDirectory, progress: Progress, task: Task,
                 workers: Workers, initial: InitialWeights | None = None) -> None:
        self.config, self.data, self.directory, self.progress = config, data, directory, progress
        self.task, self.sounds, self.workers, self.initial = task, task.sounds, workers, initial
        settings = config.training
        workers.assert_equal({"sounds": task.sounds.fingerprint})
        self.per_epoch = steps_per_epoch(task.clips, settings.batch_size)
        self.end = settings.steps or settings.epochs * self.per_epoch
        previous = directory.record()["resolved"] if workers.is_chief and directory.exists() else {}
        self.plan = plan(task, config, self.end, previous, progress, workers)
        keras.mixed_precision.set_global_policy(settings.precision)
        self.store = CheckpointStore(directory.checkpoints, settings.keep_checkpoints)
        self.newest: dict[str, Any] | None = None  # the record of the checkpoint that training continues from
        with self.plan.strategy.scope():
            self.model = task.build()
            self.model.compile(adam(config, "generator"), adam(config, "discriminator"), self.plan.xla,
                               self.plan.shards)

    def train(self) -> Result:
        start = self._resume()
        if self.workers.is_chief:
            self._describe()
        if start >= self.end:
            done = f"{counted(start, 'step')} ({counted(start // self.per_epoch, 'epoch')})"
            self.progress.line(f"already trained for {done}: nothing to do; ask for more with --epochs or --steps")
            self._finish_newest(start)
            return self._result(0)
        classes = getattr(self.task, "classes", None)
        if not start:
            self.progress.line(introduction(self.config, self.initial.source if self.initial else ""))
        folders = f" in {counted(len(classes), 'class')}" if classes and len(classes) > 1 else ""
        self.progress.line(f"{counted(len(self.sounds), 'sound')}{folders}; building the model: once, about half a "
                           "minute")
        dataset = self.task.dataset(start)
        with cb.Interruption(self.progress, self._agreed_signal) as interruption, self._recording(start) as callbacks:
            listed = keras.callbacks.CallbackList([*callbacks, interruption], model=self.model)
            with self._counting(start) as advance, contextlib.suppress(loop.Stop):
                loop.train(self.model, dataset, start, self.end, self.per_epoch, listed, self.plan.strategy, advance,
                           lambda count: int(self.workers.all_gather(count).min()))
        self.workers.wait()  # until the chief has saved
        return self._result(interruption.signal)

    @contextlib.contextmanager
    def _counting(self, start: int) -> Iterator[Callable[[int], None]]:
        """Reports progress in epochs or, of a run with few, in steps; yields what takes the number of steps done."""
        each = self.per_epoch if self.end >= _MANY_EPOCHS * self.per_epoch else 1
        step = start
        with self.progress.task("training", -(-self.end // each), "steps" if each == 1 else "epochs",
                                start // each) as advance:
            def count(steps: int) -> None:
                nonlocal step
                if done := (step + steps) // each - step // each:
                    advance(done)
                step += steps

            yield count

    def _agreed_signal(self, received: int) -> int:
        return int(self.workers.all_gather(received).max())

    def _result(self, signal: int) -> Result:
        step = self._step()
        return Result(step, step // self.per_epoch, signal, self.sounds, self.config, self.workers.is_chief)

    def _finish_newest(self, start: int) -> None:
        """Does what a process that was killed after its last step did not come to."""
        name = self.task.score_name
        if self.newest and (name not in self.newest or self.newest[name] < cb.best_score(self.store, self.task)):
            with self._recording(start):
                pass

    @contextlib.contextmanager
    def _recording(self, start: int) -> Iterator[list[keras.callbacks.Callback]]:
        """What writes while training runs. Where it ends without an error, its last step is saved."""
        if not self.workers.is_chief:
            yield []
            return
        guard = Guard(self.progress)
        with cb.summary_writer(self.directory, guard) as writer:
            checkpointing, callbacks = self._callbacks(writer, start, guard)
            checkpointing.finish_newest()
            try:
                yield callbacks
            except loop.NonFiniteError as error:
                raise loop.NonFiniteError(f"{error}; {self._last_good()}") from None
            checkpointing.save(max(0, self._step() - 1) // self.per_epoch)  # the epoch of the last step
            checkpointing.history.flush()

    def _callbacks(self, writer: tf.summary.SummaryWriter | cb.RemoteWriter, start: int,
                   guard: Guard) -> tuple[cb.Checkpointing, list[keras.callbacks.Callback]]:
        settings = self.config.training
        first_epoch = start // self.per_epoch
        epochs = -(-self.end // self.per_epoch)
        history = cb.History(self.directory, writer, first_epoch, self.model.METRICS, guard)
        checkpointing = cb.Checkpointing(self.store, self._state, self._step, self.newest, history, self.task,
                                         settings.checkpoint_every)
        return checkpointing, [cb.LogLine(self.progress, settings.log_every, epochs, self.task.log_line), history,
                               checkpointing, cb.Preview(self.task, history, settings.preview_every, first_epoch)]

    def _resume(self) -> int:
        state = self.workers.broadcast_state(self._found() if self.workers.is_chief else None)
        if state is None:
            if self.initial:
                self.progress.line(apply_initial_weights(self.initial, self.task))
            return 0
        step = int(state.pop("meta/step"))
        if _is_start(state, step):
            restore(state, generator=self.model.generator.variables)
            self.progress.line("starting from the generator in the checkpoint; everything else is new")
            return 0
        restore(state, **self.model.parts())
        self.progress.line(f"resuming at step {step} (epoch {step // self.per_epoch})")
        return step

    def _found(self) -> State | None:
        """The newest checkpoint, if there is one, and its step."""
        found = self.store.newest(dict.fromkeys(named_variables(self.model.parts())))
        if found is None:
            return None
        state, meta, damaged = found
        for line in damaged:
            self.progress.warning(f"{line}: going back to step {meta['step']}")
        if not _is_start(state, meta["step"]):
            record = self.directory.record()
            self.task.check_resumable(record["data"])
            if record["data"].get("fingerprint") != self.sounds.fingerprint:
                self.progress.warning(f"the sounds have changed since this run started "
                                      f"({record['data'].get('sounds')} then, {len(self.sounds)} now): training "
                                      "continues with the new ones")
            self.newest = meta
        return {**state, "meta/step": np.array(meta["step"])}

    def _describe(self) -> None:
        sounds = self.sounds
        data = {"folder": str(self.data.resolve()), "sounds": len(sounds), "skipped": len(sounds.skipped),
                "fingerprint": sounds.fingerprint,
                **({"licence": found} if (found := folder_license(self.data)) else {}), **self.task.metadata(),
                **self._origin()}
        resolved = {"xla": self.plan.xla, "shards": self.plan.shards, "steps_per_epoch": self.per_epoch,
                    "replicas": self.plan.strategy.num_replicas_in_sync}
        self.directory.write(self.config, data, resolved)
        skipped = (f"{visible(item.name)}\t{visible(item.reason)}\n" for item in sounds.skipped)
        write_text(self.directory.skipped_file, "".join(skipped))

    def _origin(self) -> dict[str, Any]:
        """What the run started from; a resumed run keeps what it recorded."""
        if self.store.steps() and self.directory.exists():
            before = self.directory.record()["data"].get("init_from")
        else:
            before = self.initial.record if self.initial else None
        return {"init_from": before} if before else {}

    def _last_good(self) -> str:
        steps = self.store.steps()
        return f"the last good checkpoint is {self.store.file(steps[-1])}" if steps else "there is no checkpoint yet"

    def _state(self) -> State:
        return collect(**self.model.parts())

    def _step(self) -> int:
        return int(self.model.step.numpy())  # mirrored on several devices it has no int() of its own


def _is_start(state: State, step: int) -> bool:
    """Whether a checkpoint holds a generator only: imported, or taken from another run to start from."""
    return step == 0 and {name.split("/", 1)[0] for name in state} == {"generator"}
