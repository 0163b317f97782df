"""Generated waveforms compared with real ones: all metrics by one function."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import soxr

from melgan_tf.audio.edit import fade_out
from melgan_tf.errors import MelGANError, UsageError
from melgan_tf.evaluation import metrics, per_class
from melgan_tf.evaluation.arrays import check_array
from melgan_tf.evaluation.artifacts import measure_artifacts
from melgan_tf.evaluation.embeddings import log_mel
from melgan_tf.evaluation.embeddings.drums import DrumEmbedding
from melgan_tf.evaluation.embeddings.spectra import EMBEDDING as SPECTRA_EMBEDDING
from melgan_tf.evaluation.embeddings.spectra import log_spectra
from melgan_tf.evaluation.embeddings.whitening import Whitening
from melgan_tf.evaluation.memorization import EmbeddedSounds, Memorization, measure_memorization
from melgan_tf.evaluation.report import ClassFit, Comparison, EmbeddingMetrics, Projection, SoundReport
from melgan_tf.evaluation.rhythm import loop_mels, measure_loops, rhythm_vectors
from melgan_tf.evaluation.sounds import LoopSet

DUPLICATE_RADIUS = 0.05  # of the mean distance between two real sounds
MAX_SOUNDS = 5_000
MIN_SAMPLE_RATE = 4_000
_FADE_SECONDS = 0.005


@dataclass(frozen=True)
class Embedded:
    """Sounds in all embeddings: waveforms at the rate of the generated sounds, and one row per sound in the rest."""

    audio: np.ndarray
    features: np.ndarray
    probabilities: np.ndarray
    spectra: np.ndarray
    statistics: np.ndarray
    mels: np.ndarray

    def __len__(self) -> int:
        return len(self.audio)

    def __getitem__(self, index: np.ndarray) -> Embedded:
        return Embedded(*(getattr(self, one.name)[index] for one in dataclasses.fields(self)))


def evaluate_waveforms(fake: np.ndarray, fake_rate: int, reference: np.ndarray, reference_rate: int,
                       train: np.ndarray | None = None, fake_labels: Sequence[str] | None = None,
                       reference_labels: Sequence[str] | None = None, seed: int = 0, k: int = 5,
                       train_rate: int | None = None, fake_names: Sequence[str] | None = None,
                       train_names: Sequence[str] | None = None, drums: bool = True) -> SoundReport:
    """Compares generated sounds with real ones, and real ones with real ones at the same count.

    With training sounds, ``n = min(fake, reference, train, 5000)``: the metrics compare n generated sounds with n of
    the reference, the baseline compares n training sounds with the same n, as for a generator that returns training
    sounds at random. Without training sounds, the reference is split at random into two disjoint halves A and B, and n
    is at most a half: the metrics compare generated sounds with A, the baseline compares B with A. These metrics depend
    on n: compare at equal n only. Real sounds that are near copies of each other make the baseline better than an
    honest generator can be.

    All sounds are compared over the length of the generated ones: longer real ones are cut, their last 5 ms faded out.

    Args:
        fake: generated waveforms ``(sounds, samples)``, full scale 1.
        fake_rate, reference_rate, train_rate: Hz; ``train_rate`` defaults to ``reference_rate``.
        reference: real waveforms, preferably not used in training.
        train: the training sounds.
        fake_labels, reference_labels: the requested class of each sound.
        seed: of the random choice of sounds if there are too many, and of the halves; 0 or more.
        k: which nearest neighbor bounds the neighborhood of a sound; 5 as in Naeem et al.
        fake_names, train_names: names in the list of near copies; numbers by default.
        drums: whether to use the class embedding, which only knows drums.

    Raises:
        UsageError: ``k``, ``seed`` or a rate out of range.
        MelGANError: too few sounds, wrong shapes, values that are not finite, or real sounds that are all alike.
    """
    fake = check_array(fake, 2, "generated waveforms", np.float32)
    _check(fake, fake_rate, reference, train, fake_labels, reference_labels, seed, k)
    network, samples = DrumEmbedding(), fake.shape[1]

    def embedded(audio: np.ndarray, rate: int) -> Embedded:
        return embed(resampled(audio, rate, fake_rate, samples), fake_rate, network)

    all_fake, all_real = embed(fake, fake_rate, network), embedded(reference, reference_rate)
    all_train = None if train is None else embedded(train, train_rate or reference_rate)
    split = _split(all_fake, all_real, all_train, seed)
    generated, real, baseline = split.generated, split.reference, split.baseline
    if not metrics.diversity(real.statistics):
        raise MelGANError(f"the {len(all_real)} reference sounds are all alike: give different ones")
    features, spectra = (_whitened(name, real, generated, baseline) for name in ("features", "spectra"))
    statistics = log_mel.standardize(real.statistics, generated.statistics, baseline.statistics)
    fake_labels = None if fake_labels is None else np.asarray(fake_labels)[split.generated_index]
    reference_labels = None if reference_labels is None else np.asarray(reference_labels)[split.reference_index]
    return SoundReport(
        drums=_comparison(features, k) if drums else None,
        classes=Comparison(_class_fit(real, generated), _class_fit(real, baseline)) if drums else None,
        spectra=_comparison(spectra, k), statistics=_comparison(statistics, k),
        of_class=tuple(per_class.class_metrics(
            network.classes, (features[1], generated.probabilities), (features[0], real.probabilities), features[2], k,
            fake_labels, reference_labels)) if drums else (),
        artifacts=Comparison(measure_artifacts(fake, fake_rate, all_real.audio),
                             measure_artifacts(all_real.audio, fake_rate, baseline.audio)),
        memorization=None if all_train is None else _memorization(all_fake, all_real, all_train, fake_names,
                                                                  train_names),
        baseline="two halves of the reference" if all_train is None else "training sounds against the reference",
        sounds=len(generated), fake_sounds=len(all_fake), reference_sounds=len(all_real),
        train_sounds=None if all_train is None else len(all_train), sample_rate=int(fake_rate),
        seconds=round(samples / fake_rate, 4), seed=int(seed), k=int(k), embedding=network.name,
        spectra_embedding=SPECTRA_EMBEDDING, statistics_embedding=log_mel.EMBEDDING,
        projection=_projection(real, generated))


def compare_rhythm(fake: LoopSet, real: LoopSet, train: LoopSet | None, seed: int = 0, k: int = 5
                   ) -> dict[str, Comparison | Memorization]:
    """Compares how loops keep time and key: the fields ``rhythm`` and ``loops`` of a `SoundReport`.

    With training loops also ``memorization``, by rhythm and by mels that know no tempo: a copy may be slower or faster.

    Args:
        fake, real, train: as in `evaluate_waveforms`; all loops are measured, as many as there compared.
        seed, k: likewise.
    """
    vectors = [None if one is None else rhythm_vectors(one.whole, one.loops, one.sample_rate)
               for one in (fake, real, train)]
    split = _split(*vectors, seed)
    found = {"rhythm": _comparison((split.reference, split.generated, split.baseline), k),
             "loops": Comparison(*(measure_loops(one.whole, one.loops, one.sample_rate) for one in (fake, real)))}
    if train is not None:
        heard = [EmbeddedSounds(rhythms, loop_mels(one.whole, one.loops, one.sample_rate))
                 for rhythms, one in zip(vectors, (fake, real, train), strict=True)]
        found["memorization"] = measure_memorization(*heard, fake.names, train.names)
    return found


def _check(fake: np.ndarray, fake_rate: int, reference: np.ndarray, train: np.ndarray | None,
           fake_labels: Sequence[str] | None, reference_labels: Sequence[str] | None, seed: int, k: int) -> None:
    if k < 1 or seed < 0:
        raise UsageError(f"k is {k} and seed is {seed}: give 1 or more and 0 or more")
    if fake_rate < MIN_SAMPLE_RATE:
        raise UsageError(f"the sample rate of the generated sounds is {fake_rate!r}: give {MIN_SAMPLE_RATE} Hz or more")
    require_enough("real", len(reference), k, halved=train is None)
    require_enough("generated", len(fake), k)
    if train is not None:
        require_enough("training", len(train), k)
    for name, labels, sounds in (("generated", fake_labels, fake), ("real", reference_labels, reference)):
        if labels is not None and len(labels) != len(sounds):
            raise MelGANError(f"{len(labels)} labels for {len(sounds)} {name} sounds: give one for each")


def require_enough(name: str, count: int, k: int = 5, halved: bool = False) -> None:
    """Raises a `MelGANError` if there are too few sounds for neighborhoods of ``k``; ``halved`` sets need twice as
    many."""
    needed = (k + 1) * (2 if halved else 1)
    if count < needed:
        raise MelGANError(f"{count} {name} sounds are too few to evaluate: give at least {needed}")


@dataclass(frozen=True)
class _Split:
    """Three sets of equal size, and the indices of two of them."""

    generated: Any
    reference: Any
    baseline: Any
    generated_index: np.ndarray
    reference_index: np.ndarray


def _split(fake: Any, real: Any, train: Any, seed: int) -> _Split:
    """Chooses from what has a length and takes arrays of indices."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(real))
    chosen = rng.permutation(len(fake))  # at random: generated sounds may be sorted by class
    if train is None:
        half = len(real) // 2
        n = min(len(fake), half, MAX_SOUNDS)
        baseline = real[order[half:half + n]]
    else:
        n = min(len(fake), len(real), len(train), MAX_SOUNDS)
        baseline = train[rng.permutation(len(train))[:n]]
    return _Split(fake[chosen[:n]], real[order[:n]], baseline, chosen[:n], order[:n])


def resampled(audio: np.ndarray, rate: int, new_rate: int, samples: int) -> np.ndarray:
    """Waveforms ``(sounds, any)`` at another rate and length, float32: cut and faded out, or zero-padded."""
    audio = check_array(audio, 2, "real waveforms", np.float32)
    audio = audio[:, :int((samples / new_rate + 0.05) * rate)]
    if rate != new_rate:
        audio = soxr.resample(np.ascontiguousarray(audio.T), rate, new_rate, quality="HQ").reshape(-1, len(audio)).T
    if audio.shape[1] > samples:
        return fade_out(audio[:, :samples], _FADE_SECONDS, new_rate)
    return np.pad(audio, ((0, 0), (0, samples - audio.shape[1])))


def embed(audio: np.ndarray, rate: int, network: DrumEmbedding) -> Embedded:
    """Waveforms ``(sounds, samples)`` in all embeddings."""
    mels = log_mel.log_mels(audio, rate)
    return Embedded(audio, *network(audio, rate), log_spectra(audio, rate), log_mel.embed(mels), mels)


def _whitened(name: str, real: Embedded, *others: Embedded) -> tuple[np.ndarray, ...]:
    """The points of one embedding of all sets, whitened by the real ones."""
    whitening = Whitening(getattr(real, name))
    return tuple(whitening(getattr(one, name)) for one in (real, *others))


def _comparison(points: Sequence[np.ndarray], k: int) -> Comparison:
    """Of real, generated and baseline points."""
    real, *others = points
    return Comparison(*(_metrics(real, one, k) for one in others))


def _metrics(real: np.ndarray, fake: np.ndarray, k: int) -> EmbeddingMetrics:
    scale = metrics.diversity(real)
    return EmbeddingMetrics(
        frechet=metrics.frechet_distance(real, fake), frechet_infinity=metrics.frechet_infinity(real, fake),
        kad=metrics.kernel_audio_distance(fake, real),
        precision=metrics.precision(real, fake, k), recall=metrics.recall(real, fake, k),
        density=metrics.density(real, fake, k), coverage=metrics.coverage(real, fake, k),
        diversity=metrics.diversity(fake) / scale,
        duplicates=metrics.near_duplicates(fake, DUPLICATE_RADIUS * scale),
        errors=metrics.neighbor_errors(real, fake, k))


def _class_fit(real: Embedded, other: Embedded) -> ClassFit:
    return ClassFit(metrics.inception_score(other.probabilities),
                    per_class.mix_difference(real.probabilities, other.probabilities))


def _projection(real: Embedded, generated: Embedded) -> Projection:
    mean = real.features.mean(axis=0)
    directions = np.linalg.svd(real.features - mean, full_matrices=False)[2][:2]
    directions *= np.where(directions.sum(axis=1, keepdims=True) < 0, -1.0, 1.0)  # the sign is arbitrary: fix it
    return Projection(*((one.features - mean) @ directions.T for one in (generated, real)),
                      *(one.probabilities.argmax(axis=1) for one in (generated, real)))


def _memorization(fake: Embedded, real: Embedded, train: Embedded, fake_names: Sequence[str] | None,
                  train_names: Sequence[str] | None) -> Memorization:
    return measure_memorization(*(EmbeddedSounds(one.features, one.mels) for one in (fake, real, train)),
                                fake_names or [str(i) for i in range(len(fake))],
                                train_names or [str(i) for i in range(len(train))])
