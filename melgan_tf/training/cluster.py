"""Reads ``TF_CONFIG`` and waits for the other processes of a cluster. No TensorFlow.

::

    TF_CONFIG='{"cluster": {"worker": ["node-0:2222", "node-1:2222"]}, "task": {"type": "worker", "index": 0}}'

The chief is the one task of the job "chief", if there is one, else worker 0.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from melgan_tf.config.strict_json import parse_value, shown
from melgan_tf.errors import MelGANError, UsageError

_RETRY_SECONDS = 0.2
_CALL_SECONDS = 5.0
_GREETING = b"melgan-tf worker "
_EXAMPLE = """'{"cluster": {"worker": ["HOST:PORT", "HOST:PORT"]}, "task": {"type": "worker", "index": 0}}'"""


@dataclass(frozen=True)
class WorkerSpec:
    """This process among the workers of a cluster.

    Attributes:
        tasks: job, number within the job and address of every worker; the chief first.
        index: which of them is this process.
    """

    tasks: tuple[tuple[str, int, str], ...]
    index: int

    @property
    def is_chief(self) -> bool:
        """Whether this is the process that writes what a run leaves behind."""
        return self.index == 0

    def name(self, index: int) -> str:
        """A worker, for messages.

        Examples:
            >>> WorkerSpec((("chief", 0, "a:1"), ("worker", 0, "b:1")), 0).name(1)
            'worker 0 (b:1)'
        """
        job, number, address = self.tasks[index]
        return f"{job} {number} ({address})"


def worker_from_environment() -> WorkerSpec | None:
    """Reads ``TF_CONFIG``; None if it names no other worker.

    Raises:
        UsageError: it is not what TensorFlow documents, or names jobs that do not exist here.
    """
    text = os.environ.get("TF_CONFIG", "").strip()
    if not text:
        return None
    try:
        config = parse_value(text)
    except ValueError as error:
        raise UsageError(f"TF_CONFIG is not JSON that can be used ({error}): give {_EXAMPLE}, or unset it") from None
    if config == {}:
        return None
    cluster = config.get("cluster") if isinstance(config, dict) else None
    task = config.get("task") if isinstance(config, dict) else None
    if not isinstance(cluster, dict) or not isinstance(task, dict):
        raise UsageError(f"TF_CONFIG has no cluster or no task: give {_EXAMPLE}, or unset it")
    tasks = tuple(_tasks(cluster))
    job, number = task.get("type"), task.get("index")
    if isinstance(number, str) and number.isdecimal() and len(number) < 10:
        number = int(number)
    found = [index for index, (name, position, _) in enumerate(tasks) if (name, position) == (job, number)]
    if not found or isinstance(number, bool):
        known = ", ".join(f"{name} {position}" for name, position, _ in tasks) or "none"
        raise UsageError(f"TF_CONFIG says that this is {job} {number}, but its cluster has no such task "
                         f"(it has {known})")
    return WorkerSpec(tasks, found[0]) if len(tasks) > 1 else None


def _tasks(cluster: dict[str, Any]) -> Iterator[tuple[str, int, str]]:
    if foreign := sorted(set(cluster) - {"chief", "worker"}):
        raise UsageError(f"TF_CONFIG has a job {shown(foreign[0])}: only chief and worker are known here")
    seen = set()
    for job in ("chief", "worker"):
        addresses = cluster.get(job, [])
        if not isinstance(addresses, list):
            raise UsageError(f"TF_CONFIG's {job} is {shown(addresses)}: give a list of addresses")
        if job == "chief" and len(addresses) > 1:
            raise UsageError(f"TF_CONFIG has {len(addresses)} chiefs: give one")
        for number, address in enumerate(addresses):
            if not isinstance(address, str) or not _split(address) or address in seen:
                raise UsageError(f"TF_CONFIG's {job} {number} has the address {shown(address)}: give HOST:PORT, each "
                                 "once")
            seen.add(address)
            yield job, number, address


def _split(address: str) -> tuple[str, int] | None:
    host, _, port = address.rpartition(":")
    number = port.isascii() and port.isdecimal() and len(port) < 6 and 0 < int(port) < 65536
    if not host or not host.isprintable() or not number:
        return None
    return host.strip("[]"), int(port)


def wait_for_peers(spec: WorkerSpec, seconds: float) -> None:
    """Waits until every other worker has been reached and has reached this one.

    So a worker that is left over from an earlier start is not taken for one that is ready.

    Args:
        spec: this process.
        seconds: how long to wait.

    Raises:
        MelGANError: this worker's port is taken, or others are not there in time; the message names one of them.
    """
    deadline = time.monotonic() + seconds
    others = [index for index in range(len(spec.tasks)) if index != spec.index]
    refused, came = dict.fromkeys(others, "not tried"), set()
    with _listening(spec) as server:
        while refused or len(came) < len(others):
            if time.monotonic() > deadline:
                raise MelGANError(_missing(spec, others, refused, came, seconds))
            for index in list(refused):
                try:
                    _call(spec, index)
                    del refused[index]
                except UnicodeError:  # no host name
                    refused[index] = "its address is no host name"
                except OSError as error:
                    refused[index] = error.strerror or str(error)
            came.update(_callers(server, others))


def _missing(spec: WorkerSpec, others: list[int], refused: dict[int, str], came: set[int], seconds: float) -> str:
    missing = [index for index in others if index in refused or index not in came]
    first = missing[0]
    why = refused.get(first, "it can be reached, but does not call: it may be left from an earlier start")
    return (f"{spec.name(first)} is not there after {seconds:g} s ({why}); missing: {len(missing)} of "
            f"{len(spec.tasks)} workers. Start all of them, with the same cluster in TF_CONFIG, or wait longer with "
            "--wait")


def _call(spec: WorkerSpec, index: int) -> None:
    with socket.create_connection(_split(spec.tasks[index][2]), timeout=_CALL_SECONDS) as connection:
        connection.sendall(_GREETING + b"%d\n" % spec.index)


def _callers(server: socket.socket, others: list[int]) -> Iterator[int]:
    """The workers that have called."""
    while True:
        try:
            connection, _ = server.accept()
        except TimeoutError:
            return
        with connection, contextlib.suppress(OSError, ValueError):
            connection.settimeout(_CALL_SECONDS)
            greeting = connection.makefile("rb").readline(64)
            if greeting.startswith(_GREETING) and (index := int(greeting.removeprefix(_GREETING))) in others:
                yield index


@contextlib.contextmanager
def _listening(spec: WorkerSpec) -> Iterator[socket.socket]:
    """Listens on this worker's port."""
    port = _split(spec.tasks[spec.index][2])[1]
    family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET
    try:
        server = socket.create_server(("", port), family=family, dualstack_ipv6=family == socket.AF_INET6, backlog=1024)
    except OSError as error:
        raise MelGANError(f"{spec.name(spec.index)}, which TF_CONFIG says this is, cannot start: port {port}: "
                          f"{error.strerror}") from None
    with server:
        server.settimeout(_RETRY_SECONDS)
        yield server
