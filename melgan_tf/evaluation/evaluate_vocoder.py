"""A vocoder against Griffin-Lim on real sounds: what `melgan-tf evaluate` prints of a vocoder."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from melgan_tf import storage
from melgan_tf.audio.find import Skipped
from melgan_tf.data.sources import open_sounds
from melgan_tf.dsp import spectral
from melgan_tf.dsp.griffin_lim import mel_to_waveform
from melgan_tf.errors import MelGANError
from melgan_tf.evaluation.vocoder_metrics import CopySynthesis, compare
from melgan_tf.inference.vocoder import Vocoder
from melgan_tf.progress import Progress

#: Of a longer sound the beginning is taken, seconds.
LONGEST = 8.0
ITERATIONS = 32


@dataclass(frozen=True)
class VocoderAssessment:
    """The figures of one vocoder.

    Attributes:
        made: of its copies.
        yardstick: of Griffin-Lim's, with 32 iterations, from the same mels.
        vocoder: what was measured.
        reference: the folder of real sounds.
    """

    made: CopySynthesis
    yardstick: CopySynthesis
    vocoder: Vocoder
    reference: Path

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**self.vocoder.metadata(), "reference": self.reference.name, "vocoder": self.made.to_dict(),
                f"griffin-lim {ITERATIONS}": self.yardstick.to_dict()}


def assess_vocoder(vocoder: Vocoder, reference: str | Path, progress: Progress | None = None) -> VocoderAssessment:
    """Copies every sound of a folder, by the vocoder and by Griffin-Lim, and measures both.

    Speed is that of one sound after the other, as short or long as they are.

    Args:
        vocoder: what to measure.
        reference: folder of real sounds, best ones that it was not trained on.
        progress: told what happens.

    Raises:
        MelGANError: the folder holds no sound that can be used.
    """
    audio, progress = vocoder.audio, progress or Progress()
    found = open_sounds(reference, audio.sample_rate, None)
    analyze = tf.function(lambda waveform: spectral.mel_spectrogram(waveform, audio), autograph=False,
                          input_signature=[tf.TensorSpec((1, None), tf.float32)])
    griffin_lim = tf.function(lambda mel: mel_to_waveform(mel, audio, ITERATIONS), autograph=False,
                              input_signature=[tf.TensorSpec((1, None, audio.mel_bins), tf.float32)])

    def sounds(name: str) -> Iterator[np.ndarray]:
        with progress.task(f"measuring {name}", len(found), "sounds") as advance:
            for sound, samples in found.clips():
                if isinstance(samples, Skipped):
                    if name == "copies":
                        progress.warning(f"skipped {sound.name}: {samples.reason}")
                else:
                    yield samples[:round(LONGEST * audio.sample_rate)]
                advance(1)

    def measured(name: str, vocode: Callable[[np.ndarray], Any]) -> CopySynthesis:
        return compare(vocode, sounds(name), audio, analyze)

    if not len(found):
        raise MelGANError(f"{reference} holds no sound file" +
                          (f", {len(found.skipped)} others" if found.skipped else ""))
    return VocoderAssessment(measured("copies", vocoder.vocode), measured("Griffin-Lim", griffin_lim), vocoder,
                             storage.path(reference))


def rounded(figures: CopySynthesis) -> dict[str, Any]:
    """The figures with four significant digits, for cards."""
    return {name: float(f"{value:.4g}") if isinstance(value, float) else value
            for name, value in dataclasses.asdict(figures).items()}
