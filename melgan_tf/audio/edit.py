"""Small operations on samples: silence, fades, onsets."""

from __future__ import annotations

import numpy as np

from melgan_tf.errors import UsageError

#: Peak below which a sound is silent: 80 dB below full scale.
SILENT_PEAK = 1e-4


def is_silent(samples: np.ndarray, peak: float = SILENT_PEAK) -> bool:
    """Whether no sample reaches ``peak`` (80 dB below full scale); an empty array is silent."""
    return not samples.size or max(samples.max(), -samples.min()) < peak


def fade_out(samples: np.ndarray, seconds: float, sample_rate: int) -> np.ndarray:
    """Return a copy that ends with a half-cosine fade to zero, and so without a click.

    Args:
        samples: (..., samples).
        seconds: length of the fade; limited to that of the sound.
        sample_rate: Hz.

    Returns:
        float32, same shape.

    Examples:
        >>> fade_out(np.ones(4), seconds=0.5, sample_rate=4).tolist()
        [1.0, 1.0, 0.5, 0.0]
    """
    if not seconds >= 0:
        raise UsageError(f"a fade of {seconds} seconds: give 0 or more")
    faded = np.array(samples, np.float32)
    count = round(min(seconds * sample_rate, faded.shape[-1]))
    curve = 0.5 + 0.5 * np.cos(np.pi * np.arange(1, count + 1) / max(count, 1))
    faded[..., faded.shape[-1] - count:] *= curve.astype(np.float32)
    return faded


def onset_sample(samples: np.ndarray, threshold_db: float = -40.0) -> int:
    """Return the index of the first sample within ``threshold_db`` of the peak; 0 for silence.

    Examples:
        >>> onset_sample(np.array([0.0, 0.001, -0.5, 1.0]))
        2
    """
    level = np.abs(samples)
    return int(np.argmax(level >= level.max() * 10 ** (threshold_db / 20))) if level.size else 0
