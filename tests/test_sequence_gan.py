"""The sequence GAN: no ends, nothing seen from afar; its noise and style; its windows; its step."""

import dataclasses

import numpy as np
import pytest
import soundfile
import tensorflow as tf
from music import MUSIC, RATE, SHORT, TINY, tiny_sampler, write_notes
from told import Told

from melgan_tf.data import window_dataset
from melgan_tf.data.window_dataset import load_window_set, window_batches
from melgan_tf.dsp import streaming_mel
from melgan_tf.errors import ConfigError, MelGANError
from melgan_tf.models.sequence_gan.networks import CONTEXT_STEPS, Discriminator, Encoder, Generator
from melgan_tf.models.sequence_gan.noise import SequenceNoise
from melgan_tf.models.sequence_gan.task import SequenceTask
from melgan_tf.models.sequence_gan.train_step import SequenceGAN
from melgan_tf.training.optimizers import Adam

SOURCE = SequenceNoise(noise_dim=4, style_dim=3, turn_steps=7)


def inputs(steps, batch=1, seed=0, model=TINY.model):
    rng = np.random.default_rng(seed)
    length = steps + 2 * CONTEXT_STEPS
    return (tf.constant(rng.normal(size=(batch, length, model.noise_dim)), tf.float32),
            tf.constant(rng.normal(size=(batch, length, model.style_dim)), tf.float32))


def steps_of(first, count):
    return tf.range(first, first + count, dtype=tf.int64)


def moved(values, variables):
    return [not np.array_equal(value, np.asarray(variable)) for value, variable in zip(values, variables, strict=True)]


def test_a_mel_has_sixteen_frames_a_step_on_the_scale_of_the_configuration():
    mel = Generator(TINY).mel(*inputs(3, batch=2)).numpy()
    assert mel.shape == (2, 48, 80)
    assert mel.min() >= -5.0
    assert mel.max() <= TINY.model.ceiling


def test_pieces_joined_are_the_whole():
    generator, (noise, style) = Generator(MUSIC), inputs(12, model=MUSIC.model)
    whole = generator(noise, style).numpy()
    parts = [generator(noise[:, a:b + 2 * CONTEXT_STEPS], style[:, a:b + 2 * CONTEXT_STEPS]).numpy()
             for a, b in ((0, 5), (5, 6), (6, 12))]
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, atol=1e-5)


def test_where_nothing_happens_every_step_is_like_the_next():
    noise, style = (tf.tile(part[:, :1], (1, 6 + 2 * CONTEXT_STEPS, 1)) for part in inputs(1))
    made = Generator(TINY)(noise, style).numpy().reshape(6, 16, 80)
    np.testing.assert_allclose(made, np.tile(made[2:3], (6, 1, 1)), atol=1e-6)


@pytest.mark.parametrize("which", [0, 1])
def test_a_step_is_heard_within_the_context_and_no_further(which):
    generator, given = Generator(TINY), inputs(14)
    changed = list(given)
    place = CONTEXT_STEPS + 7
    changed[which] = tf.concat([given[which][:, :place], given[which][:, place:place + 1] + 3.0,
                                given[which][:, place + 1:]], axis=1)
    difference = np.abs(generator(*changed) - generator(*given)).max(axis=(0, 2)).reshape(14, 16).max(axis=1)
    heard = np.flatnonzero(difference > 1e-7)
    assert 7 - CONTEXT_STEPS <= heard.min() < 7 < heard.max() <= 7 + CONTEXT_STEPS
    assert heard.min() <= 7 - CONTEXT_STEPS + 1  # no more context is asked for than is used


def test_the_style_of_a_step_is_that_of_its_own_frames():
    generator, (noise, style) = Generator(TINY), inputs(14)
    kernel = np.asarray(generator.first.kernel).copy()
    kernel[:, TINY.model.noise_dim:] = 0.0  # only what scales and shifts
    generator.first.kernel.assign(kernel)
    place = CONTEXT_STEPS + 7
    other = tf.concat([style[:, :place], style[:, place:place + 1] + 3.0, style[:, place + 1:]], axis=1)
    change = np.abs(generator(noise, other) - generator(noise, style)).max(axis=(0, 2))
    heard = np.flatnonzero(change > 1e-7)
    assert abs((heard.min() + heard.max()) / 2 - (7 * 16 + 7.5)) <= 8
    assert 6.5 * 16 < np.sum(np.arange(len(change)) * change) / np.sum(change) < 8.5 * 16


def test_activations_stay_near_variance_one_through_the_generator():
    made = Generator(MUSIC)(*inputs(8, batch=8, model=MUSIC.model)).numpy()
    assert 0.2 < np.arctanh(np.clip(made, -0.9999, 0.9999)).std() < 1.2


def test_shapes_of_encoder_and_discriminator():
    mel = tf.zeros((8, 128, 80))
    assert [part.shape for part in Encoder(TINY)(tf.zeros((8, 288, 80)))] == [(8, 18, 4)] * 2 + [(8, 3)] * 2
    whole, stretches, maps = Discriminator(TINY)(mel)
    assert (whole.shape, stretches.shape) == ((8,), (8, 16))
    assert [found.shape[0] for found in maps] == [128, 64, 32, 16, 8, 4]


def test_a_discriminator_sees_that_all_windows_are_alike():
    discriminator, x = Discriminator(TINY), tf.random.normal((16, 128, 80), seed=1)
    alike = tf.tile(x[:1], (16, 1, 1))
    assert abs(float(discriminator(x)[0][0]) - float(discriminator(alike)[0][0])) > 1e-4


@pytest.mark.parametrize("change", [{"clip_samples": 32_768 + 256 * 16}, {"clip_samples": 256 * 16}])
def test_windows_that_do_not_fit_are_refused(change):
    with pytest.raises(ConfigError, match="multiple of 32 frames"):
        dataclasses.replace(MUSIC, data=dataclasses.replace(MUSIC.data, **change))


# noise and style


def test_a_step_has_its_noise_and_style_wherever_one_begins():
    for kind in (SOURCE.noise, SOURCE.style):
        for period in (0, 28):
            whole = kind(3, 0, steps_of(-5, 70), period).numpy()
            np.testing.assert_array_equal(kind(3, 0, steps_of(20, 9), period), whole[25:34])
            assert not np.array_equal(kind(4, 0, steps_of(20, 9), period), whole[25:34])
            assert not np.array_equal(kind(3, 1, steps_of(20, 9), period), whole[25:34])


def test_several_sounds_at_once_are_each_as_alone():
    both = SOURCE.style(3, tf.constant([[0], [5]], tf.int64), steps_of(0, 9)).numpy()
    assert both.shape == (2, 9, 3)
    np.testing.assert_array_equal(both[1], SOURCE.style(3, 5, steps_of(0, 9)))


@pytest.mark.parametrize("period", [2, 7, 28, 30])
def test_in_a_loop_noise_and_style_repeat(period):
    for kind in (SOURCE.noise, SOURCE.style):
        first, later = (kind(1, 2, steps_of(start, period), period).numpy() for start in (0, 3 * period))
        np.testing.assert_array_equal(first, later)
    around = SOURCE.style(1, 2, steps_of(period - 2, 4), period).numpy()
    assert np.abs(np.diff(around, axis=0)).max() < 2.0  # no jump where it comes round


@pytest.mark.parametrize("turns", [1.5, 2.0, 2.49, 3.0, 4.0])
def test_the_style_of_a_loop_is_not_its_own_mirror_image(turns):
    """Wherever the mirror stands. On an arc from one style to the other and back, both ways are the same: 1."""
    source = SequenceNoise(4, 32, 20)
    period = round(20 * turns)
    steps = tf.range(period, dtype=tf.int64)
    found = []
    for sound in range(8):
        style = source.style(3, sound, steps, period).numpy()
        style = style - style.mean(axis=0)
        found.append(max((style * np.roll(style[::-1], shift, axis=0)).sum() for shift in range(period))
                     / (style ** 2).sum())
    assert np.mean(found) < 0.5


def test_the_style_keeps_its_variance_and_moves_slowly():
    source = SequenceNoise(noise_dim=4, style_dim=2000, turn_steps=7)
    path = source.style(0, 0, steps_of(0, 29)).numpy()
    np.testing.assert_allclose(path.std(axis=1), 1.0, atol=0.1)
    near, far = (np.mean(path[0] * path[distance]) for distance in (1, 7))
    assert near > 0.9
    assert abs(far) < 0.1
    assert np.mean(path[0] * path[28]) < 0.1  # it does not come back


def test_noise_of_neighboring_steps_has_nothing_in_common():
    noise = SequenceNoise(noise_dim=2000, style_dim=1, turn_steps=7).noise(0, 0, steps_of(0, 6)).numpy()
    np.testing.assert_allclose(np.corrcoef(noise), np.eye(6), atol=0.1)


# windows


@pytest.fixture(scope="module")
def notes(tmp_path_factory):
    folder = write_notes(tmp_path_factory.mktemp("notes"))
    silence = np.zeros(4 * RATE)
    silence[:RATE] = 0.5 * np.sin(np.arange(RATE) * 0.1)
    soundfile.write(folder / "short, then silence.wav", silence, RATE)
    return folder


@pytest.fixture(scope="module")
def windows(notes):
    return load_window_set(notes, TINY, 80)


def test_windows_have_silence_around_their_sounds_and_none_is_soft(windows):
    assert len(windows) == 7
    peak = windows.frames.max()
    for start in windows.starts[::37]:
        assert windows.frames[start:start + 128].max() > peak - 30 / 20 - 0.5
        assert 80 <= start <= len(windows.frames) - 128 - 80
    first = windows.frames[windows.starts[0] - 80:windows.starts[0]]
    np.testing.assert_allclose(first, -7.0, atol=1e-5)
    silent = [sound.name for sound in windows.sounds].index("short, then silence.wav")
    assert windows.counts[silent] < windows.counts.max()  # its silence is left out


def test_batches_depend_on_seed_and_step_alone(windows):
    made = [batch[0].numpy() for batch in window_batches(windows, 8, 80, seed=1).take(3)]
    assert made[0].shape == (8, 288, 80)
    later = next(iter(window_batches(windows, 8, 80, seed=1, start_step=2)))[0].numpy()
    np.testing.assert_array_equal(later, made[2])
    assert not np.array_equal(made[0], made[1])


def test_every_window_is_at_one_level_above_one_floor(windows, notes):
    made = next(iter(window_batches(windows, 8, 80, seed=1)))[0].numpy()
    np.testing.assert_allclose(made[:, 80:-80].max(axis=(1, 2)), 0.5, atol=1e-5)
    assert made.min() == -5.0
    np.testing.assert_allclose(windows.examples(7).max(axis=(1, 2)), 0.5, atol=1e-5)
    natural = dataclasses.replace(TINY, data=dataclasses.replace(TINY.data, level="natural"))
    levels = load_window_set(notes, natural, 80).examples(7).max(axis=(1, 2))
    assert levels.std() > 0.05


def test_examples_come_from_all_sounds(windows):
    assert windows.examples(7).shape == (7, 128, 80)
    assert len(windows.examples(10_000)) == windows.clips.sum() == 11


def test_long_sounds_are_analyzed_in_pieces(notes, windows, monkeypatch):
    """Twenty times less memory, the same windows."""
    monkeypatch.setattr(window_dataset, "WHOLE_FRAMES", 0)
    monkeypatch.setattr(streaming_mel, "PIECE_FRAMES", 50)
    pieces = load_window_set(notes, TINY, 80)
    np.testing.assert_allclose(pieces.frames, windows.frames, atol=1e-4)
    np.testing.assert_array_equal(pieces.starts, windows.starts)
    assert pieces.fingerprint == windows.fingerprint


def test_a_folder_without_sounds(tmp_path):
    with pytest.raises(MelGANError, match="contains no sound files"):
        load_window_set(tmp_path, TINY, 80)


# training


def batch(size=8, seed=0):
    return (tf.constant(np.random.default_rng(seed).uniform(-5, 1, (size, 192, 80)), tf.float32),
            tf.zeros((size,), tf.int32))


def compiled(**objective):
    goal = dataclasses.replace(SHORT.model.objective, **objective)
    model = SequenceGAN(dataclasses.replace(SHORT, model=dataclasses.replace(SHORT.model, objective=goal)))
    model.compile(Adam(1e-3, 0.5), Adam(1e-3, 0.5))
    return model


@pytest.mark.slow
def test_a_step_moves_every_player_and_all_metrics_are_finite():
    model = compiled(copy_adversarial=0.5, feature_matching=1.0)
    networks = {name: model.parts()[name] for name in ("generator", "learning_generator", "encoder", "discriminator")}
    before = {name: [np.asarray(v).copy() for v in variables] for name, variables in networks.items()}
    metrics = model.train_step(batch())
    assert sorted(metrics) == sorted(SequenceGAN.METRICS)
    assert all(np.isfinite(float(value)) for value in metrics.values())
    for name, variables in networks.items():
        assert all(moved(before[name], variables)), name


def test_made_windows_have_the_style_that_moves_as_in_use():
    drawn = compiled().inputs(*batch(400))
    noise, style = drawn["noise"], drawn["style"]
    assert (noise.shape, style.shape) == ((400, 12, 4), (400, 12, 3))
    assert (drawn["encoder_noise"].shape, drawn["encoder_style_noise"].shape) == ((400, 12, 4), (400, 3))
    turn = 16 * 256 / RATE / TINY.model.style_seconds * np.pi / 2
    correlation = np.mean(style.numpy()[:, :1] * style.numpy(), axis=(0, 2))
    np.testing.assert_allclose(correlation, np.cos(turn * np.arange(12)), atol=0.12)
    along = SequenceNoise.of(TINY).style(0, tf.range(400, dtype=tf.int64)[:, None], steps_of(0, 12)).numpy()
    np.testing.assert_allclose(np.mean(along[:, :1] * along, axis=(0, 2)), correlation, atol=0.2)


def test_few_windows_are_warned_of(notes):
    told = Told()
    SequenceTask(TINY, notes, told)
    assert "11 windows of 1.5 seconds are few" in told.warnings[0]


@pytest.mark.slow
def test_a_sampler_makes_windows_that_do_not_depend_on_their_number():
    sampler = tiny_sampler()
    three = sampler.generate(5, 3)
    assert three["audio"].shape == (3, 32_768)
    assert three["mel"].shape == (3, 128, 80)
    np.testing.assert_allclose(sampler.generate(5, 1, start=2)["audio"][0], three["audio"][2], atol=1e-5)
    assert np.abs(three["audio"][:, [0, -1]]).max() < 1e-3  # faded
