"""What fine-tuning ends with: a page of new sounds, each beside the nearest of one's own, with near copies named."""

from __future__ import annotations

import dataclasses
import shlex
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np

from melgan_tf import storage
from melgan_tf.audio.wav import save_wav
from melgan_tf.data.sources import held_out
from melgan_tf.dsp.mel_filters import frequency_ticks
from melgan_tf.dsp.spectrogram_image import small_image
from melgan_tf.evaluation import metrics
from melgan_tf.evaluation.compare import resampled
from melgan_tf.evaluation.embeddings.drums import DrumEmbedding
from melgan_tf.evaluation.embeddings.log_mel import log_mels, mel_config
from melgan_tf.evaluation.memorization import EmbeddedSounds, distances, measure_memorization
from melgan_tf.evaluation.sounds import SoundSet, load_sound_set
from melgan_tf.inference.html_page import Sound, sound_page
from melgan_tf.inference.load import load_sound_model
from melgan_tf.inference.output_folder import name_part
from melgan_tf.progress import Progress, counted
from melgan_tf.storage.atomic import write_text
from melgan_tf.storage.json_file import read_json
from melgan_tf.storage.run_directory import RunDirectory
from melgan_tf.training.guard import Guard

if TYPE_CHECKING:
    from melgan_tf.training.run import Result

#: Folder of the page in a run directory.
FOLDER = "comparison"
#: The fewest and the most new sounds; between, as many as there are of one's own.
MIN_NEW, MAX_NEW = 24, 200
#: More sounds of one's own than this are compared elsewhere: `melgan-tf evaluate`.
MAX_OWN = 5_000
#: The fewest with which neighborhoods mean anything.
MIN_OWN = 8
_K = 5


def compared(result: Result, data: str | Path, run: str | Path, progress: Progress) -> Result:
    """The result of a training, with page and findings if it was fine-tuning; nothing that fails here fails the run."""
    place = RunDirectory(run)
    with Guard(progress, "the run is complete without it")("comparing new sounds with your own"):
        if MIN_OWN <= len(result.sounds) <= MAX_OWN and not storage.is_remote(place.path) and \
                "init_from" in place.record()["data"] and _step(place.path / FOLDER) != result.steps:
            page, findings = compare(run, data, place.path / FOLDER, progress)
            return dataclasses.replace(result, page=page, findings=findings)
    return result


def compare(run: str | Path, data: str | Path, out: Path, progress: Progress) -> tuple[Path, tuple[str, ...]]:
    """Makes new sounds with a run, compares them with its training sounds and writes the page.

    Args:
        run: of one-shots.
        data: folder of the sounds that it learned from.
        out: folder for the page, created if missing.
        progress: reports sounds.

    Returns:
        The page, and what was found, in words.
    """
    model = load_sound_model(run, "last", progress)
    rate, samples = model.config.audio.sample_rate, model.sampler.samples
    own = load_sound_set(data, rate, samples / rate, progress)
    model.write(out / "new", min(MAX_NEW, max(MIN_NEW, len(own))), progress=progress)
    new = load_sound_set(out / "new", rate, samples / rate, progress, include_silent=True)
    new = new.with_recorded_labels(out / "new")
    network = DrumEmbedding()
    with progress.stage("comparing new sounds with your own"):
        own, new = (dataclasses.replace(one, audio=resampled(one.audio, rate, rate, samples)) for one in (own, new))
        own_place, new_place = (EmbeddedSounds(network.embed(one.audio, rate), log_mels(one.audio, rate))
                                for one in (own, new))
        aside = held_out([*zip(own.names, own.labels or ("",) * len(own), strict=True)], model.config.data.hold_out)
        found = measure_memorization(new_place, None, own_place, new.names, own.names)
        copies = {pair.generated: pair.training for pair in found.named}
        facts = _findings(own_place, aside, new_place, found.share, copies)
        sounds = _cards(own, new, own_place, new_place, copies, out)
        title = f"New sounds beside yours: {PurePosixPath(str(run)).name}"
        page = out / "index.html"
        more = f"more of them: melgan-tf generate {shlex.quote(str(run))} --out more"
        write_text(page, sound_page(title, " · ".join([*facts, more]), sounds, frequency_ticks(mel_config(rate)),
                                    folder="new"))
    return page, facts


def _findings(own: EmbeddedSounds, aside: np.ndarray, new: EmbeddedSounds, share: float, copies: dict[str, str]
              ) -> tuple[str, ...]:
    """``aside``: which of one's own sounds training has not seen."""
    near = _like(own.features[~aside], new.features)
    covered = metrics.in_neighborhoods(own.features, new.features, _K).any(axis=1)
    like, variety = f"like yours: {near:.0%} of the new sounds", f"variety: {covered.mean():.0%} of your sounds"
    number = round(share * len(new.features))
    if aside.any():
        unseen = _like(own.features[~aside], own.features[aside])
        like += f", and {unseen:.0%} of the {aside.sum()} of yours that it did not learn from"
        variety = f"variety: {covered[aside].mean():.0%} of these, and {covered[~aside].mean():.0%} of the others,"
    named = "; ".join(f"{name} of {original}" for name, original in list(copies.items())[:3])
    copied = (f"near copies: {number} of {counted(len(new.features), 'new sound')} ({named}{'; ...' * (number > 3)})"
              if number else "near copies: none")
    return like, f"{variety} have a new one like them", copied


def _like(known: np.ndarray, points: np.ndarray) -> float:
    """The fraction of points in a neighborhood of known ones: precision."""
    return float(metrics.in_neighborhoods(known, points, _K).any(axis=0).mean())


def _cards(own: SoundSet, new: SoundSet, own_place: EmbeddedSounds, new_place: EmbeddedSounds, copies: dict[str, str],
           out: Path) -> list[Sound]:
    """A card for each new sound: it, and the nearest of one's own of its class, of which copies are written."""
    apart = distances(new_place.features, own_place.features)
    if own.labels and new.labels:
        other = np.array(new.labels)[:, None] != np.array(own.labels)[None]
        apart = np.where(other & ~other.all(axis=1, keepdims=True), np.inf, apart)
    (out / "own").mkdir(exist_ok=True)
    cards, written = [], {}
    for index, name in enumerate(new.names):
        nearest = own.names.index(copies[name]) if name in copies else int(apart[index].argmin())
        if nearest not in written:
            file = f"own/{nearest:04d}-{name_part(PurePosixPath(own.names[nearest]).stem)}.wav"
            peak = max(1.0, float(np.abs(own.audio[nearest]).max()))
            save_wav(out / file, own.audio[nearest] / peak, own.sample_rate)
            written[nearest] = _tile(own, own_place, nearest, file, "yours")
        note = f"near copy of {own.names[nearest]}" if name in copies else f"nearest of yours: {own.names[nearest]}"
        cards.append(dataclasses.replace(_tile(new, new_place, index, f"new/{name}", "new"), note=note,
                                         beside=written[nearest]))
    return sorted(cards, key=lambda card: card.label)


def _tile(sounds: SoundSet, place: EmbeddedSounds, index: int, file: str, mark: str) -> Sound:
    return Sound(file, small_image(place.mels[index]), sounds.audio.shape[1] / sounds.sample_rate,
                 sounds.labels[index] if sounds.labels else "", sounds.names[index], mark=mark)


def _step(folder: Path) -> int | None:
    """The training step of the sounds that are there; None if there are none."""
    try:
        return read_json(folder / "new" / "sounds.json").get("step") if (folder / "index.html").exists() else None
    except (OSError, ValueError, AttributeError):
        return None
