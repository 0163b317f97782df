"""A task for `melgan_tf.data.decoder_pool` that fails on demand, as real decoders do not."""

from __future__ import annotations

import os
import time
from pathlib import Path

from melgan_tf.errors import MelGANError


def act(arguments, settings, give):
    """Does what its arguments say: a kind of behaviour and a value."""
    kind, value = arguments
    if kind == "give":
        for part in range(value):
            give((kind, part, settings))
    elif kind == "big":
        for _ in range(value):
            give(bytes(1 << 20))
    elif kind == "sleep":
        time.sleep(value)
    elif kind == "crash":
        for _ in range(20):  # more than a message takes
            give("half")
        os.kill(os.getpid(), value)
    elif kind == "crash once":
        for part in range(20):
            give(part)
        if not os.path.exists(value):
            Path(value).touch()
            os._exit(3)
    elif kind == "hang":
        give("half")
        while True:
            pass
    elif kind == "swell":
        b"x" * value
    elif kind == "refuse":
        raise MelGANError(value)
    elif kind == "stumble":
        raise ValueError(value)
    return os.getpid()
