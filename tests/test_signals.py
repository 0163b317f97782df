"""Signals to stop: training saves, everything else ends cleanly, and nobody has to wait for it."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import click
import preloaded
import pytest
from command_line import GRIFFIN_LIM, PROGRAM, SHORT, trained_once, write_sounds
from told import Told

from melgan_tf.cli.errors import OneLineErrors
from melgan_tf.cli.signals import RaisedSignals
from melgan_tf.runtime.signals import SIGNALS, StopSignals, postponed
from melgan_tf.storage.checkpoints import CheckpointStore
from melgan_tf.storage.temporaries import is_temporary
from melgan_tf.training import callbacks, loop


def send(*numbers: int) -> None:
    for number in numbers:
        os.kill(os.getpid(), number)


@pytest.fixture(autouse=True)
def _restored():
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    after = {number: signal.getsignal(number) for number in SIGNALS}
    for number, handler in before.items():
        signal.signal(number, handler)
    assert after == before


# -- handlers --------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", ["SIGHUP", "SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGXCPU", "SIGALRM"])
def test_the_first_signal_counts_and_others_change_nothing(name):
    came = []
    with StopSignals(came.append) as signals:
        send(getattr(signal, name), signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
    assert came == [getattr(signal, name)] == [signals.received]


@pytest.mark.parametrize("before", [(), (signal.SIGTERM,)])
def test_only_a_second_ctrl_c_is_impatience(before):
    lines = Told()
    with callbacks.Interruption(lines) as interruption:
        interruption.on_train_batch_end(1)
        send(*before, signal.SIGINT)
        first = (*before, signal.SIGINT)[0]
        assert interruption.received == first
        with pytest.raises(loop.Stop):
            interruption.on_train_batch_end(2)
        assert interruption.signal == first
        with pytest.raises(KeyboardInterrupt):
            send(signal.SIGINT)
    again = "" if before else "; once more to stop at once"
    assert lines.warnings == [f"stopping after this step and saving{again}"]


def test_what_is_ignored_stays_ignored_and_other_handlers_stay():
    """`nohup` ignores SIGHUP; a program may have its own use for SIGUSR1."""
    came = []
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, lambda number, frame: came.append(number))
    with StopSignals() as signals:
        send(signal.SIGHUP, signal.SIGUSR1)
        assert (signals.received, came) == (0, [signal.SIGUSR1])
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGUSR1, signal.SIG_DFL)


def test_inner_handlers_go_first_and_outer_ones_learn_of_it():
    came = []
    with StopSignals(came.append) as outer:
        with StopSignals() as inner:
            send(signal.SIGHUP)
        assert (inner.received, outer.received, came) == (signal.SIGHUP, signal.SIGHUP, [])
        send(signal.SIGHUP)  # a terminal's second one: the end is under way
        assert came == []


def test_a_signal_waits_for_the_end_of_a_short_block():
    came = []
    with StopSignals(came.append) as signals:
        with postponed():
            send(signal.SIGTERM)
            assert came == []
        assert came == [signal.SIGTERM] == [signals.received]
        with postponed():
            send(signal.SIGHUP)
        assert came == [signal.SIGTERM]


def test_a_thread_sets_no_handlers():
    found = []

    def run():
        with StopSignals(), postponed():
            found.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found == [signal.getsignal(signal.SIGTERM)]


# -- commands --------------------------------------------------------------------------------------------------------

def wait_until(condition, process, seconds=preloaded.LONGEST):
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None if isinstance(process, subprocess.Popen) else process.is_alive()
        assert time.monotonic() < deadline
        time.sleep(0.002)


def temporaries(folder: Path) -> list[str]:
    return [name for name in os.listdir(folder) if is_temporary(name)]


@pytest.mark.slow
@pytest.mark.parametrize(("command", "number"), [
    (("generate", "--count", 400), signal.SIGHUP), (("export",), signal.SIGUSR1),
    pytest.param(("export", "--format", "tflite"), signal.SIGTERM, marks=pytest.mark.nightly)])
def test_what_writes_ends_cleanly(tmp_path_factory, tmp_path, command, number):
    run, (verb, *options) = trained_once(tmp_path_factory).path, command
    running = preloaded.start(tmp_path / "output", {"TMPDIR": str(tmp_path)}, verb, run, *GRIFFIN_LIM, "--out",
                              tmp_path / "made" / "it", *options)
    made = tmp_path / "made"
    wait_until(lambda: made.exists() and any(map(temporaries, (made, *filter(Path.is_dir, made.iterdir())))),
               running.process)
    os.kill(running.process.pid, number)
    ended = running.ended()
    assert ended.code == 128 + number
    said = ended.stderr.splitlines()[-1]  # stages of the work come before
    assert said.partition(": nothing was kept")[0] == f"melgan-tf: stopped by {signal.Signals(number).name}"
    left = [path for path in tmp_path.rglob("*") if path.parent.name != "output"]
    assert set(left) <= {tmp_path / "output", made}


def raises_another():
    raise TypeError("could not be hashed") from None


@pytest.mark.parametrize("then", [raises_another, None], ids=["another error", "nothing"])
def test_a_library_that_catches_everything_cannot_change_that(capsys, then):
    """As TensorFlow does while it traces a function."""
    def work():
        try:
            signal.raise_signal(signal.SIGTERM)
        except BaseException:
            if then:
                then()
        time.sleep(30)

    assert stopped_by_sigterm(work, capsys)


def test_an_error_after_a_swallowed_signal_is_that_signal(capsys):
    def work():
        with contextlib.suppress(BaseException):
            signal.raise_signal(signal.SIGTERM)
        raise AttributeError("'NoneType' object has no attribute '_type_spec'")

    assert stopped_by_sigterm(work, capsys)


def stopped_by_sigterm(work, capsys):
    started = time.monotonic()
    with pytest.raises(SystemExit) as ended:
        OneLineErrors("melgan-tf", commands={"work": click.Command("work", callback=work)}).main(["work"])
    assert capsys.readouterr().err == "melgan-tf: stopped by SIGTERM\n"
    return ended.value.code == 128 + signal.SIGTERM and time.monotonic() - started < 20


def test_a_cleanup_is_not_disturbed_by_the_repeated_signal(capsys):
    done = []

    def work():
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            time.sleep(3 * RaisedSignals.REPEAT_SECONDS)
            done.append(True)

    assert stopped_by_sigterm(work, capsys)
    assert done == [True]


@pytest.mark.slow
def test_training_saves_and_says_how_to_go_on(tmp_path):
    sounds, run = write_sounds(tmp_path / "sounds"), tmp_path / "run"
    arguments = ("train", sounds, "--run-dir", run, "--epochs", 100_000, *SHORT, "--set",
                 "training.checkpoint_every=1000000")
    running = preloaded.start(tmp_path / "output", {}, *arguments)
    wait_until((run / "history.csv").exists, running.process)
    for number in (signal.SIGUSR2, signal.SIGTERM, signal.SIGHUP):  # a batch system that has lost its patience
        os.kill(running.process.pid, number)
        time.sleep(0.05)  # those that wait at the same time come in the order of their numbers
    ended = running.ended()
    assert ended.code == 128 + signal.SIGUSR2
    step, = CheckpointStore(run / "checkpoints").steps()
    first, *_, last = [line for line in ended.stderr.splitlines() if line.startswith(("warning", "stopped"))]
    assert first == "warning: stopping after this step and saving"
    assert last == (f"stopped after {step} steps, saved; to continue: melgan-tf " + " ".join(map(str, arguments)))


@pytest.mark.slow
def test_training_saves_when_its_terminal_is_closed(tmp_path):
    """The terminal's end is a SIGHUP, and every write to it fails from then on."""
    sounds, run = write_sounds(tmp_path / "sounds"), tmp_path / "run"
    command = [sys.executable, "-c", PROGRAM, "train", sounds, "--run-dir", run, "--epochs", "100000", *SHORT, "--set",
               "training.checkpoint_every=1000000", "--log-every", "1"]
    process_id, terminal = pty.fork()
    if not process_id:
        os.execv(sys.executable, list(map(str, command)))
    shown, deadline = b"", time.monotonic() + preloaded.LONGEST
    while not re.search(rb"\[[1-9]\d*/100000\]", shown):
        shown += os.read(terminal, 65_536)
        assert time.monotonic() < deadline, shown
    os.close(terminal)
    _, status = os.waitpid(process_id, 0)
    assert os.waitstatus_to_exitcode(status) == 128 + signal.SIGHUP
    assert len(CheckpointStore(run / "checkpoints").steps()) == 1


#: A command of a test's own, in a process of its own.
_COMMAND = """
import atexit, os, signal, time, click
from melgan_tf.cli.errors import OneLineErrors
class Swallows:
    def __del__(self):
        os.kill(os.getpid(), int(os.environ["NUMBER"]))
        [None for _ in range(1_000)]
@click.group(cls=OneLineErrors)
def main():
    pass
@main.command()
def swallow():
    Swallows()
    time.sleep(60)
@main.command()
def end():
    atexit.register(os.kill, os.getpid(), signal.SIGHUP)
    os.kill(os.getpid(), int(os.environ["NUMBER"]))
    time.sleep(60)
main()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("command", ["swallow", "end"])
def test_no_signal_is_lost_in_a_destructor_or_comes_too_late_to_be_ignored(number, command):
    done = subprocess.run([sys.executable, "-c", _COMMAND, command], capture_output=True, text=True, timeout=30,
                          check=False, env={**os.environ, "NUMBER": str(int(number))})
    name = "interrupted" if number == signal.SIGINT else "stopped by SIGTERM"
    assert (done.returncode, done.stderr) == (128 + number, f"melgan-tf: {name}\n")
