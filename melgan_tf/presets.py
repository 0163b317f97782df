"""Named, complete configurations. No TensorFlow."""

from __future__ import annotations

import difflib

from melgan_tf.config import Config
from melgan_tf.errors import ConfigError

#: What each preset is for, as `melgan-tf presets` shows it.
DESCRIPTIONS = {
    "seed": "the original recipe, exactly: 16 kHz, 8000 samples, 64 x 16 power mel, DCGAN-style training of 5000 "
            "epochs. The baseline: on varied sounds it collapses to a few.",
}

_PRESETS = {
    "seed": Config(preset="seed"),
}


def names() -> list[str]:
    """The names of all presets."""
    return list(_PRESETS)


def get(name: str) -> Config:
    """The configuration of that name.

    Raises:
        ConfigError: there is no such preset; the message names the nearest.
    """
    if name not in _PRESETS:
        close = difflib.get_close_matches(name, _PRESETS, n=1, cutoff=0.3)
        hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(_PRESETS)}"
        raise ConfigError(f"unknown preset {name!r}: {hint}")
    return _PRESETS[name]
