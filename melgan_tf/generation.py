"""New sounds on disk: WAVs, a record of what regenerates each, a picture of them all and a page to hear them."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from melgan_tf import spectral
from melgan_tf.audio import is_silent, save_wav
from melgan_tf.errors import MelGANError
from melgan_tf.page import page
from melgan_tf.pictures import contact_sheet, save_png
from melgan_tf.progress import Progress
from melgan_tf.run_directory import versions, write_text
from melgan_tf.trained import Trained

RECORD, PICTURE, PAGE = "sounds.json", "sounds.png", "index.html"

#: Peak of a normalised sound: -1 dB of full scale.
_PEAK = 10 ** (-1 / 20)


def write_sounds(trained: Trained, out: str | Path, count: int, seed: int, source: str,
                 progress: Progress | None = None, normalize: bool = True, label: str | None = None) -> dict[str, Any]:
    """Writes ``count`` sounds, sounds.json, sounds.png and index.html, a page to hear them, into a folder, all or none.

    Args:
        trained: the model.
        out: the folder; files of an earlier call in it are replaced, others are left alone.
        count: how many sounds.
        seed: decides them; sound ``i`` of a seed is always the same.
        source: what the model was loaded from, for the record.
        progress: told of every sound.
        normalize: bring every sound that is not silent to a peak of -1 dB; its own peak stays in the record.
        label: the class, or mixture of classes, of all sounds, as `melgan_tf.classes.Classes.label` reads it; without
            it each has one of its own.

    Returns:
        What sounds.json holds.

    Raises:
        UsageError: the model has no such class, or none at all.
        MelGANError: the folder cannot be written.
    """
    out, progress = Path(out), progress or Progress()
    wanted = trained.label(label)
    with progress.task("generating", count, "sounds") as advance:
        made = trained.sampler.generate(seed, count, advance=advance, label=wanted)
    record = {**_record(trained, made, count, seed, source), "normalized": normalize}
    try:
        beside = out if out.is_dir() else out.parent  # on the same disk, even where `out` is another disk's top
        beside.mkdir(parents=True, exist_ok=True)
        workplace = Path(tempfile.mkdtemp(prefix=".sounds-", dir=beside))
    except OSError as error:
        raise MelGANError(f"cannot write {out}: {error.strerror}") from None
    try:
        os.chmod(workplace, 0o755)
        _fill(workplace, trained, made, record, progress)
        _move(workplace, out)
    except OSError as error:
        raise MelGANError(f"cannot write {out}: {error.strerror}") from None
    except MelGANError as error:  # speaks of a place that is about to vanish
        raise MelGANError(str(error).replace(str(workplace), str(out))) from None
    finally:
        shutil.rmtree(workplace, ignore_errors=True)
    return record


def _record(trained: Trained, made: dict[str, np.ndarray], count: int, seed: int, source: str) -> dict[str, Any]:
    classes = trained.sampler.classes

    def sound(index: int) -> dict[str, Any]:
        label = {"label": classes.describe(made["label"][index])} if classes else {}
        return {"file": _file_name(seed, index, label.get("label")), "seed": seed, "index": index, **label,
                "peak": round(float(np.max(np.abs(made["audio"][index]))), 4),
                "silent": bool(is_silent(made["audio"][index])),
                "noise": [round(float(value), 7) for value in made["noise"][index]]}

    sounds = [sound(index) for index in range(count)]
    return {"source": source, "preset": trained.config.preset, "step": trained.step, "weights": trained.weights,
            "audio_fingerprint": trained.config.audio.fingerprint(), "sample_rate": trained.config.audio.sample_rate,
            "vocoder": trained.renderer, "versions": versions(), "sounds": sounds}


def _file_name(seed: int, index: int, label: str | None) -> str:
    """``seed1-0000.wav``, or with a class in front: ``kick-seed1-0000.wav``."""
    front = re.sub(r"[^\w.=-]+", "-", label)[:80] + "-" if label else ""
    return f"{front}seed{seed}-{index:04d}.wav"


def _fill(folder: Path, trained: Trained, made: dict[str, np.ndarray], record: dict[str, Any],
          progress: Progress) -> None:
    rate = trained.config.audio.sample_rate
    with progress.task("writing", len(record["sounds"]), "sounds") as advance:
        for sound, samples in zip(record["sounds"], made["audio"], strict=True):
            origin = {"made_by": "melgan-tf", "weights": record["weights"], "step": record["step"],
                      "seed": sound["seed"], "index": sound["index"],
                      **({"label": sound["label"]} if "label" in sound else {})}
            if record["normalized"] and not sound["silent"]:
                samples = samples * (_PEAK / np.max(np.abs(samples)))
            save_wav(folder / sound["file"], samples, rate, comment=json.dumps(origin))
            advance(1)
    mels = spectral.log_mel(made["mel"], trained.config.audio).numpy()
    titles = [f"{sound['index']} {sound.get('label', '')}".strip() for sound in record["sounds"]]
    save_png(contact_sheet(mels, titles=titles), folder / PICTURE)
    write_text(folder / PAGE, page(record, PICTURE))
    write_text(folder / RECORD, json.dumps(record, indent=1) + "\n")


def _move(workplace: Path, out: Path) -> None:
    """Puts finished files in place; those of an earlier call go, whatever else is there stays."""
    if not out.exists():
        os.rename(workplace, out)
        return
    for old in _earlier(out):
        (out / old).unlink(missing_ok=True)
    for file in sorted(workplace.iterdir()):
        os.replace(file, out / file.name)


def _earlier(out: Path) -> list[str]:
    try:
        names = [sound["file"] for sound in json.loads((out / RECORD).read_text(encoding="utf-8"))["sounds"]]
        return [name for name in names if name == Path(name).name and (out / name).is_file()]
    except (OSError, ValueError, KeyError, TypeError):
        return []
