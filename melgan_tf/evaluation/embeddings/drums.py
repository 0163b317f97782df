"""The fixed embedding in which generated drums are compared: a small network trained to classify eight kinds of drum.

Waveforms of any rate pass the same front end for every model, so that models with different mels can be compared::

    waveform -> 16 kHz -> first 0.5 s -> peak 1 -> log mel (64 frames, 64 bands) -> network -> 64 features, 8 classes

* It ignores everything above 8 kHz and after 0.5 s.
* It ignores level: every clip is scaled to a peak of 1, as generated sounds are on output. It does not align onsets: a
  late sound is another sound.
* Everything softer than 80 dB below a full-scale sine is silence.

The features are the network's last hidden layer before its activation, where they are not clipped at zero. Over the
training sounds, with equal class weights, each has mean 0 and variance 1. The network was trained to predict the class
and, from these features alone, a downsampled copy of its input, so that they also keep what tells two snares apart.

It has not heard what the generators of this package learned from: it was trained on made-up drums and on recordings
held out from them.

Weights and card: ``melgan_tf/weights/embeddings/drum-classes-2.npz`` and ``.json``, trained by
:mod:`melgan_tf.evaluation.embeddings.train_drums`.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from melgan_tf import weights
from melgan_tf.config import AudioConfig
from melgan_tf.dsp.mel_filters import band_levels, mel_filterbank
from melgan_tf.errors import MelGANError, UsageError
from melgan_tf.evaluation.arrays import check_array, peak_normalize, resample_rows
from melgan_tf.storage.arrays import read_npz
from melgan_tf.storage.json_file import read_json

if TYPE_CHECKING:
    import keras

EMBEDDING = "drum-classes-2"  # changes whenever the numbers change
CLASSES = ("clap", "cymbal", "hat", "kick", "perc", "rim", "snare", "tom")
WEIGHTS = weights.WEIGHTS / "embeddings"

SAMPLE_RATE, SAMPLES = 16_000, 8_000
FRAMES, BANDS, N_FFT, HOP = 64, 64, 512, 128
PAD_BEFORE, PAD_AFTER = 192, 384  # the first window is centered at 4 ms, the last one ends after the clip
FLOOR_DB = -80.0  # of a full-scale sine
FEATURES = 64
COARSE = 16  # frames and bands of the downsampled input that training reconstructs
CHANNELS = (16, 32, 32, 64, 64, 96)
STRIDES = (2, 2, 1, 2, 1, 2)

_BATCH = 64
_AHEAD_SECONDS = 0.05  # resampled beyond the end of the clip, so that it does not ring there


class DrumEmbedding:
    """The trained network, with its front end.

    Args:
        model: what `build_network` returns, with trained weights; None loads the bundled ones.

    Examples:
        >>> sounds = np.random.default_rng(0).normal(size=(2, 22_050))
        >>> DrumEmbedding().embed(sounds, 44_100).shape
        (2, 64)
    """

    def __init__(self, model: keras.Model | None = None) -> None:
        self.model = load_network() if model is None else model
        self.name, self.classes = EMBEDDING, CLASSES

    def embed(self, waveforms: np.ndarray, sample_rate: int) -> np.ndarray:
        """Features of waveforms ``(sounds, samples)``: ``(sounds, 64)``, float64."""
        return self(waveforms, sample_rate)[0]

    def probabilities(self, waveforms: np.ndarray, sample_rate: int) -> np.ndarray:
        """The class probabilities of each sound, in the order of `CLASSES`: ``(sounds, 8)``, rows sum to 1."""
        return self(waveforms, sample_rate)[1]

    def __call__(self, waveforms: np.ndarray, sample_rate: int) -> tuple[np.ndarray, np.ndarray]:
        """Features and probabilities.

        Args:
            waveforms: ``(sounds, samples)``, of any level and length.
            sample_rate: Hz.

        Raises:
            UsageError: ``sample_rate`` below 1.
            MelGANError: another rank, no sounds, or a value that is not finite.
        """
        images = log_mel(clips(waveforms, sample_rate))
        features, probabilities = [], []
        for start in range(0, len(images), _BATCH):  # one batch size: compiled once, sounds independent
            batch = images[start:start + _BATCH]
            found = self.model.predict_on_batch(np.pad(batch, ((0, _BATCH - len(batch)), (0, 0), (0, 0)))[..., None])
            features.append(np.asarray(found[0])[:len(batch)])
            probabilities.append(_softmax(np.asarray(found[1], np.float64)[:len(batch)]))
        return np.concatenate(features).astype(np.float64), np.concatenate(probabilities)


def clips(waveforms: np.ndarray, sample_rate: int) -> np.ndarray:
    """Cuts waveforms ``(sounds, samples)`` to ``(sounds, 8000)`` at 16 kHz, float32, peak 1.

    Shorter sounds are zero-padded. A sound with a peak below 1e-4 is silent and becomes zeros.

    Raises:
        UsageError: ``sample_rate`` (Hz) below 1.
        MelGANError: another rank, no sounds, or a value that is not finite.
    """
    if sample_rate < 1:
        raise UsageError(f"sample_rate is {sample_rate!r}: give a positive number of Hz")
    waveforms = check_array(waveforms, 2, "waveforms", np.float32)
    needed = waveforms[:, :int(sample_rate * (SAMPLES / SAMPLE_RATE + _AHEAD_SECONDS))]
    needed = resample_rows(needed, sample_rate, SAMPLE_RATE)[:, :SAMPLES]
    needed = np.pad(needed, ((0, 0), (0, SAMPLES - needed.shape[1])))
    return peak_normalize(needed)


def log_mel(clip: np.ndarray) -> np.ndarray:
    """The network's input of clips ``(sounds, 8000)``: ``(sounds, 64 frames, 64 bands)``, -1 at the floor, 1 at 0 dB.

    Magnitudes of a full-scale sine are 0 dB; frames of 32 ms every 8 ms, bands of equal width up to 1 kHz and growing
    beyond (Slaney's scale).
    """
    clip = np.pad(np.asarray(clip, np.float32), ((0, 0), (PAD_BEFORE, PAD_AFTER)))
    window = np.hanning(N_FFT + 1)[:-1].astype(np.float32)
    window *= 2 / window.sum()
    filters = _filters()
    images = np.empty((len(clip), FRAMES, BANDS), np.float32)
    for start in range(0, len(clip), _BATCH):
        images[start:start + _BATCH] = band_levels(clip[start:start + _BATCH], window, HOP, filters,
                                                   10 ** (FLOOR_DB / 10))
    return np.clip(images / -FLOOR_DB * 2 + 1, -1, 1.5)


def build_network(seed: int = 0) -> keras.Model:
    """The untrained network: ``(batch, frames, bands, 1)`` to features ``(batch, 64)``, logits and reconstruction.

    Six convolutions; then mean and maximum over time, because a drum is recognized by its frequencies.
    """
    import keras
    from keras import layers

    seeds = iter(range(seed * 100, seed * 100 + 100))
    options = {"dtype": "float32"}
    image = x = keras.Input((FRAMES, BANDS, 1), dtype="float32")
    for channels, stride in zip(CHANNELS, STRIDES, strict=True):
        x = layers.Conv2D(channels, 3 if x is not image else 5, stride, "same", use_bias=False,
                          kernel_initializer=keras.initializers.HeNormal(next(seeds)), **options)(x)
        x = layers.BatchNormalization(momentum=0.98, **options)(x)
        x = layers.ReLU(**options)(x)
    x = layers.Concatenate(**options)([keras.ops.mean(x, axis=1), keras.ops.max(x, axis=1)])
    x = layers.Dropout(0.3, seed=next(seeds), **options)(layers.Flatten(**options)(x))
    x = layers.Dense(FEATURES, use_bias=False, kernel_initializer=keras.initializers.GlorotUniform(next(seeds)),
                     **options)(x)
    features = layers.BatchNormalization(momentum=0.98, center=False, scale=False, **options)(x)
    x = layers.Dropout(0.3, seed=next(seeds), **options)(layers.LeakyReLU(0.2, **options)(features))
    logits = layers.Dense(len(CLASSES), kernel_initializer=keras.initializers.GlorotUniform(next(seeds)), **options)(x)
    coarse = layers.Dense(COARSE * COARSE, kernel_initializer=keras.initializers.GlorotUniform(next(seeds)),
                          **options)(features)
    return keras.Model(image, [features, logits, coarse], name="drum_classes")


@functools.lru_cache(maxsize=2)
def load_network(folder: Path = WEIGHTS) -> keras.Model:
    """The network with the weights in a folder.

    Raises:
        MelGANError: they are missing or damaged.
    """
    model = build_network()
    try:
        stored = read_npz(folder / f"{EMBEDDING}.npz")
        model.set_weights([stored[name].astype(np.float32) for name in weight_names(model)])
    except (OSError, ValueError, KeyError) as error:
        raise MelGANError(f"the weights of {EMBEDDING} are missing from the package, or damaged ({error}): install "
                          "melgan-tf again") from None
    return model


def read_card(folder: Path = WEIGHTS) -> dict[str, Any]:
    """Data, licence, command, minutes and accuracy of the shipped weights."""
    try:
        return read_json(folder / f"{EMBEDDING}.json")
    except (OSError, ValueError) as error:
        raise MelGANError(f"the card of {EMBEDDING} is missing from the package, or damaged ({error}): install "
                          "melgan-tf again") from None


def weight_names(model: keras.Model) -> list[str]:
    """The names of the weights on disk, in the order of ``model.weights``: 00-kernel, 01-gamma, ..."""
    return [f"{index:02d}-{weight.name}" for index, weight in enumerate(model.weights)]


@functools.lru_cache(maxsize=1)
def _filters() -> np.ndarray:
    return mel_filterbank(AudioConfig(sample_rate=SAMPLE_RATE, n_fft=N_FFT, hop_samples=HOP, mel_bins=BANDS, min_hz=0.0,
                                      max_hz=SAMPLE_RATE / 2, mel_scale="slaney", mel_norm="none"))


def _softmax(logits: np.ndarray) -> np.ndarray:
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)
