"""What exports ask of a sampler: the inputs of their functions, what these must fulfill, and what is stated of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from melgan_tf.errors import UsageError
from melgan_tf.inference import portable_noise
from melgan_tf.inference.batches import BatchSampler
from melgan_tf.inference.exportable import Example, Signature
from melgan_tf.inference.served import MAX_NOISE, Check, class_check, finite_checks, label_checks


class AnyTempo(Protocol):
    """A function of fixed shapes whose sounds have any tempo: see `melgan_tf.models.loop_gan.any_tempo`."""

    tempo: Mapping[str, Any]
    signature: Signature

    def example(self, **inputs: np.ndarray) -> Example:
        """A call of it, by inputs of ``generate``."""


class ExportSampler(BatchSampler):
    """The part of a `melgan_tf.inference.sampler.Sampler` that exports need; see `melgan_tf.inference.sound_export`."""

    def metadata(self) -> dict[str, Any]:
        """What exports state of the inputs and the rendering."""
        return {"noise_dim": self.config.model.noise_dim, "vocoder": self.vocoder_metadata,
                **({"classes": self.classes.names} if self.classes else {})}

    def fixed_metadata(self) -> dict[str, Any]:
        """What exports without checks state besides."""
        return {"noise_recipe": portable_noise.RECIPE}

    def at_tempo(self, bpm: float | None, bars: int | None) -> ExportSampler:
        """The sampler of an export at a tempo, of a number of bars; None: its own.

        Raises:
            UsageError: its sounds have no tempo.
        """
        for name, value in (("bpm", bpm), ("bars", bars)):
            if value is not None:
                raise UsageError(f"--{name} {value:g}: exports of a model of preset {self.config.preset!r} have no "
                                 "tempo; remove it")
        return self

    def any_tempo(self) -> AnyTempo | None:
        """Its sounds at any tempo from a function of fixed shapes; None if they have no tempo."""
        return None

    def most_rows(self, max_batch: int) -> int:
        """Sounds in a request of an export: ``max_batch``, or less if they would be too long together."""
        return max_batch

    def served_signature(self) -> dict[str, tf.TensorSpec]:
        """What ``generate`` of an export takes by name."""
        return self.input_signature(None)

    def serve(self, *inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        """``generate`` of an export: ``audio``, ``mel`` and, if sounds differ in length, ``samples`` ``(batch,)``."""
        return self(*inputs)

    def example(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Inputs of ``generate`` of an export: those of a call, or silent noise, and with classes the first one."""
        if inputs:
            return inputs
        found = {name: np.zeros(spec.shape, np.float32) for name, spec in self.input_signature(1).items()}
        if self.classes:
            found["label"][0, 0] = 1.0
        return found

    @property
    def analyzed_samples(self) -> int | None:
        """The length of what ``analyze`` takes; None: any."""
        return self.samples

    def facts(self) -> dict[str, Any]:
        """What a client has to know of the sounds."""
        return {"sample_rate": self.audio.sample_rate, "samples": self.samples,
                "audio_fingerprint": self.audio.fingerprint(), "asked": self.wishes, "features": list(self.features),
                **self.metadata()}

    def input_checks(self, noise: tf.Tensor, label: tf.Tensor | None = None) -> Iterator[Check]:
        """What the inputs of a request must fulfill besides their shapes."""
        yield from finite_checks("noise", noise, MAX_NOISE)
        if label is not None:
            yield from label_checks(label)

    def request_signature(self) -> dict[str, tf.TensorSpec]:
        """What a request for sounds takes by name besides features: ``seed``, ``index``, with classes ``label``."""
        specs = {name: tf.TensorSpec((None,), tf.int64, name=name) for name in ("seed", "index")}
        return {**specs, "label": tf.TensorSpec((None,), tf.string, name="label")} if self.classes else specs

    def request_checks(self, seed: tf.Tensor, index: tf.Tensor, label: tf.Tensor | None = None) -> Iterator[Check]:
        """What such a request must fulfill besides its shapes."""
        yield tf.reduce_all(seed >= 0), ["seed must be 0 or more"]
        yield tf.reduce_all(index >= 0), ["index must be 0 or more"]
        if label is not None:
            yield class_check(label, self.classes.names)

    def portable_inputs(self, seed: tf.Tensor, index: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """What `inputs` draws besides classes, in operations that TFLite has; seed and index ``(1,)``, int64."""
        return portable_noise.normal(tf.stack([seed, index], axis=1), self.config.model.noise_dim),

    def request(self, seeds: Sequence[int]) -> dict[str, np.ndarray]:
        """A request for the first sound of each seed, of any class."""
        found = {"seed": np.array(seeds, np.int64), "index": np.zeros(len(seeds), np.int64)}
        return {**found, "label": np.array([b""] * len(seeds))} if self.classes else found
