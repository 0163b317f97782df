"""Object stores through fsspec: what serves ``s3://``, ``gs://`` and ``az://`` where tensorflow-io is not installed."""

from __future__ import annotations

import errno
import functools
import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from melgan_tf.storage.backend import NO_BUCKET, S3_LIMITS, Backend, BackendError, FileInfo, settings_hint

_DRIVERS = {"s3": "s3fs", "gs": "gcsfs", "az": "adlfs"}
_NO_BUCKET_SIGNS = ("NoSuchBucket", "bucket does not exist", "ContainerNotFound", "container does not exist")
_NO_CREDENTIALS = ("NoCredentialsError", "DefaultCredentialsError", "ClientAuthenticationError")
_LOCAL_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class FsspecBackend(Backend):
    """``s3://``, ``gs://`` and ``az://`` through s3fs, gcsfs and adlfs, with the settings of tensorflow-io."""

    @classmethod
    def available(cls, scheme: str) -> bool:
        return importlib.util.find_spec(_DRIVERS[scheme]) is not None

    def stat(self, uri: str) -> FileInfo | None:
        fresh = {"refresh": True} if self.scheme == "s3" else {}
        try:
            info = self._do(uri, lambda files, path: files.info(path, **fresh))
        except FileNotFoundError:
            return None
        changed = info.get("LastModified") or info.get("mtime") or info.get("last_modified")
        return FileInfo(info["size"] or 0, int(changed.timestamp() * 1e9) if hasattr(changed, "timestamp") else 0,
                        info["type"] == "directory")

    def names(self, uri: str) -> list[str]:
        def names(files: Any, folder: str) -> list[str]:
            return [name.rpartition("/")[2] for item in files.ls(folder, detail=False, refresh=True)
                    if (name := item.rstrip("/")) != folder]

        try:
            return self._do(uri.rstrip("/"), names)
        except FileNotFoundError:
            return []

    def head(self, uri: str, count: int) -> bytes:
        def head(files: Any, path: str) -> bytes:
            with files.open(path, "rb", cache_type="none") as file:
                return file.read(count)

        return self._do(uri, head)

    def download(self, uri: str, file: Path, info: FileInfo | None = None) -> None:
        info = self.existing(uri, file, info)
        self._do(uri, lambda files, path: files.get_file(path, str(file)))
        if (size := file.stat().st_size) != info.st_size:
            raise BackendError(f"the connection ended after {size} of {info.st_size} bytes", True)

    def upload(self, file: Path, uri: str) -> None:
        self._do(uri, lambda files, path: files.put_file(str(file), path))

    def copy(self, source: str, target: str) -> None:
        self._do(target, lambda files, path: files.cp_file(self._locate(source)[1], path))

    def remove(self, uri: str) -> None:
        self._do(uri, lambda files, path: files.rm_file(path))

    def remove_tree(self, uri: str) -> None:
        self._do(uri, lambda files, path: files.rm(path, recursive=True))

    def _locate(self, uri: str) -> tuple[Any, str]:
        """Return the file system of a URI, and the path in it."""
        path = uri.partition("://")[2]
        if self.scheme == "az":  # az://account/container/key, as tensorflow-io has it
            account, _, path = path.partition("/")
            return _file_system("az", account), path
        return _file_system(self.scheme), path

    def _do(self, uri: str, operation: Callable[[Any, str], Any]) -> Any:
        """Call an operation; the libraries' exceptions become `FileNotFoundError` and `BackendError`."""
        files, path = self._locate(uri)
        try:
            return operation(files, path)
        except Exception as error:
            detail = " ".join((getattr(error, "strerror", None) or str(error) or type(error).__name__).split())[:200]
            if any(sign in detail for sign in _NO_BUCKET_SIGNS):
                raise BackendError(NO_BUCKET, False) from None
            if isinstance(error, FileNotFoundError) or getattr(error, "errno", None) in _LOCAL_ERRORS:
                raise
            if isinstance(error, PermissionError) or type(error).__name__ in _NO_CREDENTIALS:
                raise BackendError(f"access is denied ({detail}); {settings_hint(self.scheme)}", False) from None
            raise BackendError(f"the connection failed ({detail})", True) from None


@functools.cache
def _file_system(scheme: str, account: str = "") -> Any:
    import fsspec

    environment = os.environ
    options: dict[str, Any] = {}
    if scheme == "s3":
        for name, value in S3_LIMITS.items():
            environment.setdefault(name, value)
        if endpoint := environment.get("S3_ENDPOINT"):
            secure = "http" if environment.get("S3_USE_HTTPS") == "0" else "https"
            options["endpoint_url"] = endpoint if "://" in endpoint else f"{secure}://{endpoint}"
        verify = False if environment.get("S3_VERIFY_SSL") == "0" else environment.get("S3_CA_FILE")
        options["client_kwargs"] = {} if verify is None else {"verify": verify}
        if region := environment.get("AWS_REGION"):
            options["client_kwargs"]["region_name"] = region
        options["config_kwargs"] = {"connect_timeout": int(environment["S3_CONNECT_TIMEOUT_MSEC"]) / 1000,
                                    "read_timeout": int(environment["S3_REQUEST_TIMEOUT_MSEC"]) / 1000}
    elif scheme == "az" and environment.get("TF_AZURE_USE_DEV_STORAGE") == "1":
        options["connection_string"] = "UseDevelopmentStorage=true"
    elif scheme == "az":
        options = {"account_name": account, "account_key": environment.get("TF_AZURE_STORAGE_KEY")}
    files = fsspec.filesystem(scheme, use_listings_cache=False, skip_instance_cache=True, **options)
    files.retries = 1  # `Backend.attempt` retries
    return files
