"""Arrays that anybody may have written, and checkpoints with a flipped bit: whole, refused, or an older one."""

from __future__ import annotations

import io
import json
import struct
import zipfile

import numpy as np
import pytest

from melgan_tf.errors import MelGANError
from melgan_tf.storage.arrays import map_npy, read_npz
from melgan_tf.storage.checkpoints import CheckpointStore, inspect, load

HEADER = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }"
SHAPES = {"generator/kernel": (3, 4), "generator/bias": (2,)}


def npy(header=HEADER, data=b"\0" * 48, version=(1, 0)):
    text = header.encode()
    length = struct.pack("<H" if version == (1, 0) else "<I", len(text))
    return b"\x93NUMPY" + bytes(version) + length + text + data


def stored(values):
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


HEADERS = {
    **{f"type {kind}": HEADER.replace("<f4", kind) for kind in (
        "|O", "<U12", "<U999999999", "<V4", "<M8[s]", "<c8", "", "x", "<f4,<f4", "(3,)<f4", "i" * 1_000)},
    **{f"shape {shape[:20]}": HEADER.replace("(3, 4)", shape) for shape in (
        "()", "(3, -4)", "(-3, -4)", "(3.0, 4)", "(True, 12)", "(10**12,)", f"({10**12},)", f"({'9' * 5_000},)",
        f"({2**62}, 4)", f"({'1,' * 40}12)", "[3, 4]", "3", "None", "'x'", "(3L, 5L)", "(" * 100 + ")" * 100)},
    "records": HEADER.replace("'<f4'", "[('a', '<f4'), ('b', 'O')]"), "order": HEADER.replace("False", "1"),
    "no shape": "{'descr': '<f4', 'fortran_order': False}", "more": HEADER.replace("}", "'x': 1}"), "empty": "",
    "deep": "[" * 5_000 + "]" * 5_000, "brackets": "(" * 200, "minus": "-" * 5_000 + "1", "token": "{'a': '''",
    "code": "__import__('os').getcwd()", "indented": "if 1:\n  x\n y", "long": HEADER + " " * 60_000}
FILES = {**{name: npy(header) for name, header in HEADERS.items()},
         **{f"{name}, version 2": npy(header, version=(2, 0)) for name, header in HEADERS.items()},
         **{f"version {version}": npy(version=version) for version in ((0, 0), (3, 0), (255, 255))},
         "nothing": b"", "cut": npy()[:-1], "more than one": npy() * 2, "pickle": b"\x80\x04K\x01.",
         "objects": stored(np.array([{}], object)),
         "header of 2 GB": b"\x93NUMPY\x02\0\xff\xff\xff\x7f" + HEADER.encode()}


def archive(members, compression=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as opened:
        for name, content in members.items():
            opened.writestr(name, content)
    return file.getvalue()


def checkpoint(meta='{"step": 3}', kernel=None, **more):
    return archive({"meta.npy": stored(np.array(meta)), "generator/bias.npy": stored(np.zeros(2, "f4")),
                    "generator/kernel.npy": npy() if kernel is None else kernel}, **more)


@pytest.mark.parametrize("name", FILES)
def test_headers_of_strangers_are_refused_in_one_line(name, tmp_path):
    (tmp_path / "mel.npy").write_bytes(FILES[name])
    with pytest.raises(ValueError, match=".") as error:
        map_npy(tmp_path / "mel.npy")
    assert len(str(error.value).splitlines()) == 1
    file = tmp_path / "step-00000003.npz"
    file.write_bytes(checkpoint(kernel=FILES[name]))
    for read in (load, inspect, lambda path: load(path, SHAPES)):
        with pytest.raises(MelGANError, match=r"^checkpoint step-00000003\.npz ") as error:
            read(file)
        assert len(str(error.value).splitlines()) == 1


def test_other_layouts_of_numbers_are_read(tmp_path):
    values = np.arange(12).reshape(3, 4)
    for index, array in enumerate([values.astype(">f4"), np.asfortranarray(values.astype("f8")), values.astype("i2")]):
        np.save(tmp_path / f"{index}.npy", array)
        np.savez(tmp_path / f"{index}.npz", array)
        np.testing.assert_array_equal(map_npy(tmp_path / f"{index}.npy"), values)
        found = read_npz(tmp_path / f"{index}.npz")["arr_0"]
        np.testing.assert_array_equal(found, values)
        assert found.dtype.isnative


@pytest.mark.parametrize("meta", ["3", "[]", "{}", '{"step": 1.5}', '{"step": "x"}', "[" * 10_000, "",
                                  f'{{"step": {"9" * 30}}}', '{"step": 3, "variables": "x"}', '{"step": 3, "step": 4}'])
def test_records_of_strangers_are_refused(meta, tmp_path):
    (tmp_path / "x.npz").write_bytes(checkpoint(meta))
    with pytest.raises(MelGANError, match=r"x\.npz is (damaged|not a checkpoint)"):
        load(tmp_path / "x.npz")


def test_an_archive_far_larger_than_its_file_is_refused_before_it_is_read(tmp_path):
    length = 100_000_000
    (tmp_path / "x.npz").write_bytes(checkpoint(
        kernel=npy(HEADER.replace("<f4", "|i1").replace("(3, 4)", f"({length},)"), bytes(length)),
        compression=zipfile.ZIP_DEFLATED))
    with pytest.raises(MelGANError, match="bytes of arrays are out of proportion to the file"):
        load(tmp_path / "x.npz")


def state(value):
    return {f"{part}/layer_{index}/kernel": np.full((2, 3), value, "f4")
            for part in ("generator", "discriminator") for index in range(3)}


@pytest.mark.parametrize("with_digest", [True, False])
def test_a_flipped_bit_of_the_directory_hides_nothing(with_digest, tmp_path):
    store = CheckpointStore(tmp_path)
    for step in (1, 2):
        store.save(state(step), step, {})
    if not with_digest:  # as versions before wrote them: shapes are known from the model
        np.savez(store.file(2), meta=np.array(json.dumps({"step": 2})), **state(2))
    shapes = None if with_digest else {name: value.shape for name, value in state(0).items()}
    whole = store.file(2).read_bytes()
    older = 0
    for bit in range(8 * whole.index(b"PK\x01\x02"), 8 * len(whole), 11):
        content = bytearray(whole)
        content[bit // 8] ^= 1 << bit % 8
        store.file(2).write_bytes(content)
        values, meta, damaged = store.newest(shapes)
        assert len(damaged) == 2 - meta["step"]
        assert values.keys() == state(0).keys()
        assert {float(value.min()) for value in values.values()} == {float(meta["step"])}, bit
        older += meta["step"] == 1
    assert older > 100
    store.file(1).unlink()
    store.file(2).write_bytes(whole[:-1])
    with pytest.raises(MelGANError, match="no checkpoint in .* can be read; the newest: checkpoint step-00000002"):
        store.newest(shapes)


def test_only_what_is_needed_is_read(tmp_path):
    store = CheckpointStore(tmp_path)
    path = store.save(state(1), 1, {"epoch": 4})
    values, meta = load(path, {"generator/layer_1/kernel": (2, 3)})
    assert (list(values), meta) == (["generator/layer_1/kernel"], {"epoch": 4, "step": 1})
    with pytest.raises(MelGANError, match=r"does not fit the model: generator/layer_1/kernel has shape \(2, 3\)"):
        load(path, {"generator/layer_1/kernel": (3, 3)})
    with pytest.raises(MelGANError, match="does not fit the model: generator/x is missing"):
        load(path, {"generator/x": (3, 3)})
