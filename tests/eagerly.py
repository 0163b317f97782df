"""Programs that run one operation at a time: a few steps are sooner done so than traced and optimized."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from unittest import mock

import tensorflow as tf


@contextlib.contextmanager
def eagerly() -> Iterator[None]:
    """Makes `tf.function` leave functions as they are."""
    with mock.patch.object(tf, "function", lambda function=None, **options: function or (lambda f: f)):
        yield
