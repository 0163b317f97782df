"""A folder of sounds, or the sounds of a model, as a map to click and hear: `melgan-tf explore`."""

from __future__ import annotations

import dataclasses
import os
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from melgan_tf import storage
from melgan_tf.audio.find import Skipped, SoundFile, find
from melgan_tf.audio.isolated import decode_folder, measure
from melgan_tf.audio.wav import save_wav
from melgan_tf.config import AudioConfig
from melgan_tf.dsp.brightness import brightness_hz
from melgan_tf.dsp.loudness import loudness
from melgan_tf.dsp.mel_filters import frequency_ticks
from melgan_tf.dsp.pitch import pitch_hz
from melgan_tf.dsp.spectrogram_image import small_image
from melgan_tf.errors import MelGANError, UsageError, printable
from melgan_tf.evaluation.choose import describe, standardized, unique
from melgan_tf.evaluation.embeddings.drums import DrumEmbedding
from melgan_tf.evaluation.embeddings.log_mel import BANDS, log_mels
from melgan_tf.evaluation.embeddings.whitening import principal_axes
from melgan_tf.evaluation.evaluate import overlap
from melgan_tf.evaluation.favorites import Explored
from melgan_tf.evaluation.sounds import DEFAULT_SAMPLE_RATE, MAX_SECONDS
from melgan_tf.inference.html_page import AGAIN, MAX_SOUNDS, Sound, sound_page
from melgan_tf.inference.output_folder import FileNames, name_part, recorded_labels
from melgan_tf.inference.sound_model import SoundModel
from melgan_tf.progress import Progress, counted
from melgan_tf.runtime.signals import postponed
from melgan_tf.storage.atomic import write_text

#: Seconds of a sound of one's own that the page has.
HEARD_SECONDS = 10.0
#: The rate of what is heard, Hz: that of most files, but no more.
_MAX_RATE = 48_000
_END_DB = 40.0  # below its peak, a sound ends
_AT_ONCE = 64
_HINT = ("Each dot is a sound; near ones sound alike. Click, or drag across the dots, to hear them; arrow keys go to "
         "the next one.")


@dataclass(frozen=True)
class _Heard:
    """A sound, its description for the map, and what can be sorted by."""

    sound: SoundFile
    file: str
    seconds: float
    picture: np.ndarray
    description: np.ndarray
    values: dict[str, float]


def explore_model(model: SoundModel, out: Path, count: int, seed: int, label: str | None, seconds: float | None,
                  progress: Progress | None = None) -> Explored:
    """Generates sounds into a folder, with a map of them as its page.

    Raises:
        UsageError, MelGANError: as `SoundModel.write`.
    """
    model.write(out, count, seed, label, seconds=seconds, progress=progress)
    return _write(out, out, f"{model.source}, seed {seed}", AGAIN, ".", progress or Progress())


def explore_folder(folder: Path, out: Path, progress: Progress | None = None) -> Explored:
    """Writes a map of the sounds in a folder, with copies of them that every browser plays: the first ten seconds.

    Raises:
        UsageError: the folder does not exist, or contains the page.
        MelGANError: it has no usable sound, or the page cannot be written.
    """
    if overlap(folder, out):
        raise UsageError(f"{out} and {folder} contain each other: give another --out")
    place = shlex.quote(printable(folder))
    again = f"melgan-tf vary {place}/{{}} --model pretrained:drums --out more"
    beside = out if out.is_dir() else out.parent
    try:
        beside.mkdir(parents=True, exist_ok=True)
        with storage.temporary_folder(beside, 0o777) as staging:
            found = _write(folder, staging, printable(folder), again, place, progress or Progress())
            with postponed():
                out.mkdir(exist_ok=True)
                for file in list(staging.iterdir()):
                    os.replace(file, out / file.name)
    except OSError as error:
        raise MelGANError(f"cannot write {out}: {error.strerror}") from None
    return dataclasses.replace(found, page=out / found.page.name)


def _write(folder: Path, out: Path, title: str, again: str, copy_from: str, progress: Progress) -> Explored:
    found, skipped = find(folder)
    rates = [rate for rate, _ in filter(None, measure(found[:32], 0.01))]
    rate = min(_MAX_RATE, max(set(rates), key=rates.count)) if rates else DEFAULT_SAMPLE_RATE
    heard = []
    with progress.task("listening", min(len(found), MAX_SOUNDS), "sounds") as advance:
        for one in _listen(found[:MAX_SOUNDS], rate, out if out != folder else None, skipped):
            heard.append(one)
            advance(1)
    for item in skipped:
        progress.warning(f"skipped {item.name}: {item.reason}")
    if not heard:
        raise MelGANError(f"{folder} has no usable sound: give a folder of sounds, or a model")
    points, = standardized(np.stack([one.description for one in heard]))
    kept = unique(points)
    for index in set(range(len(heard))) - set(kept) if out != folder else ():
        (out / heard[index].file).unlink()
    labels = _labels(folder)
    sounds = [Sound(heard[index].file, heard[index].picture, heard[index].seconds,
                    labels.get(heard[index].sound.name, heard[index].sound.label), heard[index].sound.name,
                    values=heard[index].values, place=tuple(place))
              for index, place in zip(kept, project(points[kept]), strict=True)]
    duplicates = len(heard) - len(kept)
    left_out = f", {counted(duplicates, 'near duplicate')} left out" if duplicates else ""
    facts = counted(len(sounds), "sound") + left_out
    page = out / FileNames.of().page
    write_text(page, sound_page(title, facts, sounds, frequency_ticks(_mel_config(rate)), again=again,
                                folder=copy_from, hint=_HINT))
    return Explored(page, len(sounds), duplicates, tuple(skipped))


def _listen(sounds: list[SoundFile], rate: int, copies: Path | None, skipped: list[Skipped]) -> Iterator[_Heard]:
    """Decodes sounds and describes them, some at a time; copies those that the page cannot refer to."""
    network, batch = DrumEmbedding(), []
    for number, (sound, samples) in enumerate(decode_folder(sounds, rate, None, round(HEARD_SECONDS * rate))):
        if isinstance(samples, Skipped):
            skipped.append(samples)
            continue
        file = f"{number:04d}-{name_part(PurePosixPath(sound.name).stem)}.wav" if copies else sound.name
        if copies:
            save_wav(copies / file, samples / max(1.0, np.abs(samples).max()), rate)
        batch.append((sound, file, samples))
        if len(batch) == _AT_ONCE:
            yield from _describe(batch, rate, network)
            batch = []
    if batch:
        yield from _describe(batch, rate, network)


def _describe(batch: list[tuple[SoundFile, str, np.ndarray]], rate: int, network: DrumEmbedding) -> Iterator[_Heard]:
    length = round(MAX_SECONDS * rate)  # of all, so that a sound's place does not depend on the longest
    audio = np.stack([np.pad(samples[:length], (0, max(0, length - len(samples)))) for *_, samples in batch])
    for (sound, file, samples), description in zip(batch, describe(audio, rate, network), strict=True):
        yield _Heard(sound, file, len(samples) / rate, small_image(log_mels(samples[None], rate)[0]), description,
                     sound_values(samples, rate))


def sound_values(samples: np.ndarray, sample_rate: int) -> dict[str, float]:
    """What sounds can be sorted by: brightness and pitch in Hz, length in seconds, loudness in LUFS.

    Args:
        samples: ``(samples,)``, not silent.
        sample_rate: Hz.

    Returns:
        ``brightness``, the mean frequency weighted by power; ``length``, until it stays 40 dB below its peak;
        ``pitch``, if it has a clear one; ``loudness``.

    Examples:
        >>> tone = np.sin(2 * np.pi * 1000 * np.arange(16_000) / 16_000)
        >>> found = sound_values(np.concatenate([tone, np.zeros(16_000)]), 16_000)
        >>> round(found["brightness"]), round(float(found["length"]), 2)
        (1000, 1.0)
    """
    loud = np.flatnonzero(np.abs(samples) >= np.abs(samples).max() * 10 ** (-_END_DB / 20))
    level, pitch = loudness(samples, sample_rate), pitch_hz(samples, sample_rate)
    return {"brightness": brightness_hz(samples, sample_rate),
            "length": (loud[-1] + 1) / sample_rate, **({"pitch": pitch} if pitch else {}),
            **({"loudness": level} if np.isfinite(level) else {})}


def project(points: np.ndarray) -> np.ndarray:
    """Places on a map for points ``(n, d)``: their first two principal components, from 0 to 1, spread evenly.

    Half of a place is its rank, so that a crowd does not become one dot.
    """
    mean, axes = principal_axes(points, 2)
    flat = np.zeros((len(points), 2))
    flat[:, :len(axes)] = (points - mean) @ axes.T
    ranks = flat.argsort(axis=0, kind="stable").argsort(axis=0) / max(1, len(points) - 1)
    low, high = np.quantile(flat, [0.01, 0.99], axis=0)
    spread = np.clip((flat - low) / np.maximum(high - low, 1e-9), 0, 1)
    return (ranks + spread) / 2


def _labels(folder: Path) -> dict[str, str]:
    """The labels that a folder of generated sounds records; none if it is none."""
    try:
        return recorded_labels(folder)
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _mel_config(rate: int) -> AudioConfig:
    """The bands of `log_mels`."""
    return AudioConfig(sample_rate=rate, mel_bins=BANDS, min_hz=0.0, max_hz=rate / 2, mel_scale="slaney")
