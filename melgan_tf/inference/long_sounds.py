"""Sounds of any length, rendered piece by piece, and seamless loops: `melgan-tf generate --seconds`.

Mel and waveform are both made in pieces that overlap by the context of the generator and of the vocoder, so that the
joined pieces equal the whole, and memory does not grow with the length::

    noise of steps   [-5 ... 36]  [27 ... 68] ...     every piece with its neighbourhood
    mel              [ 0 ...   ]  [   ...    ] ...    joined by streaming synthesis
    waveform         [ 0 ... ][   ...   ] ...

In a loop, noise, style and the vocoder's clock repeat after its number of steps. It is rendered from a little before
its start to a little after its end, and cut out: its last sample leads into its first.

A loop of whole bars has a number of steps for each beat, so that what happens at steps happens in time. Its mel is
stretched to the tempo: the vocoder's frames are taken from it by cubic interpolation over time, around its ends. Its
length is no whole number of frames: in the last 20 ms, what leads into its start is faded in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from melgan_tf.audio.loops.loop import METER, loop_samples
from melgan_tf.audio.wav import MAX_SAMPLES
from melgan_tf.config import AudioConfig
from melgan_tf.dsp.loop_tempo import JOIN_SECONDS, join_fade, stretch_loop
from melgan_tf.errors import MelGANError, UsageError
from melgan_tf.inference.recipe import Latent

if TYPE_CHECKING:
    import tensorflow as tf

    from melgan_tf.inference.renderer import Renderer

_PIECE_STEPS = 32
_PIECE_FRAMES = 512
#: Most columns of a sound's picture.
PICTURE_COLUMNS = 512


class StreamSampler(Protocol):
    """A `melgan_tf.inference.sampler.Sampler` of sounds of any length.

    Attributes:
        audio: the mel configuration.
        vocoder: what renders the mels.
        step_frames: frames of mel that one vector of noise stands for.
        fade_seconds: the fade at both ends of a sound.
        loop_quantum: frames that the length of a loop is a multiple of.
    """

    audio: AudioConfig
    vocoder: Renderer
    step_frames: int
    fade_seconds: float
    loop_quantum: int

    def stretch(self, seed: tf.Tensor | int, sound: tf.Tensor | int, first: tf.Tensor, steps: tf.Tensor,
                period: int = 0) -> dict[str, tf.Tensor]:
        """The inputs of steps ``first`` to ``first + steps - 1`` of sounds, with their context."""

    def mel(self, **inputs: tf.Tensor) -> tf.Tensor:
        """Inputs -> mel ``(batch, frames, mel_bins)``."""


@dataclass(frozen=True)
class Length:
    """The length of sounds.

    Attributes:
        samples: samples of each.
        frames: frames of mel.
        loop_steps: steps after which a loop repeats; 0 for a sound that does not.
        stretched: whether the frames are stretched to the samples.
    """

    samples: int
    frames: int
    loop_steps: int = 0
    stretched: bool = False

    @classmethod
    def of_bars(cls, bpm: float, bars: int, sampler: StreamSampler) -> Length:
        """The length of loops of whole bars of 4/4, exact to the sample.

        A beat has 1, 2, 4 or 8 steps of the model, whichever stretches them least.
        """
        audio = sampler.audio
        step = sampler.step_frames * audio.hop_samples / audio.sample_rate
        steps = bars * METER * 2 ** max(0, min(3, round(math.log2(60 / bpm / step))))
        return cls(loop_samples(bpm, bars, audio.sample_rate), steps * sampler.step_frames, steps, True)

    @classmethod
    def from_seconds(cls, seconds: float, sampler: StreamSampler, loop: bool = False) -> Length:
        """The requested length; for seamless loops the nearest possible one: whole periods of the vocoder's clock.

        Raises:
            UsageError: it is not a positive number, or longer than a WAV file can be.
        """
        rate, hop = sampler.audio.sample_rate, sampler.audio.hop_samples
        if not 0 < seconds < math.inf or seconds * rate > MAX_SAMPLES:
            raise UsageError(f"sounds of {seconds:g} seconds: give more than 0 and at most {MAX_SAMPLES // rate}")
        if not loop:
            samples = max(1, round(seconds * rate))
            return cls(samples, -(-samples // hop))
        quantum = sampler.loop_quantum
        frames = max(1, round(seconds * rate / hop / quantum)) * quantum
        return cls(frames * hop, frames, frames // sampler.step_frames)


class StreamRenderer:
    """Makes long sounds of one length.

    Args:
        sampler: of a model that makes sounds of any length, with a vocoder.
        length: of the sounds.

    Raises:
        UsageError: the sampler's vocoder cannot render piece by piece.
    """

    def __init__(self, sampler: StreamSampler, length: Length) -> None:
        sampler.vocoder.stream()  # refuses where it cannot
        self.sampler, self.length, self.vocoder = sampler, length, sampler.vocoder
        import tensorflow as tf

        self._stretch = tf.function(self._piece, autograph=False, input_signature=[tf.TensorSpec((), tf.int64)] * 3)
        self._mel = tf.function(lambda **inputs: sampler.mel(**inputs), autograph=False, reduce_retracing=True)

    def make(self, latent: Latent, folder: Path, advance: Callable[[float], None] = lambda fraction: None,
             ) -> tuple[np.memmap, float, np.ndarray]:
        """Makes a sound on disk, before its level is set.

        Args:
            latent: which one.
            folder: its file is made there; delete it after use.
            advance: receives the fraction of the sound that was completed; in all 1.

        Returns:
            Its samples ``(samples,)``, their peak, and its mel, averaged to the width of a picture:
            ``(columns, mel_bins)``.

        Raises:
            MelGANError: the vocoder makes numbers that are not finite.
            OSError: the file cannot be written.
        """
        picture, peak = _Picture(self.length.frames, self.sampler.audio.mel_bins), 0.0
        path = folder / ".long"
        with open(path, "wb") as file:
            for waveform in self.pieces(latent, picture.add):
                if not np.isfinite(waveform).all():
                    raise MelGANError(f"a sound ({latent.to_json()}) is not finite: the model or the vocoder "
                                      f"{self.vocoder.name} is damaged")
                file.write(waveform.astype("<f4").tobytes())
                peak = max(peak, float(np.max(np.abs(waveform), initial=0.0)))
                advance(len(waveform) / self.length.samples)
        return np.memmap(path, "<f4", "r"), peak, picture.columns()

    def generate(self, latents: Sequence[Latent], advance: Callable[[int], None] = lambda count: None,
                 ) -> dict[str, np.ndarray]:
        """Makes sounds in memory; what would clip is turned down.

        Returns:
            ``audio`` ``(count, samples)`` and ``mel`` ``(count, frames, mel_bins)``.
        """
        audio = np.zeros((len(latents), self.length.samples), np.float32)
        mel = np.zeros((len(latents), self.length.frames, self.sampler.audio.mel_bins), np.float32)
        for row, latent in enumerate(latents):
            mels: list[np.ndarray] = []
            audio[row] = np.concatenate(list(self.pieces(latent, mels.append)))
            mel[row] = np.concatenate(mels)
            audio[row] /= max(1.0, np.max(np.abs(audio[row]), initial=0.0))
            advance(1)
        return {"audio": audio, "mel": mel}

    def pieces(self, latent: Latent, on_mel: Callable[[np.ndarray], None] = lambda mel: None) -> Iterator[np.ndarray]:
        """The waveform of a sound, piece by piece, faded at both ends unless it is a loop.

        ``on_mel`` receives every piece of mel ``(frames, mel_bins)`` within the sound.
        """
        length, rate = self.length, self.sampler.audio.sample_rate
        fade, done = min(max(1, round(self.sampler.fade_seconds * rate)), length.samples), 0
        for waveform in self._waveform(latent, on_mel):
            if not length.loop_steps and (done < fade or done + len(waveform) > length.samples - fade):
                place = np.arange(done, done + len(waveform))
                near = np.minimum(np.minimum(place + 1, length.samples - place) / fade, 1.0)
                waveform = waveform * (0.5 - 0.5 * np.cos(np.pi * near)).astype(np.float32)
            done += len(waveform)
            yield waveform

    def _waveform(self, latent: Latent, on_mel: Callable[[np.ndarray], None]) -> Iterator[np.ndarray]:
        if self.length.stretched:
            yield self._stretched(latent, on_mel)
            return
        stream, hop, quantum = self.vocoder.stream(), self.sampler.audio.hop_samples, self.sampler.loop_quantum
        context = stream.context
        lead = -(-context // quantum) * quantum if self.length.loop_steps else 0
        skip, left = lead * hop, self.length.samples
        for mel in self.mels(latent, -lead, lead + self.length.frames + context, on_mel):
            waveform = stream.push(mel)
            skipped = min(skip, len(waveform))
            waveform, skip = waveform[skipped:skipped + left], skip - skipped
            left -= len(waveform)
            if len(waveform):
                yield waveform

    def _stretched(self, latent: Latent, on_mel: Callable[[np.ndarray], None]) -> np.ndarray:
        """The waveform of a loop whose mel is stretched to its length."""
        length, stream, hop = self.length, self.vocoder.stream(), self.sampler.audio.hop_samples
        mel = np.concatenate(list(self.mels(latent, 0, length.frames, on_mel)))[:length.frames]
        join = min(round(JOIN_SECONDS * self.sampler.audio.sample_rate), length.samples)
        lead = stream.context + -(-join // hop)
        numbers = np.arange(-lead, -(-length.samples // hop) + 2 * stream.context)
        frames = stretch_loop(mel, (numbers + 0.5) * hop / length.samples)
        waveform = np.concatenate([stream.push(frames[first:first + _PIECE_FRAMES])
                                   for first in range(0, len(frames), _PIECE_FRAMES)])[lead * hop - join:]
        before, inner = waveform[:join], waveform[join:join + length.samples]
        fade = join_fade(join)
        inner[length.samples - join:] = inner[length.samples - join:] * (1 - fade) + before * fade
        return inner

    def mels(self, latent: Latent, first: int, frames: int,
             on_mel: Callable[[np.ndarray], None] = lambda mel: None) -> Iterator[np.ndarray]:
        """At least ``frames`` frames of a sound's mel from frame ``first`` (a multiple of 16) on, on the vocoder's
        scale, piece by piece: ``(frames, mel_bins)`` each."""
        from melgan_tf.dsp import spectral

        piece = _PIECE_STEPS * self.sampler.step_frames
        for start in range(first, first + frames, piece):
            mel = self._mel(**self._inputs(latent, start // self.sampler.step_frames))
            on_mel(mel[0, max(0, -start):max(0, self.length.frames - start)].numpy())
            yield spectral.convert(mel, self.sampler.audio, self.vocoder.audio)[0].numpy()

    def _inputs(self, latent: Latent, first: int) -> dict[str, tf.Tensor]:
        """The latent vectors of one piece, from step ``first`` on."""
        import tensorflow as tf

        def draw(seed: int, index: int) -> dict[str, np.ndarray]:
            drawn = self._stretch(*(tf.constant(value, tf.int64) for value in (seed, index, first)))
            return {name: values.numpy() for name, values in drawn.items()}

        return {name: tf.constant(values) for name, values in latent.arrays(draw).items()}

    def _piece(self, seed: tf.Tensor, index: tf.Tensor, first: tf.Tensor) -> dict[str, tf.Tensor]:
        import tensorflow as tf

        steps = tf.constant(_PIECE_STEPS, tf.int64)
        return self.sampler.stretch(seed, index[None, None], first, steps, self.length.loop_steps)


class _Picture:
    """Averages a streamed mel to the width of a picture: columns are means of equally many frames."""

    def __init__(self, frames: int, bins: int) -> None:
        self._each = -(-frames // PICTURE_COLUMNS)
        self._sums = np.zeros((-(-frames // self._each), bins))
        self._frames, self._done = frames, 0

    def add(self, mel: np.ndarray) -> None:
        places = (self._done + np.arange(len(mel))) // self._each
        np.add.at(self._sums, places, mel)
        self._done += len(mel)

    def columns(self) -> np.ndarray:
        counts = np.full(len(self._sums), self._each)
        counts[-1] = self._frames - self._each * (len(counts) - 1)
        return (self._sums / counts[:, None]).astype(np.float32)
