"""A trained model against real sounds: what `melgan-tf evaluate` prints.

Both sides are measured as they are heard: mel spectrograms of waveforms, so that what the vocoder spoils counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf

from melgan_tf import spectral
from melgan_tf.data import load_folder
from melgan_tf.evaluation import Report, evaluate, waveform_figures
from melgan_tf.progress import Progress
from melgan_tf.trained import Trained


@dataclass(frozen=True)
class Assessment:
    """The figures of one model.

    Attributes:
        report: distribution figures with their real-vs-real floor.
        waveforms: what is wrong with single sounds (silence, clipping, DC, late onset).
        trained: the model.
        reference: the folder it was compared with.
    """

    report: Report
    waveforms: dict[str, float]
    trained: Trained
    reference: Path

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"preset": self.trained.config.preset, "step": self.trained.step, "weights": self.trained.weights,
                "sample_rate": self.trained.config.audio.sample_rate, "reference": str(self.reference),
                **self.report.to_dict(), "waveforms": self.waveforms}


def assess(trained: Trained, reference: str | Path, seed: int = 0, progress: Progress | None = None) -> Assessment:
    """Generates as many sounds as the comparison can use and measures them.

    Args:
        trained: the model.
        reference: folder of real sounds, best ones that it was not trained on.
        seed: decides the generated sounds and the halves that the reference is split into.
        progress: told what happens.

    Raises:
        MelGANError: the reference is unusable or too small.
    """
    progress, audio = progress or Progress(), trained.config.audio
    real = load_folder(reference, trained.config, progress)
    for item in real.skipped:
        progress.warning(f"skipped {item.name}: {item.reason}")
    count = max(1, len(real) // 2)
    with progress.task("generating", count, "sounds") as advance:
        made = trained.sampler.generate(seed, count, advance=advance)["audio"]
    heard = spectral.log_mel(trained.sampler.analyze(tf.constant(made)), audio).numpy()
    report = evaluate(heard, spectral.log_mel(tf.constant(real.mels), audio).numpy(), seed=seed)
    return Assessment(report, waveform_figures(made, audio.sample_rate), trained, Path(reference))
