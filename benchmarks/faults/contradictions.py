"""What a sound file says about itself, by its format's specification, independently of melgan-tf's readers.

`contradiction` says whether a file's own lengths, counts, headers and checksums agree. Damage that they contradict must
be refused (or do no harm); damage that they agree with cannot be known, for want of a checksum.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

_MP3_RATES = (44_100, 48_000, 32_000)
_MP3_KILOBITS = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_MP3_KILOBITS_LOW = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)


def contradiction(data: bytes) -> str:
    """What in a file contradicts something else in it; "" if nothing does."""
    data = _without_id3(data)
    try:
        if data[:4] in (b"RIFF", b"RIFX", b"RF64"):
            return _wav(data)
        if data[:4] == b"FORM":
            return _aiff(data)
        if data[:4] == b"caff":
            return _caf(data)
        if data[:4] in (b"fLaC", b"OggS"):
            return "checksums"  # of every frame and page: no other samples can agree with them
        if data[4:8] in (b"ftyp", b"moov", b"styp", b"mdat"):
            return _mp4(data)
        if data[:4] == b"riff":
            return ""
        if data[:1] == b"\xff" and len(data) > 7:
            return _adts(data) if data[1] & 0xF6 == 0xF0 else _mp3(data)
    except (struct.error, IndexError, ZeroDivisionError):
        return "a header that is cut"
    return "no known format"


def _without_id3(data: bytes) -> bytes:
    while data[:3] == b"ID3" and len(data) > 10:
        size = 10 + sum((byte & 0x7F) << shift for byte, shift in zip(data[6:10], (21, 14, 7, 0), strict=True))
        data = data[size + (10 if data[5] & 0x10 else 0):]
    return data


def _chunks(data: bytes, position: int, layout: str, end: int, odd: bool = True) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and length of each chunk; a length that passes the end of the file is yielded as it is."""
    width = 4 + struct.calcsize(layout)
    while position + width <= end:
        name, length = data[position:position + 4], struct.unpack_from(layout, data, position + 4)[0]
        yield name, position + width, length
        position += width + length + (length & 1 if odd else 0)


def _walk(data: bytes, position: int, layout: str, end: int, odd: bool = True) -> tuple[dict[bytes, tuple], str]:
    found: dict[bytes, tuple] = {}
    for name, start, length in _chunks(data, position, layout, end, odd):
        if not all(32 <= byte < 127 for byte in name):
            return found, f"a chunk named {name!r}"
        if length < 0 or start + length > end + 1:
            return found | {name: (start, length)}, f"chunk {name!r} is longer than the file"
        if name in (b"fmt ", b"data", b"SSND", b"COMM", b"desc") and name in found:
            return found, f"two chunks {name!r}"
        found[name] = (start, length)
    return found, ""


def _wav(data: bytes) -> str:
    order = ">" if data[:4] == b"RIFX" else "<"
    outer, = struct.unpack_from(order + "I", data, 4)
    if data[8:12] != b"WAVE":
        return "not WAVE"
    if data[:4] == b"RF64":
        if data[12:16] != b"ds64":
            return "no ds64"
        outer, inner = struct.unpack_from("<QQ", data, 20)
        at = data.find(b"data", 36)
        data = data[:at + 4] + struct.pack("<I", min(inner, 2**32 - 1)) + data[at + 8:]
    elif data[36:40] == b"data" and struct.unpack_from(order + "I", data, 40)[0] >= 0x7FFF0000:
        # written by a program that cannot seek back
        data = data[:len(data) - (len(data) - 44) % max(1, struct.unpack_from("<H", data, 32)[0])]
        outer = len(data) - 8
        data = data[:40] + struct.pack(order + "I", len(data) - 44) + data[44:]
    outer = min(outer, len(data) - 8) if outer >= 0x7FFF0000 else outer
    if outer + 8 > len(data) + 1:
        return "RIFF is longer than the file"
    chunks, wrong = _walk(data, 12, order + "I", min(len(data), outer + 8))
    if wrong or b"fmt " not in chunks or b"data" not in chunks:
        return wrong or "no fmt or data"
    code, channels, rate, second, block, bits = struct.unpack_from(order + "HHIIHH", data, chunks[b"fmt "][0])
    length = chunks[b"data"][1]
    if code in (1, 3, 6, 7, 0xFFFE):
        if block != channels * ((bits + 7) // 8) or second != rate * block or not block or length % block:
            return "fmt contradicts itself"
        if code == 1 and bits not in (8, 16, 24, 32) or code == 3 and bits not in (32, 64):
            return "bits that the code does not have"
    frames = struct.unpack_from(order + "I", data, chunks[b"fact"][0])[0] if b"fact" in chunks else 0
    if code in (3, 6, 7) and frames and frames * block != length:
        return "fact contradicts data"
    if code == 0x55:
        return _mp3(data[chunks[b"data"][0]:chunks[b"data"][0] + length])
    return ""


def _aiff(data: bytes) -> str:
    outer, = struct.unpack_from(">I", data, 4)
    if outer + 8 > len(data) + 1:
        return "FORM is longer than the file"
    chunks, wrong = _walk(data, 12, ">I", min(len(data), outer + 8))
    if wrong or b"COMM" not in chunks or b"SSND" not in chunks:
        return wrong or "no COMM or SSND"
    channels, frames, bits = struct.unpack_from(">hIh", data, chunks[b"COMM"][0])
    kind = data[chunks[b"COMM"][0] + 18:chunks[b"COMM"][0] + 22] if data[8:12] == b"AIFC" else b"NONE"
    width = {b"fl32": 4, b"FL32": 4, b"fl64": 8, b"FL64": 8, b"alaw": 1, b"ALAW": 1, b"ulaw": 1, b"ULAW": 1}.get(
        kind, (bits + 7) // 8)
    if frames * channels * width != chunks[b"SSND"][1] - 8 - struct.unpack_from(">I", data, chunks[b"SSND"][0])[0]:
        return "COMM contradicts SSND"
    return ""


def _caf(data: bytes) -> str:
    chunks, wrong = _walk(data, 8, ">q", len(data), odd=False)
    if wrong or b"desc" not in chunks or b"data" not in chunks:
        return wrong or "no desc or data"
    _, kind, _, size, per, channels, bits = struct.unpack_from(">d4sIIIII", data, chunks[b"desc"][0])
    if kind in (b"lpcm", b"alaw", b"ulaw"):
        if not size or size != channels * bits // 8 or (chunks[b"data"][1] - 4) % size or per != 1:
            return "desc contradicts itself"
        return ""
    if b"pakt" not in chunks:
        return "no pakt"
    start, length = chunks[b"pakt"]
    packets, = struct.unpack_from(">q", data, start)
    total, count, value = 0, 0, 0
    for byte in data[start + 24:start + length]:
        value = value << 7 | byte & 0x7F
        if not byte & 0x80:
            total, count, value = total + value, count + 1, 0
            if count == packets:
                break
    return "" if (count, total) == (packets, chunks[b"data"][1] - 4) else "pakt contradicts data"


def _mp3(data: bytes) -> str:
    position, frames, declared = 0, 0, None
    while position < len(data) and data[position:position + 3] not in (b"TAG", b"APE"):
        head = data[position:position + 4]
        if len(head) < 4 or head[0] != 0xFF or head[1] < 0xE0:
            return f"no frame at {position}"
        version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
        if layer != 1 or version == 1 or head[2] >> 4 in (0, 15) or head[2] >> 2 & 3 == 3:
            return f"no frame at {position}"
        rate = _MP3_RATES[head[2] >> 2 & 3] >> {3: 0, 2: 1, 0: 2}[version]
        kilobits = (_MP3_KILOBITS if version == 3 else _MP3_KILOBITS_LOW)[head[2] >> 4]
        length = (144_000 if version == 3 else 72_000) * kilobits // rate + (head[2] >> 1 & 1)
        if not frames:
            first = (version, rate)
            for tag in (b"Xing", b"Info"):
                at = data.find(tag, position, position + length)
                if at > 0 and data[at + 7] & 1:
                    declared, = struct.unpack_from(">I", data, at + 8)
        elif (version, rate) != first:
            return f"another rate at {position}"
        frames, position = frames + 1, position + length
    if position > len(data):
        return "its last frame is cut"
    return "" if declared in (None, frames - 1) else f"{frames - 1} frames, {declared} declared"


def _adts(data: bytes) -> str:
    position, first = 0, None
    while position < len(data):
        head = data[position:position + 7]
        if len(head) < 7 or head[0] != 0xFF or head[1] & 0xF6 != 0xF0:
            return f"no frame at {position}"
        fixed, length = (head[1], head[2], head[3] & 0xC0), (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
        if length < 7 or fixed != (first or fixed):
            return f"another frame at {position}"
        first, position = fixed, position + length
    return "" if position == len(data) else "its last frame is cut"


_CONTAINERS = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"moof", b"traf", b"edts", b"udta")


def _mp4(data: bytes) -> str:
    boxes: dict[bytes, list[tuple[int, int]]] = {}
    wrong = _boxes(data, 0, len(data), boxes)
    if wrong:
        return wrong
    missing = [name for name in (b"moov", b"mdat", b"mdhd", b"stsd", b"stts") if name not in boxes]
    if missing:
        return f"no {missing[0]!r}"
    spans = [(start, start + length) for start, length in boxes[b"mdat"]]
    if b"trun" in boxes:
        return ""
    start = boxes[b"stsz"][0][0]
    fixed, count = struct.unpack_from(">II", data, start + 4)
    total = fixed * count if fixed else sum(struct.unpack_from(f">{count}I", data, start + 12))
    chunks, = struct.unpack_from(">I", data, boxes[b"stco"][0][0] + 4)
    offsets = struct.unpack_from(f">{chunks}I", data, boxes[b"stco"][0][0] + 8)
    if total > sum(end - begin for begin, end in spans) or not all(any(begin <= offset < end for begin, end in spans)
                                                                 for offset in offsets):
        return "its index points out of mdat"
    start = boxes[b"stts"][0][0]
    entries, = struct.unpack_from(">I", data, start + 4)
    pairs = struct.unpack_from(f">{2 * entries}I", data, start + 8)
    if sum(pairs[::2]) != count:
        return "stts contradicts stsz"
    duration, = struct.unpack_from(">I", data, boxes[b"mdhd"][0][0] + 16)
    length = sum(n * each for n, each in zip(pairs[::2], pairs[1::2], strict=True))
    return "" if length == duration else "mdhd contradicts stts"


def _boxes(data: bytes, position: int, end: int, boxes: dict[bytes, list[tuple[int, int]]]) -> str:
    while position < end:
        length, name = struct.unpack_from(">I4s", data, position)
        if length < 8 or position + length > end:
            return f"box {name!r} is longer than what contains it"
        boxes.setdefault(name, []).append((position + 8, length - 8))
        if name in _CONTAINERS:
            wrong = _boxes(data, position + 8, position + length, boxes)
            if wrong:
                return wrong
        position += length
    return ""
