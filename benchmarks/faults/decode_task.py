"""The task that the package's decoder processes run for the fault measurement: a file to samples at its own rate."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import numpy as np

from melgan_tf.audio.decode import About, decode
from melgan_tf.errors import DecodeError


def samples_of(emit: Callable, path: str) -> int:
    """Decodes a file; its samples, number of notes and rate are written beside it, float32; returns their number."""
    hertz, count, about = 0, 0, About()
    with open(path + ".samples", "wb") as out, contextlib.closing(decode(path, about=about)) as blocks:
        for rate, block in blocks:
            hertz = rate
            out.write(np.ascontiguousarray(block, np.float32).tobytes())
            count += len(block)
        out.write(np.float32([len(about.notes), hertz]).tobytes())
    if not count:
        raise DecodeError(path, "no samples")
    return count
