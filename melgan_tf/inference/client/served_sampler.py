"""Makes sounds and loops of a seed by asking a server, again and again if it has to. No TensorFlow."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np

from melgan_tf.audio.loops.keys import Key
from melgan_tf.audio.loops.loop import loop_samples
from melgan_tf.config import AudioConfig, Config
from melgan_tf.config.strict_json import parse_object
from melgan_tf.config.tempo import require_swing, require_tempo
from melgan_tf.data.labels import Classes
from melgan_tf.dsp.mel_filters import POWER_FLOOR
from melgan_tf.errors import MelGANError, UsageError
from melgan_tf.inference.batches import BATCH, BatchSampler
from melgan_tf.inference.client.transport import Arrays, Transport, UnavailableError, strange
from melgan_tf.progress import Progress

_ANY = -1.0  # the share of a feature that is not asked for
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0  # seconds between attempts


class Server:
    """Calls a model on a server, until it answers or time is up.

    Args:
        deadline: seconds for each call, all attempts together.
    """

    def __init__(self, transport: Transport, deadline: float, progress: Progress) -> None:
        self.transport, self._deadline, self._progress = transport, deadline, progress

    def describe(self) -> dict[str, Any]:
        """What the model says of itself."""
        text = self.call("describe", ["json"], {"what": np.array([b""], object)})["json"]
        try:
            return parse_object(text[0])
        except (ValueError, TypeError, IndexError) as error:
            raise strange(self.transport.address, error) from None

    def call(self, signature: str, outputs: list[str], inputs: Arrays) -> dict[str, np.ndarray]:
        """Calls a signature; see `melgan_tf.inference.client.transport.Transport.predict`.

        Raises:
            MelGANError: the server refuses, or does not answer in time.
        """
        end, pause = time.monotonic() + self._deadline, _FIRST_PAUSE
        while True:
            try:
                return self.transport.predict(signature, outputs, inputs, max(end - time.monotonic(), 1e-3))
            except UnavailableError as error:
                wait = pause * random.uniform(0.5, 1.0)  # so that many clients do not come back together
                if time.monotonic() + wait >= end:
                    raise MelGANError(f"{self.transport.address} did not answer within {self._deadline:g} seconds "
                                      f"({error}): start the server, or give another address or --deadline") from None
                if pause == _FIRST_PAUSE:
                    self._progress.line(f"waiting for {self.transport.address} ({error})")
                time.sleep(wait)
                pause = min(2 * pause, _LONGEST_PAUSE)


class ServedSampler(BatchSampler):
    """Makes sounds on a server: noise and classes are drawn there, and what is sent back makes the sounds.

    Args:
        described: what the model says of itself.
        shares: as for `BatchSampler`.
    """

    def __init__(self, config: Config, described: Mapping[str, Any], server: Server,
                 shares: Mapping[str, float] | None = None) -> None:
        names = described.get("classes") or []
        super().__init__(config, Classes(dict.fromkeys(map(str, names), 1)) if names else None, shares)
        self.features = list(map(str, described.get("features", ())))
        self.samples = described["samples"]
        self.vocoder_metadata = described["vocoder"]
        self._described, self._server = described, server
        self._rows = min(BATCH, described["max_batch"])

    def asked(self, **wishes: float | None) -> ServedSampler:
        """See `BatchSampler.asked`."""
        return ServedSampler(self.config, self._described, self._server, self.features_of(wishes))

    def draw(self, seed: int, start: int) -> dict[str, np.ndarray]:
        """See `BatchSampler.draw`."""
        inputs = {"seed": np.full(BATCH, seed, np.int64), "index": np.arange(start, start + BATCH, dtype=np.int64)}
        outputs = {"noise": (self.config.model.noise_dim,)}
        if self.classes:
            outputs["label"] = (len(self.classes),)
        return self._call("draw", {**inputs, **self.for_draw(BATCH)}, outputs)

    def for_draw(self, rows: int) -> dict[str, np.ndarray]:
        """What sounds are asked to be when their inputs are drawn."""
        return {"label": np.array([b""] * rows, object)} if self.classes else {}

    def for_generate(self, rows: int) -> dict[str, np.ndarray]:
        """What is sent with these inputs."""
        return {}

    def run_batch(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """See `BatchSampler.run_batch`, of any number of rows."""
        rows, granted = len(inputs["noise"]), {}
        if self.shares:
            shares = {name: np.full(rows, self.shares.get(name, _ANY), np.float32) for name in self.features}
            granted = self._call("grant", {**inputs, **shares}, {"noise": (self.config.model.noise_dim,)})
        made = self._call("generate", {**inputs, **granted, **self.for_generate(rows)},
                          {"audio": (self.samples,), "mel": (None, self.audio.mel_bins)})
        return {**made, **granted}

    def make(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """See `BatchSampler.make`; the server is asked for no more sounds than that."""
        inputs = {name: np.asarray(value, np.float32) for name, value in inputs.items()}
        return {**inputs, **self.run_batch(inputs)}

    def decibels_of_frames(self, mel: np.ndarray) -> np.ndarray:
        """See `BatchSampler.decibels_of_frames`."""
        return decibels(mel, self.audio)

    def _call(self, signature: str, inputs: Mapping[str, np.ndarray], outputs: Mapping[str, tuple[int | None, ...]]
              ) -> dict[str, np.ndarray]:
        """The outputs of a call, which have these shapes after the rows; in several requests if the server takes fewer
        rows."""
        rows, parts = len(next(iter(inputs.values()))), []
        for first in range(0, rows, self._rows):
            part = {name: value[first:first + self._rows] for name, value in inputs.items()}
            made, asked = self._server.call(signature, list(outputs), part), min(self._rows, rows - first)
            for name, shape in outputs.items():
                found = made[name].shape
                if len(found) != 1 + len(shape) or any(size not in (None, there) for size, there
                                                       in zip((asked, *shape), found, strict=True)):
                    raise strange(self._server.transport.address, f"{name} of shape {found}")
                if made[name].dtype != np.float32 or not np.isfinite(made[name]).all():
                    raise strange(self._server.transport.address, f"{name} with values that are not finite numbers")
            parts.append(made)
        return {name: np.concatenate([part[name] for part in parts]) for name in outputs}

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("_"):
            raise AttributeError(name)
        raise UsageError("a model on a server only makes sounds: load the model itself for all else")


class ServedLoops(ServedSampler):
    """Makes loops on a server: every request says what they should be like.

    Args:
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


def decibels(mel: np.ndarray, audio: AudioConfig) -> np.ndarray:
    """As `melgan_tf.dsp.spectral.log_mel`, in NumPy."""
    mel = np.asarray(mel, np.float32)
    linear = np.maximum(mel, 0) if audio.compression == "none" else np.exp(mel * np.float32(math.log(10)))
    if audio.compression != "none":
        linear = np.where(linear > audio.floor * (1 + 1e-4), linear, 0)
    if audio.power == 1.0:
        return 20 * np.log10(np.maximum(linear, np.float32(math.sqrt(POWER_FLOOR))))
    return 10 * np.log10(np.maximum(linear, np.float32(POWER_FLOOR)))
