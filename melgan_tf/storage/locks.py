"""Locks on folders: a file lock that ends with its process locally, a lease object in remote storage."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import platform
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

from melgan_tf import storage
from melgan_tf.errors import MelGANError
from melgan_tf.storage.backend import StorageError
from melgan_tf.storage.paths import RemotePath


class LeaseLostError(MelGANError):
    """Another process has taken over the folder that this one was writing to."""


class RemoteLease:
    """The right to write to the folder of a lock object, which holds the name of its owner.

    Args:
        lock: the lock object.
        description: the folder, for messages.
    """

    def __init__(self, lock: RemotePath, description: str) -> None:
        self.lock, self.description, self._token = lock, description, secrets.token_hex(8)

    def acquire(self) -> None:
        """Take the lease, from another process if it holds it."""
        owner = {"host": platform.node(), "process": os.getpid(), "since": time.strftime("%Y-%m-%d %H:%M:%S %z"),
                 "token": self._token}
        with storage.uploading(self.lock) as file:
            file.write_text(json.dumps(owner) + "\n", encoding="utf-8")

    def check(self) -> None:
        """Raise a `LeaseLostError` if another process has taken the lease since."""
        try:
            owner = json.loads(self.lock.read_text())
        except (FileNotFoundError, ValueError):
            owner = {}
        if owner.get("token") != self._token:
            name = (f"process {owner['process']} on {owner['host']}" if {"process", "host"} <= set(owner)
                    else "another process")
            raise LeaseLostError(f"{name} has taken over {self.description}: this process stops; "
                                 "what it wrote is kept")

    def release(self) -> None:
        """Remove the lock object, unless it is another process's."""
        with contextlib.suppress(MelGANError, FileNotFoundError):
            self.check()
            self.lock.unlink()


@contextlib.contextmanager
def lease(lock: RemotePath, description: str) -> Iterator[None]:
    """Hold the lease of a lock object's folder. The last process to take it has it.

    Every write to the folder checks the lease first, so a process that has lost it stops before its next write. The
    lock of a killed process blocks nobody.

    Args:
        lock: the lock object.
        description: the folder, for messages.

    Raises:
        LeaseLostError: from writes to the folder within the block, after another process has taken the lease.
        StorageError: the lock object cannot be written.
    """
    held, leases, folder = RemoteLease(lock, description), lock.backend.leases, str(lock.parent)
    held.acquire()
    leases[folder] = held
    try:
        yield
    except StorageError:  # the lock object could not be removed either
        raise
    except BaseException:
        held.release()
        raise
    else:
        held.release()
    finally:
        leases.pop(folder, None)


@contextlib.contextmanager
def file_lock(file: Path, description: str, busy: str) -> Iterator[None]:
    """Hold a lock file, which is created with its folder if missing. The lock ends with the process.

    In remote storage the folder is leased instead: see `lease`.

    Args:
        file: the lock file.
        description: what it protects, for messages.
        busy: the message if another process holds it.

    Raises:
        MelGANError: another process holds it, or it cannot be written.
    """
    if storage.is_remote(file):
        with lease(file, description):
            yield
        return
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise MelGANError(f"cannot write {description}: {error.strerror}") from None
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise MelGANError(busy) from None
        yield
    finally:
        os.close(handle)
