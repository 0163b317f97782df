"""Locks on folders: a file lock that ends with its process locally, a lease object in remote storage."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from melgan_tf import storage
from melgan_tf.config.strict_json import parse_object
from melgan_tf.errors import MelGANError
from melgan_tf.runtime import system
from melgan_tf.storage.backend import StorageError
from melgan_tf.storage.paths import RemotePath, local_leases
from melgan_tf.storage.temporaries import sweep


class LeaseLostError(MelGANError):
    """The folder that this process was writing to is no longer its own."""


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
            owner = parse_object(self.lock.read_bytes())
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
def _remote_lease(lock: RemotePath, folder: RemotePath, description: str) -> Iterator[None]:
    """Hold the lease of a remote folder. The last process to take it has it.

    The lock of a killed process blocks nobody: a process that has lost the lease stops before its next write.
    """
    held, leases = RemoteLease(lock, description), lock.backend.leases
    held.acquire()
    leases[str(folder)] = held
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
        leases.pop(str(folder), None)


class LocalLease:
    """The right to write to a folder while its lock file is locked.

    Both are open until `release`, so that no new file gets their numbers.

    Args:
        lock: the lock file.
        folder: the folder.
        description: the folder, for messages.

    Raises:
        OSError: it is locked (BlockingIOError), or the lock file cannot be written.
    """

    def __init__(self, lock: Path, folder: Path, description: str) -> None:
        self.lock, self.folder, self.description = lock, folder, description
        lock.parent.mkdir(parents=True, exist_ok=True)
        self._handles = [os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)]
        try:
            system.lock(self._handles[0])
            if not _is_open(lock, self._handles[0]):  # its last owner removed it just now
                raise BlockingIOError
            self._handles.append(system.open_folder(folder))
        except BaseException:
            self.release()
            raise

    def check(self) -> None:
        """Raise a `LeaseLostError` if this is another folder now, or another process can have locked it."""
        same = self._handles[1] is None or _is_open(self.folder, self._handles[1])
        if not (same and _is_open(self.lock, self._handles[0], missing=True)):
            raise LeaseLostError(f"{self.description} was removed, moved or replaced while this process worked in it: "
                                 "nothing more is written; put it back, or start again elsewhere")

    def release(self) -> None:
        """Give up the lock."""
        while self._handles:
            if (handle := self._handles.pop()) is not None:
                os.close(handle)


def _is_open(path: Path, handle: int, missing: bool = False) -> bool:
    """Whether a path still leads to the file that is open; ``missing``: what to return if it leads nowhere."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(handle))
    except (FileNotFoundError, NotADirectoryError):
        return missing
    except OSError:  # not reachable: the write itself shows why
        return True


@contextlib.contextmanager
def locked_folder(file: Path, folder: Path, description: str, busy: str, started: Callable[[], bool],
                  *swept: Path) -> Iterator[None]:
    """Hold the lock file of a folder; both are created if missing. The lock ends with the process.

    Every atomic write below the folder checks first that it is still the one that was locked. In remote storage, where
    nothing can be locked, the last process to take the folder has it. Temporaries of killed processes are removed
    first; and at the end, if no work was started, what was created for the lock.

    Args:
        file: the lock file, in the folder or in a folder of its own there.
        folder: files below it are written by this process only.
        description: the folder, for messages.
        busy: the message if another process holds it.
        started: whether there is work in the folder.
        swept: its sub-folders that may have temporaries, too.

    Raises:
        MelGANError: another process holds it, or it cannot be written.
        LeaseLostError: from writes to the folder within the block, after another process has taken it over, or it was
            removed, moved or replaced.
    """
    created = not folder.exists()
    with _remote_lease(file, folder, description) if storage.is_remote(file) else _local_lease(
            file, folder, description, busy):
        for place in (folder, *swept):
            sweep(place)
        try:
            yield
        finally:
            if not started():
                with contextlib.suppress(OSError, LeaseLostError):
                    storage.check_lease(file)  # or it is not ours
                    file.unlink()
                    if file.parent != folder:
                        file.parent.rmdir()
                    if created:
                        folder.rmdir()


@contextlib.contextmanager
def _local_lease(file: Path, folder: Path, description: str, busy: str) -> Iterator[None]:
    try:
        held = LocalLease(file, folder, description)
    except BlockingIOError:
        raise MelGANError(busy) from None
    except OSError as error:
        raise MelGANError(f"cannot write {description}: {error.strerror}") from None
    local_leases[str(folder)] = held
    try:
        yield
    finally:
        del local_leases[str(folder)]
        held.release()
