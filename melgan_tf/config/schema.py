"""Checks that configurations share: each value of its type, and in its range. No TensorFlow."""

from __future__ import annotations

import dataclasses
import sys
import types
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from melgan_tf.config import registry
from melgan_tf.config.registry import ModelConfig
from melgan_tf.config.strict_json import check, parse_value, read_object, shown
from melgan_tf.errors import ConfigError, did_you_mean


def require(condition: bool, key: str, value: object, remedy: str) -> None:
    """Raises a `ConfigError` that shows key, value and remedy unless the condition holds."""
    if not condition:
        raise ConfigError(f"{key} is {shown(value)}: {remedy}")


@dataclass(frozen=True)
class Range:
    """The bounds of a number, in its annotation: ``channels: Annotated[int, Range(1, 4096)] = 128``.

    Args:
        low: the smallest value.
        high: the largest; None: there is none.
        above, below: exclude ``low`` or ``high`` itself.
        unit: for messages.

    Examples:
        >>> Range(0, 1, above=True).remedy
        'give more than 0 and at most 1'
    """

    low: float
    high: float | None = None
    above: bool = False
    below: bool = False
    unit: str = ""

    def __contains__(self, value: float) -> bool:
        if value < self.low or (self.above and value == self.low):
            return False
        return self.high is None or value < self.high or (value == self.high and not self.below)

    @property
    def remedy(self) -> str:
        """What to give instead of a value outside."""
        unit = f" {self.unit}" if self.unit else ""
        if self.high is None:
            return "give a positive number" if self.above and self.low == 0 else f"give {self.low} or more{unit}"
        if not (self.above or self.below):
            return f"give {self.low} to {self.high}{unit}"
        low = f"more than {self.low}" if self.above else f"{self.low} or more"
        return f"give {low} and {'less than' if self.below else 'at most'} {self.high}{unit}"


#: The length of a vector, or the width of a layer.
Width = Annotated[int, Range(1, 4096)]
Count = Annotated[int, Range(1)]
Fraction = Annotated[float, Range(0, 1)]
#: A decay rate: less than 1.
Decay = Annotated[float, Range(0, 1, below=True)]
#: The weight of a loss.
Weight = Annotated[float, Range(0)]


def check_fields(config: Any, prefix: str) -> None:
    """Holds every field to its annotation: its type, where an int may stand for a float, and its `Range`.

    Args:
        config: a dataclass, under construction.
        prefix: what messages call it: "model" makes "model.channels" of a field.

    Raises:
        ConfigError: one does not; the message shows key, value and remedy.
    """
    for name, hint in typing.get_type_hints(type(config), include_extras=True).items():
        value = getattr(config, name)
        key = f"{prefix}.{name}" if prefix else name
        if typing.get_origin(hint) is Annotated:
            hint, *extras = typing.get_args(hint)
            _check_type(config, name, hint, value, key)
            for bounds in extras:
                require(value in bounds, key, getattr(config, name), bounds.remedy)
        else:
            _check_type(config, name, hint, value, key)


def _check_type(config: Any, name: str, hint: Any, value: Any, key: str) -> None:
    if typing.get_origin(hint) is Literal:
        choices = typing.get_args(hint)
        require(value in choices and type(value) is str, key, value, f"give one of {', '.join(choices)}")
    elif hint is float:
        number = (isinstance(value, (int, float)) and not isinstance(value, bool)
                  and abs(value) <= sys.float_info.max)
        require(number, key, value, "give a finite number")
        object.__setattr__(config, name, float(value))
    elif hint is int:
        whole = isinstance(value, int) and not isinstance(value, bool)
        require(whole and abs(value) < 2**63, key, value, "give a whole number, of at most 18 digits")
    elif typing.get_origin(hint) is tuple:
        whole = isinstance(value, tuple) and all(isinstance(v, int) and not isinstance(v, bool) for v in value)
        require(whole, key, value, "give a list of whole numbers")
    elif isinstance(hint, type) and not isinstance(hint, types.GenericAlias):
        require(isinstance(value, hint), key, value, f"give {hint.__name__}")


def to_dict(config: Any) -> dict[str, Any]:
    """The configuration as plain JSON values."""
    return dataclasses.asdict(config)


def from_dict(cls: type, values: Any, key: str = "", root: type | None = None) -> Any:
    """Builds a configuration from JSON values.

    Args:
        cls: the dataclass to build, usually :class:`Config`.
        values: what ``json.load`` returned; keys left out take their defaults.
        key: dotted name of this part, for messages.
        root: the class of the whole, whose keys a message may suggest.

    Raises:
        ConfigError: unknown key, wrong type or value out of range; the message shows the dotted key and the value.
    """
    if not isinstance(values, dict):
        raise ConfigError(f"{key or 'the configuration'} is {shown(values)}: give an object with named values")
    hints = typing.get_type_hints(cls)
    arguments = {}
    for name, value in values.items():
        dotted = f"{key}.{name}" if key else name
        if name not in hints:
            raise ConfigError(f"unknown configuration key {shown(dotted)}{_nearest(name, hints, dotted, root or cls)}")
        arguments[name] = _value(hints[name], value, dotted, root or cls)
    return cls(**arguments)


def _value(hint: Any, value: Any, dotted: str, root: type) -> Any:
    if hint is ModelConfig:  # the part itself says which of them it is
        default = next(iter(registry.families()))
        kind = value.get("kind", default) if isinstance(value, dict) else default
        require(isinstance(kind, str), f"{dotted}.kind", kind, f"give one of {', '.join(registry.families())}")
        return from_dict(registry.family(kind).config, value, dotted, root)
    if dataclasses.is_dataclass(hint):
        return from_dict(hint, value, dotted, root)
    if typing.get_origin(hint) is tuple and isinstance(value, list):  # JSON has no tuples
        return tuple(value)
    return value


def merge(values: dict[str, Any], changes: Any) -> dict[str, Any]:
    """Lays a partial configuration (nested JSON values) over a complete one; strictness comes with `from_dict`."""
    if not isinstance(changes, dict):
        raise ConfigError(f"the configuration is {shown(changes)}: give an object with named values")
    merged = dict(values)
    for name, value in changes.items():
        nested = isinstance(merged.get(name), dict) and isinstance(value, dict)
        merged[name] = merge(merged[name], value) if nested else value
    return merged


def parse_assignment(text: str) -> dict[str, Any]:
    """Reads ``part.key=value`` (the value as JSON, or else as text) into nested JSON values.

    Examples:
        >>> parse_assignment("training.batch_size=64")
        {'training': {'batch_size': 64}}
    """
    name, equals, value = text.partition("=")
    if not equals or not all(part.isidentifier() for part in name.strip().split(".")):
        raise ConfigError(f"--set {shown(text)}: give PART.KEY=VALUE, for example training.batch_size=64")
    try:
        parsed = parse_value(value, finite=False)
    except ValueError:
        parsed = value
    for part in reversed(name.strip().split(".")):
        parsed = {part: parsed}
    try:
        check(parsed)
    except ValueError as error:
        raise ConfigError(f"--set {shown(text)} cannot be used: {error}") from None
    return parsed


def read_json(path: str | Path) -> dict[str, Any]:
    """Reads a (partial) configuration file.

    Raises:
        ConfigError: the file is missing, unreadable or not a JSON object.
    """
    try:
        return read_object(Path(path))
    except OSError as error:
        raise ConfigError(f"cannot read configuration {path}: {error.strerror}") from None
    except ValueError as error:
        raise ConfigError(f"{path} is not JSON that can be used: {error}") from None


def known_keys(cls: type, prefix: str = "") -> list[str]:
    """Every dotted key of a configuration, of all families."""
    keys = []
    for name, hint in typing.get_type_hints(cls).items():
        parts = [known.config for known in registry.families().values()] if hint is ModelConfig else [hint]
        nested = [part for part in parts if dataclasses.is_dataclass(part)]
        keys += [key for part in nested for key in known_keys(part, f"{prefix}{name}.")] or [prefix + name]
    return list(dict.fromkeys(keys))


def _nearest(name: str, known: dict[str, Any], dotted: str, root: type) -> str:
    here = did_you_mean(name, sorted(known))
    elsewhere = [key for key in known_keys(root) if f".{key}".endswith((f".{name}", f"_{name}")) and key != dotted]
    return f": {did_you_mean(name, elsewhere) if elsewhere and here.startswith('known') else here}"
