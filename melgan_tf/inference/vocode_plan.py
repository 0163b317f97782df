"""Which input files become which WAVs when a vocoder renders files. No TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from melgan_tf.audio.find import Skipped, find
from melgan_tf.errors import MelGANError, UsageError, printable


def plan(inputs: Sequence[Path], out: Path, skipped: list[Skipped] | None = None) -> list[tuple[Path, Path]]:
    """The WAV for every input file.

    Args:
        inputs: sound files, ``.npy`` files, folders of sounds at any depth.
        out: the folder for the WAVs.
        skipped: receives what could not be accessed in a folder.

    Returns:
        ``(input, WAV)`` pairs. Files found in a folder keep their relative paths.

    Raises:
        UsageError: an input does not exist, two of them would become one file, or one would be replaced.
        MelGANError: a folder contains no sounds.
    """
    pairs: list[tuple[Path, Path]] = []
    taken: dict[Path, Path] = {}
    for given in inputs:
        if not given.exists():
            raise UsageError(f"{given} does not exist: give sound files, folders of them, or mels (.npy)")
        if given.is_dir():
            sounds, others = find(given)
            if not sounds:
                hint = ": give its .npy files themselves" if any(given.rglob("*.npy")) else (
                    f", {len(others)} others" if others else "")
                raise MelGANError(f"{given} contains no sound files{hint}")
            found = [(sound.path, Path(sound.name).with_suffix(".wav")) for sound in sounds]
            if skipped is not None:
                skipped += [Skipped(f"{printable(given)}/{other.name}", other.reason) for other in others]
        else:
            found = [(given, Path(given.name).with_suffix(".wav"))]
        for source, name in found:
            if name in taken and source.samefile(taken[name]):
                continue
            if name in taken:
                raise UsageError(f"{taken[name]} and {source} would both become {out / name}: give one at a time")
            taken[name] = source
            pairs.append((source, out / name))
    ours = {source.resolve() for source, _ in pairs}
    for _, target in pairs:
        if target.resolve() in ours:
            raise UsageError(f"{target} is an input itself and would be replaced: give another --out")
    return pairs
