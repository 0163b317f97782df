"""How loops keep time and key: known values, and damage that moves the metric of its kind."""

import dataclasses
import json

import numpy as np
import pytest
import soundfile as sf
from command_line import invoke
from loop_sounds import NAMES, RATE, STYLES, drums, notes

from melgan_tf.audio.loops.keys import Key
from melgan_tf.audio.loops.loop import METER, Loop
from melgan_tf.evaluation.compare import compare_rhythm
from melgan_tf.evaluation.rhythm import measure_loops, rhythm_vector, seam, tightness
from melgan_tf.evaluation.sounds import LoopSet


def clicks(bpm: float, bars: int, sixteenths: list[int], late: float = 0.0) -> np.ndarray:
    loop = np.zeros(round(bars * 240 / bpm * RATE), np.float32)
    for step in sixteenths:
        loop[round((step * 15 / bpm + late) * RATE) % len(loop)] = 1.0
    return loop


def test_rhythm_vectors_say_where_levels_rise():
    found = rhythm_vector(clicks(120, 2, [0, 6, 16, 28]), RATE, 8).reshape(3, 32)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)
    assert [set(np.flatnonzero(band > 0.1)) for band in found] == [{0, 6, 16, 28}] * 3
    same = rhythm_vector(clicks(87.3, 2, [0, 6, 16, 28]), RATE, 8)
    np.testing.assert_allclose(same, found.ravel(), atol=0.07)  # at any tempo
    np.testing.assert_allclose(rhythm_vector(clicks(120, 1, [0, 6]), RATE, 4),  # repeated
                               rhythm_vector(clicks(120, 2, [0, 6, 16, 22]), RATE, 8), atol=0.07)


def test_tightness_is_the_share_near_a_sixteenth():
    assert tightness(clicks(100, 2, range(0, 32, 3)), RATE, 8) > 0.99
    assert tightness(clicks(100, 2, range(0, 32, 3), late=0.06), RATE, 8) < 0.01


def test_a_step_where_a_loop_repeats_makes_its_seam_rough():
    tone = np.sin(2 * np.pi * 220 * np.arange(2 * RATE) / RATE)
    assert seam(tone, RATE, 4) == pytest.approx(1, abs=0.1)
    assert seam(np.append(tone[:-30], np.full(30, 0.5)), RATE, 4) > 5


def loop_set(damage=lambda sound: sound, seed: int = 0) -> LoopSet:
    rng, whole, loops = np.random.default_rng(seed), [], []
    for number in range(20):
        style, key = list(STYLES)[number % len(STYLES)], NAMES[number % 12]
        bpm = int(rng.integers(STYLES[style][0], STYLES[style][1] + 1))
        sound = drums(style, bpm, 2, 100 * seed + number) + notes(key, bpm, 2, 100 * seed + number)
        whole.append(np.asarray(damage(sound), np.float32))
        loops.append(Loop(bpm, 2, METER, Key.parse(key), 0, len(sound), {}))
    return LoopSet.of(whole, loops, RATE, [str(number) for number in range(20)], None)


@pytest.mark.slow
def test_damage_moves_the_metric_of_its_kind():
    real, other = loop_set(seed=0), loop_set(seed=1)

    def measured(one: LoopSet):
        return measure_loops(one.whole, one.loops, RATE)

    good, rng = measured(real), np.random.default_rng(0)
    assert good.tight > 0.9
    assert good.tempo_kept > 0.9
    assert good.key_kept == good.key_heard == 1
    late = loop_set(lambda sound: np.roll(sound, RATE // 21))
    assert measured(late).tight < 0.4
    assert measured(late).tempo_kept == pytest.approx(good.tempo_kept, abs=0.1)
    slower = dataclasses.replace(real, loops=tuple(dataclasses.replace(loop, bpm=loop.bpm * 1.05)
                                                   for loop in real.loops))
    assert measured(slower).tempo_kept < 0.2
    far = [dataclasses.replace(loop, key=Key((loop.key.tonic + 6) % 12, "major")) for loop in real.loops]
    foreign = dataclasses.replace(real, loops=tuple(far))
    assert measured(foreign).key_kept == 0
    rough = loop_set(lambda sound: np.append(sound[:-40], np.full(40, 0.9 * np.abs(sound).max())))
    assert measured(rough).seam > 1.2 * good.seam
    noise = loop_set(lambda sound: rng.normal(0, 0.1, len(sound)))
    assert measured(noise).tight < 0.5
    assert measured(noise).key_heard < 0.2

    same = compare_rhythm(other, real, loop_set(seed=2))["rhythm"]
    assert same.generated.frechet == pytest.approx(same.baseline.frechet, rel=0.5)
    assert same.generated.coverage > 0.8
    shuffled = compare_rhythm(loop_set(lambda sound: np.roll(sound, len(sound) * 5 // 32)), real, other)["rhythm"]
    assert shuffled.generated.frechet > 3 * shuffled.baseline.frechet
    assert shuffled.generated.coverage < 0.5 * shuffled.baseline.coverage
    alike = compare_rhythm(LoopSet.of(real.whole[:1] * 20, real.loops[:1] * 20, RATE, real.names, None), real, other)
    assert alike["rhythm"].generated.duplicates == 1
    assert alike["rhythm"].generated.coverage < 0.2


def any_loops(seed: int, speed: float = 1.0) -> LoopSet:
    """Loops of drums and notes that begin at any sixteenth, so that no two are alike; at other tempos the same."""
    rng, whole, loops = np.random.default_rng(seed), [], []
    for number in range(16):
        key, bpm = NAMES[rng.integers(12)], speed * rng.integers(90, 150)
        sound = drums(rng.choice(list(STYLES)), bpm, 2, number) + notes(key, bpm, 2, number) * rng.uniform(0.2, 1)
        whole.append(np.roll(sound, round(rng.integers(16) * 15 / bpm * RATE)))
        loops.append(Loop(bpm, 2, METER, Key.parse(key), 0, len(sound), {}))
    return LoopSet.of(whole, loops, RATE, [str(number) for number in range(16)], None)


@pytest.mark.slow
def test_copies_at_another_tempo_are_near_copies():
    """The training loops, a fifth faster, are; others are as near as held-out ones."""
    train, held_out = any_loops(0), any_loops(1)
    faster, others = (compare_rhythm(one, held_out, train)["memorization"] for one in (any_loops(0, 1.2), any_loops(2)))
    assert faster.share > 0.7
    assert {(copy.generated, copy.training) for copy in faster.named} >= {("0", "0"), ("1", "1")}
    assert others.share < 0.2


@pytest.mark.slow
def test_folders_of_loops_are_compared_by_rhythm(tmp_path):
    for folder, seed in (("made", 1), ("real", 0)):
        (tmp_path / folder).mkdir()
        one = loop_set(seed=seed)
        for name, sound, loop in zip(one.names, one.whole, one.loops, strict=True):
            sf.write(tmp_path / folder / f"{name}_{loop.bpm}bpm_{loop.key}.wav", sound / 3, RATE)
    ended = invoke("evaluate", tmp_path / "made", "--reference", tmp_path / "real", "--json", tmp_path / "report.json")
    assert "Rhythm: rises of level" in ended.stdout
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["rhythm"]["generated"]["coverage"] > 0.7
    assert report["loops"]["generated"]["key_kept"] == 1
    assert report["drums"] is None
