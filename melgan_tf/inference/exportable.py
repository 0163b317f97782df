"""What an export holds of a model and is checked with, whatever the model is and whatever the format.

Models offer it as ``exportable(...)``; `melgan_tf.exports` writes it. No TensorFlow at import.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from melgan_tf.config import Config

if TYPE_CHECKING:
    import tensorflow as tf

#: How large constants are stored: as float32 or as float16. (int8 was tried: mels were off by up to 1.6 of their peak.)
Quantize = Literal["none", "float16"]
#: What runs an export: TF Serving; a phone, which takes fixed shapes; or another runtime. Only servers get graphs that
#: check requests, and that have Fourier transforms.
Target = Literal["server", "phone", "runtime"]
#: Seeds whose first sounds an export of a sound model is checked with.
SEEDS = 32
#: Sounds in one request to a server, unless an export says otherwise.
MAX_BATCH = 256


@dataclass(frozen=True)
class Signature:
    """A function of an export.

    Attributes:
        function: tensors by position -> tensors by name.
        inputs: their shapes, types and names.
        example: one request's inputs by name, as a server may be warmed up with.
    """

    function: Callable[..., Mapping[str, tf.Tensor]]
    inputs: Sequence[tf.TensorSpec]
    example: Mapping[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class Example:
    """A call of a signature whose results are known.

    Attributes:
        signature: the name of the signature.
        inputs: arrays by name. Examples lie along the first axis; a format with fixed shapes takes one at a time.
        outputs: the model's results by name, sounds along the first axis. Other results are not compared.
        timings: batch sizes that are timed -> the name of the timing in the receipt. Results of such a call must not
            depend on the batch.
        suffix: appended to the names of the outputs in the receipt.
        select: picks from a result what is compared with the output.
    """

    signature: str
    inputs: dict[str, np.ndarray]
    outputs: dict[str, np.ndarray]
    timings: Mapping[int, str] = field(default_factory=dict)
    suffix: str = ""
    select: Callable[[np.ndarray], np.ndarray] = lambda result: result


@dataclass(frozen=True)
class Exportable:
    """A model as an export holds it.

    Attributes:
        config: its configuration.
        origin: where it comes from, as every export states it.
        signatures: its functions by name.
        examples: computes the calls that the export is checked with.
        tolerance: by output, the largest difference to the examples that is accepted, in parts of a peak.
        quantize: how weights are stored.
        max_batch: sounds in one request to a server.
    """

    config: Config
    origin: dict[str, Any]
    signatures: dict[str, Signature]
    examples: Callable[[], list[Example]]
    tolerance: dict[str, float]
    quantize: Quantize = "none"
    max_batch: int = MAX_BATCH


class ExportableModel(Protocol):
    """A trained model that can be exported."""

    def exportable(self, target: Target = "server", quantize: Quantize = "none", seconds: float | None = None,
                   max_batch: int = MAX_BATCH, bpm: float | None = None, bars: int | None = None) -> Exportable:
        """The model as an export holds it.

        Args:
            target: what runs it.
            quantize: how weights are stored; only on a phone.
            seconds: of new sound in a window, for models that render windows; only on a phone.
            max_batch: sounds in one request to a server.
            bpm, bars: tempo and length of loops; on a server requests have a tempo of their own.

        Raises:
            UsageError: the model cannot be exported like this.
        """
