"""Checks that configurations share: each value of its type, and in its range. No TensorFlow."""

from __future__ import annotations

import math
import types
import typing
from typing import Any, Literal

from melgan_tf.errors import ConfigError


def require(condition: bool, key: str, value: object, remedy: str) -> None:
    """Raises a `ConfigError` that shows key, value and remedy unless the condition holds."""
    if not condition:
        raise ConfigError(f"{key} is {value!r}: {remedy}")


def check_types(config: Any, prefix: str) -> None:
    """Holds every field to its annotation; an int is welcome where a float is asked for."""
    for name, hint in typing.get_type_hints(type(config)).items():
        value = getattr(config, name)
        key = f"{prefix}.{name}" if prefix else name
        if typing.get_origin(hint) is Literal:
            choices = typing.get_args(hint)
            require(value in choices and type(value) is str, key, value, f"give one of {', '.join(choices)}")
        elif hint is float:
            number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
            require(number, key, value, "give a finite number")
            object.__setattr__(config, name, float(value))
        elif hint is int:
            require(isinstance(value, int) and not isinstance(value, bool), key, value, "give a whole number")
        elif typing.get_origin(hint) is tuple:
            whole = isinstance(value, tuple) and all(isinstance(v, int) and not isinstance(v, bool) for v in value)
            require(whole, key, value, "give a list of whole numbers")
        elif isinstance(hint, types.UnionType):
            require(isinstance(value, typing.get_args(hint)), key, value, "give a model's configuration")
        elif isinstance(hint, type) and not isinstance(hint, types.GenericAlias):
            require(isinstance(value, hint), key, value, f"give {hint.__name__}")
