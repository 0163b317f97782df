"""One decoder process as the pool sees it: the files submitted to it, and what it answers."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from melgan_tf.audio import wire
from melgan_tf.errors import printable
from melgan_tf.runtime import system

Item = TypeVar("Item")

_MAX_RECEIVED = 4 << 20  # bytes received from one process before the next one is served
_START_SECONDS = 60.0
_SEND_SECONDS = 5.0  # a process that does not take its orders is broken


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
class Job(Generic[Item]):
    """A file, and its results that have not been consumed, with their sizes in bytes."""

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


class Worker:
    """One process and the files submitted to it."""

    def __init__(self, task: Task, limits: Limits) -> None:
        self.jobs: deque[Job] = deque()
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

    def submit(self, job: Job) -> bool:
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


def _above_standard_streams(end: socket.socket) -> socket.socket:
    """Return the socket with another descriptor: if standard streams are closed, it may have got one of theirs."""
    with end:
        return socket.socket(fileno=system.above_standard_streams(end.fileno()))
