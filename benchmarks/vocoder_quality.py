"""Quality of the bundled vocoders and of Griffin-Lim, by ViSQOL and the metrics of `melgan-tf evaluate`.

``python benchmarks/vocoder_quality.py FOLDER ...`` (needs ``pip install -e .[bench]``) turns every held-out sound of a
folder into a mel, and back into a sound by the vocoder and by 32 iterations of Griffin-Lim. ViSQOL (audio mode)
estimates the mean opinion score of listeners, from 1 to 4.73, which equal sounds get. It is given the sounds in a row,
in stretches of eight seconds.

Reference: Chinen et al., "ViSQOL v3: An Open Source Production Ready Objective Speech and Audio Metric" (2020).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import results

STRETCH_SECONDS = 8.0
_RATE = 48_000  # of ViSQOL's audio mode
_FIGURES = {"stft": "M-STFT", "log_mel_l1": "log mel, dB", "onset_error_db": "onset, dB",
            "frame_rate_buzz": "frame-rate buzz, dB"}

#: A copy and the real sound, of equal lengths.
Pair = tuple[np.ndarray, np.ndarray]


def visqol(pairs: list[Pair], rate: int) -> float:
    """The mean score of copies; what is left over after whole stretches is left out, unless it is all there is."""
    import librosa
    from visqol import VisqolApi

    judge = VisqolApi()
    judge.create(mode="audio")
    samples = round(STRETCH_SECONDS * rate)
    copies, sounds = (np.concatenate(row) for row in zip(*pairs, strict=True))
    scores = []
    for start in range(0, max(1, len(sounds) - samples + 1), samples):
        sound, copy = (librosa.resample(row[start:start + samples].astype(np.float64), orig_sr=rate, target_sr=_RATE)
                       for row in (sounds, copies))
        scores.append(judge.measure_from_arrays(sound, copy, sample_rate=_RATE).moslqo)
    return float(np.mean(scores))


def pair(copy: object, sound: np.ndarray) -> Pair:
    """A rendering ``(1, samples)`` and its sound, cut to the shorter: whole frames may be up to a hop more or less."""
    copy = np.asarray(copy)[0]
    samples = min(len(copy), len(sound))
    return copy[:samples], sound[:samples]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path, help="held-out sounds")
    parser.add_argument("--vocoders", nargs="+", help="all of the package by default")
    results.add_option(parser)
    arguments = parser.parse_args()

    import melgan_tf as mt
    from melgan_tf.data.reading import ClipReader
    from melgan_tf.dsp.griffin_lim import mel_to_waveform
    from melgan_tf.evaluation.evaluate_vocoder import ITERATIONS, MAX_SOUND_SECONDS
    from melgan_tf.evaluation.vocoder_metrics import measure_pairs
    from melgan_tf.weights import pretrained_vocoders

    rows = []
    for name in arguments.vocoders or pretrained_vocoders():
        vocoder = mt.load(name)
        audio = vocoder.audio
        for folder in arguments.folders:
            reader = ClipReader(folder, audio.sample_rate, None,
                                kept_samples=round(MAX_SOUND_SECONDS * audio.sample_rate))
            sounds = [np.pad(sound, (0, max(0, audio.n_fft - len(sound)))) for sound in reader.clips()]
            mels = [vocoder.mel_spectrogram(sound[None]) for sound in sounds]
            for title, vocode in ((name, vocoder.vocode), (f"Griffin-Lim {ITERATIONS}", lambda mel, audio=audio:
                                                           mel_to_waveform(mel, audio, ITERATIONS))):
                pairs = [pair(vocode(mel), sound) for mel, sound in zip(mels, sounds, strict=True)]
                found = measure_pairs(pairs, audio)
                rows.append([audio.sample_rate, folder.parent.name, title, visqol(pairs, audio.sample_rate),
                             *(getattr(found, figure) for figure in _FIGURES)])
                print(rows[-1], flush=True)
    table = results.table(["Hz", "sounds", "vocoder", "ViSQOL", *_FIGURES.values()], rows)
    print(results.markdown(table))
    results.save("vocoder_quality", {"copies": table}, arguments.results)


if __name__ == "__main__":
    main()
