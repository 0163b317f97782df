"""What every family of models owes the rest of the package: the same tests for all that are registered."""

from __future__ import annotations

import dataclasses
import gc
import json
from collections.abc import Iterator
from pathlib import Path

import keras
import loop_sounds
import numpy as np
import pytest
from command_line import invoke
from drums import write_drums
from tiny_families import compiled, step, task_of, tiny
from tiny_vocoders import write_run

from melgan_tf.audio.wav import save_wav
from melgan_tf.config import presets, registry
from melgan_tf.inference import vocoder as vocoders
from melgan_tf.inference.renderer import GriffinLim
from melgan_tf.models import sound_task
from melgan_tf.models.fast_vocoder.config import FastVocoderConfig
from melgan_tf.storage.checkpoints import CheckpointStore, collect, load, restore
from melgan_tf.storage.run_directory import RunDirectory, with_training
from melgan_tf.training.gan import GAN
from melgan_tf.training.optimizers import Adam
from melgan_tf.training.task import Task


@dataclasses.dataclass
class Trained:
    """A family's model that has taken steps, and the run directory that holds it."""

    kind: str
    task: Task
    model: GAN
    path: Path
    metrics: dict[str, float]
    #: Trainable variables of each player, before and after a step of either alone.
    generator_step: dict[str, list[tuple[str, np.ndarray, np.ndarray]]]
    discriminator_step: dict[str, list[tuple[str, np.ndarray, np.ndarray]]]

    @property
    def makes(self) -> str:
        return registry.family(self.kind).makes


@pytest.fixture(scope="module")
def drums(tmp_path_factory) -> Path:
    return write_drums(tmp_path_factory.mktemp("contract") / "drums")


@pytest.fixture(scope="module")
def others(tmp_path_factory) -> Path:
    """Sounds that no model has seen."""
    return write_drums(tmp_path_factory.mktemp("contract") / "others", each=4, seed=1)


def write_loops(folder: Path, seed: int = 0) -> Path:
    """Loops of a bar, in folders of the names that `write_drums` gives."""
    for number, label in enumerate(("hat", "kick", "snare") * 4):
        (folder / label).mkdir(parents=True, exist_ok=True)
        save_wav(folder / label / f"{number}_130bpm.wav", loop_sounds.drums("techno", 130, 1, seed + number),
                 loop_sounds.RATE)
    return folder


@pytest.fixture(scope="module", autouse=True)
def _cheap(small_discriminators):
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(vocoders, "GriffinLim", lambda: GriffinLim(iterations=1))
        monkeypatch.setattr(sound_task, "vocoder_for", lambda audio: GriffinLim(iterations=1))
        monkeypatch.setattr(sound_task, "SCORED_SOUNDS", 16)
        yield


def optimizers(*moving: str) -> list[Adam]:
    """Those of training, and their names; who does not move has a learning rate of 0."""
    return [Adam(1e-3 if player in moving else 0.0, name=f"{player}_adam") for player in ("generator", "discriminator")]


def step_of_one(model: GAN, batch: object, moving: str) -> tuple[dict, dict[str, float]]:
    """Steps in which one player's learning rate is not 0: what became of all trainable variables, and the metrics."""
    model.compile(*optimizers(moving))
    players = {"generator": model.generator_variables, "discriminator": model.discriminator_variables}
    before = {name: [np.array(variable.numpy()) for variable in variables] for name, variables in players.items()}
    model.reset_metrics()
    metrics = step(model, batch)
    return {name: [(variable.path, old, np.array(variable.numpy())) for old, variable in zip(before[name], variables,
                                                                                    strict=True)]
            for name, variables in players.items()}, metrics


@pytest.fixture(scope="module", params=[
    pytest.param(family, marks=pytest.mark.slow) if family in ("loop-gan", "sequence-gan") else family
    for family in registry.families()])
def trained(request, drums, tmp_path_factory) -> Iterator[Trained]:
    if request.param == "loop-gan":  # compares whole bars
        drums = write_loops(tmp_path_factory.mktemp("contract") / "loops")
    task = task_of(tiny(request.param), drums)
    model = compiled(task, *optimizers())
    batch = next(iter(task.dataset(0)))
    of_discriminator, _ = step_of_one(model, batch, "discriminator")
    of_generator, metrics = step_of_one(model, batch, "generator")
    path = tmp_path_factory.mktemp("contract") / request.param
    directory = RunDirectory(path)
    directory.write(task.config, {"folder": str(drums), **task.metadata()}, {})
    CheckpointStore(directory.checkpoints).save(collect(**model.parts()), 2, {
        "epoch": 0, task.score_name: 1.0, "audio_fingerprint": task.config.audio.fingerprint()})
    yield Trained(request.param, task, model, path, metrics, of_generator, of_discriminator)
    keras.utils.clear_session()  # graphs of exports take hundreds of megabytes
    gc.collect()


def test_every_preset_is_one_of_its_family(trained):
    family = registry.family(trained.kind)
    assert family.presets
    for name, preset in family.presets.items():
        assert (preset.config.preset, preset.config.family) == (name, family)
        assert presets.get(name) == preset.config
        assert dataclasses.is_dataclass(family.config)


@pytest.mark.parametrize("moving", ["generator", "discriminator"])
def test_a_step_changes_every_weight_of_the_player_that_stepped_and_none_of_the_others(trained, moving):
    for name, variables in getattr(trained, f"{moving}_step").items():
        assert variables
        for path, before, after in variables:
            assert np.isfinite(after).all(), path
            if name != moving:
                np.testing.assert_array_equal(after, before, err_msg=path)
            # within the margins, the real and the fake sounds pull equally at the last bias of a discriminator
            elif not path.endswith("logits/bias"):
                assert np.any(after != before), path


def test_metrics_are_those_that_the_family_names_and_finite(trained):
    assert tuple(trained.metrics) == trained.model.METRICS
    assert all(np.isfinite(value) for value in trained.metrics.values())
    assert all(name.split("/")[0] in ("generator", "discriminator") for name in trained.metrics)
    line = trained.task.log_line(trained.metrics)
    assert "\n" not in line
    assert f"{next(iter(trained.metrics.values())):.4f}" in line


def test_a_checkpoint_brings_back_every_number(trained, drums):
    """Into a model that was built from another seed."""
    state, _ = load(CheckpointStore(trained.path / "checkpoints").file(2))
    model = compiled(task_of(with_training(trained.task.config, seed=1), drums), *optimizers())
    restore(state, **model.parts())
    for part in (model, trained.model):
        now = collect(**part.parts())
        assert set(now) == set(state)
        for name, value in now.items():
            np.testing.assert_array_equal(value, state[name], err_msg=name)
    assert int(model.step) == 2


def test_the_score_is_a_number_and_the_best_model_has_the_lowest(trained):
    trained.task.setup_validation()
    score = trained.task.validation_score()
    assert np.isfinite(score)
    assert score >= 0
    assert all(np.isfinite(value) for value in trained.task.extra_metrics().values())


def vocoder_for(trained: Trained, folder: Path) -> list[object]:
    """Options that make rendering cheap: a tiny vocoder for what must be rendered piece by piece."""
    if trained.makes != "streams":
        return ["--vocoder", "griffin-lim"]
    model = FastVocoderConfig(channels=16, sub_channels=16, dilations=(1, 2))
    return ["--vocoder", write_run(folder, dataclasses.replace(presets.get("vocoder-22k"), model=model))]


def test_it_makes_sounds_or_renders_them(trained, others, tmp_path):
    if trained.makes == "waveforms":
        ended = invoke("vocode", others / "kick", "--vocoder", trained.path, "--out", tmp_path / "made")
    else:
        length = ["--seconds", 1] if trained.makes == "streams" else []
        ended = invoke("generate", trained.path, "--out", tmp_path / "made", "--count", 2,
                       *vocoder_for(trained, tmp_path / "vocoder"), *length)
    assert ended.code == 0, ended.stderr
    assert len(list((tmp_path / "made").rglob("*.wav"))) == (4 if trained.makes == "waveforms" else 2)


def test_it_can_be_evaluated(trained, others, tmp_path):
    options = [] if trained.makes == "waveforms" else ["--count", 12, *vocoder_for(trained, tmp_path / "vocoder")]
    if trained.kind == "loop-gan":
        others = write_loops(tmp_path / "loops", 10)
    ended = invoke("evaluate", trained.path, "--reference", others, "--json", tmp_path / "found.json", *options)
    assert ended.code == 0, ended.stderr
    assert json.loads((tmp_path / "found.json").read_text())


@pytest.mark.slow
@pytest.mark.parametrize("trained", [
    # vocoders, one-shots and sounds of any length: also by test_vocoder_exports, test_phone_examples, test_long_sounds
    family if family == "loop-gan" else pytest.param(family, marks=pytest.mark.nightly)
    for family in registry.families()], indirect=True)
@pytest.mark.parametrize("kind", ["saved-model", "tflite"])
def test_exports_agree_with_keras(trained, tmp_path, kind):
    """`export` runs what it has written in a process of its own and refuses what differs by more than rounding.

    Models with classes take a label, too.
    """
    options = [] if trained.makes == "waveforms" else vocoder_for(trained, tmp_path / "vocoder")
    tempo = ["--bpm", 150, "--bars", 1] if (trained.kind, kind) == ("loop-gan", "tflite") else []
    ended = invoke("export", trained.path, "--out", tmp_path / "export", "--format", kind, *options, *tempo)
    assert ended.code == 0, ended.stderr
    receipt, = (json.loads(path.read_text()) for path in (tmp_path / "export").rglob("export_report.json"))
    if tempo:
        assert [receipt["origin"][name] for name in ("bpm", "bars", "samples")] == [150, 1, 35_280]
    classes = list(trained.task.metadata().get("classes", {}))
    assert receipt["origin"].get("classes", []) == classes
    assert ("label" in receipt["signatures"].get("generate", {"inputs": []})["inputs"]) == bool(classes)
