"""The figures of copy synthesis, by name."""

from __future__ import annotations

import numpy as np

from melgan_tf.config import AudioConfig
from melgan_tf.evaluation.tables import to_json
from melgan_tf.evaluation.vocoder_metrics import measure_pairs

SEED = AudioConfig(compression="log10")
RATE, HOP = SEED.sample_rate, SEED.hop_samples
FIGURES = ("log_mel_l1", "stft", "stft_convergence", "stft_log_magnitude", "onset_error", "edge_click", "dc_offset",
           "frame_rate_buzz")


def figures(made: np.ndarray, real: np.ndarray) -> dict[str, float]:
    """Those of one sound."""
    return {name: value for name, value in to_json(measure_pairs([(made, real)], SEED)).items() if name in FIGURES}
