"""A pool of processes that run a task on many files; a decoder that crashes, hangs or exhausts memory costs one file.

Results are in the order of the files, whatever the number of processes. The size of buffered results is bounded: a
process whose results are not consumed blocks.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import os
import pickle
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, Pipe, wait
from typing import Any, Generic, TypeVar

from melgan_tf.errors import MelGANError

Item = TypeVar("Item")

_QUEUED_FILES = 6  # submitted to a process beyond the one in progress
_WINDOW = 64  # files per process whose results may be buffered until those of an earlier file arrive
MAX_BUFFERED_BYTES = 64 << 20  # of results; beyond, only the process of the next file is read from
_MAX_RECEIVED = 4 << 20  # bytes received from one process before the next one is served
_MAX_BATCH = 16  # results in a message
_MAX_BATCH_SECONDS = 0.5  # after which an incomplete message is sent
_START_SECONDS = 60.0
_MAX_FAILED_STARTS = 3
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Success:
    """The last result of a processed file; `value` is the return value of the task."""

    value: Any


@dataclass(frozen=True)
class Failure:
    """The last result of a file that could not be processed; discard its earlier results."""

    reason: str


@dataclass(frozen=True)
class Retry:
    """The process died, and the file is processed again from its start; discard its earlier results."""


@dataclass(frozen=True)
class Limits:
    """Resource limits for one file.

    Attributes:
        seconds: without a result.
        seconds_per_megabyte: added to ``seconds`` for every megabyte of the file.
        megabytes: memory of a process.
    """

    seconds: float = 60.0
    seconds_per_megabyte: float = 1.0
    megabytes: int = 2048


@dataclass(eq=False)
class _Job(Generic[Item]):
    item: Item
    arguments: Any
    seconds: float
    results: deque = field(default_factory=deque)
    ended: bool = False
    died: bool = False


class DecoderPool:
    """Processes that run a task on one file after the other.

    Args:
        task: ``module:function``. It is called with the arguments of a file, the settings and a function ``emit`` to
            be called with each result; its return value completes the file.
        settings: passed to every call; picklable.
        workers: number of processes.
        limits: for each file.
    """

    def __init__(self, task: str, settings: Any, workers: int, limits: Limits | None = None) -> None:
        self.task, self.settings, self.limits = task, settings, limits or Limits()
        self.size = workers
        self.workers: list[_Worker] = []
        self.unassigned: deque[_Job] = deque()
        self.buffered = 0  # bytes of results that were received and not yet consumed
        self.failed_starts = 0

    def __enter__(self) -> DecoderPool:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.workers:
            worker.kill()
        self.workers.clear()

    def results(self, items: Iterable[tuple[Item, Any, int]]) -> Iterator[tuple[Item, Any]]:
        """Run the task on every item.

        Args:
            items: an identifier of any type, the arguments of the task (None: there is nothing to do) and the size of
                the file in bytes.

        Yields:
            The identifier with each result, in order; the last result of an item is `Success` or `Failure`.

        Raises:
            MelGANError: no process can be started.
        """
        source, order = iter(items), deque()
        while True:
            self._fill(source, order)
            if not order:
                return
            head = order[0]
            while head.results:
                result, size = head.results.popleft()
                self.buffered -= size
                yield head.item, result
            if head.ended:
                order.popleft()
            else:
                self._receive(head)

    def _fill(self, source: Iterator[tuple[Item, Any, int]], order: deque[_Job]) -> None:
        while len(order) < _WINDOW * self.size and len(self.unassigned) < self.size:
            item, arguments, size = next(source, (None, None, -1))
            if size < 0:
                break
            limit = self.limits.seconds + self.limits.seconds_per_megabyte * size / 1e6
            job = _Job(item, arguments, limit)
            if arguments is None:
                job.results.append((Success(None), 0))
                job.ended = True
            else:
                self.unassigned.append(job)
            order.append(job)
            self._assign()
        self._assign()

    def _assign(self) -> None:
        while self.unassigned:
            if len(self.workers) < self.size:
                self.workers.append(_Worker(self.task, self.settings, self.limits))
            worker = min(self.workers, key=lambda worker: len(worker.jobs))
            if len(worker.jobs) > _QUEUED_FILES:
                return
            job = self.unassigned.popleft()
            if not worker.submit(job):
                self._replace_worker(worker)

    def _receive(self, head: _Job) -> None:
        """Wait for results; those of the first file have priority."""
        now = time.monotonic()
        reading, read_all = {}, self.buffered < MAX_BUFFERED_BYTES or head in self.unassigned
        for worker in self.workers:
            if worker.jobs and (read_all or head in worker.jobs):
                reading[worker.pipe] = worker
            else:
                worker.reset_deadline(now)  # a blocked process must not time out
        earliest = min(worker.deadline for worker in reading.values())
        for pipe in wait(list(reading), max(0.0, earliest - now)):
            worker = reading.pop(pipe)
            size = worker.receive()
            if size is None:
                self._replace_worker(worker)
            else:
                self.buffered += size
        now = time.monotonic()
        for worker in reading.values():
            if now > worker.deadline:
                self._replace_worker(worker, f"took longer than {worker.jobs[0].seconds:.0f} s to decode")

    def _replace_worker(self, worker: _Worker, reason: str | None = None) -> None:
        """Replace a process that died or exceeded its time; after a first crash its file is retried."""
        code = worker.kill()
        self.workers.remove(worker)
        jobs = list(worker.jobs)
        if not worker.ready:
            self.failed_starts += 1
            if self.failed_starts >= _MAX_FAILED_STARTS:
                raise MelGANError(f"processes for decoding do not start: {worker.last_line or _cause(code)}")
        elif jobs:
            self.failed_starts, first = 0, jobs[0]
            if reason is None and not first.died:
                first.died = True
                first.results.append((Retry(), 0))
            else:
                first.results.append((Failure(reason or f"the decoder crashed on it ({_cause(code)})"), 0))
                first.ended = True
                jobs.pop(0)
        self.unassigned.extendleft(reversed(jobs))
        self._assign()


def _cause(code: int) -> str:
    with contextlib.suppress(ValueError):
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return f"signal {-code}"


class _Worker:
    """One process and the files submitted to it."""

    def __init__(self, task: str, settings: Any, limits: Limits) -> None:
        self.jobs: deque[_Job] = deque()
        self.ready = False
        self.deadline = time.monotonic() + limits.seconds
        self.stderr_file = tempfile.TemporaryFile()  # noqa: SIM115  closed with the process
        self.pipe, remote_end = Pipe()
        one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        code = f"from melgan_tf.data.decoder_pool import serve; serve({remote_end.fileno()})"
        environment = {**os.environ, **one_thread, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        with remote_end:
            self.process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.DEVNULL, env=environment,
                                            stdout=subprocess.DEVNULL, stderr=self.stderr_file,
                                            pass_fds=[remote_end.fileno()])
        with contextlib.suppress(OSError):
            self.pipe.send((os.getpid(), task, settings, limits.megabytes))

    def submit(self, job: _Job) -> bool:
        self.jobs.append(job)
        if len(self.jobs) == 1:
            self.reset_deadline(time.monotonic())
        try:
            self.pipe.send(job.arguments)
        except OSError:
            return False
        return True

    def reset_deadline(self, now: float) -> None:
        """Restart the time limit of the file in progress."""
        if self.jobs:
            self.deadline = now + (self.jobs[0].seconds if self.ready else _START_SECONDS)

    def receive(self) -> int | None:
        """Receive the available results; returns the number of bytes, or None if the process has ended."""
        received = 0
        try:
            while received < _MAX_RECEIVED:
                message = self.pipe.recv_bytes()
                ended, values = pickle.loads(message)
                self.ready = True
                if values:
                    self.jobs[0].results.extend((value, 0) for value in values[:-1])
                    self.jobs[0].results.append((values[-1], len(message)))
                    received += len(message)
                if ended:
                    self.jobs.popleft().ended = True
                if not self.jobs or not self.pipe.poll():
                    break
        except Exception:  # end of file; from a process with corrupt memory, any other error
            return None
        self.reset_deadline(time.monotonic())
        return received

    def kill(self) -> int:
        """Kill the process unless it has ended; returns its exit code, or the negative signal number."""
        self.process.kill()
        self.pipe.close()
        code = self.process.wait()
        with self.stderr_file:
            self.stderr_file.seek(max(0, self.stderr_file.seek(0, os.SEEK_END) - 4000))
            self.last_line = self.stderr_file.read().decode("utf-8", "replace").strip().rpartition("\n")[2]
        return code


def serve(descriptor: int) -> None:
    """Entry point of a process: read arguments from a pipe, run the task, write results, until the pipe is closed."""
    pipe = Connection(descriptor)
    parent, task, settings, megabytes = pipe.recv()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to the whole group; the parent handles it
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    module, _, name = task.partition(":")
    function = getattr(importlib.import_module(module), name)
    resource.setrlimit(resource.RLIMIT_DATA, (megabytes << 20, megabytes << 20))
    with contextlib.suppress(EOFError, OSError):
        pipe.send((False, []))
        while True:
            arguments, results = pipe.recv(), _Results(pipe)
            end = _answer(function, arguments, settings, megabytes, results)
            pipe.send((True, [*results.batch, end]))


class _Results:
    """Sends the results of a file in batches."""

    def __init__(self, pipe: Connection) -> None:
        self.pipe, self.batch, self.since = pipe, [], time.monotonic()

    def __call__(self, value: Any) -> None:
        self.batch.append(value)
        if len(self.batch) >= _MAX_BATCH or time.monotonic() - self.since > _MAX_BATCH_SECONDS:
            self.pipe.send((False, self.batch))
            self.batch, self.since = [], time.monotonic()


def _answer(function: Callable[..., Any], arguments: Any, settings: Any, megabytes: int, results: _Results
            ) -> Success | Failure:
    try:
        return Success(function(arguments, settings, results))
    except MemoryError:
        return Failure(f"decoding it takes more than {megabytes} MB of memory")
    except MelGANError as error:
        return Failure(getattr(error, "reason", str(error)))
    except BrokenPipeError:
        raise
    except Exception as error:
        return Failure(f"an unexpected error: {type(error).__name__}: {' '.join(str(error).split())}")
