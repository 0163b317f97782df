"""Weights on disk: those of the models of the package, and those of runs. No TensorFlow."""

from __future__ import annotations

import functools
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from melgan_tf.config import Config, from_dict, to_dict
from melgan_tf.config.strict_json import expect, expect_counts
from melgan_tf.errors import ConfigError, MelGANError
from melgan_tf.progress import Progress
from melgan_tf.storage.atomic import atomic_write, write_text
from melgan_tf.storage.checkpoints import CheckpointStore, Shapes, State, load
from melgan_tf.storage.json_file import read_json
from melgan_tf.storage.run_directory import RunDirectory

WEIGHTS = Path(__file__).parent

#: Prefix of the names of the package's sound models, which tells them from run directories.
PRETRAINED = "pretrained:"

#: Parts of a checkpoint: what makes sounds, and what training needs besides.
_INFERENCE, _TRAINING = ("generator/",), ("encoder/", "discriminator/")


def pretrained_vocoders() -> list[str]:
    """The names of the vocoders of the package."""
    return [name for name in _cards() if _is_vocoder(WEIGHTS, name)]


def pretrained_models() -> list[str]:
    """The names of the sound models of the package: ``pretrained:NAME``."""
    return [PRETRAINED + name for name in _cards() if not _is_vocoder(WEIGHTS, name)]


def packaged_name(source: str | Path) -> str | None:
    """The file name of the model of the package that a source means; None for anything else.

    A run directory of that name goes first.
    """
    if str(source) not in [*pretrained_vocoders(), *pretrained_models()] or RunDirectory(source).exists():
        return None
    return str(source).removeprefix(PRETRAINED)


def _cards() -> list[str]:
    return sorted(card.stem for card in WEIGHTS.glob("*.json"))


@functools.cache
def _is_vocoder(folder: Path, name: str) -> bool:
    return card_config(read_card(name, folder)).family.makes == "waveforms"


def read_card(name: str, folder: Path | None = None) -> dict[str, Any]:
    """The card of a model of the package: its configuration, data, license, command and metrics.

    Raises:
        MelGANError: it is missing or damaged.
    """
    try:
        card = read_json((folder or WEIGHTS) / f"{name}.json")
        expect(card, name=str, step=int, config=dict)
        if "classes" in card:
            expect_counts(card, "classes")
    except (OSError, ValueError) as error:
        raise MelGANError(f"{name} is missing from the package, or damaged: {error}: install melgan-tf again"
                          ) from None
    return card


def card_config(card: dict[str, Any]) -> Config:
    """The configuration in a card.

    Raises:
        MelGANError: it is damaged.
    """
    try:
        return from_dict(Config, card["config"])
    except ConfigError as error:
        raise MelGANError(f"the card of {card['name']} in the package is damaged: {error}: install melgan-tf again"
                          ) from None


def read_weights(path: Path, shapes: Shapes | None = None) -> State:
    """Weights as float32, by the names that checkpoints use.

    Args:
        path: the file.
        shapes: of the variables that are needed; see `melgan_tf.storage.checkpoints.load`.

    Raises:
        MelGANError: the file is missing or damaged.
    """
    try:
        return {name: value.astype(np.float32) for name, value in load(path, shapes)[0].items()}
    except MelGANError as error:
        raise MelGANError(f"the weights of {path.name.partition('.')[0]} that came with the package are damaged: "
                          f"{error}: install melgan-tf again") from None


def read_all_weights(name: str) -> State:
    """All networks that the package has of one of its models: the generator, and what training it further needs.

    Raises:
        MelGANError: a file is missing or damaged.
    """
    state = read_weights(WEIGHTS / f"{name}.npz")
    more = WEIGHTS / f"{name}.training.npz"
    return {**state, **read_weights(more)} if more.exists() else state


def as_packaged(state: State) -> State:
    """The networks of a checkpoint that the package keeps, rounded as in its files.

    To float16; encoder and discriminator, which need less precision, to 9 bits, which take a tenth less space.
    """
    kept = {name: value.astype(np.float16).astype(np.float32) for name, value in sorted(state.items())
            if name.startswith((*_INFERENCE, *_TRAINING))}
    for name, value in kept.items():
        if name.startswith(_TRAINING):
            mantissa, exponent = np.frexp(value)
            kept[name] = np.ldexp(np.rint(mantissa * 512) / 512, exponent).astype(np.float32)
    return kept


def package_weights(name: str, state: State, meta: dict[str, Any], config: Config, card: dict[str, Any],
                    folder: Path | None = None) -> None:
    """Writes weights and card of a vocoder or a sound model for the package.

    Args:
        name: of the model in the package.
        state: of a checkpoint. The generator goes to ``NAME.npz``, encoder and discriminator to ``NAME.training.npz``,
            all as float16. The rest is ignored.
        meta: the checkpoint's metadata.
        config: the run's.
        card: data, license, command, hours, metrics; of a sound model also its classes.
        folder: where to write; the package's own by default.
    """
    folder = folder or WEIGHTS
    _write(folder / f"{name}.npz", state, _INFERENCE, meta["step"])
    training = folder / f"{name}.training.npz"
    if any(key.startswith(_TRAINING) for key in state):
        _write(training, state, _TRAINING, meta["step"])
    else:
        training.unlink(missing_ok=True)
    write_card(name, {"name": name, "step": meta["step"], **card, "config": to_dict(config)}, folder)


def write_card(name: str, card: dict[str, Any], folder: Path | None = None) -> None:
    """Writes the card of a model of the package."""
    write_text((folder or WEIGHTS) / f"{name}.json", json.dumps(card, indent=1) + "\n")


def _write(file: Path, state: State, parts: tuple[str, ...], step: int) -> None:
    kept = {key: value.astype(np.float16) for key, value in sorted(state.items()) if key.startswith(parts)}
    with atomic_write(file) as temporary, open(temporary, "wb") as archive:
        np.savez_compressed(archive, meta=np.array(json.dumps({"step": step})), **kept)


def newest_state(directory: RunDirectory, config: Config, checkpoint: str, progress: Progress | None = None,
                 shapes: Shapes | None = None) -> tuple[State, dict[str, Any]]:
    """A run's newest whole checkpoint, or its best: state and record.

    Args:
        directory: the run.
        config: its configuration.
        checkpoint: "last" or "best".
        progress: reports damaged checkpoints that are skipped.
        shapes: of the variables that are needed; see `melgan_tf.storage.checkpoints.load`.

    Raises:
        MelGANError: there is none, or it was made for other mels than the configuration says.
    """
    store = CheckpointStore(directory.checkpoints)
    if checkpoint == "best":
        found = load(store.best_file, shapes) if store.best_file.exists() else None
    else:
        found = store.newest(shapes)
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
