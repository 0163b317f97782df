"""The Sampler of a sequence GAN: noise and style -> mel -> waveform, inference only.

It makes whole sounds, many at a time, for evaluation, previews and exports. Sounds too long for that, and loops, are
made piece by piece: `melgan_tf.inference.long_sounds`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from melgan_tf.config import Config
from melgan_tf.config.tempo import require_tempo
from melgan_tf.data.labels import Classes
from melgan_tf.errors import UsageError
from melgan_tf.inference import portable_noise
from melgan_tf.inference.long_sounds import Length
from melgan_tf.inference.renderer import Renderer
from melgan_tf.inference.sampler import Sampler, require_inputs
from melgan_tf.inference.served import MAX_NOISE, MAX_SECONDS, Check, finite_checks, length_check
from melgan_tf.models.sequence_gan.config import STEP_FRAMES
from melgan_tf.models.sequence_gan.networks import CONTEXT_STEPS
from melgan_tf.models.sequence_gan.noise import SequenceNoise

#: Sounds fade in and out over this time: they are cut out of something that has no beginning and no end.
FADE_SECONDS = 0.02
#: Length of a sound unless another is requested.
DEFAULT_SECONDS = 10.0
#: Tempo and length of loops of whole bars unless others are requested, and their ranges.
DEFAULT_BPM, DEFAULT_BARS = 120.0, 4


class SequenceSampler(Sampler):
    """Makes sounds of noise and style.

    A sound of ``steps`` steps takes ``steps + 2 * CONTEXT_STEPS`` vectors of each: the neighborhood on either side
    counts, but is not heard. As with every `Sampler`, sound ``i`` of a seed is always the same.

    Args:
        generator, config, vocoder, classes: as for `Sampler`.
        bpm: of loops of whole bars, beats per minute; None: sounds of any length.
        bars: of such loops.

    Raises:
        UsageError: tempo or bars are out of range.
    """

    evaluated_as = "windows"
    step_frames = STEP_FRAMES
    fade_seconds = FADE_SECONDS

    def __init__(self, generator: keras.Model, config: Config, vocoder: Renderer | None = None,
                 classes: Classes | None = None, bpm: float | None = None, bars: int = DEFAULT_BARS) -> None:
        super().__init__(generator, config, vocoder, classes)
        require_tempo(bpm, bars)
        self.bpm, self.bars = bpm, bars

    def _measures(self) -> None:
        """No features: a sound has any length."""

    def asked(self, bpm: float | None = None, bars: int | None = None, **wishes: Any) -> SequenceSampler:
        """See `Sampler.asked`: loops of whole bars at a tempo."""
        super().asked(**wishes)
        if bpm is None and bars is None:
            return self
        return SequenceSampler(self.generator, self.config, self.vocoder, self.classes, bpm or self.bpm or DEFAULT_BPM,
                               bars or self.bars)

    @property
    def wishes(self) -> dict[str, Any]:
        """See `Sampler.wishes`."""
        return {"bpm": self.bpm, "bars": self.bars} if self.bpm else {}

    @property
    def loop_quantum(self) -> int:
        """Frames that lengths of loops are multiples of: whole steps, and whole turns of the vocoder's clock."""
        return math.lcm(STEP_FRAMES, self.vocoder.clock_period_frames)

    def length(self, seconds: float | None = None, loop: bool = False) -> Length:
        """The length of sounds, by default 10 seconds; of loops the nearest possible one. See `Sampler.length`."""
        if self.bpm:
            made = Length.of_bars(self.bpm, self.bars, self)
            if seconds is not None and abs(seconds * self.audio.sample_rate - made.samples) > 2:
                raise UsageError(f"{self.bars} bars at {self.bpm:g} BPM take "
                                 f"{made.samples / self.audio.sample_rate:.4g} seconds: remove --seconds")
            return made
        return Length.from_seconds(DEFAULT_SECONDS if seconds is None else seconds, self, loop)

    @property
    def steps(self) -> int:
        """Of a training window."""
        return self.config.mel_shape[1] // STEP_FRAMES

    @property
    def source(self) -> SequenceNoise:
        """What noise and style are drawn from."""
        return SequenceNoise.of(self.config)

    def input_signature(self, batch: int | None) -> dict[str, tf.TensorSpec]:
        """What a call takes, by name: ``noise`` and ``style``.

        Args:
            batch: sounds of a training window; None for any number of sounds, of any length.
        """
        length = None if batch is None else self.steps + 2 * CONTEXT_STEPS
        model = self.config.model
        return {name: tf.TensorSpec((batch, length, size), tf.float32, name=name)
                for name, size in (("noise", model.noise_dim), ("style", model.style_dim))}

    def __call__(self, noise: tf.Tensor, style: tf.Tensor) -> dict[str, tf.Tensor]:
        """``noise`` and ``style`` ``(batch, steps + 2 * CONTEXT_STEPS, ...)`` -> ``audio`` ``(batch, samples)`` and
        ``mel`` ``(batch, 16 * steps, mel_bins)``."""
        require_inputs(self.input_signature(None), noise=noise, style=style)
        mel = self.mel(noise, style)
        return {"audio": self.render(mel), "mel": mel}

    def mel(self, noise: tf.Tensor, style: tf.Tensor) -> tf.Tensor:
        """As in a call -> mel ``(batch, 16 * steps, mel_bins)``."""
        return tf.cast(self.generator.mel(noise, style), tf.float32)

    def render(self, mel: tf.Tensor, use_matmul_dft: bool = False) -> tf.Tensor:
        """Mel ``(batch, frames, mel_bins)``, any number of frames -> waveform ``(batch, frames * hop)``.

        ``use_matmul_dft`` computes Fourier transforms as matrix products, for phones.
        """
        return self.finish(self.vocoder.render(mel, self.audio, use_matmul_dft=use_matmul_dft))

    def finish(self, waveform: tf.Tensor) -> tf.Tensor:
        """Fades both ends, so that nothing clicks, and turns down what would clip (peak above 1)."""
        samples = tf.shape(waveform)[1]
        near = tf.cast(tf.minimum(tf.range(1, samples + 1), tf.range(samples, 0, -1)), tf.float32)
        ramp = tf.minimum(near / max(1, round(FADE_SECONDS * self.audio.sample_rate)), 1.0)
        waveform = waveform * (0.5 - 0.5 * tf.cos(math.pi * ramp))
        return waveform / tf.maximum(tf.reduce_max(tf.abs(waveform), axis=-1, keepdims=True), 1.0)

    def inputs(self, seed: tf.Tensor | int, count: tf.Tensor | int, start: tf.Tensor | int = 0,
               steps: tf.Tensor | int | None = None) -> dict[str, tf.Tensor]:
        """What makes sounds ``start`` to ``start + count - 1`` of a seed: ``noise`` and ``style``.

        Args:
            seed, count, start: as in `generate`.
            steps: of each sound; by default those of a training window.
        """
        sounds = tf.cast(start, tf.int64) + tf.range(tf.cast(count, tf.int64))
        steps = tf.cast(self.steps if steps is None else steps, tf.int64)
        return self.stretch(seed, sounds[:, None], tf.constant(0, tf.int64), steps)

    def stretch(self, seed: tf.Tensor | int, sound: tf.Tensor | int, first: tf.Tensor, steps: tf.Tensor,
                period: int = 0) -> dict[str, tf.Tensor]:
        """What makes steps ``first`` to ``first + steps - 1`` of sounds, with their neighborhood."""
        numbers = first - CONTEXT_STEPS + tf.range(steps + 2 * CONTEXT_STEPS, dtype=tf.int64)
        return {"noise": self.source.noise(seed, sound, numbers, period),
                "style": self.source.style(seed, sound, numbers, period)}

    def portable_inputs(self, seed: tf.Tensor, index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """See `Sampler.portable_inputs`: those of a training window."""
        source = dataclasses.replace(self.source, draw=portable_noise.normal)
        numbers = tf.range(-CONTEXT_STEPS, self.steps + CONTEXT_STEPS, dtype=tf.int64)
        return tuple(draw(seed[:, None], index[:, None], numbers) for draw in (source.noise, source.style))

    def inputs_of(self, seed: tf.Tensor, index: tf.Tensor, steps: tf.Tensor) -> dict[str, tf.Tensor]:
        """See `Sampler.inputs_of`; ``steps`` ``(batch,)``: all the same."""
        return self.stretch(seed[:, None], index[:, None], tf.constant(0, tf.int64), tf.cast(steps[0], tf.int64))

    def metadata(self) -> dict[str, Any]:
        """See `Sampler.metadata`."""
        return {**super().metadata(), "style_dim": self.config.model.style_dim}

    def fixed_metadata(self) -> dict[str, Any]:
        """See `Sampler.fixed_metadata`: every step has a key of its own."""
        return {}

    analyzed_samples = None

    def facts(self) -> dict[str, Any]:
        """See `Sampler.facts`."""
        return {**super().facts(), "samples": None, "samples_per_step": self._step_samples,
                "context_steps": CONTEXT_STEPS, "max_steps": self._max_steps}

    @property
    def _step_samples(self) -> int:
        return STEP_FRAMES * self.audio.hop_samples

    @property
    def _max_steps(self) -> int:
        return int(MAX_SECONDS * self.audio.sample_rate) // self._step_samples

    def input_checks(self, noise: tf.Tensor, style: tf.Tensor) -> Iterator[Check]:
        """See `Sampler.input_checks`."""
        batch, steps = tf.unstack(tf.shape(noise)[:2])
        steps -= 2 * CONTEXT_STEPS
        yield tf.equal(tf.shape(style)[1], tf.shape(noise)[1]), ["noise and style must have as many steps"]
        yield length_check("noise", batch, steps, self._max_steps, "steps")
        yield from finite_checks("noise", noise, MAX_NOISE)
        yield from finite_checks("style", style, MAX_NOISE)

    def request_signature(self) -> dict[str, tf.TensorSpec]:
        """See `Sampler.request_signature`; with ``steps``, the length of each sound, the same in all rows."""
        return {**super().request_signature(), "steps": tf.TensorSpec((None,), tf.int32, name="steps")}

    def request_checks(self, seed: tf.Tensor, index: tf.Tensor, steps: tf.Tensor) -> Iterator[Check]:
        """See `Sampler.request_checks`."""
        yield from super().request_checks(seed, index)
        yield tf.reduce_all(tf.equal(steps, steps[0])), ["steps must be the same for all sounds of a request"]
        yield length_check("steps", tf.shape(steps)[0], steps[0], self._max_steps, "steps")

    def request(self, seeds: Sequence[int]) -> dict[str, np.ndarray]:
        """See `Sampler.request`."""
        return {**super().request(seeds), "steps": np.full(len(seeds), self.steps, np.int32)}
