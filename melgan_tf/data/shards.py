"""A folder of prepared sounds: its format, and reading it.

::

    OUT/shard-00000.tfrecord   tf.train.Example: audio, label, name, start, sample_rate, sha256
    OUT/index.json             rate, length and format of the clips; sizes and checksums of the shards; written last
    OUT/report.json            statistics; skipped files and the reasons
    OUT/.prepare/              the journal, for resuming after an interruption
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from melgan_tf import storage
from melgan_tf.audio.find import SoundFile
from melgan_tf.config.strict_json import expect, expect_counts, shown
from melgan_tf.data import tfrecord
from melgan_tf.data.clips import Clip, ClipSettings, float_samples
from melgan_tf.errors import MelGANError, UsageError
from melgan_tf.storage.json_file import MAX_LIST_BYTES, read_json

INDEX, REPORT, JOURNAL = "index.json", "report.json", ".prepare"
_HEAD_CHARACTERS = 256  # of an index, which starts with its kind
KIND, VERSION = "melgan-tf prepared sounds", 1


def shard_name(number: int) -> str:
    """Return the file name of a shard.

    Examples:
        >>> shard_name(7)
        'shard-00007.tfrecord'
    """
    return f"shard-{number:05d}.tfrecord"


def record(clip: Clip, sound: SoundFile, settings: ClipSettings) -> bytes:
    """Serialize a clip as a record of a shard."""
    return tfrecord.frame(tfrecord.example({
        "audio": clip.samples.tobytes(), "label": sound.label.encode(), "name": sound.name.encode(),
        "start": clip.start, "sample_rate": settings.sample_rate, "sha256": clip.digest.hex().encode()}))


def is_prepared(folder: str | Path) -> bool:
    """Whether a folder contains prepared sounds, complete or not."""
    folder = storage.path(folder)
    if (folder / JOURNAL).is_dir():
        return True
    try:  # other programs write an index.json, too
        with storage.local(folder / INDEX) as index, open(index, encoding="utf-8", errors="replace") as file:
            return f'"{KIND}"' in file.read(_HEAD_CHARACTERS)
    except OSError:
        return False


@dataclass(frozen=True)
class Prepared:
    """A complete folder of prepared sounds.

    Attributes:
        folder: its path.
        index: the contents of index.json.
    """

    folder: Path
    index: dict[str, Any]

    @classmethod
    def open(cls, folder: str | Path) -> Prepared:
        """Read the index and check that the shards exist.

        Raises:
            MelGANError: the preparation is not complete, or files are missing or of another size.
        """
        folder = storage.path(folder)
        try:
            index = read_json(folder / INDEX, MAX_LIST_BYTES)
            _check_index(index)
        except FileNotFoundError:
            raise MelGANError(f"{folder} is not completely prepared: run the `melgan-tf prepare` command again"
                              ) from None
        except (OSError, ValueError) as error:
            raise MelGANError(f"{folder / INDEX} is damaged: {error}; run the `melgan-tf prepare` command again"
                              ) from None
        files = [folder / shard["file"] for shard in index["shards"]]
        for shard, file, size in zip(index["shards"], files, storage.sizes(files), strict=True):
            if size != shard["bytes"]:
                raise MelGANError(f"{file} is missing or incomplete: run the `melgan-tf prepare` command again")
            if not storage.is_remote(file) and file.resolve().parent != folder.resolve():
                raise MelGANError(f"{file} is a link that leads out of the folder: copy the shard there instead")
        return cls(folder, index)

    def __len__(self) -> int:
        return self.index["clips"]

    def require(self, sample_rate: int, clip_samples: int | None) -> None:
        """Check the sample rate of the clips, Hz, and their length in samples unless ``clip_samples`` is None.

        Raises:
            UsageError: they differ.
        """
        rate, samples = self.index["sample_rate"], self.index["clip_samples"]
        if rate != sample_rate or clip_samples not in (None, samples):
            wanted = f"{sample_rate} Hz" + (f" and {clip_samples} samples" if clip_samples else "")
            again = f"--rate {sample_rate}" + (f" --seconds {clip_samples / sample_rate:g}" if clip_samples else "")
            raise UsageError(f"{self.folder} contains clips of {rate} Hz and {samples} samples, not of {wanted}: "
                             f"prepare the sounds with {again}, or change audio.sample_rate and data.clip_samples")

    def clips(self) -> Iterator[tuple[SoundFile, np.ndarray]]:
        """Yield every clip with its file: float32 of shape ``(clip_samples,)``, full scale +-1.

        Raises:
            MelGANError: a shard is damaged.
        """
        for shard in self.index["shards"]:
            file, count, digest = self.folder / shard["file"], 0, hashlib.sha256()
            for features in examples(file, digest):
                try:
                    samples = float_samples(features["audio"], self.index["format"], self.index["clip_samples"])
                    sound = SoundFile(file, features["name"].decode(), features["label"].decode())
                    if not np.isfinite(samples).all():
                        raise ValueError("a clip with numbers that are not finite")
                except ValueError as error:
                    raise MelGANError(f"{file} is damaged: {error}; prepare it again") from None
                yield sound, samples
                count += 1
            if count != shard["clips"]:
                raise MelGANError(f"{file} is damaged: {count} clips of {shard['clips']}; prepare it again")
            if digest.hexdigest() != shard["sha256"]:
                raise MelGANError(f"{file} is not the shard that {INDEX} describes, its SHA-256 differs: prepare it "
                                  "again")


def index_digest(index: dict[str, Any]) -> str:
    """SHA-256 of the contents of an index, without its own ``sha256``."""
    contents = {key: value for key, value in index.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(contents, sort_keys=True).encode()).hexdigest()


def _check_index(index: dict[str, Any]) -> None:
    if (index.get("kind"), index.get("version")) != (KIND, VERSION):
        raise ValueError(f"it is of kind {shown(index.get('kind'))}, version {shown(index.get('version'))}")
    if index.get("sha256", found := index_digest(index)) != found:  # those of version 0.1 have none
        raise ValueError("its digest is wrong")
    expect(index, clips=int, sample_rate=int, clip_samples=int, format=str, shards=list)
    expect_counts(index, "labels")
    try:
        ClipSettings(index["sample_rate"], index["clip_samples"], format=index["format"])
    except UsageError as error:
        raise ValueError(str(error)) from None
    for number, shard in enumerate(index["shards"]):
        if type(shard) is not dict or shard.get("file") != shard_name(number):  # so it is in the folder, and only once
            raise ValueError(f"shard {number} is {shown(shard)}, not {shard_name(number)}")
        expect(shard, clips=int, bytes=int, sha256=str)
    written = [shard["sha256"] for shard in index["shards"] if shard["clips"]]
    if len(set(written)) < len(written):
        raise ValueError("it has a shard twice")
    clips = sum(shard["clips"] for shard in index["shards"])
    if not clips == sum(index["labels"].values()) == index["clips"]:
        raise ValueError(f"it has {index['clips']} clips, its shards {clips}, its labels "
                         f"{sum(index['labels'].values())}")


def examples(file: Path, digest: Any = None) -> Iterator[dict[str, Any]]:
    """Yield the features of every record of a shard: at least ``audio``, ``name``, ``label`` and ``sha256``, all bytes.

    Args:
        file: the shard.
        digest: of `hashlib`; receives the file's bytes.

    Raises:
        MelGANError: the shard is damaged.
    """
    for message in tfrecord.read_records(file, digest):
        try:
            features = tfrecord.parse_example(message)
            if not all(isinstance(features[name], bytes) for name in ("audio", "name", "label", "sha256")):
                raise ValueError("a feature of another type")
        except (ValueError, KeyError) as error:
            raise MelGANError(f"{file} is damaged: {error}; prepare it again") from None
        yield features
