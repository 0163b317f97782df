"""Where data lives: local folders, or ``s3://``, ``gs://``, ``az://``, ``hdfs://`` and ``http(s)://`` places.

`path` gives a `pathlib.Path` for a local place, and all goes on as ever; for a remote one it gives a `RemotePath`,
which has those of its methods that this package uses. Files are read through `local` and written through `uploading`
(which `melgan_tf.storage.atomic.replacing` does for remote places), as a whole and verified, so that nobody else needs
to know where they are. What fails is tried again, then reported in one line.
"""

from __future__ import annotations

import contextlib
import errno
import fnmatch
import functools
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import google_crc32c

from melgan_tf.errors import MelGANError
from melgan_tf.storage.gfile import Found, ObjectBackend, Trouble

SCHEMES = ("s3", "gs", "az", "hdfs", "http", "https")

_PAUSES = (0.5, 1.0, 2.0)  # seconds between tries
_LONGEST = 40.0  # seconds after the first of them in which another may begin
_LOOKS_AT_ONCE = 16
_BLOCK_BYTES = 1 << 20

_backends: dict[str, Any] = {}
_given_up: set[str] = set()  # schemes that failed to the end: what is asked of them next is tried once

#: Called with the target before anything is written or removed there; what they raise keeps it from that.
checks: list[Callable[[RemotePath], None]] = []


class StorageError(MelGANError):
    """A remote place could not be used, which says nothing of what is there."""


def is_remote(place: object) -> bool:
    """Whether a place is not in the local file system.

    Example:
        >>> is_remote("s3://bucket/sounds"), is_remote("sounds")
        (True, False)
    """
    return isinstance(place, RemotePath) or str(place).partition("://")[0].lower() in SCHEMES and "://" in str(place)


def path(place: str | os.PathLike | RemotePath) -> Any:
    """A place as something with the methods of `pathlib.Path`.

    Example:
        >>> path("s3://bucket/sounds/") / "kick.wav"
        RemotePath('s3://bucket/sounds/kick.wav')
    """
    if isinstance(place, RemotePath):
        return place
    return RemotePath(str(place)) if is_remote(place) else Path(place)


def objects_used() -> bool:
    """Whether this process has used tensorflow-io's file systems, after which Python's own way out aborts."""
    return any(isinstance(backend, ObjectBackend) for backend in _backends.values())


@functools.total_ordering
class RemotePath:
    """A remote place: what this package uses of `pathlib.Path`, for folders and objects.

    Args:
        uri: ``scheme://bucket/key``; a slash at the end means nothing.
        found: what is known of it already.

    Raises:
        StorageError: by every method that asks: the place cannot be reached or used.
    """

    def __init__(self, uri: str, found: Found | None = None) -> None:
        scheme, _, rest = uri.partition("://")
        self.scheme, self._rest, self.found = scheme.lower(), rest.rstrip("/"), found

    def __str__(self) -> str:
        return f"{self.scheme}://{self._rest}"

    def __repr__(self) -> str:
        return f"RemotePath({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RemotePath) and str(self) == str(other)

    def __lt__(self, other: RemotePath) -> bool:
        return str(self) < str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    def __truediv__(self, name: str) -> RemotePath:
        return RemotePath(f"{self}/{name}")

    @property
    def uri(self) -> str:
        """As file systems take it: a bucket by itself ends in a slash."""
        return str(self) if "/" in self._rest else f"{self}/"

    @property
    def name(self) -> str:
        name = self._rest.rpartition("/")[2]
        return name.partition("?")[0] if self.scheme.startswith("http") else name

    @property
    def suffix(self) -> str:
        return Path(self.name).suffix

    @property
    def parent(self) -> RemotePath:
        return RemotePath(f"{self.scheme}://{self._rest.rpartition('/')[0] or self._rest}")

    @property
    def parents(self) -> list[RemotePath]:
        parts = self._rest.split("/")
        return [RemotePath(f"{self.scheme}://{'/'.join(parts[:count])}") for count in range(len(parts) - 1, 0, -1)]

    def resolve(self) -> RemotePath:
        return self

    absolute = resolve

    def look_up(self) -> Found | None:
        """What is there, or None."""
        return self.found or _tried("read", self, lambda: _backend(self).look_up(self.uri))

    def exists(self) -> bool:
        return self.look_up() is not None

    def stat(self) -> Found:
        """Size and time of what is there.

        Raises:
            FileNotFoundError: nothing.
        """
        if (found := self.look_up()) is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self))
        return found

    def is_dir(self) -> bool:
        return (found := self.look_up()) is not None and found.folder

    def is_file(self) -> bool:
        return (found := self.look_up()) is not None and not found.folder

    def iterdir(self) -> Iterator[RemotePath]:
        return (self / name for name in _tried("list", self, lambda: _backend(self).names(self.uri)))

    def glob(self, pattern: str) -> Iterator[RemotePath]:
        """Of the names in this folder, not of those below."""
        return (child for child in self.iterdir() if fnmatch.fnmatchcase(child.name, pattern))

    def children(self) -> list[RemotePath]:
        """What is in a folder, looked up."""
        with ThreadPoolExecutor(_LOOKS_AT_ONCE) as pool:
            children = list(self.iterdir())
            return [RemotePath(str(child), found) for child, found in
                    zip(children, pool.map(RemotePath.look_up, children), strict=True) if found]

    def head(self, count: int) -> bytes:
        """The first bytes."""
        return _tried("read", self, lambda: _backend(self).head(self.uri, count))

    def read_bytes(self) -> bytes:
        with local(self) as file:
            return file.read_bytes()

    def read_text(self, encoding: str = "utf-8") -> str:
        return self.read_bytes().decode(encoding)

    def mkdir(self, parents: bool = True, exist_ok: bool = True) -> None:
        """Nothing: folders are there as soon as something is in them."""

    def unlink(self, missing_ok: bool = False) -> None:
        _check(self)
        try:
            _tried("remove", self, lambda: _backend(self).remove(self.uri))
        except FileNotFoundError:
            if not missing_ok:
                raise

    rmdir = mkdir


def _backend(place: RemotePath) -> Any:
    if place.scheme not in _backends:
        if place.scheme in ("http", "https"):
            from melgan_tf.storage.http import HTTPBackend

            _backends[place.scheme] = HTTPBackend()
        else:
            _backends[place.scheme] = ObjectBackend(place.scheme)
    return _backends[place.scheme]


def _tried(doing: str, place: RemotePath, function: Callable[[], Any]) -> Any:
    """Does something, several times if need be.

    Raises:
        FileNotFoundError: the place is not there.
        StorageError: it did not work.
    """
    began = time.monotonic()
    for pause in (None,) if place.scheme in _given_up else (*_PAUSES, None):
        try:
            result = function()
            _given_up.discard(place.scheme)
            return result
        except FileNotFoundError:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(place)) from None
        except Trouble as trouble:
            spent = time.monotonic() - began
            if not trouble.passing:
                raise StorageError(f"cannot {doing} {place}: {trouble.reason}") from None
            if pause is None or spent > _LONGEST:
                _given_up.add(place.scheme)
                raise StorageError(f"cannot {doing} {place}: {trouble.reason}; given up after {spent:.0f} s") from None
            time.sleep(pause)
    raise AssertionError


@contextlib.contextmanager
def local(place: Path | RemotePath) -> Iterator[Path]:
    """A local file with what is at a place: the file itself, or a copy for as long as the block lasts.

    Raises:
        FileNotFoundError: a remote place is not there.
        StorageError: it cannot be read.
        MelGANError: there is no room for the copy.
    """
    if not isinstance(place, RemotePath):
        yield place
        return
    with workplace() as folder:
        file = folder / (place.name or "file")
        fetch(place, file)
        yield file


def fetch(place: RemotePath, file: Path) -> None:
    """Copies a remote file into a local one; raises as `local`."""
    known = [place.found]  # at first; then it may be that which is wrong
    try:
        _tried("read", place, lambda: _backend(place).download(place.uri, file, known.pop() if known else None))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise MelGANError(f"no room for a copy of {place} in {file.parent}: {error.strerror}") from None


@contextlib.contextmanager
def workplace() -> Iterator[Path]:
    """A local folder for as long as the block lasts."""
    with tempfile.TemporaryDirectory(prefix="melgan-tf-") as folder:
        yield Path(folder)


@contextlib.contextmanager
def uploading(target: RemotePath) -> Iterator[Path]:
    """A local path whose file is at the target when the block has ended well.

    It is read back and compared before anybody may rely on it.

    Raises:
        StorageError: it cannot be written.
        MelGANError: another process has claimed the place.
    """
    with workplace() as folder:
        file = folder / "file"
        yield file
        _check(target)
        _tried("write", target, lambda: _put(file, target))


def _check(target: RemotePath) -> None:
    for check in checks:
        check(target)


def _put(file: Path, target: RemotePath) -> None:
    backend = _backend(target)
    try:
        backend.upload(file, target.uri)
    except FileNotFoundError:
        raise Trouble("there is no such bucket, or it vanished", False) from None
    back = file.with_name("back")
    try:
        backend.download(target.uri, back)
    except FileNotFoundError:
        raise Trouble("what was written is not there", True) from None
    if _checksum(back) != _checksum(file):
        raise Trouble("what was written is not what can be read", True)


def _checksum(file: Path) -> tuple[int, int]:
    crc = 0
    with open(file, "rb") as opened:
        while block := opened.read(_BLOCK_BYTES):
            crc = google_crc32c.extend(crc, block)
        return opened.tell(), crc


def duplicate(source: Any, target: Any) -> None:
    """Makes a remote object the copy of another, within the storage."""
    _check(target)
    _tried("write", target, lambda: _backend(target).copy(source.uri, target.uri))


def remove_tree(folder: Any) -> None:
    """Removes a folder with everything in it; a missing one is fine."""
    if not isinstance(folder, RemotePath):
        shutil.rmtree(folder, ignore_errors=True)
    elif folder.exists():
        _check(folder)
        with contextlib.suppress(FileNotFoundError):
            _tried("remove", folder, lambda: _backend(folder).remove_tree(folder.uri))


def sizes(places: list[Any]) -> list[int | None]:
    """The sizes of files in bytes; None for one that is not there, or cannot be looked at."""
    def size(place: Any) -> int | None:
        if isinstance(place, RemotePath):
            found = place.look_up()
            return None if found is None or found.folder else found.st_size
        try:
            return place.stat().st_size if place.is_file() else None
        except OSError:  # in a folder that lets nobody look
            return None

    if not any(isinstance(place, RemotePath) for place in places):
        return [size(place) for place in places]
    with ThreadPoolExecutor(_LOOKS_AT_ONCE) as pool:
        return list(pool.map(size, places))
