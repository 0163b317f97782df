"""Options and preparations that several commands share. No TensorFlow at import."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from melgan_tf import storage
from melgan_tf.config import Config, from_dict
from melgan_tf.errors import MelGANError, UsageError
from melgan_tf.stderr import mute, muted
from melgan_tf.storage.run_directory import RunDirectory


class Place(click.Path):
    """The type of arguments that are folders or files.

    Args:
        remote: whether they may be remote (``s3://...``); if not, that is said.
        options: of `click.Path`.
    """

    def __init__(self, remote: bool = True, **options: Any) -> None:
        super().__init__(path_type=Path, **options)
        self.remote = remote

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        if not storage.is_remote(value):
            if scheme := re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", str(value)):
                raise UsageError(f"{value}: {scheme[0]} is not known: give a local path, or one of "
                                 f"{', '.join(f'{name}://' for name in storage.SCHEMES)}")
            return super().convert(value, parameter, context)
        if not self.remote:
            raise UsageError(f"{value} cannot be used as {parameter.opts[0] if parameter else 'this'}: "
                             "give a local path")
        _quieten_tensorflow()
        return storage.path(value)


def _quieten_tensorflow() -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")


quiet = click.option("--quiet", "-q", is_flag=True, help="Print results and warnings only.")
force = click.option("--force", is_flag=True, help="Replace what is there.")
checkpoint = click.option("--checkpoint", type=click.Choice(["last", "best"]), default="last", show_default=True,
                          help="Which checkpoint of the run; best is by Fréchet distance of log-mel statistics.")
run_argument = click.argument("run", type=Place())


#: What `vocode` renders with if nothing else is asked for.
DEFAULT_VOCODER = "vocoder-22k"


def vocoder(text: str) -> Callable[[Any], Any]:
    """The option ``--vocoder``."""
    return click.option("--vocoder", metavar="RUN|NAME", help=text)


def seed(default: int | None) -> Callable[[Any], Any]:
    """The option ``--seed``."""
    return click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=default, show_default=default is not None,
                        help="Decides all that is random.")


def start_tensorflow(threads_per_op: int | None = None, compiling: bool = False, joining: bool = False) -> None:
    """Loads TensorFlow, quiet and with the threads that suit the command.

    Args:
        threads_per_op: threads within one operation; None leaves it to TensorFlow.
        compiling: the command uses XLA, which has announcements of its own.
        joining: this process joins a cluster, which it must do before it uses a device; what native libraries write to
            stderr is then kept from it to the end, unless TF_CPP_MIN_LOG_LEVEL asks for it.

    Raises:
        MelGANError: another Keras backend was asked for by the environment.
    """
    if os.environ.setdefault("KERAS_BACKEND", "tensorflow") != "tensorflow":
        raise MelGANError(f"KERAS_BACKEND is {os.environ['KERAS_BACKEND']!r}: this command needs tensorflow")
    if joining and "TF_CPP_MIN_LOG_LEVEL" not in os.environ:
        mute()
    _quieten_tensorflow()
    with muted():
        import tensorflow as tf

        tf.get_logger().setLevel("ERROR")
        if threads_per_op:
            tf.config.threading.set_intra_op_parallelism_threads(threads_per_op)
        if joining:
            return
        tf.config.list_logical_devices()
        if compiling:
            tf.function(lambda: tf.constant(0.0), jit_compile=True)()


def run_config(run: Path) -> Config:
    """The configuration of a run, or of a model of the package if it is called so.

    Raises:
        UsageError: there is neither.
    """
    from melgan_tf.weights import PRETRAINED, read_card, shipped, shipped_models

    directory, names = RunDirectory(run), [*shipped(), *shipped_models()]
    if directory.exists() or run.exists():
        return directory.config()
    if str(run) in names:
        return from_dict(Config, read_card(str(run).removeprefix(PRETRAINED))["config"])
    if str(run).startswith(PRETRAINED):
        raise UsageError(f"the package has no {run}: known are {', '.join(shipped_models()) or 'none'}")
    if close := difflib.get_close_matches(str(run), names, n=1):
        what = "model" if close[0].startswith(PRETRAINED) else "vocoder"
        raise UsageError(f"run directory {run} does not exist: did you mean the {what} {close[0]!r}?")
    return directory.config()


def require_utf8(path: Path) -> None:
    """Raises a `UsageError` for a name that TensorFlow cannot write to."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise UsageError(f"{path} is not valid UTF-8, and TensorFlow takes nothing else: give another name") from None


def require_output(path: Path, force: bool, option: str = "--out") -> None:
    """Checks that an output can be made at a path before any work is done.

    Args:
        path: as given with that option.
        force: replace what is there.
        option: for the message.

    Raises:
        UsageError: something is there, and ``--force`` was not given.
        MelGANError: nothing can be written there.
    """
    if not force and ((path.is_dir() and any(path.iterdir())) or path.is_file()):
        raise UsageError(f"{path} exists: give another {option}, or --force to replace it")
    if storage.is_remote(path):  # whether it can be written shows when it is
        return
    if path.is_dir() and not os.access(path, os.W_OK):
        raise MelGANError(f"nothing can be made in {path}: it is read-only")
    if not path.exists():
        parent = next(folder for folder in path.absolute().parents if folder.exists())
        if not parent.is_dir():
            raise UsageError(f"{path} cannot be made: {parent} is not a directory")
        if not os.access(parent, os.W_OK):
            raise MelGANError(f"{path} cannot be made: {parent} is read-only")
