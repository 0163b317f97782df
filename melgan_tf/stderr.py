"""Silences what native libraries write to stderr behind Python's back."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator


def silence() -> None:
    """Sends file descriptor 2 to nowhere for the rest of the process; `sys.stderr` still goes where it went."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.flush()
        ours = os.fdopen(os.dup(2), "w", buffering=1, errors="backslashreplace")
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)
        sys.stderr = ours


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """Sends file descriptor 2 to nowhere for the length of a block; exceptions still arrive."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.flush()
    try:
        saved = os.dup(2)
    except OSError:  # there is no stderr to silence
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
