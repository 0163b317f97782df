"""The errors that a user can cause, each with a one-line message.

Library code raises :class:`MelGANError`; the command line turns it into one line on stderr and an exit code.
Any other exception is a bug of this package and keeps its traceback.
"""

from __future__ import annotations

import os


class MelGANError(Exception):
    """A failure with a one-line explanation that names the thing, the value received and the remedy.

    Attributes:
        exit_code: exit code of the command line; 1: the operation failed.
    """

    exit_code = 1


class UsageError(MelGANError):
    """The request is invalid (unknown key, value out of range, ...): exit code 2."""

    exit_code = 2


class ConfigError(UsageError):
    """A configuration has an unknown key, a value of the wrong type or one out of range."""


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
