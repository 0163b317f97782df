"""Which tensor of a damaged PyTorch file is the first that is not whole: for messages, nothing is loaded.

Both kinds of file begin with a pickle that says what is stored under which number, in order, as strings::

    "model.1.bias" ... "storage" ... "0" ... "cpu" ... "model.1.weight_g" ... "1" ...

It is read instruction by instruction, never carried out. The numbers follow, in a zip archive as records of their own
(``archive/data/0``); before PyTorch 1.6 one after the other behind a list of their numbers, each with its length.
"""

from __future__ import annotations

import io
import pickletools
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

_HEADER = b"PK\x03\x04"  # of a record in a zip archive
_RECORD = re.compile(_HEADER + rb"[\s\S]{26}[^/]{1,250}/data/(\d+)")
_ITEM_BYTES = {"Half": 2, "BFloat16": 2, "Float": 4, "Double": 8}


def first_damaged(path: Path) -> str | None:
    """The name of the first tensor that is cut off or whose checksum is wrong, in the order of the state dict.

    Args:
        path: a PyTorch checkpoint of either kind, or what is left of one.

    Returns:
        The tensor's name; or that of another record of the archive (``archive/data.pkl``); None if all is whole, or if
        it cannot be told.
    """
    data = path.read_bytes()
    return _in_archive(data) if data.startswith(_HEADER) else _in_sequence(data)


def _in_archive(data: bytes) -> str | None:
    start = data.find(b"\x80", data.find(b"data.pkl"))
    names, _ = _names(io.BytesIO(data[start:])) if start >= 0 else ({}, 4)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            damaged = archive.testzip()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, zlib.error):  # cut off: the directory is at the end
        last = data.rfind(_HEADER)  # a record is whole if another follows
        whole = {match[1].decode() for match in _RECORD.finditer(data) if match.end() <= last}
        return _first_but(whole, names)
    return damaged and names.get(damaged.rpartition("/")[2], damaged)


def _in_sequence(data: bytes) -> str | None:
    stream = io.BytesIO(data)
    for _ in range(3):  # magic number, version of the format, byte order
        list(_instructions(stream))
    names, item_bytes = _names(stream)
    keys = [value for value in _strings(stream) if value.isdecimal()]
    whole, position = set(), stream.tell()
    for key in keys:
        head = data[position:position + 8]
        if len(head) < 8:
            break
        position += 8 + item_bytes * struct.unpack("<q", head)[0]
        if not 0 <= position <= len(data):
            break
        whole.add(key)
    return _first_but(whole, names)


def _first_but(whole: set[str], names: dict[str, str]) -> str | None:
    return next((name for key, name in names.items() if key not in whole), None)


def _names(stream: io.BytesIO) -> tuple[dict[str, str], int]:
    """What the next pickle calls each stored array, by its number, and the bytes of one item."""
    name, names, item_bytes = "", {}, 4
    for value in _strings(stream):
        storage = re.fullmatch(r"torch (\w+)Storage", value)
        if storage:
            item_bytes = _ITEM_BYTES.get(storage[1], 4)
        elif value.isdecimal():
            names.setdefault(value, name)
        elif "." in value and " " not in value:
            name = value
    return names, item_bytes


def _strings(stream: io.BytesIO) -> Iterator[str]:
    return (argument for argument in _instructions(stream) if isinstance(argument, str))


def _instructions(stream: io.BytesIO) -> Iterator[object]:
    """The arguments of the next pickle's instructions, as far as they can be read."""
    instructions = pickletools.genops(stream)
    while True:
        try:
            yield next(instructions)[1]
        except Exception:  # the pickle ends, or is none
            return
