"""A kit as the writers of formats see it. No TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass
from xml.etree import ElementTree as Xml

from melgan_tf.inference.kit.plan import Pad

#: The folder of the samples, beside the files that name them.
SAMPLES = "samples"
#: The folder with one file for each pad, its hardest hit: to drag into a sampler.
PADS = "pads"


@dataclass(frozen=True)
class Sample:
    """A WAV of a pad.

    Attributes:
        file: its name in the folder `SAMPLES`.
        low, high: MIDI velocities at which it sounds.
        turn: its place among those of the same velocities, from 1: round robin.
    """

    file: str
    low: int
    high: int
    turn: int


@dataclass(frozen=True)
class Instrument:
    """A pad with its samples, the softest first; those of a velocity are in turn."""

    pad: Pad
    samples: tuple[Sample, ...]

    @property
    def loudest(self) -> str:
        """The file of the hardest hit."""
        return next(sample.file for sample in self.samples if sample.high == 127)


@dataclass(frozen=True)
class Kit:
    """A kit.

    Attributes:
        name: in ASCII; that of its files.
        about: one line on where it is from.
        license: name of the license; "" if unknown.
        turns: samples of each velocity.
        instruments: one for each pad.
    """

    name: str
    about: str
    license: str
    turns: int
    instruments: tuple[Instrument, ...]


def xml_bytes(root: Xml.Element) -> bytes:
    """An XML file. Hydrogen takes one that does not begin with this very line for one of its version 0.9."""
    Xml.indent(root, " ")
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + Xml.tostring(root, "utf-8") + b"\n"
