"""Faults: damaged and hostile files, servers and signals against melgan-tf, counted.

    python benchmarks/faults sounds --tries 20000 --seed 0
    python benchmarks/faults all

A case that does not hold is kept in a folder with what replays it.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent.parent / "tests")]

from outcome import Outcome  # noqa: E402  the folder is a program, not a package


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=list(KINDS))
    parser.add_argument("--tries", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", help="replay one case, by its number or name")
    parser.add_argument("--keep", type=Path, default=Path("build/faults"), metavar="FOLDER")
    arguments = parser.parse_args()
    tries = arguments.tries or KINDS[arguments.kind][1]
    outcome = Outcome(arguments.kind, f"python benchmarks/faults {arguments.kind} --tries {tries} "
                      f"--seed {arguments.seed}", arguments.keep)
    with tempfile.TemporaryDirectory() as folder:
        module = importlib.import_module(KINDS[arguments.kind][0])
        module.run(tries, arguments.seed, outcome, Path(folder), arguments.only)
    print(json.dumps(outcome.record(), indent=1))


#: The kinds: their module, and how many tries a full run takes.
KINDS = {"sounds": ("damaged_sounds", 20_000), "bits": ("flipped_bits", 3_000), "kills": ("kills", 60),
         "servers": ("hostile_servers", 80), "files": ("hostile_files", 600)}

if __name__ == "__main__":
    main()
