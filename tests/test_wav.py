"""Writing WAV files: they come back as they were, and appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import resource
import struct
import wave

import librosa
import numpy as np
import pytest
import soundfile as sf
from encoded_sounds import RATE, encoded, refused, tone

from melgan_tf.audio import read as audio
from melgan_tf.audio.isolated import read_comment
from melgan_tf.errors import MelGANError, UsageError


def test_save_and_load_again(tmp_path):
    path = tmp_path / "x.wav"
    whole = np.arange(-32768, 32768, 7) / 32768  # every one a 16-bit number
    audio.save_wav(path, whole, 16_000)
    assert (audio.load(path, 16_000) == whole).all()
    with wave.open(str(path)) as file:
        assert file.getparams()[:4] == (1, 2, 16_000, len(whole))
    audio.save_wav(path, 3 * tone(), RATE, subtype="FLOAT")
    assert (audio.load(path, RATE) == 3 * tone()).all()
    assert sf.info(path).subtype == "FLOAT"
    assert (librosa.load(path, sr=None)[0] == 3 * tone()).all()


def test_save_clips_without_wrapping_round(tmp_path):
    audio.save_wav(tmp_path / "x.wav", [1.0, 1.5, 1e9, -1.0, -1.5, -1e9, 0.49 / 32768, 0.51 / 32768], RATE)
    with wave.open(str(tmp_path / "x.wav")) as file:
        values = np.frombuffer(file.readframes(100), "<i2")
    assert values.tolist() == [32767] * 3 + [-32768] * 3 + [0, 1]


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
@pytest.mark.parametrize("comment", ["seed 7", "odd length", "größer 🥁 ", '{"seed": 7,\n "x": 1}', "long " * 2000])
def test_comment_comes_back(tmp_path, subtype, comment):
    path = tmp_path / "x.wav"
    audio.save_wav(path, tone(), RATE, comment, subtype)
    assert read_comment(path) == comment
    with sf.SoundFile(path) as file:
        assert file.comment == (comment if len(comment) < 2000 else "")  # libsndfile passes over long ones
    np.testing.assert_allclose(sf.read(path)[0], tone(), atol=1 / 32768)
    content = path.read_bytes()
    assert struct.unpack("<I", content[4:8])[0] == len(content) - 8


def test_comment_of_other_files(put):
    assert read_comment(put(encoded(tone()))) == ""
    refused(put(b"text"), "^not audio", read_comment)
    refused("/nowhere/x.wav", "^cannot be read: No such file", read_comment)


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
def test_equal_sounds_give_equal_files(tmp_path, subtype):
    for name in ("a.wav", "b.wav"):
        audio.save_wav(tmp_path / name, tone(), RATE, "seed 7", subtype)
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()


@contextlib.contextmanager
def small_disk():
    """Files may not grow beyond 1000 bytes, as on a disk that is full. (No fixture: a log file is a file too.)"""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_the_old_file_and_nothing_else(put, tmp_path):
    path = put(b"old")
    with small_disk(), pytest.raises(MelGANError, match=f"^cannot write {path}: File too large$"):
        audio.save_wav(path, tone(), RATE)
    assert os.listdir(tmp_path) == ["sound.wav"]
    assert path.read_bytes() == b"old"


def test_failing_to_write_leaves_nothing(put, tmp_path, monkeypatch):
    (tmp_path / "folder.wav").mkdir()
    with pytest.raises(MelGANError, match="cannot write .*folder.wav: Is a directory"):
        audio.save_wav(tmp_path / "folder.wav", tone(), RATE)
    with pytest.raises(MelGANError, match="cannot write .*: No such file or directory"):
        audio.save_wav(tmp_path / "missing" / "x.wav", tone(), RATE)
    with pytest.raises(MelGANError, match="cannot write .*: Not a directory"):
        audio.save_wav(put(b"old") / "x.wav", tone(), RATE)

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        audio.save_wav(tmp_path / "x.wav", tone(), RATE)
    assert sorted(os.listdir(tmp_path)) == ["folder.wav", "sound.wav"]


def test_saved_files_have_ordinary_permissions(tmp_path):
    audio.save_wav(tmp_path / "x.wav", tone(), RATE)
    (tmp_path / "y").touch()
    assert (tmp_path / "x.wav").stat().st_mode == (tmp_path / "y").stat().st_mode


def test_save_takes_the_longest_name(tmp_path):
    audio.save_wav(tmp_path / ("x" * 251 + ".wav"), tone(), RATE)
    assert len(os.listdir(tmp_path)) == 1


def test_save_refuses_invalid_samples(tmp_path):
    for samples, message in ((np.array([0.0, np.nan]), "NaN or infinity"), (np.array([np.inf]), "NaN or infinity"),
                             (np.zeros((2, 5)), r"shape \(2, 5\)"),
                             (np.broadcast_to(np.float32(0), 2_000_000_000), "2000000000 samples are more")):
        with pytest.raises(MelGANError, match=message):
            audio.save_wav(tmp_path / "x.wav", samples, RATE)
    with pytest.raises(UsageError, match="'PCM_99': give PCM_16, PCM_24 or FLOAT"):
        audio.save_wav(tmp_path / "x.wav", tone(), RATE, subtype="PCM_99")
    assert os.listdir(tmp_path) == []
