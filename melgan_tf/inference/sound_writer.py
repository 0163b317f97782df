"""A model's sounds as files: folders of sounds, and drum kits."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from melgan_tf.audio.delivery import Delivery
from melgan_tf.errors import UsageError
from melgan_tf.inference.generate import Request, write_recipes, write_sounds, write_stems
from melgan_tf.inference.output_folder import file_name
from melgan_tf.inference.recipe import Recipe
from melgan_tf.progress import Progress

if TYPE_CHECKING:
    from melgan_tf.inference.output_folder import Part


class SoundWriter:
    """The part of a `melgan_tf.inference.sound_model.SoundModel` that writes files."""

    def write_recipes(self, folder: str | Path, requests: Sequence[tuple[str, Recipe]], *,
                      seconds: float | None = None, loop: bool = False, delivery: Delivery | None = None,
                      name: str | None = None, add: bool = False, source: str | None = None,
                      progress: Progress | None = None) -> dict[str, Any]:
        """Writes the sounds of recipes, as `write` does.

        Args:
            folder, seconds, loop, delivery, name, add, progress: as for `write`.
            requests: file name and recipe of each sound.
            source: the model's name in the records; by default what it was loaded from.

        Returns:
            As `write`.

        Raises:
            UsageError: as `make`.
            MelGANError: the folder cannot be written.
        """
        request = self._request(folder, seconds, loop, delivery, name, add, source)
        return write_recipes(self, request, requests, progress)

    def write(self, folder: str | Path, count: int = 16, seed: int = 0, label: str | None = None, *,
              seconds: float | None = None, loop: bool = False, start: int = 0, indices: Sequence[int] = (),
              stems: Sequence[str] = (), delivery: Delivery | None = None, name: str | None = None, add: bool = False,
              part: Part | None = None, progress: Progress | None = None) -> dict[str, Any]:
        """Writes sounds as files, with ``sounds.json``, ``sounds.png``, ``LICENSES.txt`` and ``index.html``, a page to
        hear them.

        Memory does not grow with the number or the length of the sounds. Either all files are written or none; but an
        interruption keeps the sounds that are finished.

        Args:
            folder: output folder; files of an earlier call in it are replaced, other files stay.
            count, seed, label, seconds, loop, start, progress: as for `generate`.
            indices: of the sounds, instead of ``count`` and ``start``.
            stems: classes instead of ``label``: makes ``count`` sets of one sound of each class, which belong together,
                and the mix of each set; see `melgan_tf.inference.generate.write_stems`.
            delivery: format, bits, sample rate, channels, level and ending of the files; by default WAV of 16 bits,
                every sound at a peak of -1 dB: see `melgan_tf.audio.delivery.Delivery`.
            name: the files' names, as ``{label}_{index:03}_{note}``: see
                `melgan_tf.inference.output_folder.NamePattern`.
            add: keep the sounds of earlier calls in the folder.
            part: write only this part of the sounds; see `melgan_tf.inference.generate.write_sounds`.

        Returns:
            The content of ``sounds.json`` (only its first thousand sounds), with ``made``, the number of sounds
            written, and of these ``silent``, ``turned_down``, too loud for the file, ``over``, above full scale,
            and ``abrupt``, cut off and therefore faded out.

        Raises:
            UsageError: as `generate`; or a file is in the way.
            MelGANError: the folder cannot be written.

        Examples:
            >>> import tempfile
            >>> import melgan_tf as mt
            >>> drums = mt.load("pretrained:drums")
            >>> delivery = mt.Delivery(format="flac", bit_depth="24", sample_rate=44_100)
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     made = drums.write(folder, 2, label="tom", name="{label}_{index:02}", delivery=delivery)
            >>> [sound["file"] for sound in made["sounds"]]
            ['tom_00.flac', 'tom_01.flac']
        """
        require_numbers(count, seed, start)
        request = self._request(folder, seconds, loop, delivery, name, add)
        if request.delivery.normalize == "none" and self.config.data.level == "peak":
            (progress or Progress()).line("the model learned from sounds at equal peak: its levels do not say how loud "
                                          "a sound was")
        if stems:
            if label or indices or part:
                raise UsageError("stems are of several classes: remove the label, the indices and the part")
            return write_stems(self, request, stems, count, seed, start, progress)
        if not indices:
            return write_sounds(self, request, count, seed, label, start, part, progress)
        for index in indices:
            require_numbers(1, seed, index)
        recipes = [self.recipe(seed, index, label) for index in indices]
        classes = self.sampler.classes
        labels = [classes and classes.describe(classes.vector(recipe.label)) for recipe in recipes]
        files = [file_name(self.name, seed, index, max(indices) + 1, label)
                 for index, label in zip(indices, labels, strict=True)]
        return write_recipes(self, request, list(zip(files, recipes, strict=True)), progress)

    def _request(self, folder: str | Path, seconds: float | None, loop: bool, delivery: Delivery | None,
                 name: str | None, add: bool, source: str | None = None) -> Request:
        length, delivery = self._length(seconds, loop), delivery or Delivery()
        if (loop or "bpm" in self.sampler.wishes) and delivery.changes_length:
            raise UsageError("a loop has no end: remove --trim and --tail")
        if length is None and seconds is not None:
            delivery = dataclasses.replace(delivery, seconds=seconds)
        self.before_making(self)
        return Request(Path(folder), source or self.source, delivery, length, name, add)

    def kit(self, folder: str | Path, seed: int = 0, labels: Sequence[str] = (), *,
            style_from: Sequence[str | Path] = (), round_robins: int = 3, velocities: int = 3,
            bit_depth: str = "24", sample_rate: int | None = None, progress: Progress | None = None
            ) -> dict[str, Any]:
        """Writes a drum kit: WAVs, and files for samplers: SFZ, Hydrogen, Decent Sampler, a list of pads and notes.

        All hits are equally loud (ITU-R BS.1770), but for softer velocities. Either all files are written or none.

        Args:
            folder: output folder; files of an earlier kit in it are replaced, other files stay.
            seed: decides the sounds.
            labels: the classes, or mixtures (``kick=0.7,snare=0.3``), that get pads; by default all.
            style_from: folders of sounds, or sound files: what suits a pad is encoded, and the pad starts from it.
            round_robins: samples of each velocity, which take turns.
            velocities: layers from soft and dark to hard.
            bit_depth, sample_rate: of the samples, as for `melgan_tf.audio.delivery.Delivery`.
            progress: reports sounds.

        Returns:
            The content of ``kit.json``: ``pads``, each with its note, measures and ``samples`` with their recipes.

        Raises:
            UsageError: a number is out of range, the model has no such class, or makes sounds of any length.
            MelGANError: the model makes only silence, no sound can be used, or the folder cannot be written.

        Examples:
            >>> import tempfile, melgan_tf as mt
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     kit = mt.load("pretrained:drums").kit(folder, labels=["kick", "hat"], round_robins=1, velocities=2)
            >>> [(pad["pad"], pad["name"], pad["note"], len(pad["samples"])) for pad in kit["pads"]]
            [('A01', 'Kick', 36, 2), ('A02', 'Closed Hat', 42, 2), ('A03', 'Open Hat', 46, 2)]
        """
        from melgan_tf.inference.kit.write import write_kit

        require_numbers(1, seed)
        return write_kit(self, Path(folder), seed, labels, style_from, round_robins, velocities,
                         Delivery(bit_depth=bit_depth, sample_rate=sample_rate), progress)


def require_numbers(count: int, seed: int, start: int = 0) -> None:
    """Raises a `UsageError` for a number of sounds, a seed or an index that there cannot be."""
    for name, value, least in (("count", count, 1), ("seed", seed, 0), ("start", start, 0)):
        if not isinstance(value, int | np.integer) or not least <= value < 2**63:
            raise UsageError(f"{name} is {value!r}: give a whole number from {least} to {2**63 - 1}")
