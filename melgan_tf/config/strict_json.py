"""JSON from files and variables that anybody may have written: what is no plain data of sane size is refused."""

from __future__ import annotations

import json
import math
import stat
from pathlib import Path
from typing import Any

#: Bytes: a few hundred times what configurations and cards have.
MAX_BYTES = 4 << 20
_MAX_DEPTH = 32
_MAX_SHOWN = 200  # characters


def read_object(file: Path, max_bytes: int = MAX_BYTES) -> dict[str, Any]:
    """Reads a file that contains an object; see `parse_value`.

    Args:
        file: a local one.
        max_bytes: a longer file is refused unread.

    Raises:
        OSError: it is missing, or cannot be read.
        ValueError: what is wrong with its contents, in one line.
    """
    status = file.stat()
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):  # reading a folder says what it is
        raise ValueError("it is not a file")
    if status.st_size > max_bytes:
        raise ValueError(f"it has {status.st_size:,} bytes, more than {max_bytes:,}")
    return parse_object(file.read_bytes())


def parse_object(text: str | bytes) -> dict[str, Any]:
    """Parses an object with named values; see `parse_value`.

    Examples:
        >>> parse_object('{"steps": 100}')
        {'steps': 100}
    """
    values = parse_value(text)
    if type(values) is not dict:
        raise ValueError(f"it is {shown(values)}, not an object with named values")
    return values


def parse_value(text: str | bytes, finite: bool = True) -> Any:
    """Parses a JSON text.

    Args:
        text: UTF-8, with or without a byte-order mark.
        finite: refuse NaN and infinity.

    Raises:
        ValueError: it is not JSON; or it has a name twice, NaN or infinity, a number beyond 64 bits, NUL or half a
            character in a text, or more than 32 levels. The message is one line.
    """
    try:
        decoded = text.decode() if isinstance(text, bytes) else text
        values = json.loads(decoded.removeprefix("\ufeff"), object_pairs_hook=_object, parse_int=_integer,
                            parse_float=_number, parse_constant=_number if finite else float)
        check(values)
    except UnicodeDecodeError:
        raise ValueError("it is not text in UTF-8") from None
    except RecursionError:
        raise ValueError(f"it has more than {_MAX_DEPTH} levels") from None
    return values


def check(values: Any) -> None:
    """Raises a `ValueError` for texts with NUL or half a character, and for more than 32 levels."""
    level = [values]
    for _ in range(_MAX_DEPTH):
        inner: list[Any] = []
        for value in level:
            if type(value) is str:
                _check_text(value)
            elif type(value) is dict:
                inner += [*value, *value.values()]
            elif type(value) in (list, tuple):
                inner += value
        if not inner:
            return
        level = inner
    raise ValueError(f"it has more than {_MAX_DEPTH} levels")


def expect(values: dict[str, Any], **kinds: type) -> None:
    """Holds values to their types; whole numbers are not negative.

    Raises:
        ValueError: one is missing, or of another type.

    Examples:
        >>> expect({"clips": 3, "labels": {}}, clips=int, labels=dict)
    """
    for key, kind in kinds.items():
        value = values.get(key)
        if type(value) is not kind or (kind is int and value < 0):
            raise ValueError(f"{key!r} is {shown(value)}" if key in values else f"it contains no {key!r}")


def expect_counts(values: dict[str, Any], key: str) -> None:
    """Holds a value to an object of whole numbers above 0 by name."""
    expect(values, **{key: dict})
    for name, count in values[key].items():
        if type(count) is not int or count < 1:
            raise ValueError(f"{key!r} has {shown(count)} for {shown(name)}")


def shown(value: object) -> str:
    """A value in a message, not longer than a line."""
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"it has {shown(next(name for name in names if names.count(name) > 1))} twice")
    return values


def _integer(text: str) -> int:
    if len(text) > 20 or not -2**63 <= (value := int(text)) < 2**63:
        raise ValueError(f"it has a whole number of {len(text)} digits, beyond 64 bits")
    return value


def _number(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(f"it has the number {text[:20]}, which is not finite")
    return value


def _check_text(text: str) -> None:
    if text.isascii() and "\0" not in text:
        return
    try:
        text.encode(errors="surrogateescape")  # file names may have bytes that are not UTF-8
    except UnicodeEncodeError:
        raise ValueError(f"it has half a character in {shown(text)}") from None
    if "\0" in text:
        raise ValueError(f"it has NUL in {shown(text)}")
