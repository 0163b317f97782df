"""Plots the training curve of a `seed` run beside that of the original PyTorch program on the same sounds.

``python benchmarks/seed_curve.py RUN --out docs/seed_curve.png`` (needs ``pip install -e .[bench]``). Ours is the mean
of every epoch, from history.csv. The reference, docs/seed_reference.csv, has a value every 50 epochs.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import results

REFERENCE = Path(__file__).parent.parent / "docs" / "seed_reference.csv"
PANELS = [("Loss_D", "discriminator/loss", "loss_d"), ("Loss_G", "generator/loss", "loss_g"),
          ("D(x)", "discriminator/real", "d_x"), ("D(G(z)) before", "discriminator/fake_before", "d_g_z_before"),
          ("D(G(z)) after", "discriminator/fake_after", "d_g_z_after")]


def read(path: Path) -> dict[str, list[float]]:
    """Columns of a CSV file."""
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {name: [float(row[name]) for row in rows] for name in rows[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    results.add_option(parser)
    arguments = parser.parse_args()

    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    mine, theirs = read(arguments.run / "history.csv"), read(REFERENCE)
    figure, axes = plt.subplots(1, len(PANELS), figsize=(17, 3.4), layout="constrained")
    for axis, (title, ours, reference) in zip(axes, PANELS, strict=True):
        axis.plot(mine["epoch"], mine[ours], color="#7a7adf", linewidth=0.8, label="melgan-tf, mean of each epoch")
        axis.plot(theirs["epoch"], theirs[reference], "o", color="#d1495b", markersize=5, label="original program")
        axis.set(title=title, xlabel="epoch", ylim=(0, None if "Loss" in title else 1))
        axis.grid(alpha=0.3)
    axes[0].legend(fontsize=8)
    figure.savefig(arguments.out, dpi=90)
    epochs = [int(epoch) for epoch in theirs["epoch"] if 0 < epoch < len(mine["epoch"])]
    rows = [[title, sum(mine[ours][epoch] for epoch in epochs) / len(epochs),
             sum(theirs[reference][1:1 + len(epochs)]) / len(epochs)] for title, ours, reference in PANELS]
    table = results.table(["mean of the epochs that the original printed", "melgan-tf", "original program"], rows)
    print(results.markdown(table))
    results.save("seed_curve", {"means": table}, arguments.results)


if __name__ == "__main__":
    main()
