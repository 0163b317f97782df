"""From a run directory, or the package's own weights, to a sound model that is ready to be used."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from melgan_tf import weights
from melgan_tf.config import Config, from_dict
from melgan_tf.config.registry import build_network
from melgan_tf.data.labels import Classes
from melgan_tf.errors import UsageError
from melgan_tf.inference.sampler import Sampler
from melgan_tf.inference.vocoder import choose_vocoder
from melgan_tf.progress import Progress
from melgan_tf.storage.checkpoints import restore
from melgan_tf.storage.run_directory import RunDirectory
from melgan_tf.weights import PRETRAINED, digest, newest_state, read_card, read_weights


@dataclass(frozen=True)
class SoundModel:
    """A trained model that makes sounds from noise.

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

    @property
    def vocoder_metadata(self) -> dict[str, object]:
        """What turns its mels into sound, for records."""
        return self.sampler.vocoder.metadata()

    def label(self, text: str | None) -> np.ndarray | None:
        """The label vector ``(classes,)`` that a request like ``kick`` or ``kick=0.7,snare=0.3`` means; None for None.

        Raises:
            UsageError: the model has no such class, or none at all.
        """
        if text is None:
            return None
        if not self.sampler.classes:
            raise UsageError(f"--label {text!r}: a model of preset {self.config.preset!r} has no classes")
        return self.sampler.classes.label(text)


def load_sound_model(source: str | Path, checkpoint: Literal["last", "best"] = "last",
                     progress: Progress | None = None, vocoder: str | None = None) -> SoundModel:
    """Loads a run's generator, or one that the package brings along.

    Args:
        source: a run directory, of which nothing else is read, or ``pretrained:NAME``.
        checkpoint: of a run: the newest that is whole, or the best by the score of training.
        progress: told of damaged checkpoints that are passed over.
        vocoder: what renders the mels; see `melgan_tf.inference.vocoder.choose_vocoder`.

    Raises:
        UsageError: there is no run, it is a vocoder's, or the vocoder does not fit it.
        MelGANError: it has no usable checkpoint, or one that belongs to another configuration.
    """
    if str(source).startswith(PRETRAINED):
        card = read_card(str(source).removeprefix(PRETRAINED))
        config, counts, step = from_dict(Config, card["config"]), card.get("classes"), card["step"]
        state = read_weights(weights.WEIGHTS / f"{card['name']}.npz")
    else:
        directory = RunDirectory(source)
        config, counts = directory.config(), directory.record()["data"].get("classes")
        if config.family.makes == "waveforms":
            raise UsageError(f"{source} is a run of the vocoder preset {config.preset!r}, which makes no sounds of its "
                             f"own: melgan-tf vocode SOUND --vocoder {source}")
        state, meta = newest_state(directory, config, checkpoint, progress)
        step = meta["step"]
    classes = Classes(counts) if counts else None
    generator = build_network(config, classes=classes)
    restore(state, generator=generator.variables)
    sampler = config.family.load("sampler")(generator, config, classes=classes,
                                            vocoder=choose_vocoder(vocoder, config.audio, progress))
    return SoundModel(sampler, config, step, digest(state))
