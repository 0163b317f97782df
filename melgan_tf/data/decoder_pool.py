"""Work on many files in processes of their own, so that a decoder that crashes, hangs or swells costs one file.

Results come in the order of the files, whatever the number of processes and whichever is done first. Only a bounded
number of results waits at any time; a process whose results nobody takes yet waits itself.
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

_AHEAD = 6  # files that a process has been given beyond the one it works on
_WINDOW = 64  # files a process whose results may be waiting for an earlier file's
_MAX_WAITING = 64 << 20  # bytes of results that may wait before processes are made to wait
_MAX_TAKEN = 4 << 20  # bytes that are taken from one process before it is another's turn
_MAX_TOGETHER = 16  # results in a message
_LONGEST_HELD = 0.5  # seconds until a message is sent in any case
_START_SECONDS = 60.0
_MAX_FALSE_STARTS = 3
_PARENT_DIED = 1  # PR_SET_PDEATHSIG


@dataclass(frozen=True)
class Done:
    """The end of a file that could be worked on; `value` is what the task returned."""

    value: Any


@dataclass(frozen=True)
class Failed:
    """The end of a file that could not; results that came before should be dropped."""

    reason: str


@dataclass(frozen=True)
class Again:
    """A process died over the file, which begins once more; results that came before should be dropped."""


@dataclass(frozen=True)
class Limits:
    """What one file may take.

    Attributes:
        seconds: without any result.
        seconds_per_megabyte: more of them for every megabyte that the file has.
        megabytes: of memory, all in all, that a process may hold.
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


class Pool:
    """Processes that run a task on one file after the other.

    Args:
        task: where the function is, ``module:name``. It is called with a file's arguments, the settings and a function
            that takes results, as many as there are, and its return value ends the file.
        settings: passed to every call; picklable.
        workers: number of processes.
        limits: what a file may take.
    """

    def __init__(self, task: str, settings: Any, workers: int, limits: Limits | None = None) -> None:
        self.task, self.settings, self.limits = task, settings, limits or Limits()
        self.size = workers
        self.workers: list[_Worker] = []
        self.unassigned: deque[_Job] = deque()
        self.waiting = 0  # bytes of results that nobody took yet
        self.false_starts = 0

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.workers:
            worker.kill()
        self.workers.clear()

    def results(self, items: Iterable[tuple[Item, Any, int]]) -> Iterator[tuple[Item, Any]]:
        """Runs the task on every item.

        Args:
            items: what the results are called by, the task's arguments (None: nothing to do), the size in bytes.

        Yields:
            Each item with its results, in order, the last of which is `Done` or `Failed`.

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
                self.waiting -= size
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
                job.results.append((Done(None), 0))
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
            if len(worker.jobs) > _AHEAD:
                return
            job = self.unassigned.popleft()
            if not worker.give(job):
                self._bury(worker)

    def _receive(self, head: _Job) -> None:
        """Waits for results, of the first file above all."""
        now = time.monotonic()
        heard, all_of_them = {}, self.waiting < _MAX_WAITING or head in self.unassigned
        for worker in self.workers:
            if worker.jobs and (all_of_them or head in worker.jobs):
                heard[worker.pipe] = worker
            else:
                worker.rest(now)  # time only counts while somebody listens
        soonest = min(worker.deadline for worker in heard.values())
        for pipe in wait(list(heard), max(0.0, soonest - now)):
            worker = heard.pop(pipe)
            size = worker.take()
            if size is None:
                self._bury(worker)
            else:
                self.waiting += size
        now = time.monotonic()
        for worker in heard.values():
            if now > worker.deadline:
                self._bury(worker, f"took longer than {worker.jobs[0].seconds:.0f} s to decode")

    def _bury(self, worker: _Worker, reason: str | None = None) -> None:
        """Replaces a process that died or was killed; its first file is tried once more unless that took too long."""
        code = worker.kill()
        self.workers.remove(worker)
        jobs = list(worker.jobs)
        if not worker.ready:
            self.false_starts += 1
            if self.false_starts >= _MAX_FALSE_STARTS:
                raise MelGANError(f"processes for decoding do not start: {worker.last_words or _cause(code)}")
        elif jobs:
            self.false_starts, first = 0, jobs[0]
            if reason is None and not first.died:
                first.died = True
                first.results.append((Again(), 0))
            else:
                first.results.append((Failed(reason or f"the decoder crashed on it ({_cause(code)})"), 0))
                first.ended = True
                jobs.pop(0)
        self.unassigned.extendleft(reversed(jobs))
        self._assign()


def _cause(code: int) -> str:
    with contextlib.suppress(ValueError):
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return f"signal {-code}"


class _Worker:
    """One process, and the files that it was given."""

    def __init__(self, task: str, settings: Any, limits: Limits) -> None:
        self.jobs: deque[_Job] = deque()
        self.ready = False
        self.deadline = time.monotonic() + limits.seconds
        self.words = tempfile.TemporaryFile()  # noqa: SIM115  closed with the process
        self.pipe, theirs = Pipe()
        one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-c", f"from melgan_tf.data.decoder_pool import serve; serve({theirs.fileno()})"],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self.words, pass_fds=[theirs.fileno()],
                env={**os.environ, **one_thread, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))})
        with contextlib.suppress(OSError):
            self.pipe.send((os.getpid(), task, settings, limits.megabytes))

    def give(self, job: _Job) -> bool:
        self.jobs.append(job)
        if len(self.jobs) == 1:
            self.rest(time.monotonic())
        try:
            self.pipe.send(job.arguments)
        except OSError:
            return False
        return True

    def rest(self, now: float) -> None:
        """Sets the clock back."""
        if self.jobs:
            self.deadline = now + (self.jobs[0].seconds if self.ready else _START_SECONDS)

    def take(self) -> int | None:
        """Takes what there is; the number of bytes, or None if the process is no more."""
        taken = 0
        try:
            while taken < _MAX_TAKEN:
                message = self.pipe.recv_bytes()
                ended, values = pickle.loads(message)
                self.ready = True
                if values:
                    self.jobs[0].results.extend((value, 0) for value in values[:-1])
                    self.jobs[0].results.append((values[-1], len(message)))
                    taken += len(message)
                if ended:
                    self.jobs.popleft().ended = True
                if not self.jobs or not self.pipe.poll():
                    break
        except Exception:  # the pipe ended; or, from a process whose memory is damaged, anything
            return None
        self.rest(time.monotonic())
        return taken

    def kill(self) -> int:
        """Ends the process, if it has not ended; returns its exit code, or minus the signal."""
        self.process.kill()
        self.pipe.close()
        code = self.process.wait()
        with self.words:
            self.words.seek(max(0, self.words.seek(0, os.SEEK_END) - 4000))
            self.last_words = self.words.read().decode("utf-8", "replace").strip().rpartition("\n")[2]
        return code


def serve(descriptor: int) -> None:
    """What a process does: reads arguments from a pipe, runs the task, writes results, until the pipe ends."""
    pipe = Connection(descriptor)
    parent, task, settings, megabytes = pipe.recv()
    ctypes.CDLL(None).prctl(_PARENT_DIED, signal.SIGKILL)
    if os.getppid() != parent:
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to all; the parent decides
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    module, _, name = task.partition(":")
    function = getattr(importlib.import_module(module), name)
    resource.setrlimit(resource.RLIMIT_DATA, (megabytes << 20, megabytes << 20))
    with contextlib.suppress(EOFError, OSError):
        pipe.send((False, []))
        while True:
            arguments, results = pipe.recv(), _Results(pipe)
            end = _answer(function, arguments, settings, megabytes, results)
            pipe.send((True, [*results.held, end]))


class _Results:
    """Takes a file's results and passes them on, a few together."""

    def __init__(self, pipe: Connection) -> None:
        self.pipe, self.held, self.since = pipe, [], time.monotonic()

    def __call__(self, value: Any) -> None:
        self.held.append(value)
        if len(self.held) >= _MAX_TOGETHER or time.monotonic() - self.since > _LONGEST_HELD:
            self.pipe.send((False, self.held))
            self.held, self.since = [], time.monotonic()


def _answer(function: Callable[..., Any], arguments: Any, settings: Any, megabytes: int, results: _Results
            ) -> Done | Failed:
    try:
        return Done(function(arguments, settings, results))
    except MemoryError:
        return Failed(f"decoding it takes more than {megabytes} MB of memory")
    except MelGANError as error:
        return Failed(getattr(error, "reason", str(error)))
    except BrokenPipeError:
        raise
    except Exception as error:
        return Failed(f"an unforeseen error: {type(error).__name__}: {' '.join(str(error).split())}")
