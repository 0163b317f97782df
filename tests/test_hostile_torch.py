"""PyTorch checkpoints of strangers: what they would allocate, call or unfold shows before PyTorch sees them."""

from __future__ import annotations

import io
import pickle
import zipfile

import pytest

from melgan_tf.models.melgan.torch_checkpoint import check_before_loading

STORAGE = b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpu"
DEEP = b"\x80\x02]q\0q\0" + b"".join(b"h%ch%c\x86q%c" % (i, i, i + 1) for i in range(100)) + b"."


def zipped(content, compression=zipfile.ZIP_STORED, **more):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, data in {"net/data.pkl": content, **more}.items():
            archive.writestr(name, data)
    return file.getvalue()


def storage(length, before=b""):
    return b"\x80\x02" + before + STORAGE + length + b"tQ."


def little(number):
    return b"J" + number.to_bytes(4, "little")


HOSTILE = {
    "a large array": zipped(b"\x80\x02cbuiltins\nbytearray\nJ\xff\xff\xff\x7f\x85R."),
    "a tensor's constructor": zipped(b"\x80\x02ctorch\nTensor\nJ\xff\xff\xff\x7f\x85R."),
    "a call": zipped(b"cos\nsystem\n(X\x04\0\0\0truetR."),
    "names on the stack": zipped(pickle.dumps(print, 4)),
    "a large storage": zipped(storage(little(400_000_000))),
    "a large storage, negative": zipped(storage(b"\x8a\x05\0\0\0\0\xff")),
    "a remembered length": zipped(storage(b"h\x05" + b"K\x01" + b"0", b"J\xff\xff\xff\x17q\x050")),
    "large in all": zipped(b"\x80\x02(" + b"".join(storage(little(1_000))[2:-1] for _ in range(500)) + b"t."),
    "tuples of tuples": zipped(DEEP),
    "packed records": zipped(storage(little(1)), zipfile.ZIP_DEFLATED, **{"net/data/0": bytes(1_000_000)}),
    "no pickle": zipped(b"\xff" * 40), "cut": zipped(b"\x80\x02N.")[:-1], "nothing": b"",
    "an old file of a large storage": pickle.dumps(1, 2) * 3 + storage(little(400_000_000)) + pickle.dumps([], 2),
    "an old file of a call": b"cos\nsystem\n(X\x04\0\0\0truetR."}


@pytest.mark.parametrize("name", HOSTILE)
def test_files_of_strangers_are_refused_before_they_are_loaded(name):
    problem = check_before_loading(HOSTILE[name])
    assert problem
    assert len(problem) < 200


def test_plain_files_pass():
    small = storage(little(10))
    assert check_before_loading(zipped(small, **{"net/data/0": bytes(40)})) is None
    assert check_before_loading(pickle.dumps(1, 2) * 3 + small + pickle.dumps(["0"], 2) + bytes(48)) is None
