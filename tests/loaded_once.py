"""Sound models that many tests use, loaded once in each process: to build and trace one takes two to five seconds."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import command_line
import tensorflow as tf

from melgan_tf import weights
from melgan_tf.inference import load, vocoder
from melgan_tf.inference.sound_model import SoundModel

#: Loads a model anew: for tests that need one that has made no sounds yet.
load_anew = load.load_sound_model


def _world() -> tuple[object, ...]:
    """What tests replace, and a model depends on."""
    return weights.WEIGHTS, vocoder.WEIGHTS, vocoder.GriffinLim, tf.function


_REAL = _world()
_loaded = functools.lru_cache(maxsize=8)(lambda source, renderer: load_anew(source, vocoder=renderer))


def _load_once(source: str | Path, checkpoint: str = "last", progress: Any = None, vocoder: str | None = None
               ) -> SoundModel:
    """As `load_sound_model`: bundled models, and the run that all tests share, once."""
    bundled = str(source).startswith(weights.PRETRAINED) and vocoder in (None, "griffin-lim")
    shared = vocoder == "griffin-lim" and any(str(run.path) == str(source) for run in command_line.runs)
    if (bundled or shared) and checkpoint == "last" and _world() == _REAL:
        return _loaded(str(source), vocoder)
    return load_anew(source, checkpoint, progress, vocoder)


def load_them_once() -> None:
    """To be called before anything imports `load_sound_model`."""
    load.load_sound_model = _load_once
