"""The interface of a storage backend, and the retries around its operations.

A backend performs one operation once: it neither retries nor verifies. A missing file raises `FileNotFoundError`, every
other failure a `BackendError`. `Backend.attempt` retries; `melgan_tf.storage.paths` verifies what was written.
"""

from __future__ import annotations

import abc
import errno
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from melgan_tf.errors import MelGANError

Result = TypeVar("Result")

#: Seconds between attempts.
RETRY_PAUSES = (0.5, 1.0, 2.0)
_MAX_RETRY_SECONDS = 40.0  # after the first attempt; no further one starts later than this

#: Limits how long the AWS SDK tries before it reports an error; by default it may take an hour.
S3_LIMITS = {"AWS_RETRY_MODE": "standard", "AWS_MAX_ATTEMPTS": "2", "S3_CONNECT_TIMEOUT_MSEC": "5000",
             "S3_REQUEST_TIMEOUT_MSEC": "10000"}

NO_BUCKET = "the bucket does not exist: create it, or give another"
#: The largest files that are read, by their extension: a file of another size is not what it is taken for.
_MAX_BYTES = {".json": 64 << 20, ".npz": 4 << 30, ".tfrecord": 16 << 30}
_MAX_SOUND_BYTES = 4 << 30
_MAX_REASON = 300  # characters
_SETTINGS = {
    "s3": "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY or AWS_PROFILE, AWS_REGION, S3_ENDPOINT",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS", "az": "TF_AZURE_STORAGE_KEY",
    "hdfs": "HADOOP_HDFS_HOME, CLASSPATH"}


def settings_hint(scheme: str) -> str:
    """Say which environment variables configure access to a scheme."""
    return f"settings are read from {_SETTINGS[scheme]}"


class StorageError(MelGANError):
    """A remote location could not be reached or used; it says nothing about what exists there."""


class BackendError(Exception):
    """An operation that failed once.

    Attributes:
        reason: one line for the error message; what servers and libraries say is cut to a length.
        retryable: whether another attempt may succeed.
    """

    def __init__(self, reason: str, retryable: bool) -> None:
        self.reason, self.retryable = " ".join(reason[:_MAX_REASON].split()), retryable
        super().__init__(self.reason)


@dataclass(frozen=True)
class FileInfo:
    """Metadata of a file or folder, with the names of `os.stat_result` where they exist there.

    Attributes:
        st_size: bytes; 0 for a folder.
        st_mtime_ns: time of the last change, ns since 1970; 0 if unknown.
        is_folder: whether other files lie below it.
    """

    st_size: int
    st_mtime_ns: int
    is_folder: bool = False


def size_limit(name: str) -> int:
    """The most bytes that a file of that name may have.

    Examples:
        >>> size_limit("index.json") >> 20, size_limit("kick.wav") >> 20
        (64, 4096)
    """
    return _MAX_BYTES.get(os.path.splitext(name)[1].lower(), _MAX_SOUND_BYTES)


def require_size(name: str, size: int, file: Path) -> None:
    """Check before a download that the file is not too large.

    Args:
        name: of the remote file, with its extension.
        size: bytes, as the storage says.
        file: where it is to be.

    Raises:
        BackendError: it is larger than any such file.
        OSError: there is no room for it.
    """
    if size > (limit := size_limit(name)):
        raise BackendError(f"it has {size} bytes, more than the {limit >> 20} MiB that such a file may have", False)
    if size > shutil.disk_usage(file.parent).free:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class Lease(Protocol):
    """The right to write to a folder; see `melgan_tf.storage.locks`."""

    def check(self) -> None:
        """Raises a `MelGANError` if another process holds it now."""


class Backend(abc.ABC):
    """Whole files of one URI scheme.

    Args:
        scheme: for example ``s3``.

    Attributes:
        leases: those that this process holds, by the URI of their folder.
        needs_hard_exit: whether Python's normal exit aborts once this backend has been used.
    """

    needs_hard_exit = False

    def __init__(self, scheme: str) -> None:
        self.scheme = scheme
        self.leases: dict[str, Lease] = {}
        self._circuit_open = False  # after the last attempt of an operation failed, operations are tried once only

    @classmethod
    def available(cls, scheme: str) -> bool:
        """Whether the libraries that this backend needs are installed."""
        return True

    @abc.abstractmethod
    def stat(self, uri: str) -> FileInfo | None:
        """Return the metadata of a file or folder, or None if it does not exist."""

    @abc.abstractmethod
    def names(self, uri: str) -> list[str]:
        """Return the names in a folder; none if it does not exist."""

    @abc.abstractmethod
    def head(self, uri: str, count: int) -> bytes:
        """Return the first bytes of a file."""

    @abc.abstractmethod
    def download(self, uri: str, file: Path, info: FileInfo | None = None) -> None:
        """Copy a file to a local one, all of it; ``info`` is its metadata, if known."""

    @abc.abstractmethod
    def upload(self, file: Path, uri: str) -> None:
        """Copy a local file to storage, where it appears as a whole."""

    @abc.abstractmethod
    def copy(self, source: str, target: str) -> None:
        """Copy a file within the storage."""

    @abc.abstractmethod
    def remove(self, uri: str) -> None:
        """Remove a file."""

    @abc.abstractmethod
    def remove_tree(self, uri: str) -> None:
        """Remove a folder with its contents."""

    def existing(self, uri: str, file: Path, info: FileInfo | None) -> FileInfo:
        """Return the metadata of a file before its download to ``file``; ``info``: if known.

        Raises:
            FileNotFoundError: it does not exist.
            BackendError, OSError: as `require_size`.
        """
        info = info or self.stat(uri)
        if info is None or info.is_folder:
            raise FileNotFoundError(uri)
        require_size(uri, info.st_size, file)
        return info

    def attempt(self, verb: str, uri: Any, operation: Callable[[], Result]) -> Result:
        """Run an operation, with retries.

        Args:
            verb: for the message ``cannot <verb> <uri>: ...``.
            uri: the file or folder.
            operation: calls methods of this backend.

        Raises:
            FileNotFoundError: the file does not exist.
            StorageError: the last attempt failed.
        """
        started = time.monotonic()
        for pause in (None,) if self._circuit_open else (*RETRY_PAUSES, None):
            try:
                result = operation()
            except FileNotFoundError:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(uri)) from None
            except BackendError as error:
                spent = time.monotonic() - started
                if not error.retryable:
                    raise StorageError(f"cannot {verb} {uri}: {error.reason}") from None
                if pause is None or spent > _MAX_RETRY_SECONDS:
                    self._circuit_open = True
                    raise StorageError(f"cannot {verb} {uri}: {error.reason}; gave up after {spent:.0f} s") from None
                time.sleep(pause)
            else:
                self._circuit_open = False
                return result
        raise AssertionError
