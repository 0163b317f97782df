"""A pool of processes that run a task on many files; a decoder that crashes, hangs or exhausts memory costs one file.

So does one that answers nonsense, or without end. Results are in the order of the files, whatever the number of
processes. The size of buffered results is bounded: a process whose results are not consumed blocks.
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections import deque
from collections.abc import Iterable, Iterator
from multiprocessing.connection import wait
from typing import Any, TypeVar

from melgan_tf.audio import decoder_process, wire
from melgan_tf.audio.decoder_worker import Failure, Job, Limits, Retry, Success, Task, Worker
from melgan_tf.errors import MelGANError, printable
from melgan_tf.runtime import system

Item = TypeVar("Item")

_QUEUED_FILES = 6  # submitted to a process beyond the one in progress
_WINDOW = 64  # files per process whose results may be buffered until those of an earlier file arrive
MAX_BUFFERED_BYTES = 64 << 20  # of results; beyond, only the process of the next file is read from
_MAX_WAIT_SECONDS = 1.0
_MAX_FAILED_STARTS = 3
_NONSENSE = "the decoder answered nonsense"


class DecoderPool:
    """Processes that run a task on one file after the other.

    Args:
        task: what to do; a process loads it when it starts.
        workers: number of processes.
        limits: for each file.
    """

    def __init__(self, task: Task, workers: int, limits: Limits | None = None) -> None:
        self.task, self.size, self.limits = task, workers, limits or Limits()
        self.workers: list[Worker] = []
        self.unassigned: deque[Job] = deque()
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
            self.workers.append(Worker(self.task, self.limits))

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

    def _jobs(self, items: Iterable[tuple[Item, dict[str, Any] | None, int]], task: Task) -> Iterator[Job]:
        for item, arguments, size in items:
            yield Job(item, task, arguments, self.limits.seconds + self.limits.seconds_per_megabyte * size / 1e6)

    def _fill(self, jobs: Iterator[Job], order: deque[Job]) -> None:
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
                self.workers.append(Worker(self.task, self.limits))
            worker = self.workers[-1] if again else min(self.workers, key=lambda worker: len(worker.jobs))
            if len(worker.jobs) > _QUEUED_FILES:
                return
            job = self.unassigned.popleft()
            if not worker.submit(job):
                self._replace_worker(worker)

    def _receive(self, head: Job) -> None:
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

    def _replace_worker(self, worker: Worker, reason: str | None = None) -> None:
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


def _in_this_process(items: Iterable[tuple[Item, dict[str, Any] | None, int]], task: Task, limits: Limits
                     ) -> Iterator[tuple[Item, Any]]:
    """Do what a pool does, without protection from a decoder that crashes."""
    function = decoder_process.load(task.function)
    for item, arguments, _ in items:
        results, kind, value = [], wire.SUCCESS, None

        def emit(value: Any, content: Any = b"", results: list[Any] = results) -> None:
            results.append(task.result(value, bytearray(memoryview(content).cast("B"))))

        if arguments is not None:
            kind, value = decoder_process.answer(function, arguments, limits.megabytes, emit)
            value = task.end(value) if kind == wire.SUCCESS else value
        yield from ((item, result) for result in results)
        yield item, Success(value) if kind == wire.SUCCESS else Failure(printable(value))


def _cause(code: int) -> str:
    with contextlib.suppress(ValueError):
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return f"signal {-code}"
