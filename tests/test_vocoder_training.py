"""A vocoder's training step against a plain one, and its two phases."""

from __future__ import annotations

import dataclasses

import keras
import librosa
import numpy as np
import pytest
import tensorflow as tf
from vocoder_settings import (
    BATCH,
    CLIP,
    JUDGED,
    OBJECTIVE,
    SPECTRAL,
    settings,
)

from melgan_tf.config import Config, DataConfig, from_dict, presets, to_dict
from melgan_tf.dsp import spectral
from melgan_tf.errors import ConfigError, MelGANError
from melgan_tf.models.vocoder_training import train_step as vocoder
from melgan_tf.models.vocoder_training.config import VocoderObjective
from melgan_tf.models.vocoder_training.discriminator import MultiScaleDiscriminator
from melgan_tf.models.vocoder_training.train_step import VocoderGAN
from melgan_tf.storage.run_directory import with_training
from melgan_tf.training import loop, optimizers
from melgan_tf.training.stft_loss import multi_resolution_stft

BOTH = pytest.mark.parametrize("model", ["fast", "melgan"])
pytestmark = pytest.mark.usefixtures("small_discriminators")


class Recording(keras.optimizers.SGD):
    """Gradient descent that keeps the gradients it was given."""

    def apply(self, gradients, variables=None):
        self.seen = [np.asarray(gradient) for gradient in gradients]
        return super().apply(gradients, variables)


def gan(config, players=None, **how):
    """A compiled model. Its convolutions neither damp nor amplify: those that training begins with leave hardly any
    gradient in the layers furthest from the loss."""
    model = VocoderGAN(config)
    for player in (model.generator, model.discriminator):
        for variable in player.trainable_variables if player else ():
            if variable.name == "g":
                variable.assign(np.full(variable.shape, 1.5))
    model.compile(*(players or (optimizers.adam(config, "generator"), optimizers.adam(config, "discriminator"))), **how)
    return model


def clips(seed=0, count=BATCH):
    """Tones under noise, each of its own loudness."""
    rng = np.random.default_rng(seed)
    tones = np.sin(2 * np.pi * rng.uniform(0.01, 0.2, (count, 1)) * np.arange(CLIP))
    return tf.constant(rng.uniform(0.02, 0.8, (count, 1)) * (tones + 0.1 * rng.normal(size=(count, CLIP))), tf.float32)


def named(metrics):
    return {name: float(metrics[name]) for name in VocoderGAN.METRICS}


def values(player):
    return [np.asarray(variable) for variable in player.variables]


def changed(player, before):
    return [not np.array_equal(old, new) for old, new in zip(before, values(player), strict=True)]


# -- losses ----------------------------------------------------------------------------------------------------------

def librosa_stft_losses(fake, real):
    """Spectral convergence and log distance of each sound, from librosa's magnitudes."""
    found = []
    for length, hop in ((256, 64), (512, 128), (1024, 256)):
        floor = 1e-5 * length / 4
        pairs = [[np.sqrt(np.abs(librosa.stft(np.asarray(sound, "float64"), n_fft=length, hop_length=hop,
                                              pad_mode="reflect")) ** 2 + floor**2) for sound in pair]
                 for pair in zip(fake, real, strict=True)]
        found.append([(np.linalg.norm(b - a) / np.linalg.norm(b), np.mean(np.abs(np.log(a / b)))) for a, b in pairs])
    return np.mean(found, axis=0).T


def test_stft_loss_is_what_librosa_says():
    fake, real = clips(0), clips(1)
    np.testing.assert_allclose(multi_resolution_stft(fake, real), librosa_stft_losses(fake, real), rtol=1e-4)
    np.testing.assert_allclose(multi_resolution_stft(real, real), 0, atol=2e-6)


def plain_step(model, real, adversarial):
    """The same step as one would write it down; returns both players' gradients and the metrics."""
    weights, audio = model.loss_weights, model.config.audio
    g, d = ([v.value for v in player.trainable_variables] if player else [] for player in
            (model.generator, model.discriminator))
    mel = spectral.mel_spectrogram(real, audio)
    loss_d, fooled, features, gradients_d, real_maps = 0.0, 0.0, 0.0, None, None
    if adversarial:
        with tf.GradientTape() as tape:
            real_maps, fake_maps = model.discriminator(real), model.discriminator(model.generator(mel)[:, :CLIP])
            loss_d = tf.add_n([tf.reduce_mean(tf.maximum(0.0, 1 - real_scale[-1]))
                               + tf.reduce_mean(tf.maximum(0.0, 1 + fake_scale[-1]))
                               for real_scale, fake_scale in zip(real_maps, fake_maps, strict=True)])
        gradients_d = tape.gradient(loss_d, d)
        model.discriminator_optimizer.apply(gradients_d, model.discriminator.trainable_variables)
    with tf.GradientTape() as tape:
        fake = model.generator(mel)[:, :CLIP]
        convergence, logarithmic = multi_resolution_stft(fake, real)
        stft = tf.reduce_mean(convergence) + tf.reduce_mean(logarithmic)
        distance = tf.reduce_mean(tf.abs(spectral.mel_spectrogram(fake, audio) - mel))
        if adversarial:
            fake_maps = model.discriminator(fake)
            fooled = -tf.add_n([tf.reduce_mean(scale[-1]) for scale in fake_maps])
            # two scales of two strided layers
            features = 4 / 3 / 2 * tf.add_n([tf.reduce_mean(tf.abs(a - b)) for scales in zip(real_maps, fake_maps,
                                             strict=True) for a, b in list(zip(*scales, strict=True))[:-1]])
        loss = (weights.stft * stft + weights.mel * distance + weights.adversarial * fooled
                + weights.feature_matching * features)
    gradients_g = tape.gradient(loss, g)
    stft, distance = stft * (weights.stft > 0), distance * (weights.mel > 0)
    return gradients_g, gradients_d, dict(zip(
        VocoderGAN.METRICS, map(float, (loss, stft, distance, fooled, features, loss_d)),
                                              strict=True))


@pytest.mark.slow
@BOTH
@pytest.mark.parametrize(("objective", "adversarial", "shards"), [
    (OBJECTIVE, False, 3), (OBJECTIVE, True, 2), (JUDGED, True, 1), (SPECTRAL, False, 1)], ids=str)
def test_gradients_and_metrics_are_those_of_the_plain_step(model, objective, adversarial, shards):
    config = settings(model, objective)
    ours = gan(config, (Recording(0.0), Recording(0.05)), shards=shards)
    theirs = gan(config, (Recording(0.0), Recording(0.05)))
    ours.build_programs(lambda function: function)  # as the plain step: TensorFlow rearranges graphs
    gradients_g, gradients_d, plain = plain_step(theirs, clips(), adversarial)
    metrics = named(ours.train_step(clips(), adversarial))
    assert metrics == pytest.approx(plain, rel=2e-4, abs=1e-5)
    pairs = list(zip(ours.generator_optimizer.seen, gradients_g, strict=True))
    pairs += zip(ours.discriminator_optimizer.seen, gradients_d, strict=True) if adversarial else []
    for a, b in pairs:
        assert np.linalg.norm(a - b) <= 2e-3 * np.linalg.norm(b)
    if adversarial:
        assert min(abs(metrics[name]) for name in VocoderGAN.METRICS[3:]) > 0.005


@pytest.mark.slow
@pytest.mark.parametrize("adversarial", [False, True])
def test_the_loss_is_the_sum_of_its_weighted_parts(adversarial):
    objective = VocoderObjective(adversarial_start=1, adversarial=2.0, feature_matching=3.0, stft=5.0, mel=7.0)
    metrics = named(gan(settings(objective=objective), shards=2).train_step(clips(), adversarial))
    parts = [metrics[f"generator/{name}"] for name in ("adversarial", "feature_matching", "stft", "mel")]
    assert metrics["generator/loss"] == pytest.approx(np.dot([2, 3, 5, 7], parts), rel=1e-5)
    assert [part != 0 for part in parts] == [adversarial, adversarial, True, True]
    assert (metrics["discriminator/loss"] > 0) is adversarial


@pytest.mark.slow
@BOTH
@pytest.mark.parametrize("adversarial", [False, True])
@pytest.mark.parametrize("silent", [1, BATCH])
def test_silent_clips_leave_everything_finite(model, adversarial, silent):
    ours = gan(settings(model), (Recording(0.01), Recording(0.01)), shards=2)
    sounds = tf.concat([tf.zeros((silent, CLIP)), clips()[silent:]], 0)
    for _ in range(2):
        metrics = named(ours.train_step(sounds, adversarial))
        assert np.isfinite(list(metrics.values())).all(), metrics
        assert all(np.isfinite(gradient).all() for gradient in ours.generator_optimizer.seen)
    for values_of in values(ours.generator), values(ours.discriminator):
        assert all(np.isfinite(value).all() for value in values_of)


@pytest.mark.usefixtures("eager")
def test_a_metric_that_is_not_finite_stops_the_loop():
    model = gan(settings("smallest", SPECTRAL))
    dataset = tf.data.Dataset.from_tensors(clips() * np.nan).repeat()
    with pytest.raises(MelGANError, match=r"^generator/loss became nan in epoch 1: stopped; lower the learning rates"):
        loop.train(model, dataset, 0, 2, 2, keras.callbacks.CallbackList([]), tf.distribute.get_strategy())


# -- phases ----------------------------------------------------------------------------------------------------------

@pytest.mark.nightly
@pytest.mark.parametrize("preset", [name for name in presets.names() if presets.get(name).family.makes == "waveforms"])
def test_every_preset_takes_steps_that_change_every_weight(preset, monkeypatch):
    """With the discriminators that it comes with."""
    monkeypatch.setattr(vocoder, "MultiScaleDiscriminator", MultiScaleDiscriminator)
    whole = presets.get(preset)
    samples = 8 * whole.audio.hop_samples
    config = with_training(dataclasses.replace(whole, data=dataclasses.replace(whole.data, clip_samples=samples)),
                           batch_size=2)
    model = gan(config)
    assert model.discriminator.count_params() == pytest.approx(16.9e6, rel=0.01)
    sounds = tf.constant(0.3 * np.random.default_rng(0).normal(size=(2, samples)), tf.float32)
    for adversarial in (False, True) if model.switches else (True,):
        generator, discriminator = values(model.generator), values(model.discriminator)
        metrics = named(model.train_step(sounds, adversarial))
        assert np.isfinite(list(metrics.values())).all(), metrics
        assert all(changed(model.generator, generator))
        assert all(np.mean(old != new) > 0.9 for old, new in zip(generator, values(model.generator), strict=True))
        moved = [had for had, variable in zip(changed(model.discriminator, discriminator),
                                              model.discriminator.variables, strict=True)
                 # within the margins, the real and the fake sounds pull equally at this one
                 if not adversarial or not variable.path.endswith("logits/bias")]
        assert all(moved) if adversarial else not any(moved)


@pytest.mark.parametrize(("objective", "switches", "phases"), [
    (OBJECTIVE, (5,), [False, False, True, True]), (JUDGED, (), [True] * 4), (SPECTRAL, (), [False] * 4),
    (dataclasses.replace(SPECTRAL, adversarial_start=5), (), [False] * 4),
    (dataclasses.replace(OBJECTIVE, adversarial=0.0), (5,), [False, False, True, True])])
def test_phases_follow_the_objective(objective, switches, phases):
    model = VocoderGAN(settings(objective=objective))
    assert model.switches == switches
    assert [model.phase(step) for step in (0, 4, 5, 10**6)] == phases
    assert (model.discriminator is None) is (objective.adversarial == objective.feature_matching == 0)
    model.compile(keras.optimizers.SGD(), keras.optimizers.SGD())
    assert ("discriminator" in model.parts()) is (model.discriminator is not None)


class Watching(keras.callbacks.Callback):
    """What the discriminators are like after each call, and the metrics of each epoch."""

    def __init__(self):
        super().__init__()
        self.seen, self.logs = {}, []

    def on_train_batch_end(self, batch, logs=None):
        self.seen[batch] = (values(self.model.discriminator), int(self.model.discriminator_optimizer.iterations))

    def on_epoch_end(self, epoch, logs=None):
        self.logs.append(logs)


@pytest.mark.slow
@pytest.mark.usefixtures("eager")
def test_discriminators_join_at_their_step_and_not_before():
    model, watching = gan(settings("smallest")), Watching()
    previous = values(model.discriminator)
    dataset = tf.data.Dataset.from_tensors(clips()).repeat()
    loop.train(model, dataset, 0, 7, 1, keras.callbacks.CallbackList([watching], model=model),
               tf.distribute.get_strategy())
    assert list(watching.seen) == [1, 2, 3, 4, 5, 6, 7]
    for step, (weights, iterations) in watching.seen.items():
        assert iterations == max(0, step - 5)
        assert any(not np.array_equal(a, b) for a, b in zip(previous, weights, strict=True)) is (step > 5), step
        previous = weights
    for epoch, logs in enumerate(watching.logs):
        assert all((logs[name] != 0) is (epoch >= 5) for name in VocoderGAN.METRICS[3:])
        assert all(logs[name] > 0 for name in VocoderGAN.METRICS[1:3])


@pytest.mark.parametrize(("start", "calls"), [(0, [1, 3, 7, 10, 12, 20]), (6, [7, 9, 10, 12, 20]),
                                              (10, [11, 12, 16, 20])])
def test_calls_grow_but_never_run_past_a_switch_or_an_epoch(start, calls, monkeypatch):
    """Switches at 10 and 12, epochs of 20 steps."""
    class Counting:
        switches, metrics = (10, 12), []
        steps = [tf.Variable(0), tf.Variable(0)]

        def phase(self, step):
            return 10 <= step < 12

        def train_step(self, batch, how):
            self.steps[how].assign_add(1)

        def reset_metrics(self):
            pass

    monkeypatch.setattr(loop, "SECONDS_PER_CALL", 1e9)
    ends, model = [], Counting()
    for variable in model.steps:
        variable.assign(0)
    watching = keras.callbacks.LambdaCallback(on_train_batch_end=lambda step, logs: ends.append(step))
    loop.train(model, tf.data.Dataset.range(99), start, 20, 20, keras.callbacks.CallbackList([watching]),
               tf.distribute.get_strategy())
    assert ends == calls
    assert [int(variable) for variable in model.steps] == [20 - start - 2, 2]


# -- wrong settings --------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("preset", "changes", "words"), [
    ("melgan", {"audio": {"hop_samples": 128}}, ["model.ratios is [8, 8, 2, 2]", "product is audio.hop_samples (128)"]),
    ("melgan", {"model": {"ratios": (8, 8, 4)}, "audio": {"hop_samples": 255}}, ["model.ratios is [8, 8, 4]", "(255)"]),
    ("melgan", {"audio": {"compression": "none"}}, ["audio.compression is 'none'", "a vocoder needs log10"]),
    ("vocoder-16k", {"audio": {"compression": "none"}}, ["audio.compression is 'none'", "a vocoder needs log10"]),
    ("vocoder-16k", {"data": {"clip_samples": 8_000}}, ["data.clip_samples is 8000", "multiple of", "(512)"]),
    ("vocoder-22k", {"model": {"subframes": 3}}, ["model.subframes is 3", "double divides audio.hop_samples (256)"]),
    ("vocoder-22k", {"data": {"clip_samples": 256}}, ["data.clip_samples is 256", "(n_fft - hop_samples) / 2 (384)"]),
    ("vocoder-22k", {"model": {"low_rounds": 1}, "audio": {"hop_samples": 64, "n_fft": 1024}, "data":
     {"clip_samples": 8192}}, ["audio.hop_samples is 64", "multiple of 128"]),
    ("melgan", {"data": {"clip_samples": 768}}, ["data.clip_samples is 768", "at least 4 frames"]),
    ("melgan", {"model": {"residual_layers": 6}, "data": {"clip_samples": 256 * 30}}, ["at least 31 frames"]),
    ("vocoder-16k", {"audio": {"n_fft": 64, "hop_samples": 16, "mel_bins": 8}, "data": {"clip_samples": 240}},
     ["data.clip_samples is 240", "at least 256 samples", "model.objective.stft"]),
    ("vocoder-16k", {"model": {"objective": {"stft": 0, "mel": 0}}},
     ["model.objective.adversarial_start is ", "stft or mel above 0"]),
    ("melgan", {"model": {"objective": {"adversarial": 0, "feature_matching": 0}}}, ["something to learn from"]),
    ("melgan", {"training": {"precision": "mixed_float16"}}, ["training.precision is 'mixed_float16'", "float32"]),
])
def test_settings_that_cannot_work_are_refused(preset, changes, words):
    values_of = to_dict(presets.get(preset))
    for part, changed_values in changes.items():
        objective = changed_values.pop("objective", None) if part == "model" else None
        values_of[part] |= changed_values
        if objective:
            values_of[part]["objective"] |= objective
    with pytest.raises(ConfigError) as error:
        from_dict(Config, values_of)
    assert all(word in str(error.value) for word in words), str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("model", "clip_samples"), [("melgan", 512), ("fast", 384)])
def test_the_shortest_clips_that_are_accepted_can_be_learned_from(model, clip_samples):
    config = settings(model)
    config = dataclasses.replace(config, data=DataConfig(clip_samples))
    metrics = named(gan(config).train_step(clips()[:, :clip_samples], True))
    assert np.isfinite(list(metrics.values())).all()
