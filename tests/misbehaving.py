"""A task for `melgan_tf.audio.decoder_pool` that fails on demand, as real decoders do not."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

from melgan_tf.audio.decoder_pool import Task
from melgan_tf.errors import MelGANError


def _part(value, content):
    if not (isinstance(value, list) or value in ("half", "big") or isinstance(value, int)):
        raise ValueError(value)
    return value


def _process(value):
    if not isinstance(value, int):
        raise ValueError(value)
    return value


def _bytes(arguments):
    return 2 << 20, 4 << 20 if arguments["kind"] == "ramble" else 300 << 20


#: Results of up to 2 MB.
ACT = Task("misbehaving:act", _part, _process, _bytes)


def act(emit, kind, value=None):
    """Does what its arguments say: a kind of behaviour and a value."""
    if kind == "give":
        for part in range(value):
            emit([kind, part])
    elif kind == "big":
        for _ in range(value):
            emit("big", bytes(1 << 20))
    elif kind == "sleep":
        time.sleep(value)
    elif kind == "crash":
        for _ in range(20):
            emit("half", bytes(1 << 15))
        os.kill(os.getpid(), value)
    elif kind == "crash once":
        for part in range(20):
            emit(part, bytes(1 << 15))  # more than waits to be sent
        if not os.path.exists(value):
            Path(value).touch()
            os._exit(3)
    elif kind == "hang":
        emit("half")
        while True:
            pass
    elif kind == "swell":
        b"x" * value
    elif kind == "answer":  # past the protocol, as memory that was overwritten may have it
        _answer(bytes.fromhex(value))
        time.sleep(60)
    elif kind == "ramble":
        while True:
            _answer(bytes.fromhex(value))
    elif kind == "emit":
        emit(value, bytes(8))
    elif kind == "end":
        return value
    elif kind == "complain":
        while value > 0:
            value -= os.write(2, bytes(1 << 16))
    elif kind == "refuse":
        raise MelGANError(value)
    elif kind == "stumble":
        raise ValueError(value)
    return os.getpid()


def _answer(content):
    """Writes to the socket of the pool, wherever it is."""
    for name in os.listdir("/proc/self/fd"):
        try:
            if not stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                continue
        except OSError:  # the listing's own
            continue
        while content:
            content = content[os.write(int(name), content):]
        return
