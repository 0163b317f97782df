"""A run directory: all files of one training run, each written atomically.

::

    RUN/config.json            resolved configuration, versions, seed, data; written before the first step
    RUN/history.csv            one line of metrics per epoch
    RUN/skipped.txt            the sound files that could not be used, and why
    RUN/checkpoints/           step-00000425.npz ..., best.npz
    RUN/tensorboard/           scalars, sounds, images
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import io
import json
import math
import platform
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from melgan_tf import storage
from melgan_tf.config import Config, from_dict, to_dict
from melgan_tf.config.strict_json import expect, expect_counts
from melgan_tf.errors import ConfigError, MelGANError, UsageError
from melgan_tf.storage.atomic import write_text
from melgan_tf.storage.json_file import read_json
from melgan_tf.storage.locks import locked_folder

#: Keys that may change when a run is resumed.
CHANGEABLE = ("training.epochs", "training.steps", "training.log_every", "training.checkpoint_every",
              "training.keep_checkpoints", "training.preview_every", "training.xla")


class RunDirectory:
    """One training run on disk.

    Args:
        path: the directory; it may be missing.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = storage.path(path)
        self.config_file = self.path / "config.json"
        self.history_file = self.path / "history.csv"
        self.skipped_file = self.path / "skipped.txt"
        self.checkpoints = self.path / "checkpoints"
        self.tensorboard = self.path / "tensorboard"

    def exists(self) -> bool:
        """Whether the directory contains a run."""
        return self.config_file.is_file()

    def require(self) -> None:
        """Raise a `UsageError` unless the directory contains a run."""
        if not self.path.exists():
            raise UsageError(f"run directory {self.path} does not exist: train one with `melgan-tf train`")
        if not self.exists():
            raise UsageError(f"{self.path} is not a run directory (it has no config.json)")

    def record(self) -> dict[str, Any]:
        """Return the contents of config.json.

        Raises:
            UsageError: the directory contains no run.
            MelGANError: config.json is damaged.
        """
        self.require()
        try:
            record = read_json(self.config_file)
            expect(record, config=dict, data=dict, resolved=dict, versions=dict)
            if record["data"].get("classes") is not None:
                expect_counts(record["data"], "classes")
        except (OSError, ValueError) as error:
            raise MelGANError(f"{self.config_file} is damaged: {error}") from None
        return record

    def config(self) -> Config:
        """Return the run's configuration.

        Raises:
            UsageError: the directory contains no run.
            MelGANError: config.json is damaged, or was written by a version of this package with other keys.
        """
        record = self.record()
        try:
            return from_dict(Config, record["config"])
        except ConfigError as error:
            raise MelGANError(f"{self.config_file} cannot be used: {error}") from None

    def write(self, config: Config, data: dict[str, Any], resolved: dict[str, Any]) -> None:
        """Write config.json.

        Args:
            config: the resolved configuration.
            data: describes the training data.
            resolved: the values that "auto" stands for on this machine.
        """
        record = {"config": to_dict(config), "audio_fingerprint": config.audio.fingerprint(), "data": data,
                  "resolved": resolved, "versions": versions()}
        write_text(self.config_file, json.dumps(record, indent=2) + "\n")

    def hours(self) -> float:
        """Return the hours of training in completed epochs."""
        return max((float(row["seconds"]) for row in self.history()), default=0.0) / 3600

    def history(self) -> list[dict[str, str]]:
        """Return the rows of history.csv that have an epoch and its seconds; none if it is missing or damaged."""
        rows: list[dict[str, str]] = []
        with contextlib.suppress(FileNotFoundError, csv.Error):
            text = self.history_file.read_bytes().decode(errors="replace")
            for row in csv.DictReader(io.StringIO(text)):
                with contextlib.suppress(KeyError, TypeError, ValueError):
                    if 0 <= int(row["epoch"]) < 2**63 and math.isfinite(float(row["seconds"])):
                        rows.append(row)
        return rows

    def clear(self) -> None:
        """Remove the files of the run, and no others."""
        for folder in (self.checkpoints, self.tensorboard):
            storage.remove_tree(folder)
        for file in (self.config_file, self.history_file, self.skipped_file):
            file.unlink(missing_ok=True)

    def lock(self) -> contextlib.AbstractContextManager[None]:
        """Lock the directory; see `melgan_tf.storage.locks`. A remote one is leased instead.

        Raises:
            MelGANError: another process is training in it, or it cannot be written.
        """
        return locked_folder(self.path / ".lock", self.path, f"run directory {self.path}",
                             f"another process is training in {self.path}", self.exists, self.checkpoints)


def conflicts(ours: Config, theirs: Config) -> list[str]:
    """Return the keys that prevent resuming a run with another configuration, as ``key: ours / theirs``."""
    return [f"{key}: {a} / {b}" for (key, a), (_, b) in zip(leaves(to_dict(ours)), leaves(to_dict(theirs)), strict=True)
            if a != b and key not in CHANGEABLE]


def leaves(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every value of nested dictionaries with its path, as ``training.steps``."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def versions() -> dict[str, str]:
    """Return the versions of the packages that a run's results depend on."""
    packages = ("melgan-tf", "tensorflow", "keras", "numpy")
    found = {}
    for package in packages:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return {**found, "python": platform.python_version()}


def with_training(config: Config, **changes: Any) -> Config:
    """Return a configuration with some fields of its training part changed."""
    return dataclasses.replace(config, training=dataclasses.replace(config.training, **changes))
