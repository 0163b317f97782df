"""Tempo, bars and key of loops: from tags, names and sound."""

import dataclasses
import io
import json
import struct

import av
import numpy as np
import pytest
import soundfile as sf
from command_line import invoke
from loop_sounds import NAMES, RATE, STYLES, drums, labelled, notes

from melgan_tf.audio.find import Skipped, find
from melgan_tf.audio.loops.estimate import estimate_key
from melgan_tf.audio.loops.keys import Key
from melgan_tf.audio.loops.loop import find_loop, loop_samples, read_loop
from melgan_tf.audio.loops.names import key_of_name, tempo_of_name
from melgan_tf.audio.loops.reading import read_loops
from melgan_tf.audio.loops.tags import Tags, read_tags
from melgan_tf.data.shards import Prepared
from melgan_tf.errors import DecodeError


def chunk(name: bytes, body: bytes, order: str = "<") -> bytes:
    return name + struct.pack(f"{order}I", len(body)) + body + b"\0" * (len(body) % 2)


def with_chunk(samples, name: bytes, body: bytes, form: str = "WAV") -> bytes:
    """A sound file with one more chunk behind its sound."""
    file = io.BytesIO()
    sf.write(file, samples, RATE, format=form, subtype="PCM_16")
    order = "<" if form == "WAV" else ">"
    content = bytearray(file.getvalue() + chunk(name, body, order))
    content[4:8] = struct.pack(f"{order}I", len(content) - 8)
    return bytes(content)


ACID = struct.pack("<IHHfIHHf", 2, 57, 0x8000, 0, 8, 4, 4, 97.0)  # root A3; two bars at 97
BASC = struct.pack(">IIHHHHH66x", 1, 8, 57, 1, 4, 4, 0)
IXML = b"<BWFXML><ASWG><tempo>97</tempo><inKey>A min</inKey></ASWG></BWFXML>"
STEINBERG = (b"<BWFXML><STEINBERG><ATTR_LIST><ATTR><TYPE>float</TYPE><NAME>MediaTempo</NAME><VALUE>97.0</VALUE></ATTR>"
             b"</ATTR_LIST></STEINBERG></BWFXML>")


@pytest.mark.parametrize(("form", "name", "body", "bpm", "bars", "key"), [
    ("WAV", b"acid", ACID, "acid", "acid", "acid"), ("AIFF", b"basc", BASC, "apple", "apple", "apple"),
    ("WAV", b"iXML", IXML, "ixml", "length", "ixml"), ("WAV", b"iXML", STEINBERG, "ixml", "length", "estimated")])
def test_chunks_tell_tempo_bars_and_key(tmp_path, form, name, body, bpm, bars, key):
    samples = notes("Am", 97, 2)
    (file := tmp_path / "x").write_bytes(with_chunk(samples, name, body, form))
    loop = read_loop(file, "134bpm_C.wav" if key != "estimated" else "x.wav", samples, RATE)
    assert loop.sources == {"bpm": bpm, "bars": bars, "key": key}
    assert loop.bpm == pytest.approx(97, rel=1e-4)
    assert loop.bars == 2
    assert str(loop.key) == "Am"
    assert (loop.start, loop.end, loop.note) == (0, len(samples), "")


@pytest.mark.parametrize(("codec", "ending", "tags"), [
    ("libmp3lame", "mp3", {"TBPM": "97", "TKEY": "Am"}), ("flac", "flac", {"BPM": "97.00", "KEY": "A minor"}),
    ("flac", "flac", {"bpm": "97", "INITIALKEY": "8A"})])
def test_tags_tell_tempo_and_key(tmp_path, codec, ending, tags):
    samples, file = notes("Am", 97, 2), tmp_path / f"x.{ending}"
    with av.open(str(file), "w") as output:
        output.metadata.update(tags)
        stream = output.add_stream(codec, rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples[None], "fltp", "mono")
        frame.rate = RATE
        resampler = av.AudioResampler(stream.codec_context.format, "mono", RATE,
                                      frame_size=stream.codec_context.frame_size or 1024)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            output.mux(stream.encode(part))
        output.mux(stream.encode(None))
    (sound, (decoded, loop)), = read_loops(find(file)[0], RATE)
    assert loop.sources == {"bpm": "tag", "bars": "length", "key": "tag"}
    assert (loop.bpm, loop.bars, str(loop.key)) == (97, 2, "Am")
    assert len(decoded) == loop.samples


def test_what_other_tags_say(tmp_path):
    samples = drums("house", 120, 2)
    (file := tmp_path / "x.wav").write_bytes(with_chunk(samples, b"acid", struct.pack("<I", 1) + ACID[4:]))
    with pytest.raises(DecodeError, match="marked as a one-shot"):
        read_loop(file, "x.wav", samples, RATE)
    padded = np.concatenate([np.zeros(5000, np.float32), samples, np.zeros(7000, np.float32)])
    points = struct.pack("<9I6I", 0, 0, 45351, 60, 0, 0, 0, 1, 0, 0, 0, 5000, 4999 + len(samples), 0, 0)
    file.write_bytes(with_chunk(padded, b"smpl", points))
    loop = read_loop(file, "x.wav", padded, RATE)
    assert (loop.start, loop.end, loop.bpm, loop.bars) == (5000, 5000 + len(samples), 120, 2)
    # beats and tempo that contradict each other: the tempo counts
    file.write_bytes(with_chunk(samples, b"acid", struct.pack("<IHHfIHHf", 0, 0, 0, 0, 4, 4, 4, 120.0)))
    assert read_loop(file, "x.wav", samples, RATE).sources == {"bpm": "acid", "bars": "length", "key": ""}


@pytest.mark.parametrize("body", [b"", b"acid", ACID[:20], b"\xff" * 24, bytes(24), b"<a", b"<!DOCTYPE a>" * 9])
@pytest.mark.parametrize("name", [b"acid", b"iXML", b"smpl", b"basc"])
def test_damaged_chunks_are_ignored(tmp_path, name, body):
    samples = drums("house", 120, 1)
    (file := tmp_path / "x.wav").write_bytes(with_chunk(samples, name, body))
    tags = dataclasses.replace(read_tags(file), one_shot=False)
    assert find_loop(tags, "x.wav", samples, RATE).bpm == 120


@pytest.mark.parametrize(("name", "tempo", "key"), [
    ("124bpm.wav", 124, None), ("kick_124_.wav", 124, None), ("a/124 BPM/x.wav", 124, None),
    ("BPM90 loop.aif", 90, None),
    ("x_87.5bpm.wav", 87.5, None), ("120_Am.wav", 120, "Am"), ("Bass F#min 98 bpm.wav", 98, "Gbm"),
    ("pad_Cmaj_100.wav", 100, "Cmaj"), ("SC_KL_120_synth_loop_Eb.wav", 120, "Eb"), ("f_150_dist.wav", 150, "F"),
    ("loop 01 (172).wav", 172, None), ("Gm-95-keys.wav", 95, "Gm"), ("808_kick.wav", None, None),
    ("take_3.wav", None, None), ("a big bass.wav", None, None), ("Vitamin C.wav", None, None), ("9bpm.wav", None, None),
    ("ab_12.wav", None, None), ("snare_2024.wav", None, None)])
def test_names(name, tempo, key):
    assert tempo_of_name(name) == tempo
    assert key_of_name(name) == (key and Key.parse(key))


@pytest.mark.slow
def test_tempi_of_labelled_loops():
    """At least 95 % right by a name, whole or not; at least 85 % by sound alone, octave and all."""
    named = heard = 0
    loops = labelled(60)
    for number, (samples, bpm, bars) in enumerate(loops):
        tail = np.zeros(RATE // 2 * (number % 2), np.float32)
        found = find_loop(Tags(), f"x_{bpm}{'bpm' * (number % 3 > 0)}.wav", np.append(samples, tail), RATE)
        named += abs(found.bpm / bpm - 1) < 0.01 and (found.bars, found.samples) == (bars, len(samples))
        heard += abs(find_loop(Tags(), "x.wav", samples, RATE).bpm / bpm - 1) < 0.01
    assert named >= 0.95 * len(loops)
    assert heard >= 0.85 * len(loops)


def test_sounds_that_end_within_a_bar_are_cut():
    samples, exact = np.append(drums("rock", 120, 3), np.zeros(RATE // 3, np.float32)), loop_samples(120, 3, RATE)
    loop = find_loop(Tags(), "x.wav", samples, RATE)
    assert (loop.bpm, loop.bars, loop.samples) == (120, 3, exact)
    assert "cut from 3.17 bars to 3" in loop.note
    with pytest.raises(DecodeError, match="shorter than a bar at 60 BPM"):
        find_loop(Tags(), "60bpm.wav", samples[:RATE], RATE)


def test_keys():
    keys = [note + mode for note in NAMES for mode in ("", "m")]
    assert [str(estimate_key(notes(key, 120, 2), RATE)) for key in keys] == keys
    assert [estimate_key(drums(style, 120, 2), RATE) for style in STYLES] == [None] * len(STYLES)


def test_folders(tmp_path):
    sf.write(tmp_path / "a_97bpm_Am.wav", notes("Am", 97, 2), RATE)
    sf.write(tmp_path / "b.wav", np.zeros(RATE, np.float32), RATE)
    sf.write(tmp_path / "c.wav", drums("house", 120, 1)[:9000], RATE)
    (tmp_path / "d.wav").write_bytes(b"RIFF nothing")
    found = {sound.name: result for sound, result in read_loops(find(tmp_path)[0], 16_000)}
    samples, loop = found["a_97bpm_Am.wav"]
    assert len(samples) == loop.samples == loop_samples(97, 2, 16_000)
    assert loop.bars == 2
    assert [found[name].reason.split(" at")[0] for name in ("b.wav", "c.wav")] == [
        "silent", "0.408 s, shorter than a bar"]
    assert isinstance(found["d.wav"], Skipped)


def test_prepare_reports_tempo_bars_and_key(tmp_path):
    for number, (samples, bpm, _) in enumerate(labelled(4)):
        (tmp_path / "in" / "drums").mkdir(parents=True, exist_ok=True)
        sf.write(tmp_path / "in" / "drums" / (f"{number}_{bpm}bpm.wav" if number else "0.wav"), samples, RATE)
    sf.write(tmp_path / "in" / "short.wav", drums("house", 120, 1)[:9000], RATE)
    ended = invoke("prepare", tmp_path / "in", tmp_path / "out", "--rate", RATE, "--seconds", 8, "--long", "bars")
    assert "bpm told by: name 3, estimated 1" in ended.stdout
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    found = {loop["name"]: (loop["bpm"], loop["bars"], loop["sources"]["bpm"]) for loop in report["loops"]}
    assert list(found.values()) == [(bpm, bars, "name" if number else "estimated")
                                    for number, (_, bpm, bars) in enumerate(labelled(4))]
    assert "shorter than a bar" in report["skipped_files"][0]["reason"]
    clips = [clip for _, clip in Prepared.open(tmp_path / "out").clips()]
    samples = labelled(4)[1][0]
    np.testing.assert_allclose(clips[1], np.resize(samples, 8 * RATE), atol=1e-4)
