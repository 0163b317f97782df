"""How loud sounds are, in LUFS: ITU-R BS.1770, measured by FFmpeg. No TensorFlow."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from fractions import Fraction

import numpy as np

#: Sounds shorter than this are as loud as their loudest 0.4 seconds (EBU R 128's momentary loudness), so that neither
#: a tail nor silence after it counts; longer ones by the gated mean of BS.1770 (integrated loudness).
ONE_SHOT_SECONDS = 3.0

_BLOCK_SECONDS = 0.4
_SILENT = -70.0  # the absolute gate of BS.1770: what is below is not heard


def loudness(samples: np.ndarray | Iterable[np.ndarray], sample_rate: int, channels: int = 1) -> float:
    """The loudness of a sound; below 0.4 seconds as if silence followed.

    Args:
        samples: ``(samples,)``, full scale is 1; or pieces of them, of which one is in memory at a time.
        sample_rate: Hz, 8,000 or more.
        channels: that play these samples; two are 3 LU louder than one.

    Returns:
        LUFS; -inf of silence.

    Examples:
        >>> tone = np.sin(2 * np.pi * 997 * np.arange(48_000) / 48_000)
        >>> round(loudness(tone, 48_000), 1)  # the level by which the standard is calibrated
        -3.0
    """
    import av

    graph = av.filter.Graph()
    source = graph.add_abuffer(sample_rate=sample_rate, format="dbl", layout="mono",
                               time_base=Fraction(1, sample_rate))
    meter, sink = graph.add("ebur128", "metadata=1:framelog=quiet"), graph.add("abuffersink")
    source.link_to(meter)
    meter.link_to(sink)
    graph.configure()
    count, momentary, integrated = 0, -math.inf, -math.inf
    for piece in _padded(samples, sample_rate):
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(piece[None], np.float64), "dbl", "mono")
        frame.sample_rate, frame.pts = sample_rate, count
        source.push(frame)
        count += len(piece)
        while True:
            try:
                measured = sink.pull().metadata
            except av.error.BlockingIOError:
                break
            momentary = max(momentary, float(measured["lavfi.r128.M"]))
            integrated = float(measured["lavfi.r128.I"])
    found = integrated if count >= ONE_SHOT_SECONDS * sample_rate else momentary
    return found + 10 * math.log10(channels) if found > _SILENT else -math.inf


def _padded(samples: np.ndarray | Iterable[np.ndarray], sample_rate: int) -> Iterator[np.ndarray]:
    count = 0
    for piece in [samples] if isinstance(samples, np.ndarray) else samples:
        if len(piece):
            count += len(piece)
            yield piece
    if count < (ONE_SHOT_SECONDS - _BLOCK_SECONDS) * sample_rate:
        yield np.zeros(math.ceil(_BLOCK_SECONDS * sample_rate))  # the meter measures whole blocks only


def gain_to(target: float, measured: float, peak: float, max_peak: float = 10 ** (-1 / 20)) -> float:
    """The factor that brings a sound to a loudness, or as near as its peak allows; 1 for silence.

    Args:
        target: LUFS.
        measured: its loudness, as `loudness` returns it.
        peak: its largest magnitude.
        max_peak: what that may become.

    Examples:
        >>> round(gain_to(-20, measured=-14, peak=0.5), 3)  # -6 dB
        0.501
        >>> gain_to(-10, measured=-30, peak=0.5, max_peak=1)  # not the 20 dB that would clip
        2.0
    """
    if not math.isfinite(measured) or peak <= 0:
        return 1.0
    return min(10 ** ((target - measured) / 20), max_peak / peak)
