"""Makes a kit and writes it into a folder: samples, the files of samplers, a page to hear it, and its record."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import numpy as np

from melgan_tf.audio.delivery import Delivery, deliver
from melgan_tf.dsp.brightness import brightness_hz
from melgan_tf.dsp.loudness import loudness
from melgan_tf.dsp.mel_filters import frequency_ticks
from melgan_tf.dsp.spectrogram_image import contact_sheet, save_png, small_image
from melgan_tf.errors import MelGANError, UsageError
from melgan_tf.inference.generate import described, record_head
from melgan_tf.inference.html_page import Sound, sound_page
from melgan_tf.inference.kit.finish import PEAK, SOFTEST_DB, Hit
from melgan_tf.inference.kit.pieces import Piece, make_pieces
from melgan_tf.inference.kit.plan import MAX_PADS, Pad, ascii_name, plan, velocity_ranges
from melgan_tf.inference.kit.players import PADS, SAMPLES, Instrument, Kit, Sample, write_formats
from melgan_tf.inference.origin import origin_tags, origin_values
from melgan_tf.inference.output_folder import move, staging_folder
from melgan_tf.progress import Progress
from melgan_tf.runtime.signals import postponed
from melgan_tf.storage.atomic import write_text
from melgan_tf.storage.json_file import MAX_LIST_BYTES, read_json
from melgan_tf.weights.licenses import license_text, short_license

if TYPE_CHECKING:
    from melgan_tf.inference.sound_model import SoundModel

#: The record of a kit, in its folder.
RECORD = "kit.json"
#: Samples of a velocity, and velocities.
MAX_TURNS = MAX_LAYERS = 16

_SOFTEST_LUFS = -30.0  # one click of a few milliseconds does not turn the whole kit down further
_PICTURE, _PAGE, _LICENSES = "kit.png", "index.html", "LICENSES.txt"


def write_kit(model: SoundModel, out: Path, seed: int, labels: Sequence[str], style_from: Sequence[str | Path],
              round_robins: int, velocities: int, delivery: Delivery, progress: Progress | None = None
              ) -> dict[str, Any]:
    """See `melgan_tf.inference.sound_model.SoundModel.kit`.

    Args:
        out: the folder.
        delivery: bits and sample rate of the samples.
    """
    progress = progress or Progress()
    delivery = dataclasses.replace(delivery, normalize="none", tail=0.0)  # hits have their levels and ends
    pads = _pads(model, labels, round_robins, velocities, progress)
    model.before_making(model)
    pieces = make_pieces(model, pads, seed, style_from, round_robins, progress)
    head = {"made_by": "melgan-tf", "kit": f"{ascii_name(model.name)} kit {seed}".replace(" ", "-"), "seed": seed,
            "labels": list(labels), "style_from": [PurePath(place).name for place in style_from],
            "round_robins": round_robins, "velocities": velocities, **record_head(model, model.source, delivery)}
    with staging_folder(out) as staging:
        record = _write(model, staging, head, pads, pieces, delivery, progress)
        with postponed():
            move(staging, out, _earlier(out), [RECORD])
    return record


def _pads(model: SoundModel, labels: Sequence[str], turns: int, layers: int, progress: Progress) -> list[Pad]:
    for name, value, most in (("round_robins", turns, MAX_TURNS), ("velocities", layers, MAX_LAYERS)):
        if not 1 <= value <= most:
            raise UsageError(f"{name} is {value}: give 1 to {most}")
    if model.config.family.makes != "clips":
        raise UsageError(f"a model of preset {model.config.preset!r} makes sounds of any length, and kits are of "
                         "one-shots: use a model of one-shots, such as pretrained:drums-44k")
    for label in labels:
        model.label(label)
    wanted = labels or model.classes
    pads = plan(wanted)
    if left := [name for name in wanted if name not in {pad.label for pad in pads}]:
        progress.warning(f"a kit has {MAX_PADS} pads at most, so {len(left)} classes have none; the first is {left[0]}")
    return pads


def _write(model: SoundModel, folder: Path, head: dict[str, Any], pads: Sequence[Pad], pieces: Sequence[Piece],
           delivery: Delivery, progress: Progress) -> dict[str, Any]:
    (folder / SAMPLES).mkdir()
    (folder / PADS).mkdir()
    target = _target(pieces)
    licenses = model.licenses
    write_text(folder / _LICENSES, license_text(licenses))
    head = {**head, "loudness": round(target, 2), "license": short_license(licenses)}
    entries, instruments = [], []
    with progress.task("writing", len(pads), "pads") as advance:
        for pad, piece in zip(pads, pieces, strict=True):
            entry = _write_pad(model, folder, head, pad, piece, target, delivery)
            samples = tuple(Sample(PurePath(one["file"]).name, *one["velocities"], one["round_robin"])
                            for one in entry["samples"])
            instruments.append(Instrument(pad, samples))
            shutil.copyfile(folder / SAMPLES / instruments[-1].loudest, folder / PADS / f"{pad.stem}.wav")
            entries.append(entry)
            advance(1)
    about = f"generated by melgan-tf with {PurePath(head['source']).name}, seed {head['seed']}"
    kit = Kit(head["kit"], about, head["license"], head["round_robins"], tuple(instruments))
    write_formats(kit, folder)
    _write_page(model, folder, kit, entries, pieces)
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    record = {**head, "pads": entries, "files": [*files, RECORD]}
    write_text(folder / RECORD, json.dumps(record, indent=1) + "\n")
    return record


def _target(pieces: Sequence[Piece]) -> float:
    """The loudness that every hit reaches with a peak of -1 dB at most, LUFS."""
    reached = [loudness(samples * (PEAK / np.abs(samples).max()), piece.sample_rate)
               for piece in pieces for samples in piece.hits if samples.any()]
    return max(_SOFTEST_LUFS, min(reached, default=_SOFTEST_LUFS))


def _write_pad(model: SoundModel, folder: Path, head: dict[str, Any], pad: Pad, piece: Piece, target: float,
               delivery: Delivery) -> dict[str, Any]:
    samples, ranges, rate = [], velocity_ranges(head["velocities"]), piece.sample_rate
    for layer, (low, high) in enumerate(ranges, start=1):
        softness = 1 - layer / len(ranges)
        hit = Hit(head["kit"], pad.name, pad.note, softness, target + SOFTEST_DB * softness)
        for turn, (recipe, made) in enumerate(zip(piece.recipes, piece.made, strict=True), start=1):
            played = hit.played(made, rate)
            sound = described(dataclasses.replace(recipe, hit=hit), model.sampler.classes)
            entry = {"file": f"{SAMPLES}/{pad.stem}_v{layer}_rr{turn}.wav", "velocities": [low, high],
                     "round_robin": turn, **sound, "peak": round(float(np.abs(played).max()), 4),
                     "loudness": round(loudness(played, rate), 2),
                     "brightness_hz": round(brightness_hz(played, rate), 1)}
            deliver(folder / entry["file"], played, rate, delivery, comment=json.dumps(origin_values(head, sound)),
                    tags=origin_tags(head, sound, head["license"], delivery, None))
            samples.append(entry)
    started = {"recording": piece.encoding.recipe.latent.recording,
               "distance_db": round(piece.encoding.distance_db, 2)} if piece.encoding else {}
    return {"pad": pad.place, "name": pad.name, "note": pad.note, "choke_group": pad.choke, **started,
            "seconds": round(len(piece.hits[0]) / rate, 4), "decay_seconds": round(piece.decay_seconds, 3),
            "pitch_hz": round(piece.pitch_hz, 1), "samples": samples}


def _write_page(model: SoundModel, folder: Path, kit: Kit, entries: Sequence[dict[str, Any]],
                pieces: Sequence[Piece]) -> None:
    hertz, seconds = frequency_ticks(model.config.audio), model.sampler.samples / model.config.audio.sample_rate
    mels = model.sampler.decibels(np.stack([mel for piece in pieces for mel in piece.mels]))
    titles = [f"{entry['pad']} {entry['name']}" for entry in entries]
    sounds = [Sound(sample["file"], small_image(mels[number * kit.turns + sample["round_robin"] - 1]), seconds,
                    titles[number], PurePath(sample["file"]).name, "{}-{}".format(*sample["velocities"]),
                    values={"brightness": sample["brightness_hz"], "loudness": sample["loudness"]})
              for number, entry in enumerate(entries) for sample in entry["samples"]]
    save_png(contact_sheet(mels[::kit.turns], titles, seconds=seconds, hertz=hertz), folder / _PICTURE)
    write_text(folder / _PAGE, sound_page(kit.name, kit.about, sounds, hertz, again="melgan-tf vary {} --out more"))


def _earlier(out: Path) -> list[str]:
    """The files of an earlier kit."""
    try:
        record = read_json(out / RECORD, MAX_LIST_BYTES)
        names = [str(name) for name in record["files"]] if record["made_by"] == "melgan-tf" else []
    except (OSError, ValueError, KeyError, TypeError, MelGANError):
        return []
    here = out.resolve()
    return [name for name in names if (out / name).is_file() and (out / name).resolve().is_relative_to(here)]
