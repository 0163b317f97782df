"""Sounds made from sounds, into a folder: again, varied, and in between. The commands of these names."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from melgan_tf.errors import MelGANError, UsageError
from melgan_tf.inference.origin import File, Origin, Output, vocoder_name
from melgan_tf.inference.output_folder import name_part
from melgan_tf.inference.recipe import Recipe
from melgan_tf.inference.sound_model import SoundModel
from melgan_tf.progress import Progress

if TYPE_CHECKING:
    from melgan_tf.inference.encode import Encoding

_FINE = 8  # points between two steps of an interpolation, by which equal distances are found


@dataclass(frozen=True)
class _Start:
    """A sound to begin with.

    Attributes:
        file: where it is.
        recipe: what makes it.
        origin: its record, if this model made it.
        encoding: how near the model comes, if it is a recording.
    """

    file: Path
    recipe: Recipe
    origin: Origin | None = None
    encoding: Encoding | None = None

    @property
    def length(self) -> dict[str, Any]:
        return {"seconds": self.origin.seconds, "loop": self.origin.loop} if self.origin else {}

    @property
    def stem(self) -> str:
        """The beginning of file names."""
        return name_part(self.file.stem)


def regenerate(model: SoundModel, files: Sequence[File], out: Output, strict: bool, progress: Progress | None = None
               ) -> dict[str, Any]:
    """See `melgan_tf.api.regenerate`.

    Args:
        files: of one length, all with records.
        strict: refuse to make sounds with another model than theirs; else that is a warning.
    """
    _check(model, files, strict, progress or Progress())
    first = files[0][1]
    model = model.asked(**first.asked)
    classes = model.sampler.classes
    record = model.write_recipes(out.folder, [(path.name, origin.recipe(classes)) for path, origin in files],
                                 seconds=first.seconds, loop=first.loop, source=first.source, progress=progress,
                                 **out.options(first))
    same = sum((out.folder / name).read_bytes() == path.read_bytes()
               for name, (path, _) in zip(record["files"], files, strict=True))
    return {**record, "same": same}


def _check(model: SoundModel, files: Sequence[File], strict: bool, progress: Progress) -> None:
    names = [path.name for path, _ in files]
    if len(set(names)) < len(names):
        raise UsageError(f"two files are called {max(names, key=names.count)}: regenerate them into folders of their "
                         "own")
    leader, first = files[0]
    for path, origin in files:
        if any(getattr(origin, name) != getattr(first, name) for name in ("seconds", "loop", "asked", "delivery")):
            raise UsageError(f"{path} and {leader} differ in length, loop, level or format: regenerate them separately")
        if different := origin.differences(model.weights, vocoder_name(model.vocoder_metadata)):
            text = f"{path} was made by another model: {'; '.join(different)}"
            if strict:
                raise MelGANError(f"{text}: give --model to make it with this one all the same")
            progress.warning(text)


def vary(model: SoundModel, file: File, out: Output, intensity: float, directions: range, label: str | None = None,
         progress: Progress | None = None, wishes: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """See `melgan_tf.api.vary`; makes a variation for each direction."""
    if not directions:
        raise UsageError(f"count is {len(directions)}: give 1 or more")
    Recipe(file[1].latent if file[1] else None).vary(intensity, directions[0])  # refuses before the work
    model = _asked(model, file)
    start = _start(model, file, label, progress or Progress())
    model = model.asked(**wishes or {})
    return _write(model, [(f"{start.stem}-vary{intensity:g}-{number:04d}.wav", start.recipe.vary(intensity, number))
                          for number in directions], start, out, progress)


def interpolate(model: SoundModel, files: Sequence[File], out: Output, steps: int, label: str | None,
                embed: Callable[[np.ndarray, int], np.ndarray], progress: Progress | None = None) -> dict[str, Any]:
    """See `melgan_tf.api.interpolate`.

    Args:
        files: one or two.
        embed: waveforms ``(sounds, samples)`` and sample rate -> points ``(sounds, d)``, in which distances are equal.
    """
    if steps < 2:
        raise UsageError(f"steps is {steps}: give 2 or more")
    if len(files) == 1 and label is None:
        raise UsageError("nothing to interpolate to: give a second sound, or the class at the end with --label")
    model = _asked(model, files[0])
    starts = [_start(model, file, None, progress or Progress()) for file in files]
    first, last = starts[0], _relabeled(model, starts[-1], label)
    fractions = np.linspace(0, 1, (steps - 1) * _FINE + 1)
    path = model.make([first.recipe.towards(last.recipe, float(part)) for part in fractions], **first.length)
    chosen = equal_distances(embed(path["audio"], path.sample_rate), fractions, steps)
    end = last.stem if len(files) > 1 else name_part(label)
    return _write(model, [(f"{first.stem}-to-{end}-{number:04d}.wav", first.recipe.towards(last.recipe, float(part)))
                          for number, part in enumerate(chosen)], first, out, progress)


def equal_distances(points: np.ndarray, fractions: np.ndarray, steps: int) -> np.ndarray:
    """The fractions ``(steps,)`` of a path that lie at equal distances along it.

    Args:
        points: ``(n, d)`` along the path.
        fractions: ``(n,)``, of each point, rising.
        steps: how many, both ends included.

    Examples:
        >>> equal_distances(np.array([[0.0], [3.0], [4.0]]), np.array([0.0, 0.5, 1.0]), 3).round(3).tolist()
        [0.0, 0.333, 1.0]
    """
    scale = np.maximum(points.std(axis=0), 1e-9)
    lengths = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points / scale, axis=0), axis=1))])
    if not lengths[-1]:  # both ends are one sound
        return np.linspace(fractions[0], fractions[-1], steps)
    return np.interp(np.linspace(0, lengths[-1], steps), lengths, fractions)


def _asked(model: SoundModel, file: File) -> SoundModel:
    """The model, as the file's own model was asked to be; for a recording as suits it."""
    path, origin = file
    if origin and origin.weights == model.weights:
        return model.asked(**origin.asked)
    from melgan_tf.inference.encode import require_encodable

    require_encodable(model)
    return model.asked(**model.sampler.wishes_of(path))


def _start(model: SoundModel, file: File, label: str | None, progress: Progress) -> _Start:
    """A file's recipe: the one that it carries, or the nearest one to a recording."""
    path, origin = file
    if origin and origin.weights == model.weights:
        return _relabeled(model, _Start(path, origin.recipe(model.sampler.classes), origin), label)
    found = model.encode(path, label)
    if not found.within_reach:
        progress.warning(f"{path.name} is out of the model's reach ({found.distance_db:.1f} dB): what is made is the "
                         "nearest that it can")
    return _Start(path, found.recipe, None, found)


def _relabeled(model: SoundModel, start: _Start, label: str | None) -> _Start:
    if (wanted := model.label(label)) is None:
        return start
    return dataclasses.replace(start, recipe=dataclasses.replace(
        start.recipe, label=model.sampler.classes.weights(wanted)))


def _write(model: SoundModel, requests: Sequence[tuple[str, Recipe]], start: _Start, out: Output,
           progress: Progress | None) -> dict[str, Any]:
    origin = start.origin and dataclasses.replace(start.origin, delivery=start.origin.delivery.changed({"tags": True}))
    record = model.write_recipes(out.folder, requests, progress=progress, **start.length, **out.options(origin))
    return {**record, **({"distance_db": round(start.encoding.distance_db, 2)} if start.encoding else {})}
