"""The mel configuration: how samples become a mel spectrogram. No TensorFlow."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Annotated, Literal

from melgan_tf.config.schema import Range, check_fields, require, to_dict

MelScale = Literal["htk", "slaney"]
MelNorm = Literal["none", "slaney"]
Padding = Literal["centre", "half-hop"]
Compression = Literal["none", "log10"]


@dataclass(frozen=True)
class AudioConfig:
    """How samples become a mel spectrogram: the contract between every pair of models that are chained.

    Attributes:
        sample_rate: Hz.
        n_fft: length of the Fourier transform and of the window, samples.
        hop_samples: distance between frames, samples.
        window: always the periodic Hann window.
        mel_bins: number of triangular filters.
        min_hz, max_hz: outer edges of the lowest and the highest filter.
        mel_scale: "htk" or "slaney".
        mel_norm: "none" (peaks of 1) or "slaney" (unit area).
        power: exponent of the magnitude: 1 or 2.
        padding: "centre" reflects ``n_fft // 2`` samples at both ends (frames = samples // hop + 1), "half-hop"
            reflects ``(n_fft - hop) // 2`` (frames = samples // hop), as MelGAN does.
        compression: "none", or "log10" of ``max(mel, floor)``.
        floor: smallest mel value before the logarithm; smaller ones are raised to it.
    """

    sample_rate: Annotated[int, Range(1_000, 384_000, unit="Hz")] = 16_000
    n_fft: Annotated[int, Range(16, 65_536, unit="samples")] = 1024
    hop_samples: int = 512
    window: Literal["hann"] = "hann"
    mel_bins: int = 64
    min_hz: float = 0.0
    max_hz: float = 8_000.0
    mel_scale: MelScale = "htk"
    mel_norm: MelNorm = "none"
    power: float = 2.0
    padding: Padding = "centre"
    compression: Compression = "none"
    floor: Annotated[float, Range(0, above=True)] = 1e-5

    def __post_init__(self) -> None:
        check_fields(self, "audio")
        require(self.n_fft % 2 == 0, "audio.n_fft", self.n_fft, "give an even number of samples")
        require(1 <= self.hop_samples <= self.n_fft, "audio.hop_samples", self.hop_samples,
                f"give 1 to n_fft ({self.n_fft}) samples")
        require(self.mel_bins <= 1024, "audio.mel_bins", self.mel_bins, "give at most 1024 filters")
        require(1 <= self.mel_bins <= self.n_fft // 2, "audio.mel_bins", self.mel_bins,
                f"give 1 to n_fft / 2 ({self.n_fft // 2}) filters")
        require(0 <= self.min_hz < self.max_hz, "audio.min_hz", self.min_hz,
                f"give 0 or more and less than max_hz ({self.max_hz:g})")
        require(self.max_hz <= self.sample_rate / 2, "audio.max_hz", self.max_hz,
                f"give at most half the sample rate ({self.sample_rate / 2:g} Hz)")
        require(self.power in (1.0, 2.0), "audio.power", self.power, "give 1 (magnitude) or 2 (power)")

    def fingerprint(self) -> str:
        """Twelve hexadecimal digits that two configurations share only if their mels mean the same."""
        return hashlib.sha256(json.dumps(to_dict(self), sort_keys=True).encode()).hexdigest()[:12]

    def differences(self, other: AudioConfig) -> list[str]:
        """The fields in which two contracts differ, each as ``name: ours / theirs``."""
        return [f"{f.name}: {getattr(self, f.name)} / {getattr(other, f.name)}" for f in dataclasses.fields(self)
                if getattr(self, f.name) != getattr(other, f.name)]

    def frames(self, samples: int) -> int:
        """Number of mel frames that a clip of ``samples`` samples gives."""
        return samples // self.hop_samples + (1 if self.padding == "centre" else 0)


#: The mels of the published MelGAN.
MELGAN_MELS = AudioConfig(
    sample_rate=22_050, n_fft=1024, hop_samples=256, mel_bins=80, min_hz=0.0, max_hz=11_025.0, mel_scale="slaney",
    mel_norm="slaney", power=1.0, padding="half-hop", compression="log10", floor=1e-5)

#: 44.1 kHz, 128 bands up to half of it; one second has as many frames as one of `MELGAN_MELS`.
FULL_BAND_MELS = AudioConfig(
    sample_rate=44_100, n_fft=2048, hop_samples=512, mel_bins=128, min_hz=0.0, max_hz=22_050.0, mel_scale="slaney",
    mel_norm="none", power=1.0, padding="half-hop", compression="log10", floor=1e-2)

#: The mels of the seed recipe's audio, as logarithms.
SEED_LOG_MELS = AudioConfig(compression="log10")
