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


class Connections:
    """The backends that a process uses, one for each scheme, created when a location of it is first used."""

    def __init__(self) -> None:
        self._open: dict[str, Backend] = {}

    def backend(self, scheme: str) -> Backend:
        """Return the backend of a scheme: the first whose libraries are installed.

        Raises:
            MelGANError: none are, or they cannot be loaded.
        """
        if scheme not in self._open:
            classes = BACKENDS[scheme]
            # if none is available, the first one says what to install
            chosen = next((backend for backend in classes if backend.available(scheme)), classes[0])
            self._open[scheme] = chosen(scheme)
        return self._open[scheme]

    @property
    def needs_hard_exit(self) -> bool:
        """Whether Python's normal exit would abort (see `Backend`)."""
        return any(backend.needs_hard_exit for backend in self._open.values())

    def close(self) -> None:
        """Forget all backends, and with them which locations failed."""
        self._open.clear()


#: The connections of this process.
connections = Connections()
