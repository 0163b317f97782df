"""The class embedding: its front end against librosa, what it hears and what not, and the weights that are shipped."""

import subprocess
import sys

import librosa
import numpy as np
import pytest
from drums import drum

from melgan_tf.audio.find import find
from melgan_tf.audio.read import load
from melgan_tf.errors import MelGANError, UsageError
from melgan_tf.evaluation.embeddings import drums as drum_embedding
from melgan_tf.evaluation.embeddings.drums import CLASSES, DrumEmbedding, clips, log_mel
from melgan_tf.weights import pretrained_vocoders

RATE = 16_000


@pytest.fixture(scope="module")
def embedding():
    return DrumEmbedding()


@pytest.fixture(scope="module")
def sounds():
    rng = np.random.default_rng(0)
    made = [drum(("kick", "snare", "hat")[i % 3], rng) for i in range(9)]
    return np.stack([np.pad(sound, (0, 8_000 - len(sound))) for sound in made])


def test_front_end_agrees_with_librosa(sounds):
    padded = np.pad(clips(sounds, RATE), ((0, 0), (192, 384)))
    spectrum = np.abs(librosa.stft(padded, n_fft=512, hop_length=128, center=False, window="hann"))
    filters = librosa.filters.mel(sr=RATE, n_fft=512, n_mels=64, fmin=0, fmax=8_000, htk=False, norm=None)
    power = np.einsum("mb,nbt->ntm", filters, (spectrum / 128) ** 2)  # half of the window's sum
    expected = 10 * np.log10(np.maximum(power, 1e-8)) / 40 + 1
    np.testing.assert_allclose(log_mel(clips(sounds, RATE)), np.clip(expected, -1, 1.5), atol=2e-4)


def test_clips_are_half_a_second_at_16_khz_with_a_peak_of_1(sounds):
    found = clips(0.01 * np.tile(sounds, 3), RATE)
    assert found.shape == (9, 8_000)
    np.testing.assert_allclose(np.abs(found).max(axis=1), 1)
    np.testing.assert_allclose(found, clips(sounds, RATE), atol=1e-6)
    short = clips(sounds[:, :100], RATE)
    assert short.shape == (9, 8_000)
    assert (short[:, 100:] == 0).all()
    assert (clips(np.full((2, 50), 1e-5), RATE) == 0).all()


def test_it_hears_neither_level_nor_rate_nor_what_comes_after_half_a_second(embedding, sounds):
    features, probabilities = embedding(sounds, RATE)
    assert features.shape == (9, 64)
    assert features.dtype == np.float64
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    np.testing.assert_array_equal(embedding.embed(np.tile(sounds, 2) * 0.5, RATE), features)
    finer = librosa.resample(sounds, orig_sr=RATE, target_sr=44_100)
    distance = np.linalg.norm(embedding.embed(finer, 44_100) - features, axis=1)
    apart = np.linalg.norm(features[:, None] - features, axis=2)
    assert distance.max() < 0.15 * np.median(apart)


def test_a_sound_does_not_depend_on_the_others(embedding, sounds):
    many = np.tile(sounds, (8, 1))  # 72: two batches
    together = embedding.embed(many, RATE)
    np.testing.assert_allclose(together[8:9], embedding.embed(many[8:9], RATE), atol=1e-5)
    np.testing.assert_allclose(together[:9], together[63:], atol=1e-5)


def test_silence_has_a_place(embedding):
    assert np.isfinite(embedding.embed(np.zeros((1, 10)), RATE)).all()


def test_it_tells_the_classes_of_the_demo_sounds(embedding):
    found = find("demo/drums")[0]
    audio = np.stack([np.pad(samples, (0, 8_000 - len(samples))) for samples in
                      (load(sound.path, RATE, 8_000) for sound in found)])
    features, probabilities = embedding(audio, RATE)
    heard = np.array(CLASSES)[probabilities.argmax(axis=1)]
    assert np.mean(heard == [sound.label for sound in found]) > 0.7  # of sounds that it has not heard
    share = np.linalg.eigvalsh(np.cov(features.T))
    share = np.maximum(share, 1e-12) / share.sum()
    assert np.exp(-(share * np.log(share)).sum()) > 5  # effective rank: not only which class


def test_weights_are_small_and_their_card_says_where_from():
    card = drum_embedding.read_card()
    assert (drum_embedding.WEIGHTS / "drum-classes-2.npz").stat().st_size < 500_000
    assert card["licence"] == "CC0-1.0"
    assert card["command"].startswith("python -m melgan_tf.cli.maintain.train_embedding ")
    assert card["valid"]["accuracy"] > 0.75  # of seven times as many sounds as it heard
    assert card["valid"]["sounds"] > 5 * sum(card["classes"].values())
    assert tuple(card["classes"]) == CLASSES
    distances = dict(card["frechet_against_valid"])
    assert min(distances, key=distances.get) == "train"
    assert sorted(distances.values())[1] > 2 * distances["train"]


def test_it_is_not_taken_for_a_vocoder():
    assert "drum-classes-2" not in pretrained_vocoders()


def test_damaged_weights_are_one_line(tmp_path):
    (tmp_path / "drum-classes-2.npz").write_bytes(b"PK")
    with pytest.raises(MelGANError, match="the weights of drum-classes-2 are missing from the package, or damaged"):
        drum_embedding.load_network(tmp_path)
    with pytest.raises(MelGANError, match="the card of drum-classes-2 is missing"):
        drum_embedding.read_card(tmp_path)


@pytest.mark.parametrize(("audio", "rate", "error", "message"), [
    (np.zeros(8), RATE, MelGANError, r"waveforms have shape \(8,\)"),
    (np.zeros((2, 0)), RATE, MelGANError, r"waveforms have shape \(2, 0\)"),
    (np.full((1, 8), np.nan), RATE, MelGANError, "not finite"),
    (np.zeros((1, 8)), 0, UsageError, "sample_rate is 0"),
])
def test_unusable_waveforms_are_refused(audio, rate, error, message):
    with pytest.raises(error, match=message):
        clips(audio, rate)


def test_no_tensorflow_and_no_scipy_are_imported():
    code = ("import sys, melgan_tf.evaluation, melgan_tf.evaluation.figure; "
            "print([m for m in ('tensorflow', 'keras', 'scipy', 'matplotlib') if m in sys.modules])")
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
