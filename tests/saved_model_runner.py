"""SavedModels run by C++ as TensorFlow Serving runs them: `saved_model_runner.cc`, built against the wheel."""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
import socket
import subprocess
import threading
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import pytest

_TYPES = {"float32": "float", "float64": "double", "int32": "int32", "int64": "int64"}
_DTYPES = {"float": "<f4", "double": "<f8", "int32": "<i4", "int64": "<i8"}


class Answer(NamedTuple):
    """Outputs by name, or an error; milliseconds; the largest memory of the process so far, MB; TensorFlow's code."""

    outputs: dict[str, np.ndarray]
    error: str
    milliseconds: float
    megabytes: int
    code: int = 0


def build(folder: Path) -> Path:
    """Compiles the program; skips the test where there is no compiler."""
    if not shutil.which("g++"):
        pytest.skip("no C++ compiler (g++)")
    wheel, program = Path(importlib.util.find_spec("tensorflow").origin).parent, folder / "saved_model_runner"
    subprocess.run(["g++", "-O1", "-std=c++17", "-w", "-D_GLIBCXX_USE_CXX11_ABI=1", "-DEIGEN_MAX_ALIGN_BYTES=64",
                    "-isystem", wheel / "include", Path(__file__).with_suffix(".cc"), "-o", program, f"-L{wheel}",
                    "-l:libtensorflow_cc.so.2", "-l:libtensorflow_framework.so.2", f"-Wl,-rpath,{wheel}"], check=True)
    return program


class Connection:
    """Calls of signatures, one after the other, over a pair of streams.

    Args:
        requests, answers: binary streams.
    """

    def __init__(self, requests: BinaryIO, answers: BinaryIO) -> None:
        self._requests, self._answers = requests, answers

    def __call__(self, signature: str, **inputs: np.ndarray) -> Answer:
        """Calls a signature; arrays of bytes or objects are sent as strings."""
        request = f"{signature} {len(inputs)}\n".encode()
        for name, value in inputs.items():
            value = np.asarray(value)
            kind = _TYPES.get(value.dtype.name, "string")
            request += " ".join(map(str, [name, kind, value.ndim, *value.shape])).encode() + b"\n"
            request += value.tobytes() if kind != "string" else b"".join(
                b"%d\n%s" % (len(text), text) for text in map(bytes, value.ravel()))
        self._requests.write(request)
        self._requests.flush()
        kind, number, ms, megabytes, *length = self._answers.readline().decode().split()
        if kind == "error":
            message = self._answers.read(int(*length)).decode(errors="replace")
            return Answer({}, message, float(ms), int(megabytes), int(number))
        return Answer(dict(self._output() for _ in range(int(number))), "", float(ms), int(megabytes))

    def _output(self) -> tuple[str, np.ndarray]:
        name, kind, _, *shape = self._answers.readline().decode().split()
        shape = tuple(map(int, shape))
        if kind == "string":
            texts = [self._answers.read(int(self._answers.readline())) for _ in range(np.prod(shape))]
            return name, np.array(texts, object).reshape(shape)
        content = self._answers.read(int(np.prod(shape)) * np.dtype(_DTYPES[kind]).itemsize)
        return name, np.frombuffer(content, _DTYPES[kind]).reshape(shape)


class Runner(Connection):
    """A process that has loaded a SavedModel.

    Args:
        program: see `build`.
        model: the folder of a version.
    """

    def __init__(self, program: Path, model: Path) -> None:
        self._process = subprocess.Popen([program, model], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                         stderr=subprocess.DEVNULL)
        super().__init__(self._process.stdin, self._process.stdout)

    def __enter__(self) -> Runner:
        return self

    def __exit__(self, *error: object) -> None:
        with self._process:  # closes its streams and waits for its end
            self._process.stdin.close()


class ConcurrentRunner:
    """A process that has loaded a SavedModel, called from any number of threads at a time; see `Runner`.

    Attributes:
        pid: the number of the process.
    """

    def __init__(self, program: Path, model: Path) -> None:
        self._process = subprocess.Popen([program, model, "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                         stderr=subprocess.DEVNULL)
        self.pid, self._port = self._process.pid, int(self._process.stdout.readline())
        self._local, self._open = threading.local(), contextlib.ExitStack()

    def __enter__(self) -> ConcurrentRunner:
        return self

    def __exit__(self, *error: object) -> None:
        with self._process, self._open:
            self._process.stdin.close()

    def __call__(self, signature: str, **inputs: np.ndarray) -> Answer:
        """See `Connection`; each thread has one of its own."""
        if not hasattr(self._local, "connection"):
            connected = socket.create_connection(("127.0.0.1", self._port))
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            streams = [self._open.enter_context(connected.makefile(mode)) for mode in ("wb", "rb")]
            self._open.callback(connected.close)
            self._local.connection = Connection(*streams)
        return self._local.connection(signature, **inputs)
