"""The score that checkpoints are compared by: what nobody hears must not decide it."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from drums import write_drums
from tiny_families import task_of, tiny

from melgan_tf.config import AudioConfig
from melgan_tf.dsp import spectral
from melgan_tf.evaluation.embeddings.log_mel import FLOOR_DB
from melgan_tf.evaluation.embeddings.spectra import log_spectra
from melgan_tf.models.sound_task import mel_levels


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    """Of sounds that end in digital silence."""
    task = task_of(tiny("frame-gan"), write_drums(tmp_path_factory.mktemp("drums")))
    task.build()
    task.setup_validation()
    return task


def score(task, monkeypatch, change):
    mels = task.validation_sounds.examples(99)
    monkeypatch.setattr(type(task.sampler), "mel", lambda *_, **__: tf.constant(change(mels)))
    return task.validation_score()


def test_silence_that_is_softer_still_is_silence(task, monkeypatch):
    audio = task.config.audio
    floor = (FLOOR_DB + spectral.full_scale_db(audio).min()) / 10  # log10 of the power that is silence
    almost = score(task, monkeypatch, lambda mels: np.maximum(mels, np.float32(floor - 0.05)))
    assert almost < 1e-3
    assert score(task, monkeypatch, lambda mels: np.maximum(mels, np.float32(floor + 2))) > 1


def test_a_missing_class_and_a_soft_attack_cost_more_than_other_sounds(task, monkeypatch):
    mels = task.validation_sounds.examples(99)
    fair = score(task, monkeypatch, lambda mels: mels + np.random.default_rng(0).normal(0, 0.01, mels.shape))
    assert score(task, monkeypatch, lambda mels: np.repeat(mels[:1], len(mels), axis=0)) > 10 * fair + 0.1
    assert len(mels) > 2
    smooth = score(task, monkeypatch, lambda mels: (mels + np.roll(mels, 1, axis=1) + np.roll(mels, -1, axis=1)) / 3)
    assert smooth > 10 * fair


def test_the_floor_is_the_one_of_evaluate():
    """Noise that `evaluate` does not hear below a sound, the score does not hear either."""
    audio = AudioConfig(n_fft=512, hop_samples=128, mel_scale="slaney")  # as in `evaluate`
    rng = np.random.default_rng(0)
    clean = np.zeros((20, 8_000))
    clean[:, :800] = np.sin(2 * np.pi * 440 * np.arange(800) / 16_000) * rng.uniform(0.9, 1, (20, 1))
    for level_db, heard in ((-125, False), (-70, True)):
        noisy = clean + rng.standard_normal(clean.shape) * 10 ** (level_db / 20)
        mels = [spectral.mel_spectrogram(tf.constant(one, tf.float32), audio) for one in (clean, noisy)]
        by_score = np.subtract(*(mel_levels(one, audio) for one in mels))
        by_evaluate = np.subtract(*(log_spectra(one, 16_000) for one in (clean, noisy)))
        assert [np.linalg.norm(one, axis=1).mean() > 0.2 for one in (by_score, by_evaluate)] == [heard, heard]
