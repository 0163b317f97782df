"""A small part of every kind of fault that `benchmarks/faults` counts: all of it holds."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parent.parent / "benchmarks" / "faults"


@pytest.mark.parametrize(("kind", "tries"), [
    pytest.param("sounds", 100, marks=pytest.mark.slow),
    *(pytest.param(kind, tries, marks=pytest.mark.nightly) for kind, tries in (
        ("sounds", 4_000), ("bits", 400), ("kills", 12), ("servers", 80), ("files", 60)))])
def test_every_case_holds(tmp_path, kind, tries):
    done = subprocess.run([sys.executable, PROGRAM, kind, "--tries", str(tries), "--seed", "3", "--keep", tmp_path],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    found = json.loads(done.stdout)
    assert found["tries"] == found["held"] == tries
    assert 0 < found["megabytes"] < 1_500
    assert [entry.name for entry in tmp_path.iterdir()] == ["pieces"]
