"""New sounds on disk: WAVs, a record of what regenerates each, a picture of them all and a page to hear them."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from melgan_tf.audio.edit import SILENT_PEAK, is_silent
from melgan_tf.audio.wav import save_wav, save_wav_pieces
from melgan_tf.dsp import spectral
from melgan_tf.dsp.spectrogram_image import contact_sheet, save_png
from melgan_tf.errors import MelGANError
from melgan_tf.inference.html_page import page
from melgan_tf.inference.long_sounds import Length, LongSound, StreamRenderer
from melgan_tf.inference.output_folder import WORKPLACE, FileNames, RecordWriter, Shard, file_name, move
from melgan_tf.inference.sampler import BATCH
from melgan_tf.progress import Progress
from melgan_tf.storage.atomic import write_text
from melgan_tf.storage.run_directory import versions

if TYPE_CHECKING:
    from melgan_tf.inference.sound_model import SoundModel

#: The picture and the page show so many sounds, the first; there is no limit to what else is written.
SHOWN = 1_000

#: Peak of a normalised sound: -1 dB of full scale.
_PEAK = 10 ** (-1 / 20)

#: Steps of progress that a long sound is told in.
_PARTS = 100


def write_sounds(trained: SoundModel, out: str | Path, count: int, seed: int, source: str,
                 progress: Progress | None = None, normalize: bool = True, label: str | None = None,
                 shard: Shard | None = None, length: Length | None = None) -> dict[str, Any]:
    """Writes sounds, sounds.json, sounds.png and index.html, a page to hear them, into a folder, all or none.

    Sounds go to disk in batches as they are made, into a hidden folder that is moved in the end: memory does not grow
    with their number.

    Args:
        trained: the model.
        out: the folder; files of an earlier call in it are replaced, others are left alone.
        count: how many sounds.
        seed: decides them; sound ``i`` of a seed is always the same.
        source: what the model was loaded from, for the record.
        progress: told of every sound.
        normalize: bring every sound that is not silent to a peak of -1 dB; its own peak stays in the record.
        label: the class, or mixture of classes, of all sounds, as `melgan_tf.data.labels.Classes.label` reads it;
            without it each has one of its own.
        shard: make only this part of the sounds, under the names and with the bytes that they have in the whole. Its
            record, picture and page have names of their own (``sounds-2-of-3.json``), so that all shards may use one
            folder. A shard without sounds leaves but a record.
        length: of the sounds, for a model that makes any, and for no other.

    Returns:
        What the record holds, with the first `SHOWN` sounds only, and of all: ``made``, how many were written, and
        ``silent``, how many of these are silent.

    Raises:
        UsageError: the model has no such class, or none at all; or no vocoder, which long sounds need.
        MelGANError: the folder cannot be written.
    """
    out, progress, names = Path(out), progress or Progress(), FileNames.of(shard)
    indices = shard.part(count, BATCH) if shard else range(count)
    head = {**_head(trained, source), "normalized": normalize, **({"shard": str(shard)} if shard else {}),
            **(_described(length, trained) if length else {})}
    wanted, long = trained.label(label), StreamRenderer(trained.sampler, length) if length else None
    try:
        beside = out if out.is_dir() else out.parent  # on the same disk, even where `out` is another disk's top
        beside.mkdir(parents=True, exist_ok=True)
        workplace = Path(tempfile.mkdtemp(prefix=WORKPLACE, dir=beside))
    except OSError as error:
        raise MelGANError(f"cannot write {out}: {error.strerror}") from None
    try:
        os.chmod(workplace, 0o755)
        total = len(indices) if long is None else len(indices) * _PARTS
        with progress.task("generating", total, "sounds" if long is None else "parts") as advance, \
                RecordWriter(workplace / names.record, head) as record:
            folder = _Folder(workplace, head, record)
            for sound, samples, mel in (_sounds(trained, indices, count, seed, wanted, advance) if long is None else
                                        _long_sounds(long, workplace, indices, count, seed, advance)):
                folder.add(sound, samples, mel)
        if len(indices):
            folder.finish(trained, names)
        move(workplace, out, names)
    except OSError as error:
        raise MelGANError(f"cannot write {out}: {error.strerror}") from None
    except MelGANError as error:  # speaks of a place that is about to vanish
        raise MelGANError(str(error).replace(str(workplace), str(out))) from None
    finally:
        shutil.rmtree(workplace, ignore_errors=True)
    return {**head, "sounds": folder.shown, "made": len(indices), "silent": folder.silent}


def _head(trained: SoundModel, source: str) -> dict[str, Any]:
    """All of a record but its sounds."""
    return {"source": source, "preset": trained.config.preset, "step": trained.step, "weights": trained.weights,
            "audio_fingerprint": trained.config.audio.fingerprint(), "sample_rate": trained.config.audio.sample_rate,
            "vocoder": trained.vocoder_metadata, "versions": versions()}


def _described(length: Length, trained: SoundModel) -> dict[str, Any]:
    return {"seconds": round(length.samples / trained.config.audio.sample_rate, 4), "loop": bool(length.period)}


def _sounds(trained: SoundModel, indices: range, count: int, seed: int, label: np.ndarray | None,
            advance: Callable[[int], None]) -> Iterator[tuple[dict[str, Any], np.ndarray, np.ndarray]]:
    """Sound by sound its entry in the record, samples ``(samples,)`` and mel ``(frames, mel_bins)``."""
    classes = trained.sampler.classes
    for first in range(indices.start, indices.stop, BATCH):
        made = trained.sampler.generate(seed, min(BATCH, indices.stop - first), first, label=label)
        for row, samples in enumerate(made["audio"]):
            named = {"label": classes.describe(made["label"][row])} if classes else {}
            yield {"file": file_name(seed, first + row, count, named.get("label")), "seed": seed, "index": first + row,
                   **named, "peak": round(float(np.max(np.abs(samples))), 4), "silent": bool(is_silent(samples)),
                   "noise": [round(float(value), 7) for value in made["noise"][row]]}, samples, made["mel"][row]
            advance(1)


def _long_sounds(long: StreamRenderer, folder: Path, indices: range, count: int, seed: int,
                 advance: Callable[[int], None]) -> Iterator[tuple[dict[str, Any], LongSound, np.ndarray]]:
    """The same of sounds of any length; each is gone when the next is asked for."""
    for index in indices:
        done = 0.0

        def more(share: float) -> None:
            nonlocal done
            before, done = round(done * _PARTS), done + share
            advance(round(done * _PARTS) - before)

        made = long.make(seed, index, folder, more)
        yield {"file": file_name(seed, index, count), "seed": seed, "index": index, "peak": round(made.peak, 4),
               "silent": made.peak < SILENT_PEAK}, made, made.picture
        made.file.unlink()


class _Folder:
    """Takes sounds one by one and keeps of them what picture and page show.

    Args:
        path: the folder.
        head: of the record.
        record: takes their entries.
    """

    def __init__(self, path: Path, head: dict[str, Any], record: RecordWriter) -> None:
        self._path, self._head, self._record = path, head, record
        self._mels: list[np.ndarray] = []
        self._made = 0
        self.shown: list[dict[str, Any]] = []
        self.silent = 0

    def add(self, sound: dict[str, Any], samples: np.ndarray | LongSound, mel: np.ndarray) -> None:
        origin = {"made_by": "melgan-tf", "weights": self._head["weights"], "step": self._head["step"],
                  "seed": sound["seed"], "index": sound["index"],
                  **({"label": sound["label"]} if "label" in sound else {}),
                  **{key: self._head[key] for key in ("seconds", "loop") if key in self._head}}
        self._save(self._path / sound["file"], samples, self._head["normalized"] and not sound["silent"],
                   json.dumps(origin))
        self._record.add(sound)
        self._made += 1
        self.silent += sound["silent"]
        if len(self.shown) < SHOWN:
            self.shown.append(sound)
            self._mels.append(np.array(mel))

    def _save(self, path: Path, samples: np.ndarray | LongSound, normalize: bool, comment: str) -> None:
        peak = samples.peak if isinstance(samples, LongSound) else float(np.max(np.abs(samples)))
        gain = _PEAK / peak if normalize else 1.0
        if isinstance(samples, LongSound):  # what is made at once was turned down where it would clip
            gain = gain if normalize else 1.0 / max(1.0, peak)
            save_wav_pieces(path, samples.pieces(gain), samples.samples, self._head["sample_rate"], comment,
                            loop=self._head["loop"])
        else:
            save_wav(path, samples * np.float32(gain), self._head["sample_rate"], comment)

    def finish(self, trained: SoundModel, names: FileNames) -> None:
        mels = spectral.log_mel(np.stack(self._mels), trained.config.audio).numpy()
        titles = [f"{sound['index']} {sound.get('label', '')}".strip() for sound in self.shown]
        save_png(contact_sheet(mels, titles=titles, of=self._made), self._path / names.picture)
        write_text(self._path / names.page, page({**self._head, "sounds": self.shown}, names.picture, self._made))
