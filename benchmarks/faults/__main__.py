"""Faults: damaged and hostile files, servers and signals against melgan-tf, counted.

    python benchmarks/faults sounds --tries 20000 --seed 0
    python benchmarks/faults all

A case that does not hold is kept in a folder with what replays it.
"""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent.parent / "tests")]

import results  # noqa: E402  the folder is a program, not a package
from outcome import Outcome  # noqa: E402


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=["all", *KINDS])
    parser.add_argument("--tries", type=int, help="default: those of a full run, which is recorded")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", help="replay one case, by its number or name")
    parser.add_argument("--keep", type=Path, default=Path("build/faults"), metavar="FOLDER")
    results.add_option(parser)
    arguments = parser.parse_args()
    if arguments.kind == "all":  # each in a process of its own, for its peak of memory
        codes = [subprocess.run([sys.executable, str(HERE), kind, *sys.argv[2:]], check=False).returncode
                 for kind in KINDS]
        sys.exit(max(codes))
    module, full = KINDS[arguments.kind]
    tries = arguments.tries or full
    outcome = Outcome(arguments.kind, f"python benchmarks/faults {arguments.kind} --tries {tries} "
                      f"--seed {arguments.seed}", arguments.keep)
    with tempfile.TemporaryDirectory() as folder:
        importlib.import_module(module).run(tries, arguments.seed, outcome, Path(folder), arguments.only)
    record = outcome.record()
    print(json.dumps(record, indent=1))
    if tries >= full and not arguments.only:
        _save(record, arguments.results)
    sys.exit(bool(record["not held"]))


def _save(record: dict[str, Any], folder: Path) -> None:
    """Puts a kind's row into the results file, beside those of the others."""
    file = folder / "faults.json"
    rows = json.loads(file.read_text())["tables"]["faults"]["rows"] if file.exists() else []
    how = ", ".join(f"{name} {count:,}" for name, count in record["how"].items())
    wrong = ", ".join(f"{name} {count:,}" for name, count in record["not held"].items()) or "none"
    new = [record["kind"], record["tries"], record["held"], how, wrong, record["megabytes"], record["seconds"],
           f"`{record['command']}`"]
    rows = sorted([*(row for row in rows if row[0] != record["kind"]), new], key=lambda row: list(KINDS).index(row[0]))
    columns = ["kind", "tries", "held", "how", "not held", "MB, largest process", "s", "command"]
    results.save("faults", {"faults": results.table(columns, rows)}, folder)


#: The kinds: their module, and how many tries a full run takes.
KINDS = {"sounds": ("damaged_sounds", 20_000), "bits": ("flipped_bits", 3_000), "kills": ("kills", 60),
         "servers": ("hostile_servers", 80), "files": ("hostile_files", 300)}

if __name__ == "__main__":
    main()
