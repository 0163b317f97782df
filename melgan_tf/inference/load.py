"""Loads sound models for inference, from a run directory or from the weights of the package."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Literal

import keras

from melgan_tf import storage, weights
from melgan_tf.config.registry import build_network
from melgan_tf.data.labels import Classes
from melgan_tf.inference.sound_model import SoundModel
from melgan_tf.inference.vocoder import choose_vocoder
from melgan_tf.progress import Progress
from melgan_tf.storage.checkpoints import restore, variable_shapes
from melgan_tf.storage.run_directory import RunDirectory
from melgan_tf.weights import digest, newest_state, packaged_name, read_all_weights, read_card, read_weights
from melgan_tf.weights.sources import sound_model_config


def load_sound_model(source: str | Path, checkpoint: Literal["last", "best"] = "last",
                     progress: Progress | None = None, vocoder: str | None = None) -> SoundModel:
    """See `melgan_tf.api.load_sound_model`; without the graphs that are kept of models used before."""
    name, directory, config = packaged_name(source), RunDirectory(source), sound_model_config(source)
    card = read_card(name) if name else {}
    counts = (card if name else directory.record()["data"]).get("classes")
    classes = Classes(counts) if counts else None
    generator = build_network(config, classes=classes)
    shapes = variable_shapes(generator=generator.variables)
    if name:
        state, step = read_weights(weights.WEIGHTS / f"{name}.npz", shapes), card["step"]
    else:
        state, meta = newest_state(directory, config, checkpoint, progress, shapes)
        step = meta["step"]
    restore(state, generator=generator.variables)
    sampler = config.family.load("sampler")(generator, config, classes=classes,
                                            vocoder=choose_vocoder(vocoder, config.audio, progress))

    @functools.cache
    def load_encoder() -> keras.Model | None:
        found = read_all_weights(name) if name else newest_state(directory, config, checkpoint)[0]
        if not config.family.encoder or not any(name.startswith("encoder/") for name in found):
            return None
        network = config.family.load("encoder")(config, classes)
        restore(found, encoder=network.variables)
        return network

    return SoundModel(sampler, config, step, digest(state), storage.recorded(source), load_encoder)
