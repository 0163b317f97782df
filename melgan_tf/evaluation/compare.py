"""Generated sounds compared with real ones: all metrics by one function."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from melgan_tf.audio.edit import fade_out
from melgan_tf.errors import MelGANError, UsageError
from melgan_tf.evaluation import metrics, per_class
from melgan_tf.evaluation.arrays import check_array, resample_rows
from melgan_tf.evaluation.artifacts import measure_artifacts
from melgan_tf.evaluation.comparison import ClassFit, Comparison, EmbeddingMetrics, Projection
from melgan_tf.evaluation.embeddings import log_mel, spectra
from melgan_tf.evaluation.embeddings.drums import DrumEmbedding
from melgan_tf.evaluation.embeddings.whitening import Whitening, principal_axes
from melgan_tf.evaluation.memorization import EmbeddedSounds, measure_memorization
from melgan_tf.evaluation.report import SoundReport
from melgan_tf.evaluation.rhythm import loop_mels, measure_loops, rhythm_vectors
from melgan_tf.evaluation.sounds import LoopSet, SoundSet

#: Which nearest neighbor bounds the neighborhood of a sound, as in Naeem et al.
K = 5
DUPLICATE_RADIUS = 0.05  # of the mean distance between two real sounds
MAX_SOUNDS = 5_000
MIN_SAMPLE_RATE = 4_000
_FADE_SECONDS = 0.005


@dataclass(frozen=True)
class Embedded(EmbeddedSounds):
    """Sounds in all embeddings: waveforms at the rate of the generated sounds, and one row per sound in the rest."""

    audio: np.ndarray
    probabilities: np.ndarray
    spectra: np.ndarray
    statistics: np.ndarray

    def __getitem__(self, index: np.ndarray) -> Embedded:
        return Embedded(*(getattr(self, one.name)[index] for one in dataclasses.fields(self)))


def compare_sounds(generated: SoundSet, reference: SoundSet, train: SoundSet | None = None, seed: int = 0,
                   drums: bool = True, metadata: Mapping[str, Any] | None = None) -> SoundReport:
    """Compares generated sounds with real ones, and real ones with real ones at the same count.

    With training sounds, ``n = min(generated, reference, train, 5000)``: the metrics compare n generated sounds with n
    of the reference, the baseline compares n training sounds with the same n, as for a generator that returns training
    sounds at random. Without training sounds, the reference is split at random into two disjoint halves A and B, and n
    is at most a half: the metrics compare generated sounds with A, the baseline compares B with A. These metrics depend
    on n: compare at equal n only. Real sounds that are near copies of each other make the baseline better than an
    honest generator can be.

    All sounds are compared over the length of the generated ones: longer real ones are cut, their last 5 ms faded out.
    Loops are compared by rhythm as well, as many of them; near copies among them are found by rhythm and by mels that
    know no tempo, as a copy may be slower or faster.

    Args:
        generated: with labels, the class that was asked for.
        reference: real sounds, preferably not used in training.
        train: the training sounds. All three are loops, or none is.
        seed: of the random choice of sounds if there are too many, and of the halves; 0 or more.
        drums: whether to use the class embedding, which only knows drums.
        metadata: what was evaluated, for the report.

    Raises:
        UsageError: ``seed`` or the rate of the generated sounds is out of range.
        MelGANError: too few sounds, wrong shapes, values that are not finite, or real sounds that are all alike.
    """
    _check(generated, reference, train, seed)
    network, rate, samples = DrumEmbedding(), generated.sample_rate, generated.audio.shape[1]
    all_generated = embed(generated.audio, rate, network)
    all_real, all_train = (embed(resampled(one.audio, one.sample_rate, rate, samples), rate, network) if one else None
                           for one in (reference, train))
    chosen = _split(len(generated), len(reference), len(train) if train else 0, seed)
    sets = _chosen(chosen, all_generated, all_real, all_train)
    real, fake, baseline = sets
    if not metrics.diversity(real.statistics):
        raise MelGANError(f"the {len(reference)} reference sounds are all alike: give different ones")
    features = _whitened([one.features for one in sets])
    labels = (None if one.labels is None else np.asarray(one.labels)[index]
              for one, index in zip((generated, reference), chosen[:2], strict=True))
    return SoundReport(
        drums=_comparison(features) if drums else None,
        classes=Comparison(_class_fit(real, fake), _class_fit(real, baseline)) if drums else None,
        spectra=_comparison(_whitened([one.spectra for one in sets])),
        statistics=_comparison(log_mel.standardize(*(one.statistics for one in sets))),
        of_class=tuple(per_class.class_metrics(
            network.classes, (features[1], fake.probabilities), (features[0], real.probabilities), features[2], K,
            *labels)) if drums else (),
        artifacts=Comparison(measure_artifacts(all_generated.audio, rate, all_real.audio),
                             measure_artifacts(all_real.audio, rate, baseline.audio)),
        baseline="training sounds against the reference" if train else "two halves of the reference",
        sounds=len(fake.audio), fake_sounds=len(generated), reference_sounds=len(reference),
        train_sounds=len(train) if train else None, sample_rate=int(rate), seconds=round(samples / rate, 4),
        seed=int(seed), k=K, embedding=network.name, spectra_embedding=spectra.EMBEDDING,
        statistics_embedding=log_mel.EMBEDDING, projection=_projection(real, fake), metadata=dict(metadata or {}),
        **(compare_rhythm(generated, reference, train, seed) if isinstance(generated, LoopSet) else {
            "memorization": train and measure_memorization(all_generated, all_real, all_train, generated.names,
                                                           train.names)}))


def compare_rhythm(generated: LoopSet, reference: LoopSet, train: LoopSet | None, seed: int = 0) -> dict[str, Any]:
    """How loops keep time and key: the fields ``rhythm``, ``loops`` and ``memorization`` of a `SoundReport`.

    Args: as for `compare_sounds`.
    """
    loops = (generated, reference, train)
    vectors = [one and rhythm_vectors(one.whole, one.loops, one.sample_rate) for one in loops]
    chosen = _split(*(len(one) if one else 0 for one in loops), seed)
    found = {"rhythm": _comparison(_chosen(chosen, *vectors)), "memorization": None,
             "loops": Comparison(*(measure_loops(one.whole, one.loops, one.sample_rate) for one in loops[:2]))}
    if train:
        heard = [EmbeddedSounds(rhythms, loop_mels(one.whole, one.loops, one.sample_rate))
                 for rhythms, one in zip(vectors, loops, strict=True)]
        found["memorization"] = measure_memorization(*heard, generated.names, train.names)
    return found


def _check(generated: SoundSet, reference: SoundSet, train: SoundSet | None, seed: int) -> None:
    if seed < 0:
        raise UsageError(f"seed is {seed}: give 0 or more")
    if generated.sample_rate < MIN_SAMPLE_RATE:
        raise UsageError(f"the sample rate of the generated sounds is {generated.sample_rate!r}: give "
                         f"{MIN_SAMPLE_RATE} Hz or more")
    check_array(generated.audio, 2, "generated waveforms", np.float32)
    require_enough("real", len(reference), halved=train is None)
    require_enough("generated", len(generated))
    if train is not None:
        require_enough("training", len(train))


def require_enough(name: str, count: int, halved: bool = False) -> None:
    """Raises a `MelGANError` if there are too few sounds for neighborhoods; ``halved`` sets need twice as many."""
    needed = (K + 1) * (2 if halved else 1)
    if count < needed:
        raise MelGANError(f"{count} {name} sounds are too few to evaluate: give at least {needed}")


def _split(generated: int, reference: int, train: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Chooses equally many of each: indices of generated sounds, of the reference, and of the baseline.

    The baseline is chosen from ``train`` sounds or, if there are none, from the rest of the reference.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(reference)
    chosen = rng.permutation(generated)  # at random: generated sounds may be sorted by class
    others = rng.permutation(train) if train else order[reference // 2:]
    n = min(generated, reference if train else reference // 2, len(others), MAX_SOUNDS)
    return chosen[:n], order[:n], others[:n]


def _chosen(indices: tuple[np.ndarray, ...], generated: Any, reference: Any, train: Any) -> tuple[Any, Any, Any]:
    """Reference, generated and baseline."""
    of_generated, of_reference, of_baseline = indices
    return reference[of_reference], generated[of_generated], (reference if train is None else train)[of_baseline]


def resampled(audio: np.ndarray, rate: int, new_rate: int, samples: int) -> np.ndarray:
    """Waveforms ``(sounds, any)`` at another rate and length, float32: cut and faded out, or zero-padded."""
    audio = check_array(audio, 2, "real waveforms", np.float32)
    audio = resample_rows(audio[:, :int((samples / new_rate + 0.05) * rate)], rate, new_rate)
    if audio.shape[1] > samples:
        return fade_out(audio[:, :samples], _FADE_SECONDS, new_rate)
    return np.pad(audio, ((0, 0), (0, samples - audio.shape[1])))


def embed(audio: np.ndarray, rate: int, network: DrumEmbedding) -> Embedded:
    """Waveforms ``(sounds, samples)`` in all embeddings."""
    audio = np.asarray(audio, np.float32)
    mels, (features, probabilities) = log_mel.log_mels(audio, rate), network(audio, rate)
    return Embedded(features, mels, audio, probabilities, spectra.log_spectra(audio, rate), log_mel.embed(mels))


def _whitened(points: list[np.ndarray]) -> list[np.ndarray]:
    """Points of one embedding of several sets, whitened by the first."""
    return list(map(Whitening(points[0]), points))


def _comparison(points: Any) -> Comparison:
    """Of real, generated and baseline points."""
    real, *others = points
    return Comparison(*(_metrics(real, one) for one in others))


def _metrics(real: np.ndarray, fake: np.ndarray) -> EmbeddingMetrics:
    scale = metrics.diversity(real)
    return EmbeddingMetrics(
        frechet=metrics.frechet_distance(real, fake), frechet_infinity=metrics.frechet_infinity(real, fake),
        kad=metrics.kernel_audio_distance(fake, real),
        **metrics.prdc(real, fake, K),
        diversity=metrics.diversity(fake) / scale,
        duplicates=metrics.near_duplicates(fake, DUPLICATE_RADIUS * scale),
        errors=metrics.prdc_errors(real, fake, K))


def _class_fit(real: Embedded, other: Embedded) -> ClassFit:
    return ClassFit(metrics.inception_score(other.probabilities),
                    per_class.mix_difference(real.probabilities, other.probabilities))


def _projection(real: Embedded, generated: Embedded) -> Projection:
    mean, axes = principal_axes(real.features, 2)
    return Projection(*((one.features - mean) @ axes.T for one in (generated, real)),
                      *(one.probabilities.argmax(axis=1) for one in (generated, real)))
