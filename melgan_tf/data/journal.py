"""The records of a preparation beside its shards: settings, a receipt for every finished shard, report and index."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

from melgan_tf.audio.find import Skipped
from melgan_tf.config.strict_json import expect
from melgan_tf.data import shards
from melgan_tf.data.shard_writer import Counts
from melgan_tf.errors import MelGANError, UsageError
from melgan_tf.storage.atomic import atomic_write, write_text
from melgan_tf.storage.json_file import MAX_LIST_BYTES, read_json
from melgan_tf.storage.locks import locked_folder
from melgan_tf.storage.prefetch import Prefetcher


class Journal:
    """The journal of a folder of shards.

    Args:
        out: the folder.
    """

    def __init__(self, out: Path) -> None:
        self.out, self.folder = out, out / shards.JOURNAL
        self.settings_file = self.folder / "settings.json"

    def lock(self) -> contextlib.AbstractContextManager[None]:
        """Lock the folder; see `melgan_tf.storage.locks`.

        Raises:
            MelGANError: another process has locked it, or it cannot be written.
        """
        return locked_folder(self.folder / "lock", self.out, str(self.out), f"another process is preparing {self.out}",
                             self.settings_file.exists, self.folder)

    def clear(self) -> None:
        """Remove the files of the preparation, and no others; the index first."""
        for file in (self.out / shards.INDEX, self.out / shards.REPORT, *self.out.glob("shard-*.tfrecord"),
                     *self.folder.glob("*.json")):
            file.unlink(missing_ok=True)

    def begin(self, wanted: dict[str, Any]) -> bool:
        """Store the settings, or compare them with the stored ones; returns whether a preparation was started before.

        Raises:
            UsageError: it was started with other settings.
        """
        if not self.settings_file.exists():
            write_text(self.settings_file, json.dumps(wanted, indent=2) + "\n")
            return False
        found = _read(self.settings_file)
        differing = [f"{key}: {value} / {found.get(key)}" for key, value in wanted.items() if found.get(key) != value]
        if differing:
            raise UsageError(f"{self.out} was prepared with other settings ({'; '.join(differing)}): give another "
                             "folder, or --fresh to start again")
        return True

    def _receipt_file(self, number: int) -> Path:
        return self.folder / f"{number:05d}.json"

    def write_receipt(self, number: int, receipt: dict[str, Any]) -> None:
        """Store the receipt of a finished shard."""
        write_text(self._receipt_file(number), json.dumps(receipt, ensure_ascii=False) + "\n")

    def receipt(self, number: int) -> dict[str, Any]:
        """Return the receipt of a shard.

        Raises:
            MelGANError: it is missing or damaged.
        """
        return _read_receipt(self._receipt_file(number))

    def skipped(self, count: int) -> Iterator[Skipped]:
        """Yield every skipped file of the first ``count`` shards, sorted by name."""
        for receipt in self._receipts(count):
            for name, reason in receipt["skipped"]:
                yield Skipped(name, reason)

    def noted(self, count: int) -> Iterator[tuple[str, str]]:
        """Yield name and note of every kept file of the first ``count`` shards that is odd, sorted by name."""
        for receipt in self._receipts(count):
            yield from map(tuple, receipt.get("noted", ()))

    def loops(self, count: int) -> Iterator[dict[str, Any]]:
        """Yield name, tempo, bars and key of every loop of the first ``count`` shards, sorted by name."""
        for receipt in self._receipts(count):
            yield from receipt.get("loops", ())

    def _receipts(self, count: int) -> Iterator[dict[str, Any]]:
        with Prefetcher() as prefetcher:
            for file, copy, missing in prefetcher.prefetch(map(self._receipt_file, range(count)), lambda file: file):
                if missing:
                    raise MelGANError(f"{file} {missing}: start again with --fresh")
                yield _read_receipt(copy)
                prefetcher.release(file)

    def remove_from(self, number: int) -> None:
        """Remove the shards from ``number`` on."""
        for leftover in itertools.count(number):
            if not self._receipt_file(leftover).exists():
                return
            (self.out / shards.shard_name(leftover)).unlink(missing_ok=True)
            self._receipt_file(leftover).unlink()

    def write_report(self, count: int, counts: Counts, ignored: dict[str, int]) -> None:
        """Write report.json, about the files of the first ``count`` shards."""
        values = counts.to_dict()
        summary = {"files": values.pop("files"), "kept": values.pop("kept"), "skipped": counts.skipped, **values,
                   "ignored": ignored}
        partly = (dict(zip(("name", "silent", "duplicates"), item, strict=True))
                  for receipt in self._receipts(count) for item in receipt["partly_kept"])
        skipped = ({"name": skip.name, "reason": skip.reason} for skip in self.skipped(count))
        noted = ({"name": name, "note": note} for name, note in self.noted(count))
        lists = {"skipped_files": skipped, "partly_kept": partly, "noted_files": noted}
        if any(receipt.get("loops") for receipt in self._receipts(count)):
            lists["loops"] = self.loops(count)
        self._write(shards.REPORT, summary, lists)

    def write_index(self, count: int, counts: Counts, settings: dict[str, Any]) -> None:
        """Write index.json, which marks the folder as complete."""
        values = {**settings, "clips": counts.clips, "labels": dict(sorted(counts.labels.items()))}
        entries = [{"file": shards.shard_name(number), "clips": receipt["counts"]["clips"], "bytes": receipt["bytes"],
                    "sha256": receipt["sha256"]} for number, receipt in enumerate(self._receipts(count))]
        values["sha256"] = shards.index_digest({**values, "shards": entries})
        self._write(shards.INDEX, values, {"shards": entries})

    def _write(self, name: str, values: dict[str, Any], lists: dict[str, Iterable[Any]]) -> None:
        with atomic_write(self.out / name) as temporary, open(temporary, "w", encoding="utf-8") as file:
            file.write(json.dumps(values, indent=2, ensure_ascii=False)[:-2])
            for key, items in lists.items():
                _write_list(file, key, items)
            file.write("\n}\n")


def _write_list(file: TextIO, key: str, items: Iterable[Any]) -> None:
    """Write a JSON list, one line per item, without having it in memory."""
    file.write(f',\n  "{key}": [')
    empty = True
    for item in items:
        file.write(("" if empty else ",") + "\n    " + json.dumps(item, ensure_ascii=False))
        empty = False
    file.write("]" if empty else "\n  ]")


def _read(file: Path) -> dict[str, Any]:
    try:
        return read_json(file, MAX_LIST_BYTES)
    except (OSError, ValueError) as error:
        raise MelGANError(f"{file} is damaged ({error}): start again with --fresh") from None


def _read_receipt(file: Path) -> dict[str, Any]:
    receipt = _read(file)
    try:
        expect(receipt, made_of=str, bytes=int, sha256=str, counts=dict, skipped=list, partly_kept=list)
        Counts.from_dict(receipt["counts"])
        for name, types in (("skipped", [str, str]), ("partly_kept", [str, int, int]), ("noted", [str, str])):
            items = receipt.get(name, [])
            if type(items) is not list or any(type(item) is not list or [*map(type, item)] != types for item in items):
                raise ValueError(f"{name!r} has an entry of another form")
    except ValueError as error:
        raise MelGANError(f"{file} is damaged ({error}): start again with --fresh") from None
    return receipt
