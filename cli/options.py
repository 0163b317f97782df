"""Options and preparations that several commands share. No TensorFlow at import."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from melgan_tf.errors import MelGANError, UsageError

quiet = click.option("--quiet", "-q", is_flag=True, help="Print results and warnings only.")
force = click.option("--force", is_flag=True, help="Replace what is there.")
checkpoint = click.option("--checkpoint", type=click.Choice(["last", "best"]), default="last", show_default=True,
                          help="Which checkpoint of the run; best is by Fréchet distance of log-mel statistics.")
run_argument = click.argument("run", type=click.Path(path_type=Path))


def seed(default: int | None) -> Callable[[Any], Any]:
    """The option ``--seed``."""
    return click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=default, show_default=default is not None,
                        help="Decides all that is random.")


def start_tensorflow(threads_per_op: int | None = None) -> None:
    """Loads TensorFlow, quiet and with the threads that suit the command.

    Args:
        threads_per_op: threads within one operation; None leaves it to TensorFlow.

    Raises:
        MelGANError: another Keras backend was asked for by the environment.
    """
    if os.environ.setdefault("KERAS_BACKEND", "tensorflow") != "tensorflow":
        raise MelGANError(f"KERAS_BACKEND is {os.environ['KERAS_BACKEND']!r}: this command needs tensorflow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    warnings.filterwarnings("ignore", module="tensorflow|keras|google")
    # the C++ libraries announce themselves on stderr before their log level is read
    with _muted_stderr():
        import tensorflow as tf

        tf.get_logger().setLevel("ERROR")
        if threads_per_op:
            tf.config.threading.set_intra_op_parallelism_threads(threads_per_op)
        tf.config.list_logical_devices()


class _muted_stderr:  # noqa: N801  reads as a function
    """Sends file descriptor 2 to nowhere for a moment; what Python itself raises still arrives."""

    def __enter__(self) -> None:
        self.saved = os.dup(2)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)

    def __exit__(self, *exception: object) -> None:
        os.dup2(self.saved, 2)
        os.close(self.saved)


def require_output(path: Path, force: bool) -> None:
    """Checks that an output can be made at a path before any work is done.

    Raises:
        UsageError: something is there, and ``--force`` was not given.
        MelGANError: nothing can be written there.
    """
    if (path.is_dir() and any(path.iterdir())) or path.is_file():
        if not force:
            raise UsageError(f"{path} exists: give another --out, or --force to replace it")
    elif not path.exists():
        parent = next(folder for folder in path.absolute().parents if folder.exists())
        if not parent.is_dir():
            raise UsageError(f"{path} cannot be made: {parent} is not a directory")
        if not os.access(parent, os.W_OK):
            raise MelGANError(f"{path} cannot be made: {parent} is read-only")
