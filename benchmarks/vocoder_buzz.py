"""What vocoders repeat in long steady sounds, beside Griffin-Lim: every frame (a buzz), and every turn of the clock.

``python benchmarks/vocoder_buzz.py`` copies eight seconds of pink noise and of a chord. The measure is that of
`melgan-tf evaluate`, dB: how much more of the copy than of the sound is the same in every frame, or in every period of
the vocoder's clock; 0 for a copy that repeats nothing. The first columns are the most that is possible.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
import results

SECONDS = 8
VOCODERS = ("vocoder-22k", "vocoder-44k", "vocoder-16k")


def steady_sounds(rate: int) -> dict[str, np.ndarray]:
    """Sounds ``(samples,)`` by name."""
    rng, count = np.random.default_rng(0), SECONDS * rate
    spectrum = np.fft.rfft(rng.normal(size=count))
    pink = np.fft.irfft(spectrum / np.sqrt(np.maximum(1, np.arange(len(spectrum)))), count)
    notes = (hertz * harmonic for hertz in (196.3, 247.1, 294.7) for harmonic in range(1, 9))
    chord = sum(np.sin(2 * np.pi * hertz * np.arange(count) / rate + hertz) / hertz for hertz in notes)
    return {name: 0.1 * sound / sound.std() for name, sound in
            (("pink noise", pink), ("chord", chord))}


def measure(vocode: Callable[[np.ndarray], np.ndarray], sound: np.ndarray, mel: np.ndarray,
            periods: tuple[int, int]) -> list[float]:
    """What a copy repeats after each number of samples, dB."""
    from melgan_tf.evaluation.vocoder_metrics import frame_rate_buzz

    copy = np.asarray(vocode(mel), np.float64)[0][:len(sound)]
    return [frame_rate_buzz(copy, sound[:len(copy)], period) for period in periods]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    results.add_option(parser)
    arguments = parser.parse_args()

    import melgan_tf as mt
    from melgan_tf.dsp.griffin_lim import mel_to_waveform

    rows = []
    for name in VOCODERS:
        vocoder = mt.load(name)
        audio = vocoder.audio
        for title, sound in steady_sounds(audio.sample_rate).items():
            mel = vocoder.mel_spectrogram(sound.astype(np.float32)[None])
            periods = audio.hop_samples, audio.hop_samples * vocoder.clock_period_frames
            ours = measure(vocoder, sound, mel, periods)
            theirs = measure(lambda mel, audio=audio: mel_to_waveform(mel, audio, 32).numpy(), sound, mel, periods)
            most = [float(10 * np.log10(len(sound) // period)) for period in periods]
            rows.append([name, title, *(figure for part in zip(most, ours, theirs, strict=True) for figure in part)])
    table = results.table(["mels of", "sound", *(column for period in ("frame", "period of the clock") for column in
                                                 (f"every {period}: most, dB", "vocoder", "Griffin-Lim"))], rows)
    print(results.markdown(table))
    results.save("vocoder_buzz", {"steady": table}, arguments.results)


if __name__ == "__main__":
    main()
