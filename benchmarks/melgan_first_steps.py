"""Log-mel distance of held-out sounds after the first steps of a vocoder's training ("a thousand steps of `melgan`").

``python benchmarks/melgan_first_steps.py SOUNDS HELD_OUT --run-dir RUN`` trains the preset, stops at 250, 500, 750 and
1,000 steps to reconstruct the held-out sounds, and prints the mean distance of the log mels and that of silence, dB.
The same command continues an interrupted run.
"""

from __future__ import annotations

import argparse
import csv
import math
from pathlib import Path
from typing import TYPE_CHECKING

import results

if TYPE_CHECKING:
    from melgan_tf.inference.vocoder import Vocoder

SECONDS = 2.0  # of every held-out sound
LOSSES = ("generator/loss", "generator/feature_matching", "discriminator/loss")
COLUMNS = ("steps", "log mel, dB", "level, dB", *LOSSES)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sounds", type=Path)
    parser.add_argument("held_out", type=Path)
    parser.add_argument("--run-dir", type=Path, required=True)
    parser.add_argument("--preset", default="melgan")
    parser.add_argument("--steps", type=int, nargs="+", default=[0, 250, 500, 750, 1000])
    parser.add_argument("--set", dest="assignments", action="append", default=[], metavar="KEY=VALUE")
    results.add_option(parser)
    arguments = parser.parse_args()

    from melgan_tf.runtime import start_tensorflow

    start_tensorflow(threads_per_op=1, compiling=True)
    from melgan_tf import config as configuration
    from melgan_tf.cli.console import ConsoleProgress
    from melgan_tf.config import presets
    from melgan_tf.config.registry import build_network
    from melgan_tf.inference.vocoder import Vocoder, load_vocoder
    from melgan_tf.storage.run_directory import with_training
    from melgan_tf.training.run import run

    values = configuration.to_dict(presets.get(arguments.preset))
    for assignment in arguments.assignments:
        values = configuration.merge(values, configuration.parse_assignment(assignment))
    config = with_training(configuration.from_dict(configuration.Config, values), xla="on", keep_checkpoints=1)
    rows = []
    for steps in arguments.steps:
        if steps:
            run(with_training(config, steps=steps), arguments.sounds, arguments.run_dir, ConsoleProgress(quiet=True))
            vocoder, losses = load_vocoder(arguments.run_dir), _losses(arguments.run_dir / "history.csv")
        else:
            vocoder, losses = Vocoder(build_network(config), config, "untrained", 0, ""), {}
        distance, silence, level = measure(vocoder, arguments.held_out)
        if not rows:
            rows.append(["silence", silence, None, None, None, None])
        rows.append([f"{steps:,}", distance, level, *(losses.get(name) for name in LOSSES)])
        print(results.markdown(results.table(COLUMNS, rows[-1:])), flush=True)
    table = results.table(COLUMNS, rows)
    print(results.markdown(table))
    results.save("melgan_first_steps", {"steps": table}, arguments.results)


def measure(vocoder: Vocoder, folder: Path) -> tuple[float, float, float]:
    """Mean log-mel distances of reconstructions and of silence, and the reconstructions' relative level; all in dB."""
    import numpy as np
    import tensorflow as tf

    from melgan_tf.audio.edit import is_silent
    from melgan_tf.audio.find import Skipped, find
    from melgan_tf.audio.isolated import decode_folder
    from melgan_tf.dsp import spectral
    from melgan_tf.evaluation.vocoder_metrics import log_mel_l1

    audio, rows = vocoder.audio, []
    for _, samples in decode_folder(find(folder)[0], audio.sample_rate, None):
        if isinstance(samples, Skipped):
            continue
        real = samples[:round(SECONDS * audio.sample_rate)]
        real = np.pad(real, (0, max(0, audio.n_fft - len(real)))).astype(np.float32)
        if is_silent(real):
            continue
        made = vocoder.vocode(spectral.mel_spectrogram(tf.constant(real[None]), audio).numpy())[0]
        made, real = made[:min(len(made), len(real))], real[:min(len(made), len(real))]
        rows.append((log_mel_l1(made, real, audio), log_mel_l1(np.zeros_like(real), real, audio),
                     20 * math.log10(max(float(np.std(made)), 1e-9) / float(np.std(real)))))
    return tuple(float(value) for value in np.mean(rows, axis=0))


def _losses(history: Path) -> dict[str, float]:
    """Losses of the last completed epoch; empty before the first."""
    if not history.exists():
        return {}
    with open(history, encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {name: float(value) for name, value in rows[-1].items()} if rows else {}


if __name__ == "__main__":
    main()
