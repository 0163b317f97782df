"""Musical keys and their names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from melgan_tf.errors import UsageError

#: Names of the twelve pitch classes, from C.
NAMES = ("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B")
_LETTERS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_ACCIDENTALS = {"": 0, "#": 1, "♯": 1, "sharp": 1, "b": -1, "♭": -1, "flat": -1}
_MODES = {"": None, "m": "minor", "min": "minor", "minor": "minor", "maj": "major", "major": "major"}
_KEY = re.compile(r"([A-Ga-g])(#|♯|b|♭|[-_ ]?sharp|[-_ ]?flat)?[-_ ]?(major|minor|maj|min|m)?", re.IGNORECASE)
_CAMELOT = re.compile(r"(1[0-2]|0?[1-9])([AB])")


@dataclass(frozen=True)
class Key:
    """A key.

    Attributes:
        tonic: pitch class of its first degree, from 0, which is C.
        mode: None where it is not known.
    """

    tonic: int
    mode: Literal["major", "minor"] | None = None

    @property
    def is_minor(self) -> bool:
        """Whether it is known to be minor: what is written without a mode is major."""
        return self.mode == "minor"

    def __str__(self) -> str:
        return NAMES[self.tonic] + ("m" if self.is_minor else "")

    @classmethod
    def parse(cls, text: str) -> Key:
        """The key that a text tells: ``Am``, ``F#min``, ``Bb``, ``C major``, or ``8A`` on the wheel of DJ programs.

        Raises:
            UsageError: it tells none.

        Examples:
            >>> str(Key.parse("F#min")), str(Key.parse("Cmaj")), str(Key.parse("8A")), Key.parse("Bb")
            ('Gbm', 'C', 'Am', Key(tonic=10, mode=None))
        """
        text = text.strip()
        if found := _CAMELOT.fullmatch(text):
            minor = found[2] == "A"
            return cls((int(found[1]) - 8) * 7 % 12 if not minor else ((int(found[1]) - 8) * 7 + 9) % 12,
                       "minor" if minor else "major")
        if not (found := _KEY.fullmatch(text)):
            raise UsageError(f"key {text!r}: give a letter from A to G, # or b, and m for minor, as in F#m")
        letter, accidental, mode = (part or "" for part in found.groups())
        tonic = _LETTERS[letter.upper()] + _ACCIDENTALS[accidental.strip("-_ ").lower()]
        # "AM" is A major to some, but written "Am" it is minor
        return cls(tonic % 12, "major" if mode == "M" else _MODES[mode.lower()])
