"""Vocos with random weights, at the sizes of its paper and our mels: the baseline for the speed of vocoders.

``pip install --no-deps vocos==0.1.0``: its requirements do not fit ours, and torchaudio does not load beside PyTorch
2.13. What it imports for features and published weights is not used here: empty modules stand in.

Reference: H. Siuzdak, "Vocos" (2023); https://github.com/gemelo-ai/vocos.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING
from unittest.mock import MagicMock

if TYPE_CHECKING:
    from torch import nn

    from melgan_tf.config import AudioConfig

_UNUSED = ("torchaudio", "torchaudio.functional", "torchaudio.functional.functional", "encodec", "huggingface_hub",
           "yaml")


def build(audio: AudioConfig) -> nn.Module:
    """Mel ``(batch, mel_bins, frames)`` -> waveform ``(batch, frames * hop)``; 13.3 M weights at 80 bands."""
    before = {name: sys.modules.get(name) for name in _UNUSED}
    sys.modules.update({name: MagicMock() for name in _UNUSED})
    from torch import nn
    from vocos.heads import ISTFTHead
    from vocos.models import VocosBackbone

    for name, module in before.items():
        if module is None:
            del sys.modules[name]
        else:
            sys.modules[name] = module
    return nn.Sequential(
        VocosBackbone(input_channels=audio.mel_bins, dim=512, intermediate_dim=1536, num_layers=8),
        ISTFTHead(512, audio.n_fft, audio.hop_samples, padding="same")).eval()
