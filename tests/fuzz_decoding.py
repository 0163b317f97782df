"""Damaged files of every format through `melgan-tf prepare`: none may crash it, hang it, swell it or get lost.

    python tests/fuzz_decoding.py --count 20000 --seed 0

A file is a function of the seed and its number alone. A small part runs in the test suite.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from sound_formats import FORMATS, encode, tone

from melgan_tf.audio.decoder_pool import Limits
from melgan_tf.data.clips import ClipSettings
from melgan_tf.data.prepare import prepare

#: What one file may take.
LIMITS = Limits(seconds=10, seconds_per_megabyte=0, megabytes=1024)
#: Reasons that no file may be skipped for: the first four are faults that the processes contain, not verdicts.
FAULTS = ("the decoder crashed", "took longer", "decoding it takes more", "an unexpected error")
_BATCH = 2000
_NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


@dataclass
class Outcome:
    """What became of the damaged files, of all and by format: kept or why not."""

    files: int = 0
    lost: list[str] = field(default_factory=list)
    faults: list[tuple[str, str]] = field(default_factory=list)
    kinds: Counter[tuple[str, str]] = field(default_factory=Counter)
    seconds: float = 0.0
    megabytes: float = 0.0


def originals() -> dict[str, bytes]:
    """A short sound with a tone, an attack and noise in every format."""
    rng = np.random.default_rng(0)
    samples = tone(0.1) * np.exp(-np.arange(4800) / 2000) + 0.01 * rng.standard_normal(4800)
    return {name: encode(name, samples.astype(np.float32)) for name in FORMATS}


def damaged(content: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    """A file with one to four injuries; half of them hit the first 200 bytes, where headers are."""
    data = bytearray(content)
    for _ in range(rng.integers(1, 5)):
        size = len(data)
        if size < 2:
            break
        at = int(rng.integers(0, min(size, 200) if rng.random() < 0.5 else size))
        length = int(rng.integers(1, 64))
        match int(rng.integers(0, 9)):
            case 0:  # a bit
                data[at] ^= 1 << int(rng.integers(0, 8))
            case 1:  # bytes
                data[at:at + length] = rng.bytes(len(data[at:at + length]))
            case 2:  # a number, of a kind that programs trip over, in either order of its bytes
                width = int(rng.choice([1, 2, 4, 8]))
                number = int(rng.choice(_NUMBERS)) & (1 << 8 * width) - 1
                data[at:at + width] = number.to_bytes(width, "little" if rng.random() < 0.5 else "big")
            case 3:  # the end is missing
                del data[max(at, 1):]
            case 4:  # something is missing
                del data[at:at + length]
            case 5:  # something more
                data[at:at] = rng.bytes(length)
            case 6:  # a part twice
                data[at:at] = data[at:at + 8 * length]
            case 7:  # zeros
                data[at:at + length] = bytes(len(data[at:at + length]))
            case _:  # another file from here on
                data[at:] = other[int(rng.integers(0, len(other))):] if rng.random() < 0.5 else other
    return bytes(data)


def write(folder: Path, first: int, count: int, seed: int, sounds: dict[str, bytes]) -> None:
    """Files ``first`` to ``first + count``, each in the folder of its format, one in eight by a wrong extension."""
    names = list(sounds)
    for number in range(first, first + count):
        rng = np.random.default_rng((seed, number))
        name = names[number % len(names)]
        content = damaged(sounds[name], sounds[names[rng.integers(len(names))]], rng)
        extension = FORMATS[name].extension
        if rng.random() < 0.125:
            extension = rng.choice(["wav", "flac", "mp3", "m4a", "ogg", "aiff", "caf"])
        path = folder / name / f"{number:06d}.{extension}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def fuzz(count: int, seed: int, folder: Path, workers: int | None = None, progress: bool = False) -> Outcome:
    """Puts damaged files through `prepare` and accounts for every one."""
    outcome, sounds, started = Outcome(), originals(), time.perf_counter()
    for first in range(0, count, _BATCH):
        with tempfile.TemporaryDirectory(dir=folder) as place:
            files, out = Path(place, "files"), Path(place, "out")
            files.mkdir()
            write(files, first, min(_BATCH, count - first), seed, sounds)
            settings = ClipSettings(onset=first // _BATCH % 2 == 0, long="consecutive", clip_samples=800)
            result = prepare(files, out, settings, workers, limits=LIMITS)
            skipped = {item.name: item.reason for item in result.skipped()}
            written = {path.relative_to(files).as_posix() for path in files.rglob("*") if path.is_file()}
            report = json.loads((out / "report.json").read_text())
            assert {item["name"] for item in report["skipped_files"]} == set(skipped)
            outcome.files += len(written)
            outcome.lost += sorted(set(skipped) - written)
            if result.counts.files != len(written) or result.counts.kept != len(written) - len(skipped):
                outcome.lost.append(f"{result.counts.files} files for {len(written)}")
            outcome.faults += [item for item in skipped.items() if item[1].startswith(FAULTS)]
            for name in written:
                outcome.kinds[name.split("/")[0], "skipped" if name in skipped else "kept"] += 1
        if progress:
            print(f"{outcome.files} files, {len(outcome.faults)} faults", file=sys.stderr)
    outcome.seconds = time.perf_counter() - started
    outcome.megabytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return outcome


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = fuzz(given.count, given.seed, Path(folder), given.workers, progress=True)
    print("| format | damaged files | still a sound | skipped with a reason |\n|---|--:|--:|--:|")
    for name in FORMATS:
        kept, skipped = found.kinds[name, "kept"], found.kinds[name, "skipped"]
        print(f"| {name} | {kept + skipped:,} | {kept:,} | {skipped:,} |")
    print(f"\n{found.files:,} files in {found.seconds:.0f} s, largest process {found.megabytes:.0f} MB; "
          f"{len(found.faults)} crashed, hung, swelled or met an unexpected error; {len(found.lost)} unaccounted for")
    for name, reason in found.faults:
        print(f"{name}: {reason}")
    sys.exit(bool(found.faults or found.lost))


if __name__ == "__main__":
    main()
