"""The functions that a server gets of a sound model; see `melgan_tf.exports.saved_model`.

Features are asked for as shares: sounds of the same class that have less, 0 to 1, or `melgan_tf.inference.served.ANY`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from melgan_tf.inference.exportable import Signature
from melgan_tf.inference.sampler import Sampler
from melgan_tf.inference.served import ANY, Check, analysis, description, served, share_check, wav_bytes
from melgan_tf.inference.wishes import normal_scores


def signatures(sampler: Sampler, max_batch: int, origin: Mapping[str, Any]) -> dict[str, Signature]:
    """The functions by name.

    Args:
        sampler: makes the sounds.
        max_batch: sounds in one request.
        origin: what ``describe`` says of the model besides `Sampler.facts`.
    """
    inputs, drawn = list(sampler.served_signature().values()), list(sampler.request_signature().values())
    # one function each, so that an export holds its constants once
    make = tf.function(lambda *given: sampler.serve(*given), autograph=False, input_signature=inputs)
    moving = _Grant(sampler) if sampler.features else None
    rate, shares = sampler.audio.sample_rate, moving.shares if moving else []

    def sample(*request: tf.Tensor) -> dict[str, tf.Tensor]:
        found = sampler.inputs_of(*request[:len(drawn)])
        if moving:
            found["noise"] = moving.noise(found, request[len(drawn):])
        return make(*found.values())

    def sample_wav(*request: tf.Tensor) -> dict[str, tf.Tensor]:
        made = sample(*request)
        return {"wav_bytes": wav_bytes(made["audio"], rate, made.get("samples"))}

    def sample_checks(*request: tf.Tensor) -> Iterator[Check]:
        yield from sampler.request_checks(*request[:len(drawn)])
        yield from map(share_check, sampler.features, request[len(drawn):])

    example, request, example_of_sample = sampler.example(), sampler.request([0]), sample_request(sampler, [0])
    of_sample = [[*drawn, *shares], max_batch, sample_checks]
    generate = served(make, inputs, max_batch, sampler.input_checks, **example)
    return {"serving_default": generate, "generate": generate,
            "sample": served(sample, *of_sample, **example_of_sample),
            "sample_wav": served(sample_wav, *of_sample, **example_of_sample),
            "draw": served(lambda *request: sampler.inputs_of(*request), drawn, max_batch, sampler.request_checks,
                           **request),
            **({"grant": moving.signature(max_batch, example)} if moving else {}),
            "analyze": analysis(sampler.analyze, sampler.audio, max_batch, sampler.analyzed_samples),
            "describe": description({**origin, **sampler.facts()}, max_batch)}


def sample_request(sampler: Sampler, seeds: Sequence[int]) -> dict[str, np.ndarray]:
    """The inputs of ``sample`` for the first sound of each seed, with any features."""
    return {**sampler.request(seeds), **{name: np.full(len(seeds), ANY, np.float32) for name in sampler.features}}


class _Grant:
    """Noise that makes sounds with features, for every row its own: see `melgan_tf.inference.wishes`.

    Args:
        sampler: makes the sounds.

    Attributes:
        shares: what a request says of features.
    """

    def __init__(self, sampler: Sampler) -> None:
        self._sampler, self._inputs = sampler, sampler.input_signature(None)
        self.shares = [tf.TensorSpec((None,), tf.float32, name=name) for name in sampler.features]
        self._specs = [*self._inputs.values(), *self.shares]
        self._noise = tf.function(self._program(), autograph=False, input_signature=self._specs)

    def _program(self) -> Callable[..., tf.Tensor]:
        sampler, wish, count = self._sampler, self._sampler.wish_of(self._sampler.features), len(self._inputs)

        def grant(*given: tf.Tensor) -> tf.Tensor:
            (noise, *label), shares = given[:count], tf.stack(given[count:], axis=1)
            return tf.cond(tf.reduce_any(shares >= 0),
                           lambda: sampler.move(wish, noise, label[0] if label else None, normal_scores(shares)),
                           lambda: noise)

        return grant

    def noise(self, inputs: Mapping[str, tf.Tensor], shares: tuple[tf.Tensor, ...]) -> tf.Tensor:
        """The noise ``(batch, noise_dim)`` of inputs of a call and shares ``(batch,)``."""
        return self._noise(*(inputs[name] for name in self._inputs), *shares)

    def signature(self, max_batch: int, example: Mapping[str, np.ndarray]) -> Signature:
        """The function as a server has it; the example searches, so that a server has done so once."""
        count = len(self._inputs)

        def checks(*given: tf.Tensor) -> Iterator[Check]:
            yield from Sampler.input_checks(self._sampler, *given[:count])
            yield from map(share_check, self._sampler.features, given[count:])

        return served(lambda *given: {"noise": self._noise(*given)}, self._specs, max_batch, checks,
                      **{name: example[name] for name in self._inputs},
                      **{spec.name: np.full(1, 0.5, np.float32) for spec in self.shares})
