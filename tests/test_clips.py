"""One sound to clips: onset, padding, fades, windows, stored samples."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import soundfile as sf

from melgan_tf.audio import read
from melgan_tf.audio.decode import About
from melgan_tf.data import clips
from melgan_tf.data.clips import ClipSettings
from melgan_tf.errors import DecodeError, UsageError

RATE = 16_000


def noise(samples, seed=0, level=0.2):
    return (level * np.random.default_rng(seed).standard_normal(samples)).astype(np.float32).clip(-1, 1)


@pytest.fixture
def put(tmp_path):
    def write(samples, rate=RATE, subtype="FLOAT"):
        path = tmp_path / "x.wav"
        sf.write(path, samples, rate, subtype=subtype)
        return path
    return write


def made(path, name="x", **settings):
    """All clips of a sound as float32, None where silent."""
    settings = ClipSettings(**{"format": "float32", "clip_samples": 1000, "fade_seconds": 0, **settings})
    return [clip and clip.samples for clip in clips.clips(path, name, settings)]


def test_the_beginning_without_onset_is_what_training_on_the_folder_hears(put):
    for rate in (RATE, 44_100):
        path = put(np.r_[np.zeros(300), noise(20_000)], rate)
        clip, = made(path, onset=False)
        assert (clip == read.load(path, RATE, 1000)).all()
    path = put(noise(400))
    clip, = made(path, onset=False)
    assert (clip[:400] == read.load(path, RATE)).all()
    assert (clip[400:] == 0).all()


def test_a_sound_begins_at_its_onset(put):
    sound = noise(5000)
    hiss = 1e-3 * noise(3000, 1)  # more than 40 dB below the peak
    clip, = made(put(np.r_[np.zeros(30_000), hiss, sound]))
    start = np.flatnonzero(np.abs(sound) >= 0.01 * np.abs(sound).max())[0]
    assert (clip == sound[start:start + 1000]).all()


def test_onset_of_a_sound_after_much_silence_and_of_a_long_one(put):
    """The peak is that of the first ten seconds; silence is passed over without being kept."""
    click = np.r_[np.zeros(100), 1, np.zeros(899)]
    samples = np.r_[np.zeros(44_100 * 30), 0.02 * noise(44_100 * 25, 2) / 0.2, np.repeat(click, 1)]
    clip, = made(put(samples, 44_100), sample_rate=44_100)
    assert np.abs(clip[0]) >= 0.01 * 0.02  # not put off until the click


def test_onset_and_resampling(put):
    wave = np.sin(2 * np.pi * 440 * np.arange(44_100) / 44_100) * 0.5
    clip, = made(put(np.r_[np.zeros(4410), wave], 44_100), clip_samples=8000)
    expected = np.sin(2 * np.pi * 440 * (np.arange(8000) / RATE + 1 / 44_100)) * 0.5  # sample 0 is below the threshold
    np.testing.assert_allclose(clip[200:-200], expected[200:-200], atol=2e-3)


@pytest.mark.parametrize("rate", [1_000, 8_000, 22_050, 44_100, 192_000, 768_000])
def test_the_end_of_a_clip_hears_what_follows(put, rate):
    """Decoding ends a little after the clip does, but not so early that the resampler would notice."""
    sound = np.r_[1.0, noise(rate, 1)]
    clip, = made(put(sound, rate))
    np.testing.assert_allclose(clip, read.resample(sound.astype(np.float32), rate, RATE)[:1000], atol=1e-6)


def test_only_what_is_cut_is_faded(put):
    fade = {"fade_seconds": 0.01, "onset": False}
    clip, = made(put(np.ones(1001)), **fade)
    assert (clip[:840] == 1).all()
    assert clip[-1] == 0
    assert (np.diff(clip[840:]) < 0).all()
    clip, = made(put(np.ones(1000)), **fade)
    assert (clip == 1).all()
    clip, = made(put(np.ones(5000)), onset=True, fade_seconds=0.01)
    assert (clip[839], clip[-1]) == (1, 0)


def test_integers_are_stored_unchanged_and_loud_samples_clipped(put):
    whole = np.arange(-32768, 32768, 66, dtype=np.int16)[:990]
    path = put(whole, subtype="PCM_16")
    clip, = clips.clips(path, "x", ClipSettings(clip_samples=990, onset=False, fade_seconds=0))
    assert clip.samples.dtype == np.dtype("<i2")
    assert (clip.samples == whole).all()
    assert clip.clipped == 0
    assert clip.digest == hashlib.sha256(whole.astype("<i2").tobytes()).digest()
    assert (clips.float_samples(clip.samples.tobytes(), "int16", len(clip.samples)) == read.load(path, RATE)).all()
    clip, = clips.clips(put(np.r_[1.5, -1.5, 1.0, 0.5]), "x", ClipSettings(clip_samples=64, onset=False))
    assert clip.samples[:4].tolist() == [32767, -32768, 32767, 16384]
    assert clip.clipped == 2
    clip, = clips.clips(put(np.r_[1.5, -1.5]), "x", ClipSettings(clip_samples=64, onset=False, format="float32"))
    assert (clip.samples[:2].tolist(), clip.clipped) == ([1.5, -1.5], 0)


@pytest.mark.parametrize("long", ["beginning", "consecutive", "random"])
@pytest.mark.parametrize("onset", [True, False])
def test_silence_and_nothing(put, long, onset):
    assert made(put(np.full(1000, 5e-5)), long=long, onset=onset) == [None]
    with pytest.raises(DecodeError, match="no samples"):
        made(put(np.zeros(0)), long=long, onset=onset)


@pytest.mark.parametrize(("samples", "count"), [(1, 1), (999, 1), (1000, 1), (1499, 1), (1500, 2), (10_000, 10),
                                                (10_400, 10), (10_600, 11)])
def test_consecutive_clips(put, samples, count):
    sound = noise(samples, level=0.9)
    found = made(put(sound), long="consecutive", onset=False)
    assert len(found) == count
    padded = np.pad(sound, (0, 1000))
    for index, clip in enumerate(found):
        expected = padded[1000 * index:1000 * (index + 1)]
        assert (clip == expected).all()


def test_consecutive_clips_skip_silence(put):
    found = made(put(np.r_[noise(1000), np.zeros(1000), noise(1000, 1)]), long="consecutive", onset=False)
    assert [clip is None for clip in found] == [False, True, False]


@pytest.mark.parametrize("samples", [500, 1000, 1600, 25_300, 25_700])
def test_random_clips_are_pieces_of_the_sound_spread_over_it(put, samples):
    sound = np.arange(1, samples + 1, dtype=np.float32) / samples
    path = put(sound)
    settings = ClipSettings(clip_samples=1000, long="random", format="float32", onset=False)
    found = list(clips.clips(path, "x", settings))
    assert len(found) == max(1, int(samples / 1000 + 0.5))
    for index, clip in enumerate(found):
        piece = sound[clip.start:clip.start + 1000]
        assert (clip.samples == np.pad(piece, (0, 1000 - len(piece)))).all()
        if samples > 1000:
            assert len(piece) == 1000
            assert min(index * 1000, samples - 1000) <= clip.start <= (index + 1) * 1000
    again = [clip.start for clip in clips.clips(path, "x", settings)]
    assert again == [clip.start for clip in found]
    if samples > 10_000:
        for other in (clips.clips(path, "y", settings),
                      clips.clips(path, "x", ClipSettings(clip_samples=1000, long="random", onset=False, seed=1))):
            assert [clip.start for clip in other] != again


def test_windows_do_not_depend_on_blocks():
    stream = noise(10_300)
    for size, seed in ((700, None), (700, 5), (4000, 5), (20_000, 5)):
        def windows(edges, size=size, seed=seed):
            rng = None if seed is None else np.random.default_rng(seed)
            found = clips.split_windows(np.split(stream, edges), size, rng)
            return [(start, window.tolist()) for start, window in found]
        assert windows([]) == windows([1, 2, 3, 5000]) == windows(range(100, 10_300, 100))


def test_clips_of_a_long_sound_take_little_memory(tmp_path):
    import tracemalloc

    path = tmp_path / "long.wav"
    with sf.SoundFile(path, "w", 44_100, 2, subtype="PCM_16") as file:
        for seed in range(40):
            file.write(np.repeat(noise(2 * 44_100, seed)[:, None], 2, axis=1))
    tracemalloc.start()
    count = sum(1 for _ in clips.clips(path, "x", ClipSettings(long="random")))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 160
    assert peak < 40e6  # all of it would be 14 MB at 16 kHz, 28 MB a channel as it comes; a block is 4 MB a step


@pytest.mark.parametrize(("field", "value", "message"), [
    ("sample_rate", 10, "rate 10: give 1000"), ("clip_samples", 5, "5 samples a clip: give 64"),
    ("fade_seconds", -1, "a fade of -1 seconds"), ("long", "middle", "long 'middle': give one of beginning"),
    ("format", "int8", "format 'int8': give int16 or float32"), ("seed", -1, "seed -1: give 0")])
def test_senseless_settings_are_refused(field, value, message):
    with pytest.raises(UsageError, match=message):
        ClipSettings(**{field: value})


@pytest.mark.parametrize("peak", [-20, -40, -60, -70, -78])
@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE", "PCM_24", "PCM_32", "PCM_16"])
@pytest.mark.parametrize("rate", [RATE, 44_100])
def test_quiet_sounds_keep_60_db(put, peak, subtype, rate):
    path = put(10 ** (peak / 20) * np.sin(0.1 * np.arange(rate // 2)), rate, subtype)
    about = About()
    clip, = clips.clips(path, "a", clips.ClipSettings(RATE, RATE // 2, onset=False), about)
    stored = clips.float_samples(clip.samples.tobytes(), "int16", len(clip.samples))
    expected = read.load(path, RATE)[:RATE // 2]
    error = stored[:len(expected)] - expected
    if subtype == "PCM_16":
        assert clip.samples.dtype == np.int16  # more bits would not make it better
    else:
        assert np.sum(error**2) <= 1e-6 * np.sum(expected**2)
        assert (clip.samples.dtype == np.float32) == (peak <= -40)
    assert about.notes == ([clips.QUIET] if clip.samples.dtype == np.float32 else [])


def test_stored_samples_of_another_number_are_refused():
    for content, form in ((b"1" * 7, "int16"), (b"1" * 8, "float32"), (b"", "int16")):
        with pytest.raises(ValueError, match=f"a clip of {len(content)} bytes"):
            clips.float_samples(content, form, 4)
