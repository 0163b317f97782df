"""FLAC's header (STREAMINFO), with which the frames must agree: decoders believe either."""

from __future__ import annotations

import hashlib

import numpy as np

from melgan_tf.audio.window import Window
from melgan_tf.errors import DecodeError

MAGIC = b"fLaC"


class StreamInfo:
    """What the header declares, compared with what is decoded.

    Args:
        window: the file, from its magic bytes on.

    Attributes:
        rate: Hz.
        bits: of a sample.
    """

    def __init__(self, window: Window) -> None:
        fields = int.from_bytes(window.read(18, 4), "big")
        self.rate, self.bits = fields >> 12, (fields >> 4 & 31) + 1
        self._declared, self._md5 = window.read(26, 16), hashlib.md5(usedforsecurity=False)

    def check_rate(self, name: str, rate: int) -> None:
        """Raise a `DecodeError` if frames have another sample rate, Hz."""
        if rate != self.rate:
            raise DecodeError(name, f"damaged: its header declares a rate of {self.rate} Hz, its frames {rate} Hz")

    def add(self, samples: np.ndarray) -> None:
        """Add decoded samples ``(frames, channels)``, int32, whose uppermost bits are those of the file."""
        width, values = -(-self.bits // 8), samples >> 32 - self.bits
        if width == 3:
            values = values.astype("<i4", copy=False).view(np.uint8).reshape(-1, 4)[:, :3]
        else:
            values = values.astype(f"<i{width}")
        self._md5.update(values.tobytes())

    def check_sum(self, name: str) -> None:
        """Raise a `DecodeError` unless all samples have the MD5 that is declared; encoders may leave it out (zeros)."""
        if any(self._declared) and self._md5.digest() != self._declared:
            raise DecodeError(name, "damaged: its samples do not have the checksum (MD5) that it declares")
