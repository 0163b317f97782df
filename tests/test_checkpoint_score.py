"""The score that checkpoints are compared by: what nobody hears must not decide it."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from drums import write_drums
from tiny_families import task_of, tiny

from melgan_tf.config import AudioConfig
from melgan_tf.dsp import spectral
from melgan_tf.evaluation import embed_waveforms, frechet_distance
from melgan_tf.evaluation.embeddings.log_mel import FLOOR_DB
from melgan_tf.models.sound_task import log_mel_statistics


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


def test_the_floor_is_the_one_of_evaluate():
    """Noise that `evaluate` does not hear below a sound, the score does not hear either."""
    audio = AudioConfig(n_fft=512, hop_samples=128, mel_scale="slaney")  # as in `evaluate`
    rng = np.random.default_rng(0)
    clean = np.zeros((20, 8_000))
    clean[:, :800] = np.sin(2 * np.pi * 440 * np.arange(800) / 16_000) * rng.uniform(0.9, 1, (20, 1))
    for level_db, heard in ((-125, False), (-70, True)):
        noisy = clean + rng.standard_normal(clean.shape) * 10 ** (level_db / 20)
        mels = [spectral.mel_spectrogram(tf.constant(one, tf.float32), audio) for one in (clean, noisy)]
        by_score = frechet_distance(*(log_mel_statistics(one, audio) for one in mels))
        by_evaluate = frechet_distance(embed_waveforms(clean, 16_000), embed_waveforms(noisy, 16_000))
        assert (by_score > 1, by_evaluate > 1) == (heard, heard)
