"""A family from outside the package, announced by `register` or an entry point, and CONTRIBUTING.md's copy of it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import toy_family
from command_line import invoke
from tiny_families import compiled, step, task_of

from melgan_tf.config import presets, registry
from melgan_tf.errors import ConfigError
from melgan_tf.inference import vocoder as vocoders
from melgan_tf.inference.renderer import GriffinLim
from melgan_tf.storage.checkpoints import CheckpointStore, load
from melgan_tf.training import callbacks
from melgan_tf.training.optimizers import Adam

HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def _registered():
    with mock.patch.dict(registry.FAMILIES):
        registry.register(toy_family.FAMILY)
        yield


def test_a_family_is_known_by_its_kind_and_its_presets():
    assert presets.get("toy").family is toy_family.FAMILY
    assert "toy" in presets.names()
    ended = invoke("presets")
    assert ended.code == 0
    assert "half a second of noise" in " ".join(ended.stdout.split())
    with pytest.raises(ConfigError, match="model.units is 0: give 1 to 4096"):
        toy_family.ToyConfig(units=0)


def test_names_that_are_taken_are_refused():
    family = registry.family("toy-gan")
    with pytest.raises(ConfigError, match="preset 'toy' of family 'melgan' exists already"):
        registry.register(registry.Family(registry.family("melgan").config, "waveforms", "a:b", "a:c",
                                          presets={"toy": family.presets["toy"]}))


def test_a_step_moves_both_players(sound_folder):
    task = task_of(presets.get("toy"), sound_folder)
    model = compiled(task, Adam(1e-2), Adam(1e-2))
    before = [np.array(variable.numpy()) for variable in model.trainable_variables]
    metrics = step(model, next(iter(task.dataset(0))))
    assert tuple(metrics) == model.METRICS
    for old, variable in zip(before, model.trainable_variables, strict=True):
        # within the margins, the real and the fake sounds pull equally at the last bias
        assert np.any(old != np.array(variable.numpy())) or variable.path.endswith("logits/bias"), variable.path


@pytest.mark.slow
def test_it_trains_resumes_generates_and_exports_through_the_public_commands(sound_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(vocoders, "GriffinLim", lambda: GriffinLim(iterations=1))
    monkeypatch.setattr(callbacks.Preview, "on_train_begin", lambda self, logs=None: None)
    for run, stops in (("whole", (5,)), ("run", (3, 5))):
        for steps in stops:
            ended = invoke("train", sound_folder, "--preset", "toy", "--run-dir", tmp_path / run, "--steps", steps,
                           "--no-xla")
            assert ended.code == 0, ended.stderr
    assert "resuming at step 3" in ended.stdout
    whole, resumed = (load(CheckpointStore(tmp_path / run / "checkpoints").file(5))[0] for run in ("whole", "run"))
    assert set(whole) == set(resumed)
    for name, value in whole.items():
        np.testing.assert_array_equal(resumed[name], value, err_msg=name)

    vocoder = ("--vocoder", "griffin-lim")
    for command in (("generate", tmp_path / "run", "--out", tmp_path / "sounds", "--count", 3, *vocoder),
                    ("export", tmp_path / "run", "--out", tmp_path / "served", *vocoder)):
        ended = invoke(*command)
        assert ended.code == 0, ended.stderr
    assert len(list((tmp_path / "sounds").glob("*.wav"))) == 3
    assert (tmp_path / "served" / "1" / "saved_model.pb").exists()


def test_an_entry_point_is_found(tmp_path):
    """As pip leaves it behind, in the metadata of an installed package."""
    metadata = tmp_path / "toy_family-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-family\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[{registry.ENTRY_POINTS}]\ntoy = toy_family:FAMILY\n")
    program = "import sys; from melgan_tf.config import presets; print(presets.get('toy').model.kind); " \
              "sys.exit('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], check=False, text=True, capture_output=True, timeout=60,
                          env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(HERE)])})
    assert (done.returncode, done.stdout) == (0, "toy-gan\n"), done.stderr


def test_contributing_shows_the_files_as_they_are():
    text = (HERE.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    shown = dict(re.findall(r"^`toy_family/(\w+\.py)`.*?\n\n```python\n(.*?)```$", text, re.MULTILINE | re.DOTALL))
    files = {file.name: file.read_text(encoding="utf-8") for file in sorted((HERE / "toy_family").glob("*.py"))}
    assert shown == files
