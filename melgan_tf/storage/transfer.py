"""Changes in storage, local and remote: verified uploads, copies, removal."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import google_crc32c

from melgan_tf.storage.backend import BackendError
from melgan_tf.storage.paths import PARALLEL_REQUESTS, RemotePath, check_lease
from melgan_tf.storage.temporaries import temporary_folder

_BLOCK_BYTES = 1 << 20


@contextlib.contextmanager
def uploading(target: RemotePath) -> Iterator[Path]:
    """Give a local path whose file is uploaded to the target when the block ends without an exception.

    The upload is read back and compared.

    Raises:
        StorageError: the target cannot be written.
        LeaseLostError: another process has taken over the lease of a folder that the target is in.
    """
    with temporary_folder() as folder:
        file = folder / "file"
        yield file
        check_lease(target)
        target.backend.attempt("write", target, lambda: _upload(file, target))


def _upload(file: Path, target: RemotePath) -> None:
    try:
        target.backend.upload(file, target.uri)
    except FileNotFoundError:
        raise BackendError("the bucket does not exist, or was deleted", False) from None
    copy = file.with_name("copy")
    try:
        target.backend.download(target.uri, copy)
    except FileNotFoundError:
        raise BackendError("the uploaded file does not exist", True) from None
    if _checksum(copy) != _checksum(file):
        raise BackendError("the uploaded file differs from what was sent", True)


def _checksum(file: Path) -> tuple[int, int]:
    crc = 0
    with open(file, "rb") as opened:
        while block := opened.read(_BLOCK_BYTES):
            crc = google_crc32c.extend(crc, block)
        return opened.tell(), crc


def server_side_copy(source: RemotePath, target: RemotePath) -> None:
    """Copy a remote file within its storage."""
    check_lease(target)
    target.backend.attempt("write", target, lambda: target.backend.copy(source.uri, target.uri))


def remove_tree(folder: Any) -> None:
    """Remove a folder with its contents; do nothing if it does not exist."""
    if not isinstance(folder, RemotePath):
        shutil.rmtree(folder, ignore_errors=True)
    elif folder.exists():
        check_lease(folder)
        with contextlib.suppress(FileNotFoundError):
            folder.backend.attempt("remove", folder, lambda: folder.backend.remove_tree(folder.uri))


def sizes(places: list[Any]) -> list[int | None]:
    """Return the sizes of files in bytes; None for a file that does not exist or is not accessible."""
    def size(place: Any) -> int | None:
        if isinstance(place, RemotePath):
            info = place.info()
            return None if info is None or info.is_folder else info.st_size
        try:
            return place.stat().st_size if place.is_file() else None
        except OSError:  # no permission to search the folder
            return None

    if not any(isinstance(place, RemotePath) for place in places):
        return [size(place) for place in places]
    with ThreadPoolExecutor(PARALLEL_REQUESTS) as pool:
        return list(pool.map(size, places))
