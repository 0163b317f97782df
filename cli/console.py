"""What the command line shows: progress as bars in a terminal and as plain lines elsewhere, tables, one-line errors."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import IO, Any, NoReturn

import click

from melgan_tf import storage
from melgan_tf.errors import MelGANError, ShownStream, did_you_mean, redacted, visible
from melgan_tf.progress import Progress, counted
from melgan_tf.runtime import system
from melgan_tf.runtime.signals import Stopped, StopSignals

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
        if self.quiet or not total:
            yield lambda count: None
        elif self.terminal:
            with self._bar(description, total, lambda: (pace.done, pace.counts(), pace.forecast())) as update:
                def advance(count: int) -> None:
                    pace.advance(count)
                    update()

                yield advance
        else:
            with _PlainLines(lambda: f"{description}: {pace.counts()} ({100 * pace.done / total:.0f} %), "
                                     f"{pace.forecast() or f'{format_duration(pace.elapsed)} so far'}") as lines:
                def advance(count: int) -> None:
                    pace.advance(count)
                    lines.show_if_due()

                yield advance

    @contextlib.contextmanager
    def stage(self, description: str) -> Iterator[None]:
        started = time.perf_counter()
        if self.quiet:
            yield
        elif self.terminal:
            with self._bar(description, None, lambda: (0, "", "")):
                yield
        else:
            def text() -> str:
                elapsed = time.perf_counter() - started
                return description + (f": {format_duration(elapsed)} so far" if elapsed >= PLAIN_EVERY_SECONDS else "")

            with _PlainLines(text, PLAIN_FIRST_SECONDS):
                yield

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
            _prepare_streams()  # rich has replaced them

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

    def __enter__(self) -> _PlainLines:
        threading.Thread(target=self._watch, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()

    def show_if_due(self) -> None:
        with self._lock:
            if time.perf_counter() - self._shown >= PLAIN_EVERY_SECONDS:
                self._shown = time.perf_counter()
                tell(self._text())

    def _watch(self) -> None:
        while not self._ended.wait(max(0.1, self._shown + PLAIN_EVERY_SECONDS - time.perf_counter())):
            self.show_if_due()


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


class OneLineErrors(click.Group):
    """Ends every foreseen failure with one line on stderr and its exit code; ``--debug`` shows the traceback.

    Signals to stop end a command in the same way, with 128 + the signal's number.
    """

    def main(self, *args: object, **kwargs: object) -> NoReturn:
        if kwargs.pop("standalone_mode", True) is False:
            return super().main(*args, standalone_mode=False, **kwargs)
        _prepare_streams()
        own_process = not args and kwargs.get("args") is None  # the arguments are those of the process
        with _StopSignals() as signals, _silence_after(signals) if own_process else contextlib.nullcontext():
            try:
                self._run(signals, *args, **kwargs)
            except SystemExit as end:
                signals.obeyed()
                if own_process:
                    signals.exit_code = _exit_code(end.code)
                    atexit.register(signals.ignore)
                leave(end.code)
            except BaseException:
                signals.obeyed()
                if not _cannot_exit_normally():
                    raise
                traceback.print_exc()
                leave(1)

    def _run(self, signals: _StopSignals, *args: object, **kwargs: object) -> NoReturn:
        try:
            with signals.whatever_comes_of_them():
                code = super().main(*args, standalone_mode=False, **kwargs)
        except click.ClickException as error:
            command = error.ctx.command_path if getattr(error, "ctx", None) else "melgan-tf"
            _fail(f"{_message(error)} (see `{command} --help`)", error.exit_code)
        except MelGANError as error:
            if _debugging():
                raise
            _fail(str(error), error.exit_code)
        except Stopped as stopped:
            name = "interrupted" if stopped.number == signal.SIGINT else \
                f"stopped by {signal.Signals(stopped.number).name}"
            tell(stopped.message or f"melgan-tf: {name}")
            sys.exit(128 + stopped.number)
        except (KeyboardInterrupt, click.Abort):
            _fail("interrupted", 130)
        except OSError as error:
            if _debugging():
                raise
            _fail(f"{error.filename or 'input/output'}: {error.strerror or error}", 1)
        sys.exit(code if isinstance(code, int) else 0)


class _StopSignals(StopSignals):
    """Signals that raise `Stopped` until the command ends by it, as libraries and destructors swallow exceptions."""

    REPEAT_SECONDS = 0.2

    def __init__(self) -> None:
        super().__init__(self._raise)
        self._lock, self._obeyed = threading.RLock(), False

    def _raise(self, number: int) -> None:
        if not self._obeyed:
            timer = threading.Timer(self.REPEAT_SECONDS, self._repeat, (number,))
            timer.daemon = True
            timer.start()
        if _stopped_by(sys.exc_info()[1]) is None:  # else the exception is on its way
            raise Stopped(number)

    def _repeat(self, number: int) -> None:
        with self._lock:
            if not self._obeyed:
                self.received = 0
                system.interrupt(number)

    def obeyed(self) -> None:
        """Ends the repetition: the command ends."""
        with self._lock:
            self._obeyed = True

    @contextlib.contextmanager
    def whatever_comes_of_them(self) -> Iterator[None]:
        """Takes an error for the signal that caused it: what is stopped halfway fails in ways of its own."""
        try:
            yield
        except Exception as error:
            stopped = _stopped_by(error)
            if not stopped and self.received and not isinstance(error, (click.ClickException, MelGANError, OSError)):
                stopped = Stopped(self.received)
            if stopped:
                raise stopped from None
            raise


def _stopped_by(error: BaseException | None) -> Stopped | None:
    """The signal in the history of an error."""
    while error and not isinstance(error, Stopped):
        error = error.__context__
    return error


@contextlib.contextmanager
def _silence_after(signals: StopSignals) -> Iterator[None]:
    """Shows nothing of what a signal breaks on its way through destructors and extensions, which report it."""
    def silent(hook: Callable[..., None]) -> Callable[..., None]:
        return lambda *arguments: None if signals.received else hook(*arguments)

    before = sys.unraisablehook, sys.excepthook
    sys.unraisablehook, sys.excepthook = map(silent, before)
    try:
        yield
    finally:
        sys.unraisablehook, sys.excepthook = before


def _exit_code(code: object) -> int:
    return code if isinstance(code, int) else 0 if code is None else 1


def leave(code: object) -> NoReturn:
    """Ends the process; skips the shutdown of libraries where it fails."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):  # or Python would fail on it once more, with an exit code of its own
            with contextlib.suppress(OSError, ValueError), open(os.devnull, "w") as nowhere:
                os.dup2(nowhere.fileno(), stream.fileno())
    if not _cannot_exit_normally():
        sys.exit(code)
    with contextlib.suppress(Exception):
        atexit._run_exitfuncs()  # deletes temporary folders
    os._exit(_exit_code(code))


def _cannot_exit_normally() -> bool:
    """Whether the shutdown of libraries may abort or hang.

    tensorflow-io's file systems abort ("pure virtual method called", exit code 134). With several GPUs TensorFlow may
    wait for ever: it destroys input pipelines while the threads that fill the devices' buffers still use them.
    """
    if storage.needs_hard_exit():
        return True
    tensorflow = sys.modules.get("tensorflow")
    with contextlib.suppress(AttributeError, RuntimeError):
        return tensorflow is not None and len(tensorflow.config.list_physical_devices("GPU")) > 1
    return False


def _prepare_streams() -> None:
    """Makes stdout and stderr escape what could control a terminal, whoever writes to them (see `ShownStream`).

    Opens those that the caller closed (``2>&-``), so that the next file that is opened is not taken for them.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name) or open(os.devnull, "w")  # noqa: SIM115  for as long as the process lives
        setattr(sys, name, stream if isinstance(stream, ShownStream) else ShownStream(stream))


def _debugging() -> bool:
    return "--debug" in sys.argv[1:2]


def _message(error: click.ClickException) -> str:
    """What click says, with the nearest of all options, or of an option's values, where it does not know one."""
    if isinstance(error, click.BadParameter) and isinstance(getattr(error.param, "type", None), click.Choice):
        value = error.message.partition(" is not one of ")[0].strip("'")
        hint = did_you_mean(value, map(str, error.param.type.choices), "")
        return error.format_message().rstrip(".") + (f": {hint}" if hint.endswith("?") else "")
    if not isinstance(error, click.NoSuchOption) or not error.ctx:
        return error.format_message().rstrip(".")
    names = [name for option in error.ctx.command.params for name in (*option.opts, *option.secondary_opts)]
    known = [name for name in names if name.startswith("--")]
    return f"{error.message.rstrip('.')}: {did_you_mean(error.option_name, known, 'options are')}"


def _fail(message: str, code: int) -> NoReturn:
    tell(f"melgan-tf: {' '.join(message.split())}")
    sys.exit(code)
