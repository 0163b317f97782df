"""Every format that is promised, and damaged files of each."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile as sf
from sound_formats import FORMATS, encode, flac, tone

from melgan_tf.audio import read
from melgan_tf.audio.find import find

RATE = 48_000


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_found_and_decoded(tmp_path, name):
    """With its own extension, a wrong one, and none."""
    wanted, samples = FORMATS[name], tone()
    content = encode(name, samples)
    for file in (f"own.{wanted.extension}", "wrong.wav" if wanted.extension != "wav" else "wrong.mp3", "without"):
        (tmp_path / file).write_bytes(content)
    sounds, skipped = find(tmp_path)
    assert (len(sounds), skipped) == (3, [])
    for sound in sounds:
        loaded = read.load(sound.path, RATE)
        assert len(samples) <= len(loaded) <= len(samples) + wanted.slack * RATE
        if wanted.tolerance is None:
            inner = loaded[4800:9600]
            peak = np.argmax(np.abs(np.fft.rfft(inner * np.hanning(len(inner))))) * RATE / len(inner)
            assert peak == pytest.approx(997, abs=11)
        else:
            np.testing.assert_allclose(loaded, samples, rtol=0, atol=wanted.tolerance)


@pytest.mark.parametrize("bits", range(4, 33))
def test_flac_of_every_bit_depth(tmp_path, bits):
    samples = tone(0.1)
    (tmp_path / "x.flac").write_bytes(flac(samples, bits))
    np.testing.assert_allclose(read.load(tmp_path / "x.flac", RATE), samples, rtol=0, atol=max(0.51 * 2.0**(1 - bits),
                                                                                             1e-7))


@pytest.mark.parametrize("bits", [12, 16])
def test_flac_checksums_are_looked_at(tmp_path, bits):
    content = bytearray(flac(tone(0.2), bits))
    content[9_000] ^= 1  # in the second of three frames, in a sample
    (tmp_path / "x.flac").write_bytes(content)
    with pytest.raises(read.DecodeError, match="damaged"):
        read.load(tmp_path / "x.flac", RATE)


def test_flac_that_holds_more_than_it_says(tmp_path):
    content = bytearray(flac(tone(2.0), 16))
    assert len(content) > 150_000
    content[22:26] = (9_600).to_bytes(4, "big")
    (tmp_path / "x.flac").write_bytes(content)
    with pytest.raises(read.DecodeError, match=r"more samples than the declared 9600"):
        read.load(tmp_path / "x.flac", RATE)
    whole = flac(tone(2.0), 16)
    (tmp_path / "x.flac").write_bytes(whole + b"TAG" + bytes(100_000))  # left by a tagger
    assert len(read.load(tmp_path / "x.flac", RATE)) == 96_000


@pytest.mark.parametrize("name", ["kick.txt", "kick.sound", "kick.wav.bak"])
def test_a_sound_under_a_foreign_extension_is_found(tmp_path, name):
    (tmp_path / name).write_bytes(encode("WAV 16-bit", tone()))
    (tmp_path / "photo.heic").write_bytes(b"\0\0\0\x20ftypheic" + bytes(100))
    (tmp_path / "film.mov").write_bytes(b"\0\0\0\x20ftypqt  " + bytes(100))
    (tmp_path / "film.ogv").write_bytes(b"OggS" + bytes(100))
    (tmp_path / "notes.md").write_text("RIFFs of the year")
    assert [sound.name for sound in find(tmp_path)[0]] == [name]


def test_rates_and_channels(tmp_path):
    for rate, channels in ((8_000, 1), (11_025, 2), (35_467, 3), (88_200, 6), (192_000, 8)):
        samples = np.repeat(tone(0.1, rate=rate)[:, None], channels, axis=1)
        sf.write(tmp_path / "x.wav", samples, rate, subtype="FLOAT")
        assert len(read.load(tmp_path / "x.wav", RATE)) == round(len(samples) * RATE / rate)
