"""Files replaced as a whole or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from melgan_tf import storage
from melgan_tf.errors import MelGANError


def write_text(path: Path, text: str) -> None:
    """Writes a text file as a whole or not at all.

    Raises:
        MelGANError: it cannot be written (no space, read-only, ...); an older file at the path is left as it was.
    """
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary local path whose file takes the place of ``path`` when the block ends well, and goes when not."""
    try:
        with storage.uploading(path) if storage.is_remote(path) else _beside(path) as temporary:
            yield temporary
    except OSError as error:
        raise MelGANError(f"cannot write {path}: {error.strerror or error}") from None


@contextlib.contextmanager
def _beside(path: Path) -> Iterator[Path]:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with open(temporary, "rb+") as written:
            os.fsync(written.fileno())
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
