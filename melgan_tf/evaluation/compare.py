"""Generated waveforms against real ones: all figures by one function."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import soxr

from melgan_tf.audio.edit import fade_out
from melgan_tf.errors import MelGANError, UsageError
from melgan_tf.evaluation import metrics, per_class
from melgan_tf.evaluation.arrays import finite
from melgan_tf.evaluation.artifacts import measure_artifacts
from melgan_tf.evaluation.embeddings import log_mel
from melgan_tf.evaluation.embeddings.drums import DrumEmbedding
from melgan_tf.evaluation.memorization import Copies, Described, find_copies
from melgan_tf.evaluation.report import ClassFit, Comparison, Figures, Projection, Report

DUPLICATE_SHARE = 0.05  # of the mean distance between two real sounds
MAX_SOUNDS = 5_000
MIN_RATE = 4_000
_FADE_SECONDS = 0.005


@dataclass(frozen=True)
class _Set:
    """Some sounds: waveforms at the generated sounds' rate, and what is known of each."""

    audio: np.ndarray
    features: np.ndarray
    probabilities: np.ndarray
    statistics: np.ndarray
    pictures: np.ndarray

    def __len__(self) -> int:
        return len(self.audio)

    def __getitem__(self, index: np.ndarray) -> _Set:
        return _Set(*(getattr(self, one.name)[index] for one in dataclasses.fields(self)))


def evaluate_waveforms(fake: np.ndarray, fake_rate: int, reference: np.ndarray, reference_rate: int,
                       train: np.ndarray | None = None, fake_labels: Sequence[str] | None = None,
                       reference_labels: Sequence[str] | None = None, seed: int = 0, k: int = 5,
                       train_rate: int | None = None, fake_names: Sequence[str] | None = None,
                       train_names: Sequence[str] | None = None, drums: bool = True) -> Report:
    """Compares generated sounds with real ones, and real ones with real ones at the same count.

    With training sounds, ``n = min(fake, reference, train, 5000)``: n generated sounds against n of the reference give
    the figures, n training sounds against the same n the floor: what a generator would reach that returned training
    sounds at random. Without, the reference is dealt at random into two disjoint halves A and B, n is at most a half:
    generated against A, and B against A as the floor. Figures of this kind depend on n: compare at equal n only. Real
    sounds that are near copies of each other make the floor better than an honest generator can be.

    All sounds are looked at over the length of the generated ones: longer real ones are cut, their last 5 ms faded out.

    Args:
        fake: generated waveforms ``(sounds, samples)``, full scale 1.
        fake_rate, reference_rate, train_rate: Hz; ``train_rate`` is ``reference_rate`` unless given.
        reference: real waveforms, best ones that training has not seen.
        train: what the model was trained on.
        fake_labels, reference_labels: what each sound is meant to be.
        seed: decides which sounds are taken where there are too many, and the halves; 0 or more.
        k: which nearest neighbour bounds a sound's neighbourhood; 5 as in Naeem et al.
        fake_names, train_names: what sounds are called where copies are named; their numbers by default.
        drums: whether the network that tells drums by their class has anything to say of them.

    Raises:
        UsageError: ``k``, ``seed`` or a rate out of range.
        MelGANError: too few sounds, shapes that cannot be, values that are not finite, or real sounds all alike.
    """
    fake = finite(fake, 2, "generated waveforms", np.float32)
    _check(fake, fake_rate, reference, train, fake_labels, reference_labels, seed, k)
    embedding, samples = DrumEmbedding(), fake.shape[1]

    def described(audio: np.ndarray, rate: int) -> _Set:
        return _describe(at_rate(audio, rate, fake_rate, samples), fake_rate, embedding)

    made, real = _describe(fake, fake_rate, embedding), described(reference, reference_rate)
    known = None if train is None else described(train, train_rate or reference_rate)
    dealt = _deal(made, real, known, seed)
    against, other, generated = dealt.against, dealt.other, dealt.generated
    if not metrics.spread(against.statistics):
        raise MelGANError(f"the {len(real)} reference sounds are all alike: give different ones")
    standard = log_mel.standardise(against.statistics, other.statistics, generated.statistics)
    labels = (None if own is None else np.asarray(own)[index] for own, index in
              ((fake_labels, dealt.generated_index), (reference_labels, dealt.against_index)))
    return Report(
        drums=Comparison(_figures(against.features, generated.features, k),
                         _figures(against.features, other.features, k)) if drums else None,
        classes=Comparison(_fit(against, generated), _fit(against, other)) if drums else None,
        statistics=Comparison(_figures(standard[0], standard[2], k), _figures(standard[0], standard[1], k)),
        of_class=tuple(per_class.class_figures(
            embedding.classes, (generated.features, generated.probabilities), (against.features, against.probabilities),
            other.features, k, *labels)) if drums else (),
        faults=Comparison(measure_artifacts(fake, fake_rate, real.audio),
                          measure_artifacts(real.audio, fake_rate, other.audio)),
        copies=None if known is None else _copies(made, real, known, fake_names, train_names),
        floor="two halves of the reference" if known is None else "training sounds against the reference",
        sounds=len(generated), fake_sounds=len(made), reference_sounds=len(real),
        train_sounds=None if known is None else len(known), sample_rate=int(fake_rate),
        seconds=round(samples / fake_rate, 4), seed=int(seed), k=int(k), embedding=embedding.name,
        statistics_embedding=log_mel.EMBEDDING, projection=_projection(against, generated))


def _check(fake: np.ndarray, fake_rate: int, reference: np.ndarray, train: np.ndarray | None,
           fake_labels: Sequence[str] | None, reference_labels: Sequence[str] | None, seed: int, k: int) -> None:
    if k < 1 or seed < 0:
        raise UsageError(f"k is {k} and seed is {seed}: give 1 or more and 0 or more")
    if fake_rate < MIN_RATE:
        raise UsageError(f"the generated sounds' rate is {fake_rate!r}: give {MIN_RATE} Hz or more")
    counts = [("real", len(reference), (k + 1) * (2 if train is None else 1)), ("generated", len(fake), k + 1)]
    if train is not None:
        counts.append(("training", len(train), k + 1))
    for name, given, least in counts:
        if given < least:
            raise MelGANError(f"{given} {name} sounds are too few to evaluate: give at least {least}")
    for name, given, sounds in (("generated", fake_labels, fake), ("real", reference_labels, reference)):
        if given is not None and len(given) != len(sounds):
            raise MelGANError(f"{len(given)} labels for {len(sounds)} {name} sounds: give one for each")


@dataclass(frozen=True)
class _Dealt:
    """Three sets of equal size: the reference, other real sounds, generated ones; and which of those given they are."""

    against: _Set
    other: _Set
    generated: _Set
    against_index: np.ndarray
    generated_index: np.ndarray


def _deal(made: _Set, real: _Set, known: _Set | None, seed: int) -> _Dealt:
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(real))
    taken = rng.permutation(len(made))  # at random, because generated sounds may come sorted by class
    if known is None:
        half = len(real) // 2
        n = min(len(made), half, MAX_SOUNDS)
        other = real[order[half:half + n]]
    else:
        n = min(len(made), len(real), len(known), MAX_SOUNDS)
        other = known[rng.permutation(len(known))[:n]]
    return _Dealt(real[order[:n]], other, made[taken[:n]], order[:n], taken[:n])


def at_rate(audio: np.ndarray, rate: int, wanted: int, samples: int) -> np.ndarray:
    """Waveforms ``(sounds, any)`` at another rate and of another length, float32: cut and faded out, or padded."""
    audio = finite(audio, 2, "real waveforms", np.float32)
    audio = audio[:, :int((samples / wanted + 0.05) * rate)]
    if rate != wanted:
        audio = soxr.resample(np.ascontiguousarray(audio.T), rate, wanted, quality="HQ").reshape(-1, len(audio)).T
    if audio.shape[1] > samples:
        return fade_out(audio[:, :samples], _FADE_SECONDS, wanted)
    return np.pad(audio, ((0, 0), (0, samples - audio.shape[1])))


def _describe(audio: np.ndarray, rate: int, embedding: DrumEmbedding) -> _Set:
    features, probabilities = embedding(audio, rate)
    pictures = log_mel.pictures(audio, rate)
    return _Set(audio, features, probabilities, log_mel.embed(pictures), pictures)


def _figures(real: np.ndarray, fake: np.ndarray, k: int) -> Figures:
    scale = metrics.spread(real)
    return Figures(
        frechet=metrics.frechet_distance(real, fake), kernel=metrics.kernel_distance(real, fake),
        precision=metrics.precision(real, fake, k), recall=metrics.recall(real, fake, k),
        density=metrics.density(real, fake, k), coverage=metrics.coverage(real, fake, k),
        spread=metrics.spread(fake) / scale,
        duplicates=metrics.near_duplicates(fake, DUPLICATE_SHARE * scale))


def _fit(real: _Set, other: _Set) -> ClassFit:
    return ClassFit(metrics.inception_score(other.probabilities),
                    per_class.mix_difference(real.probabilities, other.probabilities))


def _projection(real: _Set, generated: _Set) -> Projection:
    mean = real.features.mean(axis=0)
    directions = np.linalg.svd(real.features - mean, full_matrices=False)[2][:2]
    directions *= np.where(directions.sum(axis=1, keepdims=True) < 0, -1.0, 1.0)  # else their sign is arbitrary
    return Projection(*((own.features - mean) @ directions.T for own in (generated, real)),
                      *(own.probabilities.argmax(axis=1) for own in (generated, real)))


def _copies(made: _Set, real: _Set, known: _Set, fake_names: Sequence[str] | None,
            train_names: Sequence[str] | None) -> Copies:
    described = [Described(own.features, own.pictures) for own in (made, real, known)]
    return find_copies(*described, fake_names or [str(i) for i in range(len(made))],
                       train_names or [str(i) for i in range(len(known))])
