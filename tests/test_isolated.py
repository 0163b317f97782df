"""Sounds decoded in processes of their own: the same samples as without, in bounded memory, whatever happens there."""

from __future__ import annotations

import contextlib
import os
import signal
import struct
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from encoded_sounds import RATE, chunk, encoded, fmt_chunk, noise, strongest_hz, tone, wav

from melgan_tf.audio import isolated, mixing
from melgan_tf.audio import read as audio
from melgan_tf.audio.find import Skipped, SoundFile
from melgan_tf.errors import DecodeError, MelGANError


def processes() -> list[int]:
    """The decoder processes of this one."""
    found = []
    for children in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):  # a thread or process that ends at this moment
            found += [int(child) for child in children.read_text().split()
                      if b"decoder_process" in Path(f"/proc/{child}/cmdline").read_bytes()]
    return found


def sound_of(path: Path) -> SoundFile:
    return SoundFile(path, path.name, "")


def clips(paths, *arguments, **options):
    return [clip for _, clip in isolated.decode_folder([sound_of(path) for path in paths], *arguments, **options)]


@contextlib.contextmanager
def streaming(path, rate=RATE, limit=1 << 40, remedy=""):
    with contextlib.closing(isolated.stream_sounds([path], rate, limit, remedy)) as streams:
        yield next(streams)


def streamed(path, rate=RATE):
    with streaming(path, rate) as blocks:
        return np.concatenate(list(blocks))


def test_clips_are_in_order(put, tmp_path):
    for number in range(130):  # enough for two processes; long and short alternate
        put(encoded(tone(2.0 if number % 3 == 0 else 0.1, hz=200 + 20 * (number % 70)), "FLAC"), f"{number:03}.flac")
    put(encoded(np.zeros(1000, np.float32)), "010_silent.wav")
    put(b"text", "020_text.wav")
    sounds, _ = audio.find(tmp_path)
    results = list(isolated.decode_folder(sounds, 16_000, 4000))
    assert [sound for sound, _ in results] == sounds
    assert [result for _, result in results if isinstance(result, Skipped)] == [
        Skipped("010_silent.wav", "silent"), Skipped("020_text.wav", "text, not audio")]
    for sound, clip in results:
        if isinstance(clip, np.ndarray):
            number = int(sound.name[:3])
            assert (clip.dtype, clip.shape) == (np.float32, (4000,))
            assert strongest_hz(clip[:1600], 16_000) == pytest.approx(200 + 20 * (number % 70), abs=11)
            assert (clip[1600:] == 0).all() == (number % 3 != 0)
    assert list(isolated.decode_folder([], 16_000, 100)) == []


@pytest.mark.parametrize("rate", [RATE, 16_000, 44_100])
def test_samples_are_those_of_the_reader(put, rate):
    sounds = [put(encoded(noise(count)), f"{count}.wav") for count in (1, 300, 70_000, 2_500_000)]
    sounds.append(put(encoded(np.stack([noise(50_000), tone(50_000 / RATE)], 1), "FLAC"), "a.flac"))
    for path, whole in zip(sounds, clips(sounds, rate, None), strict=True):
        expected = audio.load(path, rate)
        np.testing.assert_array_equal(whole, expected)
        np.testing.assert_array_equal(streamed(path, rate), expected)
        whole[0] = 0  # it may be written to


def test_the_first_samples_of_whole_sounds(put):
    """What comes after them counts: for silence, and for damage."""
    late = put(encoded(np.r_[np.zeros(9_000), np.ones(9_000)].astype(np.float32)), "late.wav")
    torn = put(encoded(noise(200_000), "FLAC")[:-300], "torn.flac")
    found = clips([late, torn, put(encoded(noise(5)), "short.wav")], RATE, None, kept_samples=100)
    np.testing.assert_array_equal(found[0], np.zeros(100))
    assert found[1].reason.startswith("damaged or truncated")
    assert len(found[2]) == 5


def test_a_sound_that_is_too_long_to_be_used_whole(put, monkeypatch):
    monkeypatch.setattr(isolated, "MAX_WHOLE_SAMPLES", 80_000)
    found = clips([put(encoded(noise(80_001)), "a.wav"), put(encoded(noise(80_000)), "b.wav")], RATE, None)
    assert found[0] == Skipped("a.wav", f"longer than 80000 samples (0.0 hours at {RATE} Hz): cut it into parts, or "
                                        "`melgan-tf prepare` the folder with --long consecutive")
    assert len(found[1]) == 80_000
    with (streaming(put(encoded(noise(10)), "a.wav"), limit=9, remedy=": no") as blocks,
          pytest.raises(DecodeError, match=r"a.wav: longer than 9 samples .* Hz\): no$")):
        list(blocks)


def test_a_length_that_is_declared_is_known_at_once(tmp_path):
    """Twenty hours, of which nothing but the first minute is there."""
    with soundfile.SoundFile(tmp_path / "a.flac", "w", 48_000, 1, "PCM_16") as file:
        file.write((noise(48_000 * 2) * 32767).astype("int16"))
    content = bytearray((tmp_path / "a.flac").read_bytes())
    content[21:26] = (content[21] & 0xF0 | 3_456_000_000 >> 32).to_bytes() + (3_456_000_000 % 2**32).to_bytes(4)
    (tmp_path / "a.flac").write_bytes(content)
    with (streaming(tmp_path / "a.flac", 22_050, 1_000_000_000, ": cut it") as blocks,
          pytest.raises(DecodeError, match=r"longer than 1000000000 samples \(12.6 hours at 22050 Hz\): cut it")):
        next(blocks)


def test_what_is_odd_is_told(put):
    antiphase = put(encoded(np.outer(noise(5_000), [1, -1]), "FLAC"))
    told = []
    for blocks in isolated.stream_sounds([antiphase, None], RATE, 1 << 40, "", lambda *note: told.append(note)):
        list(blocks)
    assert told == [(antiphase, mixing.CANCELED)]


def test_a_stream_that_is_closed_is_not_an_empty_sound(put):
    with streaming(put(encoded(noise(10)))) as blocks:
        pass
    with pytest.raises(RuntimeError, match="closed"):
        list(blocks)


def test_streams_of_several_files(put):
    """One is damaged, one is not listened to, one is no file."""
    names = [put(encoded(noise(90_000 + number)), f"{number}.wav") for number in range(4)]
    torn = put(encoded(noise(200_000), "FLAC")[:-300], "torn.flac")
    lengths = []
    for number, blocks in enumerate(isolated.stream_sounds([names[0], torn, None, *names[1:]], RATE, 1 << 40, "")):
        if number == 3:
            continue
        try:
            lengths.append(sum(map(len, blocks)))
        except DecodeError as error:
            lengths.append(error.reason[:9])
    assert lengths == [90_000, "damaged o", 0, 90_002, 90_003]


def test_a_process_that_dies_meanwhile_changes_no_sample(put):
    path = put(encoded(noise(3_000_000)))
    with streaming(path) as blocks:
        found = [next(blocks)]
        for process in processes():
            os.kill(process, signal.SIGKILL)
        found += blocks
    np.testing.assert_array_equal(np.concatenate(found), audio.load(path, RATE))


def test_processes_are_kept_and_know_no_tensorflow(put):
    path = put(encoded(noise(5_000)))
    streamed(path)
    first = processes()
    assert clips([path], RATE, 100)[0].shape == (100,)
    assert isolated.read_comment(path) == ""
    assert list(isolated.measure([sound_of(path)], 1.0)) == [(RATE, 5_000)]
    assert processes() == first
    assert not any("tensorflow" in Path(f"/proc/{process}/maps").read_text() for process in first)


def test_names_are_those_of_the_current_folder(put, tmp_path, monkeypatch):
    for name in ("a/a.wav", "b/a.wav"):
        put(encoded(noise(ord(name[0]) * 100)), name)
    for folder in ("a", "b"):
        monkeypatch.chdir(tmp_path / folder)
        assert len(streamed(Path("a.wav"))) == ord(folder) * 100
        assert len(clips([Path("../") / folder / "a.wav"], RATE, None)[0]) == ord(folder) * 100


def test_names_of_any_bytes_and_length(tmp_path):
    """Paths of 3,900 bytes that are not UTF-8 and contain line breaks."""
    folder = tmp_path
    while len(os.fsencode(folder)) < 3_600:
        folder /= "\u97f3" * 80
        folder.mkdir()
    paths = [folder / (os.fsdecode(b"\xff\n\xe9") * 60 + f"{number}.wav") for number in range(12)]
    for number, path in enumerate(paths):
        path.write_bytes(encoded(noise(100 + number)))
    assert [len(clip) for clip in clips(paths, RATE, None)] == list(range(100, 112))


def test_closed_standard_streams(put):
    path = put(encoded(noise(500)))
    program = ("import os, sys\nfor stream in (0, 1, 2): os.close(stream)\nfrom melgan_tf.audio import isolated\n"
               "sys.exit(len(isolated.read_comment(sys.argv[1])))")
    assert subprocess.run([sys.executable, "-c", program, path], check=False).returncode == 0


def test_two_uses_at_a_time(put):
    paths = [put(encoded(noise(300_000 + number)), f"{number}.wav") for number in range(2)]
    with streaming(paths[0]) as one, streaming(paths[1]) as other:
        found = len(next(one)), len(next(other))
        assert [found[0] + sum(map(len, one)), found[1] + sum(map(len, other))] == [300_000, 300_001]
    found = []
    threads = [threading.Thread(target=lambda: found.append(len(streamed(paths[0])))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [300_000] * 3
    assert len(streamed(paths[1])) == 300_001  # the processes have ended with those threads


def test_a_forked_process_has_its_own(put):
    path = put(encoded(noise(200_000)))
    with streaming(path) as blocks:
        first = next(blocks)
        streamed(path)
        child = os.fork()
        if not child:
            code = 1
            with contextlib.suppress(BaseException):
                code = 0 if len(streamed(path)) == 200_000 else 2
            os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert len(first) + sum(map(len, blocks)) == 200_000


def test_length_and_rate(put):
    """Of the part before any damage."""
    torn = put(encoded(noise(1_500_000), "FLAC")[:-300], "torn.flac")
    short, text = put(encoded(noise(7_000), rate=8_000), "short.wav"), put(b"text", "text.wav")
    first, second, third = isolated.measure([sound_of(path) for path in (torn, short, text)], 100.0)
    assert (second, third) == ((8_000, 7_000), None)
    rate, count = first
    assert rate == RATE
    assert 1_000_000 < count < 1_500_000
    (_, count), = isolated.measure([sound_of(torn)], 0.5)
    assert RATE / 2 <= count < 100_000


def test_comments(put):
    assert isolated.read_comment(put(wav([fmt_chunk(), chunk(b"LIST", b"INFO" + chunk(b"ICMT", b"by hand\0")),
                                          chunk(b"data", bytes(100))]))) == "by hand"
    with pytest.raises(DecodeError, match=r"none.wav: cannot be read"):
        isolated.read_comment(Path("none.wav"))
    with pytest.raises(MelGANError, match="not audio"):
        isolated.read_comment(put(b"text" * 99))


# -- files that blow up ----------------------------------------------------------------------------------------------

def peak_of_processes() -> int:
    """MB: the most memory that one of the decoder processes has taken."""
    status = [Path(f"/proc/{process}/status").read_text() for process in processes()]
    return max(int(text.partition("VmHWM:")[2].split()[0]) for text in status) // 1024


def fresh() -> None:
    for process in processes():
        os.kill(process, signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.parametrize("to", [1_000, 384_000, 1_536_000])
@pytest.mark.parametrize("rate", [1_000, 1_536_000])
def test_extreme_rates(put, rate, to):
    """Resampling to 384 times as many samples is done bit by bit, with the same result."""
    fresh()
    samples = noise(12_000)  # at most 18 million afterwards
    path = put(encoded(samples, rate=rate))
    found = streamed(path, to)
    assert peak_of_processes() < 200
    assert len(found) == max(1, round(len(samples) * to / rate))
    whole = audio.load(path, rate)
    np.testing.assert_allclose(found, whole if to == rate else soxr.resample(whole, rate, to, quality="HQ"), atol=1e-6)


@pytest.mark.parametrize(("channels", "frames"), [(255, 9_000), (1_024, 2_000), (65_535, 40)])
def test_many_channels(put, channels, frames):
    """Read, or refused for a reason: within the memory of a process."""
    fresh()
    data = np.outer(noise(frames), np.linspace(0.5, 1.5, channels, dtype=np.float32)).ravel()
    head = struct.pack("<HHIIHH", 1, channels, RATE, RATE * channels * 2 % 2**32, channels * 2 % 2**16, 16)
    path = put(wav([chunk(b"fmt ", head), chunk(b"data", (data * 32767).astype("<i2").tobytes())]))
    clip, = clips([path], RATE, None)
    if channels < 65_535:
        np.testing.assert_allclose(clip, data.reshape(frames, channels).mean(axis=1), atol=1e-4)
    else:
        assert isinstance(clip, Skipped)
        assert "unexpected" not in clip.reason
    assert peak_of_processes() < 300


def test_quiet_channels_are_not_held_for_long(put):
    """How to mix them is undecided while they are quiet: five seconds of 512 channels are half a gigabyte."""
    fresh()
    head, size = struct.pack("<HHIIHH", 1, 512, 48_000, 48_000 * 1024, 1024, 16), 5 * 48_000 * 1024
    path = put(wav([chunk(b"fmt ", head), b"data" + struct.pack("<I", size)], riff=size + 36))
    os.truncate(path, size + 44)  # zeros that take no room
    assert len(streamed(path, 48_000)) == 5 * 48_000
    assert peak_of_processes() < 300


@pytest.mark.slow
def test_hours_of_silence_take_no_memory(tmp_path):
    """A few kilobytes of FLAC for each minute; they are decoded, not kept."""
    fresh()
    with soundfile.SoundFile(tmp_path / "a.flac", "w", 48_000, 2, "PCM_16") as file:
        for _ in range(10):
            file.write(np.zeros((48_000 * 60, 2), "int16"))
    clip, = clips([tmp_path / "a.flac"], 22_050, None, kept_samples=44_100)
    assert clip == Skipped("a.flac", "silent")
    with streaming(tmp_path / "a.flac", 22_050) as blocks:
        assert sum(map(len, blocks)) == 600 * 22_050
    assert peak_of_processes() < 150
