"""Locations of data: local paths, or ``s3://``, ``gs://``, ``az://``, ``hdfs://`` and ``http(s)://`` URIs.

`path` returns a `pathlib.Path` for a local location and a `RemotePath`, with those of its methods that this package
uses, for a remote one. Files are read through `local` and written through `melgan_tf.storage.transfer.uploading` (which
`melgan_tf.storage.atomic.atomic_write` does for remote locations), whole and verified, so no other module needs to know
where they are. Failing operations are retried, then reported in one line.
"""

from __future__ import annotations

import contextlib
import errno
import fnmatch
import functools
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from melgan_tf.errors import MelGANError, UsageError, is_redacted, redacted_address, split_query
from melgan_tf.storage.backend import Backend, FileInfo, Lease
from melgan_tf.storage.registry import SCHEMES, backend, connections
from melgan_tf.storage.temporaries import temporary_folder

#: To one server at a time.
PARALLEL_REQUESTS = 16

#: The local folders that this process has locked.
local_leases: dict[str, Lease] = {}


def is_remote(place: object) -> bool:
    """Whether a location is not in the local file system.

    Examples:
        >>> is_remote("s3://bucket/sounds"), is_remote("sounds")
        (True, False)
    """
    return isinstance(place, RemotePath) or str(place).partition("://")[0].lower() in SCHEMES and "://" in str(place)


def path(place: str | os.PathLike | RemotePath) -> Any:
    """Return a location as an object with the methods of `pathlib.Path`.

    Examples:
        >>> path("s3://bucket/sounds/") / "kick.wav"
        RemotePath('s3://bucket/sounds/kick.wav')
    """
    if isinstance(place, RemotePath):
        return place
    return RemotePath(str(place)) if is_remote(place) else Path(place)


def address(place: str | os.PathLike | RemotePath) -> str:
    """Return a location as text for another process: unlike `str`, with what gives access to a remote one."""
    return place.full if isinstance(place, RemotePath) else str(place)


def recorded(place: str | os.PathLike | RemotePath) -> str:
    """Return a location as it is written into records: without secrets.

    Examples:
        >>> recorded("https://host/kick.wav?token=0123"), recorded("sounds")
        ('https://host/kick.wav?***', 'sounds')
    """
    return redacted_address(str(place))


def needs_hard_exit() -> bool:
    """Whether Python's normal exit would abort, as it does once tensorflow-io's file systems have been used."""
    return any(one.needs_hard_exit for one in connections.values())


@functools.total_ordering
class RemotePath:
    """A remote file or folder, with those methods of `pathlib.Path` that this package uses.

    Args:
        uri: ``scheme://bucket/key``; a trailing slash is ignored. User, password, query and fragment are used, but
            never shown: `str` and `repr` have ``***`` in their place.
        info: its metadata, if known already.

    Raises:
        StorageError: from every method that accesses the storage: it cannot be reached or used.
    """

    def __init__(self, uri: str, info: FileInfo | None = None) -> None:
        named, query = split_query(uri)
        self.scheme, self.known_info = named.partition("://")[0].lower(), info
        self._rest, self._query = named.partition("://")[2].rstrip("/"), query

    def __str__(self) -> str:
        return redacted_address(self.full)

    def __repr__(self) -> str:
        return f"RemotePath({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RemotePath) and self.full == other.full

    def __lt__(self, other: RemotePath) -> bool:
        return self.full < other.full

    def __hash__(self) -> int:
        return hash(self.full)

    def __truediv__(self, name: str) -> RemotePath:
        return self._with(f"{self._rest}/{name}")

    def _with(self, rest: str) -> RemotePath:
        """Another place in the same storage; what gives access to one (``?token=...``) often does to the other."""
        return RemotePath(f"{self.scheme}://{rest}{self._query}")

    @property
    def full(self) -> str:
        """The address with its secrets, for other processes; `str` has none of them."""
        return f"{self.scheme}://{self._rest}{self._query}"

    @property
    def uri(self) -> str:
        """The URI as backends expect it, with its secrets: a bucket alone ends in a slash.

        Raises:
            UsageError: its secrets are unknown, because it comes from a record.
        """
        if is_redacted(self.full):
            raise UsageError(f"{self} stands for an address whose secrets were not recorded: give the full one again")
        return self.full if "/" in self._rest or self._query else f"{self.full}/"

    @property
    def backend(self) -> Backend:
        """The backend that serves this scheme.

        Raises:
            MelGANError: its libraries are not installed.
        """
        return backend(self.scheme)

    @property
    def name(self) -> str:
        return self._rest.rpartition("/")[2]

    @property
    def suffix(self) -> str:
        return Path(self.name).suffix

    @property
    def parent(self) -> RemotePath:
        return self._with(self._rest.rpartition("/")[0] or self._rest)

    @property
    def parents(self) -> list[RemotePath]:
        parts = self._rest.split("/")
        return [self._with("/".join(parts[:count])) for count in range(len(parts) - 1, 0, -1)]

    def resolve(self) -> RemotePath:
        return self

    absolute = resolve

    def info(self) -> FileInfo | None:
        """Return the metadata of the file or folder, or None if it does not exist."""
        return self.known_info or self.backend.attempt("read", self, lambda: self.backend.stat(self.uri))

    def exists(self) -> bool:
        return self.info() is not None

    def stat(self) -> FileInfo:
        """Return the metadata of the file or folder.

        Raises:
            FileNotFoundError: it does not exist.
        """
        if (info := self.info()) is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self))
        return info

    def is_dir(self) -> bool:
        return (info := self.info()) is not None and info.is_folder

    def is_file(self) -> bool:
        return (info := self.info()) is not None and not info.is_folder

    def iterdir(self) -> Iterator[RemotePath]:
        return (self / name for name in self.backend.attempt("list", self, lambda: self.backend.names(self.uri)))

    def glob(self, pattern: str) -> Iterator[RemotePath]:
        """Match names in this folder only, not in its sub-folders."""
        return (child for child in self.iterdir() if fnmatch.fnmatchcase(child.name, pattern))

    def children(self) -> list[RemotePath]:
        """Return the files and sub-folders of a folder with their metadata, requested in parallel."""
        with ThreadPoolExecutor(PARALLEL_REQUESTS) as pool:
            children = list(self.iterdir())
            return [RemotePath(child.full, info) for child, info in
                    zip(children, pool.map(RemotePath.info, children), strict=True) if info]

    def head(self, count: int) -> bytes:
        """Return the first bytes of a file."""
        return self.backend.attempt("read", self, lambda: self.backend.head(self.uri, count))

    def read_bytes(self) -> bytes:
        with local(self) as file:
            return file.read_bytes()

    def read_text(self, encoding: str = "utf-8") -> str:
        return self.read_bytes().decode(encoding)

    def mkdir(self, parents: bool = True, exist_ok: bool = True) -> None:
        """Do nothing: a remote folder exists as soon as it contains a file."""

    def unlink(self, missing_ok: bool = False) -> None:
        check_lease(self)
        try:
            self.backend.attempt("remove", self, lambda: self.backend.remove(self.uri))
        except FileNotFoundError:
            if not missing_ok:
                raise

    rmdir = mkdir


@contextlib.contextmanager
def local(place: Path | RemotePath) -> Iterator[Path]:
    """Give a local file with the contents of a location: the file itself, or a copy that exists within the block.

    Raises:
        FileNotFoundError: a remote file does not exist.
        StorageError: it cannot be read.
        MelGANError: there is no room for the copy.
    """
    if not isinstance(place, RemotePath):
        yield place
        return
    with temporary_folder() as folder:
        file = folder / (place.name or "file")
        fetch(place, file)
        yield file


def fetch(place: RemotePath, file: Path) -> None:
    """Copy a remote file to a local one; raises as `local`."""
    known = [place.known_info]  # for the first attempt; a failure may mean that it is outdated
    try:
        place.backend.attempt("read", place, lambda: place.backend.download(place.uri, file,
                                                                            known.pop() if known else None))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise MelGANError(f"no room for a copy of {place} in {file.parent}: {error.strerror}") from None


def check_lease(target: Path | RemotePath) -> None:
    """Check that this process still has the right to write to a file, where it locked a folder that contains it.

    Raises:
        LeaseLostError: it does not.
    """
    leases = target.backend.leases if isinstance(target, RemotePath) else local_leases
    if not leases:
        return
    for folder in (target, *target.parents):
        if lease := leases.get(str(folder)):
            lease.check()
