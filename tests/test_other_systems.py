"""What Linux has and other systems lack: simulated by taking it away, as the tests run on Linux only."""

from __future__ import annotations

import functools
import json
import os
import re
import signal
from pathlib import Path

import numpy as np
import pytest
import soundfile
from command_line import invoke, python, write_sounds

from melgan_tf.runtime import system

#: macOS has locks and limits; Windows has neither, nor several signals.
_MISSING = {
    "macOS": {"os": ("sched_getaffinity", "memfd_create"), "signal": ("SIGPWR",), "modules": ()},
    "Windows": {"os": ("sched_getaffinity", "memfd_create", "pread", "sysconf", "geteuid", "register_at_fork",
                       "O_NOFOLLOW", "O_NONBLOCK", "O_DIRECTORY"),
                "signal": ("SIGPWR", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGXCPU", "SIGALRM"),
                "modules": ("fcntl", "resource", "pwd", "grp")},
}
#: Windows lacks all that macOS lacks, and more.
MOST = pytest.mark.parametrize("name", ["Windows", pytest.param("macOS", marks=pytest.mark.nightly)])
_PROGRAM = """
import importlib, json, os, shutil, signal, subprocess, sys, tempfile
missing = json.loads(sys.argv.pop(1))
for module in missing["modules"]:
    sys.modules[module] = None
for name in ("os", "signal"):
    for attribute in missing[name]:
        delattr(importlib.import_module(name), attribute)
import melgan_tf
from melgan_tf.cli.main import main
main(prog_name="melgan-tf")
"""


def elsewhere(name, *arguments, **more):
    """Runs a command in a process that lacks what another system lacks."""
    return python("-c", _PROGRAM, json.dumps(_MISSING[name]), *arguments, **more)


@pytest.mark.slow
@pytest.mark.parametrize("name", _MISSING)
def test_help_and_information(name, tmp_path):
    ended = elsewhere(name, "--help")
    assert (ended.code, ended.stderr) == (0, "")
    assert ended.stdout.startswith("Usage: melgan-tf ")
    sounds = write_sounds(tmp_path / "sounds", 3)
    (sounds / "broken.flac").write_bytes(b"fLaC" + bytes(100))
    ended = elsewhere(name, "info", sounds)
    assert (ended.code, ended.stderr) == (0, ""), ended.stderr
    assert "typically 0.5 s" in ended.stdout
    ended = elsewhere(name, "info", sounds / "00.wav")
    assert (ended.code, ended.stderr) == (0, "")
    assert "16 kHz" in ended.stdout
    assert elsewhere(name, "info", sounds / "broken.flac").code == 1


@pytest.mark.slow
@MOST
def test_sounds_are_the_same(name, tmp_path):
    for out, run in (("here", invoke), ("there", functools.partial(elsewhere, name))):
        ended = run("generate", "pretrained:drums", "--count", 2, "--out", tmp_path / out, "--quiet")
        assert (ended.code, ended.stderr) == (0, "")
    names = sorted(path.name for path in (tmp_path / "here").glob("*.wav"))
    assert names == sorted(path.name for path in (tmp_path / "there").glob("*.wav"))
    for sound in names:
        assert np.array_equal(*(soundfile.read(tmp_path / out / sound)[0] for out in ("here", "there")))
    assert not [path for path in (tmp_path / "there").iterdir() if path.name.startswith(".")]


@pytest.mark.slow
@MOST
def test_a_vocoder_copies_sounds_of_several_formats(name, tmp_path):
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(22_050) / 22_050)
    for kind in ("wav", "flac", "ogg", "mp3"):
        soundfile.write(tmp_path / f"{kind}.{kind}", tone, 22_050)
    inputs = sorted(path for path in tmp_path.iterdir())
    (tmp_path / "bad.wav").write_bytes(b"RIFF")
    ended = elsewhere(name, "vocode", *inputs, tmp_path / "bad.wav", "--out", tmp_path / "out")
    assert ended.code == 0, ended.stderr
    assert "4 sounds in" in ended.stdout
    assert len(list((tmp_path / "out").glob("*.wav"))) == 4


def test_reading_at_a_place_leaves_the_position(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(bytes(range(100)))
    with open(tmp_path / "file", "rb", buffering=0) as file:
        file.seek(7)
        for _ in range(2):
            assert system.read_at(file.fileno(), 3, 50) == bytes([50, 51, 52])
            assert system.read_at(file.fileno(), 3, 99) == bytes([99])
            assert file.tell() == 7
            monkeypatch.delattr(os, "pread", raising=False)


def test_locks_exclude_each_other(tmp_path, monkeypatch):
    first, second = (os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT) for _ in range(2))
    system.lock(first)
    with pytest.raises(BlockingIOError):
        system.lock(second)
    monkeypatch.setattr(system, "fcntl", None)
    with pytest.raises(OSError, match="no locks"):  # there is no msvcrt here
        system.lock(second)
    for handle in (first, second):
        os.close(handle)


@pytest.mark.parametrize("posix", [True, False])
def test_a_signal_reaches_the_process(posix, monkeypatch):
    received = []
    monkeypatch.setattr(system, "fcntl", system.fcntl if posix else None)
    before = signal.signal(signal.SIGUSR1, lambda number, frame: received.append(number))
    try:
        system.interrupt(signal.SIGUSR1)
        assert received == [signal.SIGUSR1]
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_only_one_module_knows_systems():
    root = Path(system.__file__).parents[2]
    found = {path.name for folder in ("melgan_tf", "cli") for path in (root / folder).rglob("*.py")
             if re.search(r"^ *import (fcntl|resource)$|os\.(pread|memfd_create|sched_getaffinity|sysconf|geteuid)\b",
                          path.read_text(encoding="utf-8"), re.MULTILINE)}
    assert found == {"system.py"}
