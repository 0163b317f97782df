"""Sounds that other programs wrote in odd ways, and torn ones: read whole or refused by name, never noise."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import soundfile as sf
from encoded_sounds import RATE, by_ffmpeg, chunk, encoded, fmt_chunk, noise, refused, tone, wav, with_data_length

from melgan_tf.audio import ogg
from melgan_tf.audio.decode import About, decode

ID3 = b"ID3\x04\0\0\0\0\x02\0" + bytes(256)
ID3_WITH_FOOTER = b"ID3\x04\0\x10\0\0\x02\0" + bytes(256) + b"3DI\x04\0\x10\0\0\x02\0"
ID3V1 = b"TAG" + b"stick".ljust(125)
APE = b"APETAGEX" + struct.pack("<IIII8x", 2000, 32, 0, 0)
SECOND = tone(1.0, level=0.5) + noise(RATE, level=0.02)
UNFILLED = "its header does not say how long it is: read to its end"


def heard(path):
    """Samples and notes."""
    about = About()
    blocks = [samples for _, samples in decode(path, about=about)]
    return np.concatenate(blocks), about.notes


def pages(content):
    """The pages of an Ogg file."""
    found, position = [], 0
    while position < len(content):
        size = 27 + content[position + 26] + sum(content[position + 27:position + 27 + content[position + 26]])
        found.append(content[position:position + size])
        position += size
    return found


@pytest.fixture(scope="module")
def streams(tmp_path_factory):
    """A second of sound as streams of frames or pages, by extension."""
    place = tmp_path_factory.mktemp("streams")
    small = {"page_duration": "100000"}
    return {
        "vorbis.ogg": encoded(SECOND, "OGG", "VORBIS"),
        "opus.ogg": by_ffmpeg(place / "o.ogg", SECOND, "libopus", "ogg", "s16", 48_000, muxer=small),
        "flac.ogg": by_ffmpeg(place / "f.ogg", SECOND, "flac", "ogg", "s16", muxer=small),
        "aac": by_ffmpeg(place / "a.aac", SECOND, "aac", "adts", "fltp"),
        "mp3": by_ffmpeg(place / "a.mp3", SECOND, "libmp3lame", "mp3", "fltp",
                         muxer={"write_xing": "0", "id3v2_version": "0"}),
        "xing.mp3": by_ffmpeg(place / "x.mp3", SECOND, "libmp3lame", "mp3", "fltp", muxer={"id3v2_version": "0"})}


NAMES = ["vorbis.ogg", "opus.ogg", "flac.ogg", "aac", "mp3", "xing.mp3"]


# -- torn streams ----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("filler", [lambda count: bytes(count), lambda count: b"\xff" * count,
                                    lambda count: np.random.default_rng(0).bytes(count), lambda count: b""],
                         ids=["zeros", "ones", "garbage", "nothing"])
@pytest.mark.parametrize("stretch", [(0.6, 1.0), (0.5, 0.6)], ids=["the end", "the middle"])
def test_torn_streams_are_refused(put, streams, name, filler, stretch):
    content = streams[name]
    start, end = (round(part * len(content)) + 3 for part in stretch)
    refused(put(content[:start] + filler(min(end, len(content)) - start) + content[end:]), "^(truncated|damaged)")


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith("ogg")])
def test_pages_that_are_missing_are_noticed(put, streams, name):
    found = pages(streams[name])
    assert len(found) > 4
    refused(put(b"".join(found[:-1])), "^truncated: the last page of its stream is missing")
    refused(put(b"".join(found[:3] + found[4:])), "^damaged: pages are missing")
    assert ogg.checksum(found[3][:22] + bytes(4) + found[3][26:]) == int.from_bytes(found[3][22:26], "little")


def test_frames_that_are_missing_are_noticed_where_they_are_counted(put, streams):
    content = streams["xing.mp3"]
    ends = [content.index(content[:2], 4)]  # the first frame, with the number of the others, has a size of its own
    size = content.index(content[:2], ends[0] + 4) - ends[0] - (content[ends[0] + 2] >> 1 & 1)
    while ends[-1] < len(content):
        ends.append(ends[-1] + size + (content[ends[-1] + 2] >> 1 & 1))  # some have a byte more
    assert ends[-1] == len(content)
    refused(put(content[:ends[-5]]), "^damaged: .* frames, not the .* of its header")
    assert len(heard(put(streams["mp3"]))[0]) >= RATE  # nothing counts these


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("tail", [ID3V1, APE + ID3V1, ID3, bytes(100)], ids=["ID3v1", "APE", "ID3v2", "zeros"])
def test_tags_behind_streams_are_no_damage(put, streams, name, tail):
    whole, _ = heard(put(streams[name], "a"))
    np.testing.assert_array_equal(heard(put(streams[name] + tail, "b"))[0], whole)


def test_mp3_one_after_the_other_is_heard_whole(put, streams):
    whole, _ = heard(put(streams["mp3"], "a"))
    assert len(heard(put(ID3 + streams["mp3"] + ID3V1 + ID3 + streams["mp3"], "b"))[0]) >= 2 * len(whole) - 1152
    refused(put(streams["xing.mp3"] * 2, "c"), "^damaged: .* frames, not the .* of its header")


# -- chains ----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith("ogg")])
def test_every_sound_of_a_chain_is_heard(put, tmp_path, streams, name):
    codec, rate = {"vorbis.ogg": ("", RATE), "opus.ogg": ("libopus", 48_000), "flac.ogg": ("flac", RATE)}[name]
    second = tone(0.5, 300.0, rate)
    second = (by_ffmpeg(tmp_path / "b.ogg", second, codec, "ogg", "s16", rate) if codec else
              encoded(second, "OGG", "VORBIS"))
    parts = [heard(put(content, "a"))[0] for content in (streams[name], second, streams[name])]
    whole, _ = heard(put(streams[name] + second + streams[name], "b"))
    np.testing.assert_allclose(whole, np.concatenate(parts), atol=1e-6)


def test_a_chain_of_two_rates_is_refused(put, streams):
    refused(put(streams["vorbis.ogg"] + streams["opus.ogg"]), r"sample rate changes at 1\.00 s")


# -- lengths ---------------------------------------------------------------------------------------------------------

def with_riff_length(content, length):
    return content[:4] + struct.pack("<I", length) + content[8:]


@pytest.mark.parametrize("length", [0, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x7FFFF000, 0xFFFFFFFF - 36, 2_000_000_000,
                                    1_000_000_000, 0x7FFFFFFF - 44])
@pytest.mark.parametrize("outer", ["right", "too", "none"])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT", "ALAW"])
def test_a_length_that_was_never_filled_in(put, length, outer, subtype):
    content = encoded(tone(), subtype=subtype)
    expected, _ = sf.read(put(content), dtype="float32")
    torn = with_data_length(content, length)
    if outer != "right":
        torn = with_riff_length(torn, length + 36 & 0xFFFFFFFF if outer == "too" else 0)
    samples, notes = heard(put(torn))
    np.testing.assert_array_equal(samples, expected)
    assert notes == [UNFILLED]


def aiff(content, frames=None, ssnd=None, form=None):
    """An AIFF file with other numbers in its header."""
    for name, offset, value in ((b"COMM", 10, frames), (b"SSND", 4, ssnd), (b"FORM", 4, form)):
        if value is not None:
            at = content.index(name) + offset
            content = content[:at] + struct.pack(">I", value) + content[at + 4:]
    return content


@pytest.mark.parametrize("numbers", [(0, 0, 0), (0x7F000000, 0x7F000008, 0x7F000030), (0, 0, None),
                                     (0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF), (None, 0x7FFFFFFF, 0x7FFFFFFF)])
def test_an_aiff_that_was_never_finished(put, numbers):
    samples, notes = heard(put(aiff(encoded(tone(), "AIFF"), *numbers)))
    np.testing.assert_allclose(samples, tone(), atol=2**-15)
    assert notes == [UNFILLED]


@pytest.mark.parametrize("magic", [b"RF64", b"BW64"])
@pytest.mark.parametrize("inner", [(0, 0, 0), (100, 0, 8000), (2**64 - 1, 2**64 - 1, 0)])
def test_rf64_whose_lengths_are_empty(put, magic, inner):
    body = b"".join((magic, b"\xff" * 4, b"WAVE", b"ds64", struct.pack("<IQQQI", 28, *inner, 0), fmt_chunk(),
                     b"data", b"\xff" * 4, (tone() * 32767).astype("<i2").tobytes()))
    samples, notes = heard(put(body))
    np.testing.assert_allclose(samples, tone(), atol=2**-14)
    assert notes == [UNFILLED]


@pytest.mark.parametrize(("container", "name"), [("W64", b"data"), ("CAF", b"data")])
def test_w64_and_caf_without_a_length(put, container, name):
    content = encoded(tone(), container)
    at = content.index(name) + (16 if container == "W64" else 4)
    samples, notes = heard(put(content[:at] + b"\xff" * 8 + content[at + 8:]))
    np.testing.assert_allclose(samples, tone(), atol=2**-15)
    assert notes == [UNFILLED]


@pytest.mark.parametrize("tags", [ID3, ID3 * 3, ID3_WITH_FOOTER, ID3 + ID3_WITH_FOOTER + ID3])
@pytest.mark.parametrize(("container", "subtype"), [("WAV", "PCM_16"), ("WAV", "IMA_ADPCM"), ("AIFF", "PCM_16"),
                                                    ("RF64", "PCM_24"), ("CAF", "PCM_16"), ("FLAC", "PCM_16")])
def test_sounds_behind_tags(put, tags, container, subtype):
    content = encoded(tone(), container, subtype)
    whole, _ = heard(put(content, "a"))
    samples, notes = heard(put(tags + content, "b"))
    np.testing.assert_allclose(samples[:len(whole)], whole, atol=0.001)
    assert len(samples) == len(whole)
    assert notes == []


@pytest.mark.parametrize("odd", [3, 27, 1001])
def test_a_chunk_of_odd_length_without_a_pad_byte(put, odd):
    unpadded = b"note" + struct.pack("<I", odd) + b"x" * odd
    data = chunk(b"data", (tone() * 32767).astype("<i2").tobytes())
    for chunks in ([unpadded, fmt_chunk(), data], [fmt_chunk(), unpadded, data]):
        samples, notes = heard(put(wav(chunks)))
        np.testing.assert_allclose(samples, tone(), atol=2**-14)
        assert notes == ["a chunk of odd length without a pad byte"]


@pytest.mark.parametrize("damaged", [
    lambda content: content[:4000] + content[4400:],  # part of the sound is missing, and what follows moved up
    lambda content: content[:4000] + bytes(400) + content[4000:],
    lambda content: with_data_length(content, 20_000), lambda content: with_riff_length(content, len(content) + 400)])
def test_what_follows_the_sound_must_be_chunks(put, damaged):
    data = (tone() * 32767).astype("<i2").tobytes()
    whole = wav([fmt_chunk(), chunk(b"data", data), chunk(b"LIST", b"INFO" + chunk(b"ISFT", b"a recorder")),
                 chunk(b"id3 ", ID3 * 10)])
    np.testing.assert_allclose(heard(put(whole))[0], tone(), atol=2**-14)
    refused(put(damaged(whole)), "^(damaged|truncated)")


def test_aiff_whose_numbers_contradict_each_other(put):
    refused(put(aiff(encoded(tone(), "AIFF"), frames=111)), "^damaged: its header contradicts itself: 111 samples")


# -- containers wider than their bits --------------------------------------------------------------------------------

def packed(values, width):
    """Integers as little-endian bytes."""
    return (np.asarray(values, np.int64)[:, None] >> 8 * np.arange(width) & 0xFF).astype(np.uint8).tobytes()


def plain(bits, width, values, wrong=()):
    fields = {"code": 1, "channels": 1, "rate": RATE, "second": RATE * width, "block": width, "bits": bits,
              **dict(wrong)}
    return wav([chunk(b"fmt ", struct.pack("<HHIIHH", *fields.values())), chunk(b"data", packed(values, width))])


@pytest.mark.parametrize(("bits", "width"), [(16, 3), (16, 4), (20, 3), (20, 4), (24, 4), (12, 2), (8, 2), (18, 3)])
@pytest.mark.parametrize("justified", ["left", "right"])
def test_samples_in_wider_containers(put, bits, width, justified):
    values = np.rint(tone() * 2.0 ** (bits - 1)).astype(np.int64)
    content = plain(bits, width, values << (8 * width - bits) if justified == "left" else values)
    np.testing.assert_allclose(heard(put(content))[0], values / 2.0 ** (bits - 1), atol=1e-6)


def test_headers_that_contradict_themselves(put):
    values = np.rint(tone() * 2.0**23).astype(np.int64)
    refused(put(plain(16, 3, values)), "contradicts itself")  # all bits are in use
    for wrong in ({"channels": 3}, {"rate": RATE + 7}, {"bits": 12}, {"block": 4, "second": RATE * 4}):
        refused(put(plain(24, 3, values, wrong)), "^(damaged|of an unknown)")
    for harmless in ({"second": 0}, {"block": 0}, {"block": 5}, {"second": RATE}):
        np.testing.assert_allclose(heard(put(plain(24, 3, values, harmless)))[0], tone(), atol=1e-6)
    hiss = np.random.default_rng(0).integers(-2**23, 2**23, RATE)
    refused(put(plain(24, 3, hiss, {"second": RATE})), "its samples are noise")
    assert len(heard(put(plain(24, 3, hiss)))[0]) == RATE  # white noise is a sound


@pytest.mark.parametrize(("kind", "bits", "order"), [(b"42ni", 24, -1), (b"23ni", 32, -1), (b"in24", 24, 1),
                                                     (b"in32", 32, 1), (b"twos", 16, 1), (b"raw ", 16, 1)])
def test_encodings_of_aifc(put, kind, bits, order):
    values = packed(np.rint(tone() * 2.0 ** (bits - 1)), bits // 8)
    little = np.frombuffer(values, np.uint8).reshape(-1, bits // 8)
    data = (little if order < 0 else little[:, ::-1]).tobytes()
    common = struct.pack(">hIhHQ", 1, len(tone()), bits, 16383 + 15, RATE << 48) + kind + b"\0\0"
    body = b"AIFC" + b"".join(name + struct.pack(">I", len(content)) + content for name, content in (
        (b"COMM", common), (b"SSND", bytes(8) + data)))
    path = put(b"FORM" + struct.pack(">I", len(body)) + body)
    if kind == b"raw ":
        refused(path, "^of an unknown encoding: 'raw' samples of 16 bits")
    else:
        np.testing.assert_allclose(heard(path)[0], tone(), atol=2**-15)
