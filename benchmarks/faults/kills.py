"""Kind 3: commands killed at random moments, and run again."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from pathlib import Path
from typing import Any

import belongings
import commands
import numpy as np
from belongings import Belongings
from outcome import Outcome

#: What is sent, and the exit codes that it may lead to: 0 where the work was done already.
SIGNALS = {signal.SIGKILL: (-9,), signal.SIGTERM: (143,), signal.SIGHUP: (129,), signal.SIGINT: (130,),
           signal.SIGUSR1: (138,), signal.SIGUSR2: (140,)}
MAX_SECONDS = 90
#: Whose turn it is: exports take longest.
_ORDER = ("prepare", "train", "generate", "vocode", "evaluate", "prepare", "train", "generate", "export")
#: Files that hold times or places; the rest must be bit-equal.
_TIMES = ("tensorboard/", "config.json", "report.json", "journal", ".prepare/", "history.csv", ".lock", "index.html",
          "fingerprint.pb", "saved_model.pb", "variables.")


def run(numbers: range, seed: int, outcome: Outcome, folder: Path, only: str | None = None) -> None:
    """Runs each command undisturbed once; then kills it at a random moment and runs it again."""
    commands.load()
    ours = belongings.make(folder / "whole", steps=24)
    whole, seconds = {}, {}
    for name, arguments in programs(ours).items():
        place = folder / "undisturbed" / name
        place.mkdir(parents=True)
        ended = commands.run(*arguments, cwd=place, seconds=MAX_SECONDS)
        if ended.code:
            raise SystemExit(f"{name}: {ended.stderr}")
        whole[name], seconds[name] = contents(place), ended.seconds
    for number in numbers if only is None else [int(only)]:
        rng = np.random.default_rng((seed, number))
        name, sent = _ORDER[number % len(_ORDER)], list(SIGNALS)[int(rng.integers(len(SIGNALS)))]
        after = float(rng.uniform(0.02, 1.05)) * seconds[name]
        place = folder / f"{number}"
        place.mkdir()
        fault, detail = _kill(programs(ours)[name], place, sent, after, whole[name], outcome)
        if fault:
            outcome.failed(fault, f"{seed}-{number}", command=name, signal=sent.name, after=after, detail=detail)
        else:
            outcome.held(name)
        shutil.rmtree(place)


def programs(ours: Belongings) -> dict[str, tuple[object, ...]]:
    """The commands: each writes below its working directory."""
    render = ("--vocoder", "griffin-lim", "--quiet")
    return {
        "prepare": ("prepare", ours.sounds, "out", "--workers", 2, "--shard-size", 2, "--quiet"),
        "train": ("train", ours.sounds, "--run-dir", "run", "--config", ours.config, "--steps", 24, "--quiet"),
        "generate": ("generate", ours.run, "--out", "out", "--count", 12, "--force", *render),
        "export": ("export", ours.run, "--out", "out", "--version", 1, "--force", *render),
        "vocode": ("vocode", ours.sounds, "--out", "out", "--force", "--quiet"),
        "evaluate": ("evaluate", ours.run, "--reference", ours.sounds, "--json", "out.json", "--force", *render),
    }


def _kill(arguments: tuple[object, ...], place: Path, sent: signal.Signals, after: float,
          whole: dict[str, Any], outcome: Outcome) -> tuple[str, str]:
    """The fault, and what says more; "" if there is none."""
    def kill(pid: int) -> None:
        def send() -> None:
            time.sleep(after)
            try:
                os.kill(pid, sent)
            except ProcessLookupError:
                return
        threading.Thread(target=send, daemon=True).start()

    ended = commands.run(*arguments, cwd=place, seconds=MAX_SECONDS, meanwhile=kill)
    # before a command has set up what it does on a signal, the system ends it
    if ended.code not in (0, -sent, *SIGNALS[sent]):
        return f"exit code {ended.code} after {sent.name}", ended.stderr[-1500:]
    if ended.hung or "Traceback" in ended.stderr:
        return "hung" if ended.hung else "traceback", ended.stderr[-1500:]
    again = commands.run(*arguments, cwd=place, seconds=MAX_SECONDS)
    outcome.megabytes = max(outcome.megabytes, ended.megabytes, again.megabytes)
    if again.code or again.fault:
        return f"the rerun failed: {again.fault or again.code}", again.stderr[-1500:]
    found = contents(place)
    if strange := sorted(set(found) - set(whole)):
        return "left behind", ", ".join(strange)[:500]
    differing = [name for name in whole if found.get(name) != whole[name]]
    return ("another result", ", ".join(differing)[:500]) if differing else ("", "")


def contents(place: Path) -> dict[str, Any]:
    """Every file and folder, hidden ones too; of files that hold times or random names only the names count.

    TensorFlow gives the functions in a SavedModel other names in every process, so only its variables are compared.
    """
    found: dict[str, Any] = {}
    for path in sorted(place.rglob("*")):
        name = path.relative_to(place).as_posix()
        if "tensorboard/" in name or ".sweep" in name:
            continue
        if path.name == "variables.index":
            found["values"] = _variables(path.with_suffix(""))
        timed = path.is_dir() or any(part in name for part in _TIMES)
        found[name] = b"" if timed else path.read_bytes()
    return found


def _variables(prefix: Path) -> list[bytes]:
    import tensorflow as tf

    reader = tf.train.load_checkpoint(str(prefix))
    return sorted(reader.get_tensor(name).tobytes() for name in reader.get_variable_to_shape_map()
                  if not name.startswith("_CHECKPOINTABLE"))
