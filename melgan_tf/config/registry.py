"""The model families: what each brings, found by the kind that a configuration names. No TensorFlow.

A family is a folder under `melgan_tf.models` (or a package of somebody else's): its configuration, presets, networks,
training step and task. Everything else asks the registry and knows no family by name.
"""

from __future__ import annotations

import functools
import importlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from typing import TYPE_CHECKING, Any, Literal

from melgan_tf.errors import ConfigError
from melgan_tf.runtime import system

if TYPE_CHECKING:
    from melgan_tf.config.config import Config

#: Packages announce families of their own under this entry point: ``name = module:FAMILY``.
ENTRY_POINTS = "melgan_tf.families"
#: Of a network: 512 MiB. A configuration may come from anybody.
MAX_WEIGHTS = 1 << 27


@dataclass(frozen=True)
class ModelConfig:
    """What `Config.model` may be: every family has a subclass, whose ``kind`` has its name as default.

    Attributes:
        kind: the family's name.
    """

    kind: str

    def check(self, config: Config) -> None:
        """Raises a `ConfigError` unless the other parts of a configuration suit this model."""


@dataclass(frozen=True)
class Preset:
    """A named, complete configuration.

    Attributes:
        description: what it is for, as `melgan-tf presets` shows it.
        config: all of it.
        suits_seconds: from and below which typical length of sounds `train` takes it unless another is asked for;
            None: never.
        suits_loops: whether it takes loops of any length.
        hours: about how long its steps take on two cores.
    """

    description: str
    config: Config
    suits_seconds: tuple[float, float] | None = None
    suits_loops: bool = False
    hours: float | None = None


@dataclass(frozen=True)
class Family:
    """All that the rest of the package needs to know of one family of models.

    Attributes:
        config: its part of a configuration.
        makes: "clips" of one length, "streams" of any length, or "waveforms" of mels (a vocoder).
        task: ``module:class`` of its `melgan_tf.training.task.Task`.
        build: ``module:function`` that returns the network of inference: ``build(config, classes=None)`` of a sound
            model, where ``classes`` are its `melgan_tf.data.labels.Classes`, ``build(config, training=False)`` of a
            vocoder.
        sampler: ``module:class`` of its `melgan_tf.inference.sampler.Sampler`; a vocoder has none.
        encoder: ``module:function`` that returns the network that finds the noise of a mel:
            ``encoder(config, classes)``; "" if there is none. Its ``noise(mel, label)`` returns ``(batch, noise_dim)``.
        presets: its presets by name.
    """

    config: type[ModelConfig]
    makes: Literal["clips", "streams", "waveforms"]
    task: str
    build: str
    sampler: str = "melgan_tf.inference.sampler:Sampler"
    encoder: str = ""
    presets: Mapping[str, Preset] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """The name that configurations call it by."""
        return self.config.__dataclass_fields__["kind"].default

    @property
    def listen_command(self) -> str:
        """The arguments of `melgan-tf` that let a trained model be heard; ``{run}`` is the run directory."""
        return ("vocode SOUND --vocoder {run} --out copies" if self.makes == "waveforms" else
                "generate {run} --out sounds")

    @property
    def threads_per_op(self) -> int:
        """Threads within one operation that inference is fastest with.

        A vocoder renders pieces side by side, one a core; a sound model renders a batch in two parts.
        """
        return 1 if self.makes == "waveforms" else max(1, system.cores() // 2)

    def load(self, part: Literal["task", "build", "sampler", "encoder"]) -> Any:
        """Imports one of the parts that need TensorFlow."""
        module, _, name = getattr(self, part).partition(":")
        return getattr(importlib.import_module(module), name)


_BUNDLED = "melgan_tf.models.families"  # imported when the first family is needed
#: By kind, without those of entry points: see `families`.
FAMILIES: dict[str, Family] = {}


def register(family: Family) -> None:
    """Makes a family known.

    Raises:
        ConfigError: its kind, or the name of one of its presets, is taken by another family.
    """
    importlib.import_module(_BUNDLED)  # the families of the package come first
    others = [other for other in FAMILIES.values() if other.kind != family.kind]
    if FAMILIES.get(family.kind, family).config is not family.config:
        raise ConfigError(f"model family {family.kind!r} is registered already: choose another kind")
    if taken := [name for other in others for name in other.presets if name in family.presets]:
        raise ConfigError(f"preset {taken[0]!r} of family {family.kind!r} exists already: choose another name")
    FAMILIES[family.kind] = family


@functools.cache
def _load_entry_points() -> None:
    for point in metadata.entry_points(group=ENTRY_POINTS):
        register(point.load())


def families() -> dict[str, Family]:
    """All families by kind: the package's own, and those that other packages announce."""
    importlib.import_module(_BUNDLED)
    _load_entry_points()
    return dict(FAMILIES)


def family(kind: str) -> Family:
    """The family of that kind.

    Raises:
        ConfigError: there is none.
    """
    known = FAMILIES if kind in FAMILIES else families()
    if kind not in known:
        raise ConfigError(f"model.kind is {kind!r}: give one of {', '.join(known)}")
    return known[kind]


def build_network(config: Config, **options: Any) -> Any:
    """The network of inference of a configuration, with initial weights; see `Family.build`.

    Args:
        config: complete.
        options: ``classes`` of a sound model, ``training`` of a vocoder.

    Raises:
        ConfigError: it would have more than 134 million weights; none is allocated.
    """
    import keras
    from keras.src.backend.common import global_state

    build = config.family.load("build")
    with keras.StatelessScope(initialize_variables=False):  # shapes only
        weights = sum(math.prod(variable.shape) for variable in build(config, **options).variables)
    # or the next scope initializes them: within a function that TensorFlow traces, which is then traced twice
    global_state.set_global_attribute("uninitialized_variables", [])
    if weights > MAX_WEIGHTS:
        raise ConfigError(f"model.kind is {config.model.kind!r} with {weights:,} weights: give a smaller one, of at "
                          f"most {MAX_WEIGHTS:,}")
    return build(config, **options)
