"""Files and folders that are replaced as a whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from melgan_tf import storage
from melgan_tf.errors import MelGANError, printable
from melgan_tf.storage.temporaries import temporary_file, temporary_folder


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically.

    Raises:
        MelGANError: it cannot be written (no space, read-only, ...); an existing file is left unchanged.
    """
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextlib.contextmanager
def atomic_write(path: Path, parents: bool = True, durable: bool = True) -> Iterator[Path]:
    """Give a temporary local path, whose file replaces ``path`` when the block ends without an exception.

    After an exception nothing is left of it, and an existing file is unchanged.

    Args:
        path: the file, local or remote.
        parents: create missing parent folders of a local one.
        durable: flush it to the disk before it replaces ``path``, so that it survives a power failure.

    Raises:
        MelGANError: it cannot be written.
    """
    try:
        with storage.uploading(path) if storage.is_remote(path) else _local_write(path, parents, durable) as temporary:
            yield temporary
    except OSError as error:
        raise MelGANError(f"cannot write {printable(str(path))}: {error.strerror or error}") from None


@contextlib.contextmanager
def _local_write(path: Path, parents: bool, durable: bool) -> Iterator[Path]:
    if not path.name or "\0" in str(path):  # `pathlib` and `open` would raise a ValueError
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    storage.check_lease(path)
    if parents:
        path.parent.mkdir(parents=True, exist_ok=True)
    with temporary_file(path.parent) as temporary:
        try:
            yield temporary
            if durable:
                with open(temporary, "rb+") as written:
                    os.fsync(written.fileno())
            os.replace(temporary, path)
        except OSError:
            storage.check_lease(path)  # names the cause where the folder has gone
            raise


@contextlib.contextmanager
def atomic_folder(path: Path, description: str = "folder") -> Iterator[Path]:
    """Give a temporary local folder, which becomes ``path`` when the block ends without an exception.

    After an exception nothing is left of it, nor of parent folders that had to be created.

    Args:
        path: must not exist, or be empty.
        description: what it is, for the message.

    Raises:
        MelGANError: it cannot be written.
    """
    path = path.resolve()
    try:
        with folder_beside(path, 0o777) as temporary:
            yield temporary
            os.rename(temporary, path)  # replaces an empty folder and nothing else
    except OSError as error:
        raise MelGANError(f"cannot write {description} {path}: {error.strerror or error}") from None


@contextlib.contextmanager
def folder_beside(path: Path, mode: int = 0o700) -> Iterator[Path]:
    """Give a temporary local folder beside ``path``; parent folders that are empty at the end and were not there go.

    Raises:
        OSError: it cannot be made.
    """
    created = [parent for parent in path.parents if not parent.exists()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary_folder(path.parent, mode) as temporary:
            yield temporary
    finally:
        for parent in created:
            with contextlib.suppress(OSError):  # it is in use
                parent.rmdir()
