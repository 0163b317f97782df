"""A vocoder as a SavedModel for TF Serving or as a TFLite file for phones: mel in, audio out.

A TFLite file has fixed shapes: it renders a **window** of frames, of which it says how many (``frames``), how many at
either end are only context (``context_frames``) and how many samples a frame has (``hop_samples``) in its metadata. A
sound of any length is rendered window by window; `windows` and `join` show how, in NumPy alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from melgan_tf.dsp import spectral
from melgan_tf.errors import UsageError
from melgan_tf.exports import saved_model, tflite
from melgan_tf.exports.receipt import Receipt, differences, run_standalone
from melgan_tf.inference.vocoder import Vocoder
from melgan_tf.models.fast_vocoder.network import FastVocoder

#: In parts of each sound's peak. A vocoder has no feedback that would magnify rounding.
TOLERANCE: dict[str, dict[str, float]] = {"none": {"audio": 2e-3}, "float16": {"audio": 5e-2}}
#: New sound in a window, unless told otherwise: a second, or so many times the context, of which a window has two. More
#: is faster for long sounds (of vocoder-22k 86 new frames make 31 times real time on one thread, 172 make 49, 312 make
#: 63, 624 make 74) and slower for short ones, which take a whole window, too.
SECONDS, CONTEXTS = 1.0, 4
_SOUNDS = 8


def export_saved_model(vocoder: Vocoder, path: str | Path, version: int | None = None, force: bool = False) -> Receipt:
    """Writes ``path/<version>/`` in TF Serving's layout and checks it in a process of its own.

    Signatures, batch and length dynamic: ``serving_default`` and ``vocode`` (``mel`` ``(batch, frames, mel_bins)`` ->
    ``audio`` ``(batch, frames * hop)``), ``vocode_from`` (``mel`` and ``start``, an int32 scalar: the number of the
    first frame, for pieces of a longer sound) and ``analyze`` (``audio`` ``(batch, samples)`` -> ``mel``).

    Args:
        vocoder: what to export.
        path, version, force: as in `melgan_tf.exports.saved_model.export`.

    Raises:
        UsageError, MelGANError: as there.
    """
    mel = examples(vocoder)

    def check(folder: Path) -> tuple[dict[str, Any], dict[str, float]]:
        report, made = run_standalone("run_saved_model.py", folder, {"mel": mel})
        return report, differences(made, {"audio": vocoder.vocode(mel, 0)})

    return saved_model.publish(path, version, force, partial(_write_archive, vocoder), check, TOLERANCE["none"],
                               _facts(vocoder), vocoder.config)


def _write_archive(vocoder: Vocoder, folder: Path) -> None:
    mel = tf.TensorSpec((None, None, vocoder.audio.mel_bins), tf.float32, name="mel")
    archive = keras.export.ExportArchive()
    archive.track(vocoder.model)
    for name in ("serving_default", "vocode"):
        archive.add_endpoint(name, lambda mel: {"audio": vocoder.model(mel)}, input_signature=[mel])
    archive.add_endpoint("vocode_from", lambda mel, start: {"audio": vocoder.model(mel, start=start)},
                         input_signature=[mel, tf.TensorSpec((), tf.int32, name="start")])
    archive.add_endpoint("analyze", lambda audio: {"mel": spectral.mel_spectrogram(audio, vocoder.audio)},
                         input_signature=[tf.TensorSpec((None, None), tf.float32, name="audio")])
    saved_model.write_out(archive, folder)


def export_tflite(vocoder: Vocoder, path: str | Path, quantize: tflite.Quantize = "none", force: bool = False,
                  seconds: float | None = None) -> Receipt:
    """Writes a TFLite file that renders windows, and checks whole sounds rendered with it without TensorFlow.

    Signature ``vocode``: ``mel`` ``(1, frames, mel_bins)`` -> ``audio`` ``(1, frames * hop)``. A fast vocoder takes
    ``present`` ``(1, frames)`` as well, 1 where a frame is sound and 0 beyond its ends, and ``start`` ``(1,)`` int32,
    the number of the window's first frame.

    Args:
        vocoder: what to export.
        path, force: as in `melgan_tf.exports.tflite.export`.
        quantize: "none" or "float16".
        seconds: of new sound in a window; None: as much as makes two thirds of it new, and at least one second.

    Raises:
        UsageError, MelGANError: as there; or weights stored otherwise were asked for.
    """
    if quantize not in TOLERANCE:
        raise UsageError(f"--quantize {quantize}: a vocoder's spectra need floating point; give none or float16")
    masked, context = isinstance(vocoder.model, FastVocoder), vocoder.model.context_frames
    chunk = new_frames(vocoder, seconds)
    frames = chunk + 2 * context
    mel = examples(vocoder, 1.3 * frames * vocoder.audio.hop_samples / vocoder.audio.sample_rate)  # two windows

    def check(model: Path) -> tuple[dict[str, Any], dict[str, float]]:
        cut = [window for sound in mel for window in windows(sound, frames, context, masked)]
        given = {name: np.stack([window[name] for window in cut]) for name in cut[0]}
        report, made = run_standalone("run_tflite.py", model, given)
        rate = frames * vocoder.audio.hop_samples / vocoder.audio.sample_rate
        times = report["milliseconds_per_sound"]
        times[f"window of {rate:.2f} s, {chunk / frames:.0%} of it new"] = times.pop("audio")
        parts = made["audio"].reshape(len(mel), -1, made["audio"].shape[1])
        joined = np.stack([join(part, mel.shape[1], frames, context, masked) for part in parts])
        return report, differences({"audio": joined}, {"audio": vocoder.vocode(mel, 0)})

    return tflite.publish(path, quantize, force, lambda folder: _convert(vocoder, folder, quantize, frames, masked),
                          check, TOLERANCE[quantize],
                          {**_facts(vocoder), "quantize": quantize, "frames": frames, "context_frames": context,
                           "hop_samples": vocoder.audio.hop_samples}, vocoder.config)


def new_frames(vocoder: Vocoder, seconds: float | None = None) -> int:
    """How many frames of a window are new: as many as there are in so many seconds, or for None the default."""
    frames = max(1, round((SECONDS if seconds is None else seconds) * vocoder.audio.sample_rate
                          / vocoder.audio.hop_samples))
    return max(frames, CONTEXTS * vocoder.model.context_frames) if seconds is None else frames


def _convert(vocoder: Vocoder, folder: Path, quantize: tflite.Quantize, frames: int, masked: bool) -> bytes:
    specs = [tf.TensorSpec((1, frames, vocoder.audio.mel_bins), tf.float32, name="mel")]
    if masked:
        specs += [tf.TensorSpec((1, frames), tf.float32, name="present"), tf.TensorSpec((1,), tf.int32, name="start")]

    def masked_window(mel: tf.Tensor, present: tf.Tensor, start: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"audio": vocoder.model(mel, frame_mask=present, start=start[0], use_matmul_dft=True)}

    archive = keras.export.ExportArchive()
    archive.track(vocoder.model)
    archive.add_endpoint("vocode", masked_window if masked else lambda mel: {"audio": vocoder.model(mel)},
                         input_signature=specs)
    saved_model.write_out(archive, folder)
    return tflite.lower(folder, ["vocode"], quantize)


def windows(mel: np.ndarray, frames: int, context: int, masked: bool) -> Iterator[dict[str, np.ndarray]]:
    """The inputs of a TFLite file, one window after the other, that render a mel ``(frames, mel_bins)``.

    Args:
        mel: any length.
        frames, context: of the file.
        masked: whether the file takes ``present`` and ``start``. If not, windows do not go beyond the ends of a sound:
            the first and last ones overlap more, and a sound shorter than a window is lengthened by its last frame.
    """
    for first in _firsts(len(mel), frames, context, masked):
        numbers = np.arange(first, first + frames)
        window = mel[np.clip(numbers, 0, len(mel) - 1)].astype(np.float32)
        if not masked:
            yield {"mel": window}
            continue
        present = (numbers >= 0) & (numbers < len(mel))
        yield {"mel": window, "present": present.astype(np.float32), "start": np.int32(first)}


def join(audio: np.ndarray, length: int, frames: int, context: int, masked: bool) -> np.ndarray:
    """The waveform ``(length * hop,)`` of a sound from its rendered windows ``(windows, frames * hop)``."""
    hop, chunk = audio.shape[1] // frames, frames - 2 * context
    joined = np.empty(length * hop, audio.dtype)
    for index, (first, part) in enumerate(zip(_firsts(length, frames, context, masked), audio, strict=True)):
        begin, end = index * chunk, min(length, (index + 1) * chunk)
        joined[begin * hop:end * hop] = part[(begin - first) * hop:(end - first) * hop]
    return joined


def _firsts(length: int, frames: int, context: int, masked: bool) -> list[int]:
    """The number of every window's first frame."""
    firsts = range(-context, max(1, length) - context, frames - 2 * context)
    return [first if masked else max(0, min(first, length - frames)) for first in firsts]


def examples(vocoder: Vocoder, seconds: float = 1.5) -> np.ndarray:
    """Mels ``(8, frames, mel_bins)`` of made-up sounds to compare with: decaying notes and noise, then silence."""
    rate, rng = vocoder.audio.sample_rate, np.random.default_rng(0)
    time = np.arange(round(seconds * rate)) / rate
    sounds = []
    for index in range(_SOUNDS):
        tone = np.sin(2 * np.pi * 60 * 2 ** (index * 0.7) * time) * np.exp(-time * 2 ** (index % 4))
        noise = rng.normal(0, 0.2, len(time)) * np.exp(-time * 4 * 2 ** (index % 3))
        sounds.append((0.6 * tone + 0.5 * noise) * (time < 0.8 * seconds))
    return spectral.mel_spectrogram(tf.constant(np.stack(sounds), tf.float32), vocoder.audio).numpy()


def _facts(vocoder: Vocoder) -> dict[str, Any]:
    return {"made_by": "melgan-tf", **vocoder.metadata(), "sample_rate": vocoder.audio.sample_rate}
