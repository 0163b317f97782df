"""Figures of benchmarks as JSON files, ``benchmarks/results/<name>.json``, which the documentation includes.

``python benchmarks/results.py NAME [TABLE]`` prints them as Markdown. A file has the command that made it, the machine
(processor, cores), versions of the packages that matter, the date, and tables::

    {"name": "training_speed", "command": "python benchmarks/training_speed.py", "machine": {...}, "versions": {...},
     "date": "2026-11-28", "tables": {"step": {"columns": ["program", "ms a step"], "rows": [["PyTorch", 47.0]]}}}
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent / "results"
_PACKAGES = ("melgan-tf", "tensorflow", "keras", "numpy", "torch", "librosa", "ai-edge-litert")


def save(name: str, tables: dict[str, dict[str, Any]], folder: Path = FOLDER, note: str = "",
         arguments: Sequence[str] | None = None) -> Path:
    """Writes the tables of a benchmark that has just run on this machine.

    Args:
        name: of the file, without extension.
        tables: by name, each as `table` returns it.
        folder: where to write.
        note: what else a reader should know.
        arguments: of the command that makes all tables, if the one that has just run makes only some of their rows.
    """
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    given = sys.argv[1:] if arguments is None else arguments
    command = " ".join(["python", "benchmarks/" + Path(sys.argv[0]).name, *given])
    content = {"name": name, "command": command, "machine": {"processor": processor(), "cores": cores()},
               "versions": versions, "date": datetime.date.today().isoformat(), "note": note, "tables": tables}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return path


def table(columns: Sequence[str], rows: Sequence[Sequence[str | float]]) -> dict[str, Any]:
    """A table of a results file; numbers are kept to four significant digits, `None` is an empty cell."""
    return {"columns": list(columns), "rows": [[_rounded(cell) for cell in row] for row in rows]}


def markdown(content: dict[str, Any]) -> str:
    """A table in Markdown, numbers to the right."""
    rows, columns = content["rows"], content["columns"]
    numeric = [all(not isinstance(row[i], str) for row in rows) for i in range(len(columns))]
    rule = ["--:" if right else "---" for right in numeric]
    lines = [columns, rule, *([_shown(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def add_option(parser: argparse.ArgumentParser) -> None:
    """The option ``--results`` of every benchmark."""
    parser.add_argument("--results", type=Path, default=FOLDER, metavar="FOLDER", help="write the JSON file there")


def processor() -> str:
    """The processor's name."""
    if Path("/proc/cpuinfo").exists():
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _rounded(cell: str | float | None) -> str | float | None:
    return float(f"{cell:.4g}") if isinstance(cell, float) else cell


def _shown(cell: str | float | None) -> str:
    if cell is None or isinstance(cell, str):
        return cell or ""
    return f"{cell:,.0f}" if isinstance(cell, int) or abs(cell) >= 100 else f"{cell:.3g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name")
    parser.add_argument("table", nargs="?", help="one of its tables; default: all")
    arguments = parser.parse_args()
    content = json.loads((FOLDER / f"{arguments.name}.json").read_text(encoding="utf-8"))
    names = [arguments.table] if arguments.table else content["tables"]
    print("\n\n".join(markdown(content["tables"][name]) for name in names))


if __name__ == "__main__":
    main()
