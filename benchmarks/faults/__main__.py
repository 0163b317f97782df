"""Faults: damaged and hostile files, servers and signals against melgan-tf, counted.

    python benchmarks/faults sounds --tries 20000 --seed 0
    python benchmarks/faults all

A case that does not hold is kept in a folder with what replays it.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent.parent / "tests")]

from outcome import Outcome  # noqa: E402  the folder is a program, not a package


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=["sounds"])
    parser.add_argument("--tries", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="replay one case")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--keep", type=Path, default=Path("build/faults"), metavar="FOLDER")
    arguments = parser.parse_args()
    import damaged_sounds
    outcome = Outcome(arguments.kind, f"python benchmarks/faults {arguments.kind} --tries {arguments.tries} "
                      f"--seed {arguments.seed}", arguments.keep)
    damaged_sounds.run(arguments.tries, arguments.seed, outcome, arguments.workers, arguments.only)
    print(json.dumps(outcome.record(), indent=1))


if __name__ == "__main__":
    main()
