"""Object stores and HDFS through tensorflow-io's file systems. TensorFlow is imported when the first file is used."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from melgan_tf.errors import MelGANError
from melgan_tf.runtime import muted
from melgan_tf.storage.backend import NO_BUCKET, S3_LIMITS, Backend, BackendError, FileInfo, settings_hint
from melgan_tf.storage.temporaries import new_name, temporary_folder

#: With multi-part downloads the S3 plug-in continues at the wrong offset after a lost connection: corrupt data
_REQUIRED = {"S3_DISABLE_MULTI_PART_DOWNLOAD": "1"}

_CHUNK_BYTES = 8 << 20
_PARALLEL_CHUNKS = 4
_INSTALL_TFIO = ("needs tensorflow-io, which works with TensorFlow 2.17 on Python 3.11 and 3.12 only: "
                 "pip install tensorflow==2.17.* tensorflow-io==0.37.1")
_INSTALL_ANY = _INSTALL_TFIO + "; or, on any Python, pip install 'melgan-tf[remote]'"


class GFileBackend(Backend):
    """``s3://``, ``gs://``, ``az://`` and ``hdfs://`` through ``tf.io.gfile``.

    Raises:
        MelGANError: tensorflow-io is not installed, or does not fit this TensorFlow.
    """

    needs_hard_exit = True

    def __init__(self, scheme: str) -> None:
        super().__init__(scheme)
        self.files, self.children = _gfile(scheme)

    @classmethod
    def available(cls, scheme: str) -> bool:
        return importlib.util.find_spec("tensorflow_io") is not None

    def stat(self, uri: str) -> FileInfo | None:
        try:
            found = self._do(self.files.stat, uri)
        except FileNotFoundError:
            if self.scheme == "s3":
                self._require_absence(uri)
            return None
        if self.scheme == "az" and found.is_directory and not self.names(uri):  # reported for missing files, too
            return None
        return FileInfo(found.length, found.mtime_nsec, found.is_directory)

    def _require_absence(self, uri: str) -> None:
        """Ask again in other ways: the S3 plug-in reports failed requests as missing files."""
        if uri.count("/") == 3 and uri.endswith("/"):
            raise BackendError(NO_BUCKET, False)
        with contextlib.suppress(FileNotFoundError):
            self.head(uri, 1)
            raise BackendError("the connection failed", True)
        if self.names(uri):
            raise BackendError("the connection failed", True)

    def names(self, uri: str) -> list[str]:
        try:  # not gfile's listdir, which starts with the request that hides failures
            return [name.rstrip("/") for name in self._do(self.children, uri)]
        except FileNotFoundError:
            return []

    def head(self, uri: str, count: int) -> bytes:
        def read() -> bytes:
            with self.files.GFile(uri, "rb") as opened:
                return opened.read(count)

        return self._do(read)

    def download(self, uri: str, file: Path, info: FileInfo | None = None) -> None:
        info = self.existing(uri, file, info)

        def chunk(offset: int) -> bytes:
            size = min(_CHUNK_BYTES, info.st_size - offset)
            with self.files.GFile(uri, "rb") as opened:
                opened.seek(offset)
                content = opened.read(size)
            if len(content) != size:
                raise BackendError(f"the connection ended after {offset + len(content)} of {info.st_size} bytes", True)
            return content

        offsets = range(0, info.st_size, _CHUNK_BYTES)
        with open(file, "wb") as local, ThreadPoolExecutor(_PARALLEL_CHUNKS) as pool:
            for first in range(0, len(offsets), _PARALLEL_CHUNKS):
                for content in pool.map(functools.partial(self._do, chunk), offsets[first:first + _PARALLEL_CHUNKS]):
                    local.write(content)

    def upload(self, file: Path, uri: str) -> None:
        target = uri
        if self.scheme == "hdfs":  # where a file is visible while it is being written
            folder = uri.rpartition("/")[0]
            target = f"{folder}/{new_name()}"
            self._do(self.files.makedirs, folder)
        if self.scheme == "az" or not file.stat().st_size:
            self._do(self._write, file, target)
        else:
            self._do(self.files.copy, str(file), target, True)
        if target != uri:
            self._do(self.files.rename, target, uri, True)

    def _write(self, file: Path, uri: str) -> None:
        """Do what gfile's ``copy`` should: it writes nothing for an empty file, and a folder on Azure."""
        with open(file, "rb") as local, self.files.GFile(uri, "wb") as remote:
            remote.write(b"")  # or an empty file would not be created here either
            shutil.copyfileobj(local, remote, _CHUNK_BYTES)

    def copy(self, source: str, target: str) -> None:
        if self.scheme != "az":
            self._do(self.files.copy, source, target, True)
            return
        with temporary_folder() as folder:  # its own copy aborts the process
            self.download(source, folder / "copy")
            self.upload(folder / "copy", target)

    def remove(self, uri: str) -> None:
        self._do(self.files.remove, uri)

    def remove_tree(self, uri: str) -> None:
        self._do(self.files.rmtree, uri)

    def _do(self, function: Any, *arguments: Any) -> Any:
        import tensorflow as tf

        errors, hint = tf.errors, settings_hint(self.scheme)
        try:
            return function(*arguments)
        except errors.NotFoundError as error:
            if "NoSuchBucket" in error.message:
                raise BackendError(NO_BUCKET, False) from None
            if "libhdfs" in error.message or "libjvm" in error.message:
                raise BackendError(f"Hadoop's client is missing{_detail(error)}; {hint}", False) from None
            raise FileNotFoundError(error.message) from None
        except (errors.PermissionDeniedError, errors.UnauthenticatedError) as error:
            raise BackendError(f"access is denied{_detail(error)}; {hint}", False) from None
        except errors.UnimplementedError as error:
            if "scheme" in error.message:
                raise BackendError(f"{self.scheme}:// {_install(self.scheme)}", False) from None
            raise BackendError(f"the operation is not supported{_detail(error)}", False) from None
        except (errors.InvalidArgumentError, errors.FailedPreconditionError) as error:
            raise BackendError(f"the request was rejected{_detail(error)}; {hint}", False) from None
        except errors.OpError as error:
            if "BlobNotFound" in error.message:  # Azure's plug-in does not distinguish failures
                raise FileNotFoundError(error.message) from None
            if "ContainerNotFound" in error.message:
                raise BackendError(NO_BUCKET.replace("bucket", "container"), False) from None
            raise BackendError(f"the connection failed{_detail(error)}", True) from None
        except RuntimeError as error:  # a C++ exception of az://
            raise BackendError(f"the connection failed ({' '.join(str(error).split())[:200]})", True) from None


def _gfile(scheme: str) -> tuple[Any, Any]:
    """Return ``tf.io.gfile``, with support for a scheme, and the function that lists a folder."""
    for name, value in S3_LIMITS.items():
        os.environ.setdefault(name, value)
    os.environ.update(_REQUIRED)
    if scheme != "gs" and importlib.util.find_spec("tensorflow_io") is None:
        raise MelGANError(f"{scheme}:// {_install(scheme)}")
    with muted():
        try:
            import tensorflow as tf
            from tensorflow.python.lib.io import _pywrap_file_io

            if scheme != "gs":  # which TensorFlow supports by itself
                import tensorflow_io  # noqa: F401  registers the file systems
        except (ImportError, NotImplementedError):
            raise MelGANError(f"{scheme}:// {_install(scheme)}") from None
    return tf.io.gfile, _pywrap_file_io.GetChildren


def _install(scheme: str) -> str:
    return _INSTALL_TFIO if scheme == "hdfs" else _INSTALL_ANY


def _detail(error: Any) -> str:
    text = " ".join(error.message.replace("No response body.", "").split()).strip(" :")
    return f" ({text[:200]})" if text else ""
