"""What REST and gRPC have in common: a call of a signature, and how it can fail. No TensorFlow."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from melgan_tf.errors import MelGANError

#: An answer is at most this long, bytes: sixteen loops of half a minute in JSON.
MAX_ANSWER_BYTES = 1 << 28
_MAX_SHOWN = 300  # characters

#: Arrays by name: numbers, or bytes as objects.
Arrays = Mapping[str, np.ndarray]


class UnavailableError(Exception):
    """The server does not answer now, and may later."""


class Transport(Protocol):
    """A model on a server.

    Attributes:
        address: of the server, for messages and records.
        version: of the model; None until it is known.
    """

    address: str
    version: int | None

    def predict(self, signature: str, outputs: Sequence[str], inputs: Arrays, seconds: float) -> dict[str, np.ndarray]:
        """Calls a signature once.

        Args:
            signature: its name.
            outputs: the names of the wanted outputs; of a signature with one output its name.
            inputs: by name.
            seconds: to wait for the answer.

        Raises:
            UnavailableError: it may work later.
            MelGANError: the server refuses the request, or its answer makes no sense.
        """


def refusal(address: str, message: str) -> MelGANError:
    """What a server says of a request, in one line: without what TensorFlow adds to the sentence of a check.

    Examples:
        >>> print(refusal("http://here", "assertion failed: [ask for 1 to 8, not] [9]\\n\\t [[{{node Assert}}]]"))
        http://here refuses: ask for 1 to 8, not 9
    """
    if found := re.search(r"assertion failed: \[(.*)\]", message):
        message = found[1].replace("] [", " ")
    first = (message.strip().splitlines() or ["it does not say why"])[0]
    return MelGANError(f"{address} refuses: {first[:_MAX_SHOWN]}")


def strange(address: str, what: object) -> MelGANError:
    """An answer that makes no sense."""
    return MelGANError(f"{address} does not answer as TF Serving does ({str(what)[:_MAX_SHOWN]}): give the address of "
                       "one, with its port for this protocol")
