"""The processes that train one model together, and what they must agree upon.

Every worker takes its part of each step's batch and draws, sums gradients with the others and so holds the same
weights. Whatever Python decides from what only one of them knows, such as the clock, a signal or a file, is agreed upon
here; otherwise they would take different numbers of steps, and wait for each other for ever.

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
from melgan_tf.training.cluster import Place, meet

#: How long to wait until the other workers can be reached, and once more until TensorFlow has connected them.
WAIT_SECONDS = 300.0
#: What TensorFlow raises where a collective operation cannot go on.
_LOST = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError, tf.errors.DeadlineExceededError,
         tf.errors.FailedPreconditionError, tf.errors.InternalError)
#: A process keeps its place for as long as it lives.
_joined: dict[Place, tf.distribute.Strategy] = {}
_TASK = re.compile(r"/job:(\w+)/(?:replica:\d+/)?task:(\d+)")


class Workers:
    """All workers of a run, seen from one of them; without a place the only one.

    Args:
        place: this process in its cluster.
        wait_seconds: how long to wait for the others.

    Attributes:
        count: of workers.
        strategy: `tf.distribute.MultiWorkerMirroredStrategy`; None for the only one.

    Raises:
        MelGANError: others cannot be reached, or TensorFlow was in use before.
    """

    def __init__(self, place: Place | None = None, wait_seconds: float = WAIT_SECONDS) -> None:
        self.place = place
        self.count = len(place.tasks) if place else 1
        self.index = place.index if place else 0
        self.strategy = _join(place, wait_seconds) if place else None
        self._sum = tf.function(self._summed, input_signature=[tf.TensorSpec(None, tf.int64)], autograph=False)

    @property
    def is_chief(self) -> bool:
        """Whether this process writes what the run leaves behind."""
        return self.index == 0

    def rows(self, *values: int) -> np.ndarray:
        """What every worker gives here: int64 ``(workers, values)``. Waits for all."""
        rows = np.zeros((self.count, len(values)), np.int64)
        rows[self.index] = values
        return self._sum(rows).numpy() if self.place else rows

    def given_by(self, giver: int, content: bytes) -> bytes:
        """What one of the workers gives here, on all of them; what the others give does not matter. Waits for all."""
        if not self.place:
            return content
        size = int(self.rows(len(content))[giver, 0])
        if not size:
            return b""
        numbers = np.zeros(-(-size // 8), np.int64)
        if self.index == giver:
            numbers.view(np.uint8)[:size] = np.frombuffer(content, np.uint8)
        return self._sum(numbers).numpy().tobytes()[:size]

    def from_chief(self, state: State | None) -> State | None:
        """What the chief gives, bit for bit; what the others give does not matter."""
        if not self.place:
            return state
        archive = io.BytesIO()
        if self.is_chief and state is not None:
            np.savez(archive, **state)
        received = self.given_by(0, archive.getvalue())
        if not received:
            return None
        with np.load(io.BytesIO(received), allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}

    def require_same(self, facts: Mapping[str, str]) -> None:
        """Refuses workers that were begun in another way than the chief.

        Args:
            facts: what must be the same everywhere, by what it is called.

        Raises:
            UsageError: it is not; every worker says so.
        """
        digests = [int.from_bytes(hashlib.sha256(fact.encode()).digest()[:7], "big") for fact in facts.values()]
        rows = self.rows(*digests)
        for name, column in zip(facts, rows.T, strict=True):
            if strays := [index for index in range(self.count) if column[index] != column[0]]:
                raise UsageError(f"{self.place.name(strays[0])} has other {name} than {self.place.name(0)}: give all "
                                 "workers the same command, the same sounds and the same versions")

    def wait(self) -> None:
        """Waits until all workers are here."""
        self.rows(0)

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Says in one line that another worker is gone.

        Raises:
            MelGANError: it is.
        """
        try:
            yield
        except _LOST as error:
            if not self.place:
                raise
            raise MelGANError(f"{self._lost(str(error))}: this worker stops as well; start all of them again, and "
                              "training goes on from the last checkpoint") from error

    def _lost(self, message: str) -> str:
        for job, number in _TASK.findall(message):
            for index, (name, position, _) in enumerate(self.place.tasks):
                if (name, str(position)) == (job, number) and index != self.index:
                    return f"{self.place.name(index)} is gone"
        return "another worker is gone"

    def _summed(self, values: tf.Tensor) -> tf.Tensor:
        """The sum over workers; each one's first replica counts."""
        replicas = self.strategy.num_replicas_in_sync // self.count

        def give(own: tf.Tensor) -> tf.Tensor:
            context = tf.distribute.get_replica_context()
            first = tf.convert_to_tensor(context.replica_id_in_sync_group) % replicas == 0
            return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.where(first, own, tf.zeros_like(own)))

        return self.strategy.experimental_local_results(self.strategy.run(give, (values,)))[0]


def _join(place: Place, seconds: float) -> tf.distribute.Strategy:
    if place in _joined:
        return _joined[place]
    terminated = signal.getsignal(signal.SIGTERM)
    meet(place, seconds)
    late = (f"melgan-tf: the workers that {place.name(place.index)} has met are gone again: start all of them again")
    try:
        with _guarded(seconds, late):
            strategy = tf.distribute.MultiWorkerMirroredStrategy()
    except RuntimeError as error:
        raise MelGANError(f"this process cannot become {place.name(place.index)} of a cluster any more, as it has used "
                          f"TensorFlow ({error}): train first, or in a process of its own") from None
    except _LOST as error:
        raise MelGANError(f"{place.name(place.index)} cannot join the others, which may be left from an earlier start "
                          f"({str(error).splitlines()[0]}): start all of them again") from None
    finally:
        signal.signal(signal.SIGTERM, terminated or signal.SIG_DFL)  # TensorFlow takes the signal to itself
    _joined[place] = strategy
    return strategy


@contextlib.contextmanager
def _guarded(seconds: float, message: str) -> Iterator[None]:
    """Ends this process if the block takes too long. TensorFlow connects without letting Python run: another process
    looks at the clock."""
    program = ("import os, select, sys\n"
               "if not select.select([0], [], [], float(sys.argv[1]))[0]:\n"
               "    print(sys.argv[2], file=sys.stderr, flush=True)\n"
               "    os.kill(os.getppid(), 9)\n")
    stderr = None
    with contextlib.suppress(AttributeError, OSError, ValueError):
        stderr = sys.stderr.fileno()
    guard = subprocess.Popen([sys.executable, "-ISc", program, str(seconds), message], stdin=subprocess.PIPE,
                             stderr=stderr)
    try:
        yield
    finally:
        guard.stdin.close()
        guard.wait()
