"""Temporary files and folders: gone at the end, whoever ends their owner; never taken from a living one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from melgan_tf import storage
from melgan_tf.errors import MelGANError
from melgan_tf.storage.atomic import atomic_folder, atomic_write, write_text
from melgan_tf.storage.locks import LeaseLostError, locked_folder
from melgan_tf.storage.temporaries import is_temporary, new_name, sweep, temporary_file, temporary_folder

#: Makes a temporary of each kind in a folder and waits for the end.
_OWNER = """
import sys, time
from pathlib import Path
from melgan_tf import storage
from melgan_tf.storage.atomic import atomic_write
with storage.temporary_folder(Path(sys.argv[1])) as folder, atomic_write(Path(sys.argv[1], "name")) as file:
    (folder / "half").write_text("half")
    file.write_text("half")
    print("ready", flush=True)
    time.sleep(60)
"""


def test_a_dead_owners_temporaries_are_swept_and_a_living_ones_stay(tmp_path):
    with subprocess.Popen([sys.executable, "-c", _OWNER, str(tmp_path)], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout.readline() == "ready\n"
        before = sorted(os.listdir(tmp_path))
        assert [is_temporary(name) for name in before] == [True, True]
        sweep(tmp_path)
        assert sorted(os.listdir(tmp_path)) == before
        owner.send_signal(signal.SIGKILL)
        owner.wait(10)
    assert sorted(os.listdir(tmp_path)) == before
    with temporary_file(tmp_path) as ours:  # the next to make one there sweeps
        assert os.listdir(tmp_path) == [ours.name]
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("make", [temporary_file, temporary_folder])
def test_a_temporary_goes_at_the_end_and_after_an_error(tmp_path, make):
    for error in (None, ValueError, KeyboardInterrupt):
        try:
            with make(tmp_path) as path:
                sweep(tmp_path)  # its owner lives
                assert path.exists()
                if error:
                    raise error
        except (ValueError, KeyboardInterrupt):
            pass
        assert os.listdir(tmp_path) == []
    with make(tmp_path) as path:
        path.rename(tmp_path / "kept")
    assert os.listdir(tmp_path) == ["kept"]


def test_what_is_not_ours_stays(tmp_path):
    """Other programs' files, what only looks like a temporary, and those of another machine for a day."""
    foreign = tmp_path / new_name().replace("melgan-tf-", "melgan-tf-x")
    foreign.mkdir()
    (tmp_path / ".download.part").write_text("")
    target = tmp_path / "target"
    target.write_text("kept")
    (tmp_path / new_name()).symlink_to(target)
    os.mkfifo(tmp_path / new_name())
    before = sorted(os.listdir(tmp_path))
    sweep(tmp_path)
    assert sorted(os.listdir(tmp_path)) == before
    os.utime(foreign, (time.time() - 100_000,) * 2)
    sweep(tmp_path)
    assert sorted(os.listdir(tmp_path)) == sorted(set(before) - {foreign.name})
    sweep(tmp_path / "missing")


def test_a_file_system_without_locks_keeps_what_it_cannot_tell(tmp_path, monkeypatch):
    def unsupported(handle, operation):
        raise OSError(9, "Bad file descriptor")

    left = tmp_path / new_name()
    left.mkdir()
    monkeypatch.setattr("melgan_tf.runtime.system.fcntl.flock", unsupported)
    with storage.temporary_folder(tmp_path) as folder:
        assert sorted(os.listdir(tmp_path)) == sorted([left.name, folder.name])
    assert os.listdir(tmp_path) == [left.name]
    write_text(tmp_path / "text", "whole")
    assert (tmp_path / "text").read_text() == "whole"


# -- folders that go while they are locked ---------------------------------------------------------------------------

def _replaced(folder):
    folder.rename(folder.with_name("moved"))
    (folder / "checkpoints").mkdir(parents=True)


def _write_while(path, happens):
    with atomic_write(path) as file:
        file.write_text("2")
        happens()
        if path.parents[1].exists():  # else the end of the block fails by itself
            raise OSError(28, "No space left on device")


@pytest.mark.parametrize("lose", [
    lambda folder: subprocess.run(["rm", "-r", folder], check=True),
    lambda folder: folder.rename(folder.with_name("moved")),
    _replaced,
    lambda folder: ((folder / ".lock").unlink(), (folder / ".lock").touch())],
    ids=["removed", "moved", "replaced", "locked by another"])
def test_nothing_is_written_to_a_folder_that_is_no_longer_the_one_that_was_locked(tmp_path, lose):
    run = tmp_path / "run"
    with locked_folder(run / ".lock", run, "run directory RUN", "busy", lambda: True):
        write_text(run / "checkpoints/step", "1")
        with pytest.raises(LeaseLostError, match="run directory RUN was removed, moved or replaced"):
            _write_while(run / "checkpoints/step", lambda: lose(run))
        before = sorted(map(str, tmp_path.rglob("*")))
        with pytest.raises(LeaseLostError):
            write_text(run / "checkpoints/step", "3")
        assert sorted(map(str, tmp_path.rglob("*"))) == before
    write_text(run / "free", "")  # a lock that has ended guards nothing


def test_a_lock_file_that_somebody_tidied_away_ends_nothing(tmp_path):
    with locked_folder(tmp_path / ".lock", tmp_path, "it", "busy", lambda: True):
        (tmp_path / ".lock").unlink()
        write_text(tmp_path / "text", "whole")
    with locked_folder(tmp_path / ".lock", tmp_path, "it", "busy", lambda: True), pytest.raises(
            MelGANError, match="busy"), locked_folder(tmp_path / ".lock", tmp_path, "it", "busy", lambda: True):
        pass


def test_an_atomic_folder_that_fails_leaves_no_parents(tmp_path):
    with pytest.raises(ZeroDivisionError), atomic_folder(tmp_path / "a/b/c"):
        raise ZeroDivisionError
    assert os.listdir(tmp_path) == []
    with atomic_folder(tmp_path / "a/b") as folder:
        (folder / "file").touch()
    assert os.listdir(tmp_path / "a/b") == ["file"]
    assert os.listdir(tmp_path / "a") == ["b"]
