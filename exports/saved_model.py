"""A trained model as a SavedModel for TF Serving: noise, or a seed, in; audio out."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from melgan_tf.config import Config, to_dict
from melgan_tf.errors import MelGANError, UsageError
from melgan_tf.exports.receipt import REPORT, Receipt, differences, origin, reference, require_tolerance, run_standalone
from melgan_tf.inference.sampler import Sampler
from melgan_tf.inference.sound_model import SoundModel
from melgan_tf.storage.atomic import write_text

#: In parts of each sound's peak. The operations are the same, so only their rounding differs; phase retrieval
#: magnifies it.
TOLERANCE = {"mel": 1e-4, "audio": 5e-2, "audio_by_seed": 5e-2, "mel_analyzed": 1e-4}


def next_version(path: Path) -> int:
    """One more than the highest version at a path."""
    folders = path.iterdir() if path.is_dir() else []
    return max((int(folder.name) for folder in folders if folder.name.isdecimal()), default=0) + 1


def export(trained: SoundModel, path: str | Path, version: int | None = None, force: bool = False) -> Receipt:
    """Writes ``path/<version>/`` in TF Serving's layout and checks it in a process of its own.

    Signatures, all with dynamic batch: ``serving_default`` and ``generate`` (``noise`` ``(batch, noise_dim)`` and, if
    the model has classes, ``label`` ``(batch, classes)`` -> ``audio`` ``(batch, samples)``, ``mel`` ``(batch, frames,
    mel_bins)``), ``sample`` (``seed`` int64, ``count`` int32, both scalar -> the same, classes drawn as in training)
    and ``analyze`` (``audio`` ``(batch, samples)`` -> ``mel``). A model that makes sounds of any length takes ``noise``
    and ``style`` ``(batch, steps + 10, ...)``, five steps of 16 frames on either side being heard only by what they do
    to their neighbours, and in ``sample`` also ``steps`` (int32, scalar). Audio is made by the model's vocoder, which
    the SavedModel contains, or by Griffin-Lim where it has none.

    Args:
        trained: the model.
        path: the model's base path on the server.
        version: its number; by default one more than the highest there is.
        force: replace that version if it exists.

    Raises:
        UsageError: the version exists, and ``force`` was not given.
        MelGANError: it cannot be written, or strays beyond its tolerance; nothing is left behind.
    """
    def check(folder: Path) -> tuple[dict[str, Any], dict[str, float]]:
        inputs = reference(trained.sampler)
        report, made = run_standalone("run_saved_model.py", folder, inputs)
        analyzed = trained.sampler.analyze(tf.constant(inputs["audio"])).numpy()
        return report, differences(made, {**inputs, "audio_by_seed": inputs["audio"][:1], "mel_analyzed": analyzed})

    return publish(path, version, force, partial(write_archive, trained.sampler), check, TOLERANCE, origin(trained),
                   trained.config)


def publish(path: str | Path, version: int | None, force: bool, write: Callable[[Path], None],
            check: Callable[[Path], tuple[dict[str, Any], dict[str, float]]], tolerance: dict[str, float],
            facts: dict[str, Any], config: Config) -> Receipt:
    """Writes a SavedModel under its version number, if it passes its check.

    Args:
        path, version, force: as in `export`.
        write: writes the bare SavedModel.
        check: runs it elsewhere; returns what it reports, and its differences to the model.
        tolerance: by output, what differs too much.
        facts: what is said of its origin.
        config: of the model.

    Raises:
        UsageError, MelGANError: as in `export`.
    """
    path = Path(path)
    target = path / str(version or next_version(path))
    if target.exists() and not force:
        raise UsageError(f"{target} exists: give another --version, or --force to replace it")
    made_base = not path.exists()
    workplace = None
    try:
        path.mkdir(parents=True, exist_ok=True)
        workplace = Path(tempfile.mkdtemp(prefix=".export-", dir=path))
        folder = workplace / target.name
        write(folder)
        report, found = check(folder)
        require_tolerance(found, tolerance)
        write_text(folder / "assets.extra" / "config.json",
                   json.dumps({**facts, "config": to_dict(config)}, indent=2) + "\n")
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        receipt = Receipt("saved-model", str(target), "none", size, report["ops"], report["signatures"],
                          report["milliseconds_per_sound"], report["threads"], found, tolerance, facts)
        write_text(folder / REPORT, receipt.to_json())
        if target.exists():
            target.rename(workplace / "replaced")
        folder.rename(target)
    except OSError as error:
        raise MelGANError(f"cannot write {target}: {error.strerror or error}") from None
    finally:
        if workplace:
            shutil.rmtree(workplace, ignore_errors=True)
        if made_base and path.is_dir() and not any(path.iterdir()):
            path.rmdir()
    return receipt


def write_archive(sampler: Sampler, folder: Path) -> None:
    """Writes the bare SavedModel."""
    any_length = sampler.config.family.makes == "streams"
    inputs = list((sampler.input_signature(None, None) if any_length else sampler.input_signature(None)).values())
    archive = keras.export.ExportArchive()
    archive.track(sampler.generator)
    if sampler.vocoder.model:
        archive.track(sampler.vocoder.model)
    for name in ("serving_default", "generate"):
        archive.add_endpoint(name, sampler.__call__, input_signature=inputs)
    wanted = [tf.TensorSpec((), tf.int64, name="seed"), tf.TensorSpec((), tf.int32, name="count"),
              *([tf.TensorSpec((), tf.int32, name="steps")] if any_length else [])]
    archive.add_endpoint("sample", sampler.sample, input_signature=wanted)
    archive.add_endpoint("analyze", lambda audio: {"mel": sampler.analyze(audio)}, input_signature=[
        tf.TensorSpec((None, None if any_length else sampler.samples), tf.float32, name="audio")])
    write_out(archive, folder)


def write_out(archive: keras.export.ExportArchive, folder: Path) -> None:
    """Writes an archive; whatever TensorFlow says of a disk that does not take it becomes an `OSError`."""
    try:
        archive.write_out(str(folder), verbose=False)
    except UnicodeEncodeError:
        raise OSError("TensorFlow takes no names that are not UTF-8; give another") from None
    except tf.errors.OpError as error:  # "{{operation}} path; No space left on device [Op:SaveV2]"
        first = error.message.strip().splitlines()[0]
        raise OSError(first.rpartition("; ")[2].partition(" [Op:")[0]) from None
