"""Loads heavy libraries: late, without log noise, TensorFlow as the backend of Keras and with suitable threads."""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from melgan_tf.errors import MelGANError, ShownStream, UsageError
from melgan_tf.runtime import system

#: Packages that Keras imports where they are, for functions that commands do not use. The command line names them; in
#: other programs Keras is whole.
unneeded: tuple[str, ...] = ()


def lazy_attributes(package: str, modules: Mapping[str, str]) -> Callable[[str], Any]:
    """A package's ``__getattr__`` (PEP 562).

    Args:
        package: its ``__name__``.
        modules: the module within the package, by the name of each attribute.
    """
    def getattr_of_package(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{package}.{modules[name]}"), name)

    return getattr_of_package


def mute_native_logs() -> None:
    """Lowers the log level of TensorFlow and gRPC, unless the environment sets one."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")


def import_tensorflow() -> None:
    """Imports TensorFlow without log noise, as the backend of Keras; devices and threads can still be chosen.

    Raises:
        UsageError: Python runs without docstrings, as TensorFlow cannot.
        MelGANError: Keras uses another backend.
    """
    if sys.flags.optimize > 1 and "tensorflow" not in sys.modules:
        raise UsageError("TensorFlow does not run without docstrings: unset PYTHONOPTIMIZE, or leave out -OO")
    backend = os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    if "keras" in sys.modules:
        backend = sys.modules["keras"].backend.backend()
    if backend != "tensorflow":
        raise MelGANError(f"KERAS_BACKEND is {backend!r}: melgan-tf needs tensorflow")
    mute_native_logs()
    chosen = "keras" in sys.modules
    hidden = {} if chosen else dict.fromkeys(name for name in unneeded if name not in sys.modules)
    with muted():
        sys.modules.update(hidden)  # so that importing them fails
        try:
            import tensorflow as tf

            tf.get_logger().setLevel("ERROR")
            if not chosen:  # but what another program left in ~/.keras/keras.json
                import keras

                keras.config.set_floatx("float32")
                keras.config.set_epsilon(1e-7)
                keras.config.set_image_data_format("channels_last")
        finally:
            for name in hidden:
                del sys.modules[name]


def start_tensorflow(threads_per_op: int | None = None, compiling: bool = False, joining: bool = False) -> None:
    """Imports TensorFlow and sets it up. Only the first call of a process can choose the threads.

    Args:
        threads_per_op: threads within one operation; None leaves it to TensorFlow.
        compiling: the process will use XLA, which prints messages of its own.
        joining: this process joins a cluster, which it must do before it uses a device; what native libraries write to
            stderr is then discarded to the end, unless TF_CPP_MIN_LOG_LEVEL asks for it.

    Raises:
        MelGANError: Keras uses another backend.
    """
    if joining and "TF_CPP_MIN_LOG_LEVEL" not in os.environ:
        mute()
    import_tensorflow()
    import tensorflow as tf

    if threads_per_op and not tf.config.threading.get_intra_op_parallelism_threads():  # nobody has chosen
        with contextlib.suppress(RuntimeError):  # TensorFlow has started already
            tf.config.threading.set_intra_op_parallelism_threads(threads_per_op)
    if joining:
        return
    with muted():
        tf.config.list_logical_devices()
        if compiling:
            tf.function(lambda: tf.constant(0.0), jit_compile=True)()


@functools.cache
def memory_bytes() -> int:
    """The memory that this program may use, in bytes: that of the machine, or of its control group (a container)."""
    limits = [system.physical_memory()]
    for file in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError), open(file) as opened:
            limits.append(int(opened.read()))
    return min(limits)


def mute() -> None:
    """Discard writes to file descriptor 2 for the rest of the process; `sys.stderr` keeps its destination."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.flush()
        python_stderr = os.fdopen(os.dup(2), "w", buffering=1, errors="backslashreplace")
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, 2)
        os.close(devnull)
        sys.stderr = ShownStream(python_stderr)


@contextlib.contextmanager
def muted() -> Iterator[None]:
    """Discard writes to file descriptor 2 within the block."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.flush()
    try:
        saved = os.dup(2)
    except OSError:  # stderr is closed
        yield
        return
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 2)
    os.close(devnull)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
