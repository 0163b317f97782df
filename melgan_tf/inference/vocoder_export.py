"""A vocoder as exports hold it, and the mels that they are checked with.

With fixed shapes it renders a **window** of frames. The metadata say how many (``frames``), how many at either end are
only context (``context_frames``) and how many samples a frame has (``hop_samples``); see `melgan_tf.inference.windows`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from melgan_tf.config import AudioConfig
from melgan_tf.dsp import spectral
from melgan_tf.errors import UsageError
from melgan_tf.inference.exportable import MAX_BATCH, Example, Exportable, Quantize, Signature, Target
from melgan_tf.inference.served import (
    MAX_MEL,
    MAX_SECONDS,
    Check,
    analysis,
    description,
    finite_checks,
    length_check,
    served,
    wav_bytes,
)
from melgan_tf.inference.windows import join, new_frames, windows
from melgan_tf.weights.licenses import model_licenses, short_license

if TYPE_CHECKING:
    from melgan_tf.inference.vocoder import Vocoder

#: In parts of each sound's peak, by how weights are stored. A vocoder has no feedback that would magnify rounding.
TOLERANCE: dict[Quantize, dict[str, float]] = {"none": {"audio": 2e-3}, "float16": {"audio": 5e-2}}
_SOUNDS = 8
_FIRST_FRAMES = 32  # of a server's first request
#: Of the sounds that servers' exports are checked with and timed.
EXAMPLE_SECONDS = 1.5


def vocoder_exportable(vocoder: Vocoder, target: Target, quantize: Quantize = "none", seconds: float | None = None,
                       max_batch: int = MAX_BATCH, bpm: float | None = None, bars: int | None = None) -> Exportable:
    """See `melgan_tf.inference.exportable.ExportableModel.exportable`."""
    if bpm is not None or bars is not None:
        raise UsageError(f"the vocoder {vocoder.name} has no tempo: remove --bpm and --bars")
    if quantize not in TOLERANCE:
        raise UsageError(f"--quantize {quantize}: use one of {', '.join(TOLERANCE)}")
    audio = vocoder.audio
    origin = {"made_by": "melgan-tf", **vocoder.metadata(), "sample_rate": audio.sample_rate,
              "licence": short_license(model_licenses(vocoder.name))}
    if target == "server":
        return Exportable(vocoder.config, origin, _served_signatures(vocoder, max_batch),
                          lambda: _examples(vocoder), TOLERANCE["none"], max_batch=max_batch)
    context = vocoder.model.context_frames
    if target == "runtime":
        facts = {"context_frames": context, "hop_samples": audio.hop_samples, "min_frames": vocoder.model.min_frames}
        return Exportable(vocoder.config, origin | facts, _runtime_signatures(vocoder),
                          lambda: _examples(vocoder, start=np.zeros(_SOUNDS, np.int32)), TOLERANCE["none"])
    new = new_frames(audio.sample_rate / audio.hop_samples, context, seconds)
    frames = new + 2 * context
    origin |= {"quantize": quantize, "frames": frames, "context_frames": context, "hop_samples": audio.hop_samples}
    return Exportable(vocoder.config, origin, _fixed_signatures(vocoder, frames),
                      lambda: _window_examples(vocoder, frames, new), TOLERANCE[quantize], quantize=quantize)


def _any_length(vocoder: Vocoder) -> list[tf.TensorSpec]:
    """``mel`` and ``start``."""
    return [tf.TensorSpec((None, None, vocoder.audio.mel_bins), tf.float32, name="mel"),
            tf.TensorSpec((None,), tf.int32, name="start")]


def _served_signatures(vocoder: Vocoder, max_batch: int) -> dict[str, Signature]:
    """The functions of a server's export, for any length and any batch up to ``max_batch``."""
    audio, specs = vocoder.audio, _any_length(vocoder)
    render = tf.function(lambda mel, start: vocoder.model(mel, start=start), autograph=False, input_signature=specs)
    max_frames = int(MAX_SECONDS * audio.sample_rate) // audio.hop_samples

    def checks(mel: tf.Tensor, start: tf.Tensor | None = None) -> Iterator[Check]:
        yield length_check("mel", tf.shape(mel)[0], tf.shape(mel)[1], max_frames, "frames")
        yield from finite_checks("mel", mel, MAX_MEL)
        if start is not None:
            yield tf.reduce_all((start >= 0) & (start < 1 << 24)), [f"start must be 0 to {(1 << 24) - 1}"]

    def whole(mel: tf.Tensor) -> tf.Tensor:
        return render(mel, tf.zeros(tf.shape(mel)[:1], tf.int32))

    def signature(function: Callable[..., dict[str, tf.Tensor]], inputs: int = 1) -> Signature:
        return served(function, specs[:inputs], max_batch, checks,
                      mel=np.zeros((1, _FIRST_FRAMES, audio.mel_bins), np.float32))

    vocode = signature(lambda mel: {"audio": whole(mel)})
    return {"serving_default": vocode, "vocode": vocode,
            "vocode_from": signature(lambda mel, start: {"audio": render(mel, start)}, 2),
            "vocode_wav": signature(lambda mel: {"wav_bytes": wav_bytes(whole(mel), audio.sample_rate)}),
            "analyze": analysis(lambda waveform: spectral.mel_spectrogram(waveform, audio), audio, max_batch, None),
            "describe": description({**vocoder.metadata(), "sample_rate": audio.sample_rate,
                                     "hop_samples": audio.hop_samples, "mel_bins": audio.mel_bins,
                                     "max_frames": max_frames}, max_batch)}


def _runtime_signatures(vocoder: Vocoder) -> dict[str, Signature]:
    """The function of an export for any batch and length, without checks and Fourier transforms."""
    def vocode(mel: tf.Tensor, start: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
        return {"audio": vocoder.model(mel, start=start, use_matmul_dft=True)}

    return {"vocode": Signature(vocode, _any_length(vocoder)[:1 if vocoder.clock_period_frames == 1 else 2])}


def _fixed_signatures(vocoder: Vocoder, frames: int) -> dict[str, Signature]:
    """The function of an export that renders windows of ``frames`` frames, without Fourier transforms."""
    mel = tf.TensorSpec((1, frames, vocoder.audio.mel_bins), tf.float32, name="mel")
    if not vocoder.model.accepts_mask:
        return {"vocode": Signature(lambda mel: {"audio": vocoder.model(mel)}, [mel])}
    return {"vocode": Signature(
        lambda mel, present, start: {"audio": vocoder.model(mel, frame_mask=present, start=start[0],
                                                            use_matmul_dft=True)},
        [mel, tf.TensorSpec((1, frames), tf.float32, name="present"), tf.TensorSpec((1,), tf.int32, name="start")])}


def _examples(vocoder: Vocoder, **more: np.ndarray) -> list[Example]:
    mel = example_mels(vocoder.audio)
    return [Example("vocode", {"mel": mel, **more}, {"audio": vocoder.vocode(mel, 0)},
                    {batch: f"audio, batch {batch}" for batch in (1, _SOUNDS)})]


def _window_examples(vocoder: Vocoder, frames: int, new: int) -> list[Example]:
    """Sounds of more than one window, whose rendered windows are joined before they are compared."""
    context, masked = vocoder.model.context_frames, vocoder.model.accepts_mask
    seconds = frames * vocoder.audio.hop_samples / vocoder.audio.sample_rate
    mel = example_mels(vocoder.audio, 1.3 * seconds)
    cut = [window for sound in mel for window in windows(sound, frames, context, masked)]

    def joined(rendered: np.ndarray) -> np.ndarray:
        parts = rendered.reshape(len(mel), -1, rendered.shape[1])
        return np.stack([join(part, mel.shape[1], frames, context, masked) for part in parts])

    return [Example("vocode", {name: np.stack([window[name] for window in cut]) for name in cut[0]},
                    {"audio": vocoder.vocode(mel, 0)}, {1: f"window of {seconds:.2f} s, {new / frames:.0%} of it new"},
                    select=joined)]


def example_mels(audio: AudioConfig, seconds: float = EXAMPLE_SECONDS) -> np.ndarray:
    """Mels ``(8, frames, mel_bins)`` of made-up sounds to compare with: decaying notes and noise, then silence."""
    rng = np.random.default_rng(0)
    time = np.arange(round(seconds * audio.sample_rate)) / audio.sample_rate
    sounds = []
    for index in range(_SOUNDS):
        tone = np.sin(2 * np.pi * 60 * 2 ** (index * 0.7) * time) * np.exp(-time * 2 ** (index % 4))
        noise = rng.normal(0, 0.2, len(time)) * np.exp(-time * 4 * 2 ** (index % 3))
        sounds.append((0.6 * tone + 0.5 * noise) * (time < 0.8 * seconds))
    return spectral.mel_spectrogram(tf.constant(np.stack(sounds), tf.float32), audio).numpy()
