"""`melgan-tf import-torch`: a checkpoint sounds the same here as in PyTorch; other files are refused in one line."""

from __future__ import annotations

import collections
import contextlib
import io
import os
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from command_line import contents, invoke, unchanged

from melgan_tf.config import presets
from melgan_tf.config.registry import build_network
from melgan_tf.errors import MelGANError, UsageError
from melgan_tf.models.melgan.torch_import import import_run, read_generator
from melgan_tf.storage.checkpoints import CheckpointStore, restore
from melgan_tf.storage.run_directory import RunDirectory

torch = pytest.importorskip("torch")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import torch_melgan

pytestmark = pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")

TINY = {"mel_bins": 5, "ratios": (4, 2), "channels": 3, "residual_layers": 2}
OTHERS = [{"mel_bins": 7, "ratios": (3, 5), "channels": 2, "residual_layers": 1},
          {"mel_bins": 80, "ratios": (6,), "channels": 1, "residual_layers": 4},
          {"mel_bins": 20, "ratios": (2,) * 8, "channels": 1, "residual_layers": 1}]


def model_of(seed=0, **arguments):
    model = torch_melgan.Generator(**arguments).eval()
    torch_melgan.randomize(model, np.random.default_rng(seed))
    return model


def save(folder: Path, stored, **options) -> Path:
    path = folder / "netG.pt"
    torch.save(stored, path, **options)
    return path


def tiny(folder: Path, change=None, **options) -> Path:
    """A file with the tiny generator's state dict, changed."""
    stored = dict(model_of(**TINY).state_dict())
    return save(folder, (change and change(stored)) or stored, **options)


def imported(path: Path, run: Path):
    """The generator as training would load it, and the run's configuration."""
    ended = invoke("import-torch", path, "--out", run)
    assert ended.code == 0, ended.stderr
    config = RunDirectory(run).config()
    state, meta, damaged = CheckpointStore(RunDirectory(run).checkpoints).newest()
    assert (meta["step"], meta["audio_fingerprint"], damaged) == (0, config.audio.fingerprint(), [])
    generator = build_network(config, training=True)
    restore(state, generator=generator.variables)
    assert len(state) == len(generator.variables)
    return generator, config


def same_sound(generator, model, bins, frames=20):
    """Within 1e-5 at samples between -1 and 1, with weight norm and with it folded away."""
    mel = np.random.default_rng(1).normal(size=(2, frames, bins)).astype("float32")
    with torch.no_grad():
        sound = model(torch.tensor(mel).permute(0, 2, 1))[:, 0].numpy()
    assert 0.03 < sound.std() < 0.95
    for ours in (generator, generator.folded()):
        np.testing.assert_allclose(np.asarray(ours(mel)), sound, rtol=0, atol=1e-5)


# -- the same sound ---------------------------------------------------------------------------------------------------

def test_the_names_are_those_of_the_official_code():
    """Counted by hand from its `nn.Sequential`."""
    residual = [f"{block}.{part}" for stage in (3, 8, 13, 18) for block in range(stage + 1, stage + 4)
                for part in ("block.2", "block.4", "shortcut")]
    shapes = {name: tuple(value.shape) for name, value in torch_melgan.Generator().state_dict().items()}
    assert set(shapes) == {f"model.{name}.{part}" for name in ("1", "3", "8", "13", "18", "24", *residual)
                           for part in ("bias", "weight_g", "weight_v")}
    assert shapes["model.1.weight_v"] == (512, 80, 7)
    assert shapes["model.3.weight_v"] == (512, 256, 16)
    assert shapes["model.3.weight_g"] == (512, 1, 1)
    assert shapes["model.24.weight_v"] == (1, 32, 7)


def test_the_published_model_is_the_preset(tmp_path):
    generator = read_generator(save(tmp_path, model_of().state_dict()))
    assert generator.config() == presets.get("melgan")
    assert generator.folded_weights == 4_260_257


@pytest.mark.parametrize("arguments", [TINY, *OTHERS], ids=str)
def test_sizes_are_read_off_the_tensors(arguments, tmp_path):
    model = model_of(**arguments)
    generator, config = imported(save(tmp_path, model.state_dict()), tmp_path / "run")
    same_sound(generator, model, arguments["mel_bins"], frames=30)
    assert (config.audio.mel_bins, config.model.ratios, config.model.channels,
            config.model.residual_layers) == tuple(arguments.values())
    hop = int(np.prod(arguments["ratios"]))
    assert config.audio.hop_samples == hop
    assert config.audio.n_fft == (256 if (arguments["mel_bins"], hop) == (80, 6) else max(16, 4 * hop))
    assert config.data.clip_samples >= max(8 * hop, config.audio.n_fft)


def parametrized(model):
    for layer in torch_melgan.layers_of(model):
        torch.nn.utils.remove_weight_norm(layer)
        torch.nn.utils.parametrizations.weight_norm(layer)
    return model.state_dict()


def removed(model, every=1):
    for layer in torch_melgan.layers_of(model)[::every]:
        torch.nn.utils.remove_weight_norm(layer)
    return model.state_dict()


def parallel(model):
    stored = torch.nn.DataParallel(model).state_dict()
    assert next(iter(stored)).startswith("module.model.1.")
    return stored


def reversed_order(model):
    return collections.OrderedDict(reversed(model.state_dict().items()))


@pytest.mark.parametrize("stored_as", [parametrized, removed, lambda model: removed(model, every=3), parallel,
                                       reversed_order])
def test_other_ways_to_store_the_same(stored_as, tmp_path):
    model = model_of(**TINY)
    path = save(tmp_path, stored_as(model), _use_new_zipfile_serialization=stored_as is not reversed_order)
    generator, _ = imported(path, tmp_path / "run")  # without zip: as before PyTorch 1.6
    same_sound(generator, model, TINY["mel_bins"])


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_become_single(kind, tmp_path):
    model = model_of(**TINY)
    stored = {name: value.to(kind) for name, value in model.state_dict().items()}
    model.load_state_dict({name: value.float() for name, value in stored.items()})
    same_sound(imported(save(tmp_path, stored), tmp_path / "run")[0], model, TINY["mel_bins"])


def test_filters_of_zeros_stay_zero_where_weight_norm_was_removed(tmp_path):
    model = model_of(**TINY)
    removed(model)
    with torch.no_grad():
        model.model[1].weight[2] = 0
        model.model[3].weight[1] = 1e-25
    same_sound(imported(save(tmp_path, model.state_dict()), tmp_path / "run")[0], model, TINY["mel_bins"])


# -- the command ------------------------------------------------------------------------------------------------------

def test_it_reports_what_it_made_and_what_it_assumed(tmp_path):
    path, run = save(tmp_path, model_of(channels=1).state_dict()), tmp_path / "far" / "run"
    ended = invoke("import-torch", path, "--out", run)
    assert (ended.code, ended.stderr) == (0, "")
    sizes, mels = ended.stdout.splitlines()
    for part in ("80 mel bands", "8 x 8 x 2 x 2 = 256 samples", "1 channels", "3 residual layers", str(run)):
        assert part in sizes
    for part in ("does not record", "published", "22050 Hz", "n_fft 1024", "log10"):
        assert part in mels
    assert set(contents(run)) == {"config.json", "checkpoints/step-00000000.npz"}
    assert sorted(os.listdir(run.parent)) == ["run"]
    record = RunDirectory(run).record()
    assert record["data"]["imported_from"] == str(path)
    assert len(record["data"]["sha256"]) == 64
    ended = invoke("import-torch", tiny(tmp_path), "--out", tmp_path / "tiny", "--quiet")
    assert (ended.code, ended.stdout) == (0, "")
    assert ended.stderr.startswith("warning: the file does not record its mel configuration")
    assert "n_fft 32" in ended.stderr


def test_existing_files_are_never_replaced(tmp_path):
    path = tiny(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "diary.txt").write_text("dear diary")
    (tmp_path / "dangling").symlink_to("nothing")
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("empty")
    check = unchanged(tmp_path)
    for name in ("folder", "dangling"):
        invoke("import-torch", path, "--out", tmp_path / name).one_line(name, "give another", code=2)
    invoke("import-torch", path, "--out", tmp_path / "folder/diary.txt").one_line("diary.txt", "is a file", code=2)
    invoke("import-torch", path, "--out", tmp_path / "folder/diary.txt/run").one_line("not a directory", code=2)
    with pytest.raises(UsageError, match="is not replaced"):
        import_run(read_generator(path), tmp_path / "folder")
    check()
    assert invoke("import-torch", path, "--out", tmp_path / "link").code == 0  # an empty folder may become the run
    assert RunDirectory(tmp_path / "empty").exists()


@pytest.mark.parametrize("absent", [True, False])
def test_without_a_safe_pytorch_it_says_how_to_get_one(absent, tmp_path, monkeypatch):
    path = tiny(tmp_path)
    if absent:
        monkeypatch.setitem(sys.modules, "torch", None)
    else:
        monkeypatch.setattr(torch, "__version__", "2.5.1+cpu")
    ended = invoke("import-torch", path, "--out", tmp_path / "run")
    ended.one_line("needs PyTorch" if absent else "PyTorch 2.5.1+cpu", "pip install 'melgan-tf[torch]'", code=2)


# -- what is refused --------------------------------------------------------------------------------------------------

def refused(path: Path, *parts: str, code: int = 1) -> None:
    """One line with the file's name, and nothing written."""
    check = unchanged(path.parent)
    invoke("import-torch", path, "--out", path.parent / "run").one_line(str(path), *parts, code=code)
    check()


def without(*names):
    return lambda stored: {name: value for name, value in stored.items() if not name.startswith(names)}


def with_(name, value):
    return lambda stored: stored | {name: value(stored[name]) if callable(value) else value}


ONE = torch.ones(1)


@pytest.mark.parametrize(("change", "part"), [
    (without("model.4.shortcut"), "(missing: model.4.shortcut.weight_g, model.4.shortcut.weight_v, model.4.shortcut."),
    (without("model.7.bias"), "(missing: model.7.bias)"),
    (without("model.5."), "model.5.block.2.bias and 6 more)"),
    (with_("model.1.weight_v", torch.ones(24, 5, 6)), "model.1.weight_v has shape (24, 5, 6)"),
    (with_("model.1.weight_v", torch.ones(13, 5, 7)), "model.1.weight_v has shape (13, 5, 7)"),
    (with_("model.1.bias", torch.ones(())), "model.1.bias has shape (), not (12,)"),
    (with_("model.3.weight_v", torch.ones(12, 6, 7)), "model.3.weight_v has shape (12, 6, 7), not (12, 6, 6)"),
    (with_("model.3.weight_v", torch.ones(6, 12, 8)), "model.3.weight_v has shape (6, 12, 8), not (12, 6, 8)"),
    (with_("model.12.weight_v", torch.ones(2, 3, 7)), "(wrong shape: model.12.weight_v has shape (2, 3, 7), not (1"),
    (with_("model.1.weight", torch.ones(12, 5, 7)), "(unexpected: model.1.weight)"),
    (lambda stored: with_("model.1.weight", torch.ones(12, 5, 7))(without("model.1.weight_v")(stored)),
     "(missing: model.1.weight_v; unexpected: model.1.weight;"),
    (with_("module.model.1.bias", ONE), "contains a tensor twice"),
    (lambda stored: {f"generator.{name}": value for name, value in stored.items()}, "unexpected: generator.model.1."),
    (lambda stored: {"model_g": stored}, "model_g is not a tensor"),
    (lambda stored: {3: ONE}, "3 is not a name"),
    (lambda stored: {"a\nb\x1b[31m" + "c" * 9_999: ONE}, r"'a\nb\x1b[31mccc"),
    (with_("model.3.bias", torch.ones(6, dtype=torch.int64)), "model.3.bias is not a tensor of floating-point"),
    (with_("model.3.bias", torch.ones(6).to_sparse()), "model.3.bias is not a tensor of floating-point"),
    (with_("model.3.bias", torch.ones(6, device="meta")), "model.3.bias is not a tensor of floating-point"),
    (with_("model.1.bias", torch.ones(1).expand(10**12)), "model.1.bias is not a tensor of floating-point"),
    (with_("model.3.bias", lambda value: value * float("nan")), "model.3.bias contains values that are not finite"),
    (with_("model.7.weight_v", lambda value: value * 0), "model.7.weight_v contains a filter without a direction"),
])
def test_a_state_that_does_not_fit_is_refused(change, part, tmp_path):
    refused(tiny(tmp_path, change), part)


@pytest.mark.parametrize(("arguments", "part"), [
    ({"ratios": (66,)}, "model.ratios is [66]"), ({"residual_layers": 0}, "model.residual_layers is 0"),
    ({"ratios": (2,) * 9}, "model.ratios is [2, 2"), ({"residual_layers": 7}, "model.residual_layers is 7"),
])
def test_sizes_that_are_not_supported(arguments, part, tmp_path):
    refused(save(tmp_path, torch_melgan.Generator(**TINY | {"channels": 1} | arguments).state_dict()), part)


class Trap:
    """Makes a file when it is loaded as pickles usually are."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_file_is_not_run(zipped, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")  # has no effect
    sprung = tmp_path / "sprung"
    path = save(tmp_path, {"model.1.bias": ONE, "more": [Trap(sprung)]}, _use_new_zipfile_serialization=zipped)
    refused(path, "contains more than weights", "state dict")
    assert not sprung.exists()
    refused(save(tmp_path, model_of(**TINY)), "contains more than weights (torch_melgan.Generator)")
    path = save(tmp_path, Trap(sprung), _use_new_zipfile_serialization=zipped)
    torch.load(path, weights_only=False)  # it is a trap indeed
    assert sprung.exists()


def test_other_files_are_refused(tmp_path):
    for data in (b"", b"PK\x03\x04", b"\x80\x02.", b"x" * 10_000, b"RIFF1234WAVEfmt "):
        (tmp_path / "netG.pt").write_bytes(data)
        refused(tmp_path / "netG.pt", "is damaged, or not a PyTorch checkpoint")
    for stored in ({}, [ONE], ONE, None, "weights"):
        refused(save(tmp_path, stored), "contains no named tensors")
    refused(tmp_path / "none.pt", "does not exist", code=2)
    (tmp_path / "folder.pt").mkdir()
    refused(tmp_path / "folder.pt", "is not a file", code=2)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_truncated_file_is_refused(zipped, tmp_path):
    path = tiny(tmp_path, _use_new_zipfile_serialization=zipped)
    whole = path.read_bytes()
    for length in range(50, len(whole), len(whole) // 20):
        path.write_bytes(whole[:length])
        with pytest.raises(MelGANError, match="is damaged, or not a PyTorch checkpoint"):
            read_generator(path)


def test_a_flipped_bit_is_found_by_its_checksum(tmp_path):
    path = tiny(tmp_path)
    values = model_of(**TINY).state_dict()["model.5.shortcut.weight_v"].numpy().tobytes()
    data = bytearray(path.read_bytes())
    data[data.index(values) + 2] ^= 1
    path.write_bytes(data)
    assert len(torch.load(path, weights_only=True)) == 48  # PyTorch does not notice
    refused(path, "is damaged: netG/data/", "has a wrong checksum")


def test_every_flipped_byte_ends_in_one_line_or_in_another_sound(tmp_path):
    """The pickle's bytes are the worst: none of them gets out as anything but a `MelGANError`."""
    stream = io.BytesIO()
    torch.save(model_of(mel_bins=1, ratios=(2,), channels=1, residual_layers=1).state_dict(), stream,
               _use_new_zipfile_serialization=False)  # has no checksums
    whole, path = stream.getvalue(), tmp_path / "netG.pt"
    rng = np.random.default_rng(0)
    for position in [*rng.integers(0, 2_500, 90), *rng.integers(0, len(whole), 30)]:
        data = bytearray(whole)
        data[position] ^= int(rng.integers(1, 256))
        path.write_bytes(data)
        with contextlib.suppress(MelGANError):
            read_generator(path)
