"""Discards what native libraries write to stderr, bypassing Python."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator


def mute() -> None:
    """Discard writes to file descriptor 2 for the rest of the process; `sys.stderr` keeps its destination."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.flush()
        python_stderr = os.fdopen(os.dup(2), "w", buffering=1, errors="backslashreplace")
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, 2)
        os.close(devnull)
        sys.stderr = python_stderr


@contextlib.contextmanager
def muted() -> Iterator[None]:
    """Discard writes to file descriptor 2 within the block."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.flush()
    try:
        saved = os.dup(2)
    except OSError:  # stderr is closed
        yield
        return
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 2)
    os.close(devnull)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
