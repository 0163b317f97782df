"""The client against a server that runs the exported drums as TF Serving does, or against TF Serving: see model_server.

And the tutorial "Train, serve, call", typed as it stands.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import saved_model_runner
import soundfile
from command_line import PROGRAM, contents, invoke
from model_server import serving
from saved_model_runner import ConcurrentRunner

import melgan_tf as mt
from melgan_tf.errors import MelGANError
from melgan_tf.inference.client.grpc_transport import GrpcTransport
from melgan_tf.inference.client.rest import RestTransport
from melgan_tf.inference.client.served_sampler import Server
from melgan_tf.progress import Progress

ROOT = Path(__file__).parent.parent
TUTORIAL = (ROOT / "docs/tutorials/serve.md").read_text(encoding="utf-8")
#: A minute of training instead of half an hour.
SHORTER = {"train": " --steps 20"}
pytestmark = pytest.mark.nightly


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return saved_model_runner.build(tmp_path_factory.mktemp("program"))


@pytest.fixture(scope="module")
def server(program, tmp_path_factory):
    model = tmp_path_factory.mktemp("exported") / "drums"
    mt.export("pretrained:drums", model)
    with serving(lambda: ConcurrentRunner(program, model / "1"), model / "1") as found:
        yield found


@pytest.fixture(scope="module")
def drums():
    return mt.load_sound_model("pretrained:drums")


@pytest.mark.parametrize("way", ["rest", "grpc"])
def test_the_files_are_those_of_generate(server, drums, tmp_path, way):
    """Within some steps of 16 bits: the same operations in another order."""
    address = getattr(server, way)
    given = ("--url", address) if way == "rest" else ("--grpc", address.removeprefix("grpc://"))
    ended = invoke("request", *given, "--model", "drums", "--count", 40, "--seed", 7, "--out", tmp_path / "made")
    assert (ended.code, ended.stderr) == (0, "")
    drums.write(tmp_path / "wanted", 40, 7)
    made, wanted = contents(tmp_path / "made"), contents(tmp_path / "wanted")
    assert made.keys() == wanted.keys()
    assert made["LICENSES.txt"] == wanted["LICENSES.txt"]
    records = [json.loads(files["sounds.json"]) for files in (made, wanted)]
    assert records[0].pop("server")["model"] == "drums"
    for sounds in zip(*(record.pop("sounds") for record in records), strict=True):
        peaks = [sound.pop("peak") for sound in sounds]
        assert peaks[0] == pytest.approx(peaks[1], abs=2e-4)
        assert sounds[0] == sounds[1]
        samples = [soundfile.read(tmp_path / name / sounds[0]["file"], dtype="int16")[0].astype(int)
                   for name in ("made", "wanted")]
        assert np.abs(samples[0] - samples[1]).max() <= 8
    assert records[0] == records[1]


def test_many_clients_get_what_one_gets(server):
    alone = mt.connect(server.grpc, "drums").generate(32, seed=1)["audio"]

    def one(index):
        return mt.connect((server.rest, server.grpc)[index % 2], "drums").generate(1, seed=1, start=index)["audio"][0]

    with ThreadPoolExecutor(16) as pool:
        for index, audio in enumerate(pool.map(one, range(32))):
            np.testing.assert_array_equal(audio, alone[index])


@pytest.mark.parametrize("way", ["rest", "grpc"])
def test_a_refusal_is_one_line(server, way):
    address = getattr(server, way)
    call = Server((RestTransport if way == "rest" else GrpcTransport)(address, "drums"), 30, Progress()).call
    for label, part in ((b"gong", "label must be one of clap, .*gong"), (b"kick", "index must be 0 or more")):
        request = {"seed": np.array([1]), "index": np.array([-1 if label == b"kick" else 0]),
                   "label": np.array([label], object)}
        with pytest.raises(MelGANError, match=f"^{address} refuses: {part}[^\\[\\n]*$"):
            call("draw", ["noise", "label"], request)
    with pytest.raises(MelGANError, match="refuses: .*Servable not found|refuses: .*not find"):
        mt.connect(address, "cymbals")


def test_train_serve_call(program, tmp_path):
    """Every command of the tutorial, on the ports of a server that starts where Docker would."""
    shutil.copytree(ROOT / "demo/drums", tmp_path / "my-sounds")
    (tmp_path / "melgan-tf").write_text(f"#!{sys.executable}\n{PROGRAM}\n")
    (tmp_path / "melgan-tf").chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}

    def run(line, served=None):
        if served:
            line = line.replace("http://localhost:8501", served.rest).replace("localhost:8501", served.rest)
            line = line.replace("localhost:8500", served.grpc.removeprefix("grpc://"))
        ended = subprocess.run(["sh", "-ec", line], cwd=tmp_path, env=environment, capture_output=True, text=True,
                               check=False)
        assert ended.returncode == 0, f"{line}\n{ended.stdout}\n{ended.stderr}"
        assert "Traceback" not in ended.stderr, line

    text, _, after = TUTORIAL.partition("(cd models/drums && docker compose up --detach)")
    before = re.findall("^melgan-tf .*", text, re.MULTILINE)
    assert [line.split()[1] for line in before] == ["train", "export"]
    for line in before:
        command = line.partition(" #")[0]
        run(command + SHORTER.get(line.split()[1], ""))
    with serving(lambda: ConcurrentRunner(program, tmp_path / "models/drums/1"), tmp_path / "models/drums/1") as served:
        called = re.findall(r"^melgan-tf (?:request|info|vary).*", after, re.MULTILINE)
        assert len(called) == 5
        for line in called:
            run(line, served)
        curl = re.search(r"^curl (?:.*\\\n)*.*", after, re.MULTILINE)[0]
        run(curl if shutil.which("curl") else "true", served)
        exec(compile(re.search("```python\n(import melgan_tf.*?)```", after, re.DOTALL)[1].replace(
            "grpc://localhost:8500", served.grpc), "serve.md", "exec"), found := {})
    assert found["audio"].shape == (8, 8_000)
    assert len(list((tmp_path / "kicks").glob("kick-*.wav"))) == 8
    assert len(list((tmp_path / "new").glob("*.wav"))) == 32
    if shutil.which("curl"):
        samples, rate = soundfile.read(tmp_path / "kick.wav")
        assert (samples.shape, rate) == ((8_000,), 16_000)
