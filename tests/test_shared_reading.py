"""Sounds that several workers read together: every file once, and all of them everywhere. The workers are threads."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from drums import write_drums

from melgan_tf.audio import read as audio
from melgan_tf.data import exchange
from melgan_tf.data import reading as sounds
from melgan_tf.data.clips import ClipSettings
from melgan_tf.data.prepare import prepare
from melgan_tf.data.reading import Reading
from melgan_tf.errors import MelGANError, UsageError

RATE, SAMPLES = 16_000, 8_000


class Table:
    """Where so many workers meet."""

    def __init__(self, count):
        self.contents, self.barrier = [b""] * count, threading.Barrier(count, timeout=30)


class Worker:
    def __init__(self, table, index):
        self.table, self.index, self.count = table, index, len(table.contents)
        self.heard = []

    def given_by(self, giver, content):
        self.heard.append(len(self._all(content)[giver]))
        return self.table.contents[giver]

    def require_same(self, facts):
        if len(set(self._all(repr(facts).encode()))) > 1:
            raise UsageError("other sounds")

    def _all(self, content):
        self.table.barrier.wait()
        self.table.contents[self.index] = content
        self.table.barrier.wait()
        return list(self.table.contents)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(sounds, "_PART_FILES", 4)


@pytest.fixture
def drums(tmp_path):
    """22 sounds, of which one is damaged and one silent."""
    folder = write_drums(tmp_path / "drums", each=7)
    (folder / "hat" / "hat3.wav").write_bytes(b"RIFF no sound")
    audio.save_wav(folder / "hat" / "silence.wav", np.zeros(1000, np.float32), RATE)
    return folder


def read(source, samples, share=None):
    reading = Reading(source, RATE, samples, share=share)
    clips = list(reading.clips())
    return clips, [(s.name, s.label) for s in reading.kept], [(s.name, s.reason) for s in reading.skipped], \
        reading.fingerprint


def together(count, call):
    """What each of so many workers returns, or raises."""
    table = Table(count)

    def one(index):
        try:
            return call(Worker(table, index), index)
        except MelGANError as error:
            return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


@pytest.mark.parametrize("count", [1, 2, 3, 8])  # six parts: of eight workers two have nothing to read
@pytest.mark.parametrize("samples", [SAMPLES, None])
def test_all_hold_what_one_holds(drums, count, samples):
    clips, *facts = read(drums, samples)
    assert len(clips) == 20
    for found, *told in together(count, lambda worker, _: read(drums, samples, worker)):
        assert told == facts
        assert len(found) == len(clips)
        for ours, theirs in zip(found, clips, strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_every_file_is_read_once(drums, monkeypatch):
    load, loaded = audio.load, []
    monkeypatch.setattr(audio, "load", lambda path, *rest: loaded.append(path) or load(path, *rest))
    together(3, lambda worker, _: read(drums, SAMPLES, worker))
    assert len(loaded) == len(set(loaded)) == 22


@pytest.mark.parametrize("count", [2, 5])
def test_prepared_sounds_are_divided_by_shard(drums, tmp_path, monkeypatch, count):
    prepare(drums, tmp_path / "shards", ClipSettings(RATE, SAMPLES), workers=1, shard_files=6)
    alone, opened = read(tmp_path / "shards", SAMPLES), []
    examples = sounds.Prepared.clips
    monkeypatch.setattr(sounds.Prepared, "clips", lambda self: opened.append(
        [shard["file"] for shard in self.index["shards"]]) or examples(self))
    for found in together(count, lambda worker, _: read(tmp_path / "shards", SAMPLES, worker)):
        assert found[1:] == alone[1:]
    assert sorted(opened) == [[f"shard-{number:05d}.tfrecord"] for number in range(4)]


def test_messages_are_of_bounded_size(drums, monkeypatch):
    monkeypatch.setattr(exchange, "_MESSAGE_SAMPLES", 2 * SAMPLES)
    clips, *facts = read(drums, SAMPLES)
    heard = []

    def one(worker, _):
        found, *told = read(drums, SAMPLES, worker)
        heard.append(worker.heard)
        return len(found), told

    assert together(3, one) == [(20, facts)] * 3
    assert heard[0] == heard[1] == heard[2]
    assert len(heard[0]) > 3 * 6  # more than one message of sounds a part
    assert max(heard[0]) < 3 * SAMPLES * 4


def test_sounds_are_read_ahead_and_not_too_far(drums, monkeypatch):
    """While another has its turn; but a few messages only."""
    monkeypatch.setattr(exchange, "_MESSAGE_SAMPLES", 1)
    load, loaded = audio.load, []
    monkeypatch.setattr(audio, "load", lambda path, *rest: loaded.append(path) or load(path, *rest))
    parts = sounds.open_sounds(drums, RATE, SAMPLES).parts()
    messages = exchange._ahead(parts)
    next(messages)
    time.sleep(1.0)
    assert 4 <= len(loaded) <= 12
    messages.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "read ahead"]


def test_what_goes_wrong_ahead_is_raised_by_who_reads(drums, monkeypatch):
    monkeypatch.setattr(audio, "load", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        read(drums, SAMPLES, Worker(Table(1), 0))


def test_other_sounds_are_told_before_anything_is_read(drums, tmp_path, monkeypatch):
    monkeypatch.setattr(audio, "load", None)
    other = write_drums(tmp_path / "other", each=7)
    for outcome in together(2, lambda worker, index: read(other if index else drums, SAMPLES, worker)):
        assert isinstance(outcome, UsageError)


def test_a_damaged_shard_is_told_by_all(drums, tmp_path):
    prepare(drums, tmp_path / "shards", ClipSettings(RATE, SAMPLES), workers=1, shard_files=6)
    with open(tmp_path / "shards" / "shard-00002.tfrecord", "r+b") as file:
        file.seek(40_000)
        file.write(b"damage")
    outcomes = together(2, lambda worker, _: read(tmp_path / "shards", SAMPLES, worker))
    assert {str(outcome) for outcome in outcomes} == {str(outcomes[0])}
    assert isinstance(outcomes[0], MelGANError)
    assert "shard-00002.tfrecord is damaged" in str(outcomes[0])


def test_a_folder_of_nothing_usable_is_told_by_all(tmp_path):
    (tmp_path / "drums").mkdir()
    audio.save_wav(tmp_path / "drums" / "silence.wav", np.zeros(1000, np.float32), RATE)
    for outcome in together(2, lambda worker, _: read(tmp_path / "drums", SAMPLES, worker)):
        assert "none of the 1 sound files" in str(outcome)
