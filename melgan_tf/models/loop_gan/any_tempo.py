"""Loops at any tempo from a function of fixed shapes, for pages.

Where each of the vocoder's frames lies on the grid comes in as numbers, and the loop is cut out of what they make.

`exports/page/tempo.js` computes these places and cuts. As many frames are made as the slowest tempo needs.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from melgan_tf.audio.loops.loop import loop_samples
from melgan_tf.config.tempo import TEMPOS
from melgan_tf.dsp.loop_tempo import JOIN_SECONDS, cubic_weights
from melgan_tf.inference.exportable import Example, Signature
from melgan_tf.models.loop_gan.resample import MARGIN, grid_places

if TYPE_CHECKING:
    from melgan_tf.models.loop_gan.sampler import LoopSampler

_SLOWEST = 2 / 3  # of the tempo that a page begins with


class AnyTempo:
    """The function of a page, and what the page has to know of it.

    Args:
        sampler: with bars, and the tempo that the page begins with.

    Attributes:
        tempo: what the page knows: the range of tempos, bars, ``grid`` (frames of a loop on the grid), ``frames`` of
            the vocoder, of which ``margin`` precede the loop, ``hop`` and ``join`` in samples.
        signature: ``noise`` and ``label`` as for ``generate``, ``place`` ``(1, frames)``, float32, in frames of the
            grid, 0 to their number -> ``audio`` ``(1, frames * hop)``.
    """

    def __init__(self, sampler: LoopSampler) -> None:
        rate, hop = sampler.audio.sample_rate, sampler.audio.hop_samples
        slowest = max(int(TEMPOS[0]), round(_SLOWEST * sampler.bpm))
        frames = 2 * MARGIN - (-loop_samples(slowest, sampler.bars, rate) // hop)
        self.sampler, self.tempo = sampler, {
            "bpm": [slowest, int(TEMPOS[1])], "bars": sampler.bars, "grid": sampler.grid_frames, "frames": frames,
            "margin": MARGIN, "hop": hop, "join": round(JOIN_SECONDS * rate)}
        specs = [*sampler.input_signature(1).values(), tf.TensorSpec((1, frames), tf.float32, name="place")]
        self.signature = Signature(partial(self._audio, use_matmul_dft=True), specs)

    def example(self, **inputs: np.ndarray) -> Example:
        """A call at the tempo that the page begins with, by inputs of ``generate``."""
        tempo, sampler = self.tempo, self.sampler
        places = grid_places(tempo["frames"], sampler.samples, tempo["grid"], tempo["hop"], sampler.swing)
        rows = np.tile(np.float32(places % tempo["grid"]), (len(inputs["noise"]), 1))
        audio = [self._audio(*(tf.constant(value[row:row + 1]) for value in (*inputs.values(), rows)))["audio"][0]
                 for row in range(len(rows))]
        return Example("generate", {**inputs, "place": rows}, {"audio": np.stack(audio)}, {1: "audio"})

    def _audio(self, *inputs: tf.Tensor, use_matmul_dft: bool = False) -> dict[str, tf.Tensor]:
        *inputs, place = inputs
        mel, first = self.sampler.mel(*inputs)[0], tf.floor(place[0])
        around = tf.concat([mel[-1:], mel, mel[:3]], axis=0)  # rounding may make a place the end itself
        frames = tf.add_n([tf.gather(around, tf.cast(first, tf.int32) + number) * weight[:, None]
                           for number, weight in enumerate(cubic_weights(place[0] - first))])
        return {"audio": self.sampler.vocoder.render(frames[None], self.sampler.audio, use_matmul_dft=use_matmul_dft)}
