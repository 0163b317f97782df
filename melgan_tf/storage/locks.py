"""Who may write to a remote run or preparation. Remote storage has no locks that go with a process."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import json
import os
import platform
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from melgan_tf import storage
from melgan_tf.errors import MelGANError
from melgan_tf.storage.paths import RemotePath, StorageError, checks


class TakenOverError(MelGANError):
    """Another process has claimed what this one was writing to."""


@dataclass(frozen=True)
class _Claim:
    lock: RemotePath
    token: str
    what: str

    def check(self) -> None:
        """Raises a `TakenOverError` if another process came later."""
        try:
            owner = json.loads(self.lock.read_text())
        except (FileNotFoundError, ValueError):
            owner = {}
        if owner.get("token") != self.token:
            by = f"process {owner['process']} on {owner['host']}" if {"process", "host"} <= set(owner) else "somebody"
            raise TakenOverError(f"{by} has taken over {self.what}: this process stops, what it wrote stays")


_claims: dict[RemotePath, _Claim] = {}


@contextlib.contextmanager
def claimed(lock: RemotePath, what: str) -> Iterator[None]:
    """Claims the folder of a lock object: the last process to do so has it.

    The others find out before they next write there, and stop. What a killed process left behind stops nobody.

    Args:
        lock: the lock object.
        what: what it guards, for a message.

    Raises:
        TakenOverError: out of `melgan_tf.storage.uploading` and `duplicate`, once another process has claimed it.
        StorageError: it cannot be written.
    """
    claim = _Claim(lock, secrets.token_hex(8), what)
    owner = {"host": platform.node(), "process": os.getpid(), "since": time.strftime("%Y-%m-%d %H:%M:%S %z"),
             "token": claim.token}
    with storage.uploading(lock) as file:
        file.write_text(json.dumps(owner) + "\n", encoding="utf-8")
    _claims[lock.parent] = claim
    try:
        yield
    except StorageError:  # it would not let go of the lock either
        raise
    except BaseException:
        _release(claim)
        raise
    else:
        _release(claim)
    finally:
        _claims.pop(lock.parent, None)


def _release(claim: _Claim) -> None:
    with contextlib.suppress(MelGANError, FileNotFoundError):
        claim.check()
        claim.lock.unlink()


def _check(target: RemotePath) -> None:
    for folder in itertools.chain([target], target.parents):
        if folder in _claims:
            _claims[folder].check()



@contextlib.contextmanager
def held(file: Path, what: str, busy: str) -> Iterator[None]:
    """Holds a lock file, made with its folder if missing, for one process; the lock goes with the process.

    In remote storage it is an object that claims its folder: see `melgan_tf.storage.locks`.

    Args:
        file: the lock file.
        what: what it guards, for a message.
        busy: the message if another process holds it.

    Raises:
        MelGANError: another process holds it, or it cannot be written.
    """
    if storage.is_remote(file):
        with claimed(file, what):
            yield
        return
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise MelGANError(f"cannot write {what}: {error.strerror}") from None
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise MelGANError(busy) from None
        yield
    finally:
        os.close(handle)


checks.append(_check)
