"""The processes that train one model together, and what they must agree on.

Every worker takes its part of each step's batch and random numbers, sums gradients with the others and so has the same
weights. Whatever Python decides from what only one of them knows, such as the clock, a signal or a file, they agree on
here; otherwise they would take different numbers of steps, and wait for each other forever.

TensorFlow runs the collective operations of a process in the order in which they are issued. That order is the same
everywhere, because every worker runs the same program, in which each follows from the last.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping

import numpy as np
import tensorflow as tf

from melgan_tf.errors import MelGANError, UsageError
from melgan_tf.storage.checkpoints import State
from melgan_tf.training import kill_after
from melgan_tf.training.cluster import WorkerSpec, wait_for_peers

#: How long to wait until the other workers can be reached, and once more until TensorFlow has connected them.
WAIT_SECONDS = 300.0
#: What TensorFlow raises where a collective operation cannot continue.
_LOST = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError, tf.errors.DeadlineExceededError,
         tf.errors.FailedPreconditionError, tf.errors.InternalError)
#: A process stays the same worker for as long as it lives.
_joined: dict[WorkerSpec, tf.distribute.Strategy] = {}
_TASK = re.compile(r"/job:(\w+)/(?:replica:\d+/)?task:(\d+)")


class Workers:
    """All workers of a run, seen from one of them.

    Args:
        spec: this process in its cluster; None: it is the only one.
        wait_seconds: how long to wait for the others.

    Attributes:
        count: of workers.
        strategy: `tf.distribute.MultiWorkerMirroredStrategy`; None for the only one.

    Raises:
        MelGANError: others cannot be reached, or TensorFlow was in use before.
    """

    def __init__(self, spec: WorkerSpec | None = None, wait_seconds: float = WAIT_SECONDS) -> None:
        self.spec = spec
        self.count = len(spec.tasks) if spec else 1
        self.index = spec.index if spec else 0
        self.strategy = _join(spec, wait_seconds) if spec else None
        self._sum = tf.function(self._summed, input_signature=[tf.TensorSpec(None, tf.int64)], autograph=False)

    @property
    def is_chief(self) -> bool:
        """Whether this process writes what the run leaves behind."""
        return self.index == 0

    def all_gather(self, *values: int) -> np.ndarray:
        """The values of all workers, int64 ``(workers, values)``. Waits for all of them."""
        rows = np.zeros((self.count, len(values)), np.int64)
        rows[self.index] = values
        return self._sum(rows).numpy() if self.spec else rows

    def broadcast_state(self, state: State | None) -> State | None:
        """The chief's state, bit for bit, on all workers; what the others pass does not matter."""
        if not self.spec:
            return state
        archive = io.BytesIO()
        if self.is_chief and state is not None:
            np.savez(archive, **state)
        size = int(self.all_gather(archive.tell())[0, 0])
        if not size:
            return None
        numbers = np.zeros(-(-size // 8), np.int64)
        if self.is_chief:
            numbers.view(np.uint8)[:size] = np.frombuffer(archive.getvalue(), np.uint8)
        with np.load(io.BytesIO(self._sum(numbers).numpy().tobytes()[:size]), allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}

    def assert_equal(self, facts: Mapping[str, str]) -> None:
        """Refuses workers that differ from the chief.

        Args:
            facts: what must be the same everywhere, by what it is called.

        Raises:
            UsageError: it is not; every worker says so.
        """
        digests = [int.from_bytes(hashlib.sha256(fact.encode()).digest()[:7], "big") for fact in facts.values()]
        rows = self.all_gather(*digests)
        for name, column in zip(facts, rows.T, strict=True):
            if strays := [index for index in range(self.count) if column[index] != column[0]]:
                raise UsageError(f"{self.spec.name(strays[0])} has other {name} than {self.spec.name(0)}: give all "
                                 "workers the same command, the same sounds and the same versions")

    def wait(self) -> None:
        """Waits until all workers are here."""
        self.all_gather(0)

    @contextlib.contextmanager
    def translate_errors(self) -> Iterator[None]:
        """Turns TensorFlow's errors about a lost worker into one line.

        Raises:
            MelGANError: another worker is gone.
        """
        try:
            yield
        except _LOST as error:
            if not self.spec:
                raise
            raise MelGANError(f"{self._lost(str(error))}: this worker stops as well; start all of them again, and "
                              "training continues from the last checkpoint") from error

    def _lost(self, message: str) -> str:
        for job, number in _TASK.findall(message):
            for index, (name, position, _) in enumerate(self.spec.tasks):
                if (name, str(position)) == (job, number) and index != self.index:
                    return f"{self.spec.name(index)} is gone"
        return "another worker is gone"

    def _summed(self, values: tf.Tensor) -> tf.Tensor:
        """The sum over workers; each one's first replica counts."""
        replicas = self.strategy.num_replicas_in_sync // self.count

        def give(own: tf.Tensor) -> tf.Tensor:
            context = tf.distribute.get_replica_context()
            first = tf.convert_to_tensor(context.replica_id_in_sync_group) % replicas == 0
            return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.where(first, own, tf.zeros_like(own)))

        return self.strategy.experimental_local_results(self.strategy.run(give, (values,)))[0]


def _join(spec: WorkerSpec, seconds: float) -> tf.distribute.Strategy:
    if spec in _joined:
        return _joined[spec]
    terminated = signal.getsignal(signal.SIGTERM)
    wait_for_peers(spec, seconds)
    late = (f"melgan-tf: the workers that {spec.name(spec.index)} has met are gone: start all of them again")
    try:
        with _kill_after(seconds, late):
            strategy = tf.distribute.MultiWorkerMirroredStrategy()
    except RuntimeError as error:
        raise MelGANError(f"this process cannot become {spec.name(spec.index)} of a cluster any more, as it has used "
                          f"TensorFlow ({error}): train first, or in a process of its own") from None
    except _LOST as error:
        raise MelGANError(f"{spec.name(spec.index)} cannot join the others, which may be left from an earlier start "
                          f"({str(error).splitlines()[0]}): start all of them again") from None
    finally:
        signal.signal(signal.SIGTERM, terminated or signal.SIG_DFL)  # TensorFlow takes the signal to itself
    _joined[spec] = strategy
    return strategy


@contextlib.contextmanager
def _kill_after(seconds: float, message: str) -> Iterator[None]:
    """Ends this process if the block takes longer; see `melgan_tf.training.kill_after`."""
    stderr = None
    with contextlib.suppress(AttributeError, OSError, ValueError):
        stderr = sys.stderr.fileno()
    guard = subprocess.Popen([sys.executable, "-IS", kill_after.__file__, str(seconds), message],
                             stdin=subprocess.PIPE, stderr=stderr)
    try:
        yield
    finally:
        guard.stdin.close()
        guard.wait()
