"""Named, complete configurations. No TensorFlow."""

from __future__ import annotations

import difflib
from typing import Any

from melgan_tf.config import AudioConfig, Config, DataConfig, TrainingConfig
from melgan_tf.errors import ConfigError
from melgan_tf.models.fast_vocoder.config import FastVocoderConfig
from melgan_tf.models.frame_gan.config import AugmentationConfig, FrameGANConfig
from melgan_tf.models.melgan.config import MelGANConfig
from melgan_tf.models.sequence_gan.config import SequenceGANConfig
from melgan_tf.models.vocoder_training.config import VocoderObjective

#: What each preset is for, as `melgan-tf presets` shows it.
DESCRIPTIONS = {
    "seed": "the original recipe, exactly: 16 kHz, 8000 samples, 64 x 16 power mel, DCGAN-style training of 5000 "
            "epochs. The baseline: on varied sounds it collapses to a few.",
    "drums": "one-shots by class (folder = class), the seed's 16 kHz, 64 x 16 mel and 20 numbers of noise, but varied: "
             "trains in an hour on two cores.",
    "drums-44k": "the same over the whole range of hearing: 44.1 kHz, 0.74 seconds, 128 x 64 mel.",
    "music": "textures of any length, and loops: 22.05 kHz, 80 mels, hop 256, made of a sequence of noise; learns from "
             "windows of 1.5 seconds.",
    "melgan": "the paper's vocoder, exactly: 22.05 kHz, 80 mels, hop 256; 4.26 M weights, three discriminators. Made "
              "for a GPU.",
    "vocoder-22k": "the fast vocoder for the same mels: all work at frame rate; trains on a CPU in an hour.",
    "vocoder-44k": "the fast vocoder for the mels of drums-44k: 44.1 kHz, 128 bands, hop 512.",
    "vocoder-16k": "the fast vocoder for the drum mels of 16 kHz, 64 bands, hop 512.",
}

#: The mels of the published MelGAN.
_MELGAN_AUDIO = AudioConfig(
    sample_rate=22_050, n_fft=1024, hop_samples=256, mel_bins=80, min_hz=0.0, max_hz=11_025.0, mel_scale="slaney",
    mel_norm="slaney", power=1.0, padding="half-hop", compression="log10", floor=1e-5)

#: 44.1 kHz, 128 bands up to half of it; one second has as many frames as one of `_MELGAN_AUDIO`.
_FULL_BAND_AUDIO = AudioConfig(
    sample_rate=44_100, n_fft=2048, hop_samples=512, mel_bins=128, min_hz=0.0, max_hz=22_050.0, mel_scale="slaney",
    mel_norm="none", power=1.0, padding="half-hop", compression="log10", floor=1e-2)


def _fast(name: str, audio: AudioConfig, adversarial_start: int, decay: float, clip_samples: int = 8192,
          batch_size: int = 16, **model: Any) -> Config:
    """A fast vocoder's: spectral losses while the learning rate falls, then two thousand steps with discriminators."""
    return Config(
        preset=name, audio=audio, data=DataConfig(clip_samples=clip_samples, window="random", gain_db=20.0),
        model=FastVocoderConfig(**model, objective=VocoderObjective(
            adversarial_start=adversarial_start, adversarial=1.0, feature_matching=10.0, stft=5.0, mel=45.0)),
        training=TrainingConfig(
            batch_size=batch_size, steps=adversarial_start + 2000, generator_learning_rate=1e-3,
            discriminator_learning_rate=2e-4, learning_rate_decay=decay, beta_1=0.8, beta_2=0.99, log_every=1,
            checkpoint_every=5, preview_every=20))


_PRESETS = {
    "seed": Config(preset="seed"),
    # Data: 2,145 one-shots in eight folders. Command: melgan-tf train SOUNDS --valid HELD-OUT --preset drums. 29,534
    # steps took 1.0 hours on one core. 288 held-out sounds, class embedding: Fréchet 2.4 (real vs real 1.8, seed
    # recipe 108), precision 0.93, recall 0.85, coverage 0.86. docs/drums.md has the trials behind it;
    # weights/drums.json the shipped run, which was not quite this recipe.
    "drums": Config(
        preset="drums", audio=AudioConfig(compression="log10"), data=DataConfig(level="peak"), model=FrameGANConfig(),
        training=TrainingConfig(batch_size=64, steps=36_000, generator_learning_rate=2e-4,
                                discriminator_learning_rate=4e-4, learning_rate_decay=0.95, beta_1=0.5, beta_2=0.99,
                                log_every=10, checkpoint_every=30, preview_every=60)),
    # Data and command: the same, --preset drums-44k. Shipped after 9,757 steps, 1.8 hours of a shared core. The same
    # held-out sounds: Fréchet 4.1, precision 0.94, recall 0.83, coverage 0.76; log-mel statistics at 44.1 kHz 4.9
    # (real vs real 1.5).
    "drums-44k": Config(
        preset="drums-44k", audio=_FULL_BAND_AUDIO, data=DataConfig(clip_samples=32_768, level="peak"),
        model=FrameGANConfig(noise_dim=32, ceiling=3.0, augmentation=AugmentationConfig(bin_shift=4, frame_shift=2)),
        training=TrainingConfig(batch_size=32, steps=16_000, generator_learning_rate=2e-4,
                                discriminator_learning_rate=4e-4, learning_rate_decay=0.9, beta_1=0.5, beta_2=0.99,
                                log_every=5, checkpoint_every=15, preview_every=60)),
    # Data: 494 recordings of music, 47 minutes. Command: melgan-tf train MUSIC --valid HELD-OUT --preset music. Shipped
    # after 10,706 of 40,000 steps on a shared core. Windows of held-out music, log-mel statistics: Fréchet 10.2 (real
    # vs real 6.7), precision 0.78 (0.78), recall 0.74 (0.98), coverage 0.51 (0.69). docs/music.md has the trials.
    "music": Config(
        preset="music", audio=_MELGAN_AUDIO, data=DataConfig(clip_samples=32_768, window="random", level="peak"),
        model=SequenceGANConfig(),
        training=TrainingConfig(batch_size=16, steps=40_000, generator_learning_rate=2e-4,
                                discriminator_learning_rate=4e-4, learning_rate_decay=0.95, beta_1=0.5, beta_2=0.99,
                                log_every=1, checkpoint_every=5, preview_every=20)),
    "melgan": Config(
        preset="melgan", audio=_MELGAN_AUDIO, data=DataConfig(clip_samples=8192, window="random"),
        model=MelGANConfig(),
        training=TrainingConfig(batch_size=16, epochs=3000, generator_learning_rate=1e-4,
                                discriminator_learning_rate=1e-4, beta_1=0.5, beta_2=0.9, log_every=1,
                                checkpoint_every=5, preview_every=20)),
    "vocoder-22k": _fast("vocoder-22k", _MELGAN_AUDIO, 24_000, 0.86, dilations=(1, 2, 4), low_rounds=14,
                         corrections=2),
    # weights/vocoder-44k.json has the shipped run, which was not quite this recipe.
    "vocoder-44k": _fast("vocoder-44k", _FULL_BAND_AUDIO, 12_000, 0.75, 16_384, 8, dilations=(1, 2, 4), low_rounds=20,
                         corrections=3),
    "vocoder-16k": _fast("vocoder-16k", AudioConfig(compression="log10"), 16_000, 0.8, subframes=4),
}


def names() -> list[str]:
    """The names of all presets."""
    return list(_PRESETS)


def get(name: str) -> Config:
    """The configuration of that name.

    Raises:
        ConfigError: there is no such preset; the message names the nearest.
    """
    if name not in _PRESETS:
        close = difflib.get_close_matches(name, _PRESETS, n=1, cutoff=0.3)
        hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(_PRESETS)}"
        raise ConfigError(f"unknown preset {name!r}: {hint}")
    return _PRESETS[name]
