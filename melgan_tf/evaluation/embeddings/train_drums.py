"""Trains the drum embedding: ``python -m melgan_tf.evaluation.embeddings.train_drums TRAIN --valid VALID --licence
CC0-1.0``.

Both folders hold one sub-folder per class (clap, cymbal, hat, kick, perc, rim, snare, tom). Every batch holds as many
sounds of each class, so that the network favours none. Sounds are varied in pitch and speed, in colour, decay and
start, and parts are hidden; but no noise is ever added, because noise is what a judge must notice. On one machine the
same folders and seed give the same weights.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np
import soxr

from melgan_tf.audio.find import Skipped, find
from melgan_tf.audio.read import decode_folder
from melgan_tf.errors import MelGANError
from melgan_tf.evaluation.embeddings import drums
from melgan_tf.evaluation.embeddings.drums import CLASSES, EMBEDDING, SAMPLE_RATE, WEIGHTS
from melgan_tf.evaluation.metrics import frechet_distance
from melgan_tf.storage.atomic import atomic_write, write_text
from melgan_tf.storage.run_directory import versions

if TYPE_CHECKING:
    import keras

SPEEDS = (0.89, 0.94, 1.0, 1.06, 1.12)  # of the sound: about two semitones down to two up
SOUNDS_PER_CLASS = 8  # in a batch
LEARNING_RATE, WEIGHT_DECAY, LABEL_SMOOTHING = 2e-3, 0.02, 0.1
PICTURE_WEIGHT = 4.0
_SOURCE_SECONDS = 0.7


@click.command()
@click.argument("train", type=click.Path(path_type=Path, exists=True))
@click.option("--valid", required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--licence", required=True, help="Of the sounds, and so of the weights.")
@click.option("--steps", default=1600, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--out", default=WEIGHTS, type=click.Path(path_type=Path), help="Folder.  [default: in the package]")
def main(train: Path, valid: Path, licence: str, steps: int, seed: int, out: Path) -> None:
    """Train the drum embedding and write weights and card."""
    began = time.perf_counter()
    waveforms, labels = labelled(train)
    images = np.stack([pictures(waveforms, speed) for speed in SPEEDS], axis=1)
    model = fit(images, labels, steps, seed)
    minutes = (time.perf_counter() - began) / 60
    round_weights(model)
    card = {"name": EMBEDDING, "data": f"{len(labels)} drum one-shots", "licence": licence,
            "command": f"python -m melgan_tf.evaluation.embeddings.train_drums TRAIN --valid VALID --licence {licence}"
                       + (f" --steps {steps}" if steps != 1600 else "") + (f" --seed {seed}" if seed else ""),
            "minutes": round(minutes, 1), "device": "1 CPU core", "steps": steps, "seed": seed,
            "classes": {name: int((labels == index).sum()) for index, name in enumerate(CLASSES)},
            "valid": figures(model, *labelled(valid)),
            "frechet_against_valid": reliability(model, waveforms, labels, labelled(valid)[0]), "versions": versions()}
    write(model, card, out)
    click.echo(json.dumps(card, indent=1))


def labelled(folder: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """The sounds of a folder with one sub-folder per class: 0.7 s of each at 16 kHz, and the numbers of their classes.

    Raises:
        MelGANError: a sub-folder that is no class, or no sounds.
    """
    found, _ = find(folder)
    kept, labels = [], []
    for sound, samples in decode_folder(found, SAMPLE_RATE, round(_SOURCE_SECONDS * SAMPLE_RATE)):
        if sound.label not in CLASSES:
            raise MelGANError(f"{sound.name} lies in {sound.label!r}, which is no class: give {', '.join(CLASSES)}")
        if not isinstance(samples, Skipped):
            kept.append(samples)
            labels.append(CLASSES.index(sound.label))
    if not kept:
        raise MelGANError(f"{folder} holds no sound that can be used")
    return np.stack(kept), np.array(labels)


def pictures(waveforms: np.ndarray, speed: float = 1.0) -> np.ndarray:
    """The network's pictures of sounds ``(sounds, samples)`` at 16 kHz, played faster or slower."""
    if speed != 1.0:
        waveforms = soxr.resample(waveforms.T, SAMPLE_RATE * speed, SAMPLE_RATE, quality="HQ").T
    return drums.log_mel(drums.clips(waveforms[:, :drums.SAMPLES], SAMPLE_RATE))


def fit(images: np.ndarray, labels: np.ndarray, steps: int, seed: int = 0) -> keras.Model:
    """Trains the network.

    Args:
        images: ``(sounds, speeds, frames, bands)``.
        labels: the number of each sound's class.
        steps: batches.
        seed: decides everything.
    """
    import keras

    keras.utils.set_random_seed(seed)
    model = drums.build_network(seed)
    trained = keras.Model(model.input, model.output[1:])
    warm = max(1, steps // 20)
    rate = keras.optimizers.schedules.CosineDecay(LEARNING_RATE / 20, steps - warm, 0.0, warmup_target=LEARNING_RATE,
                                                  warmup_steps=warm)
    optimizer = keras.optimizers.AdamW(rate, weight_decay=WEIGHT_DECAY)
    optimizer.exclude_from_weight_decay(var_names=["bias", "beta", "gamma"])
    losses = [keras.losses.CategoricalCrossentropy(True, LABEL_SMOOTHING), "mean_squared_error"]
    trained.compile(optimizer, losses, loss_weights=[1.0, PICTURE_WEIGHT], metrics=[["accuracy"], []])
    members = [np.flatnonzero(labels == index) for index in range(len(CLASSES))]
    members = [own for own in members if len(own)]
    targets = np.eye(len(CLASSES), dtype=np.float32)[labels]
    for step in range(steps):
        rng = np.random.default_rng((seed, step))
        chosen = np.concatenate([rng.choice(own, SOUNDS_PER_CLASS) for own in members])
        speeds = rng.integers(0, images.shape[1], len(chosen))
        batch = varied(images[chosen, speeds], rng)
        found = trained.train_on_batch(batch[..., None], [targets[chosen], blurred(batch)])
        if (step + 1) % 100 == 0:
            trained.reset_metrics()
            shown = ", ".join(f"{value:.3f}" for value in map(float, found))
            click.echo(f"step {step + 1}: loss (all, class, picture), accuracy {shown}", err=True)
    return model


def varied(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A copy of pictures ``(sounds, frames, bands)`` of which each is another variation: start, decay, colour, gaps."""
    images = images.copy()
    for image in images:
        late = int(rng.integers(0, 3))
        if late:
            image[late:], image[:late] = image[:-late].copy(), -1.0
        if rng.random() < 0.5:  # up to 1 dB a frame, 125 dB/s
            image -= rng.random() * np.arange(drums.FRAMES)[:, None] / 40
        knots = rng.normal(0, 4 / 40, 5)  # 4 dB
        image += np.interp(np.linspace(0, 1, drums.BANDS), np.linspace(0, 1, 5), knots)
        if rng.random() < 0.5:
            first, width = int(rng.integers(8, drums.FRAMES)), int(rng.integers(1, 9))
            image[first:first + width] = -1.0
        if rng.random() < 0.5:
            first, width = int(rng.integers(0, drums.BANDS)), int(rng.integers(1, 9))
            image[:, first:first + width] = -1.0
    return np.clip(images, -1.0, 1.5)


def blurred(images: np.ndarray) -> np.ndarray:
    """Pictures ``(sounds, frames, bands)`` averaged to 16 x 16 cells, each in one row: ``(sounds, 256)``."""
    n, side = len(images), drums.COARSE
    cells = images.reshape(n, side, drums.FRAMES // side, side, drums.BANDS // side)
    return cells.mean(axis=(2, 4)).reshape(n, side * side)


def round_weights(model: keras.Model) -> None:
    """Rounds weights as they will be stored, so that the card's figures are those of the file."""
    model.set_weights([weight.astype(np.float16).astype(np.float32) for weight in model.get_weights()])


def figures(model: keras.Model, waveforms: np.ndarray, labels: np.ndarray) -> dict[str, object]:
    """Accuracy on held-out sounds: of all, and the mean over classes."""
    found = drums.DrumEmbedding(model).probabilities(waveforms, SAMPLE_RATE).argmax(axis=1)
    of_class = {name: round(float((found[labels == index] == index).mean()), 3)
                for index, name in enumerate(CLASSES) if (labels == index).any()}
    return {"sounds": len(labels), "accuracy": round(float((found == labels).mean()), 3),
            "balanced_accuracy": round(float(np.mean(list(of_class.values()))), 3), "of_class": of_class}


def reliability(model: keras.Model, train: np.ndarray, labels: np.ndarray, valid: np.ndarray) -> dict[str, float]:
    """Fréchet distances from the held-out sounds: of training sounds, at equal count, and of sets that are worse."""
    network, rng = drums.DrumEmbedding(model), np.random.default_rng(0)
    taken = rng.permutation(len(train))[:len(valid)]
    few = train[taken[:max(2, len(taken) // 9)]]
    sets = {"train": train[taken], "train, one sound in nine, nine times": np.repeat(few, 9, axis=0)}
    for snr_db in (40, 20, 10):
        level = np.sqrt((train[taken] ** 2).mean(axis=1, keepdims=True)) * 10 ** (-snr_db / 20)
        sets[f"train, noise {snr_db} dB below"] = train[taken] + level * rng.standard_normal(train[taken].shape)
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


if __name__ == "__main__":
    main()
