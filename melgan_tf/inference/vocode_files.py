"""Renders files with a vocoder: sounds are analyzed and rendered again, mels are rendered.

Everything is done in pieces: decoding, analysis, rendering, writing. Memory does not grow with the length of a sound.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from melgan_tf.audio.find import Skipped
from melgan_tf.audio.isolated import stream_sounds
from melgan_tf.audio.wav import MAX_SAMPLES, save_wav_pieces
from melgan_tf.dsp.streaming_mel import PIECE_FRAMES, StreamingMel
from melgan_tf.errors import DecodeError, MelGANError, UsageError, printable
from melgan_tf.inference.streaming import in_chunks, pieces
from melgan_tf.inference.vocoder import Vocoder
from melgan_tf.progress import Progress
from melgan_tf.storage.arrays import map_npy

_MAX_LOG10 = 12.0  # of log10: a full-scale sound stays below 8
_TOO_LONG = ", the maximum of a WAV file: cut it into parts"


@dataclass(frozen=True)
class Vocoded:
    """The result of `vocode_files`.

    Attributes:
        files: the WAVs, in the order of the inputs.
        seconds: seconds of sound in them.
        spent: seconds of rendering, without reading and writing.
        clipped: the WAVs whose peaks were clipped to full scale.
        skipped: the sounds that cannot be decoded, and the reasons.
    """

    files: list[Path]
    seconds: float
    spent: float
    clipped: list[Path]
    skipped: list[Skipped]


def vocode_files(vocoder: Vocoder, pairs: Sequence[tuple[Path, Path]], chunk_seconds: float | None = None,
                 progress: Progress | None = None, skipped: Sequence[Skipped] = ()) -> Vocoded:
    """See `melgan_tf.api.vocode`.

    A sound is resampled to the vocoder's rate, analyzed, and rendered to its own length. A ``.npy`` file contains a mel
    ``(frames, mel_bins)`` or ``(1, frames, mel_bins)`` on the scale of the vocoder's configuration.

    Args:
        pairs: as `melgan_tf.inference.vocode_plan.plan` returns them.
        chunk_seconds: render pieces of this length, at most `PIECE_FRAMES`.
        skipped: what could not be accessed, for the report.
    """
    spent, seconds, files, clipped, skipped = 0.0, 0.0, [], [], list(skipped)
    vocoder.vocode(np.zeros((1, 1, vocoder.audio.mel_bins)), 0)  # traces the function, outside the timing
    origin = json.dumps({"made_by": "melgan-tf", **{f"vocoder_{k}": v for k, v in vocoder.metadata().items()}})
    frames, progress = PIECE_FRAMES if chunk_seconds is None else vocoder.frames(chunk_seconds), progress or Progress()
    paths = [None if _is_mel(source) else source for source, _ in pairs]
    root = Path(os.path.commonpath([target.parent for _, target in pairs] or [""]))
    streams = stream_sounds(paths, vocoder.audio.sample_rate, MAX_SAMPLES, _TOO_LONG,
                            lambda path, note: progress.line(f"note: {note}: {printable(path)}"))
    with progress.task("rendering", len(pairs), "files") as advance, contextlib.closing(streams):
        for item in skipped:
            progress.warning(f"skipped {item.name}: {item.reason}")
        for (source, target), blocks in zip(pairs, streams, strict=True):
            if files and not root.is_dir():  # or the rest would come into a new one, and nothing would tell
                raise MelGANError(f"cannot write {target}: {root} was removed or moved away")
            rendering = _Rendering(vocoder, source, blocks, frames)
            try:
                rendering.write(target, origin)
            except DecodeError as error:
                skipped.append(Skipped(printable(source), error.reason))
                if len(pairs) > 1:
                    progress.warning(f"skipped {skipped[-1].name}: {error.reason}")
            else:
                files.append(target)
                spent += rendering.spent
                seconds += rendering.samples / vocoder.audio.sample_rate
                if rendering.peak > 1.0:
                    clipped.append(target)
            advance(1)
    if pairs and not files:
        raise MelGANError(f"{skipped[-1].name}: {skipped[-1].reason}" if len(pairs) == 1 else
                          f"none of the {len(pairs)} sounds can be decoded")
    return Vocoded(files, seconds, spent, clipped, skipped)


class _Rendering:
    """One file on its way from blocks of samples, or its mel, to a WAV.

    Attributes:
        samples: samples rendered so far.
        peak: the largest magnitude of them.
        spent: seconds of rendering.
    """

    def __init__(self, vocoder: Vocoder, source: Path, blocks: Iterable[np.ndarray], frames: int) -> None:
        self.vocoder, self.source, self.frames = vocoder, source, frames
        self.samples, self.peak, self.spent = 0, 0.0, 0.0
        self._blocks, self._analysis = blocks, StreamingMel(vocoder.audio)

    def write(self, target: Path, comment: str) -> None:
        """Renders the file; nothing remains of a WAV that cannot be completed."""
        waveform = self._waveform()
        first = next(waveform)  # most damage shows here, before a folder is made
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MelGANError(f"cannot write {target}: {error.strerror}") from None
        save_wav_pieces(target, itertools.chain([first], waveform), None, self.vocoder.audio.sample_rate, comment)

    def _vocode(self, mel: np.ndarray, start: int) -> np.ndarray:
        started = time.perf_counter()
        made = self.vocoder.vocode(mel, start)
        self.spent += time.perf_counter() - started
        return made

    def _waveform(self) -> Iterator[np.ndarray]:
        model, is_mel = self.vocoder.model, _is_mel(self.source)
        mels = _read_mel(self.source, self.vocoder.audio.mel_bins) if is_mel else self._analysis.mels(self._blocks)
        chunks = (chunk for mel in mels for chunk in pieces(mel, self.frames))
        for piece in in_chunks(self._vocode, chunks, model.hop_samples, model.context_frames):
            if not is_mel and self._analysis.samples is not None:  # the last frame may go beyond the end
                piece = piece[:max(0, self._analysis.samples - self.samples)]
            if not np.isfinite(piece).all():
                raise MelGANError(f"the vocoder {self.vocoder.name} renders {self.source} to NaN or infinity: use "
                                  "another checkpoint or vocoder")
            self.samples += len(piece)
            self.peak = max(self.peak, float(np.max(np.abs(piece), initial=0.0)))
            yield piece


def _is_mel(source: Path) -> bool:
    return source.suffix.lower() == ".npy"


def _read_mel(source: Path, bins: int) -> Iterator[np.ndarray]:
    """Yields a mel in pieces; all of it is checked before."""
    mel = _open_mel(source)
    if mel.ndim != 2 or mel.shape[1] != bins or not len(mel):
        hint = "; it looks transposed" if mel.ndim == 2 and mel.shape[0] == bins else ""
        raise UsageError(f"{source} has shape {mel.shape}: the vocoder takes mels (frames, {bins}){hint}")
    limit, starts, loudest = np.finfo(np.float32).max, range(0, len(mel), PIECE_FRAMES), -np.inf
    for first in starts:
        piece = _open_mel(source)[first:first + PIECE_FRAMES]
        if mel.dtype.kind not in "fiu" or not -limit <= piece.min() <= piece.max() <= limit:  # false for NaN
            raise UsageError(f"{source} contains values that are not finite numbers")
        loudest = max(loudest, piece.max())
    if loudest > _MAX_LOG10:
        raise UsageError(f"{source} contains values up to {loudest:.3g}: give a log10 mel on the vocoder's scale")
    for first in starts:
        yield _open_mel(source)[first:first + PIECE_FRAMES].astype(np.float32)


def _open_mel(source: Path) -> np.ndarray:
    """Maps a file into memory; what has been read of it stays there only as long as the result."""
    try:
        mel = map_npy(source)
    except OSError as error:
        raise MelGANError(f"cannot read {source}: {error.strerror or error}") from None
    except ValueError as error:
        raise MelGANError(f"{source} is not a .npy array of numbers, or damaged ({error})") from None
    return mel[0] if mel.ndim == 3 and len(mel) == 1 else mel
