"""Trains the drum embedding, as `melgan_tf.cli.maintain.train_embedding` does.

Half of every batch are made-up drums, half recordings that no generator has learned from: the held-out ones. So nothing
that a generator learned from is dear to the embedding. The few recordings are varied strongly, as samples: rate,
equalization, decay, saturation, noise, start; and parts of the pictures are masked. The network must also reconstruct
the varied picture, so that it keeps what was varied: noise shows.

Folders have one sub-folder per class (clap, cymbal, hat, kick, perc, rim, snare, tom); every class has an equal part of
a batch. On one machine the same folders and seed give the same weights.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import soxr

from melgan_tf.audio.find import Skipped, find
from melgan_tf.audio.isolated import decode_folder
from melgan_tf.errors import MelGANError
from melgan_tf.evaluation.embeddings import drums
from melgan_tf.evaluation.embeddings.drums import CLASSES, EMBEDDING, SAMPLE_RATE, WEIGHTS
from melgan_tf.evaluation.embeddings.made_up_drums import made_up_drum
from melgan_tf.evaluation.metrics import frechet_distance
from melgan_tf.storage.atomic import atomic_write, write_text
from melgan_tf.storage.run_directory import versions

if TYPE_CHECKING:
    import keras

STEPS = 1500
VARIATIONS, MADE_UP = 16, 800  # of each recording; of each class
SOUNDS_PER_CLASS = 4  # in a batch, of recordings and of made-up drums
SEMITONES, EQUALIZER_DB = 7.0, 5.0  # at most up or down; standard deviation
LEARNING_RATE, WEIGHT_DECAY, LABEL_SMOOTHING = 2e-3, 0.02, 0.1
RECONSTRUCTION_WEIGHT = 4.0
_SOURCE_SECONDS = 0.7


def train(folder: str | Path, valid: str | Path, licence: str, steps: int = STEPS, seed: int = 0,
          out: Path = WEIGHTS) -> dict[str, object]:
    """Trains the network and writes its weights and card.

    Args:
        folder: recordings that no generator has learned from.
        valid: other recordings, to test it with.
        licence: of the sounds, and so of the weights.
        steps: number of batches.
        seed: of everything random.
        out: folder of the two files; by default in the package.

    Returns:
        The card.
    """
    start = time.perf_counter()
    waveforms, labels = load_labeled(folder)
    model = fit(varied_images(waveforms, seed), labels, made_up_images(seed), steps, seed)
    minutes = (time.perf_counter() - start) / 60
    round_weights(model)
    held_out = load_labeled(valid)
    card = {"name": EMBEDDING, "data": f"{len(labels)} drum one-shots, and {len(CLASSES) * MADE_UP} made-up ones",
            "licence": licence,
            "command": f"python -m melgan_tf.cli.maintain.train_embedding HELD-OUT --valid OTHERS --licence {licence}"
                       + (f" --steps {steps}" if steps != STEPS else "") + (f" --seed {seed}" if seed else ""),
            "minutes": round(minutes, 1), "device": "1 CPU core", "steps": steps, "seed": seed,
            "classes": {name: int((labels == index).sum()) for index, name in enumerate(CLASSES)},
            "valid": accuracy(model, *held_out),
            "frechet_against_valid": reliability(model, waveforms, labels, held_out[0]), "versions": versions()}
    write(model, card, out)
    return card


def load_labeled(folder: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """The sounds of a folder with one sub-folder per class: 0.7 s of each at 16 kHz, and their class indices.

    Raises:
        MelGANError: a sub-folder with another name, or no usable sounds.
    """
    found, _ = find(folder)
    kept, labels = [], []
    for sound, samples in decode_folder(found, SAMPLE_RATE, round(_SOURCE_SECONDS * SAMPLE_RATE)):
        if sound.label not in CLASSES:
            raise MelGANError(f"{sound.name} has the unknown class {sound.label!r}: give {', '.join(CLASSES)}")
        if not isinstance(samples, Skipped):
            kept.append(samples)
            labels.append(CLASSES.index(sound.label))
    if not kept:
        raise MelGANError(f"{folder} contains no usable sound")
    return np.stack(kept), np.array(labels)


def varied_images(waveforms: np.ndarray, seed: int) -> np.ndarray:
    """The network's inputs of variations of sounds ``(sounds, samples)``: ``(sounds, variations, frames, bands)``."""
    rng = np.random.default_rng((seed, 1))
    return np.stack([drums.log_mel(np.stack([vary(sound, rng) for _ in range(VARIATIONS)])) for sound in waveforms])


def made_up_images(seed: int) -> np.ndarray:
    """The network's inputs of variations of made-up drums: ``(classes, sounds, frames, bands)``."""
    rng = np.random.default_rng((seed, 2))
    return np.stack([drums.log_mel(np.stack([vary(made_up_drum(name, rng), rng) for _ in range(MADE_UP)]))
                     for name in CLASSES])


def vary(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A sound ``(samples,)`` at 16 kHz with another rate, timbre, decay, start and noise: ``(8000,)`` of peak 1."""
    spectrum = np.fft.rfft(sound)
    knots = np.geomspace(60, SAMPLE_RATE / 2, 7)
    gain = np.interp(np.log(np.fft.rfftfreq(len(sound), 1 / SAMPLE_RATE) + 1), np.log(knots),
                     rng.normal(0, EQUALIZER_DB, len(knots)))
    sound = np.fft.irfft(spectrum * 10 ** (gain / 20), len(sound))
    speed = 2 ** (rng.uniform(-SEMITONES, SEMITONES) / 12)
    sound = soxr.resample(sound, SAMPLE_RATE * speed, SAMPLE_RATE, quality="MQ")
    late = int(rng.integers(0, 300)) if rng.random() < 0.5 else 0
    sound = np.pad(sound, (late, drums.SAMPLES))[:drums.SAMPLES]
    time = np.arange(drums.SAMPLES) / SAMPLE_RATE
    sound /= np.abs(sound).max() + 1e-9
    if rng.random() < 0.5:
        sound *= np.exp(-time * rng.uniform(0, 20))
    if rng.random() < 0.3:
        sound = np.tanh(sound * rng.uniform(1, 6))
    if rng.random() < 0.4:
        level = 10 ** (rng.uniform(-70, -15) / 20)
        sound += level * rng.standard_normal(drums.SAMPLES) * np.exp(-time * rng.uniform(0, 15))
    return (sound / (np.abs(sound).max() + 1e-9)).astype(np.float32)


def fit(images: np.ndarray, labels: np.ndarray, made_up: np.ndarray, steps: int, seed: int = 0) -> keras.Model:
    """Trains the network.

    Args:
        images: of recordings, ``(sounds, variations, frames, bands)``.
        labels: class index of each sound.
        made_up: ``(classes, sounds, frames, bands)``.
        steps: number of batches.
        seed: of everything random.
    """
    import keras

    keras.utils.set_random_seed(seed)
    model = drums.build_network(seed)
    training_model = keras.Model(model.input, model.output[1:])
    warm = max(1, steps // 20)
    rate = keras.optimizers.schedules.CosineDecay(LEARNING_RATE / 20, steps - warm, 0.0, warmup_target=LEARNING_RATE,
                                                  warmup_steps=warm)
    optimizer = keras.optimizers.AdamW(rate, weight_decay=WEIGHT_DECAY)
    optimizer.exclude_from_weight_decay(var_names=["bias", "beta", "gamma"])
    losses = [keras.losses.CategoricalCrossentropy(True, LABEL_SMOOTHING), "mean_squared_error"]
    training_model.compile(optimizer, losses, loss_weights=[1.0, RECONSTRUCTION_WEIGHT], metrics=[["accuracy"], []])
    members = [np.flatnonzero(labels == index) for index in range(len(CLASSES))]
    targets = np.eye(len(CLASSES), dtype=np.float32)
    for step in range(steps):
        rng = np.random.default_rng((seed, step))
        batch, heard = [], []
        for index, own in enumerate(members):
            batch.append(made_up[index, rng.integers(0, made_up.shape[1], SOUNDS_PER_CLASS)])
            if len(own):
                batch.append(images[rng.choice(own, SOUNDS_PER_CLASS),
                                    rng.integers(0, images.shape[1], SOUNDS_PER_CLASS)])
            heard += [index] * sum(map(len, batch[-2 if len(own) else -1:]))
        batch = masked(np.concatenate(batch), rng)
        found = training_model.train_on_batch(batch[..., None], [targets[heard], downsample(batch)])
        if (step + 1) % 100 == 0:
            training_model.reset_metrics()
            shown = ", ".join(f"{value:.3f}" for value in map(float, found))
            print(f"step {step + 1}: loss (total, class, reconstruction), accuracy {shown}", file=sys.stderr)
    return model


def masked(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A copy of images ``(sounds, frames, bands)``, half of them without some frames, half without some bands."""
    images = images.copy()
    for image in images:
        if rng.random() < 0.5:
            first, width = int(rng.integers(8, drums.FRAMES)), int(rng.integers(1, 9))
            image[first:first + width] = -1.0
        if rng.random() < 0.5:
            first, width = int(rng.integers(0, drums.BANDS)), int(rng.integers(1, 9))
            image[:, first:first + width] = -1.0
    return images


def downsample(images: np.ndarray) -> np.ndarray:
    """Images ``(sounds, frames, bands)`` averaged to 16 x 16 cells, flattened: ``(sounds, 256)``."""
    n, side = len(images), drums.COARSE
    cells = images.reshape(n, side, drums.FRAMES // side, side, drums.BANDS // side)
    return cells.mean(axis=(2, 4)).reshape(n, side * side)


def round_weights(model: keras.Model) -> None:
    """Rounds the weights as on disk, so that the card describes the file."""
    model.set_weights([weight.astype(np.float16).astype(np.float32) for weight in model.get_weights()])


def accuracy(model: keras.Model, waveforms: np.ndarray, labels: np.ndarray) -> dict[str, object]:
    """Accuracy on held-out sounds: overall, per class, and averaged over classes."""
    found = drums.DrumEmbedding(model).probabilities(waveforms, SAMPLE_RATE).argmax(axis=1)
    of_class = {name: round(float((found[labels == index] == index).mean()), 3)
                for index, name in enumerate(CLASSES) if (labels == index).any()}
    return {"sounds": len(labels), "accuracy": round(float((found == labels).mean()), 3),
            "balanced_accuracy": round(float(np.mean(list(of_class.values()))), 3), "of_class": of_class}


def reliability(model: keras.Model, train: np.ndarray, labels: np.ndarray, valid: np.ndarray) -> dict[str, float]:
    """Fréchet distances from held-out sounds: of training sounds, at equal count, and of degraded sets."""
    network, rng = drums.DrumEmbedding(model), np.random.default_rng(0)
    chosen = rng.permutation(len(train))[:len(valid)]
    few = train[chosen[:max(2, len(chosen) // 9)]]
    sets = {"train": train[chosen], "train, one sound in nine, nine times": np.repeat(few, 9, axis=0)}
    for snr_db in (40, 20, 10):
        level = np.sqrt((train[chosen] ** 2).mean(axis=1, keepdims=True)) * 10 ** (-snr_db / 20)
        sets[f"train, noise {snr_db} dB below"] = train[chosen] + level * rng.standard_normal(train[chosen].shape)
    for index, name in enumerate(CLASSES):
        if (labels == index).sum() > 1:
            sets[f"train, {name} only"] = train[labels == index]
    held_out = network.embed(valid, SAMPLE_RATE)
    return {name: float(f"{frechet_distance(held_out, network.embed(sounds, SAMPLE_RATE)):.3g}")
            for name, sounds in sets.items()}


def write(model: keras.Model, card: dict[str, object], folder: Path = WEIGHTS) -> None:
    """Writes weights (float16) and card."""
    weights = dict(zip(drums.weight_names(model), model.get_weights(), strict=True))
    with atomic_write(folder / f"{EMBEDDING}.npz") as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, **{name: value.astype(np.float16) for name, value in weights.items()})
    write_text(folder / f"{EMBEDDING}.json", json.dumps(card, indent=1) + "\n")
