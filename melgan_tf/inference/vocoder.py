"""Trained vocoders: from a run, or bundled with the package.

The bundled ones are in ``melgan_tf/weights``: ``<name>.npz`` (the generator's weights as float16) and
``<name>.json`` (its card: configuration, data, license, command, hours, metrics).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from melgan_tf import storage
from melgan_tf.config import AudioConfig, Config
from melgan_tf.config.registry import build_network
from melgan_tf.dsp import spectral
from melgan_tf.dsp.griffin_lim import fit_length
from melgan_tf.errors import UsageError
from melgan_tf.inference.exportable import Exportable, Target
from melgan_tf.inference.renderer import GRIFFIN_LIM, GriffinLim, Renderer
from melgan_tf.inference.streaming import StreamingVocoder, Vocode, compiled, in_chunks, pieces
from melgan_tf.inference.vocoder_export import vocoder_exportable
from melgan_tf.progress import Progress
from melgan_tf.storage.arrays import finite_array
from melgan_tf.storage.checkpoints import restore, variable_shapes
from melgan_tf.storage.run_directory import RunDirectory
from melgan_tf.weights import (
    WEIGHTS,
    card_config,
    digest,
    newest_state,
    packaged_name,
    pretrained_vocoders,
    read_card,
    read_weights,
)
from melgan_tf.weights.sources import NO_VOCODER, unknown_vocoder, vocoder_config


@dataclass(frozen=True)
class Vocoder:
    """A trained vocoder.

    Attributes:
        model: mel ``(batch, frames, mel_bins)`` -> waveform ``(batch, frames * hop)``, on tensors.
        config: the configuration of its training; ``config.audio`` is that of its mels.
        name: its name, or its run directory.
        step: number of training steps of the weights.
        weights: twelve hexadecimal digits that name the weights.
        card: data, license, command, hours and metrics of a bundled vocoder.
    """

    model: keras.Model
    config: Config
    name: str
    step: int
    weights: str
    card: dict[str, Any] = field(default_factory=dict)

    random_phases = False

    @property
    def audio(self) -> AudioConfig:
        """The configuration of its mels."""
        return self.config.audio

    @property
    def clock_period_frames(self) -> int:
        """The period of its clock in frames; 1 if it has no clock."""
        return self.model.clock_period_frames

    @functools.cached_property
    def vocode(self) -> Vocode:
        """A function of arrays: mel ``(batch, frames, mel_bins)`` and the number of its first frame -> waveform."""
        return compiled(self.model, self.audio.mel_bins)

    def __call__(self, mel: np.ndarray) -> np.ndarray:
        """Renders mels.

        Args:
            mel: ``(frames, mel_bins)`` or ``(batch, frames, mel_bins)`` on the scale of `audio`; see
                `mel_spectrogram`.

        Returns:
            ``(frames * hop_samples,)`` or ``(batch, frames * hop_samples)``, float32.

        Raises:
            UsageError: the shape does not fit, or a value is not finite.

        Examples:
            >>> import melgan_tf as mt
            >>> mt.load("vocoder-16k")(np.full((5, 64), -5.0)).shape
            (2560,)
        """
        mel = finite_array(mel, "the mel")
        if mel.ndim not in (2, 3) or mel.shape[-1] != self.audio.mel_bins or not mel.size:
            raise UsageError(f"mels of shape {mel.shape}: the vocoder takes (frames, {self.audio.mel_bins}) or "
                             f"(batch, frames, {self.audio.mel_bins})")
        return self.vocode(mel, 0) if mel.ndim == 3 else self.vocode(mel[None], 0)[0]

    def mel_spectrogram(self, waveform: np.ndarray) -> np.ndarray:
        """Computes the mels that it renders: ``([batch,] samples)`` -> ``([batch,] frames, mel_bins)``.

        Args:
            waveform: at the sample rate of `audio`, in [-1, 1].

        Raises:
            UsageError: another number of axes, or a value is not finite.
        """
        waveform = finite_array(waveform, "the waveform")
        if waveform.ndim not in (1, 2) or not waveform.size:
            raise UsageError(f"a waveform of shape {waveform.shape}: give (samples,) or (batch, samples)")
        mel = spectral.mel_spectrogram(np.atleast_2d(waveform), self.audio).numpy()
        return mel if waveform.ndim == 2 else mel[0]

    def stream(self) -> StreamingVocoder:
        """Starts synthesis in pieces: ``push`` frames as they arrive, ``finish`` at the end."""
        return StreamingVocoder(self.vocode, self.model.hop_samples, self.model.context_frames)

    def in_chunks(self, mel: np.ndarray, seconds: float) -> Iterator[np.ndarray]:
        """Yields the waveform of a mel ``(frames, mel_bins)`` in pieces of about ``seconds``.

        The joined pieces equal the waveform of the whole mel up to rounding (1e-5).
        """
        return in_chunks(self.vocode, pieces(mel, self.frames(seconds)), self.model.hop_samples,
                         self.model.context_frames)

    def frames(self, seconds: float) -> int:
        """The number of frames in ``seconds``, rounded, at least 1."""
        if not 0 < seconds < math.inf:
            raise UsageError(f"pieces of {seconds} seconds: give a positive number")
        return max(1, round(seconds * self.audio.sample_rate / self.audio.hop_samples))

    def render(self, mel: tf.Tensor, audio: AudioConfig, length: int | None = None,
               use_matmul_dft: bool = False) -> tf.Tensor:
        """The waveform of mels; see `Renderer.render`.

        Args:
            audio: configuration of the mel; only its compression may differ from that of the vocoder.

        Raises:
            UsageError: other fields differ.
        """
        options = {"use_matmul_dft": True} if use_matmul_dft else {}
        waveform = self.model(spectral.convert(mel, audio, self.audio), **options)
        if length is None:
            return waveform
        return fit_length(waveform, spectral.samples_for(mel.shape[1], audio), length)

    def metadata(self) -> dict[str, Any]:
        """Its entry in records and receipts."""
        return {"name": self.name, "preset": self.config.preset, "step": self.step, "weights": self.weights,
                "audio_fingerprint": self.audio.fingerprint()}

    def exportable(self, target: Target = "server", **options: Any) -> Exportable:
        """See `melgan_tf.inference.exportable.ExportableModel.exportable`."""
        return vocoder_exportable(self, target, **options)


def load_vocoder(source: str | Path, checkpoint: Literal["last", "best"] = "last",
                 progress: Progress | None = None) -> Vocoder:
    """See `melgan_tf.api.load_vocoder`."""
    if name := packaged_name(source):
        return load_pretrained_vocoder(name)
    config = vocoder_config(source)
    model = build_network(config, training=True)
    state, meta = newest_state(RunDirectory(source), config, checkpoint, progress,
                               variable_shapes(generator=model.variables))
    restore(state, generator=model.variables)
    model = model.folded() if hasattr(model, "folded") else model
    return Vocoder(model, config, storage.recorded(source), meta["step"], digest(state))


def vocoder_for(audio: AudioConfig) -> Renderer:
    """Returns the bundled vocoder that matches a mel configuration (compression aside), else Griffin-Lim."""
    for name in pretrained_vocoders():
        if not spectral.differences_beyond_compression(audio, card_config(read_card(name)).audio):
            return load_pretrained_vocoder(name)
    return GriffinLim()


def choose_vocoder(choice: str | None, audio: AudioConfig, progress: Progress | None = None) -> Renderer:
    """Chooses the renderer for the mels of a configuration.

    Args:
        choice: a run, a name, "griffin-lim", or None: the bundled vocoder that matches, else Griffin-Lim.
        audio: the mel configuration.
        progress: reports the fallback.

    Raises:
        UsageError: the chosen vocoder takes other mels; the message names the fields.
        MelGANError: as `load_vocoder`.
    """
    if choice == GRIFFIN_LIM:
        return GriffinLim()
    if choice is None:
        found = vocoder_for(audio)
        if found.name == GRIFFIN_LIM:
            (progress or Progress()).warning(NO_VOCODER)
        return found
    if choice not in pretrained_vocoders() and not RunDirectory(choice).exists():
        raise unknown_vocoder(choice, [*pretrained_vocoders(), GRIFFIN_LIM])
    vocoder = load_vocoder(choice, progress=progress)
    if differing := spectral.differences_beyond_compression(audio, vocoder.audio):
        raise UsageError(f"the vocoder {choice} takes other mels than the model makes (model / vocoder): "
                         f"{'; '.join(differing)}")
    return vocoder


@functools.lru_cache(maxsize=4)
def load_pretrained_vocoder(name: str) -> Vocoder:
    """Loads a bundled vocoder, one of `melgan_tf.weights.pretrained_vocoders`, once.

    Raises:
        MelGANError: its weights are damaged.
    """
    card = read_card(name)
    config = card_config(card)
    model = build_network(config)
    state = read_weights(WEIGHTS / f"{name}.npz", variable_shapes(generator=model.variables))
    restore(state, generator=model.variables)
    return Vocoder(model, config, name, card["step"], digest(state),
                   {key: value for key, value in card.items() if key != "config"})
