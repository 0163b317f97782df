"""Generated sounds in memory: arrays by name, which show themselves in a notebook."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence

import numpy as np

from melgan_tf.audio.wav import encode_wav
from melgan_tf.config import AudioConfig
from melgan_tf.dsp.spectrogram_image import mel_image
from melgan_tf.errors import html_text
from melgan_tf.progress import counted

#: Sounds that a notebook shows; their bytes become part of the page.
SHOWN = 16

_GRID = ("display:grid;gap:12px;grid-template-columns:repeat(auto-fill,minmax(220px,1fr));"
         "font:13px system-ui,sans-serif;max-width:70rem")


class GeneratedSounds(dict[str, np.ndarray]):
    """Sounds as a dictionary of arrays. In a notebook it shows a spectrogram and a player for each of the first 16.

    Keys: ``audio`` ``(count, samples)`` in [-1, 1]; ``mel`` ``(count, frames, mel_bins)`` on the scale of
    `audio_config`; of a model of one length also what regenerates them, ``noise`` ``(count, noise_dim)`` and, with
    classes, ``label`` ``(count, classes)``.

    Args:
        arrays: by name.
        audio_config: the mel configuration.
        titles: one for each sound.

    Attributes:
        sample_rate: Hz.
        titles: one for each sound: its index, and its class if there are classes.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], audio_config: AudioConfig, titles: Sequence[str]) -> None:
        super().__init__(arrays)
        self.audio_config, self.titles = audio_config, tuple(titles)
        self.sample_rate = audio_config.sample_rate

    def __repr__(self) -> str:
        count, samples = self["audio"].shape
        shapes = ", ".join(f"{name} {value.shape}" for name, value in self.items())
        return f"{counted(count, 'sound')} of {samples / self.sample_rate:.3g} s at {self.sample_rate} Hz: {shapes}"

    def _repr_html_(self) -> str:
        from melgan_tf.dsp import spectral

        count, samples = self["audio"].shape
        pictures = mel_image(spectral.log_mel(self["mel"][:SHOWN], self.audio_config).numpy())
        figures = [_figure(title, audio, picture, self.sample_rate)
                   for title, audio, picture in zip(self.titles, self["audio"], pictures, strict=False)]
        first = f"the first {len(figures)} of " * (count > len(figures))
        sounds = f"{first}{counted(count, 'sound')} of {samples / self.sample_rate:.3g} s"
        return (f"<p>{sounds} at {self.sample_rate} Hz</p>"
                f"<div style=\"{_GRID}\">{''.join(figures)}</div>")


def _figure(title: str, audio: np.ndarray, picture: np.ndarray, sample_rate: int) -> str:
    from matplotlib.image import imsave

    png = io.BytesIO()
    imsave(png, picture, format="png")
    return (f"<figure style=\"margin:0\"><figcaption>{html_text(title)}</figcaption>"
            f"<img alt=\"mel spectrogram\" style=\"width:100%;height:96px\" "
            f"src=\"{_data('image/png', png.getvalue())}\">"
            f"<audio controls style=\"width:100%;height:32px\" "
            f"src=\"{_data('audio/wav', encode_wav(audio, sample_rate))}\"></audio></figure>")


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
