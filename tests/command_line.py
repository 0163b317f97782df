"""The command line as the tests drive it: inside this process, or as a program of its own; and one trained run."""

from __future__ import annotations

import os
import pty
import resource
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from click.testing import CliRunner

from melgan_tf import runtime
from melgan_tf.audio.wav import save_wav
from melgan_tf.cli.main import main

RATE = 16_000
#: What makes a run of 16 sounds short: two steps an epoch.
SHORT = ("--preset", "seed", "--no-xla", "--set", "training.batch_size=8", "--set", "training.checkpoint_every=1")
#: What renders where the sound itself does not matter: the same, whatever vocoders the package has.
GRIFFIN_LIM = ("--vocoder", "griffin-lim")
PROGRAM = "from melgan_tf.cli.main import main; main(prog_name='melgan-tf')"


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str

    def one_line(self, *parts: str, code: int) -> None:
        """Asserts one line on stderr that holds all the parts, nothing on stdout, and the exit code."""
        assert self.stderr.count("\n") == 1, self.stderr
        assert self.stderr.startswith("melgan-tf: ")
        for part in parts:
            assert part in self.stderr, self.stderr
        assert (self.code, self.stdout) == (code, "")


def invoke(*arguments: object) -> Ended:
    """Runs a command in this process, where TensorFlow has been set up long ago."""
    with mock.patch.object(runtime, "start_tensorflow"):
        result = CliRunner().invoke(main, list(map(str, arguments)), prog_name="melgan-tf")
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Ended(result.exit_code, result.stdout, result.stderr)


def program(*arguments: object, file_limit: int | None = None, **popen: object) -> Ended:
    """Runs a command as a program of its own, with no terminal and in the environment of a user.

    Args:
        arguments: the command's.
        file_limit: most bytes that a file may have: writing more fails as on a full disk.
        popen: for `subprocess.run`.
    """
    return python("-c", PROGRAM, *arguments, file_limit=file_limit, **popen)


def python(*arguments: object, file_limit: int | None = None, **popen: object) -> Ended:
    """Runs Python likewise."""
    ours = ("TF_CPP_MIN_LOG_LEVEL", "KERAS_BACKEND", "PYTHONWARNINGS")
    environment = {key: value for key, value in os.environ.items() if key not in ours} | popen.pop("env", {})
    limit = file_limit and (lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, resource.RLIM_INFINITY)))
    done = subprocess.run([sys.executable, *map(str, arguments)], env=environment, preexec_fn=limit, check=False,
                          text=True, **({"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | popen))
    return Ended(done.returncode, done.stdout or "", done.stderr or "")


def in_terminal(script: str, folder: Path, stdout_too: bool = True, **environment: str) -> tuple[str, str]:
    """What a Python program shows on 80 columns of terminal, and what a file took that stdout was sent to."""
    ours, theirs = pty.openpty()
    with open(folder / "stdout", "w+") as file, os.fdopen(ours, "rb", buffering=0) as screen:
        process = subprocess.Popen([sys.executable, "-c", script], stdin=theirs, stderr=theirs,
                                   stdout=theirs if stdout_too else file,
                                   env={**os.environ, "TERM": "xterm", "COLUMNS": "80", **environment})
        os.close(theirs)
        shown = b""
        try:
            while chunk := screen.read(65_536):
                shown += chunk
        except OSError:  # the other end is closed
            pass
        process.wait()
        file.seek(0)
        return shown.decode(), file.read()


def write_sounds(folder: Path, count: int = 16) -> Path:
    """Made-up strokes of a drum: half a second at 16 kHz, each of another pitch, decay and hiss."""
    rng = np.random.default_rng(1)
    seconds = np.arange(8_000) / RATE
    folder.mkdir(parents=True)
    for index in range(count):
        tone = np.sin(2 * np.pi * rng.uniform(60, 2_000) * seconds)
        stroke = (0.6 * tone + 0.2 * rng.standard_normal(8_000)) * np.exp(-rng.uniform(8, 40) * seconds)
        save_wav(folder / f"{index:02d}.wav", np.clip(stroke, -1, 1), RATE)
    return folder


def write_damaged(folder: Path) -> Path:
    """Five files that are called sounds and are none; and one that nobody calls so."""
    folder.mkdir(parents=True)
    save_wav(folder / "silent.wav", np.zeros(8_000), RATE)
    (folder / "truncated.wav").write_bytes((folder / "silent.wav").read_bytes()[:100])
    (folder / "empty.wav").write_bytes(b"")
    (folder / "noise.flac").write_bytes(np.random.default_rng(0).bytes(3_000))
    (folder / "text.wav").write_text("these are not the sounds that you are looking for\n" * 20)
    (folder / "notes.txt").write_text("kick, snare, hat\n")
    return folder


@dataclass(frozen=True)
class TrainedRun:
    """A run of three epochs, and how the command that made it ended. Not to be written to."""

    path: Path
    sounds: Path
    arguments: tuple[str, ...]
    ended: Ended


runs: list[TrainedRun] = []


def trained_once(factory: pytest.TempPathFactory) -> TrainedRun:
    """The run that all tests share, trained when it is first asked for."""
    if not runs:
        folder = factory.mktemp("trained")
        sounds, run = write_sounds(folder / "sounds"), folder / "run"
        arguments = ("train", str(sounds), "--run-dir", str(run), "--epochs", "3", "--log-every", "1", *SHORT)
        runs.append(TrainedRun(run, sounds, arguments, invoke(*arguments)))
    assert runs[0].ended.code == 0, runs[0].ended.stderr
    return runs[0]


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, hidden ones too."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*"))
            if path.is_file()}


def unchanged(folder: Path) -> Callable[[], None]:
    """Takes note of a folder; the function returned asserts that nothing came, went or changed, not even folders."""
    def seen() -> tuple[list[str], dict[str, bytes]]:
        return sorted(str(path) for path in folder.rglob("*")), contents(folder)

    before = seen()

    def check() -> None:
        assert seen() == before

    return check
