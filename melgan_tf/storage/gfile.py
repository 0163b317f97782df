"""What speaks to remote storage: tensorflow-io's file systems. (Of HTTP: `melgan_tf.storage.http`.)

A backend does one thing once: no retries, no verification, which are `melgan_tf.storage`'s. What is not there is a
`FileNotFoundError`; whatever else goes wrong is a `Trouble`. TensorFlow, which takes seconds to load, is imported when
the first object is asked for.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import os
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from melgan_tf.errors import MelGANError
from melgan_tf.stderr import silenced

#: Bounds how long the AWS SDK tries before it says what is wrong; left to itself it may take an hour.
S3_BOUNDS = {"AWS_RETRY_MODE": "standard", "AWS_MAX_ATTEMPTS": "2", "S3_CONNECT_TIMEOUT_MSEC": "5000",
             "S3_REQUEST_TIMEOUT_MSEC": "10000"}
#: The plug-in's other way to read goes on at the wrong place after a lost connection: damaged bytes, without a word.
_ALWAYS = {"S3_DISABLE_MULTI_PART_DOWNLOAD": "1"}

_CHUNK_BYTES = 8 << 20
_AT_ONCE = 4
_INSTALL = ("needs tensorflow-io, which works with TensorFlow 2.17 on Python 3.11 and 3.12 only: "
            "pip install tensorflow==2.17.* tensorflow-io==0.37.1")
_SETTINGS = {
    "s3": "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY or AWS_PROFILE, AWS_REGION, S3_ENDPOINT",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS", "az": "TF_AZURE_STORAGE_KEY", "hdfs": "HADOOP_HDFS_HOME, CLASSPATH"}


class Trouble(Exception):  # noqa: N818  told on by `melgan_tf.storage`
    """Something that did not work.

    Attributes:
        reason: for people.
        passing: whether another try may work.
    """

    def __init__(self, reason: str, passing: bool) -> None:
        super().__init__(reason)
        self.reason, self.passing = reason, passing


@dataclass(frozen=True)
class Found:
    """What a place is.

    Attributes:
        st_size: in bytes; 0 of a folder.
        st_mtime_ns: when it was last changed, ns since 1970; 0 if that is not told.
        folder: whether other places are below it.
    """

    st_size: int
    st_mtime_ns: int
    folder: bool


class ObjectBackend:
    """``s3://``, ``gs://``, ``az://`` and ``hdfs://`` through ``tf.io.gfile``.

    Args:
        scheme: which.

    Raises:
        MelGANError: tensorflow-io is not there, or does not fit this TensorFlow.
    """

    def __init__(self, scheme: str) -> None:
        self.scheme = scheme
        self.files, self.children = _gfile(scheme)

    def look_up(self, uri: str) -> Found | None:
        """What is there; None for nothing."""
        try:
            found = self._do(self.files.stat, uri)
        except FileNotFoundError:
            if self.scheme == "s3":
                self._require_absence(uri)
            return None
        if self.scheme == "az" and found.is_directory and not self.names(uri):  # it says so of whatever is not there
            return None
        return Found(found.length, found.mtime_nsec, found.is_directory)

    def _require_absence(self, uri: str) -> None:
        """Asks again, honestly: the S3 plug-in calls everything absent that it could not ask for."""
        if uri.count("/") == 3 and uri.endswith("/"):
            raise Trouble("there is no such bucket: make it, or give another", False)
        with contextlib.suppress(FileNotFoundError):
            self.head(uri, 1)
            raise Trouble("the connection failed", True)
        if self.names(uri):
            raise Trouble("the connection failed", True)

    def names(self, uri: str) -> list[str]:
        """The names in a folder; none if there is no such folder."""
        try:  # not gfile's listdir, which begins with the look that hides failures
            return [name.rstrip("/") for name in self._do(self.children, uri)]
        except FileNotFoundError:
            return []

    def head(self, uri: str, count: int) -> bytes:
        """The first bytes of an object."""
        def begin() -> bytes:
            with self.files.GFile(uri, "rb") as opened:
                return opened.read(count)

        return self._do(begin)

    def download(self, uri: str, file: Path, known: Found | None = None) -> None:
        """Copies an object, of which something may be known, into a local file; all of it, or there is `Trouble`."""
        found = known or self.look_up(uri)
        if found is None or found.folder:
            raise FileNotFoundError(uri)

        def chunk(offset: int) -> bytes:
            size = min(_CHUNK_BYTES, found.st_size - offset)
            with self.files.GFile(uri, "rb") as opened:
                opened.seek(offset)
                content = opened.read(size)
            if len(content) != size:
                raise Trouble(f"the connection ended after {offset + len(content)} of {found.st_size} bytes", True)
            return content

        offsets = range(0, found.st_size, _CHUNK_BYTES)
        with open(file, "wb") as local, ThreadPoolExecutor(_AT_ONCE) as pool:
            for first in range(0, len(offsets), _AT_ONCE):
                for content in pool.map(functools.partial(self._do, chunk), offsets[first:first + _AT_ONCE]):
                    local.write(content)

    def upload(self, file: Path, uri: str) -> None:
        """Makes an object of a local file. It appears as a whole; on HDFS under its own name only when it is whole."""
        target = uri
        if self.scheme == "hdfs":
            folder, _, name = uri.rpartition("/")
            target = f"{folder}/.{name}.{os.getpid()}.part"
            self._do(self.files.makedirs, folder)
        if self.scheme == "az" or not file.stat().st_size:
            self._do(self._write, file, target)
        else:
            self._do(self.files.copy, str(file), target, True)
        if target != uri:
            self._do(self.files.rename, target, uri, True)

    def _write(self, file: Path, uri: str) -> None:
        """What `copy` does, but for its faults: of an empty file it makes nothing, and on Azure a folder."""
        with open(file, "rb") as local, self.files.GFile(uri, "wb") as remote:
            remote.write(b"")  # without that there would be nothing, either
            shutil.copyfileobj(local, remote, _CHUNK_BYTES)

    def copy(self, source: str, target: str) -> None:
        """Copies within the storage."""
        if self.scheme != "az":
            self._do(self.files.copy, source, target, True)
            return
        with tempfile.TemporaryDirectory() as folder:  # it would end the process
            self.download(source, Path(folder) / "copy")
            self.upload(Path(folder) / "copy", target)

    def remove(self, uri: str) -> None:
        """Removes an object."""
        self._do(self.files.remove, uri)

    def remove_tree(self, uri: str) -> None:
        """Removes a folder with everything in it."""
        self._do(self.files.rmtree, uri)

    def _do(self, function: Any, *arguments: Any) -> Any:
        import tensorflow as tf

        errors = tf.errors
        try:
            return function(*arguments)
        except errors.NotFoundError as error:
            if "NoSuchBucket" in error.message:
                raise Trouble("there is no such bucket: make it, or give another", False) from None
            if "libhdfs" in error.message or "libjvm" in error.message:
                raise Trouble(f"Hadoop's client is missing{_said(error)}; {_hint(self.scheme)}", False) from None
            raise FileNotFoundError(error.message) from None
        except (errors.PermissionDeniedError, errors.UnauthenticatedError) as error:
            raise Trouble(f"access is denied{_said(error)}; {_hint(self.scheme)}", False) from None
        except errors.UnimplementedError as error:
            if "scheme" in error.message:
                raise Trouble(f"{self.scheme}:// {_INSTALL}", False) from None
            raise Trouble(f"it cannot do that{_said(error)}", False) from None
        except (errors.InvalidArgumentError, errors.FailedPreconditionError) as error:
            raise Trouble(f"it is refused{_said(error)}; {_hint(self.scheme)}", False) from None
        except errors.OpError as error:
            if "BlobNotFound" in error.message:  # Azure's plug-in does not tell one failure from another
                raise FileNotFoundError(error.message) from None
            if "ContainerNotFound" in error.message:
                raise Trouble("there is no such container: make it, or give another", False) from None
            raise Trouble(f"the connection failed{_said(error)}", True) from None
        except RuntimeError as error:  # az:// throws what C++ threw
            raise Trouble(f"the connection failed ({' '.join(str(error).split())[:200]})", True) from None


def _gfile(scheme: str) -> tuple[Any, Any]:
    """``tf.io.gfile``, able to reach a scheme, and what lists a folder."""
    for name, value in S3_BOUNDS.items():
        os.environ.setdefault(name, value)
    os.environ.update(_ALWAYS)
    if scheme != "gs" and importlib.util.find_spec("tensorflow_io") is None:
        raise MelGANError(f"{scheme}:// {_INSTALL}")
    with silenced():
        try:
            import tensorflow as tf
            from tensorflow.python.lib.io import _pywrap_file_io

            if scheme != "gs":  # which TensorFlow brings along
                import tensorflow_io  # noqa: F401  registers the others
        except (ImportError, NotImplementedError):
            raise MelGANError(f"{scheme}:// {_INSTALL}") from None
    return tf.io.gfile, _pywrap_file_io.GetChildren


def _hint(scheme: str) -> str:
    return f"settings are taken from {_SETTINGS[scheme]}"


def _said(error: Any) -> str:
    text = " ".join(error.message.replace("No response body.", "").split()).strip(" :")
    return f" ({text[:200]})" if text else ""
