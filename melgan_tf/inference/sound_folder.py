"""A folder of generated sounds: files, how to make each again, a picture of them, and a page to hear them."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import numpy as np

from melgan_tf import runtime
from melgan_tf.audio.delivery import Delivery, deliver
from melgan_tf.audio.find import Skipped, SoundFile
from melgan_tf.audio.isolated import decode_folder
from melgan_tf.dsp.mel_filters import frequency_ticks
from melgan_tf.dsp.pitch import midi_note, note_name, pitch_hz
from melgan_tf.dsp.spectrogram_image import contact_sheet, save_png, small_image
from melgan_tf.errors import MelGANError, UsageError
from melgan_tf.inference.html_page import MAX_SOUNDS, Sound, sound_page
from melgan_tf.inference.long_sounds import PICTURE_COLUMNS, Length
from melgan_tf.inference.origin import origin_tags, origin_values
from melgan_tf.inference.output_folder import FileNames, NamePattern, RecordWriter, earlier_files, recorded_sounds
from melgan_tf.progress import Progress, counted
from melgan_tf.runtime.signals import postponed
from melgan_tf.storage.atomic import write_text
from melgan_tf.weights.licenses import license_text, short_license

if TYPE_CHECKING:
    from melgan_tf.inference.sound_model import SoundModel

#: The picture shows the first sounds, at most this number, and the page the first `html_page.MAX_SOUNDS`; all of them
#: are written.
SHOWN = 1_000

#: Bytes of loops that a page has in it, so that they repeat without a gap from disk.
_LOOPS_BYTES = 24_000_000

_AT_ONCE = 128  # mels turned to decibels
_HEARD_LU = 0.5  # of difference in loudness
_MAX_PITCHED_SECONDS = 5.0  # of a sound whose pitch is looked for

#: Entry in the record, samples ``(samples,)`` and mel ``(frames, mel_bins)`` of a sound.
Made = tuple[dict[str, Any], np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Request:
    """What a call makes besides the sounds themselves.

    Attributes:
        out: the folder; files of an earlier call in it are replaced, others stay.
        source: what the model was loaded from, for the record.
        delivery: how samples become files.
        length: of sounds that are rendered piece by piece; see `melgan_tf.inference.sampler.Sampler.length`.
        name: names of the files; see `melgan_tf.inference.output_folder.NamePattern`.
        add: keep the sounds of earlier calls in the folder; record, picture and page have them as well.
    """

    out: Path
    source: str
    delivery: Delivery = Delivery()
    length: Length | None = None
    name: str | None = None
    add: bool = False


class SoundFolder:
    """Writes sounds one by one and keeps what the picture and the page show.

    Args:
        path: the hidden folder.
        names: of the files besides the sounds.
        head: the values of the record besides its sounds.
    """

    def __init__(self, path: Path, request: Request, names: FileNames, head: dict[str, Any], model: SoundModel
                 ) -> None:
        self._path, self._request, self._names, self._head, self._model = path, request, names, head, model
        self._pattern = NamePattern(request.name) if request.name else None
        self._licenses = model.licenses
        head["licenses"] = [{key: value for key, value in entry.items() if key != "text"} for entry in self._licenses]
        self._audio = model.config.audio
        self._new: list[tuple[dict[str, Any], float, np.ndarray]] = []
        self._mels: list[np.ndarray] = []
        self._page: list[Sound] = []
        self._loops = 0
        self._ours = set(earlier_files(request.out, FileNames.of())) if request.out.is_dir() else set()
        self.written: dict[str, None] = {}
        self.made = 0
        self.shown: list[dict[str, Any]] = []
        self.counts = {"silent": 0, "turned_down": 0, "over": 0, "abrupt": 0, "soft": 0}
        self.below_lufs = 0.0

    def require_no_foreign_files(self) -> None:
        """Raises a `UsageError` if a file would be replaced that no call made here."""
        for name in () if self._ours else dataclasses.astuple(self._names):
            if os.path.lexists(path := self._request.out / name):
                raise UsageError(f"{path} exists and belongs to no record of generated sounds: give another --out")

    def fill(self, sounds: Callable[[Callable[[int], None]], Iterator[Made]], count: int, total: int,
             progress: Progress) -> None:
        """Makes and writes all sounds, then the other files; after a signal to stop, `finish` writes these.

        Args:
            sounds: makes them; receives what reports progress.
            total: steps of progress.
        """
        if self._pattern:
            NamePattern(self._request.name, count)
        with RecordWriter(self._path / self._names.record, self._head) as self._record:
            self._add_earlier()
            with progress.task("generating", total, "sounds" if total == count else "seconds") as advance:
                for sound, samples, mel in sounds(advance):
                    with postponed():
                        self._add(sound, samples, mel)
        if self.made:
            self.finish()

    def _add_earlier(self) -> None:
        """The sounds that are in the folder already, with what distinguishes them from the new ones."""
        if not self._request.add or not self._request.out.is_dir():
            return
        for sound in recorded_sounds(self._request.out, self._names, self._head):
            self._record.add(sound)
            if self._record.count <= MAX_SOUNDS:
                self._show(sound, *self._analyzed(self._request.out / sound["file"]))

    def _add(self, sound: dict[str, Any], samples: np.ndarray, mel: np.ndarray) -> None:
        rate, delivery = self._model.config.audio.sample_rate, self._request.delivery
        note = self._note(samples, rate)
        sound = {**sound, "file": self._name(sound, note), **({} if note is None else {"note": note_name(note)})}
        made = deliver(self._path / sound["file"], samples, rate, delivery, loop=self._head.get("loop", False),
                       comment=json.dumps(origin_values(self._head, sound)),
                       tags=origin_tags(self._head, sound, short_license(self._licenses), delivery, note))
        self._record.add(sound)
        self.made += 1
        self.counts["silent"] += sound["silent"]
        self.counts["turned_down"] += made.turned_down_db > 0
        self.counts["soft"] += made.below_lufs > _HEARD_LU
        self.below_lufs = max(self.below_lufs, made.below_lufs)
        self.counts["over"] += made.peak > 1
        self.counts["abrupt"] += made.cut_off and not self._request.length
        if self._record.count <= MAX_SOUNDS:
            self._show(sound, made.samples / self._head["sample_rate"], np.array(mel))

    def _note(self, samples: np.ndarray, rate: int) -> int | None:
        if self._head.get("loop") or len(samples) > _MAX_PITCHED_SECONDS * rate:
            return None
        hertz = pitch_hz(samples, rate)
        return None if hertz is None else midi_note(hertz)

    def _name(self, sound: dict[str, Any], note: int | None) -> str:
        """The file's name, which no other file has.

        Raises:
            UsageError: another file has it.
        """
        name = PurePath(sound["file"]).stem
        if self._pattern:
            name = self._pattern(label=sound.get("label", ""), index=_index(sound, self.made),
                                 seed=sound.get("seed", 0),
                                 model=self._model.name,
                                 note="" if note is None else note_name(note))
        name, out = f"{name}.{self._request.delivery.format}", self._request.out
        if name in self.written:
            raise UsageError(f"two sounds would be called {name}: give a --name with a separator before {{index:03}}")
        if (self._request.add or name not in self._ours) and os.path.lexists(out / name):
            raise UsageError(f"{out / name} exists" + (
                ": give another --seed, --start or --name" if self._request.add else
                " and is in no record of generated sounds: give another --out or --name"))
        self.written[name] = None
        return name

    def _analyzed(self, path: Path) -> tuple[float, np.ndarray]:
        """Seconds and mel of a sound of an earlier call.

        Raises:
            MelGANError: it cannot be decoded.
        """
        longest = self._request.length.samples if self._request.length else self._model.sampler.samples
        (_, samples), = decode_folder([SoundFile(path, path.name, "")], self._audio.sample_rate, longest)
        if isinstance(samples, Skipped):
            raise MelGANError(f"{path} is in the record and cannot be read ({samples.reason}): give another --out")
        runtime.import_tensorflow()
        from melgan_tf.dsp import spectral

        mel = spectral.mel_spectrogram(samples[None], self._audio)[0].numpy()
        if self._request.length:  # at most as wide as other pictures
            each = -(-len(mel) // PICTURE_COLUMNS)
            mel = mel[:len(mel) // each * each].reshape(-1, each, mel.shape[1]).mean(axis=1)
        return len(samples) / self._audio.sample_rate, mel

    def _show(self, sound: dict[str, Any], seconds: float, mel: np.ndarray) -> None:
        """Keeps a sound for picture and page."""
        if len(self.shown) < SHOWN:
            self.shown.append(sound)
        self._new.append((sound, seconds, mel))
        if len(self._new) == _AT_ONCE:
            self._draw()

    def _draw(self) -> None:
        """Keeps what picture and page show of the newest sounds."""
        if not self._new:
            return
        frames = len(self._mels[0] if self._mels else self._new[-1][2])  # earlier sounds may be longer or shorter
        mels = self._model.sampler.decibels(np.stack([_fitted(mel, frames) for *_, mel in self._new]))
        self._mels.extend(mels[:max(0, SHOWN - len(self._mels))])
        for (sound, seconds, _), mel_db in zip(self._new, mels, strict=True):
            content = b""
            if self._head.get("loop") and self._loops <= _LOOPS_BYTES and (self._path / sound["file"]).exists():
                content = (self._path / sound["file"]).read_bytes()
                self._loops += len(content)
            self._page.append(Sound(sound["file"], small_image(mel_db), seconds, sound.get("label", ""),
                                    note=sound.get("note", ""), loop=bool(self._head.get("loop")), content=content))
        self._new.clear()

    def finish(self) -> None:
        """Writes what is beside the sounds."""
        self._draw()
        titles = [f"{sound.get('index', number)} {sound.get('label', '')}".strip()
                  for number, sound in enumerate(self.shown)]
        hertz, seconds, total = frequency_ticks(self._audio), self._page[-1].seconds, self._record.count
        save_png(contact_sheet(np.stack(self._mels), titles, total, seconds, hertz,
                               self._head.get("asked", {}).get("bars", 0)), self._path / self._names.picture)
        count = len(self._page)
        what = counted(count, "sound") if count == total else f"The first {count} of {total} sounds"
        facts = (f"{self._head['source']} · preset {self._head['preset']}, {counted(self._head['step'], 'step')} · "
                 f"{self._head['sample_rate'] / 1000:g} kHz · {seconds:.3g} s each")
        write_text(self._path / self._names.page, sound_page(what, facts, self._page, hertz))
        write_text(self._path / self._names.licenses, license_text(self._licenses))


def _fitted(mel: np.ndarray, frames: int) -> np.ndarray:
    """A mel of another number of frames: cut, or with its softest value after it."""
    return np.pad(mel[:frames], ((0, max(0, frames - len(mel))), (0, 0)), constant_values=mel.min())


def _index(sound: dict[str, Any], number: int) -> int:
    """A sound's number in names: that within its seed, that of its direction, or that within the call."""
    return sound.get("index", sound.get("recipe", {}).get("direction", number))
