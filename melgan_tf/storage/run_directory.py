"""A run directory: everything about one training run, in one place, each file replaced only as a whole.

::

    RUN/config.json            resolved configuration, versions, seed, the data it saw; written before the first step
    RUN/history.csv            one line of figures per epoch
    RUN/skipped.txt            the sound files that could not be used, and why
    RUN/checkpoints/           step-00000425.npz ..., best.npz
    RUN/tensorboard/           scalars, sounds, pictures
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import io
import json
import platform
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from melgan_tf import storage
from melgan_tf.config import Config, from_dict, to_dict
from melgan_tf.errors import ConfigError, MelGANError, UsageError
from melgan_tf.storage.atomic import write_text
from melgan_tf.storage.locks import held

#: What may change between the sessions of one run without making it another run.
CHANGEABLE = ("training.epochs", "training.steps", "training.log_every", "training.checkpoint_every",
              "training.keep_checkpoints", "training.preview_every", "training.xla")


class RunDirectory:
    """One training run on disk.

    Args:
        path: the directory; it need not exist.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = storage.path(path)
        self.config_file = self.path / "config.json"
        self.history_file = self.path / "history.csv"
        self.skipped_file = self.path / "skipped.txt"
        self.checkpoints = self.path / "checkpoints"
        self.tensorboard = self.path / "tensorboard"

    def exists(self) -> bool:
        """Whether a run was begun here."""
        return self.config_file.is_file()

    def require(self) -> None:
        """Raises a `UsageError` unless a run was begun here."""
        if not self.path.exists():
            raise UsageError(f"run directory {self.path} does not exist: train one with `melgan-tf train`")
        if not self.exists():
            raise UsageError(f"{self.path} is not a run directory (it has no config.json)")

    def record(self) -> dict[str, Any]:
        """What config.json holds.

        Raises:
            UsageError: there is no run here.
            MelGANError: config.json is damaged.
        """
        self.require()
        try:
            record = json.loads(self.config_file.read_text(encoding="utf-8"))
            if not isinstance(record, dict):
                raise ValueError("no configuration in it")
            for part in ("config", "data", "resolved", "versions"):
                if not isinstance(record.get(part), dict):
                    raise ValueError(f"no {part!r} in it")
        except (OSError, ValueError) as error:
            raise MelGANError(f"{self.config_file} is damaged: {error}") from None
        return record

    def config(self) -> Config:
        """The run's configuration.

        Raises:
            UsageError: there is no run here.
            MelGANError: config.json is damaged, or of a version of this package with other keys.
        """
        record = self.record()
        try:
            return from_dict(Config, record["config"])
        except ConfigError as error:
            raise MelGANError(f"{self.config_file} cannot be used: {error}") from None

    def write(self, config: Config, data: dict[str, Any], resolved: dict[str, Any]) -> None:
        """Writes config.json atomically.

        Args:
            config: the resolved configuration.
            data: what was trained on.
            resolved: what "auto" came to mean on this machine.
        """
        record = {"config": to_dict(config), "audio_fingerprint": config.audio.fingerprint(), "data": data,
                  "resolved": resolved, "versions": versions()}
        write_text(self.config_file, json.dumps(record, indent=2) + "\n")

    def hours(self) -> float:
        """Of training, in the epochs that are over."""
        if not self.history_file.exists():
            return 0.0
        rows = csv.DictReader(io.StringIO(self.history_file.read_text(encoding="utf-8")))
        return max((float(row["seconds"]) for row in rows), default=0.0) / 3600

    def clear(self) -> None:
        """Removes what a run wrote, and nothing else."""
        for folder in (self.checkpoints, self.tensorboard):
            storage.remove_tree(folder)
        for file in (self.config_file, self.history_file, self.skipped_file):
            file.unlink(missing_ok=True)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Holds the directory for one process; the lock goes with the process, however that ends.

        A remote directory is claimed instead: see `melgan_tf.storage.locks`. If no run was begun in the meantime, what
        was made for the lock goes too.

        Raises:
            MelGANError: another process trains here, or the directory cannot be written.
        """
        made = not self.path.exists()
        lock = self.path / ".lock"
        with held(lock, f"run directory {self.path}", f"another process is training in {self.path}"):
            self._sweep()
            try:
                yield
            finally:
                if not self.exists():
                    with contextlib.suppress(OSError):
                        lock.unlink()
                        if made:
                            self.path.rmdir()

    def _sweep(self) -> None:
        """Removes what a killed process left half-written."""
        for folder in (self.path, self.checkpoints):
            for left in folder.glob(".*.part"):
                with contextlib.suppress(OSError):
                    left.unlink()


def conflicts(ours: Config, theirs: Config) -> list[str]:
    """The keys that keep a run from being resumed with another configuration, as ``key: wanted / begun with``."""
    return [f"{key}: {a} / {b}" for (key, a), (_, b) in zip(_flat(to_dict(ours)), _flat(to_dict(theirs)), strict=True)
            if a != b and key not in CHANGEABLE]


def _flat(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def versions() -> dict[str, str]:
    """Versions of what a run's numbers depend on."""
    packages = ("melgan-tf", "tensorflow", "keras", "numpy")
    found = {}
    for package in packages:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return {**found, "python": platform.python_version()}


def with_training(config: Config, **changes: Any) -> Config:
    """The configuration with some fields of its training part changed."""
    return dataclasses.replace(config, training=dataclasses.replace(config.training, **changes))
