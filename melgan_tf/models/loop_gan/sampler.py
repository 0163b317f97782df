"""The Sampler of a loop GAN: noise and class -> mel on the grid -> waveform at a tempo, inference only.

Frames of the grid become the vocoder's frames at a tempo by cubic interpolation over time, of logarithms: measured on
held-out loops, attacks are as exact as with the vocoder's own frames. A loop is rendered from a little before its
beginning to a little after its end; where it ends, the stretch before its beginning is faded in.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from melgan_tf.audio.find import Skipped, SoundFile
from melgan_tf.audio.loops.keys import Key
from melgan_tf.audio.loops.loop import Loop, loop_samples
from melgan_tf.audio.loops.reading import read_loops
from melgan_tf.config import Config
from melgan_tf.config.tempo import MOST_BARS, TEMPOS, require_swing, require_tempo
from melgan_tf.data.labels import Classes
from melgan_tf.data.loop_dataset import grid_windows
from melgan_tf.dsp import spectral
from melgan_tf.dsp.loop_tempo import JOIN_SECONDS, join_fade
from melgan_tf.errors import DecodeError, UsageError
from melgan_tf.inference.renderer import Renderer
from melgan_tf.inference.sampler import Sampler
from melgan_tf.inference.served import MAX_SECONDS, Check, class_check, range_check
from melgan_tf.inference.wishes import Wish
from melgan_tf.models.loop_gan.any_tempo import AnyTempo
from melgan_tf.models.loop_gan.config import (
    BARS,
    BEAT_FRAMES,
    BEATS_PER_BAR,
    FEATURES,
    GIVEN,
    GRID_FRAMES,
    SIXTEENTH_FRAMES,
)
from melgan_tf.models.loop_gan.features import Heard
from melgan_tf.models.loop_gan.networks import key_numbers, keys_of, one_hot_keys
from melgan_tf.models.loop_gan.resample import MARGIN, to_tempo
from melgan_tf.models.loop_gan.tempos import KEYS, loop_lengths, render_each, with_keys
from melgan_tf.models.loop_gan.tuning import Tuner

#: Of the sections of two bars: how far their beats are from those of the first.
_FORM = (0.0, 0.3, 0.0, 1.0)
#: In float32 lengths would be wrong by a sample.
_PLAYED = {name: tf.TensorSpec((None,), tf.float64, name=name) for name in ("bpm", "swing")}


class LoopSampler(Sampler):
    """Makes loops of noise, at any tempo. See `Sampler`.

    The same noise is the same pattern at every tempo. Loops longer than two bars are sections of one style: A, A', A,
    B.

    Args:
        generator, config, vocoder, classes, shares: as for `Sampler`.
        bpm: beats per minute; by default those of the configuration's clips.
        bars: of a loop.
        key: of all loops, such as "Am"; None: any.
        swing: how late every second sixteenth is: 0 straight, 1 as in triplets.

    Raises:
        UsageError: a tempo or a number of bars is out of range.
    """

    evaluated_as = "loops"
    _texture_octaves = (BEAT_FRAMES, 4), (SIXTEENTH_FRAMES, 2)
    _pattern_frames = GRID_FRAMES
    # inlined, the parts of a batch of long loops would be optimized, and so rounded, another way in every process
    _part_attributes = {"_noinline": True}

    def __init__(self, generator: keras.Model, config: Config, vocoder: Renderer | None = None,
                 classes: Classes | None = None, shares: Mapping[str, float] | None = None, bpm: float | None = None,
                 bars: int = BARS, key: str | None = None, swing: float = 0.0) -> None:
        self._tuner = Tuner(config.audio, config.model.tuning)
        super().__init__(generator, config, vocoder, classes, shares)
        require_tempo(bpm, bars)
        self.bpm = bpm or config.model.tempo(config)
        self.bars, self.key, self.swing = bars, key, require_swing(swing)
        self._key_numbers = None if key is None else key_numbers(Key.parse(key))
        self.samples = self._length(bars)

    def _measures(self) -> Heard:
        return Heard(self.config)

    def asked(self, bpm: float | None = None, bars: int | None = None, key: str | None = None,
              swing: float | None = None, **features: float | None) -> LoopSampler:
        """See `BatchSampler.asked`."""
        return LoopSampler(self.generator, self.config, self.vocoder, self.classes, self.features_of(features),
                           bpm or self.bpm, bars or self.bars, key or self.key, self.swing if swing is None else swing)

    def length(self, seconds: float | None = None, loop: bool = False) -> None:
        """See `Sampler.length`: every sound is a loop."""
        if seconds is not None:
            raise UsageError(f"a model of preset {self.config.preset!r} makes whole bars: give --bpm and --bars, "
                             "not --seconds")

    @property
    def wishes(self) -> dict[str, Any]:
        """See `BatchSampler.wishes`."""
        return {"bpm": self.bpm, "bars": self.bars, **({"key": self.key} if self.key else {}),
                **({"swing": self.swing} if self.swing else {}), **super().wishes}

    def _length(self, bars: float) -> int:
        """Samples of a loop."""
        return loop_samples(self.bpm, bars, self.audio.sample_rate)

    def mel(self, noise: tf.Tensor, label: tf.Tensor | None = None) -> tf.Tensor:
        """Noise ``(batch, noise_dim)``, label ``(batch, classes)`` -> mel on the grid ``(batch, frames, mel_bins)``."""
        ways = [_FORM[number % len(_FORM)] for number in range(1, -(-self.bars // BARS))]
        # of one style; the numbers of beats are turned towards another noise, which is made of the first
        style, other = GIVEN + self.config.model.style_dim, tf.concat([noise[:, -1:], -noise[:, :-1]], axis=-1)
        turned = [math.cos(way * math.pi / 2) * noise + math.sin(way * math.pi / 2) * other for way in ways]
        sections = [tf.concat([noise[:, :style], section[:, style:]], axis=-1) for section in turned]
        mel = tf.cast(self.generator.mel(noise, label, sections, self.bars * BEATS_PER_BAR), tf.float32)
        return self._finished(mel, noise, *sections)

    def _finished(self, mel: tf.Tensor, *sections: tf.Tensor) -> tf.Tensor:
        """See `Sampler._finished`; in tune as well."""
        return self._tuner(super()._finished(mel, *sections), one_hot_keys(sections[0][:, :GIVEN]))

    @property
    def grid_frames(self) -> int:
        """Frames of a loop on the grid."""
        return self.bars * BEATS_PER_BAR * BEAT_FRAMES

    def any_tempo(self) -> AnyTempo:
        """See `Sampler.any_tempo`."""
        return AnyTempo(self)

    def render(self, mel: tf.Tensor, use_matmul_dft: bool = False) -> tf.Tensor:
        """Mel of whole beats ``(batch, frames, mel_bins)`` -> waveform ``(batch, samples)`` at the tempo."""
        samples = self._length(mel.shape[1] / BEAT_FRAMES / BEATS_PER_BAR)
        hop, join = self.audio.hop_samples, min(round(JOIN_SECONDS * self.audio.sample_rate), samples)
        frames = tf.matmul(tf.constant(to_tempo(mel.shape[1], samples, self.audio, self.swing)), mel)
        waveform = self.vocoder.render(frames, self.audio, use_matmul_dft=use_matmul_dft)
        first = MARGIN * hop
        inner, before = waveform[:, first:first + samples], waveform[:, first - join:first]
        fade = tf.constant(join_fade(join), tf.float32)
        end = inner[:, samples - join:] * (1.0 - fade) + before * fade
        return self.finish(tf.concat([inner[:, :samples - join], end], axis=1))

    def read(self, path: str | Path) -> np.ndarray:
        """See `Sampler.read`: the whole bars of a loop."""
        return self._loop(path)[0]

    def wishes_of(self, path: str | Path) -> dict[str, Any]:
        """See `Sampler.wishes_of`: tempo, bars and key of a loop."""
        _, loop = self._loop(path)
        if loop.meter != BEATS_PER_BAR:
            raise UsageError(f"{path} has {loop.meter} beats a bar: give a loop in {BEATS_PER_BAR}/4")
        return {"bpm": loop.bpm, "bars": min(loop.bars, MOST_BARS), "key": str(loop.key) if loop.key else None}

    def _loop(self, path: str | Path) -> tuple[np.ndarray, Loop]:
        (_, found), = read_loops([SoundFile(Path(path), Path(path).name, "")], self.audio.sample_rate)
        if isinstance(found, Skipped):
            raise DecodeError(path, found.reason)
        return found

    def analyze(self, waveform: tf.Tensor) -> tf.Tensor:
        """`bars` bars at any tempo ``(batch, samples)`` -> mel on the grid ``(batch, frames, mel_bins)``."""
        return self._analyze(waveform, self.bars)

    def pattern_of(self, samples: np.ndarray) -> tf.Tensor:
        """See `Sampler.pattern_of`: the first two bars of whole bars at the tempo; one bar is repeated."""
        bars = max(1, round(len(samples) / self._length(1)))
        two = samples[:BARS * len(samples) // bars] if bars >= BARS else np.tile(samples, BARS)
        return self._analyze(tf.constant(two[None]), BARS)

    def _analyze(self, waveform: tf.Tensor, bars: int) -> tf.Tensor:
        frames = bars * BEATS_PER_BAR * BEAT_FRAMES
        windows = tf.gather(waveform, grid_windows(tf.shape(waveform)[1], frames, self.audio), axis=1)
        mel = spectral.mel_of_padded(tf.reshape(windows, (-1, self.audio.n_fft)), self.audio)
        return tf.reshape(mel, (-1, frames, self.audio.mel_bins))

    def finish(self, waveform: tf.Tensor) -> tf.Tensor:
        """Turns down what would clip (peak above 1)."""
        return waveform / tf.maximum(tf.reduce_max(tf.abs(waveform), axis=-1, keepdims=True), 1.0)

    def granted(self, noise: tf.Tensor, label: tf.Tensor | None = None) -> tf.Tensor:
        """See `Sampler.granted`: with the key."""
        if self._key_numbers is not None:
            numbers = tf.tile(tf.constant(self._key_numbers)[None], [tf.shape(noise)[0], 1])
            noise = tf.concat([noise[:, :len(FEATURES)], numbers, noise[:, GIVEN:]], axis=1)
        return super().granted(noise, label)

    def move(self, wish: Wish, noise: tf.Tensor, label: tf.Tensor | None, wanted: tf.Tensor) -> tf.Tensor:
        """See `Sampler.move`: begins with what the network takes for the features."""
        told = dict(zip(wish.names, tf.unstack(wanted, axis=1), strict=True))
        first = [tf.where(tf.math.is_nan(told[name]), noise[:, place], told[name]) if name in told else noise[:, place]
                 for place, name in enumerate(FEATURES)]
        return super().move(wish, tf.concat([tf.stack(first, axis=1), noise[:, len(FEATURES):]], axis=1), label,
                             wanted)

    def keys_of(self, noise: np.ndarray) -> list[Key]:
        """The keys that loops of noise ``(loops, noise_dim)`` should be in."""
        return keys_of(noise[:, len(FEATURES):GIVEN])

    # -- for servers and phones: a tempo for every loop of a request

    def at_tempo(self, bpm: float | None, bars: int | None) -> LoopSampler:
        """See `Sampler.at_tempo`."""
        return self.asked(bpm=bpm, bars=bars)

    def most_rows(self, max_batch: int) -> int:
        """See `Sampler.most_rows`: at the slowest tempo they are `MAX_SECONDS` of sound."""
        slowest = loop_samples(TEMPOS[0], self.bars, self.audio.sample_rate)
        return max(1, min(max_batch, int(MAX_SECONDS * self.audio.sample_rate) // slowest))

    def served_signature(self) -> dict[str, tf.TensorSpec]:
        """See `Sampler.served_signature`; with ``bpm``, beats per minute, and ``swing`` of each loop."""
        return {**super().served_signature(), **_PLAYED}

    def serve(self, noise: tf.Tensor, label: tf.Tensor, bpm: tf.Tensor, swing: tf.Tensor) -> dict[str, tf.Tensor]:
        """Loops at tempos of their own: ``audio`` ``(batch, longest)``, ``samples`` ``(batch,)``, ``mel``.

        Behind the ``samples`` of a loop there is silence.
        """
        mel, samples = self.mel(noise, label), loop_lengths(bpm, self.bars, self.audio.sample_rate)
        return {"audio": render_each(self, mel, samples, swing), "samples": samples, "mel": mel}

    def input_checks(self, noise: tf.Tensor, label: tf.Tensor, bpm: tf.Tensor, swing: tf.Tensor) -> Iterator[Check]:
        """See `Sampler.input_checks`."""
        yield from super().input_checks(noise, label)
        yield from _played_checks(bpm, swing)

    def request_signature(self) -> dict[str, tf.TensorSpec]:
        """See `Sampler.request_signature`; with tempo, swing and key of each loop, the key "" for any."""
        return {**super().request_signature(), **_PLAYED, "key": tf.TensorSpec((None,), tf.string, name="key")}

    def request_checks(self, seed: tf.Tensor, index: tf.Tensor, label: tf.Tensor, bpm: tf.Tensor, swing: tf.Tensor,
                       key: tf.Tensor) -> Iterator[Check]:
        """See `Sampler.request_checks`."""
        yield from super().request_checks(seed, index, label)
        yield from _played_checks(bpm, swing)
        yield class_check(key, KEYS, "key")

    def inputs_of(self, seed: tf.Tensor, index: tf.Tensor, label: tf.Tensor, bpm: tf.Tensor, swing: tf.Tensor,
                  key: tf.Tensor) -> dict[str, tf.Tensor]:
        """See `Sampler.inputs_of`."""
        found = super().inputs_of(seed, index, label)
        return {**found, "noise": with_keys(found["noise"], key, len(FEATURES)), "bpm": bpm, "swing": swing}

    def request(self, seeds: Sequence[int]) -> dict[str, np.ndarray]:
        """See `Sampler.request`."""
        return {**super().request(seeds), **self._played(len(seeds)), "key": np.array([b""] * len(seeds))}

    def example(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """See `Sampler.example`."""
        found = super().example(**inputs)
        return {**found, **self._played(len(found["noise"]))}

    def _played(self, rows: int) -> dict[str, np.ndarray]:
        return {name: np.full(rows, value) for name, value in (("bpm", self.bpm), ("swing", self.swing))}

    analyzed_samples = None

    def metadata(self) -> dict[str, Any]:
        """See `Sampler.metadata`; with the places of the numbers of noise that have a meaning."""
        places = {name: place for place, name in enumerate(FEATURES)}
        return {**super().metadata(), "bars": self.bars, "noise": {**places, "key": [*range(len(FEATURES), GIVEN)]}}

    def fixed_metadata(self) -> dict[str, Any]:
        """See `Sampler.fixed_metadata`."""
        return {**super().fixed_metadata(), "bpm": self.bpm, "samples": self.samples}

    def facts(self) -> dict[str, Any]:
        """See `Sampler.facts`."""
        return {**super().facts(), "samples": None, "bpm": list(TEMPOS), "swing": [0, 1], "keys": list(KEYS)}


def _played_checks(bpm: tf.Tensor, swing: tf.Tensor) -> Iterator[Check]:
    yield range_check("bpm", bpm, *TEMPOS)
    yield range_check("swing", swing, 0, 1)
