"""Kits that start from a folder of one's own sounds: each is encoded and becomes the pad that suits it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from melgan_tf.audio.edit import is_silent, onset_sample
from melgan_tf.audio.find import Skipped, SoundFile, find
from melgan_tf.audio.isolated import decode_folder
from melgan_tf.errors import MelGANError
from melgan_tf.inference.kit.choose import Candidates, describe
from melgan_tf.inference.kit.plan import Pad, kind_of
from melgan_tf.progress import Progress

if TYPE_CHECKING:
    from melgan_tf.inference.encode import Encoding
    from melgan_tf.inference.sound_model import SoundModel

#: Sounds of a folder that are considered: the first, by name.
MAX_SOUNDS = 500


@dataclass(frozen=True)
class _Own:
    """A sound of the user's: its name, the kind that the name says, samples, and `describe`'s features."""

    name: str
    kind: str
    samples: np.ndarray
    features: np.ndarray


def styled(model: SoundModel, pads: Sequence[Pad], places: Sequence[str | Path],
           candidates: Callable[[str], Candidates], seed: int, progress: Progress) -> dict[int, Encoding]:
    """Encodings of the user's sounds, for the pads that they suit.

    A sound belongs to the class that its name or folder says, else to that of the candidate most like it. Of several
    sounds for a pad, the first seed takes the one that the model comes nearest to, the next seed the next.

    Args:
        places: folders, or sound files.
        candidates: of a label.

    Returns:
        By the number of the pad; pads that no sound suits are missing.

    Raises:
        UsageError: a folder does not exist.
        MelGANError: no sound can be used.
    """
    from melgan_tf.inference.encode import encode

    labels = list(dict.fromkeys(pad.label for pad in pads))
    drawn = {label: candidates(label) for label in labels}
    groups: dict[str, list[_Own]] = {label: [] for label in labels}
    for own in _sounds(model, places, progress):
        groups[_label_of(own, pads, drawn)].append(own)
    pairs = [pair for label, owns in groups.items()
             for pair in _assigned([pad for pad in pads if pad.label == label], owns, drawn[label], seed)]
    found: dict[int, Encoding] = {}
    with progress.task("encoding", len(pairs), "sounds") as advance:
        for pad, own in pairs:
            found[pad.number] = near = encode(model, own.samples, own.name, pad.label or None)
            advance(1)
            if not near.within_reach:
                progress.warning(f"{own.name} is out of the model's reach ({near.distance_db:.1f} dB): its pad gets "
                                 "the nearest that the model can make")
    return found


def _sounds(model: SoundModel, places: Sequence[str | Path], progress: Progress) -> list[_Own]:
    from melgan_tf.inference.encode import recording_mel
    from melgan_tf.inference.sampler import ONSET_SECONDS

    rate = model.config.audio.sample_rate
    found = [find(place) for place in places]
    files = [sound for sounds, _ in found for sound in sounds][:MAX_SOUNDS]
    skipped = [skip for _, skips in found for skip in skips]
    usable: list[tuple[SoundFile, np.ndarray]] = []
    for sound, samples in decode_folder(files, rate, model.sampler.samples + round(ONSET_SECONDS * rate)):
        if isinstance(samples, Skipped):
            skipped.append(samples)
        elif is_silent(samples):
            skipped.append(Skipped(sound.name, "silent"))
        else:
            usable.append((sound, samples[onset_sample(samples):][:model.sampler.samples].copy()))
    where = ", ".join(map(str, places))
    if not usable:
        reason = f" ({skipped[0].name}: {skipped[0].reason})" if skipped else ""
        raise MelGANError(f"{where} has no sound that can be used{reason}: give a folder of drum sounds")
    if skipped:
        progress.warning(f"{len(skipped)} of {len(skipped) + len(usable)} sounds in {where} cannot be used; the first "
                         f"is {skipped[0].name}: {skipped[0].reason}")
    mels = np.concatenate([recording_mel(model, samples, sound.name).numpy() for sound, samples in usable])
    return [_Own(sound.name, kind_of(sound.name) or kind_of(Path(sound.path).parent.name), samples, features)
            for (sound, samples), features in zip(usable, describe(model, mels), strict=True)]


def _label_of(own: _Own, pads: Sequence[Pad], drawn: dict[str, Candidates]) -> str:
    for pad in pads:
        if (own.kind and (own.kind == pad.kind or own.kind == kind_of(pad.label))) or (
                not pad.kind and pad.label and pad.label.lower() in own.name.lower()):
            return pad.label
    return min(drawn, key=lambda label: _distance(own, drawn[label]))


def _distance(own: _Own, found: Candidates) -> float:
    return float(np.abs(found.features - own.features).mean(axis=1).min())


def _assigned(pads: Sequence[Pad], owns: Sequence[_Own], found: Candidates, seed: int) -> list[tuple[Pad, _Own]]:
    nearest = sorted(owns, key=lambda own: _distance(own, found))
    turn = seed % max(1, len(nearest))
    free = nearest[turn:] + nearest[:turn]
    pairs: list[tuple[Pad, _Own]] = []
    named = {pad.kind for pad in pads}
    for exact in (True, False):  # a sound called "open hat" is for that pad only
        for pad in pads:
            suits = [own for own in free if own.kind == pad.kind or not (exact or own.kind in named)]
            if suits and pad not in [taken for taken, _ in pairs]:
                pairs.append((pad, suits[0]))
                free = [own for own in free if own is not suits[0]]
    return pairs
