"""melgan-tf: learn from a folder of sounds and make new ones.

Importing this package is free: TensorFlow is loaded only by the modules that compute.
"""

from importlib import metadata

try:
    __version__ = metadata.version("melgan-tf")
except metadata.PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0.0.0+unknown"

__all__ = ["__version__"]
