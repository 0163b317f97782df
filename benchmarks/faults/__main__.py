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
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent.parent / "tests")]

import results  # noqa: E402  the folder is a program, not a package
from outcome import Outcome  # noqa: E402


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=["all", "record", *KINDS])
    parser.add_argument("--tries", type=int, help="default: those of a full run")
    parser.add_argument("--first", type=int, default=0, help="number of the first case: a run may be done in pieces")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", help="replay one case, by its number or name")
    parser.add_argument("--keep", type=Path, default=Path("build/faults"), metavar="FOLDER")
    results.add_option(parser)
    arguments = parser.parse_args()
    if arguments.kind == "all":  # each in a process of its own, for its peak of memory
        codes = [subprocess.run([sys.executable, str(HERE), kind, "--keep", arguments.keep], check=False).returncode
                 for kind in KINDS]
        record(arguments.keep, arguments.results)
        sys.exit(max(codes))
    if arguments.kind == "record":
        record(arguments.keep, arguments.results)
        return
    module, full = KINDS[arguments.kind]
    first, tries = arguments.first, arguments.tries or full
    outcome = Outcome(arguments.kind, arguments.keep)
    with tempfile.TemporaryDirectory() as folder:
        importlib.import_module(module).run(range(first, first + tries), arguments.seed, outcome, Path(folder),
                                            arguments.only)
    found = outcome.record()
    print(json.dumps(found, indent=1))
    if not arguments.only:
        piece = arguments.keep / "pieces" / f"{arguments.kind}-{arguments.seed}-{first:06d}.json"
        piece.parent.mkdir(parents=True, exist_ok=True)
        piece.write_text(json.dumps({**found, "seed": arguments.seed}))
    sys.exit(bool(found["not held"]))


def record(keep: Path, folder: Path) -> None:
    """Writes the results file from the pieces that have been run."""
    rows = []
    for kind in KINDS:
        pieces = [json.loads(file.read_text()) for file in sorted((keep / "pieces").glob(f"{kind}-*.json"))]
        if not pieces:
            continue
        how, wrong = Counter(), Counter()
        for piece in pieces:
            how.update(piece["how"])
            wrong.update(piece["not held"])
        tries = sum(piece["tries"] for piece in pieces)
        rows.append([kind, tries, how.total(), _listed(how), _listed(wrong),
                     max(piece["megabytes"] for piece in pieces), sum(piece["seconds"] for piece in pieces),
                     f"`python benchmarks/faults {kind} --tries {tries} --seed {pieces[0]['seed']}`"])
    columns = ["kind", "tries", "held", "how", "not held", "MB, largest process", "s", "command"]
    table = results.table(columns, rows)
    results.save("faults", {"faults": table}, folder)
    print(results.markdown(table))


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.most_common()) or "none"


#: The kinds: their module, and how many tries a full run takes.
KINDS = {"sounds": ("damaged_sounds", 20_000), "bits": ("flipped_bits", 3_000), "kills": ("kills", 60),
         "servers": ("hostile_servers", 80), "files": ("hostile_files", 120)}

if __name__ == "__main__":
    main()
