"""The task that the package's decoder processes run for the fault measurement: a file to samples at its own rate."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import numpy as np

from melgan_tf.audio.decode import decode
from melgan_tf.errors import DecodeError


def samples_of(emit: Callable, path: str) -> int:
    """Decodes a file; its rate and samples are written beside it, float32, and their number is returned."""
    hertz, count = 0, 0
    with open(path + ".samples", "wb") as out, contextlib.closing(decode(path)) as blocks:
        for rate, block in blocks:
            hertz = rate
            out.write(np.ascontiguousarray(block, np.float32).tobytes())
            count += len(block)
        out.write(np.float32(hertz).tobytes())
    if not count:
        raise DecodeError(path, "no samples")
    return count
