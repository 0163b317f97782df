"""From a folder to batches: mels against librosa, reports of what was left out, and the order of the sounds."""

from __future__ import annotations

import dataclasses
import itertools
import shutil

import librosa
import numpy as np
import pytest
import soundfile
from drums import drum, write_drums
from told import Told

from melgan_tf.config import AudioConfig, Config, DataConfig
from melgan_tf.data import mel_dataset
from melgan_tf.errors import MelGANError, UsageError

SEED = Config()


def librosa_mels(files, clip_samples=8_000):
    mels = []
    for file in files:
        clip, rate = soundfile.read(file, dtype="float32")
        assert rate == 16_000
        clip = np.pad(clip[:clip_samples], (0, max(0, clip_samples - len(clip))))
        mels.append(librosa.feature.melspectrogram(y=clip, sr=rate, n_fft=1024, hop_length=512, n_mels=64, power=2.0,
                                                   center=True, pad_mode="reflect", htk=True, norm=None).T)
    return np.array(mels)


# -- reading a folder ------------------------------------------------------------------------------------------------

@pytest.mark.slow
def test_mels_are_librosas_in_the_order_of_the_files(sound_folder):
    sounds = mel_dataset.load_folder(sound_folder, SEED)
    files = sorted(sound_folder.rglob("*.wav"), key=lambda path: path.relative_to(sound_folder).as_posix())
    assert [sound.path for sound in sounds.sounds] == files
    assert [sound.label for sound in sounds.sounds] == ["hat"] * 8 + ["kick"] * 8 + ["snare"] * 8
    assert (len(sounds), sounds.skipped) == (24, [])
    assert (sounds.mels.dtype, sounds.mels.shape) == (np.float32, (24, 16, 64))
    expected = librosa_mels(files)
    assert expected.max() > 100  # power, not a logarithm
    for ours, theirs in zip(sounds.mels, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-6 * theirs.max())


def test_images_are_the_mels_turned_over(sound_folder):
    sounds = mel_dataset.load_folder(sound_folder, SEED)
    images = sounds.images()
    assert images.shape == (24, 64, 16, 1)
    assert images[5, 60, 3, 0] == sounds.mels[5, 3, 60]
    assert images.flags["C_CONTIGUOUS"]


@pytest.mark.slow
def test_more_sounds_than_one_analysis_takes_and_long_ones(tmp_path):
    rng = np.random.default_rng(0)
    for index in range(70):
        soundfile.write(tmp_path / f"{index:02d}.wav", drum("snare", rng)[:2_000], 16_000)
    long = 0.3 * np.sin(np.arange(20_000) / 9)
    soundfile.write(tmp_path / "70.wav", long, 16_000)
    sounds = mel_dataset.load_folder(tmp_path, SEED)
    assert len(sounds) == 71
    expected = librosa_mels([sound.path for sound in sounds.sounds])
    np.testing.assert_allclose(sounds.mels, expected, rtol=1e-3, atol=1e-6 * expected.max())


def test_the_configuration_decides_the_mels(sound_folder):
    audio = AudioConfig(sample_rate=8_000, n_fft=512, hop_samples=128, mel_bins=40, max_hz=4_000.0)
    config = dataclasses.replace(SEED, audio=audio, data=DataConfig(clip_samples=4_000))
    sounds = mel_dataset.load_folder(sound_folder, config)
    assert sounds.mels.shape == (24, audio.frames(4_000), 40) == (24, 32, 40)


def test_progress_counts_every_file(sound_folder):
    told = Told()
    mel_dataset.load_folder(sound_folder, SEED, told)
    assert (told.tasks, told.done) == ([("reading sounds", 24, "files")], 24)


def test_what_cannot_be_used_is_left_out_with_its_reason(tmp_path):
    folder = write_drums(tmp_path / "drums", each=2)
    (folder / "broken.wav").write_bytes(b"RIFF\x10\0\0\0WAVEnothing")
    (folder / "kick" / "empty.flac").write_bytes(b"")
    soundfile.write(folder / "silence.wav", np.zeros(4_000), 16_000)
    soundfile.write(folder / "late.wav", np.r_[np.zeros(9_000), np.ones(100)], 16_000)
    (folder / "notes.txt").write_text("not a sound")
    (folder / "gone.wav").symlink_to(folder / "nowhere.wav")
    sounds = mel_dataset.load_folder(folder, SEED)
    skipped = {item.name: item.reason for item in sounds.skipped}
    assert sorted(skipped) == ["broken.wav", "gone.wav", "kick/empty.flac", "late.wav", "silence.wav"]
    assert skipped["silence.wav"] == skipped["late.wav"] == "silent"  # the clip is what counts
    assert "No such file" in skipped["gone.wav"]
    assert all(reason and "\n" not in reason for reason in skipped.values())
    assert [sound.name for sound in sounds.sounds] == [f"{kind}/{kind}{i}.wav" for kind in ("hat", "kick", "snare")
                                                       for i in range(2)]
    # the sounds that stay are those of a folder without the bad ones
    clean = write_drums(tmp_path / "clean", each=2)
    expected = mel_dataset.load_folder(clean, SEED)
    np.testing.assert_array_equal(sounds.mels, expected.mels)
    assert sounds.fingerprint == expected.fingerprint


def test_fingerprint_changes_with_one_sample_and_with_nothing_else(tmp_path):
    folder = write_drums(tmp_path / "drums", each=2)
    first = mel_dataset.load_folder(folder, SEED).fingerprint
    assert len(first) == 16
    copy = tmp_path / "elsewhere"
    shutil.copytree(folder, copy)
    assert mel_dataset.load_folder(copy, SEED).fingerprint == first
    file = copy / "snare" / "snare1.wav"
    samples, _ = soundfile.read(file, dtype="int16")
    soundfile.write(file, np.r_[samples, np.zeros(8_000, "int16"), np.int16(9)], 16_000)  # beyond the clip
    assert mel_dataset.load_folder(copy, SEED).fingerprint == first
    samples[len(samples) // 2] += 1
    soundfile.write(file, samples, 16_000)
    assert mel_dataset.load_folder(copy, SEED).fingerprint != first
    file.unlink()
    assert mel_dataset.load_folder(copy, SEED).fingerprint != first


def test_a_folder_without_sounds_is_an_error(tmp_path):
    (tmp_path / "readme.txt").write_text("hello")
    with pytest.raises(MelGANError) as error:
        mel_dataset.load_folder(tmp_path, SEED)
    assert str(error.value) == f"{tmp_path} contains no sound files (WAV, FLAC, AIFF, OGG, MP3, M4A)"
    with pytest.raises(UsageError, match="folder .*missing does not exist: give a folder"):
        mel_dataset.load_folder(tmp_path / "missing", SEED)


def test_a_folder_of_damaged_sounds_is_an_error_that_shows_the_first(tmp_path):
    for name in ("b.wav", "a.wav"):
        (tmp_path / name).write_bytes(b"RIFF but no sound at all")
    with pytest.raises(MelGANError) as error:
        mel_dataset.load_folder(tmp_path, SEED)
    assert str(error.value).startswith(f"none of the 2 sound files in {tmp_path} can be used; the first, a.wav: ")
    assert "\n" not in str(error.value)


def test_a_folder_of_silence_is_an_error(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(4_000), 16_000)
    with pytest.raises(MelGANError, match=r"none of the 1 sound files .* a\.wav: silent"):
        mel_dataset.load_folder(tmp_path, SEED)


# -- batches ---------------------------------------------------------------------------------------------------------

def numbered(count):
    """Images that carry their own number."""
    return np.broadcast_to(np.arange(count, dtype="float32")[:, None, None, None], (count, 2, 3, 1)).copy()


def taken(count, batch_size, steps, seed=0, start_step=0):
    """The numbers and the weights of the first ``steps`` batches."""
    dataset = mel_dataset.batches(numbered(count), batch_size, seed, start_step)
    pairs = list(dataset.take(steps).as_numpy_iterator())
    for images, _ in pairs:
        assert images.shape == (batch_size, 2, 3, 1)
        assert np.all(images == images[:, :1, :1])
    return np.array([images[:, 0, 0, 0] for images, _ in pairs]).astype(int), np.array([w for _, w in pairs])


@pytest.mark.parametrize(("count", "batch_size"), [(10, 4), (8, 4), (9, 4), (5, 5), (7, 1), (24, 5)])
def test_every_epoch_holds_every_sound_once(count, batch_size):
    per_epoch = mel_dataset.steps_per_epoch(count, batch_size)
    assert per_epoch == -(-count // batch_size)
    numbers, weights = taken(count, batch_size, 3 * per_epoch)
    for epoch in range(3):
        rows = slice(epoch * per_epoch, (epoch + 1) * per_epoch)
        real = numbers[rows][weights[rows] > 0]
        assert sorted(real) == list(range(count))


@pytest.mark.parametrize(("count", "batch_size"), [(10, 4), (8, 4), (9, 4), (24, 5)])
def test_weights_sum_to_one_and_are_equal_among_the_real(count, batch_size):
    per_epoch = mel_dataset.steps_per_epoch(count, batch_size)
    _, weights = taken(count, batch_size, 2 * per_epoch)
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, rtol=1e-6)
    in_last = count - (per_epoch - 1) * batch_size
    for step, row in enumerate(weights):
        real = in_last if step % per_epoch == per_epoch - 1 else batch_size
        np.testing.assert_allclose(row, [1 / real] * real + [0.0] * (batch_size - real), rtol=1e-6)


def test_the_shape_is_known_before_the_first_batch():
    images, weights = mel_dataset.batches(numbered(10), 4, 0).element_spec
    assert (images.shape, weights.shape) == ((4, 2, 3, 1), (4,))


def test_order_is_a_function_of_seed_and_epoch():
    orders = [taken(24, 8, 9, seed)[0].reshape(3, 24) for seed in (0, 0, 1, 2**31 - 1)]
    np.testing.assert_array_equal(orders[0], orders[1])
    different = [*orders[0], *orders[2], *orders[3]]
    for a, b in itertools.combinations(different, 2):
        assert not np.array_equal(a, b)
    # shuffled through and through, not merely rotated or cut in half
    assert all(np.abs(np.corrcoef(order, np.arange(24))[0, 1]) < 0.7 for order in different)


@pytest.mark.parametrize("start", [1, 2, 3, 4, 7, 300])
def test_starting_later_is_skipping(start):
    numbers, weights = taken(10, 4, start + 5, seed=3)
    later = taken(10, 4, 5, seed=3, start_step=start)
    np.testing.assert_array_equal(later[0], numbers[start:])
    np.testing.assert_array_equal(later[1], weights[start:])


def test_too_few_sounds_for_a_batch_are_an_error():
    with pytest.raises(MelGANError) as error:
        mel_dataset.batches(numbered(7), 8, 0)
    assert str(error.value) == "7 sounds are too few for batches of 8: add sounds or set training.batch_size=3"
    with pytest.raises(MelGANError, match="set training.batch_size=1$"):
        mel_dataset.batches(numbered(1), 8, 0)
