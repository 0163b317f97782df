"""Progress reports of long operations: the library calls a `Progress`, the command line displays it; and counts in
words."""

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

    @contextlib.contextmanager
    def stage(self, description: str) -> Iterator[None]:
        """Report work whose length is not known, for as long as the block takes."""
        yield


def counted(number: int, noun: str) -> str:
    """A number with its noun in the singular or the plural.

    Examples:
        >>> counted(1, "sound"), counted(36_000, "step"), counted(0, "class")
        ('1 sound', '36,000 steps', '0 classes')
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}{'es' if noun.endswith('s') else 's'}"

