"""The reader of JSON files, local and remote: run directories, indexes, cards, receipts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from melgan_tf import storage
from melgan_tf.config.strict_json import MAX_BYTES, read_object

#: Bytes of the records of a collection: those of a million sounds.
MAX_LIST_BYTES = 512 << 20


def read_json(file: Path, max_bytes: int = MAX_BYTES) -> dict[str, Any]:
    """See `melgan_tf.config.strict_json.read_object`; a remote file is downloaded.

    Raises:
        StorageError: a remote file cannot be reached.
    """
    with storage.local(file) as local_file:
        return read_object(local_file, max_bytes)
