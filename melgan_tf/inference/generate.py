"""Generates sounds into a folder: those of a seed, or of given recipes."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from melgan_tf.audio.delivery import Delivery
from melgan_tf.audio.edit import SILENT_PEAK, is_silent
from melgan_tf.data.labels import Classes
from melgan_tf.dsp.loudness import loudness
from melgan_tf.errors import UsageError
from melgan_tf.inference.batches import BATCH
from melgan_tf.inference.long_sounds import Length, StreamRenderer
from melgan_tf.inference.output_folder import (
    FileNames,
    Part,
    earlier_files,
    file_name,
    move,
    name_part,
    staging_folder,
)
from melgan_tf.inference.recipe import Recipe, Seeded
from melgan_tf.inference.sound_folder import Made, Request, SoundFolder
from melgan_tf.progress import Progress
from melgan_tf.runtime.signals import Stopped, postponed
from melgan_tf.storage.run_directory import versions

if TYPE_CHECKING:
    from melgan_tf.inference.sound_model import SoundModel


def write_sounds(model: SoundModel, request: Request, count: int, seed: int, label: str | None = None,
                 start: int = 0, part: Part | None = None, progress: Progress | None = None) -> dict[str, Any]:
    """See `melgan_tf.inference.sound_model.SoundModel.write`.

    Sounds are written in batches to a hidden folder, which is moved at the end.

    Args:
        request: where and how.
        start: index of the first sound.
        part: write only this part of the sounds, with the names and bytes that they have in the whole. Its record,
            picture and page have their own names (``sounds-2-of-3.json``), so that all parts may use one folder. A part
            without sounds writes only a record.

    Returns:
        The record with the first `melgan_tf.inference.sound_folder.SHOWN` sounds only, ``files``, the names of the new
        ones, ``made``, their number, ``silent``, how many of them are silent, ``turned_down``, how many were too loud
        for the file, ``over``, how many are above full scale, ``abrupt``, how many the model cuts off, which are faded
        out, ``soft``, how many are softer than requested, so as not to clip, and ``below_lufs``, by how much at most.
    """
    indices = part.indices(count, BATCH) if part else range(count)
    indices, count = range(start + indices.start, start + indices.stop), start + count
    recipes = ((file_name(model.name, seed, index, count, model.sampler.name_part), Recipe(Seeded(seed, index)))
               for index in indices)
    return _write(model, request, len(indices), partial(_sounds, model, indices, count, seed, model.label(label)),
                  recipes, progress, part)


def write_stems(model: SoundModel, request: Request, stems: Sequence[str], count: int, seed: int, start: int = 0,
                progress: Progress | None = None) -> dict[str, Any]:
    """Writes sets of sounds that belong together, and the mix of each set, as `write_sounds` writes sounds.

    The sounds of a set are of the same noise and of different classes, so a model of loops gives them one style, key,
    tempo and length. In the mix all are equally loud (ITU-R BS.1770); its entry has the gain of each, dB, where all
    have the same peak.

    Args:
        stems: the classes, or mixtures of classes, of a set.
        count: number of sets.

    Raises:
        UsageError: there is no such class, two stems are one, or sounds are of any length.
        MelGANError: the folder cannot be written.
    """
    if request.length or not model.sampler.classes:
        raise UsageError(f"a model of preset {model.config.preset!r} makes no stems: remove --stems")
    labels = [model.sampler.classes.weights(model.label(stem)) for stem in stems]
    if len(labels) < 2 or len({name_part(stem) for stem in stems}) < len(labels):
        raise UsageError(f"the stems are {', '.join(stems)}: give two or more different classes")

    def sounds(advance: Callable[[int], None]) -> Iterator[Made]:
        for index in range(start, start + count):
            yield from _set(model, index, seed, dict(zip(stems, labels, strict=True)))
            advance(len(stems) + 1)

    return _write(model, request, count * (len(stems) + 1), sounds, (), progress)


def write_recipes(model: SoundModel, request: Request, requests: Sequence[tuple[str, Recipe]],
                  progress: Progress | None = None) -> dict[str, Any]:
    """Writes sounds of given recipes into a folder, as `write_sounds` those of a seed.

    Args:
        requests: file name and recipe of each sound.
    """
    return _write(model, request, len(requests), partial(_recipes, model, requests), requests, progress)


def _write(model: SoundModel, request: Request, count: int,
           sounds: Callable[[Callable[[int], None]], Iterator[Made]], recipes: Iterable[tuple[str, Recipe]],
           progress: Progress | None, part: Part | None = None) -> dict[str, Any]:
    """Writes sounds of one length, or those of the recipes if they are rendered piece by piece."""
    progress, each = progress or Progress(), _seconds(request.length, model)
    long = StreamRenderer(model.sampler, request.length) if request.length else None
    out, names, delivery = request.out, FileNames.of(part), request.delivery
    head = {**record_head(model, request.source, delivery, request.length), **({"shard": str(part)} if part else {})}

    def finish() -> None:
        move(staging, out, [] if request.add else earlier_files(out, names), names.beside)

    with staging_folder(out) as staging:
        folder = SoundFolder(staging, request, names, head, model)
        if not part:
            folder.require_no_foreign_files()
        try:
            folder.fill(partial(_long_sounds, long, staging, recipes, each) if long else sounds, count, count * each,
                        progress)
        except (Stopped, KeyboardInterrupt) as stopped:  # within it, no further signal is raised
            if folder.made:
                folder.finish()
                finish()
            how = ("interrupted" if getattr(stopped, "number", signal.SIGINT) == signal.SIGINT else
                   f"stopped by {signal.Signals(stopped.number).name}")
            kept = f"{folder.made} of {count} sounds are kept in {out}" if folder.made else "nothing was kept"
            if isinstance(stopped, Stopped):
                raise Stopped(stopped.number, f"melgan-tf: {how}: {kept}") from None
            progress.warning(f"{how}: {kept}")
            raise
        with postponed():
            finish()
    return {**head, "sounds": folder.shown, "files": list(folder.written), "made": folder.made, **folder.counts,
            "below_lufs": round(folder.below_lufs, 1)}


def record_head(model: SoundModel, source: str, delivery: Delivery, length: Length | None = None) -> dict[str, Any]:
    """The values of a record besides its sounds."""
    described = {"seconds": round(length.samples / model.config.audio.sample_rate, 4),
                 "loop": bool(length.loop_steps)} if length else {}
    wishes = model.sampler.wishes
    return {"source": source, "preset": model.config.preset, "step": model.step, "weights": model.weights,
            "audio_fingerprint": model.config.audio.fingerprint(),
            "sample_rate": delivery.sample_rate or model.config.audio.sample_rate,
            "vocoder": model.vocoder_metadata, "versions": versions(), **described,
            **({"server": model.server} if model.server else {}),
            **({"loop": True} if "bpm" in wishes else {}), **({"asked": wishes} if wishes else {}),
            "normalized": delivery.normalize != "none",
            **({"delivery": delivery.to_json()} if delivery != Delivery() else {})}


def _sounds(model: SoundModel, indices: range, count: int, seed: int, label: np.ndarray | None,
            advance: Callable[[int], None]) -> Iterator[Made]:
    """Sounds of one length, of a seed."""
    classes = model.sampler.classes
    for first in range(indices.start, indices.stop, BATCH):
        made = model.sampler.generate(seed, min(BATCH, indices.stop - first), first, label=label)
        for row in range(len(made["audio"])):
            recipe = Recipe(Seeded(seed, first + row), classes.weights(made["label"][row]) if classes else None)
            named = "-".join(filter(None, (classes.describe(made["label"][row]) if classes else "",
                                           model.sampler.name_part)))
            yield _made(file_name(model.name, seed, first + row, count, named), recipe, made, row, model)
            advance(1)


def _set(model: SoundModel, index: int, seed: int, stems: Mapping[str, Mapping[str, float]]) -> Iterator[Made]:
    """Sounds of the same noise, and their mix."""
    latent, rate = Seeded(seed, index), model.config.audio.sample_rate
    recipes = [Recipe(latent, label) for label in stems.values()]
    made = model.render(recipes)
    end = "-".join(filter(None, (model.sampler.name_part, name_part(model.name), f"seed{seed}")))
    for row, (stem, recipe) in enumerate(zip(stems, recipes, strict=True)):
        yield _made(f"set-{index:04d}-{name_part(stem)}-{end}.wav", recipe, made, row, model)
    at_peak = made["audio"] / np.maximum(np.abs(made["audio"]).max(axis=1, keepdims=True), SILENT_PEAK)
    gains = np.array([-loudness(samples, rate) for samples in at_peak])
    gains = np.where(np.isfinite(gains), gains, 0.0)
    gains -= gains.max()
    mix = (at_peak * 10 ** (gains[:, None] / 20)).sum(axis=0).astype(np.float32)
    mix /= max(1.0, float(np.abs(mix).max()))
    decibels = {stem: round(float(gain), 2) for stem, gain in zip(stems, gains, strict=True)}
    yield ({"file": f"set-{index:04d}-mix-{end}.wav", **latent.to_json(), "label": "mix", "mix": decibels,
            "peak": round(float(np.abs(mix).max()), 4), "silent": bool(is_silent(mix))},
           mix, model.sampler.analyze(mix[None])[0].numpy())


def _recipes(model: SoundModel, requests: Sequence[tuple[str, Recipe]], advance: Callable[[int], None]
             ) -> Iterator[Made]:
    """Sounds of one length, of given recipes."""
    for first in range(0, len(requests), BATCH):
        batch = requests[first:first + BATCH]
        made = model.render([recipe for _, recipe in batch])
        for row, (file, recipe) in enumerate(batch):
            yield _made(file, recipe, made, row, model)
            advance(1)


def _made(file: str, recipe: Recipe, made: dict[str, np.ndarray], row: int, model: SoundModel) -> Made:
    samples = made["audio"][row]
    if recipe.hit:
        samples = recipe.hit.played(samples, model.config.audio.sample_rate)
    return {"file": file, **described(recipe, model.sampler.classes),
            "peak": round(float(np.max(np.abs(samples))), 4), "silent": bool(is_silent(samples)),
            "noise": [round(float(value), 7) for value in made["noise"][row]]}, samples, made["mel"][row]


def described(recipe: Recipe, classes: Classes | None = None) -> dict[str, Any]:
    """What makes a sound, in its entry of a record."""
    latent = recipe.latent.to_json()
    values = latent if isinstance(recipe.latent, Seeded) else {"recipe": latent}
    if classes:
        label = classes.vector(recipe.label or {})
        values = {**values, "label": classes.describe(label)}
        if np.count_nonzero(label) > 1:  # exactly, while the label is rounded
            values["mixture"] = classes.weights(label)
    return {**values, **({"hit": recipe.hit.to_json()} if recipe.hit else {})}


def _seconds(length: Length | None, model: SoundModel) -> int:
    """By how much progress counts a sound: the seconds of a long one, at least one."""
    return max(1, round(length.samples / model.config.audio.sample_rate)) if length else 1


def _long_sounds(long: StreamRenderer, folder: Path, requests: Iterable[tuple[str, Recipe]], seconds: int,
                 advance: Callable[[int], None]) -> Iterator[Made]:
    """Sounds of any length, in whole seconds for progress; the file of each is deleted when the next is requested."""
    for file, recipe in requests:
        done = 0.0

        def more(fraction: float) -> None:
            nonlocal done
            before, done = round(done * seconds), done + fraction
            advance(round(done * seconds) - before)

        samples, peak, picture = long.make(recipe.latent, folder, more)
        entry = {"file": file, **described(recipe), "peak": round(peak, 4), "silent": peak < SILENT_PEAK}
        yield entry, samples, picture
        Path(samples.filename).unlink()
