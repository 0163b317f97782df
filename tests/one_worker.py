"""One worker of several, as a process of its own: takes part in some runs and keeps the numbers that it ends with.

``python one_worker.py JOB.json``, with ``TF_CONFIG``. The job is ``{"sounds": FOLDER, "out": FOLDER, "runs": {NAME:
configuration}}``.
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

import numpy as np

from melgan_tf.audio import read as audio
from melgan_tf.config import Config, from_dict
from melgan_tf.training import run as run_module
from melgan_tf.training.cluster import place_from_environment


def main(job: dict) -> None:
    out, index = Path(job["out"]), place_from_environment().index
    train, load, read = run_module._Session.train, audio.load, []

    def counting(path: Path, *options: object) -> np.ndarray:
        read.append(path)
        return load(path, *options)

    for name, config in job["runs"].items():
        def keeping(session: run_module._Session, name: str = name) -> run_module.Result:
            result = train(session)
            replicas = session.plan.strategy.num_replicas_in_sync
            np.savez(out / f"{name}-{index}.npz", replicas=replicas, read=len(read), **session._state())
            read.clear()
            return result

        with mock.patch.object(run_module._Session, "train", keeping), mock.patch.object(audio, "load", counting):
            # only the chief's folder is to be made
            run_module.run(from_dict(Config, config), job["sounds"], out / f"run-of-{index}" / name)


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
