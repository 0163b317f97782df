"""What "auto" resolves to: on which devices a run computes, whether compiled, in how many shards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from melgan_tf.config import Config
from melgan_tf.errors import UsageError
from melgan_tf.progress import Progress
from melgan_tf.runtime import system
from melgan_tf.training.workers import Workers

if TYPE_CHECKING:
    from melgan_tf.training.task import Task

#: Compiling takes a few seconds; shorter runs end sooner without it.
_MIN_COMPILED_STEPS = 200


@dataclass(frozen=True)
class Plan:
    """What "auto" resolves to on this machine.

    Attributes:
        strategy: one device, several, or several workers.
        xla: whether the programs of a step are compiled.
        shards: pieces that each replica's part of a batch is cut into, to run side by side.
    """

    strategy: tf.distribute.Strategy
    xla: bool
    shards: int


def plan(task: type[Task] | Task, config: Config, steps: int, previous: dict[str, Any], progress: Progress,
         workers: Workers | None = None, strategy: tf.distribute.Strategy | None = None) -> Plan:
    """Decides where and how to compute; a resumed run keeps what it started with, if it can.

    Among several workers the chief decides for all.

    Args:
        task: what kind of training it is.
        config: the resolved configuration.
        steps: of the whole run.
        previous: the plan that the run started with, as config.json records it; empty for a new run.
        progress: reports why XLA is off.
        workers: all that train; by default only this process.
        strategy: overrides the one that follows from the devices.

    Raises:
        UsageError: the batch cannot be divided among the replicas.
    """
    workers = workers or Workers()
    gpus = tf.config.list_logical_devices("GPU")
    strategy = strategy or workers.strategy or (mirrored() if len(gpus) > 1 else tf.distribute.get_strategy())
    replicas, size = strategy.num_replicas_in_sync, config.training.batch_size
    if size % (replicas * task.minibatch_group):
        group = task.minibatch_group
        compared = f", each of which compares sounds in groups of {group}" if group > 1 else ""
        raise UsageError(f"training.batch_size is {size}: give a multiple of {replicas * group}, for {replicas} "
                         f"replicas (GPUs or workers){compared}")
    xla = _xla(task, config, steps, previous, progress, workers, bool(gpus))
    own = size // replicas
    cores = system.cores()
    shards = 1 if gpus else max(1, min(cores // _neighbors(workers), own // task.min_shard_size))
    if previous.get("shards"):  # their total stays the same, whatever the number of replicas
        before = previous["shards"] * previous.get("replicas", 1)
        shards = before // replicas if before % replicas == 0 else shards
    if task.minibatch_group > 1 and own % (task.minibatch_group * shards):
        shards = 1  # whole groups that the discriminator compares
    xla, shards = workers.all_gather(xla, shards)[0]
    return Plan(strategy, bool(xla), int(shards))


def _xla(task: type[Task] | Task, config: Config, steps: int, previous: dict[str, Any], progress: Progress,
         workers: Workers, gpus: bool) -> bool:
    if workers.count > 1 and not gpus:
        if workers.is_chief:
            progress.line("XLA is off: with several workers it crashes on CPUs")
        return False
    if config.training.xla != "auto":
        return config.training.xla == "on"
    pays = task.compiles_on_cpu or gpus
    xla = previous.get("xla", steps >= _MIN_COMPILED_STEPS and pays)
    if not xla and pays:
        progress.line(f"XLA is off: {steps} steps are over before compiling pays (--xla forces it)")
    return xla


def _neighbors(workers: Workers) -> int:
    """Workers on this one's machine, which share its cores."""
    if workers.spec is None:
        return 1
    hosts = [address.rpartition(":")[0] for _, _, address in workers.spec.tasks]
    return hosts.count(hosts[workers.index])


def mirrored(devices: list[str] | None = None) -> tf.distribute.Strategy:
    """One copy of the model on every device.

    Gradients are added up on one of them. TensorFlow's own choice, collective operations, aborts now and then ("Shape
    mismatch in the collective instance") where a step has two optimizers: the devices of one process do not always
    start the two reductions in the same order.

    Args:
        devices: by name; all GPUs without.
    """
    return tf.distribute.MirroredStrategy(devices, cross_device_ops=tf.distribute.ReductionToOneDevice())
