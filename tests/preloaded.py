"""Commands in processes that are forked from one which has loaded TensorFlow already: seconds become tenths."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import tempfile
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path

from command_line import Ended

#: Seconds until a process counts as stuck: on a busy machine it takes minutes to trace its graphs.
LONGEST = 600
_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload([
    "tensorflow", "keras", "tensorflow_io", "soundfile", "melgan_tf.training.run", "melgan_tf.evaluation.evaluate",
    "melgan_tf.cli.main", "melgan_tf.cli.prepare", "melgan_tf.cli.train", "melgan_tf.cli.generate",
    "melgan_tf.cli.info", "melgan_tf.cli.export", "melgan_tf.cli.evaluate", "melgan_tf.exports.publish",
    "melgan_tf.exports.tflite"])


@dataclass
class Running:
    """A command under way."""

    process: BaseProcess
    folder: Path
    killed: bool = field(default=False)

    def ended(self, seconds: float = LONGEST) -> Ended:
        """Waits for it."""
        self.process.join(seconds)
        assert self.process.exitcode is not None, f"still running after {seconds} s: {self.output()}"
        return Ended(self.process.exitcode, *self.output())

    def output(self) -> tuple[str, str]:
        """stdout and stderr so far."""
        return (self.folder / "stdout").read_text(), (self.folder / "stderr").read_text()

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.join()


def start(folder: Path, environment: dict[str, str], *arguments: object, backend: str = "") -> Running:
    """Starts a command; its output goes to files in a folder, which is made.

    Args:
        folder: for its output.
        environment: added to that of this process.
        arguments: the command's.
        backend: name of the class that serves s3://, with short pauses between attempts; "" for the package's choice.
    """
    folder.mkdir(parents=True)
    for name in ("stdout", "stderr"):
        (folder / name).touch()
    words = [str(word) for word in arguments]
    process = _forks.Process(target=_command, args=(str(folder), environment, words, backend))
    process.start()
    return Running(process, folder)


def _command(folder: str, environment: dict[str, str], arguments: list[str], backend: str) -> None:
    os.environ.update(environment)
    tempfile.tempdir = None  # ask the environment again
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(os.path.join(folder, name), os.O_WRONLY), descriptor)
    for name, descriptor in (("stdin", 0), ("stdout", 1), ("stderr", 2)):
        with contextlib.suppress(Exception):
            setattr(sys, name, open(descriptor, "r" if name == "stdin" else "w", closefd=False))  # noqa: SIM115
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["melgan-tf", *arguments]
    from melgan_tf.cli import console
    from melgan_tf.cli.main import main
    from melgan_tf.storage import backend as retries
    from melgan_tf.storage.registry import BACKENDS

    console.PLAIN_FIRST_SECONDS = console.PLAIN_EVERY_SECONDS = 1e6  # no lines that depend on speed
    if backend:
        retries.RETRY_PAUSES = (0.05, 0.1, 0.2)
        BACKENDS["s3"] = tuple(each for each in BACKENDS["s3"] if each.__name__ == backend)
    main(prog_name="melgan-tf")
