"""The pads of a kit: which sounds, on which notes, by the names of a model's classes. No TensorFlow."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

#: Pads of a model without classes: one bank of a pad controller.
UNCLASSED_PADS = 16
#: The closed and the open hat silence each other.
HAT_CHOKE = 1
#: There are no more notes.
MAX_PADS = 128

#: Which of the sounds of its class a pad gets: a typical one; the shortest or longest; or by pitch.
Choice = Literal["typical", "shortest", "longest", "low", "middle", "high"]

# Names, words in the names of classes and files, and General MIDI notes: the first, and those of further pads of the
# kind. Words of four letters and more may begin a word ("percussion"), shorter ones are whole words or plurals.
_KINDS = (
    ("Kick", "kick bd bassdrum kik", (36, 35)),
    ("Snare", "snare sd", (38, 40)),
    ("Clap", "clap cp handclap", (39,)),
    ("Rim", "rim rimshot rimclick sidestick", (37,)),
    ("Closed Hat", "closedhat closedhihat ch chh pedal", (42, 44)),
    ("Open Hat", "openhat openhihat oh ohh", (46,)),
    ("Hat", "hat hihat hh", (42, 44)),
    ("Tom", "tom", (45, 47, 50, 41, 43, 48)),
    ("Cymbal", "cymbal crash splash china", (49, 57, 55)),
    ("Ride", "ride", (51, 59, 53)),
    ("Cowbell", "cowbell", (56,)),
    ("Tambourine", "tambourine", (54,)),
    ("Shaker", "shaker maraca", (70, 69)),
    ("Conga", "conga bongo", (63, 64, 60, 61)),
    ("Perc", "perc", (75, 76, 77)),
)
_NOTES = {name: notes for name, _, notes in _KINDS}
_ORDER = [name for name, _, _ in _KINDS]
# what the class of a kind becomes, if it is not simply one pad
_SPLIT: dict[str, tuple[tuple[str, str, Choice], ...]] = {
    "Hat": (("Closed Hat", "Closed Hat", "shortest"), ("Open Hat", "Open Hat", "longest")),
    "Tom": (("Tom", "Tom Low", "low"), ("Tom", "Tom Mid", "middle"), ("Tom", "Tom High", "high")),
}


@dataclass(frozen=True)
class Pad:
    """A pad.

    Attributes:
        number: from 1.
        name: in ASCII.
        kind: "Kick" and so on; "" where the class has another name.
        label: class, or mixture of classes, of its sounds; "" of a model without classes.
        choice: which of its sounds.
        note: MIDI note.
        choke: number of the group of pads that silence each other.
    """

    number: int
    name: str
    kind: str
    label: str
    choice: Choice = "typical"
    note: int = 0
    choke: int | None = None

    @property
    def stem(self) -> str:
        """The beginning of its files' names, which sort as the pads do: ``05_Closed_Hat``."""
        return f"{self.number:02d}_{self.name.replace(' ', '_')}"

    @property
    def place(self) -> str:
        """Where it is on a pad controller: A01 to A16, B01, ...

        Examples:
            >>> Pad(18, "Glass", "", "glass").place
            'B02'
        """
        return f"{chr(ord('A') + (self.number - 1) // 16)}{(self.number - 1) % 16 + 1:02d}"


def plan(labels: Sequence[str]) -> list[Pad]:
    """The pads for the classes of a model: those that drum kits have first, in their usual order.

    Args:
        labels: names of classes, or mixtures; none: the model has no classes.

    Returns:
        At most `MAX_PADS`.

    Examples:
        >>> [(pad.stem, pad.note) for pad in plan(["hat", "Große Glocke", "kick"])]
        [('01_Kick', 36), ('02_Closed_Hat', 42), ('03_Open_Hat', 46), ('04_Groe_Glocke', 60)]
    """
    if not labels:
        return [Pad(number, "Sound", "", "", note=35 + number) for number in range(1, UNCLASSED_PADS + 1)]
    pads = sorted((pad for label in labels for pad in _of_class(label)), key=_place)[:MAX_PADS]
    kinds, used, placed = Counter(pad.kind for pad in pads), set(), []
    for number, pad in enumerate(pads, start=1):
        usual = sorted(_NOTES.get(pad.kind, ())[:kinds[pad.kind]]) if pad.kind == "Tom" else _NOTES.get(pad.kind, ())
        note = next(note for note in (*usual, *range(60, 128), *range(60)) if note not in used)
        used.add(note)
        placed.append(replace(pad, number=number, note=note))
    return placed


def _place(pad: Pad) -> tuple[int, int]:
    return _ORDER.index(pad.kind) if pad.kind else len(_ORDER), get_args(Choice).index(pad.choice)


def _of_class(label: str) -> Iterator[Pad]:
    kind = kind_of(label)
    for part, name, choice in _SPLIT.get(kind, ((kind, kind if label.lower() == kind.lower() else label, "typical"),)):
        yield Pad(0, ascii_name(name), part, label, choice, choke=HAT_CHOKE if part.endswith("Hat") else None)


def kind_of(text: str) -> str:
    """The kind of drum that a name says; "" if it says none.

    Examples:
        >>> [kind_of(name) for name in ("Kicks 808", "hi-hat open", "CH", "percussion", "Tomato", "toms")]
        ['Kick', 'Open Hat', 'Closed Hat', 'Perc', '', 'Tom']
    """
    words = re.findall(r"[a-z]+", text.lower())
    words += ["".join(pair) for pair in zip(words, words[1:], strict=False)]  # "bass drum", "hi-hat"
    found = next((name for name, known, _ in _KINDS if any(_means(word, known.split()) for word in words)), "")
    if found == "Hat" and {"open", "opened"} & set(words):
        return "Open Hat"
    return "Closed Hat" if found == "Hat" and {"closed", "close"} & set(words) else found


def _means(word: str, known: Sequence[str]) -> bool:
    return any(word in (name, f"{name}s") or (len(name) > 3 and word.startswith(name)) for name in known)


def ascii_name(text: str) -> str:
    """A name in letters, digits and single spaces, which every sampler and file system takes.

    Examples:
        >>> ascii_name("Große Trömmel/01"), ascii_name("太鼓")
        ('Groe Trommel 01', 'Sound')
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return " ".join(re.findall(r"[A-Za-z0-9]+", plain))[:40].strip() or "Sound"


def velocity_ranges(layers: int) -> list[tuple[int, int]]:
    """The MIDI velocities, 1 to 127, of each layer, the softest first.

    Examples:
        >>> velocity_ranges(3)
        [(1, 42), (43, 85), (86, 127)]
    """
    bounds = [round(127 * layer / layers) for layer in range(layers + 1)]
    return [(low + 1, high) for low, high in zip(bounds, bounds[1:], strict=False)]
