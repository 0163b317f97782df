"""Files <-> samples: made-up sounds in many formats, held against NumPy, librosa and what a sine must look like."""

import collections
import contextlib
import io
import itertools
import os
import re
import resource
import struct
import subprocess
import sys
import wave
from fractions import Fraction

import av
import librosa
import numpy as np
import pytest
import soundfile as sf

from melgan_tf.audio import find as scan
from melgan_tf.audio import read as audio
from melgan_tf.audio.find import Skipped, SoundFile
from melgan_tf.errors import DecodeError, MelGANError, UsageError

RATE = 44_100


def tone(seconds=0.5, hz=440.0, rate=RATE, level=0.5):
    return (level * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def noise(samples, seed=0, level=0.1):
    return (level * np.random.default_rng(seed).standard_normal(samples)).astype(np.float32)


def encoded(samples, fmt="WAV", subtype="PCM_16", rate=RATE, endian=None):
    """The bytes of a sound file, by libsndfile."""
    file = io.BytesIO()
    sf.write(file, samples, rate, format=fmt, subtype=subtype, endian=endian)
    return file.getvalue()


def by_ffmpeg(path, samples, codec, container, sample_format, rate=RATE, options=None, muxer=None):
    """Writes a mono sound file by FFmpeg and returns its bytes."""
    kind = {"s16": np.int16, "s16p": np.int16, "s32": np.int32, "fltp": np.float32}[sample_format]
    scale = 1 if kind == np.float32 else 2.0 ** (8 * np.dtype(kind).itemsize - 1)
    values = (samples * scale).astype(kind)
    with av.open(str(path), "w", format=container, options=muxer or {}) as out:
        stream = out.add_stream(codec, rate=rate, options=options or {})
        stream.codec_context.format, stream.codec_context.layout = sample_format, "mono"
        for start in range(0, len(values), 1024):
            frame = av.AudioFrame.from_ndarray(values[None, start:start + 1024], format=sample_format, layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path.read_bytes()


def chunk(name, content):
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def wav(chunks, riff=None):
    """A WAV file from its chunks, with a truthful outer length unless another is given."""
    body = b"WAVE" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body) if riff is None else riff) + body


def fmt_chunk(rate=RATE, code=1, bits=16, channels=1):
    width = bits // 8 * channels
    return chunk(b"fmt ", struct.pack("<HHIIHH", code, channels, rate, rate * width % 2**32, width, bits))


def with_data_length(content, length):
    """The WAV file with another length in the header of its data chunk."""
    at = content.index(b"data") + 4
    return content[:at] + struct.pack("<I", length) + content[at + 4:]


def strongest_hz(samples, rate):
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return np.argmax(spectrum) * rate / len(samples)


def db(ratio):
    return 20 * np.log10(ratio)


@pytest.fixture
def put(tmp_path):
    """Writes bytes to a file below tmp_path and returns its path."""
    def write(content, name="sound.wav"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path
    return write


def refused(path, reason, function=lambda path: audio.load(path, 16_000)):
    """Checks that the file is refused for that reason, in one line that names it."""
    with pytest.raises(DecodeError) as caught:
        function(path)
    assert re.search(reason, caught.value.reason)
    assert str(caught.value) == f"{path}: {caught.value.reason}"
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 1


# -- find ------------------------------------------------------------------------------------------------------------

def test_find_lists_every_depth_in_order_with_labels(put, tmp_path):
    for name in ("kick/b.wav", "top.flac", "kick/a.WAV", "snare/dry/close/x.Mp3", "Z.aiff", "kick/10.m4a"):
        put(b"x", name)
    sounds, skipped = audio.find(tmp_path)
    assert [(sound.name, sound.label) for sound in sounds] == [
        ("Z.aiff", ""), ("kick/10.m4a", "kick"), ("kick/a.WAV", "kick"), ("kick/b.wav", "kick"),
        ("snare/dry/close/x.Mp3", "snare/dry/close"), ("top.flac", "")]
    assert [sound.path for sound in sounds] == [tmp_path / sound.name for sound in sounds]
    assert skipped == []
    assert audio.find(str(tmp_path)) == (sounds, skipped)


def test_find_takes_every_known_extension_and_no_other(put, tmp_path):
    wanted = ["wav", "wave", "flac", "aif", "aiff", "aifc", "ogg", "oga", "opus", "mp3", "m4a", "mp4", "aac", "caf"]
    for extension in (*wanted, "txt", "json", "asd", "jpg", "wav.part"):
        put(b"RIFF", f"x.{extension}")
    assert [sound.name for sound in audio.find(tmp_path)[0]] == sorted(f"x.{extension}" for extension in wanted)


@pytest.mark.parametrize("head", [b"RIFF....WAVE", b"RIFX....WAVE", b"RF64....WAVE", b"fLaC", b"FORM....AIFF",
                                  b"FORM....AIFC", b"OggS", b"caff", b"ID3\3", b"\0\0\0\x20ftypM4A "])
def test_find_looks_into_files_without_extension(put, tmp_path, head):
    put(head + b"\0" * 20, "kick")
    put(b"All rights reserved", "LICENSE")
    put(b"", "nothing")
    put(b"RIFF....WEBPVP8 ", "picture")
    assert [sound.name for sound in audio.find(tmp_path)[0]] == ["kick"]


def test_find_ignores_hidden_files_and_folders(put, tmp_path):
    for name in (".hidden.wav", "._AppleDouble.wav", ".trash/x.wav", "seen.wav", "__MACOSX/._seen.wav"):
        put(b"x", name)
    assert [sound.name for sound in audio.find(tmp_path)[0]] == ["seen.wav"]


def test_find_follows_links_once_and_out_of_loops(put, tmp_path):
    put(b"x", "outside/far.wav")
    put(b"x", "outside/store/0a1b")
    put(b"x", "data/real/x.wav")
    (tmp_path / "data/a_link").symlink_to(tmp_path / "data/real")  # would come first if links were not put off
    (tmp_path / "data/a_link.wav").symlink_to("real/x.wav")
    (tmp_path / "data/real/loop").symlink_to(tmp_path / "data")
    (tmp_path / "data/real/up").symlink_to(tmp_path)  # leads to the data by another way
    (tmp_path / "data/elsewhere").symlink_to(tmp_path / "outside")
    (tmp_path / "data/again").symlink_to(tmp_path / "outside")
    (tmp_path / "data/notes.txt").symlink_to(tmp_path / "outside/store/0a1b")
    (tmp_path / "data/stored.wav").symlink_to(tmp_path / "outside/store/0a1b")  # named by the link, as git-annex does
    (tmp_path / "data/self.wav").symlink_to(tmp_path / "data/self.wav")
    (tmp_path / "data/gone.wav").symlink_to("nowhere.wav")
    sounds, skipped = audio.find(tmp_path / "data")
    assert [(sound.name, sound.label) for sound in sounds] == [
        ("again/far.wav", "again"), ("real/x.wav", "real"), ("stored.wav", "")]
    assert [skip.name for skip in skipped] == ["gone.wav", "self.wav"]
    assert skipped[0].reason == "cannot be read: No such file or directory"


def test_find_lists_a_file_once_that_is_linked_and_lies_in_a_linked_folder(put, tmp_path):
    put(b"x", "outside/far.wav")
    put(b"x", "outside/near.wav")
    put(b"x", "data/.store/key.wav")
    (tmp_path / "data/a.wav").symlink_to(tmp_path / "outside/far.wav")
    (tmp_path / "data/b").symlink_to(tmp_path / "outside")
    (tmp_path / "data/c.wav").symlink_to(tmp_path / "outside/near.wav")
    (tmp_path / "data/d.wav").symlink_to(".store/key.wav")  # hidden itself
    (tmp_path / "data/e.wav").symlink_to(".store/key.wav")
    assert [sound.name for sound in audio.find(tmp_path / "data")[0]] == ["a.wav", "b/near.wav", "d.wav"]


def test_scan_comes_in_the_order_of_names_and_counts_the_rest(put, tmp_path):
    names = ["a-b.wav", "a.wav", "a/x.wav", "a/z/1.wav", "a/z.wav", "a0.wav", "b.flac"]
    for name in (*names, "a/notes.txt", "out/left.wav", "cover.JPG", "b.txt", "LICENSE"):
        put(b"x", name)
    ignored = collections.Counter()
    found = [sound.name for sound in scan.scan(tmp_path, tmp_path / "out", ignored)]
    assert found == sorted(names)
    assert ignored == {".txt": 2, ".jpg": 1, "": 1}
    assert scan.count(tmp_path) == len(names) + 1


def test_find_tells_which_folders_it_could_not_look_into(put, tmp_path):
    put(b"x", "fine/x.wav")
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(20):  # deeper than a path may be long: to be entered step by step only
        os.mkdir("d" * 250, dir_fd=here)
        deeper = os.open("d" * 250, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = deeper
    os.close(here)
    sounds, skipped = audio.find(tmp_path)
    assert [sound.name for sound in sounds] == ["fine/x.wav"]
    assert len(skipped) == 1
    assert skipped[0].name.endswith("/" + "d" * 250 + "/")
    assert skipped[0].reason == "cannot be opened: File name too long"


def test_find_tells_which_folders_it_may_not_enter(put, tmp_path, monkeypatch):
    put(b"x", "fine/x.wav")
    put(b"x", "locked/x.wav")
    scandir = os.scandir

    def guarded(path):
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)  # file modes would not stop a superuser
    sounds, skipped = audio.find(tmp_path)
    assert [sound.name for sound in sounds] == ["fine/x.wav"]
    assert skipped == [Skipped("locked/", "cannot be opened: Permission denied")]


def test_find_accepts_one_file(put):
    path = put(b"x", "kick/x.wav")
    assert audio.find(path) == ([SoundFile(path, "x.wav", "")], [])


def test_find_refuses_what_is_no_folder(put, tmp_path):
    file = put(b"x")
    for missing in (tmp_path / "gone", file / "below"):
        with pytest.raises(UsageError, match=f"folder {missing} does not exist: give a folder"):
            audio.find(missing)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(MelGANError, match="cannot read .*loop: .*symbolic links; give a readable folder") as caught:
        audio.find(tmp_path / "loop")
    assert caught.value.exit_code == 1


def test_names_that_are_not_utf8_become_printable(tmp_path):
    with open(os.fsencode(tmp_path) + b"/caf\xe9.wav", "wb") as file:
        file.write(encoded(tone()))
    sound, = audio.find(tmp_path)[0]
    assert sound.name == "caf?.wav"
    assert len(audio.load(sound.path, RATE)) == RATE // 2


# -- load: formats ---------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("fmt", "subtype", "tolerance"), [
    ("WAV", "PCM_U8", 1 / 128), ("WAV", "PCM_16", 1 / 32768), ("WAV", "PCM_24", 2**-23), ("WAV", "PCM_32", 1e-7),
    ("WAV", "FLOAT", 0), ("WAV", "DOUBLE", 0), ("WAV", "ALAW", 0.02), ("WAV", "ULAW", 0.02),
    ("WAVEX", "PCM_24", 2**-23), ("RF64", "PCM_16", 1 / 32768),
    ("AIFF", "PCM_S8", 1 / 128), ("AIFF", "PCM_16", 1 / 32768), ("AIFF", "FLOAT", 0),
    ("FLAC", "PCM_16", 1 / 32768), ("FLAC", "PCM_24", 2**-23), ("CAF", "PCM_16", 1 / 32768),
    ("CAF", "ALAC_16", 1 / 32768)])
def test_load_gives_the_samples_of_lossless_files(put, fmt, subtype, tolerance):
    samples = tone(hz=997.0)
    loaded = audio.load(put(encoded(samples, fmt, subtype)), RATE)
    assert loaded.dtype == np.float32
    assert loaded.shape == samples.shape
    np.testing.assert_allclose(loaded, samples, rtol=0, atol=tolerance)


def test_load_reads_big_endian_wav(put):
    content = encoded(tone(), endian="BIG")
    assert content[:4] == b"RIFX"
    np.testing.assert_allclose(audio.load(put(content), RATE), tone(), atol=1 / 32768)


@pytest.mark.parametrize(("codec", "container", "sample_format", "bits"), [
    ("flac", "flac", "s32", 32), ("flac", "flac", "s16", 12), ("flac", "ogg", "s16", 16), ("alac", "ipod", "s16p", 16)])
def test_load_gives_the_samples_of_lossless_files_by_ffmpeg(tmp_path, codec, container, sample_format, bits):
    by_ffmpeg(tmp_path / "x", tone(), codec, container, sample_format, options={"bits_per_raw_sample": str(bits)},
              muxer={"strict": "experimental"})
    loaded = audio.load(tmp_path / "x", RATE)
    assert len(loaded) == len(tone())
    np.testing.assert_allclose(loaded, tone(), rtol=0, atol=max(2.0 ** (1 - bits), 2e-7))


def test_load_reads_unsigned_bytes_and_many_channels_by_ffmpeg(put):
    """A WAV whose lengths were never filled in goes to FFmpeg whatever is in it."""
    channels = np.stack([tone(hz=hz) for hz in (300, 500, 700)], axis=1)
    for subtype, tolerance in (("PCM_U8", 1 / 128), ("PCM_16", 1e-4), ("PCM_32", 1e-6), ("FLOAT", 1e-6)):
        content = encoded(channels, "WAV", subtype)
        content = b"RIFF\0\0\0\0" + with_data_length(content, 0)[8:]
        loaded = audio.load(put(content), RATE)[:len(channels)]
        np.testing.assert_allclose(loaded, channels.mean(axis=1), atol=tolerance)


def test_load_reads_flac_of_unknown_length(put):
    content = bytearray(encoded(tone(), "FLAC"))
    content[21] &= 0xF0  # the low half and four more bytes of STREAMINFO tell the number of samples
    content[22:26] = bytes(4)
    np.testing.assert_allclose(audio.load(put(bytes(content)), RATE), tone(), atol=1 / 32768)


@pytest.mark.parametrize(("fmt", "subtype", "error_db"), [
    ("OGG", "VORBIS", -25), ("OGG", "OPUS", -15), ("MP3", "MPEG_LAYER_III", -25)])
def test_load_reads_lossy_files(put, fmt, subtype, error_db):
    samples = tone(hz=1000.0, rate=48_000)
    loaded = audio.load(put(encoded(samples, fmt, subtype, rate=48_000)), 48_000)
    assert len(loaded) == len(samples)  # without the encoder's delay and padding
    assert db(np.std(loaded - samples) / np.std(samples)) < error_db


@pytest.mark.parametrize(("codec", "container"), [("aac", "ipod"), ("aac", "adts"), ("libmp3lame", "wav")])
def test_load_reads_lossy_files_by_ffmpeg(tmp_path, codec, container):
    by_ffmpeg(tmp_path / "x.wav", tone(1.0, hz=1000.0), codec, container, "fltp")
    loaded = audio.load(tmp_path / "x.wav", 16_000)
    assert 16_000 <= len(loaded) < 17_000
    middle = loaded[4000:12_000]
    assert strongest_hz(middle, 16_000) == pytest.approx(1000, abs=2)
    assert np.std(middle) * np.sqrt(2) == pytest.approx(0.5, rel=0.05)


def test_contents_decide_not_the_extension(put):
    for fmt, subtype, name in (("FLAC", "PCM_16", "x.wav"), ("MP3", "MPEG_LAYER_III", "y.wav"),
                               ("WAV", "PCM_16", "z.mp3"), ("OGG", "VORBIS", "w.m4a"), ("AIFF", "PCM_16", "bare")):
        loaded = audio.load(put(encoded(tone(), fmt, subtype), name), RATE)
        assert np.std(loaded - tone()) < 0.01


def test_load_keeps_what_is_above_full_scale(put):
    assert np.abs(audio.load(put(encoded(3 * tone(), subtype="FLOAT")), RATE)).max() == pytest.approx(1.5, abs=1e-3)


# -- load: channels, rates, lengths ----------------------------------------------------------------------------------

@pytest.mark.parametrize("channels", [2, 3, 6])
def test_load_averages_channels(put, channels):
    samples = np.stack([noise(5000, seed) for seed in range(channels)], axis=1)
    loaded = audio.load(put(encoded(samples, subtype="FLOAT")), RATE)
    np.testing.assert_allclose(loaded, samples.mean(axis=1), atol=1e-7)


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 96_000])
def test_load_agrees_with_librosa(put, rate):
    path = put(encoded(np.stack([noise(rate // 2), tone(0.5, rate=rate)], axis=1), "FLAC", rate=rate))
    expected, _ = librosa.load(path, sr=16_000, mono=True)
    np.testing.assert_allclose(audio.load(path, 16_000), expected, atol=1e-5)


@pytest.mark.parametrize(("rate", "wanted"), [(44_100, 16_000), (48_000, 44_100), (11_025, 16_000), (192_000, 16_000),
                                              (35_467, 22_050)])
def test_resampling_keeps_a_sine(put, rate, wanted):
    loaded = audio.load(put(encoded(tone(1.0, 3000.0, rate), subtype="FLOAT", rate=rate)), wanted)
    assert len(loaded) == wanted
    inner = slice(wanted // 10, -wanted // 10)  # away from the ends, where the sound starts and stops abruptly
    np.testing.assert_allclose(loaded[inner], tone(1.0, 3000.0, wanted)[inner], atol=1e-4)


def test_resampling_removes_what_the_new_rate_cannot_hold(put):
    loaded = audio.load(put(encoded(tone(1.0, hz=9000.0), subtype="FLOAT")), 16_000)
    assert db(np.std(loaded[1600:-1600]) / np.std(tone())) < -100


def test_short_sounds_keep_at_least_one_sample(put):
    for length in (1, 2, 3, 20):
        loaded = audio.load(put(encoded(np.full(length, 0.5, np.float32))), 16_000)
        assert len(loaded) == max(1, round(length * 16_000 / RATE))
        assert np.abs(loaded).max() > 0.1
    assert audio.load(put(encoded(np.full(1, 0.5, np.float32))), RATE) == pytest.approx([0.5])


@pytest.mark.parametrize(("fmt", "subtype", "rate"), [
    ("WAV", "PCM_16", 44_100), ("FLAC", "PCM_16", 44_100), ("FLAC", "PCM_24", 192_000), ("OGG", "VORBIS", 48_000),
    ("MP3", "MPEG_LAYER_III", 44_100), ("WAV", "FLOAT", 8_000), ("WAV", "PCM_16", 16_000)])
def test_the_first_samples_do_not_depend_on_how_much_is_decoded(put, fmt, subtype, rate):
    path = put(encoded(noise(2 * rate), fmt, subtype, rate))
    whole = audio.load(path, 16_000)
    for count in (1, 100, 7999, 8000, 31_990, 32_000, 50_000):
        part = audio.load(path, 16_000, count)
        assert len(part) == min(count, len(whole))
        np.testing.assert_allclose(part, whole[:count], rtol=0, atol=1e-6)


def test_sounds_longer_than_a_block_have_no_seams(put):
    samples = noise(1_500_000)
    path = put(encoded(np.stack([samples, samples], axis=1), subtype="FLOAT"))
    np.testing.assert_allclose(audio.load(path, RATE), samples, atol=1e-7)
    expected, _ = librosa.load(path, sr=16_000)
    np.testing.assert_allclose(audio.load(path, 16_000), expected, atol=1e-5)


def test_only_the_beginning_of_a_long_file_is_read(put):
    two_hours = 2 * 3600 * RATE * 2
    path = put(wav([fmt_chunk(), b"data" + struct.pack("<I", two_hours)], riff=36 + two_hours))
    os.truncate(path, 44 + two_hours)

    def bytes_read():
        with open("/proc/self/io") as counters:
            return int(counters.readline().split()[1])

    before = bytes_read()
    assert len(audio.load(path, 16_000, 8000)) == 8000
    assert bytes_read() - before < 200_000


@pytest.mark.parametrize(("rate", "count"), [(0, 100), (16_000, 0), (16_000, -1)])
def test_load_refuses_a_senseless_request(put, rate, count):
    with pytest.raises(UsageError, match="give 1 or more"):
        audio.load(put(encoded(tone())), rate, count)


# -- load: headers that are odd but harmless -------------------------------------------------------------------------

@pytest.mark.parametrize(("riff", "data"), [
    (0, 0), (0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0), (36, 0), (0x7FFFFFFF, 0x7FFFFFDB), (0x7FFFF024, 0x7FFFF000),
    (0x80000024, 0x80000000)])
def test_a_streamed_wav_is_read_to_its_end(put, riff, data):
    content = with_data_length(encoded(tone()), data)
    loaded = audio.load(put(content[:4] + struct.pack("<I", riff) + content[8:]), RATE)
    np.testing.assert_allclose(loaded, tone(), atol=1 / 32768)


def test_harmless_oddities(put):
    data = (tone() * 32767).astype("<i2").tobytes()
    latin1 = chunk(b"LIST", b"INFO" + chunk(b"INAM", "Grosse Caisse à l'ancienne".encode("latin-1")))
    for content in (encoded(tone()) + bytes(range(256)) * 2,  # something after the end
                    wav([chunk(b"junk", b"x" * 27), fmt_chunk(), chunk(b"data", data)]),
                    wav([fmt_chunk(), latin1, chunk(b"data", data)]),
                    wav([fmt_chunk(), latin1, b"data\0\0\0\0", data], riff=0),
                    with_data_length(encoded(tone()), 2 * len(tone()) + 44)):  # the whole file's length by mistake
        loaded = audio.load(put(content), RATE)
        np.testing.assert_allclose(loaded, tone(), atol=1 / 16384)


def test_mp3_with_leftovers_at_its_end(put):
    loaded = audio.load(put(encoded(tone(), "MP3", "MPEG_LAYER_III") + b"\xff\xfb\x90\x44" + b"\x55" * 500), RATE)
    assert np.std(loaded[:len(tone())] - tone()) < 0.01


# -- load: files that give no sound ----------------------------------------------------------------------------------

def damaged_mp3():
    content = bytearray(encoded(tone(1.0), "MP3", "MPEG_LAYER_III"))
    for at in range(1000, len(content), 97):
        content[at] ^= 0xFF
    return bytes(content)


def flac_that_promises_more():
    content = bytearray(encoded(tone(), "FLAC"))
    content[22:26] = struct.pack(">I", 30_000)  # the low part of STREAMINFO's number of samples
    return bytes(content)


def half(content):
    return content[:len(content) // 2]


def with_values(*values):
    samples = tone()
    samples[100:100 + len(values)] = values
    return encoded(samples, subtype="FLOAT")


UNUSABLE = {
    "empty file": (lambda: b"", "^an empty file$"),
    "git-lfs": (lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
                "^a git-lfs pointer.*git lfs pull"),
    "text": (lambda: "Schlagzeug: größer\n".encode() * 400, "^text, not audio$"),
    "playlist": (lambda: b"#EXTM3U\nhttp://localhost/x.ts\n", "^text, not audio$"),
    "bytes": (lambda: bytes(range(256)) * 20, "^not audio"),
    "zeros": (lambda: bytes(5000), "^not audio"),
    "picture": (lambda: b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(100), "^not audio"),
    "other RIFF": (lambda: b"RIFF\x24\0\0\0WEBPVP8 " + bytes(24), "^not audio"),
    "no samples": (lambda: encoded(np.zeros(0, np.float32)), "^no samples$"),
    "no samples, but metadata": (lambda: wav([fmt_chunk(), chunk(b"data", b""), chunk(b"LIST", b"INFO" + bytes(400))]),
                                 "^no samples$"),
    "no data chunk": (lambda: wav([fmt_chunk()]), "^(damaged|no samples)"),
    "header only": (lambda: wav([fmt_chunk(), b"data" + struct.pack("<I", 44_100)], riff=44_136),
                    "^truncated: 0 of 44100 bytes"),
    "truncated WAV": (lambda: half(encoded(tone())), "^truncated: 22028 of 44100 bytes"),
    "truncated WAV with an odd chunk": (lambda: half(wav([chunk(b"junk", b"x" * 27), fmt_chunk(),
                                                          chunk(b"data", bytes(44_100))])), "^truncated"),
    "truncated RIFX": (lambda: half(encoded(tone(), endian="BIG")), "^truncated"),
    "truncated RF64": (lambda: half(encoded(tone(), "RF64")), "^truncated"),
    "truncated AIFF": (lambda: half(encoded(tone(), "AIFF")), "^truncated"),
    "truncated CAF": (lambda: half(encoded(tone(), "CAF")), "^truncated"),
    "truncated FLAC": (lambda: half(encoded(noise(30_000), "FLAC")), "not all of its 30000 samples"),
    "FLAC that promises more": (flac_that_promises_more, "^damaged or truncated: not all of its 30000 samples"),
    "truncated Ogg": (lambda: half(encoded(tone(), "OGG", "VORBIS")), "^truncated: it ends"),
    "truncated MP3": (lambda: half(encoded(tone(1.0), "MP3", "MPEG_LAYER_III")), "^damaged or truncated: .* of 44100"),
    "damaged MP3": (damaged_mp3, r"^damaged at 0\.\d\d s"),
    "rate 0": (lambda: wav([fmt_chunk(rate=0), chunk(b"data", bytes(2000))]), "rate of 0 Hz"),
    "rate of 4 GHz": (lambda: wav([fmt_chunk(4_000_000_000), chunk(b"data", bytes(2000))]), "rate of 4000000000 Hz"),
    "rate of 30 Hz": (lambda: encoded(tone(), "FLAC", rate=30), "rate of 30 Hz"),
    "NaN": (lambda: with_values(np.nan), "not numbers"),
    "infinity": (lambda: with_values(np.inf, -np.inf), "infinite"),
    "absurdly large": (lambda: with_values(1e30), "absurdly large"),
    "endless CAF chunk": (lambda: b"caff\0\1\0\0junk" + b"\x7f" + b"\xff" * 7 + bytes(100), "^damaged"),
    "negative CAF chunk": (lambda: b"caff\0\1\0\0junk" + b"\xff" * 6 + b"\0\0" + bytes(100), "^damaged"),
    "chunks without end": (lambda: wav([chunk(b"junk", b"")] * 3000), "^damaged"),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_unusable_files_are_told_apart(put, case, capfd, recwarn):
    make, reason = UNUSABLE[case]
    path = put(make())
    refused(path, reason)
    assert tuple(capfd.readouterr()) == ("", "")  # no decoder says anything on its own
    assert not recwarn.list


@pytest.mark.parametrize("values", [(np.nan,), (np.inf,)])
def test_numbers_that_are_none_are_found_by_ffmpeg_too(put, values):
    content = b"RIFF\0\0\0\0" + with_data_length(with_values(*values), 0)[8:]
    refused(put(content), "not numbers")


def test_damaged_mp3_in_wav_is_told_without_noise(put, tmp_path, capfd):
    content = bytearray(by_ffmpeg(tmp_path / "x.wav", tone(1.0), "libmp3lame", "wav", "fltp"))
    for at in range(1000, len(content) - 1000, 97):
        content[at] ^= 0xFF
    refused(put(bytes(content)), r"^damaged at 0\.\d\d s")
    assert tuple(capfd.readouterr()) == ("", "")


def test_truncated_m4a(put, tmp_path):
    content = by_ffmpeg(tmp_path / "x.m4a", tone(1.0), "aac", "ipod", "fltp", muxer={"movflags": "faststart"})
    refused(put(content[:len(content) * 3 // 4]), "^damaged or truncated: .* of 44100 samples")
    content = by_ffmpeg(tmp_path / "x.m4a", tone(1.0), "aac", "ipod", "fltp")  # its index is at the end
    refused(put(half(content)), "^damaged")


def test_m4a_of_which_nothing_is_left(put, tmp_path):
    content = by_ffmpeg(tmp_path / "x.m4a", tone(0.03), "aac", "ipod", "fltp", muxer={"movflags": "faststart"})
    start = content.index(b"mdat") + 4
    refused(put(content[:start] + b"\xff" * (len(content) - start)), "^damaged: nothing in it can be decoded")


def test_film_without_sound(tmp_path):
    path = tmp_path / "film.mp4"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mpeg4", rate=25)
        stream.width = stream.height = 32
        out.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")))
        out.mux(stream.encode(None))
    refused(path, "^no sound in it")


def test_a_sample_rate_that_changes(put, tmp_path):
    first = by_ffmpeg(tmp_path / "a", tone(), "aac", "adts", "fltp")
    second = by_ffmpeg(tmp_path / "b", tone(rate=22_050), "aac", "adts", "fltp", rate=22_050)
    refused(put(first + second), r"sample rate changes at 0\.5\d s")


def test_what_cannot_be_opened(tmp_path):
    (tmp_path / "folder.wav").mkdir()
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "link.wav").symlink_to("nowhere")
    for name, reason in (("folder.wav", "not a file"), ("pipe.wav", "not a file"),
                         ("link.wav", "cannot be read: No such file"), ("gone.wav", "cannot be read: No such file")):
        refused(tmp_path / name, reason)


def test_a_file_that_may_not_be_read(put):
    path = put(encoded(tone()))
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    refused(path, "cannot be read: Permission denied")


def test_random_damage_never_escapes_unclassified(put, capfd):
    rng = np.random.default_rng(0)
    seeds = [encoded(tone(0.1), fmt, subtype) for fmt, subtype in (
        ("WAV", "PCM_16"), ("WAV", "FLOAT"), ("FLAC", "PCM_16"), ("AIFF", "PCM_16"), ("OGG", "VORBIS"),
        ("CAF", "PCM_16"), ("CAF", "ALAC_16"), ("MP3", "MPEG_LAYER_III"))]
    outcomes = set()
    for number, content in enumerate(seeds * 30):
        damaged = bytearray(content)
        reach = 100 if number % 2 else len(damaged)  # headers are short, so every other time aim at them
        for at in rng.integers(0, reach, rng.integers(1, 8)):
            damaged[at] = rng.integers(0, 256)
        try:
            loaded = audio.load(put(bytes(damaged)), 16_000)
            assert np.isfinite(loaded).all()
            outcomes.add("loaded")
        except DecodeError:
            outcomes.add("refused")
    assert outcomes == {"loaded", "refused"}
    assert tuple(capfd.readouterr()) == ("", "")


def test_no_file_stays_open(put):
    contents = [encoded(tone(1.0)), half(encoded(tone())), damaged_mp3(), encoded(tone(1.0), "MP3", "MPEG_LAYER_III"),
                b"text", bytes(5000)]
    paths = [put(content, f"{number}.wav") for number, content in enumerate(contents)]
    before = len(os.listdir("/proc/self/fd"))
    for path in paths:
        try:
            audio.load(path, 16_000, 100)
        except DecodeError:
            continue
    assert len(os.listdir("/proc/self/fd")) == before


# -- measuring and shaping -------------------------------------------------------------------------------------------

def test_is_silent():
    assert audio.is_silent(np.zeros(100, np.float32))
    assert audio.is_silent(np.zeros(0, np.float32))
    assert audio.is_silent(np.array([0.00009, -0.00009]))
    assert not audio.is_silent(np.array([0.0, -0.0001]))
    assert audio.is_silent(np.array([0.0, -0.0001]), peak=0.001)


def test_onset_is_where_the_sound_begins():
    samples = np.concatenate([np.full(500, 1e-4), -tone()[10:]])
    assert audio.onset_sample(samples) == 500
    assert audio.onset_sample(samples, threshold_db=-90) == 0
    assert audio.onset_sample(np.array([0.1, 0.5, -1.0, 1.0]), threshold_db=0) == 2
    assert audio.onset_sample(np.zeros(10)) == 0
    assert audio.onset_sample(np.zeros(0)) == 0


def test_fade_out_is_half_a_cosine_on_a_copy():
    samples = np.ones((2, 1000), np.float32)
    faded = audio.fade_out(samples, 0.4, 1000)
    assert faded.dtype == np.float32
    assert (samples == 1).all()
    assert (faded[:, :600] == 1).all()
    np.testing.assert_allclose(faded[0, 600:], np.cos(np.pi / 2 * np.arange(1, 401) / 400) ** 2, atol=1e-6)
    assert (faded[:, -1] == 0).all()
    assert (audio.fade_out(samples[0], 0, 1000) == 1).all()
    assert audio.fade_out(samples[0], 10, 1000)[-1] == 0
    assert len(audio.fade_out(np.zeros(0), 1, 1000)) == 0
    for seconds in (-1, float("nan")):
        with pytest.raises(UsageError, match="give 0 or more"):
            audio.fade_out(samples, seconds, 1000)


# -- writing ---------------------------------------------------------------------------------------------------------

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


@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
@pytest.mark.parametrize("comment", ["seed 7", "odd length", "größer 🥁 ", '{"seed": 7,\n "x": 1}', "long " * 2000])
def test_comment_comes_back(tmp_path, subtype, comment):
    path = tmp_path / "x.wav"
    audio.save_wav(path, tone(), RATE, comment, subtype)
    assert audio.read_comment(path) == comment
    with sf.SoundFile(path) as file:
        assert file.comment == (comment if len(comment) < 2000 else "")  # libsndfile passes over long ones
    np.testing.assert_allclose(sf.read(path)[0], tone(), atol=1 / 32768)
    content = path.read_bytes()
    assert struct.unpack("<I", content[4:8])[0] == len(content) - 8


def test_comment_of_other_files(put):
    assert audio.read_comment(put(encoded(tone()))) == ""
    refused(put(b"text"), "^not audio", audio.read_comment)
    refused("/nowhere/x.wav", "^cannot be read: No such file", audio.read_comment)


@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
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


def test_save_refuses_what_is_no_sound(tmp_path):
    for samples, message in ((np.array([0.0, np.nan]), "NaN or infinity"), (np.array([np.inf]), "NaN or infinity"),
                             (np.zeros((2, 5)), r"shape \(2, 5\)"),
                             (np.broadcast_to(np.float32(0), 2_000_000_000), "2000000000 samples are more")):
        with pytest.raises(MelGANError, match=message):
            audio.save_wav(tmp_path / "x.wav", samples, RATE)
    with pytest.raises(UsageError, match="'PCM_99': give PCM_16 or FLOAT"):
        audio.save_wav(tmp_path / "x.wav", tone(), RATE, subtype="PCM_99")
    assert os.listdir(tmp_path) == []


# -- many files ------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("workers", [None, 1, 3])
def test_decode_folder_gives_clips_in_order(put, tmp_path, workers):
    for number in range(30):  # long and short alternate, so that they finish out of order
        put(encoded(tone(2.0 if number % 3 == 0 else 0.1, hz=200 + 20 * number), "FLAC"), f"{number:02}.flac")
    put(encoded(np.zeros(1000, np.float32)), "10_silent.wav")
    put(b"text", "20_text.wav")
    sounds, _ = audio.find(tmp_path)
    results = list(audio.decode_folder(sounds, 16_000, 4000, workers))
    assert [sound for sound, _ in results] == sounds
    assert [result for _, result in results if isinstance(result, Skipped)] == [
        Skipped("10_silent.wav", "silent"), Skipped("20_text.wav", "text, not audio")]
    for sound, clip in results:
        if isinstance(clip, np.ndarray):
            number = int(sound.name[:2])
            assert (clip.dtype, clip.shape) == (np.float32, (4000,))
            assert strongest_hz(clip[:1600], 16_000) == pytest.approx(200 + 20 * number, abs=11)
            assert (clip[1600:] == 0).all() == (number % 3 != 0)


def test_decode_folder_decodes_no_more_than_a_window(put):
    sound = SoundFile(put(encoded(tone())), "sound.wav", "")
    taken = 0

    def endless():
        nonlocal taken
        for _ in itertools.count():
            taken += 1
            yield sound

    clips = audio.decode_folder(endless(), 16_000, 100, workers=2)
    for _ in range(10):
        next(clips)
    clips.close()
    assert taken <= 10 + 8


def test_decode_folder_hides_no_defect(put):
    sound = SoundFile(put(encoded(tone())), "sound.wav", "")
    with pytest.raises(UsageError):
        list(audio.decode_folder([sound], 16_000, 0))
    assert list(audio.decode_folder([], 16_000, 100)) == []


def test_sounds_need_no_tensorflow():
    program = "import sys, melgan_tf.audio.read; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
