"""Files that give no sound: each is refused with its own reason, in one line, without output of any library."""

from __future__ import annotations

import os
import struct

import av
import numpy as np
import pytest
from encoded_sounds import by_ffmpeg, chunk, encoded, fmt_chunk, noise, refused, tone, wav, with_data_length

from melgan_tf.audio import read as audio
from melgan_tf.audio.decode import About, decode
from melgan_tf.audio.headers import DOUBTFUL
from melgan_tf.errors import DecodeError


def damaged_mp3():
    content = bytearray(encoded(tone(1.0), "MP3", "MPEG_LAYER_III"))
    for at in range(1000, len(content), 97):
        content[at] ^= 0xFF
    return bytes(content)


def flac_that_promises_more():
    content = bytearray(encoded(tone(), "FLAC"))
    content[22:26] = struct.pack(">I", 30_000)  # the low part of STREAMINFO's number of samples
    return bytes(content)


def flac_that_promises_less():
    content = bytearray(encoded(noise(30_000), "FLAC"))
    content[22:26] = struct.pack(">I", 20_000)
    return bytes(content)


def flac_whose_last_frame_goes_beyond():
    content = bytearray(encoded(noise(30_000), "FLAC"))
    content[22:26] = struct.pack(">I", 29_900)
    return bytes(content)


def flac_of_another_rate():
    content = bytearray(encoded(tone(), "FLAC"))
    content[18:20] = struct.pack(">H", 48_000 >> 4)
    return bytes(content)


def flac_with_the_frames_of_another():
    mine, other = encoded(noise(30_000), "FLAC"), encoded(-noise(30_000), "FLAC")
    return mine[:42] + other[42:]


def without_length(content):
    return content[:21] + bytes([content[21] & 0xF0]) + bytes(4) + content[26:]


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
                    "^truncated: only 0 of 44100 bytes"),
    "truncated WAV": (lambda: half(encoded(tone())), "^truncated: only 22028 of 44100 bytes"),
    "truncated WAV with an odd chunk": (lambda: half(wav([chunk(b"junk", b"x" * 27), fmt_chunk(),
                                                          chunk(b"data", bytes(44_100))])), "^truncated"),
    "truncated RIFX": (lambda: half(encoded(tone(), endian="BIG")), "^truncated"),
    "truncated RF64": (lambda: half(encoded(tone(), "RF64")), "^truncated"),
    "truncated AIFF": (lambda: half(encoded(tone(), "AIFF")), "^truncated"),
    "truncated CAF": (lambda: half(encoded(tone(), "CAF")), "^truncated"),
    "truncated FLAC": (lambda: half(encoded(noise(30_000), "FLAC")),
                       r"^damaged or truncated: only \d+ of 30000 samples$"),
    "FLAC that promises more": (flac_that_promises_more, "^damaged or truncated: only 22050 of 30000 samples$"),
    "FLAC whose last frame goes beyond": (flac_whose_last_frame_goes_beyond, "^damaged: it contains more samples"),
    "FLAC that promises less": (flac_that_promises_less, "^damaged: it contains more samples than .* 20000"),
    "FLAC of another rate": (flac_of_another_rate, "^damaged: its header declares .* Hz, its frames 44100"),
    "FLAC with others' frames": (flac_with_the_frames_of_another, "^damaged: its samples do not have the checksum"),
    "FLAC of unknown length with others' frames": (lambda: without_length(flac_with_the_frames_of_another()),
                                                   "^damaged: its samples do not have the checksum"),
    "truncated Ogg": (lambda: half(encoded(tone(), "OGG", "VORBIS")), "^truncated: its last page is cut"),
    "truncated MP3": (lambda: half(encoded(tone(1.0), "MP3", "MPEG_LAYER_III")),
                      "^truncated: the last of .* frames is cut"),
    "damaged MP3": (damaged_mp3, "^damaged: no frame at byte"),
    "rate 0": (lambda: wav([fmt_chunk(rate=0), chunk(b"data", bytes(2000))]), "rate of 0 Hz"),
    "rate of 4 GHz": (lambda: wav([fmt_chunk(4_000_000_000), chunk(b"data", bytes(2000))]), "rate of 4000000000 Hz"),
    "rate of 30 Hz": (lambda: encoded(tone(), "FLAC", rate=30), "rate of 30 Hz"),
    "NaN": (lambda: with_values(np.nan), "NaN"),
    "infinity": (lambda: with_values(np.inf, -np.inf), "infinite"),
    "far too large": (lambda: with_values(1e30), "far too large"),
    "endless CAF chunk": (lambda: b"caff\0\1\0\0junk" + b"\x7f" + b"\xff" * 7 + bytes(100), "^damaged"),
    "negative CAF chunk": (lambda: b"caff\0\1\0\0junk" + b"\xff" * 6 + b"\0\0" + bytes(100), "^damaged"),
    "chunks without end": (lambda: wav([chunk(b"junk", b"")] * 3000), "^damaged"),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_every_unusable_file_has_its_own_reason(put, case, capfd, recwarn):
    make, reason = UNUSABLE[case]
    path = put(make())
    refused(path, reason)
    assert tuple(capfd.readouterr()) == ("", "")  # no decoder says anything on its own
    assert not recwarn.list


@pytest.mark.parametrize("values", [(np.nan,), (np.inf,)])
def test_nan_is_found_through_ffmpeg_too(put, values):
    content = b"RIFF\0\0\0\0" + with_data_length(with_values(*values), 0)[8:]
    refused(put(content), "NaN")


def test_damaged_mp3_in_wav_is_reported_without_output(put, tmp_path, capfd):
    content = bytearray(by_ffmpeg(tmp_path / "x.wav", tone(1.0), "libmp3lame", "wav", "fltp"))
    for at in range(1000, len(content) - 1000, 97):
        content[at] ^= 0xFF
    refused(put(bytes(content)), "^damaged: no frame at byte")
    assert tuple(capfd.readouterr()) == ("", "")


def test_truncated_m4a(put, tmp_path):
    content = by_ffmpeg(tmp_path / "x.m4a", tone(1.0), "aac", "ipod", "fltp", muxer={"movflags": "faststart"})
    refused(put(content[:len(content) * 3 // 4]), "^truncated: only .* bytes")
    content = by_ffmpeg(tmp_path / "x.m4a", tone(1.0), "aac", "ipod", "fltp")  # its index is at the end
    refused(put(half(content)), "^truncated")


@pytest.mark.parametrize(("box", "parent"), [("mdhd", "mdia"), ("hdlr", "mdia"), ("stts", "stbl"), ("stbl", "minf")])
def test_m4a_that_has_lost_a_box(put, tmp_path, box, parent):
    content = by_ffmpeg(tmp_path / "x.m4a", tone(1.0), "aac", "ipod", "fltp")
    refused(put(content.replace(box.encode(), b"\x7f\xff\xff\xff", 1)), f"^damaged: its box {parent} has no {box}")


@pytest.mark.parametrize(("box", "at", "reason"), [
    (b"stco", 8, "^damaged: its index points to what is no sound"),
    (b"stsz", 12, "^damaged: its index declares more sound than there is")])
def test_m4a_whose_index_is_wrong(put, tmp_path, box, at, reason):
    content = bytearray(by_ffmpeg(tmp_path / "x.m4a", tone(1.0), "aac", "ipod", "fltp"))
    position = content.index(box) + 4 + at
    content[position:position + 4] = struct.pack(">I", 1 << 20)
    refused(put(bytes(content)), reason)


@pytest.mark.parametrize("make", [
    lambda content: content[:22] + struct.pack(">I", 22_049) + content[26:],
    lambda content: content[:4] + struct.pack(">I", len(content) + 92) + content[8:] + bytes(100)],
    ids=["one sample less", "zeros behind the sound"])
def test_what_contradicts_the_rest_a_little_is_told(put, make):
    content = encoded(tone(), "AIFF")
    for case, notes in ((content, []), (make(content), [DOUBTFUL])):
        about = About()
        assert abs(sum(len(block) for _, block in decode(put(case), about=about)) - 22_050) <= 1
        assert about.notes == notes


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
    refused(path, "^it contains no sound")


def test_a_sample_rate_that_changes(put, tmp_path):
    first = by_ffmpeg(tmp_path / "a", tone(), "aac", "adts", "fltp")
    second = by_ffmpeg(tmp_path / "b", tone(rate=22_050), "aac", "adts", "fltp", rate=22_050)
    refused(put(first + second), "^damaged: another kind of frame at byte")


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


def aiff_whose_sound_starts_late():
    content = encoded(tone(), "AIFF", "PCM_S8")
    place = content.index(b"SSND") + 8
    return content[:place] + struct.pack(">I", 200) + content[place + 4:]


def caf_of_negative_length():
    content = encoded(tone(), "CAF", "PCM_16")
    place = content.index(b"data") + 4
    return content[:place] + struct.pack(">q", -5_000) + content[place + 8:]


def rf64_without_lengths():
    return encoded(tone(), "RF64").replace(b"ds64", b"JUNK")


def wav_without_a_length_before_other_things():
    return with_data_length(encoded(tone()), 0xFFFFFFFF) + np.random.default_rng(0).bytes(2_000)


@pytest.mark.parametrize("made", [aiff_whose_sound_starts_late, caf_of_negative_length, rf64_without_lengths,
                                  wav_without_a_length_before_other_things], ids=lambda made: made.__name__)
def test_lengths_that_contradict_each_other(put, made):
    refused(put(made()), "^damaged: ")
