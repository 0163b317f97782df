"""Several workers read the same sounds: each its part of the files, and every part goes to all.

So a file is read and decoded by one worker only, whatever their number, and yet all hold the same sounds in the same
order as a single one does. The workers take turns: one after the other gives what is in a part of its own, in messages
of bounded size, the last of which is empty; meanwhile the others decode what they will give. A worker for which no part
is left in the last round has no turn there.
"""

from __future__ import annotations

import contextlib
import io
import json
import queue
import threading
from collections.abc import Generator, Iterator, Mapping
from typing import TYPE_CHECKING, Protocol

import numpy as np

from melgan_tf import storage
from melgan_tf.audio.find import Skipped, SoundFile
from melgan_tf.errors import MelGANError

if TYPE_CHECKING:
    from melgan_tf.data.sources import Sounds

_MESSAGE_SAMPLES = 4 << 20  # of float32: a message of 16 MB, or as long as its only sound
_AHEAD = 4  # messages that wait for their turn
_LOOK_SECONDS = 0.2


class Share(Protocol):
    """One of several workers, as `melgan_tf.training.workers.Workers` is.

    Attributes:
        count: of workers.
        index: which of them this is.
    """

    count: int
    index: int

    def given_by(self, giver: int, content: bytes) -> bytes:
        """What one of the workers gives, on all of them."""

    def require_same(self, facts: Mapping[str, str]) -> None:
        """Refuses what is not the same everywhere."""


def read_together(sounds: Sounds, share: Share) -> Iterator[tuple[SoundFile, np.ndarray | Skipped]]:
    """What ``sounds.clips()`` yields, of which this worker reads every ``share.count``-th part.

    Raises:
        UsageError: the others' folders hold other files.
        MelGANError: a shard is damaged, whichever worker has read it.
    """
    share.require_same({"sounds": sounds.listing()})
    parts = sounds.parts()
    with contextlib.closing(_ahead(parts[share.index::share.count])) as messages:
        for number in range(len(parts)):
            giver = number % share.count
            while content := share.given_by(giver, next(messages) if giver == share.index else b""):
                yield from _unpacked(content)


def _ahead(parts: list[Sounds]) -> Generator[bytes]:
    """The messages of some parts, made in a thread of their own, a few ahead of whoever takes them."""
    waiting: queue.Queue[bytes | BaseException] = queue.Queue(_AHEAD)
    left = threading.Event()

    def put(message: bytes | BaseException) -> None:
        while not left.is_set():
            try:
                waiting.put(message, timeout=_LOOK_SECONDS)
            except queue.Full:
                continue
            return

    def make() -> None:
        try:
            for part in parts:
                for message in _messages(part):
                    put(message)
                    if left.is_set():
                        return
        except BaseException as error:  # raised where messages are taken
            put(error)

    thread = threading.Thread(target=make, name="read ahead", daemon=True)
    thread.start()
    try:
        while True:
            message = waiting.get()
            if isinstance(message, BaseException):
                raise message
            yield message
    finally:
        left.set()
        thread.join()


def _messages(part: Sounds) -> Iterator[bytes]:
    """A part's sounds, and why it cannot be read further, if so; then nothing, which ends it."""
    facts, clips, error = [], [], None
    try:
        for sound, clip in part.clips():
            reason = clip.reason if isinstance(clip, Skipped) else None
            facts.append((str(sound.path), sound.name, sound.label, reason, 0 if reason else len(clip)))
            clips += [] if reason else [clip]
            if sum(map(len, clips)) >= _MESSAGE_SAMPLES:
                yield _packed(facts, clips)
                facts, clips = [], []
    except MelGANError as failure:
        error = str(failure)
    yield _packed(facts, clips, error)
    yield b""


def _packed(facts: list[tuple], clips: list[np.ndarray], error: str | None = None) -> bytes:
    """An archive of facts, as JSON, and of all samples in a row."""
    archive = io.BytesIO()
    np.savez(archive, facts=np.array(json.dumps([facts, error])),
             samples=np.concatenate([np.zeros(0, np.float32), *clips]))
    return archive.getvalue()


def _unpacked(content: bytes) -> Iterator[tuple[SoundFile, np.ndarray | Skipped]]:
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        (facts, error), samples = json.loads(archive["facts"].item()), archive["samples"]
    position = 0
    for path, name, label, reason, length in facts:
        clip = samples[position:position + length]
        position += length
        yield SoundFile(storage.path(path), name, label), clip if reason is None else Skipped(name, reason)
    if error is not None:
        raise MelGANError(error)
