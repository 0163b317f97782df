"""The Sampler: noise -> mel -> waveform, inference only. `generate` and the exports use it."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from melgan_tf.audio.edit import onset_sample
from melgan_tf.audio.find import Skipped, SoundFile
from melgan_tf.audio.isolated import decode_folder
from melgan_tf.config import Config
from melgan_tf.data.labels import Classes
from melgan_tf.dsp import spectral
from melgan_tf.errors import DecodeError, UsageError
from melgan_tf.inference.batches import BATCH
from melgan_tf.inference.export_sampler import ExportSampler
from melgan_tf.inference.renderer import GriffinLim, Renderer
from melgan_tf.inference.texture import Texture
from melgan_tf.inference.wishes import HitMeasures, Measures, Wish, normal_score
from melgan_tf.progress import counted
from melgan_tf.storage.arrays import finite_array

#: Searched for the onset of a recording.
ONSET_SECONDS = 10.0
#: Parts of a batch that are rendered side by side: its operations are too small to be shared among cores. Not the
#: number of cores, so that a sound does not depend on the machine.
PARTS = 2
_FADE_SECONDS = 0.005
_RISE_SECONDS = 0.0005  # shorter than any attack; without it the first sample may be a step
_DIFFUSE_ITERATIONS = 2
_LABEL_SEED = 2**62  # classes are drawn from another stream than noise


class Sampler(ExportSampler):
    """Makes sounds from noise.

    Sampling is stateless: sound ``i`` of a seed is the same whatever else is made, here, in the SavedModel and in
    another process.

    Args:
        generator: its ``mel`` makes mels ``(batch, frames, mel_bins)`` of noise ``(batch, noise_dim)`` and, if there
            are classes, of labels ``(batch, classes)``.
        config: the run's configuration.
        vocoder: renders the mels; by default Griffin-Lim.
        classes: of a generator that takes labels.
        shares: as for `BatchSampler`.

    Attributes:
        measures: the features that can be wished for; None: none.
        make_batch: a call on `BATCH` sounds, compiled.
        log_mel_frames: mels in dB, compiled.
        draw_batch: the `inputs` of `BATCH` sounds from seed and first index, compiled.
        evaluated_as: what its sounds are compared with: real one-shots, windows of real sounds, or loops.

    Examples:
        >>> from melgan_tf import presets
        >>> from melgan_tf.models.spectrogram_gan.networks import Generator
        >>> Sampler(Generator(), presets.get("seed"))(tf.zeros((1, 20)))["audio"].shape
        TensorShape([1, 8000])
    """

    evaluated_as: Literal["one-shots", "windows", "loops"] = "one-shots"
    _texture_octaves = (16, 4), (4, 2)
    _part_attributes: Mapping[str, bool] | None = None

    def __init__(self, generator: keras.Model, config: Config, vocoder: Renderer | None = None,
                 classes: Classes | None = None, shares: Mapping[str, float] | None = None) -> None:
        super().__init__(config, classes, shares)
        self.generator = generator
        self.measures = self._measures()
        self.features = self.measures.names if self.measures else ()
        self.vocoder = vocoder or GriffinLim()
        self.diffuse = getattr(config.model, "diffuse", 0.0)
        texture = getattr(config.model, "texture", 0.0)
        self._texture = Texture(self.audio, self._pattern_frames, config.model.noise_dim, texture,
                                self._texture_octaves) if texture else None
        self._wish = self.wish_of(self.shares) if shares else None
        length, rise = (min(self.samples, max(1, round(seconds * self.audio.sample_rate)))
                        for seconds in (_FADE_SECONDS, _RISE_SECONDS))
        self._fade = np.ones(self.samples, "float32")
        self._fade[-length:] = 0.5 + 0.5 * np.cos(np.pi * np.arange(1, length + 1) / length)
        self._fade[:rise] *= 0.5 - 0.5 * np.cos(np.pi * np.arange(rise) / rise)
        self._part = tf.function(self.__call__, autograph=False, experimental_attributes=self._part_attributes,
                                 input_signature=list(self.input_signature(BATCH // PARTS).values()))
        self.make_batch = tf.function(self._in_parts, autograph=False,
                                     input_signature=list(self.input_signature(BATCH).values()))
        number = tf.TensorSpec((), tf.int64)
        self.draw_batch = tf.function(lambda seed, start: self.inputs(seed, BATCH, start), autograph=False,
                                      input_signature=[number, number])
        self.log_mel_frames = tf.function(lambda mel: {"mel": spectral.log_mel(mel, self.audio)}, autograph=False)

    @property
    def vocoder_metadata(self) -> dict[str, Any]:
        """See `BatchSampler`."""
        return self.vocoder.metadata()

    @property
    def _pattern_frames(self) -> int:
        """Frames of a mel of `pattern`."""
        return self.config.mel_shape[1]

    def input_signature(self, batch: int | None) -> dict[str, tf.TensorSpec]:
        """The inputs of a call by name: ``noise``, and with classes ``label``."""
        specs = {"noise": tf.TensorSpec((batch, self.config.model.noise_dim), tf.float32, name="noise")}
        if self.classes:
            specs["label"] = tf.TensorSpec((batch, len(self.classes)), tf.float32, name="label")
        return specs

    def __call__(self, noise: tf.Tensor, label: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
        """Noise ``(batch, noise_dim)`` -> ``audio`` ``(batch, samples)`` and ``mel`` ``(batch, frames, mel_bins)``.

        With classes, label ``(batch, classes)`` has the weights of the classes of each sound; rows sum to 1. Where
        sounds were wished for, the result has their ``noise`` as well.

        Raises:
            UsageError: an input is missing, has another shape, or a value that is not finite.
        """
        require_inputs(self.input_signature(None), noise=noise, label=label)
        granted = self.granted(noise, label)
        mel = self.mel(granted, label)
        return {"audio": self.render(mel), "mel": mel, **({} if granted is noise else {"noise": granted})}

    def _in_parts(self, *inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        """A call on a batch of `BATCH`."""
        parts = [self._part(*part) for part in zip(*(tf.split(x, PARTS) for x in inputs), strict=True)]
        return {name: tf.concat([part[name] for part in parts], axis=0) for name in parts[0]}

    def draw(self, seed: int, start: int) -> dict[str, np.ndarray]:
        """See `BatchSampler.draw`."""
        return {name: value.numpy() for name, value in self.draw_batch(seed, start).items()}

    def run_batch(self, inputs: Mapping[str, np.ndarray]) -> Mapping[str, Any]:
        """See `BatchSampler.run_batch`."""
        return self.make_batch(*(tf.constant(inputs[name]) for name in self.input_signature(BATCH)))

    def decibels_of_frames(self, mel: np.ndarray) -> np.ndarray:
        """See `BatchSampler.decibels_of_frames`."""
        return self.log_mel_frames(mel)["mel"].numpy()

    def _measures(self) -> Measures | None:
        return HitMeasures(self.audio)

    def asked(self, **wishes: float | None) -> Sampler:
        """See `BatchSampler.asked`."""
        shares = self.features_of(wishes)
        return type(self)(self.generator, self.config, self.vocoder, self.classes, shares) if shares else self

    def wish_of(self, names: Iterable[str]) -> Wish:
        """The wish for features of these names."""
        make = functools.partial(Sampler.mel, self)  # of the length that the generator learned, in every family
        return Wish.of(make, self.measures, names, self.config.model.noise_dim, len(self.classes or ()))

    def granted(self, noise: tf.Tensor, label: tf.Tensor | None = None) -> tf.Tensor:
        """The noise ``(batch, noise_dim)`` that makes what was wished for, near a given one; without wishes this."""
        if not self._wish:
            return noise
        wanted = tf.constant([[normal_score(share) for share in self.shares.values()]])
        return self.move(self._wish, noise, label, tf.tile(wanted, [tf.shape(noise)[0], 1]))

    def move(self, wish: Wish, noise: tf.Tensor, label: tf.Tensor | None, wanted: tf.Tensor) -> tf.Tensor:
        """See `Wish.granted`."""
        return wish.granted(noise, label, wanted)

    def mel(self, noise: tf.Tensor, label: tf.Tensor | None = None) -> tf.Tensor:
        """Noise ``(batch, noise_dim)``, label ``(batch, classes)`` if any -> mel ``(batch, frames, mel_bins)``."""
        return self._finished(self.pattern(noise, label), noise)

    def _finished(self, mel: tf.Tensor, *sections: tf.Tensor) -> tf.Tensor:
        """What the generator made, with texture: see `Texture`."""
        return self._texture(mel, *sections) if self._texture else mel

    def pattern(self, noise: tf.Tensor, label: tf.Tensor | None = None) -> tf.Tensor:
        """The mel ``(batch, frames, mel_bins)`` of the length that the generator learned, without texture."""
        return tf.cast(self.generator.mel(noise, label) if self.classes else self.generator.mel(noise), tf.float32)

    def render(self, mel: tf.Tensor, use_matmul_dft: bool = False) -> tf.Tensor:
        """Mel ``(batch, frames, mel_bins)`` -> waveform ``(batch, samples)``.

        The part of the sound that the configuration calls diffuse comes from two iterations of phase retrieval: all but
        random phases, at the mel's own levels. Through a vocoder alone noise becomes too much like tones.

        Args:
            mel: on the scale of the configuration.
            use_matmul_dft: compute Fourier transforms as matrix products, for phones.
        """
        options = {"length": self.samples, "use_matmul_dft": use_matmul_dft}
        waveform = self.vocoder.render(mel, self.audio, **options)
        if self.diffuse and not self.vocoder.random_phases:
            rough = GriffinLim(_DIFFUSE_ITERATIONS).render(mel, self.audio, **options)
            waveform = math.sqrt(1.0 - self.diffuse ** 2) * waveform + self.diffuse * rough
        return self.finish(waveform)

    def finish(self, waveform: tf.Tensor) -> tf.Tensor:
        """Fades half a millisecond in and 5 ms out, so that nothing clicks, and turns down what would clip (peak above
        1)."""
        waveform = waveform * self._fade
        return waveform / tf.maximum(tf.reduce_max(tf.abs(waveform), axis=-1, keepdims=True), 1.0)

    def noise(self, seed: tf.Tensor | int, count: tf.Tensor | int, start: tf.Tensor | int = 0) -> tf.Tensor:
        """The noise of sounds ``start`` to ``start + count - 1`` of a seed: ``(count, noise_dim)``."""
        return self.noise_of(_keys(seed, count, start))

    def noise_of(self, keys: tf.Tensor) -> tf.Tensor:
        """The noise of sounds ``(sounds, 2)``: seed and index."""
        return tf.map_fn(lambda key: tf.random.stateless_normal((self.config.model.noise_dim,), key), keys,
                         fn_output_signature=tf.float32)

    def labels(self, seed: tf.Tensor | int, count: tf.Tensor | int, start: tf.Tensor | int = 0) -> tf.Tensor:
        """The classes of sounds ``start`` to ``start + count - 1`` of a seed: ``(count, classes)``, one of each row 1.

        Drawn as often as each class occurred among the training sounds.
        """
        return self._labels(_keys(seed, count, start))

    def _labels(self, keys: tf.Tensor) -> tf.Tensor:
        """The classes of sounds ``(sounds, 2)``: seed and index."""
        def one(key: tf.Tensor) -> tf.Tensor:
            return draw_classes(tf.random.stateless_uniform((), key), self.classes.shares)

        return tf.map_fn(one, keys + tf.constant([_LABEL_SEED, 0], tf.int64), fn_output_signature=tf.float32)

    def inputs(self, seed: tf.Tensor | int, count: tf.Tensor | int, start: tf.Tensor | int = 0) -> dict[str, tf.Tensor]:
        """The inputs of sounds ``start`` to ``start + count - 1`` of a seed: ``noise``, and with classes ``label``."""
        return self._drawn(_keys(seed, count, start))

    def _drawn(self, keys: tf.Tensor) -> dict[str, tf.Tensor]:
        """The inputs of sounds ``(sounds, 2)``: seed and index."""
        return {"noise": self.noise_of(keys), **({"label": self._labels(keys)} if self.classes else {})}

    def inputs_of(self, seed: tf.Tensor, index: tf.Tensor, label: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
        """The inputs of any sounds, as `inputs` makes them.

        Args:
            seed, index: ``(batch,)``, int64: of each sound.
            label: ``(batch,)``, the name of each sound's class; where it is empty, and without it, that of `labels`.
        """
        found = self._drawn(tf.stack([seed, index], axis=1))
        if label is None:
            return found
        asked = tf.cast(tf.equal(label[:, None], tf.constant(list(self.classes.names))), tf.float32)
        return {**found, "label": tf.where(tf.equal(label, "")[:, None], found["label"], asked)}

    def read(self, path: str | Path) -> np.ndarray:
        """A recording to encode, float32 ``(any,)``.

        Raises:
            DecodeError: it cannot be decoded.
        """
        longest = self.samples + round(ONSET_SECONDS * self.audio.sample_rate)
        (_, samples), = decode_folder([SoundFile(Path(path), Path(path).name, "")], self.audio.sample_rate, longest)
        if isinstance(samples, Skipped):
            raise DecodeError(path, samples.reason)
        return samples

    def wishes_of(self, path: str | Path) -> dict[str, Any]:
        """What sounds would have to be asked to be, to be like a recording: see `asked`."""
        return {}

    def pattern_of(self, samples: np.ndarray) -> tf.Tensor:
        """The mel ``(1, frames, mel_bins)`` of a recording ``(any,)``, as `pattern` makes them: from its onset."""
        samples = samples[onset_sample(samples):][:self.samples]
        return self.analyze(tf.constant(np.pad(samples, (0, self.samples - len(samples)))[None]))

    def analyze(self, waveform: tf.Tensor) -> tf.Tensor:
        """Waveform ``(batch, samples)`` -> mel ``(batch, frames, mel_bins)`` in the model's configuration."""
        return spectral.mel_spectrogram(waveform, self.audio)


def _keys(seed: tf.Tensor | int, count: tf.Tensor | int, start: tf.Tensor | int) -> tf.Tensor:
    """Seed and index of sounds ``start`` to ``start + count - 1`` of a seed: ``(count, 2)``."""
    indices = tf.cast(start, tf.int64) + tf.range(tf.cast(count, tf.int64))
    return tf.stack([tf.fill(tf.shape(indices), tf.cast(seed, tf.int64)), indices], axis=1)


def require_inputs(specs: dict[str, tf.TensorSpec], **inputs: Any) -> None:
    """Checks the inputs of a call by their specs, except where it is traced.

    Raises:
        UsageError: one is missing, has another shape, or a value that is not finite.
    """
    rows = {}
    for name, spec in specs.items():
        shape = str(spec.shape).replace("None", "sounds", 1)
        if inputs[name] is None:
            raise UsageError(f"the {name} is missing: give an array of shape {shape}")
        if not tf.is_symbolic_tensor(inputs[name]):
            values = finite_array(inputs[name], f"the {name}")
            if not spec.shape.is_compatible_with(values.shape):
                raise UsageError(f"the {name} has shape {values.shape}: give {shape}, one row for each sound")
            rows[name] = len(values)
    if len(set(rows.values())) > 1:
        given = " and ".join(f"{name} for {counted(count, 'sound')}" for name, count in rows.items())
        raise UsageError(f"{given}: give one row of each for every sound")


def draw_classes(uniform: tf.Tensor, shares: np.ndarray) -> tf.Tensor:
    """Draws classes as often as their shares say.

    Args:
        uniform: random numbers in [0, 1), any shape.
        shares: ``(classes,)``, sums to 1.

    Output shape: that of ``uniform`` and ``(classes,)``: one of each row is 1.

    Examples:
        >>> draw_classes(tf.constant([0.1, 0.9]), np.array([0.75, 0.25])).numpy().tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    bounds = tf.constant(np.cumsum(shares)[:-1], tf.float32)
    return tf.one_hot(tf.reduce_sum(tf.cast(uniform[..., None] >= bounds, tf.int32), axis=-1), len(shares))
