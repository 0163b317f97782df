"""Loops of a model on a server: every request says what they should be like. No TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from melgan_tf.audio.loops.keys import Key
from melgan_tf.audio.loops.loop import loop_samples
from melgan_tf.config import Config
from melgan_tf.config.tempo import require_swing, require_tempo
from melgan_tf.errors import UsageError
from melgan_tf.inference.client.served_sampler import ServedSampler, Server


class ServedLoops(ServedSampler):
    """Makes loops on a server. See `ServedSampler`.

    Args:
        config, described, server: as for `ServedSampler`.
        bpm: beats per minute; by default those that the model was exported with.
        key: such as "Am"; None: any.
        swing: 0 straight, 1 as in triplets.
        shares: as for `BatchSampler`.
    """

    def __init__(self, config: Config, described: Mapping[str, Any], server: Server, bpm: float | None = None,
                 key: str | None = None, swing: float = 0.0, shares: Mapping[str, float] | None = None) -> None:
        self._bpm, self._bars = float(bpm or described["asked"]["bpm"]), described["bars"]
        self._key = Key.parse(key) if key else None
        length = loop_samples(self._bpm, self._bars, config.audio.sample_rate)
        self._swing = require_swing(swing)
        super().__init__(config, {**described, "samples": length}, server, shares)

    def asked(self, bpm: float | None = None, bars: int | None = None, key: str | None = None,
              swing: float | None = None, **features: float | None) -> ServedLoops:
        """See `BatchSampler.asked`."""
        require_tempo(bpm, tempos=self._described["bpm"])
        if bars not in (None, self._bars):
            raise UsageError(f"--bars {bars}: the loops on this server have {self._bars}; export the model with --bars "
                             f"{bars}")
        return ServedLoops(self.config, self._described, self._server, bpm or self._bpm,
                           key or (self._key and str(self._key)), self._swing if swing is None else swing,
                           self.features_of(features))

    def length(self, seconds: float | None = None, loop: bool = False) -> None:
        """See `BatchSampler.length`: every sound is a loop."""
        super().length(seconds)

    @property
    def name_part(self) -> str:
        """See `BatchSampler.name_part`."""
        return f"{self._bpm:.6g}bpm" + (f"-{self._key}" if self._key else "")

    @property
    def wishes(self) -> dict[str, Any]:
        """See `BatchSampler.wishes`."""
        return {"bpm": self._bpm, "bars": self._bars, **({"key": str(self._key)} if self._key else {}),
                **({"swing": self._swing} if self._swing else {}), **super().wishes}

    def for_draw(self, rows: int) -> dict[str, np.ndarray]:
        """See `ServedSampler.for_draw`."""
        key = str(self._key or "").encode()
        return {**super().for_draw(rows), **self.for_generate(rows), "key": np.array([key] * rows, object)}

    def for_generate(self, rows: int) -> dict[str, np.ndarray]:
        """See `ServedSampler.for_generate`."""
        return {"bpm": np.full(rows, self._bpm), "swing": np.full(rows, self._swing)}
