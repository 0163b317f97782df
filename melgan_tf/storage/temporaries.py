"""Files and folders that exist only while a process works on them, and the end of those that killed processes left.

The owner of a temporary holds a lock (``flock``) on it, which ends with the process, however that ends. So one that can
be locked has no owner, and the next process that makes a temporary in the same folder removes it.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import platform
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from melgan_tf.runtime import system

if TYPE_CHECKING:
    from melgan_tf.storage.paths import RemotePath

_PREFIX, _SUFFIX = ".melgan-tf-", ".part"
#: Age of a temporary of another machine that is removed: not every network file system knows the locks of others.
_FOREIGN_SECONDS = 24 * 3600.0
_OPEN = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_OPEN_FOLDER, _OPEN_FILE = _OPEN | os.O_RDONLY | getattr(os, "O_DIRECTORY", 0), _OPEN | os.O_RDWR

_swept: set[str] = set()


def is_temporary(name: str) -> bool:
    """Whether a file name is that of a temporary.

    Examples:
        >>> is_temporary(".melgan-tf-0f3c2a91-5be1c0de5be1c0de.part"), is_temporary(".download.part")
        (True, False)
    """
    return name.startswith(_PREFIX) and name.endswith(_SUFFIX)


def new_name() -> str:
    """Return the name of a new temporary."""
    return f"{_PREFIX}{_machine()}-{secrets.token_hex(8)}{_SUFFIX}"


@contextlib.contextmanager
def temporary_file(folder: Path) -> Iterator[Path]:
    """Give an empty file in a folder; what is left of it under this name is removed at the end.

    Raises:
        OSError: it cannot be made.
    """
    with _temporary(folder, lambda path: os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)),
                    _OPEN_FILE) as path:
        yield path


@contextlib.contextmanager
def temporary_folder(parent: Path | None = None, mode: int = 0o700) -> Iterator[Path]:
    """Give an empty folder; what is left of it under this name is removed at the end.

    Args:
        parent: contains it; by default the system's folder for temporary files.
        mode: its permissions, before the umask.

    Raises:
        OSError: it cannot be made.
    """
    with _temporary(parent or Path(tempfile.gettempdir()), lambda path: os.mkdir(path, mode), _OPEN_FOLDER) as path:
        yield path


@contextlib.contextmanager
def _temporary(folder: Path, make: Callable[[Path], None], flags: int) -> Iterator[Path]:
    if str(folder) not in _swept:
        _swept.add(str(folder))
        sweep(folder)
    path = handle = None
    try:
        while True:
            path = folder / new_name()
            make(path)
            try:
                handle = _lock(path, flags)
            except (BlockingIOError, FileNotFoundError):  # taken for a dead one by a process that sweeps
                continue
            except OSError:  # the file system has no locks, so no process can lock it and take it for dead
                pass
            break
        yield path
    finally:
        if path is not None:
            _remove(path)
        if handle is not None:
            os.close(handle)


def sweep(folder: Path | RemotePath) -> None:
    """Remove the temporaries in a folder whose owners are dead. Others', and what cannot be removed, stay.

    Args:
        folder: a local one, or a remote one whose lease this process holds, so that all in it are of dead owners.
    """
    if not isinstance(folder, Path):
        for child in folder.iterdir():
            if is_temporary(child.name):
                child.unlink(missing_ok=True)
        return
    try:
        with os.scandir(folder) as entries:
            found = [entry for entry in entries if is_temporary(entry.name)]
    except OSError:
        return
    for entry in found:
        with contextlib.suppress(OSError):
            _remove_dead(entry)


def _remove_dead(entry: os.DirEntry) -> None:
    status = entry.stat(follow_symlinks=False)
    is_folder = stat.S_ISDIR(status.st_mode)
    if status.st_uid != system.user() or not (is_folder or stat.S_ISREG(status.st_mode)):
        return
    if not entry.name.startswith(f"{_PREFIX}{_machine()}-") and time.time() - status.st_mtime < _FOREIGN_SECONDS:
        return
    handle = _lock(Path(entry.path), _OPEN_FOLDER if is_folder else _OPEN_FILE)
    try:
        _remove(Path(entry.path))
    finally:
        os.close(handle)


def _lock(path: Path, flags: int) -> int:
    """Open and lock a temporary, and return the descriptor.

    Raises:
        BlockingIOError: another process has locked it.
        FileNotFoundError: it was removed.
        OSError: the file system has no locks.
    """
    handle = os.open(path, flags)
    try:
        system.lock_temporary(handle)
        if not os.path.samestat(os.fstat(handle), os.stat(path, follow_symlinks=False)):
            raise FileNotFoundError(path)
    except BaseException:
        os.close(handle)
        raise
    return handle


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


@functools.cache
def _machine() -> str:
    """Eight digits that the processes of a running system share, its containers included."""
    try:
        name = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
    except (OSError, ValueError):
        name = platform.node()
    return hashlib.sha256(name.encode()).hexdigest()[:8]
