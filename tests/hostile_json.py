"""JSON that anybody may have written: wrong as a text, or of other types than its reader expects."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

_VALUES = (None, True, -1, 0, 10**15, 1e308, "x", [], [[1]], {}, {"a": {"b": 1}})


def texts(good: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    """Yields the names and contents of files that look like a good one but cannot be used."""
    text = json.dumps(good)

    def also(extra: str) -> bytes:
        return f"{{{extra}, {text[1:]}".encode()

    yield from {
        "empty": b"", "null": b"null", "a number": b"7", "a text": b'"x"', "a list": b"[]", "two": text.encode() * 2,
        "cut": text.encode()[:len(text) // 2], "UTF-16": text.encode("utf-16"), "Latin-1": also('"s": "X"').replace(
            b"X", b"\xe9"), "open lists": b"[" * 100_000, "deep lists": b"[" * 50_000 + b"]" * 50_000,
        "deep objects": b'{"a":' * 50_000 + b"1" + b"}" * 50_000, "deep within": also(f'"x": {"[" * 900}{"]" * 900}'),
        "40 levels": also(f'"x": {"[" * 40}{"]" * 40}'), "5,000 digits": also(f'"x": {"9" * 5_000}'),
        "4,000 digits": also(f'"x": {"9" * 4_000}'), "1e999": also('"x": 1e999'), "NaN": also('"x": NaN'),
        "infinity": also('"x": -Infinity'), "twice": also(f'"{next(iter(good))}": 1'),
        "half a character": also('"x": "\\ud800"'), "half a character as a name": also('"\\udfff": 1'),
        "NUL": also('"x": "a\\u0000b"'), "a bare NUL": b"\0" + text.encode()}.items()


def changed(good: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields a good record with each of its values replaced by others, or left out."""
    for path in _paths(good):
        for value in (*_VALUES, texts):
            record = copy.deepcopy(good)
            inner = record
            for key in path[:-1]:
                inner = inner[key]
            if value is texts:
                del inner[path[-1]]
            else:
                inner[path[-1]] = value
            yield f"{path}: {'nothing' if value is texts else value}", record


def _paths(values: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    for key, value in values.items() if isinstance(values, dict) else enumerate(values):
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from _paths(value, (*path, key))
