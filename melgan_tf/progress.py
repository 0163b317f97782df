"""How long work reports itself. The library calls a `Progress`; the command line decides what it looks like."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator


class Progress:
    """Says nothing. The command line's own subclass draws bars or prints lines."""

    def line(self, text: str) -> None:
        """One line of information."""

    def warning(self, text: str) -> None:
        """One line that the user should not miss."""

    @contextlib.contextmanager
    def task(self, description: str, total: int, unit: str, done: int = 0) -> Iterator[Callable[[int], None]]:
        """Work of ``total`` units, of which ``done`` are behind us; yields a function that advances by n units."""
        yield lambda count: None
