"""The tempo and key that the name of a file tells."""

from __future__ import annotations

import contextlib
import re

from melgan_tf.audio.loops.keys import Key
from melgan_tf.errors import UsageError

#: Tempos that files may name, beats per minute.
SLOWEST, FASTEST = 40.0, 260.0
_MARKED = re.compile(r"(?<![\d.])(\d{2,3}(?:[.,]\d{1,3})?)[ _-]?bpm(?![a-z])"
                     r"|(?<![a-z])bpm[ _-]?(\d{2,3}(?:\.\d{1,3})?)(?!\d)", re.IGNORECASE)
_BARE = re.compile(r"(?<![^\s_\-()\[\]])(\d{2,3}(?:\.\d{1,3})?)(?![^\s_\-()\[\]])")
_USUAL_BARE = (60.0, 200.0)  # numbers alone may also count the files
_MODE = r"(?:m|min|minor|maj|major)"
_ACCIDENTAL = r"(?:#|♯|b|♭|-?sharp|-?flat)"
# a letter with a mode or an accidental is a key anywhere, a letter alone only beside the tempo
_KEY = re.compile(rf"(?<![^\s_\-()\[\]])([A-Ga-g]{_ACCIDENTAL}?[ _-]?(?:min|minor|maj|major)|[A-G]{_ACCIDENTAL}?[mM]|"
                  rf"[A-G]{_ACCIDENTAL})(?![^\s_\-()\[\]])")
_BETWEEN = re.compile(r"[\s_\-()\[\]]+")


def tempo_of_name(name: str) -> float | None:
    """The tempo in the name of a file, beats per minute; None if it tells none.

    Args:
        name: without or with folders and extension; the file's own name counts, then the folders from the nearest on.

    Examples:
        >>> tempo_of_name("house/kick_124bpm_Am.wav"), tempo_of_name("90 BPM/loop 3.wav"), tempo_of_name("120_Am.wav")
        (124.0, 90.0, 120.0)
        >>> tempo_of_name("kick_03.wav"), tempo_of_name("snare_909.wav"), tempo_of_name("break (172).wav")
        (None, None, 172.0)
    """
    for part in _parts(name):
        if found := _MARKED.search(part):
            tempo = float((found[1] or found[2]).replace(",", "."))
            if SLOWEST <= tempo <= FASTEST:
                return tempo
    bare = _bare(_parts(name)[0])
    return float(bare) if bare else None


def is_marked(name: str) -> bool:
    """Whether the name says that its number is a tempo.

    Examples:
        >>> is_marked("kick_124bpm.wav"), is_marked("kick_124.wav")
        (True, False)
    """
    return any(_MARKED.search(part) for part in _parts(name))


def _bare(stem: str) -> str:
    """The number in a name that may be a tempo: that with most digits, the last of equals; or ""."""
    bare = [text for text in _BARE.findall(stem) if _USUAL_BARE[0] <= float(text) <= _USUAL_BARE[1]]
    return max(reversed(bare), key=len, default="")


def key_of_name(name: str) -> Key | None:
    """The key in the name of a file; None if it tells none.

    Args:
        name: as for `tempo_of_name`; a letter alone counts only beside the tempo.

    Examples:
        >>> str(key_of_name("bass_124bpm_F#min.wav")), str(key_of_name("pad_Am.wav")), str(key_of_name("f_124.wav"))
        ('Gbm', 'Am', 'F')
        >>> key_of_name("vitamin A.wav"), key_of_name("Take B.wav"), key_of_name("a big bass.wav")
        (None, None, None)
    """
    stem = _parts(name)[0]
    found = _KEY.findall(stem)
    if not found:
        words, bare = _BETWEEN.split(stem), _bare(stem)
        found = [word for index, word in enumerate(words) if re.fullmatch("[A-Ga-g]", word)
                 and any(other == bare or _MARKED.fullmatch(other) or other.lower() == "bpm"
                         for other in words[max(0, index - 1):index + 2])]
    with contextlib.suppress(UsageError, IndexError):
        return Key.parse(found[-1])
    return None


def _parts(name: str) -> list[str]:
    """The file's own name without its extension, then its folders, from the nearest on."""
    *folders, file = name.replace("\\", "/").split("/")
    stem = re.sub(r"\.(?=[A-Za-z])[A-Za-z0-9]{2,4}$", "", file)
    return [stem, *reversed(folders)]
