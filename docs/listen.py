"""Renders sounds of every bundled model for the page "Listen" from the weights, into the built site only."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

import numpy as np

import melgan_tf as mt
from melgan_tf.audio import isolated
from melgan_tf.audio.read import load as read
from melgan_tf.audio.read import resample
from melgan_tf.audio.save import save_sound
from melgan_tf.config import presets
from melgan_tf.weights import PRETRAINED, WEIGHTS, pretrained_models, pretrained_vocoders

ROOT = Path(__file__).parent.parent

#: Sounds of a model, and how it makes them.
COUNT = 8
OPTIONS = {"music": {"count": 3, "seconds": 6.0}, "loops": {"count": 4}}
#: What vocoders copy.
COPIED = ("kick/gogodze2_oh_ks_vl4_rr3", "snare/gogodze2_front_se_vl4_rr4", "hat/gogodze2_oh_ht_vl3_rr3",
          "tom/gogodze2_front_th_vl4_rr4", "cymbal/sonicpi_drum_splash_soft")
_SHOWN = {"frechet": "Fréchet", "kad": "KAD", "precision": "precision", "recall": "recall", "density": "density",
          "coverage": "coverage"}
_EMBEDDINGS = ("drum-classes-2", "log-spectra-1", "log-mel-statistics-2")
_VOCODER_SHOWN = {"log_mel_l1": "log mel, dB", "stft": "multi-resolution STFT", "onset_error": "onset, dB",
                  "frame_rate_buzz": "frame-rate buzz, dB"}


class Gallery:
    """Sounds in a temporary folder until the site is built, and the page that plays them."""

    def __init__(self) -> None:
        self._folder: tempfile.TemporaryDirectory | None = None

    def page(self) -> str:
        """The sections of the page, in Markdown; renders the sounds."""
        isolated.start()
        self._folder = tempfile.TemporaryDirectory()
        folder = Path(self._folder.name)
        return "\n\n".join([*(sound_section(name, folder) for name in pretrained_models()), vocoder_section(folder)])

    def write(self, site: Path) -> None:
        """Puts the sounds beside the page."""
        if self._folder:
            shutil.copytree(self._folder.name, site / "listen", dirs_exist_ok=True)
            self._folder.cleanup()
            self._folder = None


def sound_section(source: str, folder: Path) -> str:
    """What a model makes, with its picture and figures.

    Args:
        source: ``pretrained:NAME``.
        folder: its sounds go into ``NAME`` below it.
    """
    name = source.removeprefix(PRETRAINED)
    options = {"count": COUNT, **OPTIONS.get(name, {})}
    made = mt.load(source).write(folder / name, seed=0, delivery=mt.Delivery(format="ogg"), **options)
    players = [_player(f"{name}/{sound['file']}", sound.get("label") or str(number))
               for number, sound in enumerate(made["sounds"])]
    return "\n\n".join([f"## {source}", _sentence(presets.description(name)),
                        "<div class=\"players\">" + "".join(players) + "</div>",
                        f"<img src=\"{name}/sounds.png\" alt=\"Mel spectrograms of these sounds\">",
                        _sound_figures(name)])


def vocoder_section(folder: Path) -> str:
    """Copies of recordings, and of steady noise, by every vocoder and by Griffin-Lim."""
    from melgan_tf.dsp.griffin_lim import mel_to_waveform
    from melgan_tf.dsp.spectral import mel_spectrogram

    (folder / "copies").mkdir()
    vocoders = {name: mt.load(name) for name in pretrained_vocoders()}
    audio = vocoders["vocoder-44k"].audio
    renderers = {**{name: (vocoder.audio, vocoder) for name, vocoder in vocoders.items()},
                 "Griffin-Lim": (audio, lambda mel: mel_to_waveform(mel, audio, 32).numpy())}
    titles = [*(Path(path).parent.name for path in COPIED), "steady noise"]
    rows = [["", "original", *renderers]]
    for title, original in zip(titles, _originals(audio.sample_rate), strict=True):
        copies = [(audio.sample_rate, original)]
        for mels, render in renderers.values():
            sound = resample(original, audio.sample_rate, mels.sample_rate)
            copies.append((mels.sample_rate, render(mel_spectrogram(sound[None], mels).numpy())[0][:len(sound)]))
        files = [f"copies/{title} {name}.ogg".replace(" ", "-").lower() for name in rows[0][1:]]
        for file, (rate, sound) in zip(files, copies, strict=True):
            save_sound(folder / file, [sound / max(1.0, np.abs(sound).max())], len(sound), rate, format="ogg")
        rows.append([title, *map(_player, files)])
    return "\n\n".join(["## Vocoders", "Recordings that were turned into mels and back. Griffin-Lim has the mels of "
                        "`vocoder-44k`.", _table(rows), _vocoder_figures(list(vocoders))])


def _originals(rate: int) -> list[np.ndarray]:
    sounds = [read(ROOT / "demo" / "drums" / f"{path}.flac", rate) for path in COPIED]
    spectrum = np.fft.rfft(np.random.default_rng(0).normal(size=3 * rate))
    pink = np.fft.irfft(spectrum / np.sqrt(np.maximum(1, np.arange(len(spectrum)))))
    return [*sounds, (0.1 * pink / pink.std()).astype(np.float32)]


def _player(file: str, title: str = "") -> str:
    caption = f"<figcaption>{title}</figcaption>" if title else ""
    return f"<figure><audio controls preload=\"none\" src=\"{file}\"></audio>{caption}</figure>"


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def _card(name: str) -> dict:
    return json.loads((WEIGHTS / f"{name}.json").read_text(encoding="utf-8"))


def _sound_figures(name: str) -> str:
    """The figures in a model's card in every embedding, and those of real sounds."""
    figures, rows = _card(name)["figures"]["valid"], [["embedding", *_SHOWN.values()]]
    for embedding in _EMBEDDINGS:
        if found := figures.get(embedding):
            rows.append([embedding, *(f"{found['generated'][key]:.3g} ({found['floor'][key]:.3g})"
                                      if key in found["generated"] else "" for key in _SHOWN)])
    return _table(rows)


def _vocoder_figures(names: list[str]) -> str:
    """The cards' figures of copies of held-out sounds, beside Griffin-Lim's."""
    rows = [["", "sounds", *_VOCODER_SHOWN.values()]]
    for name in names:
        for sounds, figures in _card(name)["figures"].items():
            for which in ("vocoder", "griffin-lim 32"):
                rows.append([name if which == "vocoder" else f"Griffin-Lim, mels of {name}", sounds.partition("/")[0],
                             *(f"{figures[which][key]:.3g}" for key in _VOCODER_SHOWN)])
    return _table(rows)


def _table(rows: list[list[str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:]])
