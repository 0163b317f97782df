"""Metrics of copy synthesis: librosa, plain loops, hand-computed numbers, and which artifact moves which metric."""

from __future__ import annotations

import math
import subprocess
import sys

import librosa
import numpy as np
import pytest
from copy_synthesis import FIGURES, HOP, RATE, SEED, figures
from drums import decaying as drum

from melgan_tf.config import AudioConfig
from melgan_tf.errors import MelGANError
from melgan_tf.evaluation import vocoder_metrics
from melgan_tf.evaluation.vocoder_metrics import measure_pairs

MUSIC = AudioConfig(sample_rate=22_050, hop_samples=256, mel_bins=80, max_hz=11_025.0, mel_scale="slaney",
                    mel_norm="slaney", power=1.0, padding="half-hop", compression="log10")


@pytest.fixture(scope="module")
def real() -> np.ndarray:
    return drum()


def only(found: dict[str, float], moved: set[str], still: dict[str, float]) -> None:
    """The figures in `moved` are above 0; those in `still` within what is said; nothing is left unsaid."""
    assert moved | set(still) == set(FIGURES)
    for name in moved:
        assert found[name] > 0, name
    for name, most in still.items():
        assert abs(found[name]) <= most, (name, found[name])


# -- log mel ----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("audio", [SEED, MUSIC], ids=["seed", "music"])
def test_log_mel_agrees_with_librosa(audio, real):
    made = drum(seed=1) * 0.7 + 0.01
    htk, norm = audio.mel_scale == "htk", None
    filters = librosa.filters.mel(sr=audio.sample_rate, n_fft=1024, n_mels=audio.mel_bins, fmin=0, fmax=audio.max_hz,
                                  htk=htk, norm=norm, dtype=np.float64)
    filters = filters / filters.max(axis=1, keepdims=True)
    levels = []
    for wave in (made, real):
        both = (1024 if audio.padding == "centre" else 1024 - audio.hop_samples) // 2
        spectrum = librosa.stft(np.pad(wave, both, mode="reflect"), n_fft=1024, hop_length=audio.hop_samples,
                                center=False)
        levels.append(20 * np.log10(np.maximum(filters @ np.abs(spectrum) / 256, 1e-5)))
    expected = np.abs(levels[0] - levels[1]).mean()
    assert expected > 1
    assert vocoder_metrics.log_mel_l1(made, real, audio) == pytest.approx(expected, rel=1e-5)


def test_half_the_amplitude_is_six_decibels():
    noise = np.random.default_rng(0).normal(size=8_000) * 0.2
    for audio in (SEED, MUSIC):
        assert vocoder_metrics.log_mel_l1(noise / 2, noise, audio) == pytest.approx(20 * math.log10(2))


def test_filters_without_a_bin_are_left_out():
    narrow = AudioConfig(n_fft=256, hop_samples=128, mel_bins=120)
    noise = np.random.default_rng(0).normal(size=8_000) * 0.2
    assert vocoder_metrics.log_mel_l1(noise / 2, noise, narrow) == pytest.approx(20 * math.log10(2))


# -- multi-resolution STFT --------------------------------------------------------------------------------------------

def test_stft_distance_agrees_with_librosa(real):
    made = drum(seed=1) * 0.7 + 0.01
    convergence, log_magnitude = [], []
    for n_fft, hop, window in ((1024, 120, 600), (2048, 240, 1200), (512, 50, 240)):
        m, r = (np.maximum(np.abs(librosa.stft(wave, n_fft=n_fft, hop_length=hop, win_length=window,
                                               pad_mode="reflect")) * 4 / window, 1e-5) for wave in (made, real))
        convergence.append(math.sqrt(np.sum((r - m) ** 2) / np.sum(r ** 2)))
        log_magnitude.append(np.mean(np.abs(np.log(r) - np.log(m))))
    found = vocoder_metrics.stft_distance(made, real)
    # librosa pads by half the transform, not half the window: the same frames, save for rounding
    assert found.convergence == pytest.approx(sum(convergence) / 3, rel=1e-4)
    assert found.log_magnitude == pytest.approx(sum(log_magnitude) / 3, rel=1e-4)
    assert found.total == found.convergence + found.log_magnitude


def test_half_the_amplitude_by_hand():
    noise = np.random.default_rng(0).normal(size=8_000) * 0.2
    found = vocoder_metrics.stft_distance(noise / 2, noise)
    assert found == pytest.approx((0.5, math.log(2), 0.5 + math.log(2)), rel=1e-3)


# -- onset ------------------------------------------------------------------------------------------------------------

def onset_by_loops(made, real, sample_rate):
    """Millisecond by millisecond, with the leaky memory written as a recursion."""
    step = round(sample_rate / 1000)
    peak = max(abs(x) for x in real)
    onset = next(i for i, x in enumerate(real) if abs(x) >= peak / 100)
    envelopes = []
    for wave in (made, real):
        memory, envelope = 0.0, {}
        for k in range(-(onset // step) - 1, (len(wave) - onset) // step + 1):
            begin = onset + k * step
            energy = sum(wave[i] ** 2 for i in range(max(0, begin), min(len(wave), begin + step))) / step
            memory = energy + math.exp(-1 / 5) * memory
            if begin + step > 0 and begin < len(wave):
                envelope[k] = memory
        envelopes.append(envelope)
    made_envelope, real_envelope = envelopes
    floor = max(real_envelope.values()) * 1e-6
    return np.mean([abs(10 * math.log10(max(made_envelope[k], floor) / max(real_envelope[k], floor)))
                    for k in range(-5, 20) if k in real_envelope])


@pytest.mark.parametrize("onset", [0, 3, 37, 480, 1001])
@pytest.mark.parametrize("sample_rate", [16_000, 22_050])
def test_onset_error_agrees_with_loops(onset, sample_rate):
    real, made = drum(samples=3_000, onset=onset), 0.6 * drum(seed=1, samples=3_000, onset=onset + 20)
    expected = onset_by_loops(made, real, sample_rate)
    assert expected > 1
    assert vocoder_metrics.onset_error_db(made, real, sample_rate) == pytest.approx(expected, rel=1e-6)


def test_onset_error_of_a_wrong_level_by_hand():
    """20 of 25 frames, each 20 log10 2 apart; the five before the onset are silent in both."""
    real = np.concatenate([np.zeros(1_600), np.ones(1_600)])
    assert vocoder_metrics.onset_error_db(real / 2, real, RATE) == pytest.approx(0.8 * 20 * math.log10(2))


def test_a_hit_five_milliseconds_late_is_far_worse_than_a_low_note_in_another_phase():
    t = np.arange(4_000) / RATE
    note = [np.concatenate([np.zeros(800), np.sin(2 * np.pi * 50 * t + phase)]) for phase in (0, np.pi, np.pi / 2)]
    late = np.roll(note[0], 80)
    assert vocoder_metrics.onset_error_db(note[1], note[0], RATE) == pytest.approx(0)
    another_phase, too_late = (vocoder_metrics.onset_error_db(made, note[0], RATE) for made in (note[2], late))
    assert too_late > 3 * another_phase  # a sine that begins at its crest has a click before what it grows to


def test_pre_echo_counts_and_the_longer_the_more(real):
    """40 dB below the peak, before the onset only."""
    echo = [real.copy() for _ in range(3)]
    for made, ms in zip(echo, (1, 3, 5), strict=True):
        made[480 - 16 * ms:480] += 0.05 * np.random.default_rng(1).normal(size=16 * ms)
    found = [vocoder_metrics.onset_error_db(made, real, RATE) for made in echo]
    assert 1 < found[0] < found[1] < found[2]


def test_a_hundred_decibels_below_full_scale_nothing_counts():
    real = np.full(800, 3e-6)
    assert vocoder_metrics.onset_error_db(real * 0, real, RATE) == 0
    assert vocoder_metrics.onset_error_db(real * 0, real * 10, RATE) > 1


def test_after_twenty_milliseconds_nothing_counts(real):
    made = real.copy()
    made[480 + 320:] = 0
    assert vocoder_metrics.onset_error_db(made, real, RATE) == 0
    made[480 + 320 - 16:] = 0
    assert vocoder_metrics.onset_error_db(made, real, RATE) > 0


# -- ends, DC, buzz, silence ------------------------------------------------------------------------------------------

def test_clicks_by_hand():
    real = np.zeros(200)
    real[100], real[0] = 2.0, 0.5
    made = real.copy()
    assert vocoder_metrics.edge_click(made, real) == 0
    made[0] = 0.75
    assert vocoder_metrics.edge_click(made, real) == pytest.approx(0.125)  # (0.75 - 0.5) / 2
    made[-1] = -0.5
    assert vocoder_metrics.edge_click(made, real) == pytest.approx(0.25)  # the end's 0.5 outside silence, real 0
    real[-1] = 0.5
    assert vocoder_metrics.edge_click(np.zeros(200), real) == 0
    for place, expected in ((15, 0.5), (17, 0), (181, 0), (185, 0.5)):  # a step up or down from 1.5 to 0, over 2
        made = real.copy()
        made[place] = 1.5
        assert vocoder_metrics.edge_click(made, real) == expected


def test_dc_by_hand():
    real = np.array([0.0, 0.5, -0.5, 0.4])  # mean 0.1
    assert vocoder_metrics.dc_offset(real + 0.2, real) == pytest.approx(0.4)
    assert vocoder_metrics.dc_offset(-real, real) == pytest.approx(0)


def test_idle_by_hand():
    assert vocoder_metrics.idle(np.array([0.1, -0.4, 0.0, 0.1])) == pytest.approx((0.4, 0.05))


def test_buzz_by_hand():
    """Pieces of four samples, every pattern orthogonal to the others and without a mean."""
    a, b, c = (np.array(piece, float) for piece in ([1, -1, 0, 0], [0, 0, 1, -1], [1, 1, -1, -1]))
    repeats, varies = np.tile(a, 4), np.concatenate([a, b, c, -c])
    # mean of a, b, c, -c, each at unit energy: (a + b) / 4, energy 2/16; repeats: 1; chance: 1/4, the least
    assert vocoder_metrics.frame_rate_buzz(repeats, varies, 4) == pytest.approx(10 * math.log10(4))
    mixed = np.concatenate([a, a, 3 * a, b])  # levels do not count: (3a + b) / 4, energy 10/16
    assert vocoder_metrics.frame_rate_buzz(mixed, varies, 4) == pytest.approx(10 * math.log10(2.5))
    assert vocoder_metrics.frame_rate_buzz(np.zeros(16), varies, 4) == 0
    assert vocoder_metrics.frame_rate_buzz(repeats + 5, repeats, 4) == pytest.approx(0)
    assert vocoder_metrics.frame_rate_buzz(repeats[:3], varies[:3], 4) == 0


def test_buzz_is_at_the_frame_rate_and_no_other():
    noise = np.random.default_rng(0).normal(size=64 * HOP) * 0.1
    n = np.arange(len(noise))
    at, off = (noise + 0.02 * np.sin(2 * np.pi * n * k / HOP) for k in (3, 3.5))
    assert vocoder_metrics.frame_rate_buzz(at, noise, HOP) > 1.5
    assert abs(vocoder_metrics.frame_rate_buzz(off, noise, HOP)) < 0.3


def test_what_nobody_hears_is_no_buzz():
    """A frame-rate pulse 100 dB below the peak, where the real sound is silent."""
    real = np.concatenate([np.random.default_rng(0).normal(size=8 * HOP), np.zeros(24 * HOP)])
    pulses = np.tile(np.eye(1, HOP, HOP // 2)[0], 32)
    assert vocoder_metrics.frame_rate_buzz(real + 4e-5 * pulses, real, HOP) < 0.1
    assert vocoder_metrics.frame_rate_buzz(real + 4e-2 * pulses, real, HOP) > 6


def test_noise_is_no_buzz_even_beside_a_steady_tone():
    n = np.arange(64 * HOP)
    tone = 0.5 * np.sin(2 * np.pi * n * 3.37 / HOP)
    found = [vocoder_metrics.frame_rate_buzz(tone + s * np.random.default_rng(0).normal(size=len(n)), tone, HOP)
             for s in (0.01, 1.0)]
    assert max(map(abs, found)) < 0.5


# -- which fault moves which figure -----------------------------------------------------------------------------------

def test_identity_is_nothing(real):
    only(figures(real, real), set(), dict.fromkeys(FIGURES, 0))


def test_the_sign_is_nothing(real):
    only(figures(-real, real), set(), dict.fromkeys(FIGURES, 1e-12))


def test_both_sounds_softer_is_nothing_but_for_the_floor():
    loud, other = (np.random.default_rng(seed).normal(size=8_000) * 0.2 for seed in (0, 1))
    softer = figures(loud / 4, other / 4)
    assert softer == pytest.approx(figures(loud, other), rel=1e-2)


def test_noise(real):
    made = [real + level * np.random.default_rng(1).normal(size=len(real)) for level in (1e-4, 1e-3, 1e-2)]
    found = [figures(wave, real) for wave in made]
    for name in ("log_mel_l1", "stft", "stft_log_magnitude", "onset_error", "edge_click"):
        assert 0 <= found[0][name] < found[1][name] < found[2][name], name
    only(found[1], {"log_mel_l1", "stft", "stft_log_magnitude", "onset_error"},
         {"stft_convergence": 0.02, "edge_click": 0.01, "dc_offset": 1e-3, "frame_rate_buzz": 0.5})


def test_five_milliseconds_late(real):
    found = figures(np.roll(real, 80), real)
    assert found["onset_error"] > 8
    only(found, {"log_mel_l1", "stft", "stft_convergence", "stft_log_magnitude", "onset_error"},
         {"edge_click": 1e-3, "dc_offset": 1e-3, "frame_rate_buzz": 0.5})


def test_smeared_attack(real):
    """Blurred by 10 ms in both directions, as overlapping frames without the right phases do."""
    blur = np.hanning(321)
    made = np.convolve(real, blur * np.random.default_rng(0).choice([-1, 1], 321), mode="same")
    made *= np.linalg.norm(real) / np.linalg.norm(made)
    assert figures(made, real)["onset_error"] > 5
    louder = figures(real * 1.122, real)  # by 1 dB: the level is not what counts here
    assert louder["onset_error"] < 1


def test_dc(real):
    found = figures(real + 0.005, real)
    assert found["dc_offset"] == pytest.approx((abs(real.mean() + 0.005) - abs(real.mean())) / np.abs(real).max())
    only(found, {"dc_offset", "log_mel_l1", "stft", "stft_convergence", "stft_log_magnitude", "onset_error",
                 "edge_click"}, {"frame_rate_buzz": 1e-9})
    assert found["edge_click"] == pytest.approx(0.005 / np.abs(real).max())  # it begins with a step
    assert found["stft_convergence"] < 0.1


def test_frame_rate_buzz(real):
    buzz = np.tile(np.eye(1, HOP, HOP // 2)[0], 16)[:len(real)] * 0.004  # a pulse a frame, 43 dB below the peak
    found = figures(real + buzz, real)
    assert found["frame_rate_buzz"] > 1
    only(found, {"frame_rate_buzz", "log_mel_l1", "stft", "stft_convergence", "stft_log_magnitude", "onset_error"},
         {"edge_click": 1e-9, "dc_offset": 1e-3})


def test_a_click_at_the_end(real):
    made = real.copy()
    made[-1] += 0.2
    found = figures(made, real)
    assert found["edge_click"] == pytest.approx(0.2 / np.abs(real).max(), rel=1e-2)
    assert (found["onset_error"], found["frame_rate_buzz"]) == (0, 0)  # 8,000 is not a multiple of the hop


# -- silence and bad input --------------------------------------------------------------------------------------------

def test_silence_gives_finite_figures(real):
    silence = np.zeros_like(real)
    for made, truth in ((silence, real), (real, silence), (silence, silence)):
        found = [vocoder_metrics.log_mel_l1(made, truth, SEED), *vocoder_metrics.stft_distance(made, truth),
                 vocoder_metrics.onset_error_db(made, truth, RATE), vocoder_metrics.edge_click(made, truth),
                 vocoder_metrics.dc_offset(made, truth), vocoder_metrics.frame_rate_buzz(made, truth, HOP)]
        assert np.isfinite(found).all()
        assert made is not truth or not any(found)


@pytest.mark.parametrize("samples", [1, 2, 40, 700])
def test_any_length_gives_finite_figures(samples):
    made, truth = np.random.default_rng(0).normal(size=(2, samples))
    assert np.isfinite(list(figures(made, truth).values())).all()


def test_bad_sounds_are_refused():
    good = np.ones(2_000)
    for pair, message in (((good, good[1:]), "2000 samples, its real one 1999"),
                          ((good[None], good), r"generated sound has shape \(1, 2000\)"),
                          ((good, np.append(good[1:], np.nan)), "real sound has 1 samples that are not finite"),
                          ((good[:0], good[:0]), r"shape \(0,\)")):
        with pytest.raises(MelGANError, match=message):
            measure_pairs([pair], SEED)


def test_no_tensorflow_is_imported():
    program = "import sys, melgan_tf.evaluation.vocoder_metrics; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
