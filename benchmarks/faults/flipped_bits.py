"""Kind 2: single flipped bits in checkpoints, shards, index.json and weights, through what reads them."""

from __future__ import annotations

import re
import resource
import shutil
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import belongings
import commands
import numpy as np
from damage import flip
from outcome import Outcome

from melgan_tf.data.shards import Prepared
from melgan_tf.errors import MelGANError
from melgan_tf.storage.checkpoints import CheckpointStore
from melgan_tf.weights import WEIGHTS, read_weights

#: What a file's reader makes of it, and what may be read instead.
Reader = tuple[Path, Callable[[], Any], list[Any]]


def run(numbers: range, seed: int, outcome: Outcome, folder: Path, only: str | None = None) -> None:
    """Flips one bit of a file, reads it, and puts the file back."""
    commands.load()
    ours = belongings.make(folder / "whole")
    readers = _readers(ours, folder)
    for number in numbers if only is None else [int(only)]:
        rng = np.random.default_rng((seed, number))
        file, read, expected = readers[int(rng.choice(len(readers)))]
        whole = file.read_bytes()
        data = bytearray(whole)
        at = _flip(data, rng)
        file.write_bytes(bytes(data))
        verdict, held, detail = _judge(read, expected)
        if held:
            outcome.held(verdict)
        else:
            outcome.failed(verdict, f"{seed}-{number}", {file.name: bytes(data)}, file=file.name, byte=at,
                           detail=detail)
        file.write_bytes(whole)
    outcome.megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _flip(data: bytearray, rng: np.random.Generator) -> int:
    """A bit anywhere; or, for every second archive, one of its directory or of a member's header."""
    if data[:2] != b"PK" or rng.random() < 0.5:
        return flip(data, rng)
    start = data.index(b"PK\1\2")
    if rng.random() < 0.5:
        at = int(rng.integers(start, len(data)))
    else:
        headers = [match.start() for match in re.finditer(rb"PK\x03\x04", data[:start])]
        at = int(rng.choice(headers)) + int(rng.integers(0, 30))
    data[at] ^= 1 << int(rng.integers(8))
    return at


def _readers(ours: belongings.Belongings, folder: Path) -> list[Reader]:
    checkpoints = ours.run / "checkpoints"
    newest, older = (_state(checkpoints / f"step-{step:08d}.npz") for step in (6, 4))
    (checkpoints / "best.npz").unlink()

    def checkpoint() -> Any:
        state, meta, _ = CheckpointStore(checkpoints).newest()
        return {**state, "meta": meta}

    known = [key for key in Prepared.open(ours.shards).index if key != "sha256"]  # which only one written now has

    def clips() -> Any:
        prepared = Prepared.open(ours.shards)
        found = {f"{number} {sound.name} {sound.label}": samples for number, (sound, samples)
                 in enumerate(prepared.clips())}
        return {**found, "index": {key: prepared.index.get(key) for key in known}}

    found = [(checkpoints / "step-00000006.npz", checkpoint, [newest, older])] * 4
    found += [(ours.shards / "shard-00002.tfrecord", clips, [clips()])] * 2
    found += [(ours.shards / "index.json", clips, [clips()])] * 2
    for name in ("drums", "vocoder-16k"):
        file = Path(shutil.copy(WEIGHTS / f"{name}.npz", folder / f"{name}.npz"))
        found.append((file, lambda file=file: read_weights(file), [read_weights(file)]))
    return found


def _state(file: Path) -> dict[str, Any]:
    from melgan_tf.storage.checkpoints import load

    state, meta = load(file)
    return {**state, "meta": meta}


def _judge(read: Callable[[], Any], expected: list[Any]) -> tuple[str, bool, str]:
    try:
        found = read()
    except MelGANError as error:
        one_line = "\n" not in str(error)
        return ("refused" if one_line else "no reason in one line"), one_line, str(error)
    except Exception:
        return "traceback", False, traceback.format_exc()[-1500:]
    for number, whole in enumerate(expected):
        if _equal(found, whole):
            return ("an older one used" if number else "read whole"), True, ""
    return "silently other contents", False, ", ".join(key for key in found if key not in expected[0] or not _equal(
        {key: found[key]}, {key: expected[0][key]}))[:300]


def _equal(found: dict[str, Any], whole: dict[str, Any]) -> bool:
    return found.keys() == whole.keys() and all(
        np.array_equal(found[key], whole[key]) and getattr(found[key], "dtype", 0) == getattr(whole[key], "dtype", 0)
        if isinstance(whole[key], np.ndarray) else found[key] == whole[key] for key in whole)
