"""Evaluates a vocoder: its copy synthesis of real sounds beside Griffin-Lim's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from melgan_tf import storage
from melgan_tf.data.reading import ClipReader
from melgan_tf.dsp import spectral
from melgan_tf.dsp.griffin_lim import mel_to_waveform
from melgan_tf.evaluation.report import Report
from melgan_tf.evaluation.sounds import warn_of_skipped
from melgan_tf.evaluation.tables import Table, rows, to_json
from melgan_tf.evaluation.vocoder_metrics import VocoderMetrics, measure_vocoder
from melgan_tf.inference.vocoder import Vocoder
from melgan_tf.progress import Progress, counted

#: Longer sounds are cut to this length.
MAX_SOUND_SECONDS = 8.0
#: Of Griffin-Lim, the baseline.
ITERATIONS = 32


@dataclass(frozen=True)
class VocoderReport(Report):
    """The metrics of one vocoder.

    Attributes:
        generated: of the vocoder.
        baseline: of Griffin-Lim from the same mels.
        metadata: name, preset, step and weights of the vocoder, and the reference.
    """

    generated: VocoderMetrics
    baseline: VocoderMetrics
    metadata: dict[str, Any]

    @property
    def header(self) -> str:
        return f"copy synthesis of {counted(self.generated.sounds, 'sound')} of {self.metadata['reference']}"

    @property
    def conclusion(self) -> str:
        """One plain sentence."""
        return (f"log mel {self.generated.log_mel_l1:.2g} dB from the real sounds (Griffin-Lim "
                f"{self.baseline.log_mel_l1:.2g} dB), {self.generated.speed:.3g} times real time")

    def tables(self, verbose: bool = True) -> list[Table]:
        return [Table("Copy synthesis", ("metric", "vocoder", f"Griffin-Lim {ITERATIONS}", "better"),
                      tuple(rows(self.generated, self.baseline)))]

    def to_dict(self) -> dict[str, Any]:
        return {**self.metadata, **self._columns()}

    def summary(self) -> dict[str, Any]:
        return {column: {name: float(f"{value:.4g}") if isinstance(value, float) else value
                         for name, value in values.items()} for column, values in self._columns().items()}

    def _columns(self) -> dict[str, dict[str, Any]]:
        return {"vocoder": to_json(self.generated), f"griffin-lim {ITERATIONS}": to_json(self.baseline)}


def evaluate_vocoder(vocoder: Vocoder, reference: str | Path, progress: Progress | None = None) -> VocoderReport:
    """Resynthesizes every sound of a folder with the vocoder and with Griffin-Lim, and measures both.

    Speed is measured one sound at a time, at its own length.

    Args:
        vocoder: what to measure.
        reference: folder of real sounds, preferably not used in training.
        progress: receives progress, and a warning for each skipped file.

    Raises:
        MelGANError: the folder contains no usable sound.
    """
    audio, progress = vocoder.audio, progress or Progress()
    analyze = tf.function(lambda waveform: spectral.mel_spectrogram(waveform, audio), autograph=False,
                          input_signature=[tf.TensorSpec((1, None), tf.float32)])
    griffin_lim = tf.function(lambda mel: mel_to_waveform(mel, audio, ITERATIONS), autograph=False,
                              input_signature=[tf.TensorSpec((1, None, audio.mel_bins), tf.float32)])

    def measure(name: str, vocode: Callable[[np.ndarray], Any]) -> tuple[VocoderMetrics, ClipReader]:
        reader = ClipReader(reference, audio.sample_rate, None, progress, f"measuring {name}",
                            kept_samples=round(MAX_SOUND_SECONDS * audio.sample_rate))
        return measure_vocoder(vocode, reader.clips(), audio, analyze), reader

    own, reader = measure("vocoder", vocoder.vocode)
    warn_of_skipped(reader, progress)
    return VocoderReport(own, measure("Griffin-Lim", griffin_lim)[0],
                         {**vocoder.metadata(), "reference": storage.path(reference).name})
