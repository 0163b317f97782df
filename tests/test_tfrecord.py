"""TFRecord files and Examples: TensorFlow reads what is written here, and the other way round."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from melgan_tf.data import tfrecord
from melgan_tf.errors import MelGANError

FEATURES = {"audio": np.arange(300, dtype="<i2").tobytes(), "label": "große Trommel".encode(), "empty": b"",
            "start": 1 << 40, "zero": 0, "below": -5}


def test_tensorflow_reads_the_examples():
    message = tf.train.Example.FromString(tfrecord.example(FEATURES))
    read = {key: (value.bytes_list.value or value.int64_list.value)[0]
            for key, value in message.features.feature.items()}
    assert read == FEATURES
    parsed = tf.io.parse_single_example(tfrecord.example(FEATURES), {
        "label": tf.io.FixedLenFeature((), tf.string), "start": tf.io.FixedLenFeature((), tf.int64)})
    assert parsed["label"].numpy() == FEATURES["label"]
    assert parsed["start"].numpy() == 1 << 40


def test_examples_of_tensorflow_are_read():
    message = tf.train.Example(features=tf.train.Features(feature={
        key: tf.train.Feature(int64_list=tf.train.Int64List(value=[value])) if isinstance(value, int) else
        tf.train.Feature(bytes_list=tf.train.BytesList(value=[value])) for key, value in FEATURES.items()}))
    assert tfrecord.parse_example(message.SerializeToString()) == FEATURES


def test_equal_features_give_equal_bytes_in_any_order():
    assert tfrecord.example(FEATURES) == tfrecord.example(dict(reversed(FEATURES.items())))


def test_records_are_tensorflows(tmp_path):
    messages = [b"", b"x", bytes(range(256)) * 100]
    path = tmp_path / "x.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for message in messages:
            writer.write(message)
    assert b"".join(map(tfrecord.frame, messages)) == path.read_bytes()
    assert list(tfrecord.read_records(path)) == messages
    assert list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator()) == messages


@pytest.mark.parametrize("at", range(0, 120, 7))
def test_every_flipped_bit_and_every_cut_is_noticed(tmp_path, at):
    content = b"".join(map(tfrecord.frame, (b"a" * 50, b"b" * 40)))
    path = tmp_path / "x.tfrecord"
    path.write_bytes(content[:at] + bytes((content[at] ^ 4,)) + content[at + 1:])
    with pytest.raises(MelGANError, match=r"x\.tfrecord is (damaged|truncated)"):
        list(tfrecord.read_records(path))
    path.write_bytes(content[:at])
    if at not in (0, 66):
        with pytest.raises(MelGANError, match=r"x\.tfrecord is truncated: prepare it again"):
            list(tfrecord.read_records(path))


def test_other_messages_are_refused():
    rng = np.random.default_rng(0)
    message = tfrecord.example(FEATURES)
    for _ in range(300):
        damaged = bytearray(message[:rng.integers(1, len(message))] if rng.random() < 0.5 else message)
        damaged[rng.integers(len(damaged))] ^= 1 << rng.integers(8)
        try:
            tfrecord.parse_example(bytes(damaged))
        except (ValueError, KeyError, TypeError):
            continue
    with pytest.raises(ValueError, match="not an Example"):
        tfrecord.parse_example(b"\x08\x01")
