"""Remote files as local ones, fetched ahead of their use: decoders see nothing but files."""

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

_FETCHES_AT_ONCE = 8
_FETCHED_AHEAD = 32


class LocalCopies:
    """Local copies of remote files, fetched some files ahead of their use, several at a time."""

    def __init__(self) -> None:
        self.files: dict[RemotePath, Path] = {}
        self.numbers = itertools.count()
        self.stack = contextlib.ExitStack()

    def __enter__(self) -> LocalCopies:
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()

    @functools.cached_property
    def _folder(self) -> Path:
        return self.stack.enter_context(storage.workplace())

    @functools.cached_property
    def _pool(self) -> ThreadPoolExecutor:
        _ = self._folder  # goes after the threads that write to it
        pool = self.stack.enter_context(ThreadPoolExecutor(_FETCHES_AT_ONCE))
        self.stack.callback(pool.shutdown, cancel_futures=True)
        return pool

    def ahead(self, items: Iterable[Item], place_of: Callable[[Item], Any]
              ) -> Iterator[tuple[Item, Path | None, str]]:
        """Each item with a local file of what is at its place (None for no place), or why there is none."""
        waiting: deque[tuple[Item, Any, Future | None]] = deque()
        for item in items:
            place = place_of(item)
            remote = isinstance(place, RemotePath)
            waiting.append((item, place, self._pool.submit(self._fetch, place) if remote else None))
            while waiting and (len(waiting) > _FETCHED_AHEAD or waiting[0][2] is None):
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
        self.files[place] = file = self._folder / str(next(self.numbers))
        storage.fetch(place, file)
        return file

    def drop(self, place: Any) -> None:
        """Removes the copy of a place, which nobody needs any more."""
        if file := self.files.pop(place, None):
            file.unlink(missing_ok=True)
