"""From a run directory to a Sampler: the trained generator, ready to be used."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from melgan_tf.checkpoints import restore
from melgan_tf.config import Config
from melgan_tf.errors import UsageError
from melgan_tf.models.sampler import Sampler
from melgan_tf.models.spectrogram_gan import Generator
from melgan_tf.progress import Progress
from melgan_tf.run_directory import RunDirectory
from melgan_tf.vocoders import GRIFFIN_LIM, choose_vocoder
from melgan_tf.weights import digest, newest_state


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

    @property
    def renderer(self) -> dict[str, object]:
        """What turns its mels into sound, for records."""
        vocoder = self.sampler.vocoder
        return vocoder.facts() if vocoder else {"name": GRIFFIN_LIM, "iterations": self.sampler.iterations}


def load_trained(run: str | Path, checkpoint: Literal["last", "best"] = "last",
                 progress: Progress | None = None, vocoder: str | None = None) -> Trained:
    """Loads a run's generator.

    Args:
        run: the run directory; nothing else is read.
        checkpoint: the newest that is whole, or the best by Fréchet distance of log-mel statistics.
        progress: told of damaged checkpoints that are passed over.
        vocoder: what renders the mels; see `melgan_tf.vocoders.choose_vocoder`.

    Raises:
        UsageError: there is no run, it is a vocoder's, or the vocoder does not fit it.
        MelGANError: it has no usable checkpoint, or one that belongs to another configuration.
    """
    directory = RunDirectory(run)
    config = directory.config()
    if config.is_vocoder:
        raise UsageError(f"{run} is a run of the vocoder preset {config.preset!r}, which makes no sounds of its own: "
                         f"melgan-tf vocode SOUND --vocoder {run}")
    state, meta = newest_state(directory, config, checkpoint, progress)
    generator = Generator(config.model.noise_dim, config.model.weight_std)
    restore(state, generator=generator.variables)
    chosen = choose_vocoder(vocoder, config.audio, progress)
    return Trained(Sampler(generator, config, vocoder=chosen), config, meta["step"], digest(state))
