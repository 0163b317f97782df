"""What strangers give is data: nothing in a run directory, a folder of sounds or the place of a call is executed."""

from __future__ import annotations

import json
import pickle
import shutil

import numpy as np
import pytest
from command_line import GRIFFIN_LIM, PROGRAM, python, trained_once, write_sounds

#: Runs commands and notes every event by which Python executes something that lies below a folder, or unpickles.
WATCHED = """
import os, sys
folder, *commands = sys.argv[1:]
seen = []
EVENTS = ("compile", "exec", "import", "ctypes.dlopen", "os.system", "os.exec", "os.posix_spawn", "subprocess.Popen")
def hook(event, arguments):
    text = " ".join(str(getattr(argument, "co_filename", argument)) for argument in arguments)
    if event == "pickle.find_class" or event in EVENTS and (folder in text or "canary" in text):
        seen.append((event, text[:300]))
sys.addaudithook(hook)
from melgan_tf.cli.main import main
for command in commands:
    try:
        main(command.split("\\t"), prog_name="melgan-tf")
    except SystemExit:
        pass
print("SEEN", seen)
"""


class Scheme:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        return open, (str(self.canary), "w")


@pytest.fixture
def hostile(tmp_path_factory, tmp_path):
    """A run directory with modules beside its files, and one in which every file is something to execute."""
    run, canary = tmp_path / "stranger", tmp_path / "canary"
    shutil.copytree(trained_once(tmp_path_factory).path, run)
    code = f"open({str(canary)!r}, 'w')\n"
    for name in ("melgan_tf.py", "numpy.py", "keras.py", "json.py", "av.py", "sitecustomize.py", "__init__.py",
                 "checkpoints/__init__.py", "conftest.py", "setup.py"):
        (run / name).write_text(code)
    all_bad = tmp_path / "all bad"
    shutil.copytree(run, all_bad)
    for file in sorted(path for path in all_bad.rglob("*") if path.is_file() and path.suffix != ".py"):
        file.write_bytes(pickle.dumps(Scheme(canary)))
    bad = tmp_path / "bad"
    shutil.copytree(run, bad)
    (bad / "history.csv").write_text(f"=cmd|' /C touch {canary}'!A0\n")
    record = json.loads((bad / "config.json").read_text())
    record["versions"] |= {"!!python/object/apply:os.system": f"__import__('os').system('touch {canary}')"}
    (bad / "config.json").write_text(json.dumps(record))
    for file in (bad / "checkpoints").glob("*.npz"):
        np.savez(file, meta=np.array([Scheme(canary)], dtype=object))
    return run, bad, all_bad, canary


@pytest.mark.slow
def test_nothing_in_a_run_directory_is_executed(hostile, tmp_path):
    *runs, canary = hostile
    commands = []
    for number, run in enumerate(runs):
        commands += ["\t".join(map(str, command)) for command in (
            ("info", run), ("generate", run, *GRIFFIN_LIM, "--out", tmp_path / f"out{number}", "--count", 1))]
    ended = python("-P", "-c", WATCHED, tmp_path, *commands, cwd=runs[0])
    assert ended.stdout.splitlines()[-1] == "SEEN []", ended.stdout + ended.stderr
    assert (tmp_path / "out0" / "sounds.json").exists()  # the whole run is used, modules or not
    assert not (tmp_path / "out1").exists()
    assert not (tmp_path / "out2").exists()
    assert not canary.exists()


def test_the_place_of_a_call_is_no_place_for_modules(tmp_path):
    """Decoders run in processes of their own, which must not find a stranger's numpy.py first."""
    canary, place = tmp_path / "canary", write_sounds(tmp_path / "stranger", 2)
    for name in ("numpy", "av", "soundfile", "melgan_tf", "json", "struct"):
        (place / f"{name}.py").write_text(f"open({str(canary)!r}, 'w')\n")
    # as the installed command, which is a script: without the working directory in its own path
    ended = python("-P", "-c", PROGRAM, "prepare", place, tmp_path / "out", "--quiet", cwd=place)
    assert ended.code == 0, ended.stderr
    assert not canary.exists()
