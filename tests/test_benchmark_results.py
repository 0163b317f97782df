"""Results of benchmarks: the files that the documentation includes, and how they are written."""

from __future__ import annotations

import datetime
import importlib.util
import json
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent.parent / "benchmarks"
_spec = importlib.util.spec_from_file_location("results", FOLDER / "results.py")
results = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(results)


@pytest.mark.parametrize("path", sorted((FOLDER / "results").glob("*.json")), ids=lambda path: path.stem)
def test_a_result_names_its_command_machine_versions_and_date(path):
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["name"] == path.stem
    script = content["command"].split()[1]
    assert (FOLDER.parent / script).exists()
    assert content["machine"]["processor"]
    assert content["machine"]["cores"] >= 1
    assert content["versions"]["python"]
    assert datetime.date.fromisoformat(content["date"])
    for table in content["tables"].values():
        assert {len(row) for row in table["rows"]} == {len(table["columns"])}
        assert len(results.markdown(table).splitlines()) == len(table["rows"]) + 2


def test_tables_in_markdown():
    table = results.table(["name", "ms", "files"], [["a", 0.123456, 20_000], ["b", 1234.56, None]])
    assert results.markdown(table).splitlines() == [
        "| name | ms | files |", "| --- | --: | --: |", "| a | 0.123 | 20,000 |", "| b | 1,235 |  |"]


def test_saved_results_can_be_read(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["/somewhere/benchmarks/speed.py", "--rounds", "3"])
    path = results.save("speed", {"step": results.table(["ms"], [[1.5]])}, tmp_path, note="On battery.")
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["command"] == "python benchmarks/speed.py --rounds 3"
    assert content["note"] == "On battery."
    assert content["tables"] == {"step": {"columns": ["ms"], "rows": [[1.5]]}}
    assert {"python", "numpy"} <= content["versions"].keys()
