"""Signals to stop, as exceptions in the main thread of a command."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator

import click

from melgan_tf.errors import MelGANError
from melgan_tf.runtime import system
from melgan_tf.runtime.signals import Stopped, StopSignals


class RaisedSignals(StopSignals):
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
def silence_after(signals: StopSignals) -> Iterator[None]:
    """Shows nothing of what a signal breaks on its way through destructors and extensions, which report it."""
    def silent(hook: Callable[..., None]) -> Callable[..., None]:
        return lambda *arguments: None if signals.received else hook(*arguments)

    before = sys.unraisablehook, sys.excepthook
    sys.unraisablehook, sys.excepthook = map(silent, before)
    try:
        yield
    finally:
        sys.unraisablehook, sys.excepthook = before
