"""The house itself: what is listed for installation, how large files are, which words stay outside."""

from __future__ import annotations

import ast
import configparser
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PRODUCT = [file for top in ("melgan_tf", "cli", "exports") for file in sorted((ROOT / top).rglob("*.py"))]
TESTS = sorted((ROOT / "tests").rglob("*.py"))


def test_every_package_is_installed():
    listed = configparser.ConfigParser()
    listed.read(ROOT / "setup.cfg")
    packages = set(listed["options"]["packages"].split())
    folders = {file.parent.relative_to(ROOT).as_posix() for file in PRODUCT if file.name == "__init__.py"}
    assert packages == {(folder if folder.startswith("melgan_tf") else f"melgan_tf/{folder}").replace("/", ".")
                        for folder in folders}
    assert all((file.parent / "__init__.py").exists() for file in PRODUCT)


def test_the_package_shows_few_rooms():
    assert len([entry for entry in (ROOT / "melgan_tf").iterdir() if entry.name != "__pycache__"]) <= 16


@pytest.mark.parametrize("file", TESTS, ids=lambda file: file.name)
def test_no_test_file_is_long(file):
    assert len(file.read_text(encoding="utf-8").splitlines()) <= 400


def imports(file):
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            yield node.module or ""
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names)


def test_nothing_below_imports_the_command_line():
    """import-linter sees `cli` and `exports` as packages of their own, not by their installed names."""
    above = {str(file): [name for name in imports(file) if name.startswith("melgan_tf.cli")]
             for file in PRODUCT if "cli" not in file.relative_to(ROOT).parts}
    assert not {file: names for file, names in above.items() if names}


def test_configurations_and_commands_load_no_tensorflow():
    """At module level: TensorFlow takes seconds to import."""
    for file in PRODUCT:
        path = file.relative_to(ROOT)
        if "config" in path.parts or path.name in ("config.py", "presets.py") or path.parts[0] == "cli" and \
                "maintain" not in path.parts:
            top = ast.parse(file.read_text(encoding="utf-8")).body
            names = [name.name for node in top if isinstance(node, ast.Import) for name in node.names]
            assert not {"tensorflow", "keras"} & set(names), path


def test_nothing_that_is_read_can_run():
    """Files and answers from elsewhere are data: no pickles, no arrays of objects, no evaluated text."""
    found = []
    for file in PRODUCT:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                name = f"{node.value.id}.{node.attr}"
                bad = node.value.id in ("pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "yaml")
                if bad and name != "pickle.UnpicklingError":
                    found.append((file.name, name))
            if isinstance(node, ast.Call):
                if isinstance(node.func, ast.Name) and node.func.id in ("eval", "exec", "compile", "__import__"):
                    found.append((file.name, node.func.id))
                found += [(file.name, word.arg) for word in node.keywords if isinstance(word.value, ast.Constant)
                          and (word.arg, word.value.value) in (("allow_pickle", True), ("weights_only", False))]
        found += [(file.name, name) for name in imports(file) if name.startswith("multiprocessing.")
                  and name != "multiprocessing.connection"]
    assert not found
