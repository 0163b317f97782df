"""What the command line shows: progress as bars in a terminal and as plain lines elsewhere, and tables."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import IO, Any

import click

from melgan_tf.errors import ShownStream, redacted, visible
from melgan_tf.progress import Progress, counted

#: Seconds between two lines of progress where there is no terminal.
PLAIN_EVERY_SECONDS = 10.0
#: Until a stage is worth a line.
PLAIN_FIRST_SECONDS = 2.0


class ConsoleProgress(Progress):
    """Progress on stderr (bars in a terminal, else a line every ten seconds), information on stdout.

    Args:
        quiet: only warnings.
    """

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet
        self.terminal = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self.results_apart = not sys.stdout.isatty()  # stdout is a file or a pipe: not shown above the bars
        self._bars = None

    def line(self, text: str) -> None:
        if not self.quiet:
            self._print(text, err=False)

    def warning(self, text: str) -> None:
        self._print(f"warning: {text}", err=True)

    def _print(self, text: str, err: bool) -> None:
        if self._bars is None or (self.results_apart and not err):
            tell(text, err)
        else:  # above the bars
            self._bars.console.print(_one_line(text), markup=False, highlight=False, emoji=False, soft_wrap=True)

    @contextlib.contextmanager
    def task(self, description: str, total: int, unit: str, done: int = 0) -> Iterator[Callable[[int], None]]:
        pace = _Pace(total, unit, done)

        def advance(count: int) -> None:
            pace.advance(count)
            update()

        def line() -> str:
            return (f"{description}: {pace.counts()} ({100 * pace.done / total:.0f} %), "
                    f"{pace.forecast() or f'{format_duration(pace.elapsed)} so far'}")

        with self._shown(description, total, lambda: (pace.done, pace.counts(), pace.forecast()), line) as update:
            yield advance

    @contextlib.contextmanager
    def stage(self, description: str) -> Iterator[None]:
        started = time.perf_counter()

        def line() -> str:
            elapsed = time.perf_counter() - started
            return description + (f": {format_duration(elapsed)} so far" if elapsed >= PLAIN_EVERY_SECONDS else "")

        with self._shown(description, None, lambda: (0, "", ""), line, PLAIN_FIRST_SECONDS):
            yield

    def _shown(self, description: str, total: int | None, state: Callable[[], tuple[int, str, str]],
               line: Callable[[], str], first_seconds: float | None = None
               ) -> contextlib.AbstractContextManager[Callable[[], None]]:
        """A bar or lines while something goes on; enters with what brings them up to date."""
        if self.quiet or total == 0:
            return contextlib.nullcontext(lambda: None)
        return self._bar(description, total, state) if self.terminal else _PlainLines(line, first_seconds)

    @contextlib.contextmanager
    def _bar(self, description: str, total: int | None, state: Callable[[], tuple[int, str, str]]
             ) -> Iterator[Callable[[], None]]:
        """A bar below everything else; yields what brings it up to ``state``: the units done, their text, what is left.

        One bar at a time: within another one it does not appear.
        """
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bars

        if self._bars:
            yield lambda: None
            return
        columns = (TextColumn("{task.description}", markup=False), BarColumn(),
                   TextColumn("{task.fields[counts]}", markup=False), TimeElapsedColumn(),
                   TextColumn("{task.fields[forecast]}", markup=False))
        screen = _Unfailing(getattr(sys.stderr, "stream", sys.stderr))  # bars consist of control sequences
        with Bars(*columns, console=Console(file=screen), transient=True,
                  redirect_stdout=not self.results_apart) as bars:
            prepare_streams()  # rich has replaced them

            def update() -> None:
                done, counts, forecast = state()
                bars.update(task, completed=done, counts=counts, forecast=forecast)

            task = bars.add_task(_one_line(description), total=total, counts="", forecast="")
            update()
            self._bars = bars
            try:
                yield update
            finally:
                self._bars = None


class _Pace:
    """How far a task is, and when it will be done. The first report is not counted: what comes before it may load
    libraries and compile."""

    def __init__(self, total: int, unit: str, done: int) -> None:
        self.total, self.unit, self.done = total, unit, done
        self._started = time.perf_counter()
        self._first: tuple[float, int] | None = None

    @property
    def elapsed(self) -> float:
        return time.perf_counter() - self._started

    def advance(self, count: int) -> None:
        self.done += count
        self._first = self._first or (self.elapsed, self.done)

    def counts(self) -> str:
        return f"{self.done:,}/{counted(self.total, self.unit.removesuffix('s'))}"

    def forecast(self) -> str:
        """Rate and time left; empty before the second report."""
        since, first = self._first or (0.0, self.done)
        if self.done == first:
            return ""
        each = max(1e-9, self.elapsed - since) / (self.done - first)
        pace = f"{1 / each:,.1f} {self.unit}/s" if each < 1 else f"{each:,.1f} s/{self.unit.removesuffix('s')}"
        return f"{pace}, {format_duration(each * (self.total - self.done))} left"


class _PlainLines:
    """A line of progress every ten seconds, also while nothing is reported.

    Args:
        text: returns the line.
        first_seconds: until the first line.
    """

    def __init__(self, text: Callable[[], str], first_seconds: float | None = None) -> None:
        early = 0.0 if first_seconds is None else PLAIN_EVERY_SECONDS - first_seconds
        self._text, self._shown = text, time.perf_counter() - early
        self._lock, self._ended = threading.Lock(), threading.Event()

    def __enter__(self) -> Callable[[], None]:
        threading.Thread(target=self._watch, daemon=True).start()
        return self._show_if_due

    def __exit__(self, *_: object) -> None:
        self._ended.set()

    def _show_if_due(self) -> None:
        with self._lock:
            if time.perf_counter() - self._shown >= PLAIN_EVERY_SECONDS:
                self._shown = time.perf_counter()
                tell(self._text())

    def _watch(self) -> None:
        while not self._ended.wait(max(0.1, self._shown + PLAIN_EVERY_SECONDS - time.perf_counter())):
            self._show_if_due()


class _Unfailing:
    """A stream whose writes are lost where they fail: no work may be lost because its terminal was closed."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()


def tell(text: str, err: bool = True) -> None:
    """Prints a line beside the work, to stderr or stdout, if that can be written to."""
    click.echo(_one_line(text), file=_Unfailing(sys.stderr if err else sys.stdout))


def format_duration(seconds: float) -> str:
    """Hours, minutes and seconds, as on a clock."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A plain text table; columns of numbers to the right."""
    cells = [[visible(redacted(str(cell))) for cell in row] for row in (headers, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(headers))]
    numeric = [all(_is_number(row[i]) for row in cells[1:]) for i in range(len(headers))]

    def line(row: Sequence[str]) -> str:
        return "  ".join(cell.rjust(width) if right else cell.ljust(width)
                         for cell, width, right in zip(row, widths, numeric, strict=True)).rstrip()

    return "\n".join([line(cells[0]), "  ".join("-" * width for width in widths), *map(line, cells[1:])])


def _is_number(cell: str) -> bool:
    try:
        float(cell.split()[0].replace(",", ""))
    except (ValueError, IndexError):
        return False
    return True


def echo_line(text: str, err: bool = False) -> None:
    """Print one line of results; line breaks in names are escaped."""
    click.echo(_one_line(text), err=err)


def _one_line(text: str) -> str:
    return visible(redacted(text), keep="\t")


def json_text(value: object) -> str:
    """JSON that is valid and may be shown on a terminal: ASCII without control characters."""
    return json.dumps(value, indent=2).replace("\x7f", r"\u007f")


def prepare_streams() -> None:
    """Makes stdout and stderr escape what could control a terminal, whoever writes to them (see `ShownStream`).

    Opens those that the caller closed (``2>&-``), so that the next file that is opened is not taken for them.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name) or open(os.devnull, "w")  # noqa: SIM115  for as long as the process lives
        setattr(sys, name, stream if isinstance(stream, ShownStream) else ShownStream(stream))
