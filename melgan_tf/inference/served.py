"""What a server's signatures have in common: requests are checked in the graph before any work, in the client's terms.

A server runs whatever it is sent, and one request for millions of sounds would end it. So every signature refuses what
is too large, has another shape, or is not finite, with a sentence that names the input. All inputs and outputs have the
batch as their first axis, one row a sound, as TF Serving's batching needs it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from melgan_tf.config import AudioConfig
from melgan_tf.inference.exportable import Signature

#: Seconds of sound in one request, all sounds together.
MAX_SECONDS = 600.0
#: Noise is normally distributed; a number beyond this was never meant.
MAX_NOISE = 100.0
#: Full scale is 1.
MAX_AUDIO = 1e3
#: Magnitudes, their powers or their logarithms.
MAX_MEL = 1e9
#: The share of a feature that is not asked for.
ANY = -1.0
#: Weights of classes sum to 1, but for rounding.
_LABEL_TOLERANCE = 1e-3

#: A condition, and what is said if it does not hold: words and tensors.
Check = tuple[tf.Tensor, Sequence[Any]]
Outputs = Mapping[str, tf.Tensor]


def checked(inputs: Sequence[tf.Tensor], checks: Iterable[Check]) -> list[tf.Tensor]:
    """Returns the inputs, once all checks hold; the first that does not ends the call with an InvalidArgumentError."""
    done: list[tf.Operation] = []
    remaining = iter(checks)
    while True:
        with tf.control_dependencies(done):  # also what a condition computes
            check = next(remaining, None)
            if check is None:
                return [tf.identity(value) for value in inputs]
            done = [tf.debugging.Assert(*check, summarize=64)]


def shape_checks(specs: Sequence[tf.TensorSpec], inputs: Sequence[tf.Tensor], max_batch: int) -> Iterable[Check]:
    """Inputs have the shapes that a signature declares, which servers do not check, and one to ``max_batch`` rows."""
    rows = None
    for spec, value in zip(specs, inputs, strict=True):
        shape = tf.raw_ops.Shape(input=value)  # `tf.shape` and `tf.rank` believe the declaration
        wanted = [-1 if size is None else size for size in spec.shape]
        named = ", ".join(["batch", *("any" if size < 0 else str(size) for size in wanted[1:])])
        said = [f"{spec.name} must have the shape ({named}), not", shape]
        yield tf.equal(tf.raw_ops.Rank(input=value), len(wanted)), said
        yield tf.reduce_all(tf.logical_or(tf.equal(shape, wanted), tf.equal(wanted, -1))), said
        if rows is None:
            rows, first = shape[0], spec.name
            yield ((rows >= 1) & (rows <= max_batch),
                   [f"ask for 1 to {max_batch} sounds in a request, not", rows])
        else:
            yield tf.equal(shape[0], rows), [f"{first} and {spec.name} must have as many rows, not", rows, shape[0]]


def finite_checks(name: str, value: tf.Tensor, most: float | None = None) -> Iterable[Check]:
    """Numbers are finite, and not beyond ``most``."""
    yield tf.reduce_all(tf.math.is_finite(value)), [f"{name} has values that are not finite"]
    if most is not None:
        yield tf.reduce_all(tf.abs(value) <= most), [f"{name} has values beyond {most:g}"]


def length_check(name: str, batch: tf.Tensor, length: tf.Tensor, most: int, unit: str) -> Check:
    """All sounds of a request together are not too long."""
    total = tf.cast(batch, tf.int64) * tf.cast(length, tf.int64)
    return (total >= 1) & (total <= most), [f"ask for 1 to {most} {unit} in a request, all sounds together; {name} "
                                            "asks for", total]


def label_checks(label: tf.Tensor) -> Iterable[Check]:
    """Rows of weights: 0 or more, with sum 1."""
    yield from finite_checks("label", label)
    yield (tf.reduce_all(label >= 0) & tf.reduce_all(tf.abs(tf.reduce_sum(label, -1) - 1) <= _LABEL_TOLERANCE),
           ["each row of label must be 0 or more and sum to 1"])


def class_check(name: tf.Tensor, classes: Sequence[str], called: str = "label") -> Check:
    """Names of classes, or of what else is ``called`` so, ``(batch,)``, are known, or empty."""
    known = tf.reduce_any(tf.equal(name[:, None], tf.constant(list(classes))), axis=1) | tf.equal(name, "")
    return tf.reduce_all(known), [f"{called} must be one of {', '.join(classes)}, or empty for any; it is",
                                  tf.boolean_mask(name, ~known)]


def range_check(name: str, value: tf.Tensor, least: float, most: float) -> Check:
    """Numbers ``(batch,)`` are within bounds."""
    within = (value >= least) & (value <= most)  # not a number is neither
    return tf.reduce_all(within), [f"{name} must be {least:g} to {most:g}; it is", tf.boolean_mask(value, ~within)]


def share_check(name: str, value: tf.Tensor) -> Check:
    """Shares ``(batch,)`` are 0 to 1, or `ANY`."""
    within = ((value >= 0) & (value <= 1)) | tf.equal(value, ANY)
    return tf.reduce_all(within), [f"{name} must be 0 to 1, or {ANY:g} for any; it is", tf.boolean_mask(value, ~within)]


def wav_bytes(audio: tf.Tensor, sample_rate: int, samples: tf.Tensor | None = None) -> tf.Tensor:
    """Audio ``(batch, longest)`` -> the bytes of a WAV file each, 16 bits, ``(batch,)``.

    Args:
        samples: ``(batch,)``: of each sound; by default all.
    """
    lengths = tf.fill(tf.shape(audio)[:1], tf.shape(audio)[1]) if samples is None else samples
    return tf.map_fn(lambda sound: tf.audio.encode_wav(sound[0][:sound[1], None], sample_rate), (audio, lengths),
                     fn_output_signature=tf.string)


def description(facts: Mapping[str, Any], max_batch: int) -> Signature:
    """A signature that tells clients what they need: ``what`` ``(batch,)``, ignored -> ``json`` ``(batch,)``."""
    text = json.dumps({**facts, "max_batch": max_batch})
    return served(lambda what: {"json": tf.fill(tf.shape(what), text)},
                  [tf.TensorSpec((None,), tf.string, name="what")], max_batch, what=np.array([b""]))


def served(function: Callable[..., Outputs], specs: Sequence[tf.TensorSpec], max_batch: int,
           checks: Callable[..., Iterable[Check]] = lambda *inputs: (), **example: np.ndarray) -> Signature:
    """A signature that checks its inputs.

    Args:
        function: inputs -> outputs.
        specs: of the inputs.
        max_batch: sounds in a request.
        checks: of the inputs, besides their shapes.
        example: inputs by name, where a row of zeros of the declared size is no good request.
    """
    def checking(*inputs: tf.Tensor) -> Outputs:
        shaped = checked(inputs, shape_checks(specs, inputs, max_batch))
        return function(*checked(shaped, checks(*shaped)))

    zeros = {spec.name: np.zeros([size or 1 for size in spec.shape], spec.dtype.as_numpy_dtype) for spec in specs}
    return Signature(checking, list(specs), {**zeros, **example})


def analysis(analyze: Callable[[tf.Tensor], tf.Tensor], audio: AudioConfig, max_batch: int, samples: int | None
             ) -> Signature:
    """A signature from waveforms to mels: ``audio`` ``(batch, samples)`` -> ``mel`` ``(batch, frames, mel_bins)``.

    Args:
        analyze: the function.
        audio: of the mels.
        max_batch: sounds in a request.
        samples: of each; None: any number from one window on.
    """
    def checks(waveform: tf.Tensor) -> Iterable[Check]:
        batch, length = tf.unstack(tf.shape(waveform))
        yield length >= audio.n_fft, [f"audio must have {audio.n_fft} samples or more, not", length]
        yield length_check("audio", batch, length, round(MAX_SECONDS * audio.sample_rate), "samples")
        yield from finite_checks("audio", waveform, MAX_AUDIO)

    return served(lambda waveform: {"mel": analyze(waveform)},
                  [tf.TensorSpec((None, samples), tf.float32, name="audio")], max_batch, checks,
                  audio=np.zeros((1, samples or audio.n_fft), np.float32))
