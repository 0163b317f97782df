"""What training does beside its steps and checkpoints: no training may end, or stay unsaved, because that fails."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

from melgan_tf.progress import Progress
from melgan_tf.storage.locks import LeaseLostError

_OPERATION = re.compile(r"\{\{.*?\}\}")  # where TensorFlow failed
_LONGEST = 200  # characters of an error's message: those of TensorFlow may have pages


class Guard:
    """Turns failures into warnings, one for each kind.

    Args:
        progress: receives them.
        consequence: what a failure means.
    """

    def __init__(self, progress: Progress, consequence: str = "training goes on without, and tries again") -> None:
        self.progress, self.consequence = progress, consequence
        self._told: set[tuple[str, type]] = set()

    @contextlib.contextmanager
    def __call__(self, what: str) -> Iterator[None]:
        """Run a block of which nothing depends.

        Args:
            what: the work, for the warning.

        Raises:
            LeaseLostError: the run directory is no longer this process's: no checkpoint can be saved either.
        """
        try:
            yield
        except LeaseLostError:
            raise
        except Exception as error:  # numbers, memory, disks, libraries
            kind = what, type(error)
            if kind not in self._told:
                self._told.add(kind)
                reason = " ".join(_OPERATION.sub("", str(error)).split())[:_LONGEST] or type(error).__name__
                self.progress.warning(f"{what} failed ({reason}): {self.consequence}")
