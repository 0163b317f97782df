"""The kit as a drumkit of the drum machine Hydrogen: an archive of drumkit.xml and the samples.

Reference: http://www.hydrogen-music.org, `data/xsd/drumkit.xsd` of version 1.2; later versions read it as well.
"""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path
from xml.etree import ElementTree as Xml

from melgan_tf.inference.kit.instruments import SAMPLES, Instrument, Kit, Sample, xml_bytes

#: Layers of an instrument that Hydrogen 1.2 loads.
MAX_LAYERS = 16

_NAMESPACE = "http://www.hydrogen-music.org/drumkit"
_RELEASE_SAMPLES = 1000


def write_h2drumkit(kit: Kit, folder: Path, path: Path) -> None:
    """Writes the archive. Equal samples give equal bytes.

    Args:
        kit: the kit.
        folder: of the kit; contains its samples.
        path: the ``.h2drumkit``.
    """
    used = [sample.file for instrument in kit.instruments for sample in _layers(instrument)]
    with open(path, "wb") as file, gzip.GzipFile("", "wb", mtime=0, fileobj=file) as packed, \
            tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        _add(archive, f"{kit.name}/drumkit.xml", drumkit_xml(kit))
        for name in used:
            _add(archive, f"{kit.name}/{name}", (folder / SAMPLES / name).read_bytes())


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), 0o644
    archive.addfile(entry, io.BytesIO(content))


def drumkit_xml(kit: Kit) -> bytes:
    """The content of drumkit.xml."""
    root = Xml.Element("drumkit_info", xmlns=_NAMESPACE)
    _texts(root, name=kit.name, author="melgan-tf", info=kit.about, license=kit.license, image="", imageLicense="")
    _texts(Xml.SubElement(Xml.SubElement(root, "componentList"), "drumkitComponent"), id=0, name="Main", volume=1)
    instruments = Xml.SubElement(root, "instrumentList")
    for number, instrument in enumerate(kit.instruments):
        _instrument(Xml.SubElement(instruments, "instrument"), number, instrument)
    return xml_bytes(root)


def _instrument(node: Xml.Element, number: int, instrument: Instrument) -> None:
    pad = instrument.pad
    _texts(node, id=number, name=pad.name, volume=1, isMuted="false", isSoloed="false", pan=0, pitchOffset=0,
           randomPitchFactor=0, gain=1, applyVelocity="true", filterActive="false", filterCutoff=1, filterResonance=0,
           Attack=0, Decay=0, Sustain=1, Release=_RELEASE_SAMPLES, muteGroup=-1 if pad.choke is None else pad.choke,
           midiOutChannel=-1, midiOutNote=pad.note, isStopNote="false", sampleSelectionAlgo="ROUND_ROBIN", isHihat=-1,
           lower_cc=0, higher_cc=127, FX1Level=0, FX2Level=0, FX3Level=0, FX4Level=0)
    component = Xml.SubElement(node, "instrumentComponent")
    _texts(component, component_id=0, gain=1)
    for sample in _layers(instrument):  # a velocity in MIDI is n / 127 here; bounds lie between two of them
        low = 0.0 if sample.low == 1 else (sample.low - 0.5) / 127
        high = 1.0 if sample.high == 127 else (sample.high + 0.5) / 127
        _texts(Xml.SubElement(component, "layer"), filename=sample.file, min=f"{low:.6f}", max=f"{high:.6f}", gain=1,
               pitch=0)


def _layers(instrument: Instrument) -> list[Sample]:
    """The samples that fit into an instrument: all velocities, and as many turns as possible."""
    velocities = len({sample.low for sample in instrument.samples})
    return [sample for sample in instrument.samples if sample.turn * velocities <= MAX_LAYERS]


def _texts(node: Xml.Element, **values: object) -> None:
    for name, value in values.items():
        Xml.SubElement(node, name).text = str(value)
