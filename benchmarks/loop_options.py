"""What loops are asked to be against what is heard in their WAVs, by two methods that share no code with the package.

One is librosa, the other is in this file: peaks of spectral flux in NumPy. Values are asked for as on a server, by the
signatures of an export, so every loop has a value of its own.

    python benchmarks/loop_options.py [--loops 200] [--labels drums,keys] [--options complexity,swing]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from functools import partial

import librosa
import numpy as np
import results
import scipy.stats
import tensorflow as tf

import melgan_tf as mt
from melgan_tf.data.loop_dataset import grid_mel
from melgan_tf.models.loop_gan.features import Heard

RATE, SEED, BATCH, STEPS = 22_050, 5, 20, 32
TEMPOS = (80.0, 100.0, 120.0, 140.0, 160.0)
FEATURES = ("density", "brightness", "loudness", "complexity")
#: Sixteenths of a bar, 0 where it begins to 4: Lerdahl and Jackendoff.
WEAKNESS = np.array([0, 4, 3, 4, 2, 4, 3, 4, 1, 4, 3, 4, 2, 4, 3, 4] * 2)
_NEAR = 0.02  # seconds


class Model:
    """`pretrained:loops` as a server has it."""

    def __init__(self) -> None:
        self.model = mt.load("pretrained:loops")
        signatures = self.model.exportable().signatures
        self._grant, self._generate = (
            tf.function(signatures[name].function, autograph=False, input_signature=list(signatures[name].inputs))
            for name in ("grant", "generate"))

    def loops(self, label: str, count: int, bpm: np.ndarray, swing: np.ndarray, **shares: np.ndarray
              ) -> tuple[list[np.ndarray], np.ndarray]:
        """Loops of one class at a peak of -1 dB in 16 bits, and their mels."""
        noise, classes = self.model.sampler.noise(SEED, count), len(self.model.classes)
        label = tf.one_hot(tf.fill([count], self.model.classes.index(label)), classes)
        audio, mels = [], []
        for first in range(0, count, BATCH):
            part = slice(first, first + BATCH)
            rows = len(label[part])
            asked = [np.float32(shares[name][part] if name in shares else np.full(rows, -1)) for name in FEATURES]
            moved = self._grant(noise[part], label[part], *asked)["noise"]
            made = {name: value.numpy() for name, value in
                    self._generate(moved, label[part], bpm[part], swing[part]).items()}
            audio += [np.rint(sound[:samples] / np.abs(sound[:samples]).max() * 29_204) / 32_768
                      for sound, samples in zip(made["audio"], made["samples"], strict=True)]
            mels.append(made["mel"])
        return audio, np.concatenate(mels)


# -- two ways to hear ------------------------------------------------------------------------------------------------

def librosa_onsets(audio: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Times in seconds and strengths of the onsets of a loop."""
    envelope = librosa.onset.onset_strength(y=np.tile(audio, 3).astype(np.float32), sr=RATE, hop_length=128)
    found = librosa.onset.onset_detect(onset_envelope=envelope, sr=RATE, hop_length=128)
    return _middle(found * 128 / RATE, envelope[found], len(audio) / RATE)


def flux_onsets(audio: np.ndarray, hop: int = 256, window: int = 1024) -> tuple[np.ndarray, np.ndarray]:
    """The same by peaks of the flux of a compressed spectrum that stand out from half a second around."""
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(np.tile(audio, 3), window // 2), window)[::hop]
    spectrum = np.log1p(400 / window * np.abs(np.fft.rfft(frames * np.hanning(window), axis=1)))
    flux = np.pad(np.maximum(spectrum[2:] - spectrum[:-2], 0).mean(axis=1), 1)
    near, around = round(0.05 * RATE / hop), round(0.25 * RATE / hop)
    highest = np.lib.stride_tricks.sliding_window_view(np.pad(flux, near), 2 * near + 1).max(axis=1)
    clear = flux - np.convolve(flux, np.ones(2 * around + 1) / (2 * around + 1), "same")
    found = np.flatnonzero((flux == highest) & (clear > 0.1 * flux.max()))
    return _middle(found * hop / RATE, clear[found], len(audio) / RATE)


def _middle(times: np.ndarray, strengths: np.ndarray, seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """Of three repetitions the second."""
    kept = (times >= seconds - _NEAR) & (times < 2 * seconds - _NEAR)
    return times[kept] - seconds, strengths[kept]


Onsets = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def on_grid(audio: np.ndarray, onsets: Onsets) -> np.ndarray:
    """Strengths of onsets at the sixteenths of two bars: ``(32,)``."""
    times, strengths = onsets(audio)
    found = np.zeros(STEPS)
    np.maximum.at(found, np.rint(times * RATE / len(audio) * STEPS).astype(int) % STEPS, strengths)
    return found


def complexity(strengths: np.ndarray) -> float:
    """Mean metrical weakness of onsets, weighted by strength: Toussaint (2002)."""
    return float(strengths @ WEAKNESS / max(strengths.sum(), 1e-9))


def flux_centroid(audio: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(audio))
    return float(spectrum @ np.arange(len(spectrum)) / spectrum.sum() / len(spectrum))


BY_LIBROSA = {
    "density": lambda audio: np.count_nonzero(on_grid(audio, librosa_onsets)),
    "brightness": lambda audio: librosa.feature.spectral_centroid(y=audio, sr=RATE).mean(),
    "loudness": lambda audio: librosa.feature.rms(y=audio).mean(),
    "complexity": lambda audio: complexity(on_grid(audio, librosa_onsets))}
BY_FLUX = {
    "density": lambda audio: np.count_nonzero(on_grid(audio, flux_onsets)),
    "brightness": flux_centroid,
    "loudness": lambda audio: np.sqrt(np.mean(audio ** 2)),
    "complexity": lambda audio: complexity(on_grid(audio, flux_onsets))}


def spearman(asked: np.ndarray, heard: list[float]) -> float:
    return float(scipy.stats.spearmanr(asked, heard)[0])


def features(model: Model, labels: list[str], options: list[str], count: int) -> Iterator[list[str | float]]:
    """Rows of the table: asked against heard."""
    measure, random = Heard(model.model.config), np.random.default_rng(SEED)
    bpm = np.resize(TEMPOS, count)
    for label in labels:
        for option in options:
            asked = (random.permutation(count) + 0.5) / count
            audio, mels = model.loops(label, count, bpm, np.zeros(count), **{option: asked})
            own = measure(tf.constant(mels)).numpy()[:, FEATURES.index(option)]
            others = [spearman(asked, [hear[option](sound) for sound in audio]) for hear in (BY_LIBROSA, BY_FLUX)]
            yield [f"{label}, {option}", spearman(asked, own), *others]


# -- swing -----------------------------------------------------------------------------------------------------------

def second_half(audio: np.ndarray, onsets: Onsets) -> np.ndarray:
    """For each eighth of a loop of two bars: where between its ends, 0 to 1, the clearest onset of its middle is; else
    not a number."""
    times, strengths = onsets(audio)
    eighth, place = np.divmod(times * RATE / len(audio) * STEPS / 2, 1)
    found = np.full(STEPS // 2, np.nan)
    for number in range(STEPS // 2):
        inside = (eighth == number) & (place > 0.3) & (place < 0.85)
        if inside.any():
            found[number] = place[inside][strengths[inside].argmax()]
    return found


def swing_of_loops(model: Model, labels: list[str], count: int) -> Iterator[list[str | float]]:
    """Rows: loops that have onsets in the middle of eighths when they are straight, and where these are with swing."""
    asked, bpm = np.linspace(0, 1, count), np.resize(TEMPOS[:4], count)
    for label in labels:
        straight, swung = (model.loops(label, count, bpm, swing)[0] for swing in (np.zeros(count), asked))
        for name, onsets in (("librosa", librosa_onsets), ("flux", flux_onsets)):
            pairs = []
            for share, before, after in zip(asked, straight, swung, strict=True):
                there = np.abs(second_half(before, onsets) - 0.5) < 0.08
                heard = second_half(after, onsets)[there]
                if np.count_nonzero(~np.isnan(heard)) >= 2:
                    pairs.append((share, np.nanmedian(heard)))
            yield [f"{label}, {name}", len(pairs), spearman(*np.transpose(pairs)) if len(pairs) > 2 else None]


def swing_of_clicks(model: Model) -> Iterator[list[float]]:
    """Rows: a click on every sixteenth; where the second of each eighth is, and the largest error."""
    clicks, fall = np.zeros(4 * RATE, np.float32), np.exp(-np.arange(200) / 40)
    burst = np.random.default_rng(0).normal(size=200) * fall
    for number in range(STEPS):
        clicks[(round(number * RATE / 8) + np.arange(200)) % len(clicks)] += burst
    mel = tf.constant(grid_mel(clicks / np.abs(clicks).max(), 384, model.model.config.audio)[None])
    for swing in (0.0, 0.25, 0.5, 0.75, 1.0):
        errors, places = [], []
        for bpm in TEMPOS:
            audio = model.model.asked(bpm=bpm, swing=swing).sampler.render(mel).numpy()[0]
            heard = second_half(audio, partial(flux_onsets, hop=32, window=128))
            places += list(heard)
            errors += list((heard - (0.5 + swing / 6)) * 30 / bpm * 1e3)
        yield [swing, 0.5 + swing / 6, float(np.nanmedian(places)), float(np.nanmax(np.abs(errors)))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--loops", type=int, default=200, help="of each row")
    parser.add_argument("--labels", default="drums,keys")
    parser.add_argument("--options", default=",".join((*FEATURES, "swing")))
    results.add_option(parser)
    arguments = parser.parse_args()
    labels, options, model = arguments.labels.split(","), arguments.options.split(","), Model()
    rows = list(features(model, labels, [name for name in options if name != "swing"], arguments.loops))
    tables = {"features": results.table(["loops, option", "mel", "WAV, librosa", "WAV, flux"], rows)} if rows else {}
    if "swing" in options:
        tables["swing"] = results.table(["loops, heard by", "loops with such onsets", "Spearman"],
                                        list(swing_of_loops(model, labels, arguments.loops)))
        tables["clicks"] = results.table(["swing", "place in the eighth, asked", "heard, median", "largest error, ms"],
                                         list(swing_of_clicks(model)))
    for table in tables.values():
        print(results.markdown(table), flush=True)
    results.save("loop_options", tables, arguments.results)


if __name__ == "__main__":
    main()
