"""What a generated WAV says of itself: the model, the recipe, and how it was written. No TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from melgan_tf.audio.isolated import read_comment
from melgan_tf.config.strict_json import parse_object
from melgan_tf.data.labels import Classes
from melgan_tf.errors import MelGANError, UsageError
from melgan_tf.inference.recipe import Latent, Recipe, read_latent
from melgan_tf.weights.sources import sound_model_config


@dataclass(frozen=True)
class Origin:
    """The record in a generated WAV.

    Attributes:
        latent: the point in the model's latent space.
        label: its class or classes, as `melgan_tf.data.labels.Classes.label` reads them; "" without classes.
        mixture: the exact weights of more than one class.
        source: name of the model: of a bundled one the whole name, else that of its run directory; "" in files of
            earlier versions.
        weights, step: what names the model.
        normalized: whether it was brought to a peak of -1 dB.
        vocoder: digits that name the vocoder's weights, or ``griffin-lim``; "" in files of earlier versions.
        seconds, loop: length of a sound of any length.
        asked: what it was asked to be: see `melgan_tf.inference.sampler.Sampler.wishes`.
    """

    latent: Latent
    label: str
    mixture: dict[str, float]
    source: str
    weights: str
    step: int
    normalized: bool
    vocoder: str
    seconds: float | None
    loop: bool
    asked: dict[str, Any]

    def recipe(self, classes: Classes | None) -> Recipe:
        """The recipe of the sound.

        Args:
            classes: of the model.

        Raises:
            UsageError: the model does not have its classes.
        """
        if classes is None:
            return Recipe(self.latent)
        return Recipe(self.latent, self.mixture or classes.weights(classes.label(self.label)))

    def differences(self, weights: str, vocoder: str) -> list[str]:
        """What is different in another model: the digits that name its weights, and those of its vocoder."""
        pairs = (("the model's weights", self.weights, weights), ("the vocoder's weights", self.vocoder, vocoder))
        return [f"{name} are {ours}, not {theirs}" for name, theirs, ours in pairs if theirs and theirs != ours]


#: A sound file, and its record if it was generated.
File = tuple[Path, "Origin | None"]


def read_origins(paths: Sequence[str | Path], required: bool = False) -> list[File]:
    """Sound files with their records.

    Args:
        paths: the files.
        required: whether every file must have a record.

    Raises:
        MelGANError: a file cannot be read as a sound, has a damaged record, or none.
    """
    files = [(Path(path), read_origin(path)) for path in paths]
    for path, origin in files:
        if required and origin is None:
            raise MelGANError(f"{path} does not say that melgan-tf made it: give a WAV as it was written")
    return files


def model_of(files: Sequence[File], model: str | Path | None = None) -> str | Path:
    """The model to load: the given one, or the one that the files name.

    Raises:
        UsageError: they name none, several, or a run that is not here.
    """
    if model is not None:
        return model
    named = {origin.source: path for path, origin in files if origin and origin.source}
    if not named:
        raise UsageError(f"{files[0][0]} does not name its model: give the model with --model")
    if len(named) > 1:
        raise UsageError(f"the sounds are of several models ({', '.join(sorted(named))}): give one of them with "
                         "--model")
    (source, path), = named.items()
    try:
        sound_model_config(source)
    except UsageError:
        raise UsageError(f"{path} was made by {source!r}, which is not here: give its run directory with --model"
                         ) from None
    return source


def vocoder_name(metadata: Mapping[str, Any]) -> str:
    """What a record calls a vocoder: the digits that name its weights, or its name if it has none."""
    return str(metadata.get("weights") or metadata["name"])


def read_origin(path: str | Path) -> Origin | None:
    """The record of a generated WAV; None if the file is not one.

    Raises:
        MelGANError: the file cannot be read as a sound, or its record is damaged.
    """
    values = read_record(path)
    if values is None:
        return None
    try:
        seconds = values.get("seconds")
        return Origin(read_latent(values.get("recipe", values)), str(values.get("label", "")),
                      {str(name): float(weight) for name, weight in values.get("mixture", {}).items()},
                      str(values.get("source", "")), str(values["weights"]), int(values["step"]),
                      bool(values.get("normalized", True)), str(values.get("vocoder", "")),
                      None if seconds is None else float(seconds), bool(values.get("loop", False)),
                      dict(values.get("asked", {})))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise MelGANError(f"{path} says that melgan-tf made it, but not how ({error!r:.100})") from None


def read_record(path: str | Path) -> dict[str, Any] | None:
    """The values in the comment of a generated WAV; None if the file has none, or is not a WAV.

    Raises:
        DecodeError: the file cannot be read as a sound.
    """
    try:
        values = parse_object(read_comment(path))
    except ValueError:
        return None
    return values if values.get("made_by") == "melgan-tf" else None
