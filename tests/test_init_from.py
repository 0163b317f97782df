"""Fine-tuning: `train --init-from` takes over every weight that fits, and class rows by name."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from command_line import invoke
from drums import write_drums

from melgan_tf.config import presets
from melgan_tf.storage.checkpoints import CheckpointStore
from melgan_tf.storage.run_directory import RunDirectory
from melgan_tf.training import resolve
from melgan_tf.training.initial_weights import map_class_rows
from melgan_tf.weights import read_all_weights

TINY = ("--preset", "drums", "--set", "model.channels=8", "--set", "training.batch_size=8", "--no-xla", "--quiet",
        "--set", "training.preview_every=1000", "--set", "training.checkpoint_every=1000")
pytestmark = pytest.mark.usefixtures("eager_module")


def state_of(run):
    return CheckpointStore(RunDirectory(run).checkpoints).newest()[0]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A run of two steps on hat, kick and snare."""
    folder = tmp_path_factory.mktemp("source")
    write_drums(folder / "sounds")
    ended = invoke("train", folder / "sounds", "--run-dir", folder / "run", "--steps", 2, *TINY)
    assert ended.code == 0, ended.stderr
    return folder / "run"


@pytest.fixture
def other_sounds(tmp_path):
    """The same kinds of sound under other names: kick is known, clave is not."""
    folder = write_drums(tmp_path / "others", seed=5)
    names = sorted(path.name for path in folder.iterdir())
    (folder / names[0]).rename(folder / "clave")
    return folder


def test_rows_go_where_the_class_is():
    kernel = np.arange(12.0).reshape(6, 2)  # two inputs, then hat, kick, rim, snare
    mapped = map_class_rows(kernel, ("hat", "kick", "rim", "snare"), ("clave", "snare", "kick"))
    np.testing.assert_array_equal(mapped[:2], kernel[:2])
    np.testing.assert_array_equal(mapped[2:], [kernel[2:].mean(axis=0), kernel[5], kernel[3]])


@pytest.mark.slow
def test_a_run_starts_from_every_weight_of_another(source, other_sounds, tmp_path):
    slow = ("--set", "training.generator_learning_rate=1e-12", "--set", "training.discriminator_learning_rate=1e-12")
    ended = invoke("train", other_sounds, "--run-dir", tmp_path / "run", "--init-from", source, "--steps", 1, *TINY,
                   *slow)
    assert ended.code == 0, ended.stderr
    before, after = state_of(source), state_of(tmp_path / "run")
    record = json.loads((tmp_path / "run" / "config.json").read_text())["data"]
    names = list(record["classes"])
    assert {"clave", "kick"} <= set(names)
    assert record["init_from"]["step"] == 2
    checked = 0
    for name, value in before.items():
        part = name.split("/", 1)[0]
        if part not in ("generator", "learning_generator", "encoder", "discriminator") or "direction" in name:
            continue
        wanted = value
        if name.endswith(("/style_1/kernel", "/first/kernel", "/posterior/kernel", "/projection/kernel",
                          "_given/kernel")):
            old = list(json.loads((source / "config.json").read_text())["data"]["classes"])
            wanted = map_class_rows(value, tuple(old), tuple(names))
        if part == "generator":  # the average follows the learning generator fast in the first step
            continue
        np.testing.assert_allclose(after[name], wanted, atol=1e-6, err_msg=name)
        checked += 1
    assert checked > 40
    # and goes on without the option
    again = invoke("train", other_sounds, "--run-dir", tmp_path / "run", "--steps", 2, *TINY, *slow)
    assert again.code == 0, again.stderr
    assert json.loads((tmp_path / "run" / "config.json").read_text())["data"]["init_from"]["step"] == 2


@pytest.mark.slow
def test_a_run_resumes_where_its_source_is_gone(source, other_sounds, tmp_path):
    moved = shutil.copytree(source, tmp_path / "source")
    command = ("train", other_sounds, "--run-dir", tmp_path / "run", "--init-from", moved, *TINY)
    assert invoke(*command, "--steps", 1).code == 0
    shutil.rmtree(moved)
    ended = invoke(*command, "--steps", 2)
    assert ended.code == 0, ended.stderr
    assert CheckpointStore(RunDirectory(tmp_path / "run").checkpoints).steps()[-1] == 2


@pytest.mark.slow
def test_fine_tuning_takes_the_configuration_of_its_source(source, other_sounds, tmp_path):
    ended = invoke("train", other_sounds, "--run-dir", tmp_path / "run", "--init-from", source, "--steps", 1,
                   "--no-xla", "--quiet")
    assert ended.code == 0, ended.stderr
    config = RunDirectory(tmp_path / "run").config()
    assert (config.preset, config.model.channels) == ("drums", 8)


def test_fine_tuning_continues_at_the_rates_that_the_source_had_arrived_at():
    training = presets.get("drums").fine_tuning(29_534).training
    assert training.steps == 6_000
    assert training.generator_learning_rate == pytest.approx(2e-4 * 0.95 ** 29.534, rel=0.05)
    assert training.discriminator_learning_rate == pytest.approx(4e-4 * 0.95 ** 29.534, rel=0.05)


@pytest.mark.parametrize(("sounds", "steps"), [(20, 1_000), (120, 3_000), (500, 8_600)])
def test_the_number_of_sounds_decides_how_long_fine_tuning_takes(sounds, steps, tmp_path, monkeypatch):
    monkeypatch.setattr(resolve, "open_sounds", lambda *_: range(sounds))
    config = resolve.resolve(tmp_path, tmp_path / "run", init_from="pretrained:drums")
    training, said = config.training, resolve.introduction(config, "pretrained:drums")
    assert training.steps == steps
    assert training.log_every == max(1, steps * 64 // max(64, sounds) // 20)
    assert said.startswith("fine-tuning pretrained:drums, preset drums: one-shots by class")
    assert f"{steps:,} steps, about " in said
    asked = resolve.resolve(tmp_path, tmp_path / "run", None, {"training": {"steps": 7}}, "pretrained:drums")
    assert (asked.training.steps, asked.training.checkpoint_every) == (7, 1)


def test_short_names_of_precisions(tmp_path):
    found = resolve.resolve(tmp_path, tmp_path / "run", "seed", {"training": {"precision": "bf16"}})
    assert found.training.precision == "mixed_bfloat16"


def test_the_packages_models_bring_encoder_and_discriminator():
    for name in ("drums", "drums-44k", "music"):
        parts = {key.split("/", 1)[0] for key in read_all_weights(name)}
        assert parts == {"generator", "encoder", "discriminator"}


def test_what_does_not_fit_is_refused_in_one_line(source, other_sounds, tmp_path):
    common = (other_sounds, "--run-dir", tmp_path / "run", "--steps", 1, "--no-xla")
    invoke("train", *common, "--init-from", tmp_path / "none").one_line("does not exist", code=2)
    invoke("train", *common, "--init-from", "pretrained:drum").one_line("pretrained:drums", code=2)
    invoke("train", *common, "--init-from", source, "--preset", "drums-44k").one_line("mel configuration", code=2)
    ended = invoke("train", *common, "--init-from", "vocoder-16k", "--preset", "drums")
    assert ended.code == 2
    assert "fits no weight" in ended.stderr.splitlines()[-1]
    assert not (tmp_path / "run").exists()
