"""One worker of several, as a process of its own: takes part in a run and keeps the numbers that it ends with.

``python one_worker.py JOB.json``, with ``TF_CONFIG``. The job is ``{"sounds": FOLDER, "out": FOLDER, "config":
configuration}``.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from unittest import mock

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"

import keras
import numpy as np

from melgan_tf.config import Config, from_dict
from melgan_tf.storage.checkpoints import collect
from melgan_tf.training import loop
from melgan_tf.training import run as run_module
from melgan_tf.training.cluster import worker_from_environment


def recording_optimizer(network: str) -> keras.optimizers.Optimizer:
    """Gradient descent whose momentum, which checkpoints keep, adds up the gradients."""
    return keras.optimizers.SGD(0.01, momentum=0.5, name=f"{network}_sgd")


def main(job: dict) -> None:
    out, index = Path(job["out"]), worker_from_environment().index
    train = loop.train

    def keeping(model: keras.Model, *arguments: object) -> None:
        train(model, *arguments)
        np.savez(out / f"state-{index}.npz", replicas=arguments[5].num_replicas_in_sync, **collect(**model.parts()))

    with (mock.patch.object(loop, "train", keeping),
          mock.patch.object(run_module, "adam", lambda config, network: recording_optimizer(network))):
        # only the chief's folder is to be made
        run_module.run(from_dict(Config, job["config"]), job["sounds"], out / f"run-of-{index}")


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
