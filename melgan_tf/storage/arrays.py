"""The one reader of arrays in files, ``.npz`` and ``.npy``.

Sizes, types and names are known from the headers before anything is allocated; objects are refused.
"""

from __future__ import annotations

import contextlib
import math
import os
import warnings
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from melgan_tf import storage
from melgan_tf.errors import UsageError

#: How often larger than its file an archive may be, compressed weights included; small ones may be `_MIN_BYTES`.
_MAX_RATIO = 16
_MIN_BYTES = 64 << 20
_MAX_AXES = 8
_PIECE_BYTES = 1 << 20
_KINDS = "biufU"  # of NumPy types: numbers and text


@dataclass(frozen=True)
class Header:
    """What an array's header says.

    Attributes:
        shape: of the array.
        dtype: of the array; numbers or text.
        column_major: whether the first index varies fastest.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    column_major: bool

    @property
    def size(self) -> int:
        """Number of its elements."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """Size of its elements."""
        return self.size * self.dtype.itemsize


class Npz:
    """An open ``.npz`` file.

    Args:
        file: the open file.

    Attributes:
        headers: those of all arrays by name.

    Raises:
        ValueError: it is damaged, larger than its file allows, or contains something else than arrays.
    """

    def __init__(self, file: BinaryIO) -> None:
        with _any_error_as_value_error():
            self._archive = zipfile.ZipFile(file)
            members = self._archive.infolist()
            if len({member.filename for member in members}) < len(members):
                raise ValueError("an array is there twice")
            limit = max(_MIN_BYTES, _MAX_RATIO * os.fstat(file.fileno()).st_size)
            if (total := sum(member.file_size for member in members)) > limit:
                raise ValueError(f"{total:,} bytes of arrays are out of proportion to the file")
            self.headers = {member.filename.removesuffix(".npy"): self._header(member) for member in members}

    def _header(self, member: zipfile.ZipInfo) -> Header:
        if not member.filename.endswith(".npy"):
            raise ValueError(f"{member.filename!r} is not an array")
        with self._archive.open(member) as opened:
            return read_header(opened, member.file_size)

    def read(self, name: str) -> np.ndarray:
        """Reads an array.

        Raises:
            KeyError: there is none of that name.
            ValueError: it is damaged.
        """
        header = self.headers[name]
        with _any_error_as_value_error(), self._archive.open(f"{name}.npy") as opened:
            read_header(opened, header.bytes, exact=False)
            values = np.empty(header.size, header.dtype)
            if opened.readinto(values.view(np.uint8)) != header.bytes:
                raise ValueError(f"{name} is cut short")
        values = values.reshape(header.shape, order="F" if header.column_major else "C")
        return values if values.dtype.isnative else values.astype(values.dtype.newbyteorder("="))

    def verify(self, name: str) -> None:
        """Raises a `ValueError` if an array is damaged; does not hold it in memory."""
        with _any_error_as_value_error(), self._archive.open(f"{name}.npy") as opened:
            while opened.read(_PIECE_BYTES):
                pass


@contextlib.contextmanager
def open_npz(path: Path) -> Iterator[Npz]:
    """Opens an ``.npz`` file, local or remote.

    Raises:
        OSError, StorageError: it is missing, or cannot be read.
        ValueError: see `Npz`.
    """
    with storage.local(path) as local_path, open(local_path, "rb") as file:
        yield Npz(file)


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """Reads all arrays of an ``.npz`` file by name; raises what `open_npz` raises."""
    with open_npz(path) as archive:
        return {name: archive.read(name) for name in archive.headers}


def map_npy(path: Path) -> np.ndarray:
    """Maps an ``.npy`` file of numbers to memory, read-only.

    Raises:
        OSError: it is missing, or cannot be read.
        ValueError: it is damaged, or contains something else than one array of numbers.
    """
    with open(path, "rb") as file:
        with _any_error_as_value_error():
            header = read_header(file, os.fstat(file.fileno()).st_size)
            if header.dtype.kind == "U":
                raise ValueError(f"it contains {header.dtype}, not numbers")
        if not header.size:
            return np.empty(header.shape, header.dtype)
        return np.memmap(file, header.dtype, "r", file.tell(), header.shape, "F" if header.column_major else "C")


def finite_array(values: object, name: str) -> np.ndarray:
    """Values that a user gives, as float32.

    Args:
        values: anything that NumPy converts.
        name: what the message calls them.

    Raises:
        UsageError: they are not numbers, or some are NaN or infinite, or would be in float32.

    Examples:
        >>> finite_array([1, 2], "a mel").dtype.name
        'float32'
    """
    try:
        values = np.asarray(values)
    except ValueError:
        raise UsageError(f"{name} has rows of different lengths: give an array") from None
    if values.dtype.kind not in "biuf":
        raise UsageError(f"{name} is of type {str(values.dtype)[:80]}: give numbers")
    with np.errstate(over="ignore"):
        values = values.astype(np.float32, copy=False)
    finite = np.isfinite(values)
    if not finite.all():
        first = np.unravel_index(int(np.argmin(finite)), values.shape)
        raise UsageError(f"{name} contains {values.size - int(finite.sum())} of {values.size} values that are not "
                         f"finite numbers, the first ({values[first]}) at {list(map(int, first))}: remove them")
    return values


def read_header(file: BinaryIO, size: int, exact: bool = True) -> Header:
    """Reads the header of an ``.npy`` file, up to the first byte of the array.

    Args:
        file: at its beginning.
        size: of the file in bytes.
        exact: require that header and array together have that size.

    Raises:
        ValueError: it is not one, or of other size, objects, records or dates.
    """
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"version {version} of its header is unknown")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Python 2
        shape, column_major, dtype = read(file)
    if dtype.kind not in _KINDS or not dtype.itemsize or dtype.shape:
        raise ValueError(f"it contains {str(dtype)[:80]}, not numbers")
    if len(shape) > _MAX_AXES or any(type(length) is not int or length < 0 for length in shape):
        raise ValueError(f"it has {len(shape)} axes, or one without a length")
    header = Header(shape, dtype, column_major)
    if exact and file.tell() + header.bytes != size:
        raise ValueError(f"its shape {shape} needs {header.bytes:,} bytes: it is cut short, or has more than one array")
    return header


@contextlib.contextmanager
def _any_error_as_value_error() -> Iterator[None]:
    """Damaged archives and headers can raise almost anything: `zlib.error`, `struct.error`, `NotImplementedError`,
    `SyntaxError`, `RecursionError`, `MemoryError`, ..."""
    try:
        yield
    except Exception as error:
        raise ValueError(" ".join(str(error).split())[:200] or type(error).__name__) from None
