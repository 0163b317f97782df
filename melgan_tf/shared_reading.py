"""Several workers read the same sounds: each its part of the files, and every part goes to all.

So a file is read and decoded by one worker only, whatever their number, and yet all hold the same sounds in the same
order as a single one does. A worker for which no files are left gives nothing, and waits for no one longer than the
others do.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Protocol

import numpy as np

from melgan_tf import storage
from melgan_tf.errors import MelGANError
from melgan_tf.scan import Skipped, SoundFile

if TYPE_CHECKING:
    from melgan_tf.sounds import Sounds


class Share(Protocol):
    """One of several workers, as `melgan_tf.training.workers.Workers` is.

    Attributes:
        count: of workers.
        index: which of them this is.
    """

    count: int
    index: int

    def exchange(self, content: bytes) -> Iterable[bytes]:
        """What each worker gives, in their order."""

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
    for first in range(0, len(parts), share.count):
        own = parts[first + share.index] if first + share.index < len(parts) else None
        for content in share.exchange(_packed(own) if own else b""):
            yield from _unpacked(content)


def _packed(part: Sounds) -> bytes:
    """A part's sounds, or why it cannot be read, as an archive: facts of each (JSON), and all samples in a row."""
    facts, clips, error = [], [np.zeros(0, np.float32)], None
    try:
        for sound, clip in part.clips():
            reason = clip.reason if isinstance(clip, Skipped) else None
            facts.append((str(sound.path), sound.name, sound.label, reason, 0 if reason else len(clip)))
            clips += [] if reason else [clip]
    except MelGANError as failure:
        error = str(failure)
    archive = io.BytesIO()
    np.savez(archive, facts=np.array(json.dumps([facts, error])), samples=np.concatenate(clips))
    return archive.getvalue()


def _unpacked(content: bytes) -> Iterator[tuple[SoundFile, np.ndarray | Skipped]]:
    if not content:
        return
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        (facts, error), samples = json.loads(archive["facts"].item()), archive["samples"]
    position = 0
    for path, name, label, reason, length in facts:
        clip = samples[position:position + length]
        position += length
        yield SoundFile(storage.path(path), name, label), clip if reason is None else Skipped(name, reason)
    if error is not None:
        raise MelGANError(error)
