"""`melgan-tf vocode`: sounds of every kind and mels go in, WAVs of the right length come out, or one line."""

from __future__ import annotations

import json
import re
import shutil
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile
import tensorflow as tf
from command_line import invoke, unchanged
from tiny_vocoders import STEP, VOCODERS, tone

from melgan_tf.audio.isolated import read_comment
from melgan_tf.audio.wav import save_wav
from melgan_tf.dsp import spectral

AUDIO = VOCODERS["fast"].audio
RATE, HOP = AUDIO.sample_rate, AUDIO.hop_samples


def samples_of(path: Path | str) -> np.ndarray:
    """A WAV's whole numbers; it has one channel of 16 bits."""
    with wave.open(str(path)) as file:
        assert file.getparams()[:2] == (1, 2)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(int)


def rate_of(path: Path | str) -> int:
    with wave.open(str(path)) as file:
        return file.getframerate()


def a_mel(frames: int = 12, bins: int = AUDIO.mel_bins) -> np.ndarray:
    return np.random.default_rng(0).uniform(-4, 0, (frames, bins)).astype(np.float32)


# -- sounds ----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("vocoder", list(VOCODERS))
def test_every_length_is_kept(vocode, vocoder, tmp_path):
    """From one sample over less than a window to some hops and a bit."""
    lengths = (1, 2, 255, 256, 257, 511, 512, 513, 1_024, 8_000)
    rate = VOCODERS[vocoder].audio.sample_rate
    (tmp_path / "in").mkdir()
    for length in lengths:
        save_wav(tmp_path / f"in/{length}.wav", tone(length, rate), rate)
    ended = vocode("in", vocoder=vocoder)
    assert (ended.code, ended.stderr) == (0, "")
    for length in lengths:
        assert len(samples_of(f"out/{length}.wav")) == length
        assert rate_of(f"out/{length}.wav") == rate
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(f"{length}.wav" for length in lengths)


@pytest.mark.parametrize(("name", "rate", "channels", "subtype"), [
    ("a.flac", 44_100, 2, "PCM_16"), ("a.wav", 48_000, 1, "FLOAT"), ("a.aiff", 8_000, 1, "PCM_24"),
    ("a.ogg", 22_050, 2, "VORBIS"), ("a.wav", 11_025, 3, "PCM_U8"), ("a.WAV", 16_000, 1, "PCM_16")])
def test_every_format_comes_at_the_vocoders_rate_and_length(vocode, name, rate, channels, subtype):
    sound = tone(rate // 3, rate)
    soundfile.write(name, np.repeat(sound[:, None], channels, 1), rate, subtype=subtype,
                    format="WAV" if name.lower().endswith("wav") else None)
    ended = vocode(name)
    assert (ended.code, ended.stderr) == (0, "")
    made = samples_of("out/a.wav") / 32_768
    assert rate_of("out/a.wav") == RATE
    assert len(made) == round(len(sound) * RATE / rate)
    assert np.sqrt(np.mean(made**2)) == pytest.approx(np.sqrt(np.mean(sound**2)), rel=0.5)  # not silent, not wild


def test_what_is_written_is_what_the_vocoder_makes_of_the_mel(vocode, loaded):
    sound = tone(6_000, RATE)  # no whole number of hops
    save_wav("a.wav", sound, RATE, subtype="FLOAT")
    assert vocode("a.wav").code == 0
    padded = np.pad(sound, (0, -len(sound) % HOP))
    mel = spectral.mel_spectrogram(tf.constant(padded[None]), AUDIO).numpy()
    wanted = loaded["fast"].vocode(mel)[0, :6_000]
    np.testing.assert_allclose(samples_of("out/a.wav"), np.clip(wanted * 32_768, -32_768, 32_767), atol=1)


@pytest.mark.parametrize("vocoder", ["fast", "fast 22k"])
@pytest.mark.parametrize("chunks", [(), ("--chunk-seconds", "0.1")])
def test_silence_stays_silent(vocode, vocoder, chunks):
    save_wav("silent.wav", np.zeros(5_000), 16_000)
    save_wav("short.wav", np.zeros(3), 16_000)
    assert vocode("silent.wav", "short.wav", *chunks, vocoder=vocoder).code == 0
    for name in ("silent", "short"):
        made = samples_of(f"out/{name}.wav")
        assert len(made) > 0
        assert not made.any()


def test_sub_folders_are_kept(vocode, tmp_path):
    for name in ("kick.wav", "deep/er/kick.wav", "deep/snare.wav"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        save_wav(tmp_path / "in" / name, tone(900, RATE), RATE)
    (tmp_path / "in/notes.txt").write_text("kick, snare")
    ended = vocode("in", "in/deep/snare.wav")
    assert (ended.code, ended.stderr) == (0, "")
    assert sorted(str(path.relative_to("out")) for path in Path("out").rglob("*.*")) == [
        "deep/er/kick.wav", "deep/snare.wav", "kick.wav", "snare.wav"]
    assert re.fullmatch(r"4 sounds in out: 0\.2 s of sound in \d+\.\d\d s, \d+ times real time\n", ended.stdout)


def test_a_wav_says_who_made_it(vocode, loaded):
    save_wav("a.wav", tone(900, RATE), RATE)
    vocode("a.wav")
    facts = loaded["fast"].metadata()
    assert json.loads(read_comment("out/a.wav")) == {
        "made_by": "melgan-tf", **{f"vocoder_{key}": value for key, value in facts.items()}}
    values = json.loads(invoke("info", "out/a.wav", "--json").stdout)
    assert (values["kind"], values["vocoder_step"]) == ("generated WAV", STEP)


def test_what_exceeds_full_scale_is_told(vocode):
    np.save("loud.npy", np.full((9, AUDIO.mel_bins), 4.0, np.float32))
    ended = vocode("loud.npy", "--quiet")
    assert (ended.code, ended.stdout, ended.stderr) == (0, "", "warning: out/loud.wav was clipped to full scale\n")
    assert np.abs(samples_of("out/loud.wav")).max() >= 32_767


# -- mels ------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("shape", [lambda mel: mel, lambda mel: mel[None], lambda mel: mel.astype(np.float64),
                                   lambda mel: mel.astype(">f4"), np.asfortranarray])
def test_a_mel_is_rendered_whole(vocode, loaded, shape):
    mel = a_mel()
    np.save("a.npy", shape(mel))
    assert vocode("a.npy").code == 0
    wanted = loaded["fast"].vocode(mel[None])[0]
    assert len(wanted) == 12 * HOP
    np.testing.assert_allclose(samples_of("out/a.wav"), wanted * 32_768, atol=1)


@pytest.mark.parametrize("vocoder", ["fast", "melgan"])
@pytest.mark.parametrize("frames", [1, 2, 3, 4])
def test_a_mel_of_few_frames(vocode, vocoder, frames):
    np.save("a.npy", a_mel(frames))
    assert vocode("a.npy", vocoder=vocoder).code == 0
    assert len(samples_of("out/a.wav")) == frames * HOP


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.float16, np.int64])
def test_a_mel_may_be_of_any_number(vocode, dtype):
    np.save("a.NPY.npy", np.abs(a_mel()).astype(dtype) % 2)
    shutil.move("a.NPY.npy", "a.NPY")
    assert vocode("a.NPY").code == 0
    assert len(samples_of("out/a.wav")) == 12 * HOP


def _nan(mel: np.ndarray) -> np.ndarray:
    mel[3, 5] = np.nan
    return mel


@pytest.mark.parametrize(("make", "parts"), [
    (lambda mel: mel.T, ("shape (64, 12)", "(frames, 64)", "it looks transposed")),
    (lambda mel: mel.T[None], ("shape (64, 12)", "it looks transposed")),
    (lambda mel: mel[:, :63], ("shape (12, 63)", "(frames, 64)")),
    (lambda mel: np.stack([mel, mel]), ("shape (2, 12, 64)",)),
    (lambda mel: mel[None, None], ("shape (1, 1, 12, 64)",)),
    (lambda mel: mel[:0], ("shape (0, 64)",)),
    (lambda mel: mel[None][:0], ("shape (0, 12, 64)",)),
    (lambda mel: mel[0], ("shape (64,)",)),
    (lambda mel: np.float32(3), ("shape ()",)),
    (_nan, ("values that are not finite numbers",)),
    (lambda mel: mel * np.inf, ("values that are not finite numbers",)),
    (lambda mel: mel.astype(np.float64) * 1e300, ("values that are not finite numbers",)),
    (lambda mel: mel > 0, ("values that are not finite numbers",)),
])
def test_a_mel_that_is_none_is_refused(vocode, make, parts, tmp_path):
    np.save("a.npy", make(a_mel()))
    check = unchanged(tmp_path)
    ended = vocode("a.npy")
    ended.one_line("a.npy ", *parts, code=2)
    assert ("transposed" in ended.stderr) == any("transposed" in part for part in parts)
    check()


def _objects(file: Path) -> None:
    np.save(file, np.array([{}], dtype=object), allow_pickle=True)


def _archive(file: Path) -> None:
    with open(file, "wb") as opened:
        np.savez(opened, mel=a_mel())


def _cut(size: int):
    def cut(file: Path) -> None:
        np.save(file, a_mel())
        file.write_bytes(file.read_bytes()[:size])

    return cut


def _cut_archive(file: Path) -> None:
    _archive(file)
    file.write_bytes(file.read_bytes()[:500])


@pytest.mark.parametrize("make", [lambda file: np.save(file, a_mel().astype(complex)),
                                  lambda file: np.save(file, a_mel().astype("U5")), _objects, _archive, _cut_archive,
                                  _cut(3_000), _cut(20), _cut(4),
                                  lambda file: file.write_bytes(b""), lambda file: file.write_text("kick\n" * 99)])
def test_a_damaged_mel_is_one_line(vocode, make, tmp_path):
    make(Path("a.npy"))
    check = unchanged(tmp_path)
    vocode("a.npy").one_line("a.npy is not a .npy array of numbers", code=1)
    check()


def test_a_mel_on_another_scale_is_refused(vocode, tmp_path):
    """Decibels, say, or power without a logarithm: 10 to the power of it would have no end."""
    np.save("a.npy", np.full((9, AUDIO.mel_bins), 60.0))
    check = unchanged(tmp_path)
    vocode("a.npy").one_line("a.npy contains values up to 60", "scale", "log10", code=2)
    check()


@pytest.mark.parametrize("vocoder", list(VOCODERS))
def test_the_loudest_sounds_mel_is_not(vocoder):
    """All of full scale: a square wave, a sine, and a click."""
    audio = VOCODERS[vocoder].audio
    sine = np.sin(2 * np.pi * 3_000 * np.arange(8_000) / audio.sample_rate)
    for sound in (np.sign(sine), sine, np.eye(1, 8_000, 4_000)[0], np.ones(8_000)):
        mel = spectral.mel_spectrogram(tf.constant(sound[None], tf.float32), audio).numpy()
        assert mel.max() < 8


def test_what_does_not_become_a_sound_is_one_line(vocode, loaded, monkeypatch, tmp_path):
    monkeypatch.setitem(vars(loaded["fast"]), "vocode",
                        lambda mel, start=0: np.full((1, mel.shape[1] * HOP), np.nan))
    save_wav("a.wav", tone(900, RATE), RATE)
    check = unchanged(tmp_path)
    vocode("a.wav").one_line("a.wav", "NaN or infinity", code=1)
    check()


# -- in pieces -------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("vocoder", ["fast", "melgan"])
@pytest.mark.parametrize("seconds", ["1e-6", "0.05", "0.33", "1", "1e6"])
def test_pieces_make_the_same_wav(vocode, vocoder, seconds):
    save_wav("a.wav", 0.4 * np.random.default_rng(1).uniform(-1, 1, 15_000), RATE)
    np.save("b.npy", a_mel(31))
    assert vocode("a.wav", "b.npy", vocoder=vocoder).code == 0
    assert vocode("a.wav", "b.npy", "--chunk-seconds", seconds, vocoder=vocoder, out="pieces").code == 0
    for name, length in (("a", 15_000), ("b", 31 * HOP)):
        whole, pieces = samples_of(f"out/{name}.wav"), samples_of(f"pieces/{name}.wav")
        assert len(whole) == length
        assert np.abs(whole).max() > 300
        np.testing.assert_allclose(pieces, whole, atol=1)


def test_a_long_sound_is_analysed_in_pieces_that_join(vocode, monkeypatch):
    """Frames at the seams see what they would see in the whole."""
    save_wav("a.wav", tone(20_000, RATE), RATE)
    assert vocode("a.wav", out="whole").code == 0
    for module in ("inference.vocode_files", "dsp.streaming_mel"):
        monkeypatch.setattr(f"melgan_tf.{module}.PIECE_FRAMES", 5)
    assert vocode("a.wav").code == 0
    np.testing.assert_allclose(samples_of("out/a.wav"), samples_of("whole/a.wav"), atol=1)


@pytest.mark.parametrize(("seconds", "part"), [("0", "0.0 is not in the range"), ("-1", "-1.0 is not in the range"),
                                               ("inf", "inf"), ("nan", "nan"), ("some", "'some'")])
def test_pieces_of_no_length_are_refused(vocode, seconds, part, tmp_path):
    save_wav("a.wav", tone(900, RATE), RATE)
    check = unchanged(tmp_path)
    vocode("a.wav", "--chunk-seconds", seconds).one_line("--chunk-seconds", part, code=2)
    check()
