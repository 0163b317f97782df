"""The kit as a preset of Decent Sampler, a free plug-in, and as a library of one file.

Reference: https://decentsampler-developers-guide.readthedocs.io
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from xml.etree import ElementTree as Xml

from melgan_tf.inference.kit.instruments import SAMPLES, Instrument, Kit, xml_bytes

_ZIP_DATE = (1980, 1, 1, 0, 0, 0)  # the earliest: equal samples give equal bytes
_CHOKE_SECONDS = "0.02"


def dspreset(kit: Kit) -> bytes:
    """The content of the ``.dspreset``, which lies beside the folder of samples."""
    root = Xml.Element("DecentSampler", minVersion="1.0.0", presetName=kit.name)
    root.append(Xml.Comment(f" {kit.about} "))
    groups = Xml.SubElement(root, "groups", ampVelTrack="1", ampEnvEnabled="false", pitchKeyTrack="0",
                            seqMode="round_robin" if kit.turns > 1 else "always")
    for instrument in kit.instruments:
        _group(groups, kit, instrument)
    return xml_bytes(root)


def _group(groups: Xml.Element, kit: Kit, instrument: Instrument) -> None:
    pad = instrument.pad
    choke = {} if pad.choke is None else {"tags": f"choke{pad.choke}", "silencedByTags": f"choke{pad.choke}",
                                          "silencingMode": "fast", "silencingDecay": _CHOKE_SECONDS}
    group = Xml.SubElement(groups, "group", name=pad.name, **choke)
    note = str(pad.note)
    for sample in instrument.samples:
        turn = {"seqLength": str(kit.turns), "seqPosition": str(sample.turn)} if kit.turns > 1 else {}
        Xml.SubElement(group, "sample", path=f"{SAMPLES}/{sample.file}", rootNote=note, loNote=note, hiNote=note,
                       loVel=str(sample.low), hiVel=str(sample.high), **turn)


def write_dslibrary(kit: Kit, folder: Path, path: Path) -> None:
    """Writes the preset and its samples as one ``.dslibrary``. Equal samples give equal bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(f"{kit.name}.dspreset", _ZIP_DATE), dspreset(kit))
        for instrument in kit.instruments:
            for sample in instrument.samples:
                name = f"{SAMPLES}/{sample.file}"
                archive.writestr(zipfile.ZipInfo(name, _ZIP_DATE), (folder / name).read_bytes())
