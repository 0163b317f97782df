"""A trained model that makes sounds from noise: in memory, or into a folder."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import numpy as np

from melgan_tf.audio.delivery import CUT_FADE
from melgan_tf.audio.edit import fade_out
from melgan_tf.config import Config
from melgan_tf.errors import MelGANError, UsageError
from melgan_tf.inference.batches import BATCH, BatchSampler
from melgan_tf.inference.exportable import Exportable, Target
from melgan_tf.inference.generated_sounds import GeneratedSounds
from melgan_tf.inference.long_sounds import Length, StreamRenderer
from melgan_tf.inference.recipe import Recipe, Seeded
from melgan_tf.inference.sound_writer import SoundWriter, require_numbers
from melgan_tf.progress import Progress
from melgan_tf.weights.licenses import model_licenses

if TYPE_CHECKING:
    import keras

    from melgan_tf.inference.encode import Encoding


@dataclass(frozen=True)
class SoundModel(SoundWriter):
    """A trained model that makes sounds from noise.

    Attributes:
        sampler: noise -> mel -> waveform.
        config: the configuration of its run.
        step: number of training steps of the weights.
        weights: twelve hexadecimal digits that name the generator's weights.
        source: what it was loaded from, for records.
        load_encoder: loads the network that finds the noise of a recording; returns None if there is none.
        before_making: called with the model before it makes sounds.
        server: of a model on a server: the server's entry in records.
        server_licenses: what such a model learned from: see `melgan_tf.weights.licenses`.
    """

    sampler: BatchSampler
    config: Config
    step: int
    weights: str
    source: str = ""
    load_encoder: Callable[[], keras.Model | None] = lambda: None
    before_making: Callable[[SoundModel], None] = lambda model: None
    server: Mapping[str, Any] | None = None
    server_licenses: Sequence[dict[str, Any]] = ()

    @property
    def name(self) -> str:
        """What names of files call it: its bundled name, or that of its run directory."""
        return PurePath(self.source).name.removeprefix("pretrained:") or self.config.preset

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of its classes; empty if it was trained without classes."""
        return tuple(self.sampler.classes.names) if self.sampler.classes else ()

    @property
    def vocoder_metadata(self) -> dict[str, object]:
        """What turns its mels into sound, for records."""
        return dict(self.sampler.vocoder_metadata)

    @property
    def licenses(self) -> list[dict[str, Any]]:
        """What it and its vocoder learned from, under which licenses: see `melgan_tf.weights.licenses`."""
        return list(self.server_licenses) if self.server else model_licenses(
            self.source, str(self.vocoder_metadata["name"]))

    def label(self, text: str | None) -> np.ndarray | None:
        """Returns the label vector ``(classes,)`` for a text like ``kick`` or ``kick=0.7,snare=0.3``; None for None.

        Raises:
            UsageError: the model has no such class, or no classes at all.
        """
        if text is None:
            return None
        if not isinstance(text, str):
            raise UsageError(f"label is {text!r}: give the name of a class, or a mixture as text")
        if not self.sampler.classes:
            raise UsageError(f"a model of preset {self.config.preset!r} has no classes: remove --label {text}")
        return self.sampler.classes.label(text)

    def asked(self, **wishes: Any) -> SoundModel:
        """The same model, whose sounds are as somebody wishes.

        Features are measured in the mel, and the noise is moved until they are as wished: see
        `melgan_tf.inference.wishes`.

        Args:
            wishes: of loops ``bpm``, beats per minute; ``bars``; ``key``, such as "Am"; ``swing``, 0 straight, 1 as in
                triplets; ``density``, ``brightness``, ``loudness`` and ``complexity``, from 0 (less than all loops of
                the class) to 1; of one-shots ``brightness``, ``decay`` and ``pitch`` likewise.

        Raises:
            UsageError: a value is out of range, or the model cannot grant it.

        Examples:
            >>> import melgan_tf as mt
            >>> from melgan_tf.dsp.brightness import brightness_hz
            >>> drums = mt.load("pretrained:drums")
            >>> dull, bright = (drums.asked(brightness=share).generate(1, label="snare")["audio"][0]
            ...                 for share in (0.1, 0.9))
            >>> brightness_hz(dull, 16_000) < brightness_hz(bright, 16_000)
            True
        """
        return dataclasses.replace(self, sampler=self.sampler.asked(**wishes))

    def generate(self, count: int = 16, seed: int = 0, label: str | None = None, *, seconds: float | None = None,
                 loop: bool = False, start: int = 0, progress: Progress | None = None) -> GeneratedSounds:
        """Makes sounds in memory. Sound ``i`` of a seed is always the same, however many are made.

        Args:
            count: number of sounds.
            seed: random seed, 0 to 2**63 - 1.
            label: class of all sounds, ``kick``, or a mixture, ``kick=0.7,snare=0.3``; by default each sound's class
                is drawn as often as it occurred in training.
            seconds: length of each sound; by default 10, or of models that make one length the whole. These can only
                be cut.
            loop: make seamless loops, for the same models; the length is rounded to fit.
            start: index of the first sound.
            progress: reports finished sounds, or seconds of long ones.

        Returns:
            A dictionary of the arrays ``audio`` ``(count, samples)`` at the level that the model makes, ``mel``
            ``(count, frames, mel_bins)``, and for models of one length ``noise`` and, with classes, ``label``.

        Raises:
            UsageError: a number is out of range; the model has no such class, makes sounds of one length only, or
                needs a vocoder that renders piece by piece.

        Examples:
            >>> import melgan_tf as mt
            >>> mt.load("pretrained:drums").generate(2, seed=1)["audio"].shape
            (2, 8000)
        """
        require_numbers(count, seed, start)
        wanted, length = self.label(label), self._length(seconds, loop)
        self.before_making(self)
        with (progress or Progress()).task("generating", count, "sounds") as advance:
            if length is None:
                arrays = self.sampler.generate(seed, count, start, advance, wanted)
                arrays["audio"] = self._cut(arrays["audio"], seconds)
            else:
                arrays = StreamRenderer(self.sampler, length).generate(
                    [Seeded(seed, index) for index in range(start, start + count)], advance)
        classes = self.sampler.classes
        names = map(classes.describe, arrays["label"]) if classes else [""] * count
        titles = [f"{start + i} {name}".strip() for i, name in enumerate(names)]
        return GeneratedSounds(arrays, self.config.audio, titles)

    def recipe(self, seed: int, index: int, label: str | None = None) -> Recipe:
        """The recipe of sound ``index`` of a seed, as `generate` makes it: a point to vary or to interpolate from."""
        if not self.sampler.classes:
            return Recipe(Seeded(seed, index), None if self.label(label) is None else {})
        wanted = self.label(label) if label else self.sampler.draw(seed, index)["label"][0]
        return Recipe(Seeded(seed, index), self.sampler.classes.weights(wanted))

    def encode(self, recording: str | Path | np.ndarray, label: str | None = None) -> Encoding:
        """Finds what makes a recording, so that it can be varied: see `melgan_tf.inference.encode`.

        Args:
            recording: a sound file, or samples ``(any,)`` at the model's sample rate; of loops whole bars, as many and
                as fast as those that the model is asked for.
            label: its class, or mixture of classes; by default the one with which the model comes nearest.

        Returns:
            The recipe of the nearest sound, and how near it is.

        Raises:
            UsageError: the model makes sounds of any length, or has no such class.
            MelGANError: the file cannot be decoded, or is silent.

        Examples:
            >>> import melgan_tf as mt
            >>> drums = mt.load("pretrained:drums")
            >>> made = drums.generate(1, seed=3, label="kick")["audio"][0]
            >>> drums.encode(made, label="kick").within_reach
            True
        """
        from melgan_tf.inference.encode import encode, require_encodable

        require_encodable(self)
        if isinstance(recording, np.ndarray):
            return encode(self, recording, "recording", label)
        return encode(self, self.sampler.read(recording), Path(recording).name, label)

    def make(self, recipes: Sequence[Recipe], *, seconds: float | None = None, loop: bool = False) -> GeneratedSounds:
        """Makes the sounds of recipes in memory.

        Args:
            recipes: of this model: see `recipe`, and `melgan_tf.inference.recipe` for what can be made of them.
            seconds, loop: as for `generate`.

        Returns:
            As `generate`.

        Raises:
            UsageError: a recipe has a class that the model does not have.

        Examples:
            >>> import melgan_tf as mt
            >>> drums = mt.load("pretrained:drums")
            >>> drums.make([drums.recipe(seed=1, index=0, label="kick").vary(0.3)])["audio"].shape
            (1, 8000)
        """
        length = self._length(seconds, loop)
        if length is None:
            parts = [self.render(recipes[first:first + BATCH]) for first in range(0, len(recipes), BATCH)]
            arrays = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
            arrays["audio"] = self._cut(arrays["audio"], seconds)
        else:
            arrays = StreamRenderer(self.sampler, length).generate([recipe.latent for recipe in recipes])
        return GeneratedSounds(arrays, self.config.audio, [str(number) for number in range(len(recipes))])

    def render(self, recipes: Sequence[Recipe]) -> dict[str, np.ndarray]:
        """The sounds of at most `BATCH` recipes, of a model that makes one length: as `Sampler.generate` returns them.

        Raises:
            UsageError: as `make`.
            MelGANError: a recipe is of a model with other noise.
        """
        def draw(seed: int, index: int) -> dict[str, np.ndarray]:
            return {"noise": self.sampler.draw(seed, index)["noise"][0]}

        noise = [recipe.latent.arrays(draw)["noise"] for recipe in recipes]
        if wrong := [values for values in noise if values.shape != (self.config.model.noise_dim,)]:
            raise MelGANError(f"a recipe has {len(wrong[0])} numbers of noise and the model takes "
                              f"{self.config.model.noise_dim}: give the model that it was made for")
        inputs = {"noise": np.stack(noise)}
        if classes := self.sampler.classes:
            inputs["label"] = np.stack([classes.vector(recipe.label or {}) for recipe in recipes])
        return self.sampler.make(**inputs)

    def _length(self, seconds: float | None, loop: bool) -> Length | None:
        """The length of sounds that are rendered piece by piece; None if they are of one length, or a part of it."""
        if loop or seconds is None or self.sampler.length() is not None:
            return self.sampler.length(seconds, loop)
        longest = self.sampler.samples / self.config.audio.sample_rate
        if not 0 < seconds <= longest:
            raise UsageError(f"a model of preset {self.config.preset!r} makes sounds of at most {longest:.3g} seconds: "
                             f"give --seconds {longest:.3g} or less")
        return None

    def _cut(self, audio: np.ndarray, seconds: float | None) -> np.ndarray:
        """Sounds of one length ``(sounds, samples)``, shortened."""
        if seconds is None:
            return audio
        rate = self.config.audio.sample_rate
        return fade_out(audio[:, :max(1, round(seconds * rate))], CUT_FADE, rate)

    def exportable(self, target: Target = "server", **options: Any) -> Exportable:
        """Returns what `melgan_tf.exports` writes; see `melgan_tf.inference.exportable.ExportableModel`."""
        from melgan_tf.inference.sound_export import sound_exportable

        return sound_exportable(self, target, **options)
