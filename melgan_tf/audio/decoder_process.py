"""The other side of `melgan_tf.audio.decoder_pool`: a process that decodes one file after the other."""

from __future__ import annotations

import contextlib
import functools
import importlib
import json
import os
import select
import signal
from collections.abc import Callable
from typing import Any, BinaryIO

from melgan_tf.audio import wire
from melgan_tf.errors import MelGANError
from melgan_tf.runtime import signals, system

#: Without work, after which the process ends.
MAX_IDLE_SECONDS = 30.0
_BUFFER_BYTES = 1 << 17
_MAX_REASON = 1000  # characters


def serve(descriptor: int) -> None:
    """Read arguments from a socket, run the task, write results, until the other side closes it or nothing comes."""
    orders = _Orders(os.fdopen(descriptor, "rb", buffering=0))  # stays open to the end: an error is written first
    first = orders.next()
    system.end_with_parent()
    if first is None or os.getppid() != first["parent"]:
        return
    for number in signals.SIGNALS:  # terminals and batch systems send them to the whole group; the parent handles them
        signal.signal(number, signal.SIG_IGN)
    load(first["function"])
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # a decoder may complain without end
    system.limit_memory(first["megabytes"])
    with contextlib.suppress(OSError), open(descriptor, "wb", _BUFFER_BYTES, closefd=False) as file:
        outbox = wire.Outbox(file)
        outbox.send(wire.READY)
        while (order := orders.next()) is not None:
            emit = functools.partial(outbox.send, wire.RESULT, now=False)
            outbox.send(*answer(load(order["function"]), order["arguments"], first["megabytes"], emit))


def load(function: str) -> Callable[..., Any]:
    """Import a task's function, ``module:function``."""
    module, _, name = function.partition(":")
    return getattr(importlib.import_module(module), name)


class _Orders:
    """Lines of JSON, as they arrive."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._received = file, b""

    def next(self) -> dict[str, Any] | None:
        """Return the next order; None if there is none any more, or for a long time."""
        while b"\n" not in self._received:
            ready, _, _ = select.select([self._file], [], [], MAX_IDLE_SECONDS)
            content = self._file.read(1 << 16) if ready else b""
            if not content:
                return None
            self._received += content
        line, _, self._received = self._received.partition(b"\n")
        return json.loads(line.decode("utf-8", "surrogatepass"))  # names of files need not be UTF-8


def answer(function: Callable[..., Any], arguments: dict[str, Any], megabytes: int, emit: Callable[..., None]
           ) -> tuple[bytes, Any]:
    """Run a task, which emits its results; returns the kind and the value of the last message."""
    try:
        return wire.SUCCESS, function(emit, **arguments)
    except MemoryError:
        return wire.FAILURE, f"decoding it takes more than {megabytes} MB of memory"
    except MelGANError as error:
        return wire.FAILURE, getattr(error, "reason", str(error))[:_MAX_REASON]
    except BrokenPipeError:
        raise
    except Exception as error:
        reason = f"an unexpected error: {type(error).__name__}: {' '.join(str(error).split())}"
        return wire.FAILURE, reason[:_MAX_REASON]
