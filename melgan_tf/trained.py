"""From a run directory to a Sampler: the trained generator, ready to be used."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from melgan_tf.checkpoints import CheckpointStore, State, load, restore
from melgan_tf.config import Config
from melgan_tf.errors import MelGANError
from melgan_tf.models.sampler import Sampler
from melgan_tf.models.spectrogram_gan import Generator
from melgan_tf.progress import Progress
from melgan_tf.run_directory import RunDirectory


@dataclass(frozen=True)
class Trained:
    """A trained model.

    Attributes:
        sampler: noise -> mel -> waveform.
        config: the run's configuration.
        step: training steps behind the weights.
        weights: twelve hexadecimal digits that name the generator's weights.
    """

    sampler: Sampler
    config: Config
    step: int
    weights: str


def load_trained(run: str | Path, checkpoint: Literal["last", "best"] = "last",
                 progress: Progress | None = None) -> Trained:
    """Loads a run's generator.

    Args:
        run: the run directory; nothing else is read.
        checkpoint: the newest that is whole, or the best by Fréchet distance of log-mel statistics.
        progress: told of damaged checkpoints that are passed over.

    Raises:
        UsageError: there is no run.
        MelGANError: it has no usable checkpoint, or one that belongs to another configuration.
    """
    directory = RunDirectory(run)
    config = directory.config()
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
    generator = Generator(config.model.noise_dim, config.model.weight_std)
    restore(state, generator=generator.variables)
    return Trained(Sampler(generator, config), config, meta["step"], _digest(state))


def _digest(state: State) -> str:
    digest = hashlib.sha256()
    for name in sorted(state):
        if name.startswith("generator/"):
            digest.update(name.encode() + state[name].tobytes())
    return digest.hexdigest()[:12]
