"""Near copies of training sounds: exact ones, copies through a vocoder, and held-out sounds."""

import numpy as np
import pytest

from melgan_tf.evaluation.memorization import EmbeddedSounds, distances, downsample, measure_memorization

FRAMES, BANDS = 63, 64


def embedded(seed, count, kinds=8):
    """Sounds of several kinds: mels with broad features in dB, and eight numbers of each as its embedding."""
    rng = np.random.default_rng(seed)
    kind = np.random.default_rng(0).normal(0, 8, (kinds, 8, 8))
    shapes = kind[rng.integers(0, kinds, count)] + rng.normal(0, 4, (count, 8, 8))
    fine = np.repeat(np.repeat(shapes, 8, axis=1), 8, axis=2)[:, :FRAMES]
    return EmbeddedSounds(shapes.reshape(count, -1)[:, :8], (fine - 40).astype(np.float32))


def degraded(sounds, amount_db, seed=9):
    """As by a mel and a vocoder: fine grain, and a shift in the embedding."""
    rng = np.random.default_rng(seed)
    return EmbeddedSounds(sounds.features + rng.normal(0, 0.5, sounds.features.shape),
                     (sounds.mels + rng.normal(0, amount_db, sounds.mels.shape)).astype(np.float32))


def search(fake, real=None, train=None):
    train = train or embedded(1, 300)
    return measure_memorization(fake, real or embedded(2, 200), train, [f"fake{i}" for i in range(len(fake.features))],
                       [f"train{i}" for i in range(len(train.features))])


def some(sounds, index):
    return EmbeddedSounds(sounds.features[index], sounds.mels[index])


def test_distances_agree_with_differences():
    rng = np.random.default_rng(0)
    a, b = rng.normal(100, 1, (5, 7)), rng.normal(100, 1, (6, 7))
    np.testing.assert_allclose(distances(a, b), np.linalg.norm(a[:, None] - b, axis=2), rtol=1e-9)
    assert distances(a, a).diagonal().max() < 1e-6


def test_downsampling_averages_cells_and_keeps_decibels():
    mels = np.random.default_rng(0).normal(size=(2, 17, 4))
    np.testing.assert_allclose(downsample(mels, 8, 2)[0] * np.sqrt(4), [
        mels[0, :8, :2].mean(), mels[0, :8, 2:].mean(), mels[0, 8:16, :2].mean(),
        mels[0, 8:16, 2:].mean()], rtol=1e-5)
    assert np.linalg.norm(downsample(mels + 3, 1, 1) - downsample(mels, 1, 1), axis=1) == pytest.approx([3, 3])
    assert downsample(mels[:, :5], 8, 2).shape == (2, 2)


def test_held_out_sounds_are_seldom_near_copies():
    found = search(embedded(3, 200))
    assert found.share <= 0.03
    assert found.real_share <= 0.03
    assert found.shared == 0
    assert found.log_mel_db == pytest.approx(found.real_log_mel_db, rel=0.1)


def test_exact_copies_are_all_named():
    train = embedded(1, 300)
    found = search(some(train, slice(10, 20)))
    assert found.share == 1
    assert [(pair.generated, pair.training) for pair in found.named] == [(f"fake{i}", f"train{10 + i}")
                                                                         for i in range(10)]
    assert found.log_mel_db < 1e-3 < found.real_log_mel_db


def test_copies_through_a_vocoder_are_found_by_standing_out():
    """Farther from their originals than the distance threshold, but found."""
    found = search(degraded(some(embedded(1, 300), slice(0, 40)), amount_db=5))
    assert found.log_mel_db > found.log_mel_threshold_db
    assert found.share > 0.8
    assert all(pair.generated[4:] == pair.training[5:] for pair in found.named)
    assert len(found.named) == 20


def test_a_duplicate_training_sound_hides_no_copy():
    train = embedded(1, 50)
    twice = EmbeddedSounds(np.tile(train.features, (2, 1)), np.tile(train.mels, (2, 1, 1)))
    assert search(some(train, slice(0, 5)), train=twice).share == 1


def test_a_reference_of_training_sounds_is_reported():
    train = embedded(1, 300)
    assert search(embedded(3, 20), real=some(train, slice(0, 30)), train=train).shared == 30
