"""Local copies of remote files, downloaded before they are needed, for code that reads local files only."""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from melgan_tf import storage
from melgan_tf.storage.paths import RemotePath

Item = TypeVar("Item")

_PARALLEL_DOWNLOADS = 8
_PREFETCHED_FILES = 32


class Prefetcher:
    """Downloads remote files in parallel, some files ahead of their use."""

    def __init__(self) -> None:
        self._files: dict[RemotePath, Path] = {}
        self._numbers = itertools.count()
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Prefetcher:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @functools.cached_property
    def _folder(self) -> Path:
        return self._stack.enter_context(storage.temporary_folder())

    @functools.cached_property
    def _pool(self) -> ThreadPoolExecutor:
        _ = self._folder  # removed after the threads that write to it have ended
        pool = self._stack.enter_context(ThreadPoolExecutor(_PARALLEL_DOWNLOADS))
        self._stack.callback(pool.shutdown, cancel_futures=True)
        return pool

    def prefetch(self, items: Iterable[Item], place_of: Callable[[Item], Any]
                 ) -> Iterator[tuple[Item, Path | None, str]]:
        """Yield each item with a local file.

        Args:
            items: in order.
            place_of: returns the path of an item, local or remote; or None.

        Yields:
            The item, its local file (None for no path, or if the file does not exist), and "" or why it is missing.
        """
        waiting: deque[tuple[Item, Any, Future | None]] = deque()
        for item in items:
            place = place_of(item)
            remote = isinstance(place, RemotePath)
            waiting.append((item, place, self._pool.submit(self._fetch, place) if remote else None))
            while waiting and (len(waiting) > _PREFETCHED_FILES or waiting[0][2] is None):
                yield self._ready(*waiting.popleft())
        while waiting:
            yield self._ready(*waiting.popleft())

    @staticmethod
    def _ready(item: Item, place: Any, future: Future | None) -> tuple[Item, Path | None, str]:
        if future is None:
            return item, place, ""
        try:
            return item, future.result(), ""
        except FileNotFoundError as error:
            return item, None, f"cannot be read: {error.strerror}"

    def _fetch(self, place: RemotePath) -> Path:
        self._files[place] = file = self._folder / str(next(self._numbers))
        storage.fetch(place, file)
        return file

    def release(self, place: Any) -> None:
        """Remove the local copy of a remote file."""
        if file := self._files.pop(place, None):
            file.unlink(missing_ok=True)
