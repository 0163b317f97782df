"""Loops of one request at a tempo each, for servers: batches of other clients may be joined to it.

The audio has the length of the slowest loop; after the end of a faster one there is silence, and its length is an
output.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from melgan_tf.audio.loops.keys import Key
from melgan_tf.audio.loops.loop import METER
from melgan_tf.dsp.loop_tempo import JOIN_SECONDS, cubic_weights, join_fade
from melgan_tf.models.loop_gan.networks import key_numbers
from melgan_tf.models.loop_gan.resample import MARGIN, unswung

if TYPE_CHECKING:
    from melgan_tf.models.loop_gan.sampler import LoopSampler

#: The keys that a request may name.
KEYS = tuple(root + sign + mode for root in "CDEFGAB" for sign in ("", "#", "b") for mode in ("", "m"))


def loop_lengths(bpm: tf.Tensor, bars: int, rate: int) -> tf.Tensor:
    """The samples of loops of tempos ``(batch,)``: int32 ``(batch,)``; see `melgan_tf.audio.loops.loop.loop_samples`.

    Examples:
        >>> loop_lengths(tf.constant([100.0, 124.0]), 2, 22_050).numpy().tolist()
        [105840, 85355]
    """
    return tf.cast(tf.round(bars * METER * 60.0 * rate / tf.cast(bpm, tf.float64)), tf.int32)


def with_keys(noise: tf.Tensor, key: tf.Tensor, place: int) -> tf.Tensor:
    """Noise ``(batch, noise_dim)`` of loops in the keys ``(batch,)``, text; where it is empty, in that of the noise.

    Args:
        place: of the first of the numbers that stand for a key.
    """
    numbers = tf.constant(np.stack([key_numbers(Key.parse(name)) for name in KEYS]))
    asked = tf.cast(tf.equal(key[:, None], tf.constant(KEYS)), tf.float32)
    end = place + numbers.shape[1]
    found = tf.where(tf.equal(key, "")[:, None], noise[:, place:end], tf.matmul(asked, numbers))
    return tf.concat([noise[:, :place], found, noise[:, end:]], axis=1)


def render_each(sampler: LoopSampler, mel: tf.Tensor, samples: tf.Tensor, swing: tf.Tensor) -> tf.Tensor:
    """Mel on the grid ``(batch, frames, mel_bins)`` -> audio ``(batch, longest)``.

    Args:
        sampler: with the vocoder.
        samples: ``(batch,)``, int32: of each loop.
        swing: ``(batch,)``, float64: of each loop.
    """
    audio, grid, longest = sampler.audio, mel.shape[1], tf.reduce_max(samples)
    hop, join = audio.hop_samples, round(JOIN_SECONDS * audio.sample_rate)
    frames = tf.cast(tf.range(-MARGIN, -(-longest // hop) + MARGIN), tf.float64)
    place = unswung((frames * hop + hop / 2) / tf.cast(samples, tf.float64)[:, None] * grid, swing[:, None])
    first = tf.floor(place)
    at_tempo = tf.add_n([tf.gather(mel, tf.math.floormod(tf.cast(first, tf.int32) - 1 + number, grid), batch_dims=1)
                         * tf.cast(weight, tf.float32)[..., None]
                         for number, weight in enumerate(cubic_weights(place - first))])
    waveform = sampler.vocoder.render(at_tempo, audio)
    remaining = samples[:, None] - tf.range(longest)  # samples to the end of each loop
    before = tf.gather(waveform, MARGIN * hop - tf.clip_by_value(remaining, 1, join), batch_dims=1)
    fade = tf.gather(tf.constant([0.0, *join_fade(join)], tf.float32), tf.clip_by_value(join - remaining + 1, 0, join))
    joined = waveform[:, MARGIN * hop:MARGIN * hop + longest] * (1.0 - fade) + before * fade
    return sampler.finish(tf.where(remaining > 0, joined, 0.0))
