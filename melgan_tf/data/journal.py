"""What a preparation writes down beside its shards: settings, a receipt for every finished shard, report and index."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

from melgan_tf import storage
from melgan_tf.audio.find import Skipped
from melgan_tf.data import shards
from melgan_tf.data.shard_writer import Counts
from melgan_tf.errors import MelGANError, UsageError
from melgan_tf.storage.atomic import atomic_write, write_text
from melgan_tf.storage.locks import file_lock
from melgan_tf.storage.prefetch import Prefetcher


class Journal:
    """The journal of a folder of shards.

    Args:
        out: the folder.
    """

    def __init__(self, out: Path) -> None:
        self.out, self.folder = out, out / shards.JOURNAL
        self.settings_file = self.folder / "settings.json"

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Holds the folder for one process and sweeps out what a killed one left half-written.

        Raises:
            MelGANError: another process has it, or it cannot be written.
        """
        made = not self.out.exists()
        with file_lock(self.folder / "lock", str(self.out), f"another process is preparing {self.out}"):
            for left in itertools.chain(self.out.glob(".*.part"), self.folder.glob(".*.part")):
                left.unlink(missing_ok=True)
            try:
                yield
            finally:
                if not self.settings_file.exists():  # nothing was begun
                    with contextlib.suppress(OSError):
                        storage.remove_tree(self.folder)
                        if made:
                            self.out.rmdir()

    def clear(self) -> None:
        """Removes what a preparation wrote, and nothing else; the index first."""
        for file in (self.out / shards.INDEX, self.out / shards.REPORT, *self.out.glob("shard-*.tfrecord"),
                     *self.folder.glob("*.json")):
            file.unlink(missing_ok=True)

    def begin(self, wanted: dict[str, Any]) -> bool:
        """Writes down what is to be made, or holds it against what was begun; tells whether something was.

        Raises:
            UsageError: something else was begun here.
        """
        if not self.settings_file.exists():
            write_text(self.settings_file, json.dumps(wanted, indent=2) + "\n")
            return False
        found = _read(self.settings_file)
        differing = [f"{key}: {value} / {found.get(key)}" for key, value in wanted.items() if found.get(key) != value]
        if differing:
            raise UsageError(f"{self.out} was begun otherwise ({'; '.join(differing)}): give another folder, or "
                             "--fresh to begin anew")
        return True

    def _receipt_file(self, number: int) -> Path:
        return self.folder / f"{number:05d}.json"

    def write_receipt(self, number: int, receipt: dict[str, Any]) -> None:
        """Enters a finished shard."""
        write_text(self._receipt_file(number), json.dumps(receipt, ensure_ascii=False) + "\n")

    def receipt(self, number: int) -> dict[str, Any]:
        """What was entered for a shard.

        Raises:
            MelGANError: nothing, or it is damaged.
        """
        return _read(self._receipt_file(number))

    def skipped(self, count: int) -> Iterator[Skipped]:
        """Every file of the first ``count`` shards that was skipped, in the order of names."""
        for receipt in self._receipts(count):
            for name, reason in receipt["skipped"]:
                yield Skipped(name, reason)

    def _receipts(self, count: int) -> Iterator[dict[str, Any]]:
        with Prefetcher() as copies:
            for file, copy, missing in copies.prefetch(map(self._receipt_file, range(count)), lambda file: file):
                if missing:
                    raise MelGANError(f"{file} {missing}: begin anew with --fresh")
                yield _read(copy)
                copies.release(file)

    def remove_from(self, number: int) -> None:
        """Removes shards, from one on."""
        for leftover in itertools.count(number):
            if not self._receipt_file(leftover).exists():
                return
            (self.out / shards.shard_name(leftover)).unlink(missing_ok=True)
            self._receipt_file(leftover).unlink()

    def write_report(self, count: int, counts: Counts, ignored: dict[str, int]) -> None:
        """Writes report.json: what became of the files of the first ``count`` shards."""
        values = counts.to_dict()
        summary = {"files": values.pop("files"), "kept": values.pop("kept"), "skipped": counts.skipped, **values,
                   "ignored": ignored}
        partly = (dict(zip(("name", "silent", "duplicates"), item, strict=True))
                  for receipt in self._receipts(count) for item in receipt["partly_kept"])
        skipped = ({"name": skip.name, "reason": skip.reason} for skip in self.skipped(count))
        self._write(shards.REPORT, summary, {"skipped_files": skipped, "partly_kept": partly})

    def write_index(self, count: int, counts: Counts, settings: dict[str, Any]) -> None:
        """Writes index.json: with it the folder is complete."""
        values = {**settings, "clips": counts.clips, "labels": dict(sorted(counts.labels.items()))}
        entries = ({"file": shards.shard_name(number), "clips": receipt["counts"]["clips"], "bytes": receipt["bytes"],
                    "sha256": receipt["sha256"]} for number, receipt in enumerate(self._receipts(count)))
        self._write(shards.INDEX, values, {"shards": entries})

    def _write(self, name: str, values: dict[str, Any], lists: dict[str, Iterable[Any]]) -> None:
        with atomic_write(self.out / name) as temporary, open(temporary, "w", encoding="utf-8") as file:
            file.write(json.dumps(values, indent=2, ensure_ascii=False)[:-2])
            for key, items in lists.items():
                _write_list(file, key, items)
            file.write("\n}\n")


def _write_list(file: TextIO, key: str, items: Iterable[Any]) -> None:
    """A JSON list, one line an item, that need not be in memory."""
    file.write(f',\n  "{key}": [')
    empty = True
    for item in items:
        file.write(("" if empty else ",") + "\n    " + json.dumps(item, ensure_ascii=False))
        empty = False
    file.write("]" if empty else "\n  ]")


def _read(file: Path) -> dict[str, Any]:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise MelGANError(f"{file} is damaged ({error}): begin anew with --fresh") from None
