"""Signals that ask a process to stop: what terminals, people and batch systems send before they kill."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType, TracebackType
from typing import Any, ClassVar

#: A closed terminal, Ctrl-C, `kill`, warnings of batch systems, limits of CPU and wall time, a failing power supply.
#: SIGQUIT is none of them: it ends a process at once.
SIGNALS = tuple(getattr(signal, name) for name in (
    "SIGHUP", "SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGXCPU", "SIGALRM", "SIGPWR") if hasattr(signal, name))


class Stopped(BaseException):
    """The process received a signal to stop.

    Attributes:
        number: the signal.
        message: what to tell the user; empty: that it came.
    """

    def __init__(self, number: int, message: str = "") -> None:
        super().__init__(number, message)
        self.number, self.message = number, message


class StopSignals:
    """Handles the signals within a block: the first one is noted, and passed to ``act``.

    Terminals, shells and batch systems send several, one soon after the other, so those that follow change nothing.
    Only a second Ctrl-C raises a `KeyboardInterrupt`. A signal that is ignored stays so, as ``nohup`` wants SIGHUP; but
    SIGINT, which shells have ignored by jobs in the background, means this process if it is sent to it. Other
    handlers that a program has set for signals other than SIGINT and SIGTERM stay as well.

    Args:
        act: receives the first signal, in the main thread, between two instructions of whatever is running there.

    Attributes:
        received: the first signal, or 0.
        exit_code: set when everything is done, so that signals just end the process with it, also after the block.
    """

    _innermost: ClassVar[StopSignals | None] = None

    def __init__(self, act: Callable[[int], None] | None = None) -> None:
        self.act, self.received = act, 0
        self.exit_code: int | None = None
        self._interrupted = False
        self._previous: dict[int, Any] = {}
        self._outer: StopSignals | None = None

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():  # no other thread can set handlers
            self._outer, StopSignals._innermost = StopSignals._innermost, self
            self._previous = {number: signal.signal(number, self._receive) for number in SIGNALS if _is_free(number)}
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if not self._previous or self.exit_code is not None:
            return
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        StopSignals._innermost = self._outer
        if self._outer:
            self._outer.received = self._outer.received or self.received

    def ignore(self) -> None:
        """Ignores the signals to the end of the process, where Python would restore what they do by default."""
        for number in self._previous:
            signal.signal(number, signal.SIG_IGN)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.exit_code is not None:
            os._exit(self.exit_code)
        again, self._interrupted = self._interrupted, self._interrupted or number == signal.SIGINT
        if not self.received:
            self.received = number
            if self.act:
                self.act(number)
        elif again and number == signal.SIGINT:
            raise KeyboardInterrupt


def _is_free(number: int) -> bool:
    handler = signal.getsignal(number)
    if number in (signal.SIGINT, signal.SIGTERM):
        return handler is not None and (handler is not signal.SIG_IGN or number == signal.SIGINT)
    return handler is signal.SIG_DFL or isinstance(getattr(handler, "__self__", None), StopSignals)


@contextlib.contextmanager
def postponed() -> Iterator[None]:
    """Lets signals to stop wait for the end of the block, which has to be short."""
    outer, inner = StopSignals._innermost, StopSignals()
    if outer and outer.received:  # the process is ending
        yield
        return
    try:
        with inner:
            yield
    finally:
        if inner.received:
            if outer:
                outer.received = 0
            signal.raise_signal(inner.received)
