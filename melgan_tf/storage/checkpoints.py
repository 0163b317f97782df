"""Checkpoints: every number that a run needs to go on exactly, in one file that is whole or not there.

A checkpoint is an uncompressed ``.npz``: each variable under ``part/path`` and a JSON ``meta`` record. Loading is
strict: a missing, surplus or misshapen variable is an error, never a silent default.
"""

from __future__ import annotations

import io
import json
import os
import re
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from melgan_tf import storage
from melgan_tf.errors import MelGANError
from melgan_tf.storage.atomic import replacing
from melgan_tf.storage.paths import StorageError

if TYPE_CHECKING:
    import keras

_NAME = re.compile(r"step-(\d+)\.npz")

State = dict[str, np.ndarray]


class CheckpointStore:
    """The checkpoints of one run.

    Args:
        folder: where they lie.
        keep: how many of the newest stay.
    """

    def __init__(self, folder: Path, keep: int = 3) -> None:
        self.folder, self.keep = folder, keep
        self.best_file = folder / "best.npz"

    def steps(self) -> list[int]:
        """The steps that have a checkpoint, oldest first."""
        if not self.folder.is_dir():
            return []
        return sorted(int(match[1]) for file in self.folder.iterdir() if (match := _NAME.fullmatch(file.name)))

    def file(self, step: int) -> Path:
        """The path of one step's checkpoint."""
        return self.folder / f"step-{step:08d}.npz"

    def save(self, state: State, step: int, meta: dict[str, Any]) -> Path:
        """Writes a checkpoint, then forgets the oldest beyond ``keep``.

        Raises:
            MelGANError: it cannot be written; older checkpoints are untouched.
        """
        path = self.file(step)
        with replacing(path) as temporary:
            archive = io.BytesIO()  # an archive cut short by a full disk would complain again when it is collected
            np.savez(archive, meta=np.array(json.dumps({**meta, "step": step})), **state)
            temporary.write_bytes(archive.getvalue())
        newer = [other for other in self.steps() if other > step]  # damaged, or the run would have gone on from them
        older = [other for other in self.steps() if other <= step][:-self.keep]
        for other in newer + older:
            self.file(other).unlink(missing_ok=True)
        return path

    def mark_best(self, step: int) -> None:
        """Keeps a second name for one step's checkpoint that outlives it."""
        if storage.is_remote(self.best_file):
            storage.duplicate(self.file(step), self.best_file)
            return
        with replacing(self.best_file) as temporary:
            os.link(self.file(step), temporary)

    def best_meta(self) -> dict[str, Any] | None:
        """The record of the best checkpoint so far; None if there is none, or a damaged one."""
        try:
            return load(self.best_file)[1]
        except StorageError:  # tells nothing of what is there
            raise
        except MelGANError:
            return None

    def newest(self) -> tuple[State, dict[str, Any], list[str]] | None:
        """The newest checkpoint that is whole: its state, its record, and a line for each damaged one passed over.

        Raises:
            MelGANError: there are checkpoints, but all are damaged, or they cannot be reached.
        """
        damaged = []
        for step in reversed(self.steps()):
            try:
                return (*load(self.file(step)), damaged)
            except StorageError:  # going back to an older one would undo what is there
                raise
            except MelGANError as error:
                damaged.append(str(error))
        if damaged:
            raise MelGANError(f"no checkpoint in {self.folder} can be read; the newest: {damaged[0]}")
        return None


def load(path: Path) -> tuple[State, dict[str, Any]]:
    """Reads one checkpoint.

    Raises:
        MelGANError: it is missing or damaged, or cannot be reached.
    """
    try:
        with (storage.local(path) as whole, open(whole, "rb") as file,  # np.load leaks a damaged file
              np.load(file, allow_pickle=False) as archive):
            state = {name: archive[name] for name in archive.files}
        return state, json.loads(str(state.pop("meta")))
    except FileNotFoundError:
        raise MelGANError(f"checkpoint {path} does not exist") from None
    except (OSError, ValueError, KeyError, EOFError, TypeError, RuntimeError, zipfile.BadZipFile) as error:
        raise MelGANError(f"checkpoint {path.name} is damaged ({error})") from None


def collect(**parts: list[keras.Variable]) -> State:
    """The values of named lists of variables."""
    return {name: np.asarray(variable) for name, variable in named_variables(parts).items()}


def restore(state: State, **parts: list[keras.Variable]) -> None:
    """Assigns a state to variables; parts of the state that are not asked for are left alone.

    Raises:
        MelGANError: the state does not fit; the message names the first variable that does not.
    """
    variables = named_variables(parts)
    stored = {name for name in state if name.split("/", 1)[0] in parts}
    for name in sorted(stored ^ set(variables)):
        raise MelGANError(f"checkpoint does not fit the model: {name} is {'surplus' if name in stored else 'missing'}")
    for name, variable in variables.items():
        if state[name].shape != tuple(variable.shape):
            raise MelGANError(f"checkpoint does not fit the model: {name} has shape {state[name].shape}, "
                              f"not {tuple(variable.shape)}")
    for name, variable in variables.items():
        variable.assign(state[name])


def named_variables(parts: dict[str, list[keras.Variable]]) -> dict[str, keras.Variable]:
    """The variables of named lists by the names that checkpoints use: part and path."""
    named = {f"{part}/{variable.path}": variable for part, variables in parts.items() for variable in variables}
    if len(named) != sum(map(len, parts.values())):
        raise ValueError("two variables share one path")
    return named
