"""What commands that make sounds take from a cold interpreter: the first of a model, the next, a thousand sounds.

    python benchmarks/command_start.py [--rounds 5]

CPU time (user and system) counts, as on a shared machine it says more than the wall clock; the ratio is to
``import tensorflow, keras`` in the same rounds.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import results

PROGRAM = ("-c", "from melgan_tf.cli.main import main; main()")
DRUMS = "pretrained:drums"


def commands(folder: Path) -> Iterator[tuple[str, list[str], dict[str, str]]]:
    """Name, arguments of Python and environment of what is measured, in this order."""
    kept, none = {"MELGAN_TF_CACHE": str(folder / "kept")}, {"MELGAN_TF_CACHE": "off"}
    sound = folder / "sound" / "kick-drums-seed0-0000.wav"

    def generate(count: int, out: str, *more: str) -> list[str]:
        return [*PROGRAM, "generate", DRUMS, "--count", str(count), "--out", str(folder / out), "--quiet", "--force",
                *more]

    yield "import tensorflow, keras", ["-c", "import tensorflow, keras"], none
    yield "import numpy", ["-c", "import numpy"], none
    yield "generate --count 1, nothing kept (MELGAN_TF_CACHE=off)", generate(1, "off"), none
    yield "generate --count 1, the first time", generate(1, "sound", "--label", "kick"), kept
    yield "generate --count 1, from then on", generate(1, "sound", "--label", "kick"), kept
    yield "vary, 8 variations", [*PROGRAM, "vary", str(sound), "--out", str(folder / "varied"), "--quiet",
                                 "--force"], kept
    yield "regenerate", [*PROGRAM, "regenerate", str(sound), "--out", str(folder / "again"), "--quiet", "--force"], kept
    yield "generate --count 1000", generate(1000, "many"), kept


def seconds(arguments: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """CPU and wall seconds of a process of Python."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    environment = {**os.environ, **environment, "TF_CPP_MIN_LOG_LEVEL": "3"}
    subprocess.run([sys.executable, *arguments], check=True, env=environment)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def main() -> None:
    """Measures and writes ``results/command_start.json``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    arguments, measured = parser.parse_args(), {}
    for _ in range(arguments.rounds):
        with tempfile.TemporaryDirectory() as folder:
            for name, command, environment in commands(Path(folder)):
                measured.setdefault(name, []).append(seconds(command, environment))
    cpu = {name: statistics.median(each for each, _ in times) for name, times in measured.items()}
    rows = [[name, cpu[name], min(wall for _, wall in times), cpu[name] / cpu["import tensorflow, keras"]]
            for name, times in measured.items()]
    content = results.table(["process", "CPU seconds, median", "wall seconds, least", "times the import"], rows)
    print(results.markdown(content))
    results.save("command_start", {"processes": content}, note=f"{arguments.rounds} rounds; {DRUMS}")


if __name__ == "__main__":
    main()
