"""What checks a SavedModel, forked from a process with TensorFlow but neither Keras nor this package: its start takes
four seconds, and is the subject of `test_saved_model` alone."""

from __future__ import annotations

import atexit
import functools
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import pytest

from melgan_tf.exports import check, saved_model

#: Takes lines of JSON (the arguments, files for stdout and stderr) and answers each with an exit code.
_SERVER = """
import json, os, runpy, sys, traceback
from importlib.machinery import ModuleSpec
class Absent:
    def find_spec(self, name, path=None, target=None):
        return ModuleSpec(name, self) if name.split(".")[0] in ("keras", "melgan_tf") else None
    def create_module(self, spec):
        raise ModuleNotFoundError(spec.name)
    def exec_module(self, module):
        raise ModuleNotFoundError(module)
sys.meta_path.insert(0, Absent())
import numpy, tensorflow
from tensorflow.core.protobuf import saved_model_pb2
for line in sys.stdin:
    arguments, *files = json.loads(line)
    child = os.fork()
    if not child:
        for descriptor, file in zip((1, 2), files):
            os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT), descriptor)
        sys.argv, code = arguments, 0
        try:
            runpy.run_path(arguments[0], run_name="__main__")
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
            print(end, file=sys.stderr)
        except BaseException:
            code = 1
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@functools.cache
def _server() -> subprocess.Popen:
    server = subprocess.Popen([sys.executable, "-I", "-c", _SERVER], text=True, stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE)
    atexit.register(lambda: (server.kill(), server.communicate()))
    return server


def _run(command: list[object], **options: object) -> subprocess.CompletedProcess:
    if command[2] != saved_model.RUNNER:
        return subprocess.run(command, **options)
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / name for name in ("stdout", "stderr")]
        server = _server()
        print(json.dumps([[*map(str, command[2:])], *map(str, files)]), file=server.stdin, flush=True)
        code = int(server.stdout.readline())
        return subprocess.CompletedProcess(command, code, *(file.read_text() for file in files))


@pytest.fixture(scope="module")
def forked_checks() -> Iterator[None]:
    """Exports of the module's tests are checked so."""
    with mock.patch.object(check, "subprocess", SimpleNamespace(run=_run)):
        yield
