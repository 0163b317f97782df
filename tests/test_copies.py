"""Near copies of training sounds: exact ones, ones that a vocoder has blurred, and what held-out sounds do."""

import numpy as np
import pytest

from melgan_tf.evaluation.memorization import Described, blur, distances, find_copies

FRAMES, BANDS = 63, 64


def described(seed, count, kinds=8):
    """Sounds of several kinds: pictures with broad features in dB, and eight numbers of each as its embedding."""
    rng = np.random.default_rng(seed)
    kind = np.random.default_rng(0).normal(0, 8, (kinds, 8, 8))
    shapes = kind[rng.integers(0, kinds, count)] + rng.normal(0, 4, (count, 8, 8))
    fine = np.repeat(np.repeat(shapes, 8, axis=1), 8, axis=2)[:, :FRAMES]
    return Described(shapes.reshape(count, -1)[:, :8], (fine - 40).astype(np.float32))


def spoilt(sounds, amount_db, seed=9):
    """As a mel and a vocoder do it: fine grain, and another place in the embedding."""
    rng = np.random.default_rng(seed)
    return Described(sounds.features + rng.normal(0, 0.5, sounds.features.shape),
                     (sounds.pictures + rng.normal(0, amount_db, sounds.pictures.shape)).astype(np.float32))


def search(fake, real=None, train=None):
    train = train or described(1, 300)
    return find_copies(fake, real or described(2, 200), train, [f"fake{i}" for i in range(len(fake.features))],
                       [f"train{i}" for i in range(len(train.features))])


def some(sounds, index):
    return Described(sounds.features[index], sounds.pictures[index])


def test_distances_agree_with_differences():
    rng = np.random.default_rng(0)
    a, b = rng.normal(100, 1, (5, 7)), rng.normal(100, 1, (6, 7))
    np.testing.assert_allclose(distances(a, b), np.linalg.norm(a[:, None] - b, axis=2), rtol=1e-9)
    assert distances(a, a).diagonal().max() < 1e-6


def test_blur_averages_cells_and_keeps_decibels():
    pictures = np.random.default_rng(0).normal(size=(2, 17, 4))
    np.testing.assert_allclose(blur(pictures, 8, 2)[0] * np.sqrt(4), [
        pictures[0, :8, :2].mean(), pictures[0, :8, 2:].mean(), pictures[0, 8:16, :2].mean(),
        pictures[0, 8:16, 2:].mean()], rtol=1e-5)
    assert np.linalg.norm(blur(pictures + 3, 1, 1) - blur(pictures, 1, 1), axis=1) == pytest.approx([3, 3])
    assert blur(pictures[:, :5], 8, 2).shape == (2, 2)


def test_held_out_sounds_are_seldom_near_copies():
    found = search(described(3, 200))
    assert found.share <= 0.03
    assert found.real_share <= 0.03
    assert found.shared == 0
    assert found.log_mel_db == pytest.approx(found.real_log_mel_db, rel=0.1)


def test_exact_copies_are_all_named():
    train = described(1, 300)
    found = search(some(train, slice(10, 20)))
    assert found.share == 1
    assert [(pair.generated, pair.training) for pair in found.named] == [(f"fake{i}", f"train{10 + i}")
                                                                         for i in range(10)]
    assert found.log_mel_db < 1e-3 < found.real_log_mel_db


def test_copies_that_a_vocoder_has_spoilt_are_found_by_standing_out():
    """Farther from their originals than the threshold of distance, and yet found."""
    found = search(spoilt(some(described(1, 300), slice(0, 40)), amount_db=5))
    assert found.log_mel_db > found.log_mel_threshold_db
    assert found.share > 0.8
    assert all(pair.generated[4:] == pair.training[5:] for pair in found.named)
    assert len(found.named) == 20


def test_a_training_sound_that_is_there_twice_hides_no_copy():
    train = described(1, 50)
    twice = Described(np.tile(train.features, (2, 1)), np.tile(train.pictures, (2, 1, 1)))
    assert search(some(train, slice(0, 5)), train=twice).share == 1


def test_a_reference_of_training_sounds_is_told():
    train = described(1, 300)
    assert search(described(3, 20), real=some(train, slice(0, 30)), train=train).shared == 30
