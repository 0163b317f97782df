"""A sound model as exports hold it, and the sounds that they are checked with."""

from __future__ import annotations

from functools import partial
from pathlib import PurePath
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from melgan_tf.config import to_dict
from melgan_tf.errors import UsageError
from melgan_tf.inference.exportable import MAX_BATCH, SEEDS, Example, Exportable, Quantize, Signature, Target
from melgan_tf.inference.sampler import Sampler
from melgan_tf.inference.sound_signatures import sample_request, signatures
from melgan_tf.weights.licenses import short_license

if TYPE_CHECKING:
    from melgan_tf.inference.sound_model import SoundModel

#: In parts of each sound's peak. The operations are the same, so only their rounding differs; phase retrieval
#: magnifies it.
TOLERANCE = {"mel": 1e-4, "audio": 5e-2, "audio_by_seed": 5e-2, "mel_analyzed": 1e-4}

#: The same for fixed shapes, by how weights are stored; "audio" compares the same algorithm with another Fourier
#: transform, or other weights: mels that differ by a thousandth can turn the phases of a few sounds.
FIXED_TOLERANCE: dict[Quantize, dict[str, float]] = {
    "none": {"mel": 1e-4, "audio": 5e-2, "audio_by_seed": 5e-2},
    "float16": {"mel": 1e-2, "audio": 0.3, "audio_by_seed": 0.3},
}


def sound_exportable(model: SoundModel, target: Target, quantize: Quantize = "none", seconds: float | None = None,
                     max_batch: int = MAX_BATCH, bpm: float | None = None, bars: int | None = None) -> Exportable:
    """See `melgan_tf.inference.exportable.ExportableModel.exportable`."""
    if seconds is not None:
        raise UsageError(f"a window of {seconds} seconds is for vocoders: remove it")
    if quantize not in FIXED_TOLERANCE:
        raise UsageError(f"--quantize {quantize}: use one of {', '.join(FIXED_TOLERANCE)}")
    sampler, config = model.sampler.at_tempo(bpm, bars), model.config
    origin = {"made_by": "melgan-tf", "preset": config.preset, "step": model.step, "weights": model.weights,
              "audio_fingerprint": config.audio.fingerprint(), "sample_rate": config.audio.sample_rate,
              "licence": short_license(model.licenses), **sampler.metadata()}
    if target == "server":
        max_batch = sampler.most_rows(max_batch)
        described = {**origin, "config": to_dict(config), "source": PurePath(model.source).name,
                     "licenses": model.licenses}
        return Exportable(config, origin, signatures(sampler, max_batch, described),
                          partial(_examples, sampler, min(SEEDS, max_batch)), TOLERANCE, max_batch=max_batch)
    origin |= sampler.fixed_metadata()
    if target == "runtime":
        return Exportable(config, origin, {"generate": _generate(sampler, None)},
                          lambda: _examples(sampler, SEEDS)[:1], FIXED_TOLERANCE["none"])
    fixed = {"mel": Signature(lambda *inputs: {"mel": sampler.mel(*inputs)}, _specs(sampler, 1)),
             "generate": _generate(sampler, 1), "sample": _sample(sampler)}
    return Exportable(config, {**origin, "quantize": quantize}, fixed,
                      partial(_fixed_examples, sampler), FIXED_TOLERANCE[quantize], quantize=quantize)


def _specs(sampler: Sampler, batch: int | None) -> list[tf.TensorSpec]:
    return list(sampler.input_signature(batch).values())


def _generate(sampler: Sampler, batch: int | None) -> Signature:
    """The function of an export without checks and Fourier transforms; batch None: any number."""
    def generate(*inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        mel = sampler.mel(*inputs)
        return {"audio": sampler.render(mel, use_matmul_dft=True), "mel": mel}

    return Signature(generate, _specs(sampler, batch))


def _sample(sampler: Sampler) -> Signature:
    """Seed, index and, with classes, the number of the class, each ``(1,)`` -> the sound, without checks."""
    specs = [tf.TensorSpec((1,), tf.int64, name=name) for name in ("seed", "index")]
    if sampler.classes:
        specs.append(tf.TensorSpec((1,), tf.int32, name="label"))

    def sample(seed: tf.Tensor, index: tf.Tensor, *label: tf.Tensor) -> dict[str, tf.Tensor]:
        inputs = sampler.portable_inputs(seed, index)
        mel = sampler.mel(*inputs, *(tf.one_hot(number, len(sampler.classes)) for number in label))
        return {"audio": sampler.render(mel, use_matmul_dft=True)}

    return Signature(sample, specs)


def _numpy(tensors: dict[str, tf.Tensor]) -> dict[str, np.ndarray]:
    return {name: tensor.numpy() for name, tensor in tensors.items()}


def _inputs(sampler: Sampler, seeds: int = SEEDS) -> dict[str, np.ndarray]:
    """The inputs of the first sound of every seed."""
    firsts = [_numpy(sampler.inputs(seed, 1)) for seed in range(seeds)]
    return {name: np.concatenate([first[name] for first in firsts]) for name in firsts[0]}


def _examples(sampler: Sampler, seeds: int) -> list[Example]:
    inputs = _inputs(sampler, seeds)
    outputs = _numpy(sampler(**inputs))
    audio = {"audio": outputs["audio"]}
    mel = sampler.analyze(tf.constant(outputs["audio"])).numpy()
    return [Example("generate", sampler.example(**inputs), outputs,
                    {batch: f"audio, batch {batch}" for batch in (1, 16) if batch <= seeds}),
            Example("sample", sample_request(sampler, range(seeds)), audio, suffix="_by_seed"),
            Example("analyze", audio, {"mel": mel}, suffix="_analyzed")]


def _fixed_examples(sampler: Sampler) -> list[Example]:
    """One example for each output of a signature."""
    inputs = _inputs(sampler)
    results = _numpy(sampler(**inputs))
    numbers = {"seed": np.arange(SEEDS), "index": np.zeros(SEEDS, np.int64)}
    if sampler.classes:
        numbers["label"] = inputs["label"].argmax(axis=1).astype(np.int32)
    return [*(Example(signature, inputs, {name: results[name]}, {1: name})
              for signature, name in (("mel", "mel"), ("generate", "audio"))),
            Example("sample", numbers, {"audio": results["audio"]}, suffix="_by_seed")]
