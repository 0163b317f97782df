"""Checkpoints: the complete state that a run needs to resume exactly, in one file that is written atomically.

A checkpoint is an uncompressed ``.npz``: each variable under ``part/path`` and a JSON ``meta`` record. Loading is
strict: a missing variable, an unexpected one or one of another shape is an error. Damage anywhere is found: the zip
format has a checksum of each variable, the record one of their names.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from melgan_tf import storage
from melgan_tf.config.strict_json import parse_value, shown
from melgan_tf.errors import MelGANError
from melgan_tf.storage.arrays import Header, Npz, open_npz
from melgan_tf.storage.atomic import atomic_write
from melgan_tf.storage.backend import StorageError

if TYPE_CHECKING:
    import keras

_NAME = re.compile(r"step-(\d+)\.npz")

State = dict[str, np.ndarray]
Shapes = Mapping[str, tuple[int, ...] | None]

_NAMES_DIGEST = "variables"  # in the record of a checkpoint; those of version 0.1 have none


class CheckpointStore:
    """The checkpoints of one run.

    Args:
        folder: contains them.
        keep: number of checkpoints to keep, the newest.
    """

    def __init__(self, folder: Path, keep: int = 3) -> None:
        self.folder, self.keep = folder, keep
        self.best_file = folder / "best.npz"

    def steps(self) -> list[int]:
        """Return the steps that have a checkpoint, oldest first."""
        if not self.folder.is_dir():
            return []
        return sorted(int(match[1]) for file in self.folder.iterdir() if (match := _NAME.fullmatch(file.name)))

    def file(self, step: int) -> Path:
        """Return the path of a step's checkpoint."""
        return self.folder / f"step-{step:08d}.npz"

    def save(self, state: State, step: int, meta: dict[str, Any]) -> Path:
        """Write a checkpoint, then remove the oldest ones beyond ``keep``.

        Raises:
            MelGANError: it cannot be written; older checkpoints are unchanged.
        """
        path = self.file(step)
        with atomic_write(path) as temporary:
            archive = io.BytesIO()  # a zip file cut short by a full disk raises once more when it is garbage collected
            record = {**meta, "step": step, _NAMES_DIGEST: _names_digest(state)}
            np.savez(archive, meta=np.array(json.dumps(record)), **state)
            temporary.write_bytes(archive.getvalue())
        newer = [other for other in self.steps() if other > step]  # damaged, or the run would have resumed from them
        older = [other for other in self.steps() if other <= step][:-self.keep]
        for other in newer + older:
            self.file(other).unlink(missing_ok=True)
        return path

    def mark_best(self, step: int) -> None:
        """Keep a step's checkpoint as the best one, even when it is removed under its own name."""
        if storage.is_remote(self.best_file):
            storage.server_side_copy(self.file(step), self.best_file)
            return
        with atomic_write(self.best_file) as temporary:
            temporary.unlink()
            try:
                os.link(self.file(step), temporary)
            except OSError:  # not every file system gives a file two names
                shutil.copyfile(self.file(step), temporary)

    def best_meta(self) -> dict[str, Any] | None:
        """Return the metadata of the best checkpoint so far; None if it does not exist or is damaged."""
        try:
            return inspect(self.best_file)[1]
        except StorageError:  # says nothing about what exists there
            raise
        except MelGANError:
            return None

    def newest(self, shapes: Shapes | None = None) -> tuple[State, dict[str, Any], list[str]] | None:
        """Return the newest intact checkpoint: its state, its metadata, and a line for each damaged one that is newer.

        Args:
            shapes: see `load`.

        Raises:
            MelGANError: all checkpoints are damaged, or they cannot be reached.
        """
        damaged = []
        for step in reversed(self.steps()):
            try:
                return (*load(self.file(step), shapes), damaged)
            except StorageError:  # resuming from an older one would discard this one
                raise
            except MelGANError as error:
                damaged.append(str(error))
        if damaged:
            raise MelGANError(f"no checkpoint in {self.folder} can be read; the newest: {damaged[0]}")
        return None


def load(path: Path, shapes: Shapes | None = None) -> tuple[State, dict[str, Any]]:
    """Read one checkpoint.

    Args:
        path: the file.
        shapes: of the variables that are needed, as `variable_shapes` returns them: the others are only verified. A
            checkpoint of step 0 may have only some of their networks. None stands for any shape.

    Returns:
        The variables and the record.

    Raises:
        MelGANError: it does not exist, is damaged, does not fit the shapes or cannot be reached.
    """
    with _opened(path) as (archive, meta):
        wanted = archive.headers if shapes is None else _fitting(path, archive.headers, meta["step"], shapes)
        for name in set(archive.headers).difference(wanted):
            archive.verify(name)
        state = {name: archive.read(name) for name in wanted}
    for name, values in state.items():
        if values.dtype.kind == "f" and not np.isfinite(values).all():  # as training never saves them
            raise MelGANError(f"checkpoint {path.name} is damaged ({name} contains values that are not finite)")
    return state, meta


def inspect(path: Path) -> tuple[dict[str, Header], dict[str, Any]]:
    """Read the headers and the record of one checkpoint, and verify the rest.

    Raises:
        MelGANError: it does not exist, is damaged or cannot be reached.
    """
    with _opened(path) as (archive, meta):
        for name in archive.headers:
            archive.verify(name)
        return archive.headers, meta


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tuple[Npz, dict[str, Any]]]:
    try:
        with open_npz(path) as archive:
            if "meta" not in archive.headers:
                raise ValueError("its record is missing")
            meta = parse_value(str(archive.read("meta")), finite=False)
            if type(meta) is not dict or type(meta.get("step")) is not int:
                raise MelGANError(f"{path} is not a checkpoint that melgan-tf made: its record is {shown(meta)}")
            del archive.headers["meta"]
            if meta.pop(_NAMES_DIGEST, found := _names_digest(archive.headers)) != found:
                raise ValueError("variables are missing")
            yield archive, meta
    except FileNotFoundError:
        raise MelGANError(f"checkpoint {path} does not exist") from None
    except (OSError, ValueError) as error:
        raise MelGANError(f"checkpoint {path.name} is damaged ({error})") from None


def _fitting(path: Path, headers: Mapping[str, Header], step: int, shapes: Shapes) -> list[str]:
    """The names of the variables to read."""
    networks = {name.split("/", 1)[0] for name in headers}
    wanted = [name for name in shapes if step or name.split("/", 1)[0] in networks]
    for name in wanted:
        if name not in headers:
            raise MelGANError(f"checkpoint {path.name} does not fit the model: {name} is missing")
        if shapes[name] not in (None, headers[name].shape):
            raise MelGANError(f"checkpoint {path.name} does not fit the model: {name} has shape {headers[name].shape}, "
                              f"not {shapes[name]}")
    return wanted


def _names_digest(names: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()[:16]


def collect(**parts: list[keras.Variable]) -> State:
    """Return the values of named lists of variables."""
    return {name: np.asarray(variable) for name, variable in named_variables(parts).items()}


def restore(state: State, **parts: list[keras.Variable]) -> None:
    """Assign a state to variables; parts of the state that are not named are ignored.

    Raises:
        MelGANError: the state does not fit; the message names the first such variable.
    """
    variables = named_variables(parts)
    stored = {name for name in state if name.split("/", 1)[0] in parts}
    for name in sorted(stored ^ set(variables)):
        problem = "unexpected" if name in stored else "missing"
        raise MelGANError(f"checkpoint does not fit the model: {name} is {problem}")
    for name, variable in variables.items():
        if state[name].shape != tuple(variable.shape):
            raise MelGANError(f"checkpoint does not fit the model: {name} has shape {state[name].shape}, "
                              f"not {tuple(variable.shape)}")
    for name, variable in variables.items():
        variable.assign(state[name])


def variable_shapes(**parts: list[keras.Variable]) -> Shapes:
    """The shapes of named lists of variables, by the names that checkpoints use."""
    return {name: tuple(variable.shape) for name, variable in named_variables(parts).items()}


def named_variables(parts: dict[str, list[keras.Variable]]) -> dict[str, keras.Variable]:
    """The variables of named lists by the names that checkpoints use: part and path."""
    named = {f"{part}/{variable.path}": variable for part, variables in parts.items() for variable in variables}
    if len(named) != sum(map(len, parts.values())):
        raise ValueError("two variables share one path")
    return named
