"""The errors a user can cause, told in one line each.

Library code raises :class:`MelGANError`; the command line turns it into one line on stderr and an exit code.
Anything else that escapes is a defect of this package and keeps its traceback.
"""

from __future__ import annotations


class MelGANError(Exception):
    """A failure with a one-line explanation that names the thing, the value received and the remedy.

    Attributes:
        exit_code: what the command line exits with: 1, the work could not be done.
    """

    exit_code = 1


class UsageError(MelGANError):
    """The request itself is wrong (unknown key, value out of range, ...): exit code 2."""

    exit_code = 2


class ConfigError(UsageError):
    """A configuration has an unknown key, a value of the wrong type or one out of range."""
