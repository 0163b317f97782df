"""Vocoders by run or by name, the choice of one for a model's mels, and sounds rendered with one."""

from __future__ import annotations

import dataclasses
import json
import shutil

import numpy as np
import pytest
import tensorflow as tf
from tiny_vocoders import CARD, STEP, VOCODERS, tiny, tone, write_run
from told import Told

from melgan_tf import weights
from melgan_tf.config import AudioConfig, Config, from_dict, presets
from melgan_tf.config.registry import build_network
from melgan_tf.dsp import spectral
from melgan_tf.errors import MelGANError, UsageError
from melgan_tf.inference import vocoder as vocoders
from melgan_tf.inference.vocoder import load_vocoder, vocoder_for
from melgan_tf.storage.checkpoints import CheckpointStore, load

SEED = presets.get("seed")
pytestmark = pytest.mark.usefixtures("elsewhere")
SHIPPED = ("vocoder-16k", "vocoder-22k", "vocoder-44k")


def a_mel(audio: AudioConfig, frames: int = 9, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.uniform(-4, 1, (2, frames, audio.mel_bins)).astype(np.float32)


# -- loading ---------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", VOCODERS)
def test_a_run_is_loaded_with_its_weights(vocoder_runs, name):
    vocoder = load_vocoder(vocoder_runs[name])
    config = VOCODERS[name]
    assert (vocoder.config, vocoder.audio, vocoder.name, vocoder.step, vocoder.card) == (
        config, config.audio, str(vocoder_runs[name]), STEP, {})
    mel = a_mel(config.audio)
    made = vocoder.vocode(mel)
    assert made.shape == (2, 9 * config.audio.hop_samples)
    assert np.isfinite(made).all()
    again = vocoders.build_network(config, training=True)  # its initial weights are what the run holds
    np.testing.assert_allclose(made, again(mel).numpy(), atol=1e-4 * np.abs(made).max())


def test_facts_name_preset_step_weights_and_mels(vocoder_runs):
    vocoder = load_vocoder(vocoder_runs["fast"])
    assert vocoder.metadata() == {"name": str(vocoder_runs["fast"]), "preset": "vocoder-16k", "step": STEP,
                               "weights": vocoder.weights, "audio_fingerprint": VOCODERS["fast"].audio.fingerprint()}
    assert len(vocoder.weights) == 12
    assert vocoder.weights != load_vocoder(vocoder_runs["melgan"]).weights


def test_a_melgan_is_loaded_without_weight_norm(vocoder_runs):
    assert not load_vocoder(vocoder_runs["melgan"]).model.weight_norm


def test_the_packages_own_is_loaded_by_name(package):
    vocoder = load_vocoder("vocoder-16k")
    assert (vocoder.name, vocoder.step, vocoder.config) == ("vocoder-16k", STEP, tiny(seed=1))
    assert vocoder.card == {"name": "vocoder-16k", "step": STEP, **CARD}
    assert load_vocoder("vocoder-16k") is vocoder  # loaded once
    mel = a_mel(vocoder.audio)
    exact = build_network(tiny(seed=1))(mel).numpy()
    assert 0 < np.abs(vocoder.vocode(mel) - exact).max() < 0.02 * np.abs(exact).max()  # weights of 16 bits


def test_a_run_that_is_called_like_a_name_goes_first(package, tmp_path):
    """`train --run-dir vocoder-16k` says: melgan-tf vocode SOUND --vocoder vocoder-16k."""
    write_run(tmp_path / "vocoder-16k", tiny(seed=5))
    assert load_vocoder("vocoder-16k").config.training.seed == 5
    assert vocoder_for(SEED.audio).config.training.seed == 1  # nobody named it


@pytest.mark.parametrize(("source", "parts"), [
    ("vocoder-16", ("'vocoder-16'", "did you mean 'vocoder-16k'?")), ("Vocoder-22K", ("did you mean 'vocoder-22k'?",)),
    ("xyz", ("'xyz'", "known are vocoder-16k, vocoder-22k")), ("", ("''", "known are")),
    ("a/b", ("neither the run directory",)), ("..", ("neither the run directory",)), (".", ("neither",))])
def test_a_name_that_is_none_is_told_the_nearest(package, source, parts):
    with pytest.raises(UsageError, match="is neither the run directory of a vocoder nor the name of one") as error:
        load_vocoder(source)
    assert all(part in str(error.value) for part in parts)


def test_a_run_of_another_kind_is_refused(vocoder_runs):
    with pytest.raises(UsageError, match="is a run of preset 'seed', which makes mels from noise: give the run of a"):
        load_vocoder(vocoder_runs["seed"])


def test_a_run_without_a_checkpoint_is_refused(vocoder_runs, tmp_path):
    run = shutil.copytree(vocoder_runs["fast"], tmp_path / "run")
    shutil.rmtree(run / "checkpoints")
    for choice in ("last", "best"):
        with pytest.raises(MelGANError, match=f"^{run} has no checkpoint yet: train it first"):
            load_vocoder(run, choice)


def test_damage_is_told_and_the_checkpoint_before_it_taken(vocoder_runs, tmp_path):
    run, told = shutil.copytree(vocoder_runs["fast"], tmp_path / "run"), Told()
    (run / "checkpoints/step-00000009.npz").write_bytes(b"")
    assert load_vocoder(run, progress=told).step == STEP
    assert len(told.warnings) == 1
    assert "step-00000009.npz is damaged" in told.warnings[0]
    (run / "checkpoints/step-00000007.npz").write_bytes(b"")
    with pytest.raises(MelGANError, match="no checkpoint in .* can be read"):
        load_vocoder(run)


def test_the_best_checkpoint_on_request(vocoder_runs, tmp_path):
    run = shutil.copytree(vocoder_runs["fast"], tmp_path / "run")
    store = CheckpointStore(run / "checkpoints")
    store.mark_best(STEP)
    state, meta = load(store.file(STEP))
    store.save({name: value * 2 for name, value in state.items()}, 8, meta)
    assert (load_vocoder(run, "best").step, load_vocoder(run).step) == (STEP, 8)


def test_a_checkpoint_for_other_mels_is_refused(vocoder_runs, tmp_path):
    run = shutil.copytree(vocoder_runs["fast"], tmp_path / "run")
    record = json.loads((run / "config.json").read_text())
    record["config"]["audio"]["floor"] = 1e-3
    (run / "config.json").write_text(json.dumps(record))
    with pytest.raises(MelGANError, match="was made for other mel spectrograms"):
        load_vocoder(run)


@pytest.mark.parametrize("damage", ["cut", "missing", "foreign"])
def test_damaged_weights_of_the_package_are_one_line(package, damage):
    file = package / "vocoder-16k.npz"
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:500])
    elif damage == "missing":
        file.unlink()
    else:
        shutil.copy(package / "vocoder-22k.npz", file)
    with pytest.raises(MelGANError, match="vocoder-16k") as error:
        load_vocoder("vocoder-16k")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["", "{"])
def test_a_damaged_card_is_one_line(package, text):
    (package / "vocoder-16k.json").write_text(text)
    with pytest.raises(MelGANError, match="vocoder-16k is missing from the package, or damaged"):
        load_vocoder("vocoder-16k")


# -- what the package really brings along ----------------------------------------------------------------------------

@pytest.fixture(params=SHIPPED)
def shipped(request):
    return request.param


def test_nothing_else_is_shipped():
    assert set(weights.pretrained_vocoders()) == set(SHIPPED)


@pytest.mark.slow
def test_a_shipped_vocoder_loads_and_is_a_vocoder(shipped):
    """That it is *trained*: nearer to a note's mel than one that is not, whose corrections alone come near already."""
    vocoder = load_vocoder(shipped)
    assert vocoder.audio == presets.get(shipped).audio
    rate = vocoder.audio.sample_rate
    mel = spectral.mel_spectrogram(tf.constant(tone(rate // 2, rate)[None]), vocoder.audio)

    def distance(waveform: np.ndarray) -> float:
        made = spectral.mel_spectrogram(tf.constant(waveform), vocoder.audio)[:, :mel.shape[1]]
        return float(tf.reduce_mean(tf.abs(made - mel[:, :made.shape[1]])))

    plain = dataclasses.replace(vocoder.config.model, scatter_frames=0,
                                corrections=vocoder.config.model.corrections - 2)
    untrained = build_network(dataclasses.replace(vocoder.config, model=plain))(mel).numpy()
    made = vocoder.vocode(mel.numpy())
    assert np.isfinite(made).all()
    nearer = 0.85 if shipped == "vocoder-44k" else 0.8  # its twenty rounds and three corrections leave less to learn
    assert distance(made) < nearer * distance(untrained)
    silence = np.full((1, 20, vocoder.audio.mel_bins), np.log10(vocoder.audio.floor), np.float32)
    assert not vocoder.vocode(silence).any()


def test_a_shipped_vocoder_is_small_and_of_16_bits(shipped):
    file = weights.WEIGHTS / f"{shipped}.npz"
    assert file.stat().st_size < 4_000_000
    with np.load(file) as archive:
        assert {archive[name].dtype for name in archive.files if name != "meta"} == {np.dtype(np.float16)}
        assert all(np.isfinite(archive[name]).all() for name in archive.files if name != "meta")


def test_the_card_of_a_shipped_vocoder_tells_all(shipped):
    card = weights.read_card(shipped)
    assert card.keys() >= {"name", "step", "data", "licence", "command", "hours", "figures", "config"}
    assert (card["name"], card["licence"]) == (shipped, "CC0-1.0")
    assert len(card["data"]) > 20
    assert shipped in card["command"]
    assert card["command"].startswith("melgan-tf train")
    assert 0 < card["hours"] < 100
    assert card["step"] > 1_000
    assert from_dict(Config, card["config"]).preset == shipped
    assert card["figures"]
    for folder in card["figures"].values():
        ours, theirs = folder["vocoder"], folder["griffin-lim 32"]
        assert ours.keys() == theirs.keys()
        assert ours["idle_peak"] == 0.0


# -- pieces ----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", VOCODERS)
@pytest.mark.parametrize("seconds", [1e-6, 0.1, 0.21, 100.0])
def test_pieces_join_to_the_whole(loaded, name, seconds):
    vocoder = loaded[name]
    mel = a_mel(vocoder.audio, 40)[0]
    whole = vocoder.vocode(mel[None])[0]
    parts = list(vocoder.in_chunks(mel, seconds))
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=2e-5 * np.abs(whole).max())
    assert len(parts) > 2 or seconds == 100.0
    stream = vocoder.stream()
    parts = [*(stream.push(mel[i:i + 7]) for i in range(0, 40, 7)), stream.finish()]
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=2e-5 * np.abs(whole).max())


@pytest.mark.parametrize("seconds", [0, -1.0, np.nan, np.inf])
def test_pieces_of_no_length_are_refused(loaded, seconds):
    with pytest.raises(UsageError, match="give a positive number"):
        list(loaded["fast"].in_chunks(a_mel(VOCODERS["fast"].audio)[0], seconds))
