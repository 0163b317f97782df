"""Records that anybody may have written are read, or refused in one line: nothing else ever happens."""

from __future__ import annotations

import json

import pytest
from command_line import invoke
from hostile_json import changed, texts

from melgan_tf import weights
from melgan_tf.config import Config, from_dict, presets, to_dict
from melgan_tf.config.strict_json import parse_value
from melgan_tf.data.journal import Journal
from melgan_tf.data.labels import Classes
from melgan_tf.data.shard_writer import Counts
from melgan_tf.data.shards import KIND, VERSION, Prepared, index_digest
from melgan_tf.errors import ConfigError, MelGANError
from melgan_tf.storage.run_directory import RunDirectory
from melgan_tf.training.cluster import worker_from_environment

RUN = {"config": to_dict(presets.get("drums")), "audio_fingerprint": "x", "data": {"sounds": 3, "classes": {"a": 2}},
       "resolved": {"xla": True, "steps_per_epoch": 3}, "versions": {"python": "3.11.9"}}
SHARDS = [{"file": f"shard-0000{number}.tfrecord", "clips": 2, "bytes": 8, "sha256": f"{number}" * 64}
          for number in range(2)]
INDEX = {"kind": KIND, "version": VERSION, "shard_files": 2, "sample_rate": 16_000, "clip_samples": 8_000,
         "format": "int16", "clips": 4, "labels": {"kick": 4}, "shards": SHARDS}
RECEIPT = {"made_of": "x", "bytes": 8, "sha256": "0" * 64, "skipped": [["a.wav", "silent"]],
           "partly_kept": [["b.wav", 1, 0]], "counts": {
               "files": 2, "kept": 1, "clips": 2, "silent": 0, "duplicates": 0, "held": 0, "labels": {"kick": 2},
               "reasons": {"silent": 1}}}
CLUSTER = {"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker", "index": 0}}


def read_run(folder):
    run = RunDirectory(folder)
    config, counts = run.config(), run.record()["data"].get("classes")
    return config.mel_shape, config.audio.fingerprint(), Classes(counts).shares if counts else None


def read_index(folder):
    prepared = Prepared.open(folder)
    prepared.require(16_000, 8_000)
    return len(prepared)


def read_receipt(folder):
    journal = Journal(folder.parent)
    journal.write_report(1, Counts(), {})
    return list(journal.skipped(1)), Counts.from_dict(journal.receipt(0)["counts"])


def read_card(folder):
    return weights.card_config(weights.read_card("drums", folder))


def only_one_line(call, name, *arguments):
    """Whether a call refuses, in one line of sane length."""
    try:
        call(*arguments)
    except MelGANError as error:
        message = str(error)
        assert len(message.splitlines()) == 1, (name, message)
        assert len(message) < 1_000, (name, message)
        return True
    return False


READERS = {"config.json": (RUN, read_run), "index.json": (INDEX, read_index),
           ".prepare/00000.json": (RECEIPT, read_receipt),
           "drums.json": ({"name": "drums", "step": 3, "classes": {"kick": 2}, "config": {"preset": "x"}}, read_card)}


@pytest.mark.parametrize("file", READERS)
def test_records_of_strangers_are_refused_in_one_line(file, tmp_path):
    good, read = READERS[file]
    file = tmp_path / file
    file.parent.mkdir(exist_ok=True)
    for shard in SHARDS:
        (tmp_path / shard["file"]).write_bytes(b"8 bytes.")
    file.write_bytes(b"\xef\xbb\xbf" + json.dumps(good).encode())
    read(file.parent)  # with a byte-order mark as some editors write it
    for name, content in texts(good):
        file.write_bytes(content)
        assert only_one_line(read, name, file.parent), name
    for name, record in changed(good):
        file.write_text(json.dumps(record))
        only_one_line(read, name, file.parent)


def test_tf_config_of_strangers_is_refused_in_one_line(monkeypatch):
    hosts = [{**CLUSTER, "cluster": {"worker": [host, "b:2"]}} for host in (":1", "a:٣", f"a:{'9' * 5_000}", "a\x01:4")]
    for name, content in [*texts(CLUSTER), *((f"{host}", json.dumps(host).encode()) for host in hosts)]:
        if b"\0" not in content and len(content) < 100_000:
            monkeypatch.setenv("TF_CONFIG", content.decode(errors="surrogateescape"))
            assert only_one_line(worker_from_environment, name) or name in ("empty", "Latin-1"), name
    for name, record in changed(CLUSTER):
        monkeypatch.setenv("TF_CONFIG", json.dumps(record))
        only_one_line(worker_from_environment, name)


def test_an_index_vouches_for_itself(tmp_path):
    for shard in SHARDS:
        (tmp_path / shard["file"]).write_bytes(b"8 bytes.")
    whole = {**INDEX, "sha256": index_digest(INDEX)}
    (tmp_path / "index.json").write_text(json.dumps(whole, indent=1))
    read_index(tmp_path)
    (tmp_path / "index.json").write_text(json.dumps({**whole, "seed": 1}))
    with pytest.raises(MelGANError, match="its digest is wrong; run the `melgan-tf prepare`"):
        read_index(tmp_path)


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "..\\x", "./shard-00001.tfrecord", "shard-00000.tfrecord",
                                  "shard-00002.tfrecord", "", "sub/shard-00001.tfrecord"])
def test_an_index_names_each_shard_of_its_folder_once(name, tmp_path):
    for shard in SHARDS:
        (tmp_path / shard["file"]).write_bytes(b"8 bytes.")
    (tmp_path / "index.json").write_text(json.dumps({**INDEX, "shards": [SHARDS[0], {**SHARDS[1], "file": name}]}))
    with pytest.raises(MelGANError, match=r"index\.json is damaged: shard 1 is .* not shard-00001\.tfrecord"):
        read_index(tmp_path)


def test_a_shard_is_not_there_twice_and_does_not_lead_elsewhere(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / SHARDS[0]["file"]).write_bytes(b"8 bytes.")
    (tmp_path / "other").write_bytes(b"8 bytes.")
    (folder / SHARDS[1]["file"]).symlink_to(tmp_path / "other")
    (folder / "index.json").write_text(json.dumps(INDEX))
    with pytest.raises(MelGANError, match="leads out of the folder"):
        read_index(folder)
    twice = [SHARDS[0], {**SHARDS[1], "sha256": SHARDS[0]["sha256"]}]
    (folder / "index.json").write_text(json.dumps({**INDEX, "shards": twice}))
    with pytest.raises(MelGANError, match="it has a shard twice"):
        read_index(folder)


@pytest.mark.parametrize("content", [
    b"", b"epoch\n1\n", b"epoch,seconds\n0,\0\n", b"epoch,seconds\n\xff,1\n", b"epoch,seconds\n1,nan\n",
    b"epoch,seconds\n1,inf\n", b"epoch,seconds\n-1,1\n", b"epoch,seconds\n" + b"9" * 5_000 + b",1\n",
    b'epoch,seconds\n"' + b"x" * 200_000 + b'",1\n'])
def test_a_damaged_history_costs_only_its_rows(content, tmp_path):
    (tmp_path / "history.csv").write_bytes(content)
    run = RunDirectory(tmp_path)
    assert (run.history(), run.hours()) == ([], 0.0)


@pytest.mark.parametrize("changes", [
    {"data": {"clip_samples": 100_000_000}}, {"data": {"clip_samples": 4_000_000}, "audio": {"hop_samples": 2}},
    {"audio": {"n_fft": 65_536, "mel_bins": 32_768}, "data": {"clip_samples": 131_072}},
    {"training": {"batch_size": 10**9}}, {"training": {"beta_1": 10**400}}])
def test_a_configuration_does_not_ask_for_all_memory(changes):
    values = to_dict(presets.get("seed"))
    for part, fields in changes.items():
        values[part] |= fields
    with pytest.raises(ConfigError, match="give"):
        from_dict(Config, values)


@pytest.mark.parametrize("text", [f"training.x={'[' * 900}{']' * 900}", f"{'a.' * 900}b=1", 'preset="a\\u0000b"'])
def test_assignments_of_strangers_are_refused_in_one_line(text, tmp_path):
    ended = invoke("train", tmp_path, "--run-dir", tmp_path / "run", "--set", text)
    assert ended.code
    assert ended.stderr.count("\n") == 1
    assert len(ended.stderr) < 1_000


def test_plain_values_are_read_as_they_are():
    assert parse_value(b'{"a": [1, 2.5, true, null, "\\u00e4\\udc80"]}') == {"a": [1, 2.5, True, None, "ä\udc80"]}
