"""A pool of processes that run a task on many files; a decoder that crashes, hangs or exhausts memory costs one file.

So does one that answers nonsense, or without end. Results are in the order of the files, whatever the number of
processes. The size of buffered results is bounded: a process whose results are not consumed blocks.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from typing import Any, Generic, TypeVar

from melgan_tf.audio import decoder_process, wire
from melgan_tf.errors import MelGANError, printable
from melgan_tf.runtime import system

Item = TypeVar("Item")

_QUEUED_FILES = 6  # submitted to a process beyond the one in progress
_WINDOW = 64  # files per process whose results may be buffered until those of an earlier file arrive
MAX_BUFFERED_BYTES = 64 << 20  # of results; beyond, only the process of the next file is read from
_MAX_RECEIVED = 4 << 20  # bytes received from one process before the next one is served
_START_SECONDS = 60.0
_MAX_WAIT_SECONDS = 1.0
_SEND_SECONDS = 5.0  # a process that does not take its orders is broken
_MAX_FAILED_STARTS = 3
_NONSENSE = "the decoder answered nonsense"


@dataclass(frozen=True)
class Success:
    """The last result of a processed file; `value` is what the task returned."""

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


@dataclass(frozen=True)
class Task:
    """What the processes do with a file. What they answer is checked, as a hostile file may have taken one over.

    Attributes:
        function: ``module:function``, called with ``emit`` and the arguments of a file, which are JSON values. It calls
            ``emit(value, content)`` with each result, a JSON value and bytes, and returns a JSON value.
        result: converts what it emits; raises an exception if it is not as it should be.
        end: the same for what it returns.
        max_bytes: the bytes that one result may have, and all results of a file, given the arguments.
    """

    function: str
    result: Callable[[Any, bytearray], Any]
    end: Callable[[Any], Any]
    max_bytes: Callable[[dict[str, Any]], tuple[int, int]]


@dataclass(eq=False)
class _Job(Generic[Item]):
    item: Item
    task: Task
    arguments: dict[str, Any] | None
    seconds: float
    results: deque = field(default_factory=deque)
    ended: bool = False
    died: bool = False

    def __post_init__(self) -> None:
        self.max_content, self.bytes_left = (0, 0) if self.arguments is None else self.task.max_bytes(self.arguments)

    def end(self, result: Success | Failure) -> None:
        self.results.append((result, 0))
        self.ended = True


class DecoderPool:
    """Processes that run a task on one file after the other.

    Args:
        task: what to do; a process loads it when it starts.
        workers: number of processes.
        limits: for each file.
    """

    def __init__(self, task: Task, workers: int, limits: Limits | None = None) -> None:
        self.task, self.size, self.limits = task, workers, limits or Limits()
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

    def start(self) -> None:
        """Start all processes, which takes some tenths of a second, before there is anything to do."""
        while system.ISOLATED and len(self.workers) < self.size:
            self.workers.append(_Worker(self.task, self.limits))

    def abandon(self) -> None:
        """Give up what has not been consumed; idle processes remain for the next use."""
        for worker in self.workers:
            if worker.jobs:
                worker.kill()
                worker.jobs.clear()
        self._remove_ended()
        self.unassigned.clear()
        self.buffered = self.failed_starts = 0

    def _remove_ended(self) -> None:
        for worker in [worker for worker in self.workers if not worker.jobs and worker.has_ended()]:
            worker.kill()
            self.workers.remove(worker)

    def results(self, items: Iterable[tuple[Item, dict[str, Any] | None, int]], task: Task | None = None
                ) -> Iterator[tuple[Item, Any]]:
        """Run the task on every item.

        Args:
            items: an identifier of any type, the arguments of the task (None: there is nothing to do) and the size of
                the file in bytes.
            task: another task than that of the pool.

        Yields:
            The identifier with each result, in order; the last result of an item is `Success` or `Failure`.

        Raises:
            MelGANError: no process can be started.
        """
        if not system.ISOLATED:
            yield from _in_this_process(items, task or self.task, self.limits)
            return
        jobs, order = self._jobs(items, task or self.task), deque()
        while True:
            self._fill(jobs, order)
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

    def _jobs(self, items: Iterable[tuple[Item, dict[str, Any] | None, int]], task: Task) -> Iterator[_Job]:
        for item, arguments, size in items:
            yield _Job(item, task, arguments, self.limits.seconds + self.limits.seconds_per_megabyte * size / 1e6)

    def _fill(self, jobs: Iterator[_Job], order: deque[_Job]) -> None:
        while len(order) < _WINDOW * self.size and len(self.unassigned) < self.size:
            job = next(jobs, None)
            if job is None:
                break
            if job.arguments is None:
                job.end(Success(None))
            else:
                self.unassigned.append(job)
            order.append(job)
            self._assign()
        self._assign()

    def _assign(self) -> None:
        while self.unassigned:
            self._remove_ended()
            again = self.unassigned[0].died  # in a fresh process: the others may be about to end as well
            if again or (len(self.workers) < self.size and all(worker.jobs for worker in self.workers)):
                self.workers.append(_Worker(self.task, self.limits))
            worker = self.workers[-1] if again else min(self.workers, key=lambda worker: len(worker.jobs))
            if len(worker.jobs) > _QUEUED_FILES:
                return
            job = self.unassigned.popleft()
            if not worker.submit(job):
                self._replace_worker(worker)

    def _receive(self, head: _Job) -> None:
        """Wait for results; those of the first file have priority."""
        reading, read_all = {}, self.buffered < MAX_BUFFERED_BYTES or head in self.unassigned
        for worker in self.workers:
            if worker.jobs and (read_all or head in worker.jobs):
                reading[worker.socket] = worker
            else:
                worker.be_patient()  # a blocked process must not time out
        timeout, started = min(_MAX_WAIT_SECONDS, *(worker.patience for worker in reading.values())), time.monotonic()
        answering = wait(list(reading), timeout)
        waited = min(timeout, time.monotonic() - started)  # more if this program was stopped for a while
        for worker in [reading.pop(found) for found in answering]:
            try:
                self.buffered += worker.receive()
            except (OSError, EOFError):
                self._replace_worker(worker)
            except Exception:  # from a process with corrupt memory, any
                self._replace_worker(worker, _NONSENSE)
        for worker in reading.values():
            worker.patience -= waited
            if worker.patience <= 0:
                self._replace_worker(worker, f"took longer than {worker.jobs[0].seconds:.0f} s to decode")

    def _replace_worker(self, worker: _Worker, reason: str | None = None) -> None:
        """Replace a process that died or was stopped for a reason; after a first crash its file is retried."""
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
                first.bytes_left = first.task.max_bytes(first.arguments)[1]
            else:
                first.end(Failure(reason or f"the decoder crashed on it ({_cause(code)})"))
                jobs.pop(0)
        self.unassigned.extendleft(reversed(jobs))
        self._assign()


class _Collected:
    """Takes the place of the outbox of a process."""

    def __init__(self, convert: Callable[[Any, bytearray], Any]) -> None:
        self.convert, self.results = convert, []

    def send(self, kind: bytes, value: Any = None, content: Any = b"", now: bool = True) -> None:
        self.results.append(self.convert(value, bytearray(memoryview(content).cast("B"))))


def _in_this_process(items: Iterable[tuple[Item, dict[str, Any] | None, int]], task: Task, limits: Limits
                     ) -> Iterator[tuple[Item, Any]]:
    """Do what a pool does, without protection from a decoder that crashes."""
    function = decoder_process.load(task.function)
    for item, arguments, _ in items:
        collected, kind, value = _Collected(task.result), wire.SUCCESS, None
        if arguments is not None:
            kind, value = decoder_process.answer(function, arguments, limits.megabytes, collected)
        for result in collected.results:
            yield item, result
        done = value if arguments is None or kind != wire.SUCCESS else task.end(value)
        yield item, Success(done) if kind == wire.SUCCESS else Failure(printable(value))


def _cause(code: int) -> str:
    with contextlib.suppress(ValueError):
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return f"signal {-code}"


def _above_standard_streams(end: socket.socket) -> socket.socket:
    """Return the socket with another descriptor: if standard streams are closed, it may have got one of theirs."""
    with end:
        return socket.socket(fileno=system.above_standard_streams(end.fileno()))


class _Worker:
    """One process and the files submitted to it."""

    def __init__(self, task: Task, limits: Limits) -> None:
        self.jobs: deque[_Job] = deque()
        self.ready = False
        self.patience = _START_SECONDS
        self.stderr_file = tempfile.TemporaryFile()  # noqa: SIM115  closed with the process
        self.socket, remote_end = map(_above_standard_streams, socket.socketpair())
        self.socket.settimeout(_SEND_SECONDS)  # the descriptor itself does not block
        self.inbox = wire.Inbox(self.socket.fileno())
        one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        code = f"from melgan_tf.audio.decoder_process import serve; serve({remote_end.fileno()})"
        environment = {**os.environ, **one_thread, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        with remote_end:
            # -P: modules in the working directory, which may be a stranger's, must not go first
            self.process = subprocess.Popen([sys.executable, "-P", "-c", code], stdin=subprocess.DEVNULL,
                                            stdout=subprocess.DEVNULL, stderr=self.stderr_file, env=environment,
                                            pass_fds=[remote_end.fileno()])
        self._send({"parent": os.getpid(), "function": task.function, "megabytes": limits.megabytes})

    def _send(self, value: dict[str, Any]) -> bool:
        try:
            self.socket.sendall(json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n")
        except OSError:
            return False
        return True

    def submit(self, job: _Job) -> bool:
        self.jobs.append(job)
        if len(self.jobs) == 1:
            self.be_patient()
        return self._send({"function": job.task.function, "arguments": job.arguments})

    def be_patient(self) -> None:
        """Restart the time limit of the file in progress."""
        if self.jobs:
            self.patience = self.jobs[0].seconds if self.ready else _START_SECONDS

    def receive(self) -> int:
        """Receive the available results; returns the number of bytes.

        Raises:
            OSError, EOFError: the process has ended.
            Exception: it answers nonsense.
        """
        received = 0
        while received < _MAX_RECEIVED:
            message = self.inbox.receive(self.jobs[0].max_content if self.jobs and self.ready else 0)
            if message is None:
                break
            self._take(message)
            received += message.size
            self.be_patient()
        return received

    def _take(self, message: wire.Message) -> None:
        if not self.ready:
            if message.kind != wire.READY:
                raise ValueError("an answer before there was a question")
            self.ready = True
            return
        job = self.jobs[0]
        job.bytes_left -= message.size
        if message.kind == wire.RESULT and job.bytes_left >= 0:
            job.results.append((job.task.result(message.value, message.content), message.size))
        elif message.content:
            raise ValueError("samples after the end")
        elif message.kind == wire.SUCCESS:
            job.end(Success(job.task.end(message.value)))
            self.jobs.popleft()
        elif message.kind == wire.FAILURE and isinstance(message.value, str):
            job.end(Failure(printable(message.value)))
            self.jobs.popleft()
        else:
            raise ValueError("an answer to another question, or without end")

    def has_ended(self) -> bool:
        """Whether the process has ended by itself, as it does after a time without work."""
        return self.process.poll() is not None

    def kill(self) -> int:
        """Kill the process unless it has ended; returns its exit code, or the negative signal number."""
        self.process.kill()
        self.socket.close()
        code = self.process.wait()
        if self.stderr_file.closed:
            return code
        with self.stderr_file:
            self.stderr_file.seek(max(0, self.stderr_file.seek(0, os.SEEK_END) - 4000))
            self.last_line = self.stderr_file.read().decode("utf-8", "replace").strip().rpartition("\n")[2]
        return code
