"""Copy synthesis: means over sounds, and a vocoder measured as a whole."""

from __future__ import annotations

import json
import weakref

import numpy as np
import pytest
from copy_synthesis import FIGURES, HOP, RATE, SEED, figures
from drums import decaying as drum

from melgan_tf.errors import MelGANError
from melgan_tf.evaluation import vocoder_metrics
from melgan_tf.evaluation.tables import rows, to_json
from melgan_tf.evaluation.vocoder_metrics import measure_pairs, measure_vocoder

FIELDS = [name.replace("onset_error", "onset_error_db") for name in FIGURES]


@pytest.fixture(scope="module")
def real() -> np.ndarray:
    return drum()


# -- means over sounds ------------------------------------------------------------------------------------------------

def test_every_sound_counts_the_same_however_long():
    pairs = [(drum(1), drum(0)), (drum(2, samples=30_000) * 0.5, drum(3, samples=30_000))]
    one, other, both = (to_json(measure_pairs(iter(part), SEED)) for part in (pairs[:1], pairs[1:], pairs))
    for name in FIGURES:
        assert both[name] == pytest.approx((one[name] + other[name]) / 2), name
        expected = {"stft": both["stft_convergence"] + both["stft_log_magnitude"]}.get(name, both[name])
        assert both[name] == pytest.approx(expected)


def test_each_figure_is_stored_under_its_own_name():
    made, real = drum(1) * 0.5 + 0.01, drum(0)
    stft = vocoder_metrics.stft_distance(made, real)
    assert figures(made, real) == pytest.approx({
        "log_mel_l1": vocoder_metrics.log_mel_l1(made, real, SEED), "stft": stft.total,
        "stft_convergence": stft.convergence, "stft_log_magnitude": stft.log_magnitude,
        "onset_error": vocoder_metrics.onset_error_db(made, real, RATE),
        "edge_click": vocoder_metrics.edge_click(made, real), "dc_offset": vocoder_metrics.dc_offset(made, real),
        "frame_rate_buzz": vocoder_metrics.frame_rate_buzz(made, real, HOP)})


def test_silent_sounds_are_left_out_and_counted(real):
    silent = np.full_like(real, 5e-5)
    found = measure_pairs([(real, silent), (real * 0.5, real)], SEED)
    assert (found.sounds, found.silent) == (1, 1)
    assert found.stft == measure_pairs([(real * 0.5, real)], SEED).stft
    with pytest.raises(MelGANError, match="no sound to measure, 1 silent"):
        measure_pairs([(real, silent)], SEED)


def test_sounds_are_held_one_at_a_time(real):
    given = []

    def pairs():
        for _ in range(5):
            assert sum(reference() is not None for reference in given) <= 2  # the pair just measured
            pair = real * 0.5, real.copy()
            given.extend(map(weakref.ref, pair))
            yield pair
            del pair

    assert measure_pairs(pairs(), SEED).sounds == 5


def test_json_and_rows(real):
    found, baseline = measure_pairs([(real * 0.5, real)], SEED), measure_pairs([(real * 0.9, real)], SEED)
    values = json.loads(json.dumps(to_json(found)))
    assert list(values) == ["sounds", "silent", *FIGURES, "idle_peak", "idle_dc_offset", "speed"]
    assert values["onset_error"] == found.onset_error_db
    table = rows(found, baseline)
    assert table[0] == ("log mel, dB", f"{found.log_mel_l1:.4g}", f"{baseline.log_mel_l1:.4g}", "lower")
    assert table[-1] == ("times real time", "-", "-", "higher")


# -- a vocoder --------------------------------------------------------------------------------------------------------

def analyze(waveform):
    """Something of the right shape: whole frames of samples."""
    assert waveform.dtype == np.float32
    frames = SEED.frames(waveform.shape[1])
    padded = np.pad(waveform[0], (0, frames * HOP - waveform.shape[1]))
    return padded.reshape(1, frames, HOP)


def test_a_perfect_vocoder_of_sounds_of_any_length():
    seen = []

    def vocode(mel):
        seen.append(mel)
        return mel.reshape(1, -1)

    found = measure_vocoder(vocode, (drum(samples=n, onset=n // 4) for n in (8_000, 5_120, 900)), SEED, analyze)
    assert {name: getattr(found, name) for name in FIELDS} == dict.fromkeys(FIELDS, 0)
    assert (found.sounds, found.idle_peak, found.idle_dc_offset) == (3, 0, 0)
    assert found.speed > 0
    assert not seen[0].any()  # silence, before anything is timed
    assert [mel.shape[1] for mel in seen] == [16, 16, 11, 3]  # 900 samples become 1,024


def test_a_vocoder_that_hums_in_silence():
    found = measure_vocoder(lambda mel: mel.reshape(1, -1) + 0.25, [drum()], SEED, analyze)
    assert (found.idle_peak, found.idle_dc_offset) == (0.25, 0.25)
    assert found.dc_offset > 0.2


def test_speed_is_seconds_of_sound_per_second(monkeypatch):
    clock = iter([10.0, 10.5, 20.0, 20.5])
    monkeypatch.setattr(vocoder_metrics.time, "perf_counter", lambda: next(clock))
    found = measure_vocoder(lambda mel: mel.reshape(1, -1), [drum(), drum()], SEED, analyze)
    assert found.speed == pytest.approx(2 * 8_192 / RATE / 1.0)


def test_what_is_no_vocoder_is_refused():
    for made, message in ((lambda mel: mel.reshape(-1), r"vocoder returned shape \(8192,\)"),
                          (lambda mel: mel.reshape(2, -1), r"vocoder returned shape \(2, 4096\)"),
                          (lambda mel: mel.reshape(1, -1)[:, :4_096], "4096"),
                          (lambda mel: np.repeat(mel.reshape(1, -1), 2, 1), "16384 samples .* hop_samples=512"),
                          (lambda mel: mel.reshape(1, -1) * np.nan, "not finite")):
        with pytest.raises(MelGANError, match=message):
            measure_vocoder(made, [drum()], SEED, analyze)
    with pytest.raises(MelGANError, match="no sound to measure"):
        measure_vocoder(lambda mel: mel.reshape(1, -1), [], SEED, analyze)


def test_griffin_lim_lies_between_the_real_sound_and_silence():
    from melgan_tf.dsp.griffin_lim import mel_to_waveform
    from melgan_tf.dsp.spectral import mel_spectrogram

    sounds = [drum(0), drum(1, samples=6_000)]
    found = measure_vocoder(lambda mel: mel_to_waveform(mel, SEED, iterations=8), sounds, SEED,
                    lambda waveform: mel_spectrogram(waveform, SEED))
    nothing = measure_pairs([(wave * 0, wave) for wave in sounds], SEED)
    assert 0 < found.log_mel_l1 < 0.3 * nothing.log_mel_l1
    assert 0 < found.stft < nothing.stft
    assert 0 < found.onset_error_db < 0.5 * nothing.onset_error_db
    assert found.idle_peak == 0
