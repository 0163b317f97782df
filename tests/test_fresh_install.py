"""What a stranger does first, with every supported Python: install into an empty environment, start every tool."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PYENV = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"


def interpreter(version: str) -> str | None:
    """A Python of that version: by its name, or as pyenv keeps it."""
    kept = sorted(str(path) for path in PYENV.glob(f"{version}.*/bin/python{version}"))
    for python in filter(None, (shutil.which(f"python{version}"), *kept)):
        if subprocess.run([python, "-c", "import venv"], capture_output=True, check=False).returncode == 0:
            return python
    return None


def run(*command: object, **options: object) -> str:
    """What a command prints; it must end with 0."""
    done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False, **options)
    assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}"
    return done.stdout


@pytest.mark.nightly
@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_every_tool_starts_in_an_empty_environment(tmp_path, version):
    python = interpreter(version)
    if not python:
        pytest.skip(f"no Python {version} here")
    source, tools = tmp_path / "source", tmp_path / "venv" / "bin"
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(".*", "build", "*.egg-info", "tests", "site"))
    run(python, "-m", "venv", tmp_path / "venv")
    run(tools / "pip", "install", "--quiet", source)  # as README says: the newest that fits, not what is locked
    run(tools / "pip", "check")
    place = tmp_path / "place"
    place.mkdir()
    assert "generate" in run(tools / "melgan-tf", "--help", cwd=place)
    run(tools / "melgan-tf", "generate", "pretrained:drums", "--label", "kick", "--count", 2, "--out", "kicks",
        cwd=place)
    assert len(list((place / "kicks").glob("*.wav"))) == 2
    (place / "lines.py").write_text("\n".join(re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(),
                                                       re.DOTALL)).replace("vocoder(mel)", "len('a mel')"))
    run(tools / "python", "lines.py", cwd=place)
    starts_tensorboard(tools, place)


def starts_tensorboard(tools: Path, place: Path) -> None:
    """TensorBoard answers on a port, without a word of warning at its start."""
    assert re.fullmatch(r"\d+\.\d+\.\d+", run(tools / "tensorboard", "--version", cwd=place).splitlines()[-1])
    with open(place / "log", "w") as log:
        board = subprocess.Popen([tools / "tensorboard", "--logdir", place, "--port", "0"], stdout=log, stderr=log)
    try:
        for _ in range(120):
            if found := re.search(r"http://\S+", text := (place / "log").read_text()):
                break
            assert board.poll() is None, text
            time.sleep(0.5)
        with urllib.request.urlopen(found[0], timeout=20) as page:
            assert b"TensorBoard" in page.read()
        assert "pkg_resources" not in text
    finally:
        board.kill()
        board.wait()
