"""Metrics as tables: a dataclass of metrics becomes rows of text, Markdown and JSON."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal

from melgan_tf.errors import markdown_text

Better = Literal["lower", "higher", "near baseline", "near 0", ""]
Row = tuple[str, ...]


def metric(title: str, better: Better = "", key: str | None = None, **default: Any) -> Any:
    """A dataclass field that is one row of a table.

    Args:
        title: of the row.
        better: which values are good; "" leaves that column out.
        key: its JSON key if that is not the name of the field.
        default: ``default=...`` of the field.
    """
    return field(metadata={"title": title, "better": better, **({"key": key} if key else {})}, **default)


def renamed(key: str | None) -> Any:
    """A dataclass field with another JSON key; None keeps it out of the JSON file."""
    return field(metadata={"key": key})


def rows(*columns: Any) -> list[Row]:
    """One row per metric of some instances of one dataclass: title, values, and which values are good."""
    return [(one.metadata["title"], *(with_error(values, one.name) for values in columns),
             *filter(None, [one.metadata["better"]]))
            for one in dataclasses.fields(columns[0]) if "title" in one.metadata]


def with_error(values: Any, name: str) -> str:
    """A field of a dataclass as text, with its standard error if the dataclass has a field ``errors`` that knows it."""
    error = getattr(values, "errors", {}).get(name)
    return number(getattr(values, name)) + (f" ± {error:.2g}" if error is not None else "")


def to_json(value: Any) -> Any:
    """Plain JSON values of dataclasses and tuples, under their persisted keys."""
    if isinstance(value, tuple):
        return [to_json(part) for part in value]
    if not dataclasses.is_dataclass(value):
        return value
    keys = {one.name: one.metadata.get("key", one.name) for one in dataclasses.fields(value)}
    return {key: to_json(getattr(value, name)) for name, key in keys.items() if key}


def number(value: float | None) -> str:
    """Four significant digits; a dash for None."""
    return "-" if value is None else f"{value:.4g}"


@dataclass(frozen=True)
class Table:
    """A table of text cells; columns after the first are numbers."""

    title: str
    headers: Row
    rows: tuple[Row, ...]

    def markdown(self) -> str:
        """The table in Markdown, its title as a heading."""
        cells = [list(map(markdown_text, row)) for row in (self.headers, *self.rows)]
        lines = [f"| {' | '.join(row)} |" for row in cells]
        rule = f"| --- |{' ---: |' * (len(self.headers) - 1)}"
        return "\n".join([f"## {markdown_text(self.title)}", "", lines[0], rule, *lines[1:]])
