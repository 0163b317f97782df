"""How commands end: errors in one line, the exit code, and what is stopped by a signal."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
import traceback
from typing import NoReturn

import click

from melgan_tf import storage
from melgan_tf.cli.console import prepare_streams, tell
from melgan_tf.cli.signals import RaisedSignals, silence_after
from melgan_tf.errors import MelGANError, did_you_mean
from melgan_tf.runtime.signals import Stopped


class OneLineErrors(click.Group):
    """Ends every foreseen failure with one line on stderr and its exit code; ``--debug`` shows the traceback.

    Signals to stop end a command in the same way, with 128 + the signal's number.
    """

    def main(self, *args: object, **kwargs: object) -> NoReturn:
        if kwargs.pop("standalone_mode", True) is False:
            return super().main(*args, standalone_mode=False, **kwargs)
        prepare_streams()
        own_process = not args and kwargs.get("args") is None  # the arguments are those of the process
        with RaisedSignals() as signals, silence_after(signals) if own_process else contextlib.nullcontext():
            try:
                self._run(signals, *args, **kwargs)
            except SystemExit as end:
                signals.obeyed()
                if own_process:
                    signals.exit_code = _exit_code(end.code)
                    atexit.register(signals.ignore)
                leave(end.code)
            except BaseException:
                signals.obeyed()
                if not _cannot_exit_normally():
                    raise
                traceback.print_exc()
                leave(1)

    def _run(self, signals: RaisedSignals, *args: object, **kwargs: object) -> NoReturn:
        try:
            with signals.whatever_comes_of_them():
                code = super().main(*args, standalone_mode=False, **kwargs)
        except click.ClickException as error:
            command = error.ctx.command_path if getattr(error, "ctx", None) else "melgan-tf"
            _fail(f"{_message(error)} (see `{command} --help`)", error.exit_code)
        except MelGANError as error:
            if _debugging():
                raise
            _fail(str(error), error.exit_code)
        except Stopped as stopped:
            name = "interrupted" if stopped.number == signal.SIGINT else \
                f"stopped by {signal.Signals(stopped.number).name}"
            tell(stopped.message or f"melgan-tf: {name}")
            sys.exit(128 + stopped.number)
        except (KeyboardInterrupt, click.Abort):
            _fail("interrupted", 130)
        except OSError as error:
            if _debugging():
                raise
            _fail(f"{error.filename or 'input/output'}: {error.strerror or error}", 1)
        sys.exit(code if isinstance(code, int) else 0)


def _exit_code(code: object) -> int:
    return code if isinstance(code, int) else 0 if code is None else 1


def leave(code: object) -> NoReturn:
    """Ends the process; skips the shutdown of libraries where it fails."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):  # or Python would fail on it once more, with an exit code of its own
            with contextlib.suppress(OSError, ValueError), open(os.devnull, "w") as nowhere:
                os.dup2(nowhere.fileno(), stream.fileno())
    if not _cannot_exit_normally():
        sys.exit(code)
    with contextlib.suppress(Exception):
        atexit._run_exitfuncs()  # deletes temporary folders
    os._exit(_exit_code(code))


def _cannot_exit_normally() -> bool:
    """Whether the shutdown of libraries may abort or hang.

    tensorflow-io's file systems abort ("pure virtual method called", exit code 134). With several GPUs TensorFlow may
    wait for ever: it destroys input pipelines while the threads that fill the devices' buffers still use them.
    """
    if storage.needs_hard_exit():
        return True
    tensorflow = sys.modules.get("tensorflow")
    with contextlib.suppress(AttributeError, RuntimeError):
        return tensorflow is not None and len(tensorflow.config.list_physical_devices("GPU")) > 1
    return False


def _debugging() -> bool:
    return "--debug" in sys.argv[1:2]


def _message(error: click.ClickException) -> str:
    """What click says, with the nearest of all options, or of an option's values, where it does not know one."""
    if isinstance(error, click.BadParameter) and isinstance(getattr(error.param, "type", None), click.Choice):
        value = error.message.partition(" is not one of ")[0].strip("'")
        hint = did_you_mean(value, map(str, error.param.type.choices), "")
        return error.format_message().rstrip(".") + (f": {hint}" if hint.endswith("?") else "")
    if not isinstance(error, click.NoSuchOption) or not error.ctx:
        return error.format_message().rstrip(".")
    names = [name for option in error.ctx.command.params for name in (*option.opts, *option.secondary_opts)]
    known = [name for name in names if name.startswith("--")]
    return f"{error.message.rstrip('.')}: {did_you_mean(error.option_name, known, 'options are')}"


def _fail(message: str, code: int) -> NoReturn:
    tell(f"melgan-tf: {' '.join(message.split())}")
    sys.exit(code)
