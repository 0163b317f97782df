"""Weights on disk: those of the models of the package, and those of runs. No TensorFlow."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from melgan_tf.config import Config, from_dict, to_dict
from melgan_tf.errors import MelGANError
from melgan_tf.progress import Progress
from melgan_tf.storage.atomic import atomic_write, write_text
from melgan_tf.storage.checkpoints import CheckpointStore, State, load
from melgan_tf.storage.run_directory import RunDirectory

WEIGHTS = Path(__file__).parent

#: Prefix of the names of the package's sound models, which tells them from run directories.
PRETRAINED = "pretrained:"


def pretrained_vocoders() -> list[str]:
    """The names of the vocoders of the package."""
    return [name for name in _cards() if _is_vocoder(name)]


def pretrained_models() -> list[str]:
    """The names of the sound models of the package: ``pretrained:NAME``."""
    return [PRETRAINED + name for name in _cards() if not _is_vocoder(name)]


def _cards() -> list[str]:
    return sorted(card.stem for card in WEIGHTS.glob("*.json"))


def _is_vocoder(name: str) -> bool:
    return from_dict(Config, read_card(name)["config"]).family.makes == "waveforms"


def read_card(name: str) -> dict[str, Any]:
    """The card of a model of the package: its configuration, data, license, command and metrics.

    Raises:
        MelGANError: it is missing or damaged.
    """
    try:
        return json.loads((WEIGHTS / f"{name}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise MelGANError(f"{name} is missing from the package, or damaged: {error}") from None


def read_weights(path: Path) -> State:
    """Weights as float32, by the names that checkpoints use.

    Raises:
        MelGANError: the file is missing or damaged.
    """
    return {name: value.astype(np.float32) for name, value in load(path)[0].items()}


def read_all_weights(name: str) -> State:
    """All networks that the package has of one of its models: the generator, and what training it further needs.

    Raises:
        MelGANError: a file is missing or damaged.
    """
    state = read_weights(WEIGHTS / f"{name}.npz")
    more = WEIGHTS / f"{name}.training.npz"
    return {**state, **read_weights(more)} if more.exists() else state


def package_weights(name: str, state: State, meta: dict[str, Any], config: Config, card: dict[str, Any],
                  folder: Path = WEIGHTS) -> None:
    """Writes weights and card of a vocoder or a sound model for the package.

    Args:
        name: its name in the package.
        state: of a checkpoint; only the generator's part is kept, as float16.
        meta: the checkpoint's record.
        config: the run's.
        card: data, license, command, hours, metrics; of a sound model also its classes.
        folder: the destination.
    """
    kept = {key: value.astype(np.float16) for key, value in sorted(state.items()) if key.startswith("generator/")}
    with atomic_write(folder / f"{name}.npz") as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, meta=np.array(json.dumps({"step": meta["step"]})), **kept)
    write_text(folder / f"{name}.json", json.dumps(
        {"name": name, "step": meta["step"], **card, "config": to_dict(config)}, indent=1) + "\n")


def newest_state(directory: RunDirectory, config: Config, checkpoint: str,
                 progress: Progress | None = None) -> tuple[State, dict[str, Any]]:
    """A run's newest whole checkpoint, or its best: state and record.

    Raises:
        MelGANError: there is none, or it was made for other mels than the configuration says.
    """
    store = CheckpointStore(directory.checkpoints)
    if checkpoint == "best":
        found = load(store.best_file) if store.best_file.exists() else None
    else:
        found = store.newest()
    if not found:
        raise MelGANError(f"{directory.path} has no checkpoint yet: train it first, or longer")
    state, meta, *damaged = found
    for line in damaged and damaged[0]:
        (progress or Progress()).warning(f"{line}: using that of step {meta['step']}")
    fingerprint = config.audio.fingerprint()
    if meta.get("audio_fingerprint") != fingerprint:
        raise MelGANError(f"the checkpoint of step {meta['step']} was made for other mel spectrograms "
                          f"({meta.get('audio_fingerprint')}) than config.json says ({fingerprint})")
    return state, meta


def digest(state: State) -> str:
    """Twelve hexadecimal digits that name a generator's weights."""
    found = hashlib.sha256()
    for name in sorted(state):
        if name.startswith("generator/"):
            found.update(name.encode() + state[name].tobytes())
    return found.hexdigest()[:12]
