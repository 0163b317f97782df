"""Figures of merit: hand-made points, an independent square root, and which way each figure moves under degradation."""

import json
import subprocess
import sys

import numpy as np
import pytest
from scipy.linalg import sqrtm

from melgan_tf import evaluation
from melgan_tf.errors import MelGANError, UsageError

FRAMES, BINS = 16, 64


def drum_like(n, seed, kinds=8, grain_db=1.5):
    """Mels in dB of n made-up strokes: a resonance that decays, of one of several kinds, over faint noise."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, kinds, n)[:, None, None]
    level = 30 + rng.normal(0, 4, (n, 1, 1))
    centre = 4 + 7 * kind + rng.normal(0, 1.5, (n, 1, 1))
    decay = 1.5 + 0.6 * kind + rng.exponential(0.5, (n, 1, 1))
    time, band = np.arange(FRAMES)[:, None], np.arange(BINS)
    mel_db = level - decay * time - 1.5 * np.abs(band - centre) + rng.normal(0, grain_db, (n, FRAMES, BINS))
    return np.maximum(mel_db, -100.0)


@pytest.fixture(scope="module")
def reference():
    return drum_like(240, seed=0)


@pytest.fixture(scope="module")
def honest(reference):
    return evaluation.evaluate(drum_like(120, seed=1), reference)


# -- the embedding ---------------------------------------------------------------------------------------------------

def test_embedding_is_level_in_db_and_nothing_else_for_a_constant_sound():
    points = evaluation.embed(np.full((2, FRAMES, BINS), -30.0))
    expected = np.zeros((2, 28))
    expected[:, 0] = -30
    np.testing.assert_allclose(points, expected, atol=1e-12)


def test_a_softer_sound_moves_the_level_alone():
    mel_db = drum_like(5, seed=3)
    difference = evaluation.embed(mel_db - 6) - evaluation.embed(mel_db)
    np.testing.assert_allclose(difference[:, 0], -6, atol=1e-9)
    np.testing.assert_allclose(difference[:, 1:], 0, atol=1e-9)


def test_cosines_keep_the_mean_square():
    curve = np.random.default_rng(0).normal(size=BINS)
    assert np.sum((curve @ evaluation._cosines(BINS)) ** 2) == pytest.approx(np.mean(curve ** 2))


def test_embedding_barely_depends_on_the_number_of_bands():
    mel_db = drum_like(20, seed=4, grain_db=0.0)
    coarse = mel_db.reshape(20, FRAMES, BINS // 2, 2).mean(axis=3)
    np.testing.assert_allclose(evaluation.embed(coarse)[:, :24], evaluation.embed(mel_db)[:, :24], atol=0.2)


def test_roughness_measures_independent_noise_and_ignores_an_exponential_decay():
    noise = np.random.default_rng(0).normal(0, 3, (4, 200, BINS))
    np.testing.assert_allclose(evaluation.embed(noise)[:, 24:], 10 * np.log10(1 + 3), atol=0.15)
    decay = np.broadcast_to(-5.0 * np.arange(FRAMES)[:, None], (1, FRAMES, BINS))
    np.testing.assert_allclose(evaluation.embed(decay)[:, 24:], 0, atol=1e-9)


def test_roughness_tells_stripes_from_clicks_and_low_bands_from_high():
    stripes = np.zeros((1, FRAMES, BINS))
    stripes[:, :, 40::2] = 10  # along frequency, in the upper half
    found = evaluation.embed(stripes)[0, 24:]
    assert found[1] > 5
    np.testing.assert_allclose(found[[0, 2, 3]], 0, atol=1e-9)
    clicks = np.zeros((1, FRAMES, BINS))
    clicks[:, ::2, :20] = 10  # along time, in the lower half
    found = evaluation.embed(clicks)[0, 24:]
    assert found[2] > 5
    np.testing.assert_allclose(found[[1, 3]], 0, atol=1e-9)


def test_floor_makes_two_kinds_of_silence_equal():
    hum, silence = (np.full((1, FRAMES, BINS), level) for level in (-90.0, -100.0))
    np.testing.assert_array_equal(evaluation.embed(hum, floor_db=-40), evaluation.embed(silence, floor_db=-40))
    assert evaluation.embed(hum)[0, 0] != evaluation.embed(silence)[0, 0]


@pytest.mark.parametrize(("frames", "bins"), [(1, 64), (2, 64), (16, 1), (16, 3), (400, 80)])
def test_embedding_takes_any_size(frames, bins):
    points = evaluation.embed(np.random.default_rng(0).normal(size=(3, frames, bins)))
    assert points.shape[0] == 3
    assert points.shape[1] <= 28
    assert np.isfinite(points).all()


def test_standardise_uses_the_real_set_for_both():
    real, other = evaluation.standardise(np.array([[0.0, 5.0], [4.0, 5.0]]), np.array([[6.0, 6.0]]))
    np.testing.assert_allclose(real, [[-1, 0], [1, 0]])
    np.testing.assert_allclose(other, [[2, 1 / evaluation.MIN_DEVIATION_DB]])


# -- Fréchet distance ------------------------------------------------------------------------------------------------

def test_frechet_distance_by_hand():
    """One dimension: (1 - 4)^2 + (s1 - s2)^2, with variances 2 and 8 from (0, 2) and (2, 6)."""
    distance = evaluation.frechet_distance(np.array([[0.0], [2.0]]), np.array([[2.0], [6.0]]))
    assert distance == pytest.approx(9 + (np.sqrt(8) - np.sqrt(2)) ** 2)


def test_frechet_distance_agrees_with_scipy():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(200, 6)) @ rng.normal(size=(6, 6))
    b = rng.normal(size=(150, 6)) @ rng.normal(size=(6, 6)) + 0.7
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    mean = a.mean(axis=0) - b.mean(axis=0)
    expected = mean @ mean + np.trace(cov_a + cov_b - 2 * sqrtm(cov_a @ cov_b).real)
    assert evaluation.frechet_distance(a, b) == pytest.approx(expected, rel=1e-9)
    assert evaluation.frechet_distance(b, a) == pytest.approx(expected, rel=1e-9)


def test_frechet_distance_of_equal_sets_is_nothing_even_with_a_singular_covariance():
    points = np.random.default_rng(0).normal(size=(4, 28)) * 100
    assert 0 <= evaluation.frechet_distance(points, points) < 1e-7


def test_frechet_distance_of_two_single_repeated_points_is_the_squared_step():
    assert evaluation.frechet_distance(np.zeros((5, 3)), np.full((7, 3), 2.0)) == pytest.approx(12)


# -- neighbourhoods, on a line --------------------------------------------------------------------------------------

REAL = np.array([[0.0], [1.0], [2.0], [10.0]])  # radii for k = 1: 1, 1, 1, 8


def test_neighbourhood_figures_by_hand():
    fake = np.array([[0.5], [1.5], [30.0], [31.0]])  # radii for k = 1: 1, 1, 1, 1
    assert evaluation.precision(REAL, fake, k=1) == 0.5  # 0.5 and 1.5
    assert evaluation.coverage(REAL, fake, k=1) == 0.75  # all but 10, whose ball [2, 18] is empty
    assert evaluation.density(REAL, fake, k=1) == pytest.approx((2 + 2) / 4)  # 0.5 in two balls, 1.5 in two
    assert evaluation.recall(REAL, fake, k=1) == 0.75  # 0 to 1 and 2 lie within 1 of 0.5 or 1.5


def test_the_ball_is_closed_and_k_counts_others_only():
    assert evaluation.precision(REAL, np.array([[-1.0], [-1.0 - 1e-9]]), k=1) == 0.5
    assert evaluation.precision(REAL, np.array([[-2.0], [-2.0 - 1e-9]]), k=2) == 0.5  # radii 2, 1, 2, 9


def test_density_divides_by_k():
    assert evaluation.density(REAL, REAL[:1], k=2) == pytest.approx(3 / 2)  # 0 lies in the balls of 0, 1 and 2


def test_coverage_of_equal_distributions_is_near_its_expectation():
    rng = np.random.default_rng(0)
    real, fake = rng.normal(size=(2, 1000, 5))
    assert evaluation.coverage(real, fake, k=5) == pytest.approx(1 - 2 ** -5, abs=0.015)
    assert evaluation.density(real, fake, k=5) == pytest.approx(1, abs=0.07)


def test_spread_nearest_and_duplicates_by_hand():
    points = np.array([[0.0], [1.0], [5.0]])
    assert evaluation.spread(points) == pytest.approx((1 + 5 + 4) / 3)
    assert evaluation.spread(np.ones((4, 2))) == 0
    assert evaluation.nearest_distance(REAL, np.array([[1.5], [5.0], [11.0]])) == 1.0  # of 0.5, 3, 1
    assert evaluation.near_duplicates(points, 1.0) == pytest.approx(2 / 3)
    assert evaluation.near_duplicates(points, 0.9) == 0


# -- whole reports ---------------------------------------------------------------------------------------------------

def test_same_distribution_is_near_the_floor(honest):
    generated, floor = honest.generated, honest.floor
    assert generated.frechet < 1.5 * floor.frechet
    assert min(generated.coverage, floor.coverage) > 0.9
    assert min(generated.precision, generated.recall) > 0.8
    assert generated.spread == pytest.approx(floor.spread, abs=0.1)
    assert generated.nearest == pytest.approx(floor.nearest, rel=0.2)
    assert 0.1 < floor.nearest < 1  # in units of the real spread
    assert generated.duplicates == 0
    assert "collapsed" not in honest.conclusion


def test_reference_against_itself_is_no_worse_than_the_floor(reference):
    report = evaluation.evaluate(reference, reference)
    assert report.generated.coverage >= report.floor.coverage - 0.02
    assert report.generated.frechet <= report.floor.frechet


def test_dropped_modes_lose_variety_but_not_precision(reference, honest):
    few = evaluation.evaluate(drum_like(120, seed=2, kinds=2), reference)
    assert few.generated.coverage < 0.6 * honest.generated.coverage
    assert few.generated.recall < 0.6 * honest.generated.recall
    assert few.generated.spread < 0.8 * honest.generated.spread
    assert few.generated.precision > 0.9 * honest.generated.precision
    assert few.generated.frechet > 2 * honest.generated.frechet
    assert "variety" in few.conclusion or "collapsed" in few.conclusion


@pytest.mark.parametrize("grain_db", [4.0, 8.0])
def test_grain_lowers_precision_and_raises_frechet(reference, honest, grain_db):
    rough = evaluation.evaluate(drum_like(120, seed=1, grain_db=grain_db), reference)
    assert rough.generated.precision < 0.5 * honest.generated.precision
    assert rough.generated.coverage < 0.5 * honest.generated.coverage
    assert rough.generated.frechet > 5 * honest.generated.frechet
    assert "far from any real one" in rough.conclusion


def test_more_blur_is_farther_away(reference, honest):
    def blurred(width):
        mel_db = drum_like(120, seed=1)
        return np.repeat(mel_db.reshape(120, FRAMES, BINS // width, width).mean(axis=3), width, axis=2)

    distances = [evaluation.evaluate(blurred(width), reference).generated.frechet for width in (1, 4, 16)]
    assert distances[0] == honest.generated.frechet
    assert distances[0] < distances[1] < distances[2]


def test_copies_of_one_sound_are_a_collapse(reference):
    report = evaluation.evaluate(np.repeat(reference[:1], 120, axis=0), reference)
    assert report.generated.spread == 0
    assert report.generated.duplicates == 1
    assert report.generated.recall < 0.05
    assert report.generated.coverage < 0.2
    assert report.generated.precision == 1  # each copy is a real sound: precision alone would praise it
    assert report.conclusion.startswith("collapsed")


def test_a_few_sounds_over_and_over_are_a_collapse(reference):
    mels = reference[np.random.default_rng(0).integers(0, 20, 120)]
    report = evaluation.evaluate(mels + np.random.default_rng(1).normal(0, 0.3, mels.shape), reference)
    assert report.generated.spread > 0.7
    assert report.conclusion.startswith("collapsed")


def figures(**changes):
    values = {"frechet": 3.0, "precision": 0.95, "recall": 0.9, "density": 1.0, "coverage": 0.95, "spread": 1.0,
              "nearest": 0.35, "duplicates": 0.0}
    return evaluation.Figures(**values | changes)


@pytest.mark.parametrize(("changes", "beginning"), [
    ({}, "close to the real-vs-real floor"),
    ({"frechet": 4.0}, "varied and near"),
    ({"spread": 0.49}, "collapsed: the sounds are much more alike"),
    ({"duplicates": 0.6}, "collapsed: 60% of the sounds"),
    ({"coverage": 0.19}, "collapsed: the sounds are like only a few"),
    ({"coverage": 0.19, "precision": 0.1}, "many sounds lie far from any real one (precision 0.10) and much of"),
    ({"recall": 0.4}, "much of the real variety is missing"),
    ({"precision": 0.5}, "many sounds lie far"),
])
def test_conclusions(changes, beginning):
    report = evaluation.Report(figures(**changes), figures(), 144, 144, 288, 0, 5, evaluation.EMBEDDING, -30.0)
    assert report.conclusion.startswith(beginning)
    assert "\n" not in report.conclusion


def test_counts_are_equal_and_halves_disjoint(reference, monkeypatch):
    seen = []
    embed = evaluation.embed
    monkeypatch.setattr(evaluation, "embed", lambda mels, floor_db: seen.append(mels) or embed(mels, floor_db))
    report = evaluation.evaluate(drum_like(50, seed=1), reference[:81], seed=7)
    assert [len(mels) for mels in seen] == [40, 40, 40]
    assert (report.sounds, report.fake_sounds, report.reference_sounds, report.seed, report.k) == (40, 50, 81, 7, 5)
    assert len({mel.tobytes() for mels in seen[:2] for mel in mels}) == 80
    assert "only 40 sounds" in report.conclusion


def test_very_many_sounds_are_cut_to_what_fits_in_memory(reference, monkeypatch):
    monkeypatch.setattr(evaluation, "MOST_SOUNDS", 30)
    assert evaluation.evaluate(drum_like(50, seed=1), reference).sounds == 30


def test_figures_do_not_depend_on_the_order_of_the_generated_sounds_but_on_the_seed(reference, honest):
    fake = drum_like(120, seed=1)
    assert evaluation.evaluate(fake[::-1], reference).generated.coverage == honest.generated.coverage
    assert evaluation.evaluate(fake, reference).to_dict() == honest.to_dict()
    assert evaluation.evaluate(fake, reference, seed=1).floor != honest.floor


def test_generated_sounds_sorted_by_kind_are_sampled_fairly(reference):
    fake = drum_like(600, seed=1)
    fake = fake[np.argsort(fake.argmax(axis=2)[:, 0])]
    assert evaluation.evaluate(fake, reference).generated.coverage > 0.85


def test_report_is_json_and_makes_a_table(honest):
    values = json.loads(json.dumps(honest.to_dict(), allow_nan=False))
    assert values["sounds"] == 120
    assert values["embedding"] == evaluation.EMBEDDING
    assert values["generated"]["coverage"] == honest.generated.coverage
    assert values["conclusion"] == honest.conclusion
    rows = honest.rows()
    assert rows[0] == ("Fréchet distance", honest.generated.frechet, honest.floor.frechet, "lower")
    assert rows[4] == ("coverage", honest.generated.coverage, honest.floor.coverage, "higher")
    assert len(rows) == 8


def unfinite(mels):
    mels = mels.copy()
    mels[0, 0, 0] = np.nan
    return mels


@pytest.mark.parametrize(("change", "message"), [
    (lambda fake, real: (fake, real[:11]), "11 real sounds are too few to evaluate: give at least 12"),
    (lambda fake, real: (fake[:5], real), "5 generated sounds are too few to evaluate: give at least 6"),
    (lambda fake, real: (fake[:, :9], real), r"\(9, 64\), reference mels \(16, 64\)"),
    (lambda fake, real: (fake[0], real), r"generated mels have shape \(16, 64\)"),
    (lambda fake, real: (fake, real[:0]), r"reference mels have shape \(0, 16, 64\)"),
    (lambda fake, real: (unfinite(fake), real), "generated mels hold 1 values that are not finite"),
    (lambda fake, real: (fake, np.repeat(real[:1], 20, axis=0)), "20 reference sounds are all alike"),
])
def test_unusable_sounds_are_refused_in_one_line(reference, change, message):
    with pytest.raises(MelGANError, match=message) as caught:
        evaluation.evaluate(*change(drum_like(20, seed=1), reference))
    assert "\n" not in str(caught.value)


def test_twelve_real_sounds_are_enough(reference):
    assert evaluation.evaluate(drum_like(6, seed=1), reference[:12]).sounds == 6


@pytest.mark.parametrize("option", [{"k": 0}, {"seed": -1}])
def test_options_out_of_range_are_usage_errors(reference, option):
    with pytest.raises(UsageError, match="give 1 or more and 0 or more"):
        evaluation.evaluate(reference, reference, **option)


@pytest.mark.parametrize("call", [
    lambda: evaluation.frechet_distance(np.zeros((1, 2)), np.zeros((5, 2))),
    lambda: evaluation.frechet_distance(np.zeros((5, 2)), np.zeros((5, 3))),
    lambda: evaluation.precision(REAL, REAL, k=4),
    lambda: evaluation.coverage(REAL, REAL, k=0),
    lambda: evaluation.recall(REAL, np.zeros((4, 2)), k=1),
    lambda: evaluation.nearest_distance(REAL, np.full((1, 1), np.inf)),
])
def test_unusable_points_are_refused(call):
    with pytest.raises(MelGANError):
        call()


# -- waveforms -------------------------------------------------------------------------------------------------------

def test_waveform_figures_by_hand():
    audio = np.zeros((4, 1000))
    audio[0, 100:] = 0.5  # onset at 100 ms, mean 0.45
    audio[1, 300:320] = -1.0  # clipped, onset at 300 ms, mean -0.02
    audio[2, 199:203] = 0.02, 0.8, 1.0, 1.0  # only two samples at full scale; 0.02 is below a tenth; mean 0.00282
    found = evaluation.waveform_figures(audio, 1000)
    assert found["sounds"] == 4
    assert found["silent"] == 0.25
    assert found["clipped"] == 0.25
    assert found["onset_ms"] == 200
    assert found["peak"] == 1.0
    assert found["dc_offset"] == pytest.approx((0.00282 + 0.02) / 2)


def test_alternating_full_scale_is_not_clipping():
    assert evaluation.waveform_figures(np.tile([1.0, -1.0], (1, 50)), 1000)["clipped"] == 0


def test_silence_has_no_peak_and_no_onset():
    found = evaluation.waveform_figures(np.zeros((3, 2)), 16_000)
    assert (found["silent"], found["peak"], found["onset_ms"]) == (1.0, None, None)
    json.dumps(found, allow_nan=False)


def test_unusable_waveforms_are_refused():
    with pytest.raises(MelGANError, match="waveforms have shape"):
        evaluation.waveform_figures(np.zeros(100), 16_000)
    with pytest.raises(UsageError, match="sample_rate is 0"):
        evaluation.waveform_figures(np.zeros((1, 100)), 0)


def test_no_tensorflow_and_no_scipy_are_imported():
    code = ("import sys, melgan_tf.evaluation, melgan_tf.pictures; "
            "print([m for m in ('tensorflow', 'keras', 'scipy', 'PIL') if m in sys.modules])")
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
