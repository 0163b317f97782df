"""Progress reports of long operations: the library calls a `Progress`, the command line displays it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator


class Progress:
    """Reports nothing. The subclass of the command line draws bars or prints lines."""

    def line(self, text: str) -> None:
        """Report one line of information."""

    def warning(self, text: str) -> None:
        """Report one line that the user should not miss."""

    @contextlib.contextmanager
    def task(self, description: str, total: int, unit: str, done: int = 0) -> Iterator[Callable[[int], None]]:
        """Report ``total`` units of work, ``done`` of them completed; yields a function that adds completed units."""
        yield lambda count: None
