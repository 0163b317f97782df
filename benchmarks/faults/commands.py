"""The command line in processes of its own that need not load TensorFlow again: they are forked from one that has.

Nothing of TensorFlow but its modules is shared: devices and threads start in each process.
"""

from __future__ import annotations

import atexit
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_CONTROL = {*range(32), 127} - {9, 10, 13}


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        code: exit code, or the negative signal number.
        stdout: what it printed.
        stderr: what it reported.
        seconds: until it ended.
        megabytes: its peak memory, without what it shares with this process.
        hung: it was killed after its time.
    """

    code: int
    stdout: str
    stderr: str
    seconds: float
    megabytes: float
    hung: bool = False

    @property
    def fault(self) -> str:
        """What no command may do, whatever its input; "" if it did nothing of the kind."""
        if self.hung:
            return "hung"
        if "Traceback (most recent call last)" in self.stderr:
            return "traceback"
        if self.code < 0:
            return f"ended by {signal.Signals(-self.code).name}"
        if _CONTROL & {ord(character) for character in self.stdout + self.stderr}:
            return "control characters in the terminal"
        lines = [line for line in self.stderr.splitlines() if not line.startswith("warning: ")]
        if self.code and (len(lines) != 1 or not lines[0].startswith("melgan-tf: ")):
            return "no reason in one line"
        return ""


def load() -> None:
    """Loads what commands load, so that their processes have it."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    os.environ["KERAS_BACKEND"] = "tensorflow"
    from melgan_tf import runtime
    runtime.import_tensorflow()
    import importlib
    for module in ("keras", "matplotlib.figure", "melgan_tf.models.families", "melgan_tf.training.run", "soundfile",
                   "melgan_tf.inference.sampler", "melgan_tf.evaluation.evaluate", "melgan_tf.cli.main",
                   *(f"melgan_tf.cli.{name}" for name in ("prepare", "train", "generate", "export", "vocode",
                                                          "evaluate", "info", "import_torch"))):
        importlib.import_module(module)


def run(*arguments: object, seconds: float = 60.0, megabytes: int = 6000, cwd: Path | None = None,
        env: dict[str, str] | None = None, meanwhile: Callable[[int], None] | None = None,
        program: Callable[[list[str]], Any] | None = None) -> Ended:
    """Runs `melgan-tf` with the arguments.

    Args:
        arguments: the command's.
        seconds: after which it is killed.
        megabytes: most memory that it may ask for.
        cwd: its working directory.
        env: added to its environment.
        meanwhile: is called with its process number as soon as it runs.
        program: runs instead of the command line.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        started = time.perf_counter()
        pid = os.fork()
        if not pid:
            _be_the_command(list(map(str, arguments)), out.fileno(), err.fileno(), megabytes, cwd, env or {}, program)
        if meanwhile:
            meanwhile(pid)
        hung = not _wait(pid, seconds)
        if hung:
            os.kill(pid, signal.SIGKILL)
        _, status, usage = os.wait4(pid, 0)
        _kill_group(pid)
        code = os.waitstatus_to_exitcode(status)
        ended = []
        for file in (out, err):
            file.seek(0)
            ended.append(file.read().decode("utf-8", "surrogateescape"))
        return Ended(code, *ended, time.perf_counter() - started, usage.ru_maxrss / 1024, hung)


def _wait(pid: int, seconds: float) -> bool:
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            return True
        time.sleep(0.005)
    return False


def _kill_group(pid: int) -> None:
    """Ends what the command left running; it leads a group of its own."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _be_the_command(arguments: list[str], out: int, err: int, megabytes: int, cwd: Path | None, env: dict[str, str],
                    program: Callable[[list[str]], Any] | None) -> None:
    code = 70
    atexit._clear()  # what this program has to do when it ends is not the command's
    try:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out, 1)
        os.dup2(err, 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w", buffering=1), os.fdopen(2, "w", buffering=1,
                                                                         errors="backslashreplace")
        os.environ.update(env)
        if cwd:
            os.chdir(cwd)
        resource.setrlimit(resource.RLIMIT_DATA, (megabytes << 20, megabytes << 20))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        from melgan_tf.cli.main import main
        try:
            (program or (lambda given: main(given, prog_name="melgan-tf")))(arguments)
            code = 0
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else int(error.code is not None)
        except BaseException:
            traceback.print_exc()
            code = 1
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)
