"""What the tests of vocoders and exports share: tiny models, as runs and as the package's own, and `vocode`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from command_line import Ended, invoke
from tiny_vocoders import VOCODERS, ship, sound_model, tiny, write_run

from melgan_tf.config import presets
from melgan_tf.inference import vocoder as vocoders
from melgan_tf.inference.sound_model import SoundModel
from melgan_tf.inference.vocoder import Vocoder, load_vocoder


@pytest.fixture(scope="session")
def vocoder_runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Runs of `VOCODERS`, and "seed", one of a sound model; not to be written to."""
    folder = tmp_path_factory.mktemp("vocoders")
    configs = VOCODERS | {"seed": presets.get("seed")}
    return {name: write_run(folder / name, config) for name, config in configs.items()}


@pytest.fixture(scope="session")
def loaded(vocoder_runs: dict[str, Path]) -> dict[str, Vocoder]:
    """The vocoders of these runs, each loaded and traced once."""
    return {name: load_vocoder(vocoder_runs[name]) for name in VOCODERS}


@pytest.fixture(scope="session")
def exported_model() -> SoundModel:
    """What is exported in every way."""
    return sound_model()


@pytest.fixture(scope="session")
def exported_sounds(exported_model: SoundModel) -> dict[str, np.ndarray]:
    """Twenty sounds of seed 5 as `generate` makes them with it."""
    return exported_model.sampler.generate(5, 20)


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative name means only what the test puts there."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def package(elsewhere: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The package brings along two vocoders, for the presets' mels."""
    return ship(monkeypatch, tmp_path / "weights", vocoder_16k=tiny(seed=1), vocoder_22k=tiny("vocoder-22k", seed=1))


@pytest.fixture
def vocode(vocoder_runs: dict[str, Path], loaded: dict[str, Vocoder], elsewhere: None,
           monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ended]:
    """Runs `vocode` in an empty folder, with the fast vocoder and to `out` if nothing else is said."""
    known = {str(vocoder_runs[name]): vocoder for name, vocoder in loaded.items()}
    monkeypatch.setattr(vocoders, "load_vocoder", lambda source, *arguments: (
        known.get(str(source)) or load_vocoder(source, *arguments)))
    return lambda *arguments, vocoder="fast", out="out": invoke(
        "vocode", *arguments, "--vocoder", vocoder_runs.get(vocoder, vocoder), "--out", out)


@pytest.fixture(scope="module")
def small_discriminators() -> Iterator[None]:
    """Vocoders learn from two scales of three layers in place of three of seven: 5 thousand weights, not 17 million."""
    from melgan_tf.models.vocoder_training import train_step
    from melgan_tf.models.vocoder_training.discriminator import MultiScaleDiscriminator

    with mock.patch.object(train_step, "MultiScaleDiscriminator",
                           lambda seed: MultiScaleDiscriminator(scales=2, channels=4, layers=2, seed=seed)):
        yield
