"""A model, or a folder of sounds that it made, against real sounds: what `melgan-tf evaluate` prints.

Both sides are measured as they are heard: as waveforms, so that what the vocoder spoils counts.
"""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from melgan_tf import storage
from melgan_tf.errors import MelGANError
from melgan_tf.evaluation import Report, evaluate_waveforms
from melgan_tf.evaluation.sounds import Sounds, load_sounds, load_windows
from melgan_tf.inference.output_folder import recorded_labels
from melgan_tf.inference.sound_model import SoundModel
from melgan_tf.progress import Progress
from melgan_tf.storage.run_directory import RunDirectory

#: Which nearest neighbour bounds a sound's neighbourhood.
K = 5


@dataclass(frozen=True)
class Assessment:
    """The figures of one model or folder.

    Attributes:
        report: all figures with their real-vs-real floor.
        facts: what was measured, as plain JSON values.
    """

    report: Report
    facts: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**self.facts, **self.report.to_dict()}


def assess_run(trained: SoundModel, reference: str | Path, train: str | Path | None = None, count: int | None = None,
               seed: int = 0, progress: Progress | None = None) -> Assessment:
    """Measures the sounds of a model.

    Args:
        trained: the model.
        reference: folder of real sounds, best ones that it was not trained on.
        train: folder of the sounds that it was trained on; None if that is not known.
        count: how many sounds to generate; by default as many as are compared.
        seed: decides the generated sounds, the halves that the reference is split into, and which sounds are taken.
        progress: told what happens.

    Raises:
        MelGANError: the reference is unusable or too small.
    """
    progress, config = progress or Progress(), trained.config
    rate = config.audio.sample_rate
    if config.family.makes == "streams":
        real, known = (folder and _windows(folder, trained, progress) for folder in (reference, train))
        _require(real, known)
    else:
        real, known = _real(reference, train, rate, config.data.clip_samples, progress)
    made = generated(trained, count or max(1, len(real) // (1 if known else 2)), seed, progress)
    facts = {"preset": config.preset, "step": trained.step, "weights": trained.weights,
             "vocoder": trained.vocoder_metadata}
    return _assess(made, real, known, seed, {**facts, **_named(reference, train)}, progress,
                   config.family.makes != "streams")


def assess_folder(folder: str | Path, reference: str | Path, train: str | Path | None = None, seed: int = 0,
                  progress: Progress | None = None) -> Assessment:
    """Measures generated sounds that lie in a folder.

    What they are meant to be is said by sounds.json, as `melgan-tf generate` writes it, or by names of sub-folders.

    Args:
        folder: the generated sounds; their rate is that which most of them have.
        reference, train, seed, progress: as for `assess_run`.

    Raises:
        MelGANError: either folder is unusable or holds too few sounds.
    """
    progress = progress or Progress()
    made = with_recorded_labels(load_sounds(folder, progress=progress, include_silent=True), storage.path(folder))
    real, known = _real(reference, train, made.rate, made.audio.shape[1], progress)
    return _assess(made, real, known, seed, {"folder": str(folder), **_named(reference, train)}, progress)


def generated(trained: SoundModel, count: int, seed: int = 0, progress: Progress | None = None) -> Sounds:
    """The first ``count`` sounds of a seed; of a model with classes, as often of each as it learned from."""
    with (progress or Progress()).task("generating", count, "sounds") as advance:
        made = trained.sampler.generate(seed, count, advance=advance)
    classes = trained.sampler.classes
    labels = tuple(classes.names[index] for index in made["label"].argmax(axis=1)) if classes else None
    names = tuple(f"seed{seed}-{i:04d}" for i in range(count))
    return Sounds(made["audio"], trained.config.audio.sample_rate, names, labels)


def with_recorded_labels(sounds: Sounds, folder: Path) -> Sounds:
    """The sounds with the labels that a folder's sounds.json, or shards' records, give them, if they give all one."""
    try:
        found = recorded_labels(folder)
        return dataclasses.replace(sounds, labels=tuple(found[name] for name in sounds.names))
    except (OSError, ValueError, KeyError, TypeError):
        return sounds


def training_folder(run: str | Path, reference: str | Path) -> Path | None:
    """The folder that a run was trained on, where it is still there and does not hold the reference."""
    if not RunDirectory(run).exists():  # a model of the package
        return None
    folder = RunDirectory(run).record()["data"].get("folder")
    try:
        if not folder or not storage.path(folder).is_dir() or overlap(folder, reference):
            return None
    except MelGANError:  # remote, and not to be reached from here
        return None
    return storage.path(folder)


def overlap(a: str | Path, b: str | Path) -> bool:
    """Whether two folders are the same, or one lies in the other."""
    if storage.is_remote(a) or storage.is_remote(b):
        a, b = storage.path(a), storage.path(b)
        return a == b or a in b.parents or b in a.parents
    a, b = (os.path.realpath(folder) for folder in (a, b))
    return os.path.commonpath([a, b]) in (a, b)


def _real(reference: str | Path, train: str | Path | None, rate: int, samples: int,
          progress: Progress) -> tuple[Sounds, Sounds | None]:
    seconds = samples / rate + 0.1  # a little more, so that what is cut is known to go on
    real = load_sounds(reference, rate, seconds, progress)
    _require(real, train)
    return real, load_sounds(train, rate, seconds, progress) if train else None


def _require(real: Sounds, train: object) -> None:
    least = (K + 1) * (1 if train else 2)
    if len(real) < least:
        raise MelGANError(f"{len(real)} real sounds are too few to evaluate: give at least {least}")


def _windows(folder: str | Path, trained: SoundModel, progress: Progress) -> Sounds:
    """Windows of real sounds, with the fades that generated ones have."""
    config = trained.config
    found = load_windows(folder, config.audio.sample_rate, config.data.clip_samples, config.model.quietest_db, progress)
    return dataclasses.replace(found, audio=trained.sampler.finish(found.audio).numpy())


def _assess(made: Sounds, real: Sounds, known: Sounds | None, seed: int, facts: dict[str, Any], progress: Progress,
            drums: bool = True) -> Assessment:
    with progress.task("measuring", len(made), "sounds") as advance:
        report = evaluate_waveforms(made.audio, made.rate, real.audio, real.rate, known.audio if known else None,
                                    fake_labels=made.labels, reference_labels=real.labels, seed=seed, k=K,
                                    fake_names=made.names, train_names=known.names if known else None, drums=drums)
        advance(len(made))
    return Assessment(report, facts)


def _named(reference: str | Path, train: str | Path | None) -> dict[str, Any]:
    return {"reference": str(reference), "train": str(train) if train else None}
