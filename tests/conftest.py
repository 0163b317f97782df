"""Settings of all tests. Where processes of their own run them (`pytest -n`), this one needs no TensorFlow."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # the same numbers on every machine
os.environ["MELGAN_TF_CACHE"] = "off"  # nothing is left behind

import resource

import pytest

_peaks: dict[str, str] = {}


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput") or not getattr(config.option, "numprocesses", None):
        config.pluginmanager.import_plugin("shared_fixtures")


def pytest_sessionfinish(session: pytest.Session) -> None:
    peak = f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.1f} GB"
    getattr(session.config, "workeroutput", _peaks)["this process"] = peak


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist, where that is installed
def pytest_testnodedown(node: object) -> None:
    _peaks[node.gateway.id] = getattr(node, "workeroutput", {}).get("this process", "unknown: it crashed")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.write_line("peak memory: " + ", ".join(f"{name} {peak}" for name, peak in _peaks.items()))
