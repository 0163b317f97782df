"""Artifacts of waveforms: by hand, and each one injected into clean sounds moves its own metric alone."""

import dataclasses

import numpy as np
import pytest
from drums import drum

from melgan_tf.errors import MelGANError
from melgan_tf.evaluation.artifacts import Artifacts, hum, measure_artifacts, onset_shift_ms

RATE, SAMPLES = 16_000, 8_000
TIME = np.arange(SAMPLES) / RATE


def strokes(n, seed):
    """Made-up drums, some softer, in half a second."""
    rng = np.random.default_rng(seed)
    sounds = [drum(("kick", "snare", "hat")[i % 3], rng) for i in range(n)]
    return np.stack([np.pad(sound, (80, SAMPLES - 80 - len(sound))) for sound in sounds]).astype(np.float64)


@pytest.fixture(scope="module")
def real():
    return strokes(60, 0)


def moved(made, real):
    """The names of the metrics that differ notably from those of the real sounds themselves."""
    own, found = measure_artifacts(real, RATE, real), measure_artifacts(made, RATE, real)
    notable = {"silent": 0.02, "clipped": 0.02, "peak": 0.05, "onset_ms": 0.5, "onset_error_ms": 0.5,
               "dc_offset": 0.01, "click_begin": 0.05, "click_end": 0.05, "hum_db": 6.0}
    return {name for name, least in notable.items() if abs(getattr(found, name) - getattr(own, name)) > least}


def test_clean_sounds_have_no_artifact(real):
    assert moved(strokes(60, 1), real) == set()
    own = measure_artifacts(real, RATE, real)
    assert (own.silent, own.clipped, own.onset_error_ms) == (0, 0, 0)
    assert own.onset_ms == pytest.approx(5, abs=1)
    assert own.dc_offset < 0.01
    assert own.click_end < 0.01


@pytest.mark.parametrize(("spoil", "name"), [
    (lambda x: x + 0.03, "dc_offset"),
    (lambda x: x + 0.2 * np.eye(1, SAMPLES, 0), "click_begin"),
    (lambda x: x + 0.2 * np.eye(1, SAMPLES, SAMPLES - 1), "click_end"),
    (lambda x: x + 0.003 * np.sin(2 * np.pi * 50 * TIME), "hum_db"),
    (lambda x: x + 0.003 * np.sign(np.sin(2 * np.pi * 31.25 * TIME + 0.1)), "hum_db"),
    (lambda x: np.where(np.arange(60)[:, None] < 6, 0.0, x), "silent"),
])
def test_each_artifact_moves_its_own_metric_and_no_other(real, spoil, name):
    wrong = moved(spoil(real), real)
    if name == "dc_offset":  # a step from silence to any level is a step
        wrong -= {"click_begin", "click_end"}
    if name == "click_begin":  # a click at the start is an onset
        wrong -= {"onset_ms", "onset_error_ms"}
    assert wrong == {name}


def test_late_sounds_have_an_onset_error_of_their_delay(real):
    late = np.pad(real, ((0, 0), (160, 0)))[:, :SAMPLES]
    assert moved(late, real) == {"onset_ms", "onset_error_ms"}
    assert measure_artifacts(late, RATE, real).onset_error_ms == pytest.approx(10)
    half = np.where(np.arange(60)[:, None] % 2, late, real)
    assert measure_artifacts(half, RATE, real).onset_error_ms == pytest.approx(5, abs=0.5)


def test_clipping_moves_clipping_and_the_peak(real):
    assert moved(np.clip(5 * real, -1, 1), real) == {"clipped", "peak"}


def test_hum_tells_where():
    noise = 0.01 * np.random.default_rng(0).standard_normal((40, SAMPLES))
    found, hz = hum(noise + 0.01 * np.sin(2 * np.pi * 60 * TIME), RATE)
    assert found > 10
    assert hz == pytest.approx(60, abs=2)
    assert hum(noise, RATE)[0] < 6
    assert hum(noise[:, :3_000], RATE) == (None, None)


def test_a_note_in_one_sound_is_no_hum():
    rng = np.random.default_rng(0)
    pitches = rng.uniform(100, 900, (40, 1))
    notes = 0.5 * np.sin(2 * np.pi * pitches * TIME) + 0.01 * rng.standard_normal((40, SAMPLES))
    assert hum(notes, RATE)[0] < 10
    assert hum(0.5 * np.sin(2 * np.pi * 440 * TIME) + 0.01 * rng.standard_normal((40, SAMPLES)), RATE)[0] > 30


def test_by_hand():
    audio = np.zeros((4, 1000))
    audio[0, 100:] = 0.5
    audio[0, 101::2] = -0.5  # onset at 100 ms, mean 0
    audio[1, 300:320] = -1.0  # clipped; onset at 300 ms, mean -0.02
    audio[2, 199:203] = 0.02, 0.8, 1.0, 1.0  # only two samples at full scale; onset at 200 ms; mean 0.00282
    found = measure_artifacts(audio, 1000)
    assert (found.silent, found.clipped, found.peak, found.onset_ms) == (0.25, 0.25, 1.0, 200)
    assert found.dc_offset == pytest.approx((0 + 0.02 + 0.00282) / 3)
    assert found.click_begin == 0
    assert found.click_end == pytest.approx(2 / 3)  # from one sign to the other, of the peak; nothing; nothing
    assert found.onset_error_ms is None


def test_onset_error_by_hand_with_other_counts():
    assert onset_shift_ms(np.array([0.0, 10.0]), np.array([5.0])) == 5
    assert onset_shift_ms(np.array([3.0, 1.0]), np.array([1.0, 3.0])) == 0
    assert onset_shift_ms(np.array([]), np.array([1.0])) is None


def test_alternating_full_scale_is_not_clipping():
    assert measure_artifacts(np.tile([1.0, -1.0], (1, 50)), 1000).clipped == 0


def test_silence_has_neither_peak_nor_onset():
    found = dataclasses.asdict(measure_artifacts(np.zeros((3, 2)), RATE))
    assert found.pop("silent") == 1
    assert found.pop("clipped") == 0
    assert set(found.values()) == {None}
    assert len(found) == len(dataclasses.fields(Artifacts)) - 2


def test_unusable_waveforms_are_refused():
    with pytest.raises(MelGANError, match="waveforms have shape"):
        measure_artifacts(np.zeros(100), RATE)
