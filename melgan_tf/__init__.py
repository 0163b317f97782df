"""melgan-tf: learn from a folder of sounds and make new ones.

Importing this package takes milliseconds; TensorFlow is loaded by the first function that needs it.

Example:
    >>> import melgan_tf as mt
    >>> "drums" in mt.presets.names()
    True
    >>> mt.load("pretrained:drums").generate(4, seed=1, label="kick")["audio"].shape
    (4, 8000)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from melgan_tf.runtime import import_tensorflow, lazy_attributes

if TYPE_CHECKING:
    from melgan_tf.api import *
    from melgan_tf.audio.delivery import Delivery
    from melgan_tf.config import AudioConfig, Config, presets
    from melgan_tf.config.registry import Family, register
    from melgan_tf.errors import MelGANError
    from melgan_tf.inference.generated_sounds import GeneratedSounds
    from melgan_tf.inference.sound_model import SoundModel
    from melgan_tf.inference.vocoder import Vocoder

    __version__: str

__all__ = ["AudioConfig", "Config", "Delivery", "Family", "GeneratedSounds", "MelGANError", "SoundModel", "Vocoder",
           "__version__", "choose", "connect", "evaluate", "explore", "export", "import_torch", "info", "interpolate",
           "kit", "load", "load_sound_model", "load_vocoder", "play", "prepare", "presets", "regenerate", "register",
           "train", "vary", "vocode"]

_MODULES = dict.fromkeys(__all__, "api") | {
    "AudioConfig": "config", "Config": "config", "presets": "config", "Delivery": "audio.delivery",
    "Family": "config.registry", "register": "config.registry", "MelGANError": "errors",
    "GeneratedSounds": "inference.generated_sounds", "SoundModel": "inference.sound_model",
    "Vocoder": "inference.vocoder"}
_public = lazy_attributes(__name__, _MODULES)


def __getattr__(name: str) -> Any:
    if name in ("GeneratedSounds", "SoundModel", "Vocoder"):
        import_tensorflow()
    if name != "__version__":
        return _public(name)
    from importlib import metadata

    try:
        return metadata.version("melgan-tf")
    except metadata.PackageNotFoundError:  # a source tree that was not installed
        return "0.0.0+unknown"


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
