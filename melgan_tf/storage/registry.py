"""Which backend serves which URI scheme."""

from __future__ import annotations

from melgan_tf.storage.backend import Backend
from melgan_tf.storage.fsspec_backend import FsspecBackend
from melgan_tf.storage.gfile import GFileBackend
from melgan_tf.storage.http import HTTPBackend

#: The backends of every scheme, in order of preference. To add a scheme, add a line.
BACKENDS: dict[str, tuple[type[Backend], ...]] = {
    "s3": (GFileBackend, FsspecBackend),
    "gs": (GFileBackend, FsspecBackend),
    "az": (GFileBackend, FsspecBackend),
    "hdfs": (GFileBackend,),
    "http": (HTTPBackend,),
    "https": (HTTPBackend,)}

SCHEMES = tuple(BACKENDS)


#: The backends that this process uses, by scheme. Without them, it is forgotten which locations failed.
connections: dict[str, Backend] = {}


def backend(scheme: str) -> Backend:
    """Return the backend of a scheme: the first whose libraries are installed.

    Raises:
        MelGANError: none are, or they cannot be loaded.
    """
    if scheme not in connections:
        classes = BACKENDS[scheme]
        # if none is available, the first one says what to install
        connections[scheme] = next((one for one in classes if one.available(scheme)), classes[0])(scheme)
    return connections[scheme]
