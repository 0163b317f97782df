"""Evaluates a sound model, a vocoder or a folder of generated sounds against real sounds: `melgan-tf evaluate`.

Sounds are compared as waveforms, so that the errors of the vocoder count.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable
from pathlib import Path

from melgan_tf import storage
from melgan_tf.audio.loops.loop import METER, Loop
from melgan_tf.errors import MelGANError, UsageError
from melgan_tf.evaluation.compare import compare_sounds, require_enough
from melgan_tf.evaluation.evaluate_vocoder import evaluate_vocoder
from melgan_tf.evaluation.report import Report
from melgan_tf.evaluation.sounds import (
    LoopSet,
    SoundSet,
    is_loop_folder,
    load_loop_set,
    load_sound_set,
    load_window_set,
)
from melgan_tf.inference.sound_model import SoundModel
from melgan_tf.inference.vocoder import Vocoder
from melgan_tf.progress import Progress
from melgan_tf.storage.paths import RemotePath
from melgan_tf.storage.run_directory import RunDirectory


def evaluate(source: SoundModel | Vocoder | str | Path, reference: str | Path, train: str | Path | None = None,
             count: int | None = None, seed: int = 0, progress: Progress | None = None) -> Report:
    """Compares generated sounds, or the output of a vocoder, with real sounds.

    Args:
        source: a loaded sound model or vocoder, or a folder of generated sounds. Their requested classes come from its
            sounds.json, or from sub-folders.
        reference: folder of real sounds, preferably not used in training.
        train: folder of the training sounds; of a run by default its own. Not for vocoders.
        count: number of sounds to generate; by default as many as are compared. For sound models only.
        seed: of the generated sounds, of the two halves of the reference, and of the choice of sounds.
        progress: receives progress and warnings.

    Raises:
        UsageError: an option that the source does not take, or folders that share sounds.
        MelGANError: a folder is unusable or has too few sounds.
    """
    progress = progress or Progress()
    if isinstance(source, Vocoder):
        _reject("a vocoder", train=train, count=count)
        return evaluate_vocoder(source, reference, progress)
    if isinstance(source, SoundModel):
        _require_disjoint(reference, train=train)
        train, kind = train or training_folder(source.source, reference), source.sampler.evaluated_as
        generated, drums = None, kind == "one-shots"
        load = functools.partial(_REFERENCE_LOADERS[kind], source, progress=progress)
        metadata = {"preset": source.config.preset, "step": source.step, "weights": source.weights,
                    "vocoder": source.vocoder_metadata}
    elif isinstance(source, str | Path | RemotePath):
        _reject("a folder of sounds", count=count)
        _require_disjoint(reference, train=train, **{"the generated sounds": source})
        generated, load = _load_folder(source, progress)
        drums, metadata = not isinstance(generated, LoopSet), {"folder": storage.recorded(source)}
    else:
        raise UsageError(f"{source!r} cannot be evaluated: give a sound model, a vocoder or a folder of sounds")
    real, train_set = (load(folder) if folder else None for folder in (reference, train))
    require_enough("real", len(real), halved=not train_set)
    if generated is None:
        generated = generate(source, count or max(1, len(real) // (1 if train_set else 2)), seed, progress)
    metadata |= {"reference": storage.recorded(reference), "train": storage.recorded(train) if train else None}
    with progress.task("measuring", len(generated), "sounds") as advance:
        report = compare_sounds(generated, real, train_set, seed, drums, metadata)
        advance(len(generated))
    return report


def _load_folder(folder: str | Path, progress: Progress) -> tuple[SoundSet, Callable[[str | Path], SoundSet]]:
    """The generated sounds in a folder, and what loads real ones to compare them with."""
    if is_loop_folder(folder):
        loops = load_loop_set(folder, progress=progress).with_recorded_labels(folder)
        return loops, functools.partial(load_loop_set, sample_rate=loops.sample_rate, progress=progress)
    sounds = load_sound_set(folder, progress=progress, include_silent=True).with_recorded_labels(folder)
    return sounds, functools.partial(_load_one_shots, sample_rate=sounds.sample_rate,
                                     seconds=sounds.audio.shape[1] / sounds.sample_rate, progress=progress)


def generate(model: SoundModel, count: int, seed: int = 0, progress: Progress | None = None) -> SoundSet:
    """The first ``count`` sounds of a seed; with classes, in the proportions of the training sounds."""
    with (progress or Progress()).task("generating", count, "sounds") as advance:
        made = model.sampler.generate(seed, count, advance=advance)
    classes = model.sampler.classes
    labels = tuple(classes.names[index] for index in made["label"].argmax(axis=1)) if classes else None
    names = tuple(f"seed{seed}-{i:04d}" for i in range(count))
    if model.sampler.evaluated_as == "loops":
        wishes = model.sampler.wishes
        loops = [Loop(wishes["bpm"], wishes["bars"], METER, key, 0, made["audio"].shape[1], {})
                 for key in model.sampler.keys_of(made["noise"])]
        return LoopSet.of(made["audio"], loops, model.config.audio.sample_rate, names, labels)
    return SoundSet(made["audio"], model.config.audio.sample_rate, names, labels)


def training_folder(run: str | Path, reference: str | Path) -> Path | None:
    """The folder that a run was trained on; None if it no longer exists or overlaps the reference."""
    if not run or not RunDirectory(run).exists():  # a pretrained model
        return None
    folder = RunDirectory(run).record()["data"].get("folder")
    try:
        if not folder or not storage.path(folder).is_dir() or overlap(folder, reference):
            return None
    except MelGANError:  # remote, and out of reach
        return None
    return storage.path(folder)


def overlap(a: str | Path, b: str | Path) -> bool:
    """Whether two folders are the same, or one contains the other."""
    if storage.is_remote(a) or storage.is_remote(b):
        a, b = storage.path(a), storage.path(b)
        return a == b or a in b.parents or b in a.parents
    a, b = (os.path.realpath(folder) for folder in (a, b))
    return os.path.commonpath([a, b]) in (a, b)


def _load_one_shots(folder: str | Path, sample_rate: int, seconds: float, progress: Progress) -> SoundSet:
    return load_sound_set(folder, sample_rate, seconds + 0.1, progress)  # 0.1 s more shows whether a sound goes on


def _load_clips(model: SoundModel, folder: str | Path, progress: Progress) -> SoundSet:
    rate = model.config.audio.sample_rate
    return _load_one_shots(folder, rate, model.config.data.clip_samples / rate, progress)


def _load_windows(model: SoundModel, folder: str | Path, progress: Progress) -> SoundSet:
    """Windows of real sounds, with the same fades as generated ones."""
    config = model.config
    found = load_window_set(folder, config.audio.sample_rate, config.data.clip_samples, config.model.quietest_db,
                            progress)
    return dataclasses.replace(found, audio=model.sampler.finish(found.audio).numpy())


def _load_loops(model: SoundModel, folder: str | Path, progress: Progress) -> LoopSet:
    return load_loop_set(folder, model.config.audio.sample_rate, progress)


#: How real sounds are read, by `Sampler.evaluated_as`.
_REFERENCE_LOADERS = {"one-shots": _load_clips, "windows": _load_windows, "loops": _load_loops}


def _reject(what: str, **options: object) -> None:
    for name, value in options.items():
        if value is not None:
            raise UsageError(f"{what} takes no {name}: remove --{name}")


def _require_disjoint(reference: str | Path, **folders: str | Path | None) -> None:
    for name, folder in folders.items():
        if folder and overlap(folder, reference):
            name = f"--{name}" if name == "train" else name
            raise UsageError(f"{folder} ({name}) and {reference} (--reference) contain the same sounds: give another "
                             "reference")
