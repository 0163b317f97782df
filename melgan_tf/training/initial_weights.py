"""Weights that a run starts from: those of another run, or of a model that the package brings along."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from melgan_tf import storage, weights
from melgan_tf.config import Config
from melgan_tf.data.labels import known_as
from melgan_tf.errors import UsageError
from melgan_tf.progress import Progress
from melgan_tf.storage.checkpoints import State, named_variables
from melgan_tf.storage.run_directory import RunDirectory
from melgan_tf.training.task import Task
from melgan_tf.weights.sources import source_config

#: Parts of a checkpoint that a new run takes over; optimizers and the step count start afresh.
_PARTS = ("generator", "learning_generator", "encoder", "discriminator")


@dataclass(frozen=True)
class InitialWeights:
    """What a run starts from.

    Attributes:
        source: where it comes from, as the user named it.
        config: what it was trained with.
        state: its networks' variables by the names of checkpoints.
        classes: the names of its classes, if it has classes.
        step: training steps behind it.
    """

    source: str
    config: Config
    state: State
    classes: tuple[str, ...]
    step: int

    @property
    def record(self) -> dict[str, object]:
        """What config.json records of it."""
        return {"source": self.source, "step": self.step, "weights": weights.digest(self.state)}


def load_initial_weights(source: str | Path, progress: Progress | None = None) -> InitialWeights:
    """Loads all networks of a run's newest checkpoint, or of a model of the package.

    Args:
        source: a run directory, ``pretrained:NAME`` or the name of a vocoder of the package.
        progress: reports damaged checkpoints that are skipped.

    Raises:
        UsageError: there is neither.
        MelGANError: the run has no usable checkpoint.
    """
    config = source_config(source)
    if name := weights.packaged_name(source):
        card = weights.read_card(name)
        state, step, classes = weights.read_all_weights(name), card["step"], card.get("classes")
    else:
        directory = RunDirectory(source)
        state, meta = weights.newest_state(directory, config, "last", progress)
        step, classes = meta["step"], directory.record()["data"].get("classes")
    state = {name: value for name, value in state.items() if name.split("/", 1)[0] in _PARTS}
    return InitialWeights(storage.recorded(source), config, state, tuple(classes or ()), step)


def apply_initial_weights(initial: InitialWeights, task: Task) -> str:
    """Assigns to a task's model every variable that has the same name and shape in the source.

    Class rows go by the names of the classes (see `Task.adapt_weights`); a class that the source does not know starts
    as the mean of those that it does.

    Returns:
        A line for the log: what was taken over.

    Raises:
        UsageError: no variable of the generator fits.
    """
    config = task.config
    state = task.adapt_weights(initial.state, initial.classes)
    networks = {part: network.variables for part, network in task.model.networks.items()}
    if "learning_generator" in networks:  # a source that keeps the average only
        state = {**{name.replace("generator/", "learning_generator/", 1): value for name, value in state.items()
                    if name.startswith("generator/")}, **state}
    counts = {part: _assign(state, part, variables) for part, variables in networks.items()}
    if not counts["generator"]:
        raise UsageError(f"--init-from {initial.source} (preset {initial.config.preset}) fits no weight of preset "
                         f"{config.preset}: choose a source of the same family and size")
    taken = ", ".join(f"{part} {count} of {len(networks[part])}" for part, count in counts.items())
    return f"starting from {initial.source} at step {initial.step} (variables taken over: {taken})"


def _assign(state: State, part: str, variables: list[keras.Variable]) -> int:
    fitting = {name: variable for name, variable in named_variables({part: variables}).items()
               if name in state and state[name].shape == tuple(variable.shape)}
    for name, variable in fitting.items():
        variable.assign(state[name])
    return len(fitting)


def map_class_rows(values: np.ndarray, source: tuple[str, ...], target: tuple[str, ...]) -> np.ndarray:
    """Reorders the last rows of a kernel, one a class, for other classes.

    Args:
        values: ``(inputs + len(source), outputs)``.
        source, target: names of the classes.

    Returns:
        ``(inputs + len(target), outputs)``; a class that is not in the source gets the mean of all.

    Examples:
        >>> rows = np.array([[9.0], [1.0], [3.0]])
        >>> map_class_rows(rows, ("kick", "snare"), ("clap", "Snares")).tolist()
        [[9.0], [2.0], [3.0]]
    """
    inputs, rows = values[:len(values) - len(source)], values[len(values) - len(source):]
    known = dict(zip(source, rows, strict=True))
    mean = rows.mean(axis=0)
    ordered = np.stack([known.get(known_as(name, source), mean) for name in target])
    return np.concatenate([inputs, ordered]).astype(values.dtype)
