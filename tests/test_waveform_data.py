"""From a folder to random clips: which clip a batch holds, how loud it is, and what was left out."""

from __future__ import annotations

import collections
import dataclasses

import numpy as np
import pytest
import soundfile
from drums import write_drums
from told import Told

from melgan_tf.config import presets
from melgan_tf.data import reading
from melgan_tf.data.waveform_dataset import WaveformSet, clip_batches, clip_count, load_waveforms
from melgan_tf.errors import MelGANError, UsageError
from melgan_tf.runtime import memory_bytes
from melgan_tf.storage.run_directory import with_training

RATE, CLIP = 16_000, 1_024
PRESET = presets.get("vocoder-16k")


def settings(batch_size=4, seed=0, **data):
    parts = dataclasses.replace(PRESET.data, **{"clip_samples": CLIP, "gain_db": 0.0, **data})
    return with_training(dataclasses.replace(PRESET, data=parts), batch_size=batch_size, seed=seed)


def numbered(*lengths):
    """Sounds whose every sample says which sound it is (thousands) and where in it (the rest), all above 0."""
    waveforms = [(100_000 * (number + 1) + np.arange(length)).astype("float32")
                 for number, length in enumerate(lengths)]
    return WaveformSet(waveforms, [None] * len(lengths), [], "", CLIP)


def taken(sounds, config, steps, start_step=0):
    """The clips of the first ``steps`` batches, in order."""
    taken = list(clip_batches(sounds, config, start_step).take(steps).as_numpy_iterator())
    for batch in taken:
        assert (batch.shape, batch.dtype) == ((config.training.batch_size, CLIP), np.float32)
    return np.concatenate(taken)


def owners(clips):
    return clips[:, 0].astype(int) // 100_000 - 1


def places(clips):
    return clips[:, 0].astype(int) % 100_000


# -- batches ---------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("samples", "count"), [
    (1, 1), (CLIP, 1), (CLIP + 1, 1), (2 * CLIP - 1, 2), (2 * CLIP, 2), (10 * CLIP + 3, 10)])
def test_a_sound_counts_as_often_as_clips_fit(samples, count):
    assert clip_count(samples, CLIP) == count


@pytest.mark.parametrize("batch_size", [1, 3, 5, 12, 40])
@pytest.mark.parametrize("window", ["beginning", "random"])
def test_every_epoch_holds_every_sound_as_often_as_clips_fit(batch_size, window):
    """12 clips make an epoch; batches that do not divide it run across its border, or hold several epochs."""
    sounds = numbered(100, CLIP, 2 * CLIP, 3 * CLIP + 5, 5 * CLIP)
    assert (sounds.clips, len(sounds)) == (12, 5)
    order = owners(taken(sounds, settings(batch_size, window=window), -(-48 // batch_size)))
    for epoch in range(4):
        assert collections.Counter(order[12 * epoch:12 * epoch + 12]) == {0: 1, 1: 1, 2: 2, 3: 3, 4: 5}


def test_order_is_another_in_every_epoch_and_with_every_seed():
    sounds = numbered(*[CLIP] * 24)
    epochs = [order for seed in (0, 1, 2**31 - 1)
              for order in owners(taken(sounds, settings(8, seed), 9)).reshape(3, 24)]
    assert len({tuple(order) for order in epochs}) == 9
    assert all(abs(np.corrcoef(order, np.arange(24))[0, 1]) < 0.7 for order in epochs)


def test_batches_are_a_function_of_the_seed():
    sounds = numbered(5_000, 3_000, 9_000)
    first, again, other = (taken(sounds, settings(4, seed, gain_db=6.0), 6) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.isin(first, other).all()


@pytest.mark.parametrize("data", [{"window": "random"}, {"gain_db": 6.0}], ids=str)
def test_places_and_gains_are_others_with_every_seed_and_step(data):
    """Of a single sound, whose order is not random."""
    firsts = [taken(numbered(50 * CLIP), settings(4, seed, **{"window": "beginning"} | data), 3)[:, 0]
              for seed in (0, 1)]
    assert len(np.unique(firsts)) == 24


@pytest.mark.parametrize("start", [1, 2, 3, 4, 7, 300])
@pytest.mark.parametrize("batch_size", [3, 20])
def test_starting_later_is_skipping(start, batch_size):
    """Seven clips make an epoch: the starts are within the first and behind it, on its border and off it."""
    sounds, config = numbered(2_000, 300, 4 * CLIP), settings(batch_size, seed=3, gain_db=12.0)
    assert sounds.clips == 7
    whole = taken(sounds, config, start + 5)
    np.testing.assert_array_equal(taken(sounds, config, 5, start), whole[start * batch_size:])


def test_random_windows_stay_inside_the_sound_and_reach_both_ends():
    sounds = numbered(CLIP + 9, CLIP, 2 * CLIP)
    clips = taken(sounds, settings(4, window="random"), 200)
    for clip in clips:
        np.testing.assert_array_equal(np.diff(clip), 1)
    found = [set(places(clips[owners(clips) == number])) for number in range(3)]
    assert found[0] == set(range(10))
    assert found[1] == {0}
    assert max(found[2]) <= CLIP
    assert len(found[2]) > 250  # of the 400 that were drawn


def test_the_beginning_is_always_the_beginning():
    assert set(places(taken(numbered(5 * CLIP, CLIP + 9), settings(4, window="beginning"), 10))) == {0}


@pytest.mark.parametrize("window", ["beginning", "random"])
def test_short_sounds_are_followed_by_zeros(window):
    clips = taken(numbered(100), settings(2, window=window), 2)
    np.testing.assert_array_equal(clips, np.tile(np.r_[100_000 + np.arange(100), np.zeros(CLIP - 100)], (4, 1)))


def test_gains_are_spread_over_their_range():
    sounds = WaveformSet([np.ones(CLIP, np.float32)], [None], [], "", CLIP)
    clips = taken(sounds, settings(50, gain_db=20.0), 20)
    np.testing.assert_array_equal(clips, np.tile(clips[:, :1], (1, CLIP)))
    decibels = 20 * np.log10(clips[:, 0])
    assert decibels.max() <= 0
    assert decibels.min() >= -20
    np.testing.assert_allclose(np.histogram(decibels, 4, (-20, 0))[0], 250, atol=60)
    assert len(np.unique(clips[:, 0])) > 990


def test_without_a_gain_range_samples_stay_what_they_are():
    sounds = WaveformSet([np.linspace(-1, 1, CLIP, dtype="float32")], [None], [], "", CLIP)
    np.testing.assert_array_equal(taken(sounds, settings(1, gain_db=0.0), 1)[0], sounds.waveforms[0])


def test_the_shape_is_known_before_the_first_batch():
    assert clip_batches(numbered(3_000), settings(6)).element_spec.shape == (6, CLIP)


def test_examples_are_the_beginnings_of_sounds_spread_over_the_folder():
    sounds = numbered(*[CLIP + 7] * 9, 100)
    examples = sounds.examples(4)
    assert (examples.shape, examples.dtype) == ((4, CLIP), np.float32)
    np.testing.assert_array_equal(owners(examples), [0, 3, 6, 9])
    assert set(places(examples)) == {0}
    np.testing.assert_array_equal(examples[3], np.r_[1_000_000 + np.arange(100), np.zeros(CLIP - 100)])
    np.testing.assert_array_equal(owners(sounds.examples(50)), range(10))


# -- reading a folder ------------------------------------------------------------------------------------------------

def test_sounds_are_read_at_full_length_in_the_order_of_the_files(sound_folder):
    sounds = load_waveforms(sound_folder, settings())
    files = sorted(sound_folder.rglob("*.wav"), key=lambda path: path.relative_to(sound_folder).as_posix())
    assert [sound.path for sound in sounds.sounds] == files
    assert (len(sounds), sounds.skipped, sounds.clip_samples) == (24, [], CLIP)
    for ours, file in zip(sounds.waveforms, files, strict=True):
        np.testing.assert_array_equal(ours, soundfile.read(file, dtype="float32")[0])
        assert ours.dtype == np.float32
    assert sounds.clips == sum(max(1, round(len(waveform) / CLIP)) for waveform in sounds.waveforms)


def test_sounds_come_at_the_rate_of_the_configuration(tmp_path):
    soundfile.write(tmp_path / "a.wav", 0.5 * np.sin(np.arange(44_100) / 9), 44_100)
    assert len(load_waveforms(tmp_path, settings()).waveforms[0]) == RATE


def test_progress_counts_every_file(sound_folder):
    told = Told()
    load_waveforms(sound_folder, settings(), told)
    assert (told.tasks, told.done) == ([("reading sounds", 24, "files")], 24)


def test_what_cannot_be_used_is_left_out_with_its_reason(tmp_path):
    folder = write_drums(tmp_path / "drums", each=2)
    (folder / "broken.wav").write_bytes(b"RIFF\x10\0\0\0WAVEnothing")
    soundfile.write(folder / "silence.wav", np.zeros(4_000), RATE)
    soundfile.write(folder / "late.wav", np.r_[np.zeros(9_000), np.ones(100)], RATE)
    (folder / "gone.wav").symlink_to(folder / "nowhere.wav")
    sounds = load_waveforms(folder, settings())
    skipped = {item.name: item.reason for item in sounds.skipped}
    assert sorted(skipped) == ["broken.wav", "gone.wav", "silence.wav"]
    assert skipped["silence.wav"] == "silent"
    assert "No such file" in skipped["gone.wav"]
    assert all(reason and "\n" not in reason for reason in skipped.values())
    assert "late.wav" in [sound.name for sound in sounds.sounds]  # random clips reach its end
    (folder / "late.wav").unlink()
    clean = load_waveforms(write_drums(tmp_path / "clean", each=2), settings())
    assert load_waveforms(folder, settings()).fingerprint == clean.fingerprint


def test_fingerprint_changes_with_any_sample_and_where_sounds_end(tmp_path):
    folder = write_drums(tmp_path / "drums", each=2)

    def fingerprint():
        return load_waveforms(folder, settings()).fingerprint

    first = fingerprint()
    assert len(first) == 16
    assert set(first) <= set("0123456789abcdef")
    file = folder / "snare" / "snare1.wav"
    samples, _ = soundfile.read(file, dtype="int16")
    changed = {first}
    for index in (0, len(samples) // 2, -1):
        other = samples.copy()
        other[index] += 1
        soundfile.write(file, other, RATE)
        changed.add(fingerprint())
    soundfile.write(file, samples[:-1], RATE)
    changed.add(fingerprint())
    before, _ = soundfile.read(folder / "snare" / "snare0.wav", dtype="int16")
    soundfile.write(folder / "snare" / "snare0.wav", np.r_[before, samples[:1]], RATE)
    soundfile.write(file, samples[1:], RATE)  # the same samples in a row, cut elsewhere
    changed.add(fingerprint())
    assert len(changed) == 6
    soundfile.write(folder / "snare" / "snare0.wav", before, RATE)
    soundfile.write(file, samples, RATE)
    assert fingerprint() == first
    file.unlink()
    assert fingerprint() not in changed


def test_fingerprint_is_of_the_sounds_not_of_the_clips(sound_folder):
    assert len({load_waveforms(sound_folder, config).fingerprint for config in (
        settings(), settings(seed=1), settings(clip_samples=2 * CLIP, window="beginning"))}) == 1


def test_a_folder_without_sounds_is_an_error(tmp_path):
    (tmp_path / "readme.txt").write_text("hello")
    with pytest.raises(MelGANError) as error:
        load_waveforms(tmp_path, settings())
    assert str(error.value) == f"{tmp_path} contains no sound files (WAV, FLAC, AIFF, OGG, MP3, M4A)"
    with pytest.raises(UsageError, match="folder .*missing does not exist: give a folder"):
        load_waveforms(tmp_path / "missing", settings())


def test_a_folder_of_damaged_or_silent_sounds_is_an_error_that_shows_the_first(tmp_path):
    (tmp_path / "b.wav").write_bytes(b"RIFF but no sound at all")
    soundfile.write(tmp_path / "a.wav", np.zeros(4_000), RATE)
    with pytest.raises(MelGANError) as error:
        load_waveforms(tmp_path, settings())
    assert str(error.value) == f"none of the 2 sound files in {tmp_path} can be used; the first, a.wav: silent"


def test_more_than_the_memory_is_refused(sound_folder, monkeypatch):
    """Before the system kills the process; 24 sounds of half a second take 0.8 MB."""
    monkeypatch.setattr(reading, "memory_bytes", lambda: 500_000)
    with pytest.raises(MelGANError, match=r"the sounds in .*drums need more than 80% of the memory of 0.0 GB: give "
                                          "fewer or shorter sounds"):
        load_waveforms(sound_folder, settings())
    monkeypatch.setattr(reading, "memory_bytes", lambda: 2_000_000)
    assert len(load_waveforms(sound_folder, settings())) == 24
    assert 100e6 < memory_bytes() < 1e14
