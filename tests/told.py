"""What a command tells while it works."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from melgan_tf.progress import Progress


class Told(Progress):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.warnings: list[str] = []
        self.tasks: list[tuple[str, int, str]] = []  # description, total and unit
        self.done = 0  # of all tasks

    def line(self, text: str) -> None:
        self.lines.append(text)

    def warning(self, text: str) -> None:
        self.warnings.append(text)

    @contextlib.contextmanager
    def task(self, description: str, total: int, unit: str, done: int = 0) -> Iterator[Callable[[int], None]]:
        self.tasks.append((description, total, unit))
        yield self._advance

    def _advance(self, count: int) -> None:
        self.done += count
