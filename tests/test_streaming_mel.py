"""The mel of a sound in blocks: the values of the mel of the whole, for every padding, length and cut."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from melgan_tf.config import AudioConfig, presets
from melgan_tf.dsp import spectral, streaming_mel
from melgan_tf.dsp.streaming_mel import StreamingMel

CENTRE = AudioConfig(n_fft=64, hop_samples=16, mel_bins=8)
AUDIOS = {"centre": CENTRE, "half-hop": dataclasses.replace(CENTRE, padding="half-hop"),
          "half the window": dataclasses.replace(CENTRE, hop_samples=32), "odd": dataclasses.replace(
              CENTRE, hop_samples=15, padding="half-hop"), "as wide": dataclasses.replace(CENTRE, hop_samples=64)}


@pytest.mark.parametrize("audio", AUDIOS.values(), ids=AUDIOS)
def test_blocks_make_no_difference(audio, monkeypatch):
    monkeypatch.setattr(streaming_mel, "PIECE_FRAMES", 5)
    rng = np.random.default_rng(0)
    for length in (1, 2, 31, 32, 33, 34, 64, 65, 80, 160, 161, 320, 333, 400, 1_000):
        sound = rng.uniform(-1, 1, length).astype(np.float32)
        hop, sides = audio.hop_samples, spectral.padding_samples(audio)
        padded = np.pad(sound, (0, max(-length % hop, max(sides) + 1 - length, 0)))
        whole = spectral.mel_spectrogram(tf.constant(padded[None]), audio).numpy()[0]
        for _ in range(6):
            cuts = np.sort(rng.integers(0, length + 1, rng.integers(0, 9)))
            mel = StreamingMel(audio)
            pieces = list(mel.mels(np.split(sound, cuts)))
            np.testing.assert_allclose(np.concatenate(pieces), whole, rtol=1e-5, atol=1e-5)
            assert mel.samples == length
            assert {len(piece) for piece in pieces[:-1]} <= {5}


def test_pieces_are_the_whole_to_the_last_bit():
    """Where one suffices, as for most sounds."""
    audio = presets.get("vocoder-22k").audio
    sound = np.random.default_rng(1).uniform(-1, 1, 256 * 300).astype(np.float32)
    piece, = StreamingMel(audio).mels(np.array_split(sound, 7))
    np.testing.assert_array_equal(piece, spectral.mel_spectrogram(tf.constant(sound[None]), audio).numpy()[0])
