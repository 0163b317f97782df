"""What a run says, and what it leaves on disk."""

from __future__ import annotations

import csv
from pathlib import Path

import tensorflow as tf
from tensorboard.compat.proto import event_pb2, summary_pb2


def history(run: Path) -> list[dict[str, str]]:
    """The rows of history.csv."""
    with open(run / "history.csv", newline="") as file:
        return list(csv.DictReader(file))


def events(run: Path) -> dict[str, list[tuple[int, summary_pb2.Summary.Value]]]:
    """Tag -> [(step, value)] of every TensorBoard file of a run."""
    found = {}
    for file in sorted((run / "tensorboard").iterdir()):
        for record in tf.data.TFRecordDataset(str(file)):
            event = event_pb2.Event.FromString(record.numpy())
            for value in event.summary.value:
                found.setdefault(value.tag, []).append((event.step, value))
    return found
