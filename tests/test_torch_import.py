"""`melgan-tf import-torch`: what PyTorch wrote sounds the same here; what is no MelGAN is refused in one line."""

from __future__ import annotations

import collections
import contextlib
import importlib.util
import io
import json
import os
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from command_line import contents, invoke, program, unchanged

from melgan_tf.config import presets
from melgan_tf.config.registry import build_network
from melgan_tf.errors import MelGANError, UsageError
from melgan_tf.models.melgan import torch_import
from melgan_tf.models.melgan.torch_damage import first_damaged
from melgan_tf.models.melgan.torch_import import import_run, read_generator
from melgan_tf.models.vocoder_training.train_step import VocoderGAN
from melgan_tf.storage.checkpoints import CheckpointStore, restore
from melgan_tf.storage.run_directory import RunDirectory

torch = pytest.importorskip("torch")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import torch_melgan

pytestmark = pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")

TINY = {"mel_bins": 5, "ratios": (4, 2), "channels": 3, "residual_layers": 2}
OTHERS = [{"mel_bins": 7, "ratios": (3, 5), "channels": 2, "residual_layers": 1},
          {"mel_bins": 4, "ratios": (2, 7, 2), "channels": 2, "residual_layers": 3},
          {"mel_bins": 80, "ratios": (6,), "channels": 1, "residual_layers": 4},
          {"mel_bins": 20, "ratios": (2,) * 8, "channels": 1, "residual_layers": 1},
          {"mel_bins": 80, "ratios": (8, 8, 2, 2), "channels": 4, "residual_layers": 2}]


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


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
    """Counted by hand from its `nn.Sequential`; the files of this test are as official as their names and shapes."""
    residual = [f"{block}.{part}" for stage in (3, 8, 13, 18) for block in range(stage + 1, stage + 4)
                for part in ("block.2", "block.4", "shortcut")]
    layers = ["1", "3", "8", "13", "18", "24", *residual]
    stored = torch_melgan.Generator().state_dict()
    assert set(stored) == {f"model.{name}.{part}" for name in layers for part in ("bias", "weight_g", "weight_v")}
    shapes = {name: tuple(value.shape) for name, value in stored.items()}
    assert shapes["model.1.weight_v"] == (512, 80, 7)
    assert shapes["model.3.weight_v"] == (512, 256, 16)
    assert shapes["model.3.weight_g"] == (512, 1, 1)
    assert shapes["model.18.weight_v"] == (64, 32, 4)
    assert shapes["model.24.weight_v"] == (1, 32, 7)


@pytest.mark.parametrize("normalized", [True, False])
def test_the_published_model_sounds_the_same(normalized, tmp_path):
    model = model_of()
    if not normalized:
        for layer in torch_melgan.layers_of(model):
            torch.nn.utils.remove_weight_norm(layer)
    generator, config = imported(save(tmp_path, model.state_dict()), tmp_path / "run")
    same_sound(generator, model, 80)
    assert config == presets.get("melgan")


@pytest.mark.parametrize("arguments", [TINY, *OTHERS], ids=str)
def test_any_sizes_are_told_from_the_tensors(arguments, tmp_path):
    model = model_of(**arguments)
    generator, config = imported(save(tmp_path, model.state_dict()), tmp_path / "run")
    same_sound(generator, model, arguments["mel_bins"], frames=30)
    found = {"mel_bins": config.audio.mel_bins, "ratios": config.model.ratios, "channels": config.model.channels,
             "residual_layers": config.model.residual_layers}
    assert found == arguments
    hop = int(np.prod(arguments["ratios"]))
    assert config.audio.hop_samples == hop
    assert config.audio.n_fft == (256 if (arguments["mel_bins"], hop) == (80, 6) else max(16, 4 * hop))
    assert config.data.clip_samples >= max(8 * hop, config.audio.n_fft)
    published = presets.get("melgan")
    assert config.training == published.training
    assert config.model.objective == published.model.objective


def parametrized(model):
    for layer in torch_melgan.layers_of(model):
        torch.nn.utils.remove_weight_norm(layer)
        torch.nn.utils.parametrizations.weight_norm(layer)
    return model.state_dict()


def partly_removed(model):
    for layer in torch_melgan.layers_of(model)[::3]:
        torch.nn.utils.remove_weight_norm(layer)
    return model.state_dict()


def parallel(model):
    stored = torch.nn.DataParallel(model).state_dict()
    assert next(iter(stored)).startswith("module.model.1.")
    return stored


def reversed_order(model):
    return collections.OrderedDict(reversed(model.state_dict().items()))


@pytest.mark.parametrize("stored_as", [parametrized, partly_removed, parallel, reversed_order])
def test_other_ways_to_store_the_same(stored_as, tmp_path):
    model = model_of(**TINY)
    generator, _ = imported(save(tmp_path, stored_as(model)), tmp_path / "run")
    same_sound(generator, model, TINY["mel_bins"])


def test_files_of_pytorch_before_1_6(tmp_path):
    model = model_of(**TINY)
    path = save(tmp_path, model.state_dict(), _use_new_zipfile_serialization=False)
    assert not zipfile.is_zipfile(path)
    same_sound(imported(path, tmp_path / "run")[0], model, TINY["mel_bins"])


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_become_single(kind, tmp_path):
    model = model_of(**TINY)
    stored = {name: value.to(kind) for name, value in model.state_dict().items()}
    model.load_state_dict({name: value.float() for name, value in stored.items()})
    same_sound(imported(save(tmp_path, stored), tmp_path / "run")[0], model, TINY["mel_bins"])


def test_filters_of_zeros_stay_zero_where_weight_norm_was_removed(tmp_path):
    model = model_of(**TINY)
    for layer in torch_melgan.layers_of(model):
        torch.nn.utils.remove_weight_norm(layer)
    with torch.no_grad():
        model.model[1].weight[2] = 0
        model.model[3].weight[1] = 1e-25
    same_sound(imported(save(tmp_path, model.state_dict()), tmp_path / "run")[0], model, TINY["mel_bins"])


def test_a_training_run_takes_the_arrays_for_its_own(tmp_path):
    imported(tiny(tmp_path), tmp_path / "run")
    state, _, _ = CheckpointStore(tmp_path / "run/checkpoints").newest()
    trained = VocoderGAN(RunDirectory(tmp_path / "run").config())
    restore(state, generator=trained.generator.variables)
    same_sound(trained.generator, model_of(**TINY), TINY["mel_bins"])


# -- the command ------------------------------------------------------------------------------------------------------

def test_as_a_program_it_says_what_it_made_and_what_it_assumed(tmp_path):
    """PyTorch and TensorFlow get along in one process, and neither has anything to say."""
    path, run = save(tmp_path, model_of(channels=1).state_dict()), tmp_path / "far" / "run"
    ended = program("import-torch", path, "--out", run)
    assert (ended.code, ended.stderr) == (0, "")
    sizes, mels = ended.stdout.splitlines()
    for part in ("80 mel bands", "8 x 8 x 2 x 2 = 256 samples", "1 channels", "3 residual layers", str(run)):
        assert part in sizes
    for part in ("does not tell its mels", "published", "22050 Hz", "n_fft 1024", "log10"):
        assert part in mels
    assert set(contents(run)) == {"config.json", "checkpoints/step-00000000.npz"}
    assert sorted(os.listdir(run.parent)) == ["run"]
    record = RunDirectory(run).record()
    assert record["data"]["imported_from"] == str(path)
    assert len(record["data"]["sha256"]) == 64
    facts = json.loads(invoke("info", run, "--json").stdout)
    assert (facts["kind"], facts["checkpoints"]) == ("run", [0])


def test_mels_that_are_not_the_published_ones_are_a_warning(tmp_path):
    ended = invoke("import-torch", tiny(tmp_path), "--out", tmp_path / "run", "--quiet")
    assert (ended.code, ended.stdout) == (0, "")
    assert ended.stderr.startswith("warning: the file does not tell its mels")
    assert "n_fft 32" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_an_empty_folder_may_become_the_run_by_whatever_name(tmp_path, monkeypatch):
    path = tiny(tmp_path)
    (tmp_path / "run").mkdir()
    (tmp_path / "link").symlink_to("run")
    assert invoke("import-torch", path, "--out", tmp_path / "link").code == 0
    assert (tmp_path / "link").is_symlink()
    assert RunDirectory(tmp_path / "run").exists()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert invoke("import-torch", path, "--out", ".").code == 0
    assert RunDirectory(tmp_path / "here").exists()


def test_what_is_there_is_never_replaced(tmp_path):
    path = tiny(tmp_path)
    assert invoke("import-torch", path, "--out", tmp_path / "run").code == 0
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "diary.txt").write_text("dear diary")
    (tmp_path / "dangling").symlink_to("nothing")
    check = unchanged(tmp_path)
    for name in ("run", "folder", "dangling"):
        invoke("import-torch", path, "--out", tmp_path / name).one_line(name, "give another", code=2)
    invoke("import-torch", path, "--out", tmp_path / "folder/diary.txt").one_line("diary.txt", "is a file", code=2)
    invoke("import-torch", path, "--out", tmp_path / "folder/diary.txt/run").one_line("not a directory", code=2)
    check()
    with pytest.raises(UsageError, match="is not replaced"):
        import_run(read_generator(path), tmp_path / "run")


def test_a_run_that_appears_meanwhile_is_not_replaced(tmp_path):
    generator = read_generator(tiny(tmp_path))

    def build(self):
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "config.json").write_text("{}")
        return build_network(self.config(), training=True)

    with (mock.patch.object(torch_import.TorchGenerator, "build", build),
          pytest.raises(MelGANError, match="cannot write run directory .*not empty")):
        import_run(generator, tmp_path / "run")
    assert contents(tmp_path / "run") == {"config.json": b"{}"}
    assert sorted(os.listdir(tmp_path)) == ["netG.pt", "run"]


@pytest.mark.parametrize("broken", ["checkpoints.CheckpointStore.save", "run_directory.RunDirectory.write"])
@pytest.mark.parametrize("error", [MelGANError("cannot write it: no space"), OSError(28, "no space"),
                                   KeyboardInterrupt()], ids=repr)
def test_a_failure_leaves_nothing_behind(broken, error, tmp_path):
    path = tiny(tmp_path)
    check = unchanged(tmp_path)
    with mock.patch(f"melgan_tf.{broken}", side_effect=error):
        ended = invoke("import-torch", path, "--out", tmp_path / "far/away/run")
    if isinstance(error, KeyboardInterrupt):
        assert (ended.code, ended.stdout, ended.stderr.strip()) == (130, "", "melgan-tf: interrupted")
    else:
        ended.one_line("cannot write", "no space", code=1)
    check()


@pytest.mark.parametrize("absent", [True, False])
def test_without_a_safe_pytorch_it_says_how_to_get_one(absent, tmp_path, monkeypatch):
    path = tiny(tmp_path)
    if absent:
        monkeypatch.setitem(sys.modules, "torch", None)
        assert importlib.util.find_spec("torch") is None
    else:
        monkeypatch.setattr(torch, "__version__", "2.5.1+cpu")
    check = unchanged(tmp_path)
    ended = invoke("import-torch", path, "--out", tmp_path / "run")
    ended.one_line("needs PyTorch" if absent else "PyTorch 2.5.1+cpu", "pip install 'melgan-tf[torch]'", code=2)
    check()


def test_nothing_heavy_is_loaded_for_a_file_that_does_not_fit(tmp_path):
    path = tiny(tmp_path, without("model.3.bias"))
    script = ("import sys; from melgan_tf.cli.main import main\n"
              "try: main(['import-torch', sys.argv[1], '--out', sys.argv[2]])\n"
              "except SystemExit as ended: print(ended.code, 'tensorflow' in sys.modules)")
    done = subprocess.run([sys.executable, "-c", script, path, tmp_path / "run"], capture_output=True, text=True,
                          check=True)
    assert done.stdout == "1 False\n"
    assert done.stderr.count("\n") == 1
    assert "model.3.bias is missing" in done.stderr


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


def renamed(old, new):
    return lambda stored: {name.replace(old, new): value for name, value in stored.items()}


def plain(change):
    """The same without weight norm."""
    def removed(stored):
        kernels = {name.removesuffix("_v"): value for name, value in stored.items() if name.endswith("weight_v")}
        return change(kernels | {name: value for name, value in stored.items() if name.endswith("bias")})
    return removed


NAN, ONE = float("nan"), torch.ones(1)


@pytest.mark.parametrize(("change", "part"), [
    # truncated
    (without("model.1."), "model.1.weight_v is missing"),
    (without("model.3."), "model.3.weight_v is missing"),
    (without("model.4."), "model.4.block.2.weight_v is missing"),
    (without("model.5."), "model.5.block.2.weight_v is missing"),
    (without("model.4.shortcut"), "model.4.shortcut.weight_v is missing"),
    (without("model.8.block.4"), "model.8.block.4.weight_v is missing"),
    (without("model.9."), "model.9.block.2.weight_v is missing"),
    (without("model.12."), "model.12.weight_v is missing"),
    (without("model.9.", "model.12."), "model.9.block.2.weight_v is missing"),
    (without(*(f"model.{index}." for index in range(3, 13))), "model.3.weight_v is missing"),
    (without("model.7."), "model.7.weight_v is missing"),
    (without("model.7.bias"), "model.7.bias is missing"),
    (without("model.7.weight_g"), "model.7.weight_g is missing"),
    (without("model.7.weight_v"), "model.7.weight_v is missing"),
    (plain(without("model.7.weight")), "model.7.weight is missing"),
    (plain(without("model.9.shortcut.bias")), "model.9.shortcut.bias is missing"),
    # misshapen
    (with_("model.1.weight_v", torch.ones(24, 5, 6)), "model.1.weight_v has shape (24, 5, 6)"),
    (with_("model.1.weight_v", torch.ones(24, 5)), "model.1.weight_v has shape (24, 5)"),
    (with_("model.1.weight_v", torch.ones(13, 5, 7)), "model.1.weight_v has shape (13, 5, 7)"),
    (with_("model.1.weight_v", torch.ones(0, 5, 7)), "model.1.weight_v has shape (0, 5, 7)"),
    (with_("model.1.weight_g", torch.ones(12)), "model.1.weight_g has shape (12,), not (12, 1, 1)"),
    (with_("model.1.bias", torch.ones(())), "model.1.bias has shape (), not (12,)"),
    (with_("model.3.weight_v", torch.ones(12, 6, 7)), "model.3.weight_v has shape (12, 6, 7)"),
    (with_("model.3.weight_v", torch.ones(12, 6, 2)), "model.3.weight_v has shape (12, 6, 2)"),
    (with_("model.3.weight_v", torch.ones(6, 12, 8)), "model.3.weight_v has shape (6, 12, 8), not (12, 6, 8)"),
    (with_("model.3.weight_g", torch.ones(6, 1, 1)), "model.3.weight_g has shape (6, 1, 1), not (12, 1, 1)"),
    (with_("model.3.bias", torch.ones(12)), "model.3.bias has shape (12,), not (6,)"),
    (with_("model.8.block.2.weight_v", torch.ones(3, 3, 5)), "model.8.block.2.weight_v has shape (3, 3, 5)"),
    (with_("model.12.weight_v", torch.ones(2, 3, 7)), "model.12.weight_v has shape (2, 3, 7), not (1, 3, 7)"),
    # one too many
    (with_("model.6.weight_v", ONE), "model.6.weight_v is one too many"),
    (with_("model.4.block.3.weight_v", ONE), "model.4.block.3.weight_v is unknown"),
    (with_("model.10.block.2.weight_v", ONE), "model.10.block.2.weight_v is one too many"),
    (with_("model.1.weight", torch.ones(12, 5, 7)), "model.1.weight_g is one too many"),
    (with_("model.1.parametrizations.weight.original0", ONE), ".original0 is one too many"),
    (lambda stored: stored | renamed("model.5.", "model.6.")(stored), "model.6.block.2.bias is one too many"),
    (with_("model.30.bias", ONE), "model.30.bias is one too many"),
    (with_("model.1.running_mean", ONE), "model.1.running_mean is unknown"),
    (with_("model.0.weight", ONE), "model.0.weight is one too many"),
    # foreign
    (renamed("model.", "generator."), "generator.1.bias is unknown"),
    (renamed("model.1.", "module.model.1."), "model.3.bias is unknown"),
    (lambda stored: {"model_g": stored}, "model_g is no tensor"),
    (lambda stored: {"step": 3, **stored}, "step is no tensor"),
    (lambda stored: {3: ONE}, "generator: 3 is no tensor"),
    (lambda stored: {"a\nb\x1b[31m" + "c" * 9_999: ONE}, r"'a\nb\x1b[31mccc"),
    (lambda stored: {"": ONE}, "'' is unknown"),
    (lambda stored: {"model.1": ONE}, "model.1 is unknown"),
    (lambda stored: {"model.99999.weight": ONE}, "model.99999.weight is unknown"),
    (lambda stored: {"model.9999.weight": ONE}, "model.1.weight is missing"),
    # no numbers
    (with_("model.3.bias", torch.ones(6, dtype=torch.int64)), "model.3.bias holds int64"),
    (with_("model.3.bias", torch.ones(6, dtype=torch.bool)), "model.3.bias holds bool"),
    (with_("model.3.bias", torch.ones(6, dtype=torch.complex64)), "model.3.bias holds complex64"),
    (with_("model.3.bias", torch.ones(6).to_sparse()), "model.3.bias holds float32, not plain"),
    (with_("model.3.bias", torch.ones(6, device="meta")), "model.3.bias holds float32, not plain"),
    (with_("model.3.bias", lambda value: value * NAN), "model.3.bias holds values that are not finite"),
    (with_("model.3.bias", torch.full((6,), 1e300, dtype=torch.float64)), "model.3.bias holds values that are not fin"),
    (with_("model.7.weight_v", lambda value: value * 1e30), "model.7.weight_v holds values that are too large"),
    (with_("model.7.weight_v", lambda value: value * 0), "model.7.weight_v has a filter of zeros"),
    (with_("model.1.bias", torch.ones(1).expand(10**12)), "model.1.bias has shape (1000000000000,) and fewer"),
])
def test_a_file_that_does_not_fit_is_refused_with_its_first_tensor(change, part, tmp_path):
    refused(tiny(tmp_path, change), part)


def test_names_are_told_as_the_file_spells_them(tmp_path):
    stored = parametrized(model_of(**TINY))
    stored.pop("model.7.parametrizations.weight.original0")
    refused(save(tmp_path, {f"module.{name}": value for name, value in stored.items()}),
            "module.model.7.parametrizations.weight.original0 is missing")


@pytest.mark.parametrize(("arguments", "part"), [
    ({"ratios": (66,)}, "model.ratios is [66]"), ({"residual_layers": 0}, "model.residual_layers is 0"),
    ({"ratios": (2,) * 9}, "model.ratios is [2, 2"), ({"residual_layers": 7}, "model.residual_layers is 7"),
])
def test_sizes_that_no_run_can_have(arguments, part, tmp_path):
    refused(save(tmp_path, torch_melgan.Generator(**TINY | {"channels": 1} | arguments).state_dict()), part)


@pytest.mark.parametrize("stored", [{}, [], [ONE], ONE, None, "weights", collections.OrderedDict()], ids=repr)
def test_a_file_without_named_tensors_is_refused(stored, tmp_path):
    refused(save(tmp_path, stored), "holds no named tensors")


class Trap:
    """Makes a file when it is loaded as pickles usually are."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("hidden", [lambda trap: trap, lambda trap: {"model.1.bias": trap},
                                    lambda trap: {"model.1.bias": ONE, "more": [trap]}])
def test_code_in_a_file_is_not_run(hidden, zipped, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")  # of no effect
    sprung = tmp_path / "sprung"
    path = save(tmp_path, hidden(Trap(sprung)), _use_new_zipfile_serialization=zipped)
    refused(path, "holds more than weights", "state dict")
    assert not sprung.exists()
    torch.load(path, weights_only=False)  # it is a trap indeed
    assert sprung.exists()


def test_a_whole_module_is_refused_by_name(tmp_path):
    refused(save(tmp_path, model_of(**TINY)), "holds more than weights (torch_melgan.Generator)")


def test_files_that_are_not_there_or_no_files(tmp_path):
    refused(tmp_path / "none.pt", "does not exist", code=2)
    (tmp_path / "folder.pt").mkdir()
    refused(tmp_path / "folder.pt", "is no file", code=2)
    os.mkfifo(tmp_path / "pipe.pt")
    refused(tmp_path / "pipe.pt", "is no file", code=2)


@pytest.mark.parametrize("data", [b"", b"PK", b"PK\x03\x04", b"\x80", b"\x80\x02.", b"x" * 10_000, b"\x00" * 10_000,
                                  np.random.default_rng(0).bytes(10_000), b"RIFF1234WAVEfmt "], ids=range(9))
def test_what_is_no_pytorch_file_is_refused(data, tmp_path):
    (tmp_path / "netG.pt").write_bytes(data)
    refused(tmp_path / "netG.pt", "is damaged, or no PyTorch checkpoint")


def test_a_foreign_archive_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "netG.pt", "w") as archive:
        archive.writestr("a/readme.txt", "dear diary")
    refused(tmp_path / "netG.pt", "is damaged, or no PyTorch checkpoint")


@pytest.mark.parametrize("zipped", [True, False])
def test_a_truncated_file_is_refused_with_the_first_tensor_cut_off(zipped, tmp_path):
    """Wherever it was cut; and none is named that lies before."""
    path = tiny(tmp_path, _use_new_zipfile_serialization=zipped)
    whole, names, named = path.read_bytes(), list(model_of(**TINY).state_dict()), []
    assert first_damaged(path) is None
    for length in range(50, len(whole), len(whole) // 60):
        path.write_bytes(whole[:length])
        with pytest.raises(MelGANError, match="is damaged") as refusal:
            read_generator(path)
        assert "\n" not in str(refusal.value)
        named.append(first_damaged(path))
        assert named[-1] is None or f"{named[-1]} is cut off" in str(refusal.value)
    found = [names.index(name) for name in named if name]
    assert len(found) > 30
    if zipped:  # one after the other, as in the state dict; at last only the directory is cut
        assert found == sorted(found)
        assert len(set(found)) > 8
    path.write_bytes(whole[:len(whole) // 2])
    refused(path, "model.", "is cut off")


def test_a_flipped_bit_is_found_by_its_checksum(tmp_path):
    path = tiny(tmp_path)
    values = model_of(**TINY).state_dict()["model.5.shortcut.weight_v"].numpy().tobytes()
    whole = path.read_bytes()
    assert whole.count(values) == 1
    data = bytearray(whole)
    data[whole.index(values) + 2] ^= 1
    path.write_bytes(data)
    assert len(torch.load(path, weights_only=True)) == 48  # PyTorch does not mind
    refused(path, "model.5.shortcut.weight_v has a wrong checksum")


def test_every_flipped_byte_ends_in_one_line_or_in_another_sound(tmp_path):
    """The pickle's bytes are the worst: none of them gets out as anything but a `MelGANError`."""
    stream = io.BytesIO()
    torch.save(model_of(mel_bins=1, ratios=(2,), channels=1, residual_layers=1).state_dict(), stream)
    whole, path = stream.getvalue(), tmp_path / "netG.pt"
    rng = np.random.default_rng(0)
    for position in [*rng.integers(0, 2_500, 120), *rng.integers(0, len(whole), 60)]:
        data = bytearray(whole)
        data[position] ^= int(rng.integers(1, 256))
        path.write_bytes(data)
        with contextlib.suppress(MelGANError):
            read_generator(path)
