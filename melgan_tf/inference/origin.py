"""What a generated sound file says of itself: the model, the recipe, and how it was written. No TensorFlow."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

from melgan_tf.audio.delivery import Delivery
from melgan_tf.audio.find import find
from melgan_tf.audio.isolated import read_comment
from melgan_tf.audio.loops.keys import Key
from melgan_tf.audio.loops.loop import METER
from melgan_tf.audio.wav import NO_TAGS, Tags
from melgan_tf.config.strict_json import parse_object
from melgan_tf.data.labels import Classes
from melgan_tf.errors import MelGANError, UsageError
from melgan_tf.inference.kit.finish import Hit
from melgan_tf.inference.recipe import Latent, Recipe, read_latent
from melgan_tf.weights.sources import sound_model_config


@dataclass(frozen=True)
class Origin:
    """The record in a generated sound file.

    Attributes:
        latent: the point in the model's latent space.
        label: its class or classes, as `melgan_tf.data.labels.Classes.label` reads them; "" without classes.
        mixture: the exact weights of more than one class.
        source: name of the model: of a bundled one the whole name, else that of its run directory; "" in files of
            earlier versions.
        weights, step: what names the model.
        delivery: how its samples became a file.
        vocoder: digits that name the vocoder's weights, or ``griffin-lim``; "" in files of earlier versions.
        seconds, loop: length of a sound of any length.
        asked: what it was asked to be: see `melgan_tf.inference.sampler.Sampler.wishes`.
        hit: how a kit plays it, if it is one of a kit.
    """

    latent: Latent
    label: str
    mixture: dict[str, float]
    source: str
    weights: str
    step: int
    delivery: Delivery
    vocoder: str
    seconds: float | None
    loop: bool
    asked: dict[str, Any]
    hit: Hit | None = None

    def recipe(self, classes: Classes | None) -> Recipe:
        """The recipe of the sound for a model of these classes.

        Raises:
            UsageError: they lack its own.
        """
        if classes is None:
            return Recipe(self.latent, None, self.hit)
        return Recipe(self.latent, self.mixture or classes.weights(classes.label(self.label)), self.hit)

    def differences(self, weights: str, vocoder: str) -> list[str]:
        """What is different in another model: the digits that name its weights, and those of its vocoder."""
        pairs = (("the model's weights", self.weights, weights), ("the vocoder's weights", self.vocoder, vocoder))
        return [f"{name} are {ours}, not {theirs}" for name, theirs, ours in pairs if theirs and theirs != ours]


@dataclass(frozen=True)
class Output:
    """Where sounds made from sounds go, and how they become files.

    Attributes:
        folder: the folder.
        delivery: what replaces values of the original's `melgan_tf.audio.delivery.Delivery`.
        name: names of the files; see `melgan_tf.inference.output_folder.NamePattern`.
        add: keep the sounds of earlier calls in the folder.
    """

    folder: Path
    delivery: Mapping[str, Any] = field(default_factory=dict)
    name: str | None = None
    add: bool = False

    def delivery_of(self, origin: Origin | None) -> Delivery:
        """How the sounds become files, given the record of the original, if it was generated.

        Raises:
            UsageError: the values do not suit those of the original.
        """
        return (origin.delivery if origin else Delivery()).changed(self.delivery)

    def options(self, origin: Origin | None) -> dict[str, Any]:
        """The arguments of `melgan_tf.inference.sound_model.SoundModel.write_recipes`."""
        return {"delivery": self.delivery_of(origin), "name": self.name, "add": self.add}


#: A sound file, and its record if it was generated.
File = tuple[Path, "Origin | None"]


def read_origins(paths: Sequence[str | Path], required: bool = False) -> list[File]:
    """Sound files with their records.

    Args:
        paths: the files, or folders whose generated sounds are meant.
        required: whether every file must have a record.

    Raises:
        UsageError: a folder has no generated sounds, or one sound is needed.
        MelGANError: a file cannot be read as a sound, has a damaged record, or none.
    """
    files = []
    for path in map(Path, paths):
        if not path.is_dir():
            files.append((path, read_origin(path)))
        elif not required:
            raise UsageError(f"{path} is a folder: give one sound in it")
        elif not (found := [file for sound in find(path)[0] if (file := (sound.path, read_origin(sound.path)))[1]]):
            raise UsageError(f"{path} has no sounds that melgan-tf made: give files or folders as it wrote them")
        else:
            files += found
    for path, origin in files:
        if required and origin is None:
            raise MelGANError(f"{path} does not say that melgan-tf made it: give a file as it was written")
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


def origin_values(head: dict[str, Any], sound: dict[str, Any]) -> dict[str, Any]:
    """What a WAV says of itself, of the record that it is in and of its entry there; `origin.read_origin` reads it."""
    return {"made_by": "melgan-tf", **{key: head[key] for key in ("weights", "step")},
            **{key: sound[key] for key in ("seed", "index", "recipe", "label", "mixture", "hit", "mix")
               if key in sound},
            **{key: head[key] for key in ("seconds", "loop", "asked") if key in head},
            "source": PurePath(head["source"]).name, "normalized": head["normalized"],
            "delivery": head.get("delivery", {}), "vocoder": vocoder_name(head["vocoder"])}


def origin_tags(head: Mapping[str, Any], sound: Mapping[str, Any], license: str, delivery: Delivery, note: int | None
                ) -> Tags:
    """The tags of a sound, which follow from what makes it, so that they are the same again.

    Args:
        license: in one line.
        note: of a sound with a pitch, a MIDI number.
    """
    label, hit, asked = sound.get("label", ""), sound.get("hit"), head.get("asked", {})
    title = f"{hit['pad']} of {hit['kit']}" if hit else f"{label} {_title(sound)}".strip()
    tags = Tags(title, label, "melgan-tf", license, f"generated by {PurePath(head['source']).name}, not recorded",
                delivery.date, hit["note"] if hit else note)
    if "bpm" in asked:
        tags = dataclasses.replace(tags, bpm=asked["bpm"], beats=asked["bars"] * METER,
                                   note=60 + Key.parse(asked["key"]).tonic if "key" in asked else None)
    return tags if delivery.tags else NO_TAGS


def _title(sound: Mapping[str, Any]) -> str:
    if "seed" in sound:
        return f"{sound['index']} of seed {sound['seed']}"
    recipe = sound["recipe"]
    return f"varied {recipe['direction']}" if "varied" in recipe else "in between" if "between" in recipe else "encoded"


def vocoder_name(metadata: Mapping[str, Any]) -> str:
    """What a record calls a vocoder: the digits that name its weights, or its name if it has none."""
    return str(metadata.get("weights") or metadata["name"])


def read_origin(path: str | Path) -> Origin | None:
    """The record of a generated sound file; None if the file is not one.

    Raises:
        MelGANError: the file cannot be read as a sound, or its record is damaged.
    """
    values = record_in(read_comment(path))
    if values is None:
        return None
    if "mix" in values:
        raise MelGANError(f"{path} is a mix of stems: give these")
    try:
        seconds = values.get("seconds")
        return Origin(read_latent(values.get("recipe", values)), str(values.get("label", "")),
                      {str(name): float(weight) for name, weight in values.get("mixture", {}).items()},
                      str(values.get("source", "")), str(values["weights"]), int(values["step"]),
                      _delivery(values), str(values.get("vocoder", "")),
                      None if seconds is None else float(seconds), bool(values.get("loop", False)),
                      dict(values.get("asked", {})), Hit.from_json(values["hit"]) if "hit" in values else None)
    except (UsageError, KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise MelGANError(f"{path} says that melgan-tf made it, but not how ({error!r:.100})") from None


def _delivery(values: dict[str, Any]) -> Delivery:
    if "delivery" in values:
        return Delivery.from_json(values["delivery"])
    # earlier versions
    return Delivery(normalize="peak" if values.get("normalized", True) else "none", tail=0.0, tags=False)


def record_in(comment: str) -> dict[str, Any] | None:
    """The values in a comment that melgan-tf wrote; None if it did not."""
    try:
        values = parse_object(comment)
    except ValueError:
        return None
    return values if values.get("made_by") == "melgan-tf" else None
