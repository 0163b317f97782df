"""All metrics by one function: honest sounds come near the baseline; every degradation moves the right metrics."""

import dataclasses
import json
import types

import numpy as np
import pytest
import soundfile
import soxr
from drums import drum

from melgan_tf.errors import MelGANError, UsageError
from melgan_tf.evaluation import DrumEmbedding, compare, compare_sounds, frechet_distance
from melgan_tf.evaluation.comparison import Comparison, EmbeddingMetrics, grade
from melgan_tf.evaluation.sounds import SoundSet, load_window_set

RATE, SAMPLES, COUNT = 16_000, 8_000, 72
KINDS = ("kick", "snare", "hat")


def strokes(seed, count=COUNT, kinds=KINDS):
    """Made-up drums of half a second, one kind after the other."""
    rng = np.random.default_rng(seed)
    sounds = [drum(kinds[i % len(kinds)], rng) for i in range(count)]
    return np.stack([np.pad(sound, (0, SAMPLES - len(sound))) for sound in sounds])


def labels(count=COUNT):
    return [KINDS[i % 3] for i in range(count)]


def noisy(audio, snr_db, seed=5):
    noise = np.random.default_rng(seed).standard_normal(audio.shape)
    return audio + noise * np.sqrt((audio ** 2).mean(axis=1, keepdims=True)) * 10 ** (-snr_db / 20)


def sound_set(audio, labels=None, rate=RATE, names=None):
    return audio if audio is None else SoundSet(audio, rate, names or tuple(map(str, range(len(audio)))), labels)


def evaluated(fake, real, train=None, fake_labels=None, reference_labels=None, rate=RATE, real_rate=RATE,
              train_names=None, **options):
    return compare_sounds(sound_set(fake, fake_labels, rate), sound_set(real, reference_labels, real_rate),
                          sound_set(train, rate=real_rate, names=train_names), **options)


@pytest.fixture(scope="module")
def real():
    return strokes(0)


@pytest.fixture(scope="module")
def train():
    return strokes(1)


@pytest.fixture(scope="module")
def compared(real, train):
    def against(fake, **options):
        return evaluated(fake, real, train, **options)

    return against


@pytest.fixture(scope="module")
def honest(compared):
    return compared(strokes(2))


def spaces(found):
    return (found.drums.generated, found.spectra.generated, found.statistics.generated)


def test_honest_sounds_come_near_the_baseline(honest):
    for one in (honest.drums, honest.spectra, honest.statistics):
        made, baseline = one.generated, one.baseline
        assert made.frechet < 1.5 * baseline.frechet
        assert abs(made.kad) < 3 * abs(baseline.kad) + 3
        assert min(made.precision, made.recall, baseline.precision, baseline.recall) > 0.8
        assert min(made.coverage, baseline.coverage) > 0.85
        assert 0.7 < made.density < 3
        assert made.diversity == pytest.approx(1, abs=0.15)
        assert made.duplicates <= baseline.duplicates + 0.15  # made-up kicks are much alike
    assert honest.classes.generated.inception == pytest.approx(honest.classes.baseline.inception, rel=0.1)
    assert honest.classes.generated.mix_difference < 0.05
    assert honest.memorization.share < 0.1
    assert "collapsed" not in honest.conclusion
    assert "copies" not in honest.conclusion


def test_noise_raises_distances_and_lowers_precision(compared, honest):
    found = compared(noisy(strokes(2), 20))
    for made, fair in zip(spaces(found), spaces(honest), strict=True):
        assert made.frechet > 5 * fair.frechet
        assert made.kad > 5 * abs(fair.kad)
        assert made.precision < 0.8 * fair.precision
        assert made.coverage < 0.6 * fair.coverage


def test_more_noise_is_farther(real):
    """What training does at every checkpoint."""
    embedding = DrumEmbedding()
    held_out = embedding.embed(real, RATE)
    distances = [frechet_distance(held_out, embedding.embed(noisy(strokes(2), snr_db), RATE))
                 for snr_db in (100, 40, 30, 20, 10, 0)]
    assert distances == sorted(distances)
    assert distances[-1] > 20 * distances[0]


def test_a_dropped_class_loses_variety_and_not_precision(compared, honest):
    found = compared(strokes(2, kinds=("snare", "hat")), fake_labels=None)
    for made, fair in zip(spaces(found), spaces(honest), strict=True):
        assert made.coverage < 0.8 * fair.coverage
        assert made.frechet_infinity > fair.frechet_infinity + 1
        assert made.precision > 0.8 * fair.precision
    assert min(made.recall for made in spaces(found)) < 0.8 * min(fair.recall for fair in spaces(honest))
    assert found.classes.generated.mix_difference > 0.25
    kick = next(row for row in found.of_class if row.name == "kick")
    assert kick.generated == 0
    assert kick.coverage < 0.1
    assert kick.baseline_coverage > 0.7
    snare = next(row for row in found.of_class if row.name == "snare")
    assert snare.coverage > 0.8


def test_copies_of_training_sounds_are_named(compared, train):
    fake = np.concatenate([strokes(2, COUNT - 12), 0.7 * train[5:17]])
    found = compared(fake, train_names=[f"kit/{i}.wav" for i in range(COUNT)]).memorization
    named = {(pair.generated, pair.training) for pair in found.named}
    assert {(str(COUNT - 12 + i), f"kit/{5 + i}.wav") for i in range(12)} <= named
    assert 12 / COUNT <= found.share < 12 / COUNT + 0.08  # made-up kicks are much alike
    assert found.real_share < 0.05
    assert found.shared == 0
    assert all(pair.log_mel_db < 0.01 for pair in found.named[:12])


def test_nothing_but_copies_is_said_in_the_conclusion(compared, train):
    found = compared(train)
    assert found.memorization.share == 1
    assert "100% of the sounds are near copies of training sounds" in found.conclusion
    assert found.memorization.log_mel_db < 0.01 < 1 < found.memorization.real_log_mel_db
    assert len(found.memorization.named) == 20


@pytest.mark.parametrize("count", [1, 6])
def test_a_few_sounds_over_and_over_are_a_collapse(compared, real, count):
    found = compared(np.tile(real[:count], (COUNT // count, 1)))
    for made in spaces(found):
        assert made.duplicates == 1
        assert made.recall < 0.1
        assert made.coverage < 0.6
        assert made.precision == 1  # each is a real sound: precision alone would praise it
        if count == 1:
            assert made.diversity < 1e-6
    assert found.conclusion.startswith("collapsed")


def test_dc_and_clicks_are_found_beside_the_reference(compared, honest):
    found = compared(strokes(2) + 0.05)
    assert found.artifacts.generated.dc_offset > 0.05 > 5 * found.artifacts.baseline.dc_offset
    assert found.artifacts.baseline.onset_error_ms == honest.artifacts.baseline.onset_error_ms


def humming(audio):
    return audio + 0.02 * np.sin(2 * np.pi * 62.5 * np.arange(audio.shape[1]) / RATE)


def late(audio):
    return np.pad(audio, ((0, 0), (160, 0)))[:, :audio.shape[1]]


@pytest.mark.parametrize(("degrade", "said"), [
    (humming, "hum of "), (late, "onsets off by 1"), (lambda audio: audio + 0.05, "a DC offset of "),
    (lambda audio: np.clip(3 * audio, -1, 1), "clipping in "),
    (lambda audio: audio * (np.arange(COUNT) % 9 > 0)[:, None], "silence in 11% of the sounds (real 0%)")])
def test_the_verdict_counts_what_one_hears(compared, honest, degrade, said):
    assert not honest.artifacts.generated.beyond(honest.artifacts.baseline)
    found = compared(degrade(strokes(2)))
    assert said in found.conclusion
    good = Comparison(metrics(), metrics())  # both embeddings are content
    content = dataclasses.replace(found, drums=good, spectra=good, statistics=good)
    assert content.conclusion.startswith("near the real sounds, but one hears ")
    assert "hard to tell" not in content.conclusion
    assert "hard to tell" in dataclasses.replace(content, artifacts=honest.artifacts).conclusion


def test_folders_of_ones_own_names_have_rows_of_their_own(compared):
    own = {"kick": "Kicks", "snare": "SNARE", "hat": "My hats"}
    named = [own[name] for name in labels()]
    rows = {row.name: row for row in compared(strokes(2), fake_labels=named, reference_labels=labels()).of_class}
    assert list(rows) == ["hat", "kick", "snare", "My hats"]
    assert [(row.generated, row.real) for row in rows.values()] == [(0, 24), (24, 24), (24, 24), (24, 0)]
    assert rows["kick"].generated_accuracy > 0.7
    assert (rows["My hats"].generated_accuracy, rows["My hats"].coverage) == (None, None)
    assert rows["My hats"].precision > 0.7


@pytest.mark.slow
def test_labels_give_accuracies_of_classes(compared):
    right = compared(strokes(2), fake_labels=labels(), reference_labels=labels())
    wrong = compared(strokes(2), fake_labels=np.roll(labels(), 1), reference_labels=labels())
    for name in KINDS:
        good, bad = (next(row for row in found.of_class if row.name == name) for found in (right, wrong))
        assert (good.generated, good.real) == (COUNT // 3, COUNT // 3)
        assert good.real_accuracy == bad.real_accuracy
        assert bad.generated_accuracy <= 0.5
    kick = next(row for row in right.of_class if row.name == "kick")
    assert kick.generated_accuracy > 0.7
    assert right.drums == wrong.drums
    assert sum(row.generated for row in right.of_class) == COUNT


def test_without_training_sounds_two_halves_of_the_reference_are_the_baseline(real):
    found = evaluated(strokes(2), real)
    assert (found.sounds, found.train_sounds, found.memorization) == (COUNT // 2, None, None)
    assert found.baseline == "two halves of the reference"
    assert found.drums.baseline.coverage > 0.85
    assert "only 36 sounds" in found.conclusion


@pytest.mark.slow
def test_same_input_same_digits_and_the_seed_decides(compared, honest):
    assert json.dumps(compared(strokes(2)).to_dict()) == json.dumps(honest.to_dict())
    few = [evaluated(strokes(2), strokes(0), seed=seed).drums for seed in (0, 1)]
    assert few[0] != few[1]


@pytest.mark.slow
def test_level_and_rate_and_length_of_files_do_not_matter(real, honest):
    finer = soxr.resample(strokes(2).T, RATE, 24_000, quality="HQ").T
    longer = np.pad(real, ((0, 0), (0, 4_000)))
    found = evaluated(0.3 * strokes(2), longer, strokes(1))
    assert found.drums.generated.frechet == pytest.approx(honest.drums.generated.frechet, rel=1e-3)
    found = evaluated(finer, real, strokes(1), rate=24_000)
    assert found.sample_rate == 24_000
    assert found.seconds == 0.5
    assert found.drums.generated.frechet < 2 * found.drums.baseline.frechet


def test_a_missing_treble_shows_above_16_khz_only_in_the_statistics():
    """What a network at 16 kHz cannot hear."""
    rng = np.random.default_rng(0)
    decay = np.exp(-np.arange(12_000) / 1_500)
    noise = rng.standard_normal((3, 60, 12_000)) * decay
    spectrum = np.fft.rfft(noise[2])
    spectrum[:, 4_200:] *= 0.001  # from 8.4 kHz up
    dull = np.fft.irfft(spectrum)
    found = evaluated(dull, *noise[:2], rate=24_000, real_rate=24_000)
    assert found.statistics.generated.frechet > 20 * found.statistics.baseline.frechet
    assert found.drums.generated.frechet < 3 * found.drums.baseline.frechet


def test_real_sounds_that_are_cut_are_faded(real):
    endless = 0.5 * np.random.default_rng(0).standard_normal((COUNT, 12_000))
    cut = compare.resampled(endless, RATE, RATE, SAMPLES)
    assert cut.shape == (COUNT, SAMPLES)
    assert np.abs(cut[:, -1]).max() < 1e-3
    np.testing.assert_array_equal(cut[:, :7_900], endless[:, :7_900].astype(np.float32))
    np.testing.assert_array_equal(compare.resampled(endless[:, :SAMPLES], RATE, RATE, SAMPLES),
                                  endless[:, :SAMPLES].astype(np.float32))


@pytest.mark.slow
def test_generated_sounds_sorted_by_kind_are_sampled_fairly(compared):
    many = strokes(3, 3 * COUNT)
    order = np.argsort([i % 3 for i in range(3 * COUNT)], kind="stable")
    assert compared(many[order]).drums.generated.coverage > 0.85


def test_very_many_sounds_are_cut_to_what_fits_in_memory(compared, monkeypatch):
    monkeypatch.setattr(compare, "MAX_SOUNDS", 30)
    assert compared(strokes(2)).sounds == 30


def test_report_is_json(honest):
    values = json.loads(json.dumps(honest.to_dict(), allow_nan=False))
    assert (values["sounds"], values["seed"], values["k"], values["sample_rate"]) == (COUNT, 0, 5, RATE)
    assert [values[key] for key in ("embedding", "spectra_embedding", "statistics_embedding")] == [
        "drum-classes-2", "log-spectra-1", "log-mel-statistics-2"]
    assert values["drums"]["generated"]["coverage"] == honest.drums.generated.coverage
    assert values["conclusion"] == honest.conclusion
    assert [row["name"] for row in values["of_class"]][:2] == ["clap", "cymbal"]
    assert "projection" not in values


def metrics(**changes):
    values = {"frechet": 3.0, "frechet_infinity": 1.0, "kad": 0.0, "precision": 0.95, "recall": 0.9, "density": 1.0,
              "coverage": 0.95, "diversity": 1.0, "duplicates": 0.0}
    return EmbeddingMetrics(**values | changes)


@pytest.mark.parametrize(("changes", "beginning"), [
    ({}, "close to the real-vs-real baseline"),
    ({"frechet": 4.0}, "varied and near"),
    ({"diversity": 0.49}, "collapsed: the sounds are much more alike"),
    ({"duplicates": 0.6}, "collapsed: 60% of the sounds"),
    ({"coverage": 0.19}, "collapsed: the sounds are like only a few"),
    ({"coverage": 0.19, "precision": 0.1}, "many sounds are far from any real one (precision 0.10) and much of"),
    ({"recall": 0.4}, "much of the real variety is missing"),
    ({"precision": 0.5}, "many sounds are far"),
])
def test_conclusions(changes, beginning):
    severity, sentence = grade(metrics(**changes), metrics())
    assert sentence.startswith(beginning)
    assert "\n" not in sentence
    assert (severity == 3) == beginning.startswith("collapsed")


def test_the_worst_of_the_embeddings_is_said_and_shown(honest):
    fair, poor = Comparison(metrics(), metrics()), Comparison(metrics(precision=0.1, kad=9.0), metrics())
    found = {name: dataclasses.replace(honest, **{"drums": fair, "spectra": fair, "statistics": fair, name: poor})
             for name in ("drums", "spectra", "statistics")}
    assert dataclasses.replace(found["drums"], drums=fair).conclusion.startswith("close to")
    far = "many sounds are far from any real one (precision 0.10)"
    assert found["drums"].conclusion.startswith(f"{far};")
    assert found["spectra"].conclusion.startswith(f"{far}, by log-spectra-1;")
    for name, embedding in (("drums", "drum-classes-2"), ("spectra", "log-spectra-1"),
                            ("statistics", "log-mel-statistics-2")):
        assert (found[name].merit["precision"], found[name].merit["kad"]) == (embedding, embedding)
        merit = found[name].to_dict()["merit"]["precision"]
        assert merit == {"embedding": embedding, "generated": 0.1, "floor": 0.95}


def test_the_figures_of_merit_stand_alone_unless_all_are_asked_for(honest):
    merit, = honest.tables(verbose=False)
    assert [row[0] for row in merit.rows] == [
        "Fréchet distance, of infinitely many", "kernel audio distance (KAD)", "precision", "recall", "coverage"]
    assert all(" ± 0.0" in cell for row in merit.rows[2:] for cell in row[1:3])
    assert honest.tables()[0] == merit
    assert len(honest.tables()) > 5


@pytest.mark.parametrize(("share", "real_share", "said"), [(0.04, 0.0, False), (0.2, 0.1, False), (0.2, 0.01, True)])
def test_copies_are_said_where_they_exceed_those_among_real_sounds(honest, share, real_share, said):
    copies = dataclasses.replace(honest.memorization, share=share, real_share=real_share)
    assert ("near copies" in dataclasses.replace(honest, memorization=copies).conclusion) == said


def unfinite(audio):
    audio = audio.copy()
    audio[0, 0] = np.nan
    return audio


@pytest.mark.parametrize(("change", "message"), [
    (lambda a: {"reference": a.real[:5]}, "5 real sounds are too few to evaluate: give at least 6"),
    (lambda a: {"reference": a.real[:11], "train": None}, "11 real sounds are too few to evaluate: give at least 12"),
    (lambda a: {"fake": a.fake[:5]}, "5 generated sounds are too few to evaluate: give at least 6"),
    (lambda a: {"train": a.real[:5]}, "5 training sounds are too few to evaluate: give at least 6"),
    (lambda a: {"fake": a.fake[0]}, r"generated waveforms have shape \(8000,\)"),
    (lambda a: {"reference": a.real[:0]}, "0 real sounds are too few"),
    (lambda a: {"fake": unfinite(a.fake)}, "generated waveforms contain 1 values that are not finite"),
    (lambda a: {"reference": np.repeat(a.real[:1], 20, axis=0)}, "20 reference sounds are all alike"),
])
def test_unusable_sounds_are_refused_in_one_line(change, message):
    given = types.SimpleNamespace(fake=strokes(2, 12), real=strokes(0, 12))
    options = {"fake": given.fake, "reference": given.real, "train": given.real, **change(given)}
    with pytest.raises(MelGANError, match=message) as caught:
        evaluated(options.pop("fake"), options.pop("reference"), **options)
    assert "\n" not in str(caught.value)


def test_twelve_real_sounds_are_enough():
    assert evaluated(strokes(2, 6), strokes(0, 12)).sounds == 6


@pytest.mark.parametrize("option", [{"seed": -1}, {"rate": 3_999}])
def test_options_out_of_range_are_usage_errors(option):
    with pytest.raises(UsageError, match="give"):
        evaluated(strokes(0, 12), strokes(0, 12), **option)


def test_sounds_without_a_window_that_is_loud_enough_are_told(tmp_path):
    """The peak lies in what is left at the end, and the whole is rounded down to one window."""
    samples = np.full(14_000, 0.001)
    samples[13_500] = 0.9
    soundfile.write(tmp_path / "a.wav", samples, 10_000)
    with pytest.raises(MelGANError, match="no sound in .* has a window of 1 s within 30 dB of its peak"):
        load_window_set(tmp_path, 10_000, 10_000, 30.0)
    assert len(load_window_set(tmp_path, 10_000, 7_000, 30.0)) == 1
