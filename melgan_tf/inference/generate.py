"""Writes generated sounds: WAVs, a record of how to regenerate each, a picture of them, and a page to hear them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import numpy as np

from melgan_tf import storage
from melgan_tf.audio.edit import SILENT_PEAK, is_silent
from melgan_tf.audio.wav import save_wav, save_wav_pieces
from melgan_tf.dsp import spectral
from melgan_tf.dsp.spectrogram_image import contact_sheet, save_png, small_image
from melgan_tf.errors import MelGANError
from melgan_tf.inference.html_page import MAX_SOUNDS, Sound, sound_page
from melgan_tf.inference.long_sounds import Length, LongSound, StreamRenderer
from melgan_tf.inference.origin import vocoder_name
from melgan_tf.inference.output_folder import FileNames, Part, RecordWriter, file_name, move
from melgan_tf.inference.recipe import Latent, Recipe, Seeded
from melgan_tf.inference.sampler import BATCH
from melgan_tf.progress import Progress
from melgan_tf.runtime.signals import postponed
from melgan_tf.storage.atomic import write_text
from melgan_tf.storage.run_directory import versions

if TYPE_CHECKING:
    from melgan_tf.config import AudioConfig
    from melgan_tf.inference.sound_model import SoundModel

#: The picture shows the first sounds, at most this number, and the page the first `html_page.MAX_SOUNDS`; all of them
#: are written.
SHOWN = 1_000

#: Bytes of loops that a page has in it, so that they repeat without a gap from disk.
_LOOPS_BYTES = 24_000_000

_AT_ONCE = 128  # mels turned to decibels

#: Peak of a normalized sound: -1 dB of full scale.
_PEAK = 10 ** (-1 / 20)

#: Steps of progress of a long sound.
_PARTS = 100


def write_sounds(model: SoundModel, out: str | Path, count: int, seed: int, source: str,
                 progress: Progress | None = None, normalize: bool = True, label: str | None = None,
                 part: Part | None = None, length: Length | None = None) -> dict[str, Any]:
    """Writes sounds, sounds.json, sounds.png and index.html, a page to hear them, into a folder: all files or none.

    Sounds are written in batches to a hidden folder, which is moved at the end: memory does not grow with their number.

    Args:
        model: the model.
        out: the folder; files of an earlier call in it are replaced, others stay.
        count: number of sounds.
        seed: decides the sounds; sound ``i`` of a seed is always the same.
        source: what the model was loaded from, for the record.
        progress: reports every sound.
        normalize: bring every sound that is not silent to a peak of -1 dB; the record has its original peak.
        label: the class, or mixture of classes, of all sounds, as `melgan_tf.data.labels.Classes.label` reads it;
            without it each has one of its own.
        part: write only this part of the sounds, with the names and bytes that they have in the whole. Its record,
            picture and page have their own names (``sounds-2-of-3.json``), so that all parts may use one folder. A part
            without sounds writes only a record.
        length: of sounds that are rendered piece by piece; see `melgan_tf.inference.sampler.Sampler.length`.

    Returns:
        The record with the first `SHOWN` sounds only, ``made``, the number of sounds written, and ``silent``, how many
        of them are silent.

    Raises:
        UsageError: the model has no such class, or no classes; or long sounds need another vocoder.
        MelGANError: the folder cannot be written.
    """
    names = FileNames.of(part)
    indices = part.indices(count, BATCH) if part else range(count)
    head = {**record_head(model, source, length), "normalized": normalize, **({"shard": str(part)} if part else {})}
    wanted, long = model.label(label), StreamRenderer(model.sampler, length) if length else None

    def sounds(staging: Path, advance: Callable[[int], None]) -> Iterator[_Sound]:
        if long is None:
            return _sounds(model, indices, count, seed, wanted, advance)
        requests = ((file_name(seed, index, count), Recipe(Seeded(seed, index))) for index in indices)
        return _long_sounds(long, staging, requests, advance)

    total = len(indices) if length is None else len(indices) * _PARTS
    return _write(model, Path(out), names, head, total, sounds, progress or Progress())


def write_recipes(model: SoundModel, out: str | Path, requests: Sequence[tuple[str, Recipe]], source: str,
                  progress: Progress | None = None, normalize: bool = True, length: Length | None = None
                  ) -> dict[str, Any]:
    """Writes sounds of given recipes into a folder, as `write_sounds` writes those of a seed.

    Args:
        model, out, source, progress, normalize, length: as for `write_sounds`.
        requests: file name and recipe of each sound.

    Returns:
        As `write_sounds`.

    Raises:
        MelGANError: the folder cannot be written.
    """
    head = {**record_head(model, source, length), "normalized": normalize}
    long = StreamRenderer(model.sampler, length) if length else None

    def sounds(staging: Path, advance: Callable[[int], None]) -> Iterator[_Sound]:
        return _recipes(model, requests, advance) if long is None else _long_sounds(long, staging, requests, advance)

    total = len(requests) * (1 if length is None else _PARTS)
    return _write(model, Path(out), FileNames.of(), head, total, sounds, progress or Progress())


#: Entry in the record, samples ``(samples,)`` and mel ``(frames, mel_bins)`` of a sound.
_Sound = tuple[dict[str, Any], "np.ndarray | LongSound", np.ndarray]


def _write(model: SoundModel, out: Path, names: FileNames, head: dict[str, Any], total: int,
           sounds: Callable[[Path, Callable[[int], None]], Iterator[_Sound]], progress: Progress) -> dict[str, Any]:
    beside = out if out.is_dir() else out.parent  # on the same disk, even where `out` is another disk's top
    try:
        beside.mkdir(parents=True, exist_ok=True)
        with storage.temporary_folder(beside, 0o777) as staging:
            try:
                folder = _fill(model, staging, names, head, total, sounds, progress)
            except MelGANError as error:  # names the hidden folder
                raise MelGANError(str(error).replace(str(staging), str(out))) from None
            with postponed():
                move(staging, out, names)
    except OSError as error:
        raise MelGANError(f"cannot write {out}: {error.strerror}") from None
    return {**head, "sounds": folder.shown, "made": folder.made, "silent": folder.silent}


def _fill(model: SoundModel, staging: Path, names: FileNames, head: dict[str, Any], total: int,
          sounds: Callable[[Path, Callable[[int], None]], Iterator[_Sound]], progress: Progress) -> _Folder:
    with progress.task("generating", total, "parts" if "seconds" in head else "sounds") as advance, \
            RecordWriter(staging / names.record, head) as record:
        folder = _Folder(staging, head, record, model.config.audio)
        for sound, samples, mel in sounds(staging, advance):
            folder.add(sound, samples, mel)
    if folder.made:
        folder.finish(names)
    return folder


def record_head(model: SoundModel, source: str, length: Length | None = None) -> dict[str, Any]:
    """The values of a record besides its sounds."""
    described = {"seconds": round(length.samples / model.config.audio.sample_rate, 4),
                 "loop": bool(length.loop_steps)} if length else {}
    return {"source": source, "preset": model.config.preset, "step": model.step, "weights": model.weights,
            "audio_fingerprint": model.config.audio.fingerprint(), "sample_rate": model.config.audio.sample_rate,
            "vocoder": model.vocoder_metadata, "versions": versions(), **described,
            **({"asked": wishes} if (wishes := model.sampler.wishes) else {})}


def origin_values(head: dict[str, Any], sound: dict[str, Any]) -> dict[str, Any]:
    """What a WAV says of itself, of the record that it is in and of its entry there; `origin.read_origin` reads it."""
    return {"made_by": "melgan-tf", **{key: head[key] for key in ("weights", "step")},
            **{key: sound[key] for key in ("seed", "index", "recipe", "label", "mixture") if key in sound},
            **{key: head[key] for key in ("seconds", "loop", "asked") if key in head},
            "source": PurePath(head["source"]).name, "normalized": head["normalized"],
            "vocoder": vocoder_name(head["vocoder"])}


def _sounds(model: SoundModel, indices: range, count: int, seed: int, label: np.ndarray | None,
            advance: Callable[[int], None]) -> Iterator[_Sound]:
    """Sounds of one length, of a seed."""
    classes = model.sampler.classes
    for first in range(indices.start, indices.stop, BATCH):
        made = model.sampler.generate(seed, min(BATCH, indices.stop - first), first, label=label)
        for row, samples in enumerate(made["audio"]):
            named = classes.describe(made["label"][row]) if classes else None
            yield _entry(file_name(seed, first + row, count, named), Seeded(seed, first + row), made, row,
                         model), samples, made["mel"][row]
            advance(1)


def _recipes(model: SoundModel, requests: Sequence[tuple[str, Recipe]], advance: Callable[[int], None]
             ) -> Iterator[_Sound]:
    """Sounds of one length, of given recipes."""
    for first in range(0, len(requests), BATCH):
        batch = requests[first:first + BATCH]
        made = model.render([recipe for _, recipe in batch])
        for row, (file, recipe) in enumerate(batch):
            yield _entry(file, recipe.latent, made, row, model), made["audio"][row], made["mel"][row]
            advance(1)


def _entry(file: str, latent: Latent, made: dict[str, np.ndarray], row: int, model: SoundModel) -> dict[str, Any]:
    samples, classes = made["audio"][row], model.sampler.classes
    labeled = {"label": classes.describe(made["label"][row])} if classes else {}
    if classes and np.count_nonzero(made["label"][row]) > 1:  # exactly, while the label is rounded
        labeled["mixture"] = classes.weights(made["label"][row])
    return {"file": file, **described(latent), **labeled, "peak": round(float(np.max(np.abs(samples))), 4),
            "silent": bool(is_silent(samples)), "noise": [round(float(value), 7) for value in made["noise"][row]]}


def described(latent: Latent) -> dict[str, Any]:
    """A latent point in an entry of a record."""
    return latent.to_json() if isinstance(latent, Seeded) else {"recipe": latent.to_json()}


def _long_sounds(long: StreamRenderer, folder: Path, requests: Iterable[tuple[str, Recipe]],
                 advance: Callable[[int], None]) -> Iterator[_Sound]:
    """Sounds of any length; the file of each is deleted when the next is requested."""
    for file, recipe in requests:
        done = 0.0

        def more(fraction: float) -> None:
            nonlocal done
            before, done = round(done * _PARTS), done + fraction
            advance(round(done * _PARTS) - before)

        made = long.make(recipe.latent, folder, more)
        yield {"file": file, **described(recipe.latent), "peak": round(made.peak, 4),
               "silent": made.peak < SILENT_PEAK}, made, made.picture
        made.file.unlink()


class _Folder:
    """Writes sounds one by one and keeps what the picture and the page show.

    Args:
        path: the folder.
        head: the values of the record besides its sounds.
        record: receives an entry for each sound.
        audio: the mel configuration.
    """

    def __init__(self, path: Path, head: dict[str, Any], record: RecordWriter, audio: AudioConfig) -> None:
        self._path, self._head, self._record, self._audio = path, head, record, audio
        self._new: list[tuple[dict[str, Any], float, np.ndarray]] = []
        self._mels: list[np.ndarray] = []
        self._page: list[Sound] = []
        self._loops = 0
        self.made = 0
        self.shown: list[dict[str, Any]] = []
        self.silent = 0

    def add(self, sound: dict[str, Any], samples: np.ndarray | LongSound, mel: np.ndarray) -> None:
        self._save(self._path / sound["file"], samples, self._head["normalized"] and not sound["silent"],
                   json.dumps(origin_values(self._head, sound)))
        self._record.add(sound)
        self.made += 1
        self.silent += sound["silent"]
        if len(self.shown) < SHOWN:
            self.shown.append(sound)
        if self.made <= MAX_SOUNDS:
            count = samples.samples if isinstance(samples, LongSound) else len(samples)
            self._new.append((sound, count / self._head["sample_rate"], np.array(mel)))
        if len(self._new) == _AT_ONCE:
            self._draw()

    def _save(self, path: Path, samples: np.ndarray | LongSound, normalize: bool, comment: str) -> None:
        peak = samples.peak if isinstance(samples, LongSound) else float(np.max(np.abs(samples)))
        gain = _PEAK / peak if normalize else 1.0
        if isinstance(samples, LongSound):  # sounds of one length are turned down already
            gain = gain if normalize else 1.0 / max(1.0, peak)
            save_wav_pieces(path, samples.pieces(gain), samples.samples, self._head["sample_rate"], comment,
                            loop=self._head["loop"])
        else:
            save_wav(path, samples * np.float32(gain), self._head["sample_rate"], comment)

    def _draw(self) -> None:
        """Keeps what picture and page show of the newest sounds."""
        if not self._new:
            return
        mels = spectral.log_mel(np.stack([mel for *_, mel in self._new]), self._audio).numpy()
        self._mels.extend(mels[:max(0, SHOWN - len(self._mels))])
        for (sound, seconds, _), mel_db in zip(self._new, mels, strict=True):
            content = b""
            if self._head.get("loop") and self._loops <= _LOOPS_BYTES:
                content = (self._path / sound["file"]).read_bytes()
                self._loops += len(content)
            self._page.append(Sound(sound["file"], small_image(mel_db), seconds, sound.get("label", ""),
                                    loop=bool(self._head.get("loop")), content=content))
        self._new.clear()

    def finish(self, names: FileNames) -> None:
        self._draw()
        titles = [f"{sound.get('index', number)} {sound.get('label', '')}".strip()
                  for number, sound in enumerate(self.shown)]
        hertz, seconds = spectral.frequency_ticks(self._audio), self._page[0].seconds
        save_png(contact_sheet(np.stack(self._mels), titles, self.made, seconds, hertz), self._path / names.picture)
        count = len(self._page)
        what = f"{count} sounds" if count == self.made else f"The first {count} of {self.made} sounds"
        facts = (f"{self._head['source']} · preset {self._head['preset']}, {self._head['step']} steps · "
                 f"{self._head['sample_rate'] / 1000:g} kHz · {seconds:.3g} s each")
        write_text(self._path / names.page, sound_page(what, facts, self._page, hertz))
