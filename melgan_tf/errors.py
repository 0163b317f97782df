"""The errors that a user can cause, each with a one-line message; and how text from outside is shown.

Library code raises :class:`MelGANError`; the command line turns it into one line on stderr and an exit code.
Any other exception is a bug of this package and keeps its traceback.

Names, addresses and what servers and libraries say come from outside: what is shown of them has no secrets, and no
characters that control a terminal.
"""

from __future__ import annotations

import html
import os
import re
import unicodedata
from collections.abc import Iterable
from typing import Any, TextIO

#: Stands for the secret parts of an address.
REDACTED = "***"

#: Control and format characters (bidirectional overrides, zero width), lone surrogates, separators of lines
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})

_IN_ADDRESS = r"[^\s\"<>\\^`{|}]"  # what an address may contain
_ADDRESS = re.compile(rf"\b[A-Za-z][A-Za-z0-9+.-]*://{_IN_ADDRESS}+")
_USER = re.compile(r"(?<=://)(?:[^/?#@]*:(?!\d*(?:[/?#]|$)).*@|[^/?#]*:[^/?#]*@)")  # a raw slash may be in a password
_WEB_USER = re.compile(r"(?<=^http://)[^/?#]*@|(?<=^https://)[^/?#]*@", re.IGNORECASE)
_QUERY = re.compile(r"\?.*=.*", re.DOTALL)
_WEB_QUERY = re.compile(r"[?#].*", re.DOTALL)
_PARAMETER = re.compile(r"([?&;][\w.%~-]*(?:sig|token|secret|key|passw|pwd|credential|auth|jwt)[\w.%~-]*=)"
                        rf"(?:(?![&;,']){_IN_ADDRESS})+", re.IGNORECASE)
_AFTER = "'),.:;]"  # what may follow an address in a sentence


class MelGANError(Exception):
    """A failure with a one-line explanation that names the thing, the value received and the remedy.

    Attributes:
        exit_code: exit code of the command line; 1: the operation failed.
    """

    exit_code = 1

    def __init__(self, message: object, *more: object) -> None:
        super().__init__(shown(str(message)), *more)


class UsageError(MelGANError):
    """The request is invalid (unknown key, value out of range, ...): exit code 2."""

    exit_code = 2


class ConfigError(UsageError):
    """A configuration has an unknown key, a value of the wrong type or one out of range."""


def did_you_mean(name: str, known: Iterable[str], otherwise: str = "known are") -> str:
    """The end of a message about an unknown name: the known ones that may be meant, or else all of them.

    Args:
        name: as it was given.
        known: the names that there are.
        otherwise: stands before all of them.

    Examples:
        >>> did_you_mean("Kick", ["kick", "snare"]), did_you_mean("--bits", ["--quiet", "--bit-depth"])
        ("did you mean 'kick'?", "did you mean '--bit-depth'?")
        >>> did_you_mean("cello", ["kick", "snare"])
        'known are kick, snare'
    """
    known = list(known)
    scores = {other: _likeness(name.lower(), other.lower()) for other in known}
    close = [repr(other) for other in sorted(scores, key=scores.get, reverse=True)
             if scores[other] >= max(0.6, max(scores.values()) - 0.1)][:3]
    if not close:
        return f"{otherwise} {', '.join(known) or 'none'}"
    return f"did you mean {' or '.join(filter(None, (', '.join(close[:-1]), close[-1])))}?"


def _likeness(name: str, other: str) -> float:
    """0 to 1: by letters, or by the beginning or the last words that two names share."""
    import difflib

    name, other = name.lstrip("-"), other.lstrip("-")
    short, long = sorted((name, other), key=len)
    if name == other or (short and re.search(rf"[^a-z0-9]{re.escape(short)}$", long)):
        return 1.0
    ratios = [difflib.SequenceMatcher(None, name, text).ratio() for text in (other, re.split("[:.]", other)[-1])]
    start = len(os.path.commonprefix([name, other]))
    return max(*ratios, 0.9 * start / len(name) if start >= 3 else 0.0)


class DecodeError(MelGANError):
    """A file that cannot be used as a sound.

    Attributes:
        reason: why, without the path: for tables and summaries.
    """

    def __init__(self, path: str | os.PathLike, reason: str):
        super().__init__(f"{printable(path)}: {reason}")
        self.reason = reason


def printable(path: str | os.PathLike) -> str:
    """Return a path as one line of valid text: bytes that are not UTF-8 become ``?``, line breaks a space."""
    if (path := os.fspath(path)).isascii() and path.isprintable():
        return path
    return " ".join(path.encode("utf-8", "replace").decode().splitlines())


def redacted_address(address: str) -> str:
    """An address without its secrets: user and password, and what `split_query` splits off.

    Examples:
        >>> redacted_address("https://me:pass@host/kick.wav?X-Amz-Signature=0123")
        'https://***@host/kick.wav?***'
        >>> redacted_address("s3://bucket/what?.wav")
        's3://bucket/what?.wav'
    """
    address, query = split_query(_WEB_USER.sub(f"{REDACTED}@", _USER.sub(f"{REDACTED}@", address)))
    return address + (query[0] + REDACTED if query[1:] else query)


def split_query(address: str) -> tuple[str, str]:
    """What an address names, and what may give access to it: ``?`` or ``#`` with all that follows.

    Keys of object storage may contain both, so that outside of HTTP only ``?name=value`` counts.
    """
    if "://" not in address:
        return address, ""
    found = (_WEB_QUERY if re.match("https?:", address, re.IGNORECASE) else _QUERY).search(address)
    end = found.start() if found else len(address)
    return address[:end], address[end:]


def redacted(text: str) -> str:
    """Text in which addresses have no secrets; see `redacted_address`.

    Examples:
        >>> redacted("cannot read 'https://host/kick.wav?sig=0123': no such file")
        "cannot read 'https://host/kick.wav?***': no such file"
    """
    if "://" in text:
        text = _ADDRESS.sub(_redacted_match, text)
    return _PARAMETER.sub(rf"\1{REDACTED}", text) if "=" in text else text


def _redacted_match(found: re.Match[str]) -> str:
    address = found[0].rstrip(_AFTER)
    return redacted_address(address) + found[0][len(address):]


def is_redacted(address: str) -> bool:
    """Whether an address lacks its secrets, and so cannot be used."""
    return f"://{REDACTED}@" in address or address.endswith((f"?{REDACTED}", f"#{REDACTED}"))


def visible(text: str, keep: str = "") -> str:
    r"""Text with every invisible character as an escape sequence of Python, but for spaces.

    Args:
        text: any.
        keep: invisible characters that stay.

    Examples:
        >>> print(visible("kick\x1b]0;pwned\x07\n"))
        kick\x1b]0;pwned\x07\n
    """
    if text.isprintable():
        return text
    return "".join(character if character in keep or unicodedata.category(character) not in _HIDDEN
                   else character.encode("unicode_escape").decode() for character in text)


def shown(text: str) -> str:
    """Lines of text as a terminal may show them: without secrets and control characters; tabs stay."""
    return visible(redacted(text), keep="\n\t")


def html_text(text: str) -> str:
    """Text for HTML, between tags or in quotes.

    Examples:
        >>> html_text("<b>kick")
        '&lt;b&gt;kick'
    """
    return html.escape(visible(text))


def markdown_text(text: str) -> str:
    """Text for Markdown: neither HTML, nor a link, nor the end of a table's cell.

    Examples:
        >>> markdown_text("<b>[kick](x)|")
        '&lt;b>\\\\[kick\\\\](x)\\\\|'
    """
    return re.sub(r"([\\`\[\]|])", r"\\\1", visible(text)).replace("<", "&lt;")


class ShownStream:
    """A text stream on which everything is written as `shown` gives it.

    It has no ``buffer``: nothing can be written past it.

    Args:
        stream: stdout or stderr.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        self.stream.write(shown(text))
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        if name in ("buffer", "detach", "reconfigure"):
            raise AttributeError(name)
        return getattr(self.stream, name)
