"""melgan-tf: learn from a folder of sounds and make new ones.

Importing this package is free: TensorFlow is loaded only by the modules that compute.
"""

from importlib import metadata

from melgan_tf.models import families as _families  # registers them

try:
    __version__ = metadata.version("melgan-tf")
except metadata.PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0.0.0+unknown"

del _families

__all__ = ["__version__"]
