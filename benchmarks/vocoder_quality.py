"""How good copies of real sounds by the bundled vocoders are, beside Griffin-Lim's: ViSQOL and `melgan-tf evaluate`.

``python benchmarks/vocoder_quality.py FOLDER ...`` (needs ``pip install -e .[bench]``) copies held-out sounds: every
sound of a folder becomes a mel and a sound again. ViSQOL (audio mode) estimates the mean opinion score of listeners,
from 1 to 4.73, which equal sounds get; it hears the copies in a row, in stretches of eight seconds. The other figures
are those of `melgan-tf evaluate`. Each is of the vocoder, then of Griffin-Lim with 32 iterations from the same mels.

Reference: Chinen et al., "ViSQOL v3: An Open Source Production Ready Objective Speech and Audio Metric" (2020).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import results

VOCODERS = ("vocoder-16k", "vocoder-22k", "vocoder-44k")
STRETCH_SECONDS = 8.0
_RATE = 48_000  # of ViSQOL's audio mode
_FIGURES = {"stft": "M-STFT", "log_mel_l1": "log mel, dB", "onset_error_db": "onset, dB",
            "frame_rate_buzz": "frame-rate buzz, dB"}


def stretches(sounds: list[np.ndarray], samples: int) -> list[np.ndarray]:
    """Sounds in a row, cut into stretches of ``samples``; the rest is left out, unless it is all there is."""
    row = np.concatenate(sounds)
    whole = max(1, len(row) // samples)
    return np.array_split(row[:whole * samples], whole)


def visqol(real: list[np.ndarray], copies: list[np.ndarray], rate: int) -> float:
    """The mean score of copies of sounds ``[(samples,), ...]``."""
    import librosa
    from visqol import VisqolApi

    judge = VisqolApi()
    judge.create(mode="audio")
    pairs = [[librosa.resample(part.astype(np.float64), orig_sr=rate, target_sr=_RATE)
              for part in stretches(sounds, round(STRETCH_SECONDS * rate))] for sounds in (real, copies)]
    return float(np.mean([judge.measure_from_arrays(sound, copy, sample_rate=_RATE).moslqo
                          for sound, copy in zip(*pairs, strict=True)]))


def copied(vocode: Callable[[np.ndarray], object], sounds: list[np.ndarray], mels: list[np.ndarray]
           ) -> list[np.ndarray]:
    """Sounds of mels, of the lengths of the real sounds."""
    made = (np.asarray(vocode(mel))[0][:len(sound)] for sound, mel in zip(sounds, mels, strict=True))
    return [np.pad(copy, (0, len(sound) - len(copy))) for sound, copy in zip(sounds, made, strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path, help="held-out sounds")
    parser.add_argument("--vocoders", nargs="+", default=VOCODERS)
    results.add_option(parser)
    arguments = parser.parse_args()

    import melgan_tf as mt
    from melgan_tf.data.reading import ClipReader
    from melgan_tf.dsp.griffin_lim import mel_to_waveform
    from melgan_tf.evaluation.evaluate_vocoder import ITERATIONS, MAX_SOUND_SECONDS, evaluate_vocoder

    rows = []
    for name in arguments.vocoders:
        vocoder = mt.load(name)
        audio = vocoder.audio
        for folder in arguments.folders:
            reader = ClipReader(folder, audio.sample_rate, None,
                                kept_samples=round(MAX_SOUND_SECONDS * audio.sample_rate))
            sounds = [sound for sound in reader.clips() if len(sound) >= audio.n_fft]
            mels = [vocoder.mel_spectrogram(sound[None]) for sound in sounds]
            report = evaluate_vocoder(vocoder, folder)
            for title, vocode, found in (
                    (name, vocoder.vocode, report.generated),
                    (f"Griffin-Lim {ITERATIONS}", lambda mel, audio=audio: mel_to_waveform(mel, audio, ITERATIONS),
                     report.baseline)):
                score = visqol(sounds, copied(vocode, sounds, mels), audio.sample_rate)
                rows.append([audio.sample_rate, folder.parent.name, title, score,
                             *(getattr(found, figure) for figure in _FIGURES)])
                print(rows[-1], flush=True)
    table = results.table(["Hz", "sounds", "vocoder", "ViSQOL", *_FIGURES.values()], rows)
    print(results.markdown(table))
    results.save("vocoder_quality", {"copies": table}, arguments.results)


if __name__ == "__main__":
    main()
