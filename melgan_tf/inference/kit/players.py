"""The files of a kit for samplers: SFZ, Decent Sampler, Hydrogen, and lists of pads and notes for all others.

Equal samples give equal bytes. No TensorFlow.

Reference: https://sfzformat.com (only opcodes of SFZ 1 are used); https://decentsampler-developers-guide.readthedocs.io;
http://www.hydrogen-music.org, `data/xsd/drumkit.xsd` of version 1.2, which later versions read as well.
"""

from __future__ import annotations

import csv
import gzip
import io
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree as Xml

from melgan_tf.dsp.pitch import note_name
from melgan_tf.inference.kit.plan import Pad
from melgan_tf.storage.atomic import write_text

#: The folder of the samples, beside the files that name them.
SAMPLES = "samples"
#: The folder with one file for each pad, its hardest hit: to drag into a sampler.
PADS = "pads"
#: Layers of an instrument that Hydrogen 1.2 loads.
MAX_LAYERS = 16

_CHOKE_SECONDS = 0.02  # until a hat that another one silences is quiet
_ZIP_DATE = (1980, 1, 1, 0, 0, 0)  # the earliest
_HYDROGEN = "http://www.hydrogen-music.org/drumkit"
_HYDROGEN_RELEASE = 1000  # samples


@dataclass(frozen=True)
class Sample:
    """A WAV of a pad.

    Attributes:
        file: its name in the folder `SAMPLES`.
        low, high: MIDI velocities at which it sounds.
        turn: its place among those of the same velocities, from 1: round robin.
    """

    file: str
    low: int
    high: int
    turn: int


class Instrument(NamedTuple):
    """A pad with its samples, the softest first; those of a velocity are in turn."""

    pad: Pad
    samples: tuple[Sample, ...]

    @property
    def loudest(self) -> str:
        """The file of the hardest hit."""
        return next(sample.file for sample in self.samples if sample.high == 127)


@dataclass(frozen=True)
class Kit:
    """A kit.

    Attributes:
        name: in ASCII; that of its files.
        about: one line on where it is from.
        license: name of the license; "" if unknown.
        turns: samples of each velocity.
        instruments: one for each pad.
    """

    name: str
    about: str
    license: str
    turns: int
    instruments: tuple[Instrument, ...]


def write_formats(kit: Kit, folder: Path) -> None:
    """Writes all files into the folder of a kit, which has its samples."""
    write_text(folder / f"{kit.name}.sfz", sfz(kit))
    (folder / f"{kit.name}.dspreset").write_bytes(dspreset(kit))
    write_dslibrary(kit, folder, folder / f"{kit.name}.dslibrary")
    write_h2drumkit(kit, folder, folder / f"{kit.name}.h2drumkit")
    write_text(folder / "mapping.csv", mapping_csv(kit))
    write_text(folder / "mapping.txt", mapping_txt(kit))


def sfz(kit: Kit) -> str:
    """The kit as SFZ, which most software samplers read."""
    lines = [f"// {kit.name}: {kit.about}", "", f"<global> loop_mode=one_shot ampeg_release={_CHOKE_SECONDS}"]
    for pad, samples in kit.instruments:
        choke = f" group={pad.choke} off_by={pad.choke} off_mode=normal" if pad.choke else ""
        turns = f" seq_length={kit.turns}" if kit.turns > 1 else ""
        lines += [f"\n// {pad.place} {pad.name}", f"<group> key={pad.note}{turns}{choke}"]
        lines += [f"<region> lovel={sample.low} hivel={sample.high}"
                  + (f" seq_position={sample.turn}" if kit.turns > 1 else "") + f" sample={SAMPLES}/{sample.file}"
                  for sample in samples]
    return "\n".join([*lines, ""])


def dspreset(kit: Kit) -> bytes:
    """The kit as a preset of Decent Sampler, a free plug-in."""
    root = Xml.Element("DecentSampler", minVersion="1.0.0", presetName=kit.name)
    root.append(Xml.Comment(f" {kit.about} "))
    groups = Xml.SubElement(root, "groups", ampVelTrack="1", ampEnvEnabled="false", pitchKeyTrack="0",
                            seqMode="round_robin" if kit.turns > 1 else "always")
    for pad, samples in kit.instruments:
        choke = {} if pad.choke is None else {"tags": f"choke{pad.choke}", "silencedByTags": f"choke{pad.choke}",
                                              "silencingMode": "fast", "silencingDecay": str(_CHOKE_SECONDS)}
        group, note = Xml.SubElement(groups, "group", name=pad.name, **choke), str(pad.note)
        for sample in samples:
            turn = {"seqLength": str(kit.turns), "seqPosition": str(sample.turn)} if kit.turns > 1 else {}
            Xml.SubElement(group, "sample", path=f"{SAMPLES}/{sample.file}", rootNote=note, loNote=note, hiNote=note,
                           loVel=str(sample.low), hiVel=str(sample.high), **turn)
    return _xml_bytes(root)


def write_dslibrary(kit: Kit, folder: Path, path: Path) -> None:
    """Writes preset and samples of Decent Sampler as one ``.dslibrary``."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(f"{kit.name}.dspreset", _ZIP_DATE), dspreset(kit))
        for name in (f"{SAMPLES}/{sample.file}" for instrument in kit.instruments for sample in instrument.samples):
            archive.writestr(zipfile.ZipInfo(name, _ZIP_DATE), (folder / name).read_bytes())


def write_h2drumkit(kit: Kit, folder: Path, path: Path) -> None:
    """Writes the kit as a drumkit of the drum machine Hydrogen: an archive of drumkit.xml and the samples."""
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
    root = Xml.Element("drumkit_info", xmlns=_HYDROGEN)
    _texts(root, name=kit.name, author="melgan-tf", info=kit.about, license=kit.license, image="", imageLicense="")
    _texts(Xml.SubElement(Xml.SubElement(root, "componentList"), "drumkitComponent"), id=0, name="Main", volume=1)
    instruments = Xml.SubElement(root, "instrumentList")
    for number, instrument in enumerate(kit.instruments):
        _instrument(Xml.SubElement(instruments, "instrument"), number, instrument)
    return _xml_bytes(root)


def _instrument(node: Xml.Element, number: int, instrument: Instrument) -> None:
    pad = instrument.pad
    _texts(node, id=number, name=pad.name, volume=1, isMuted="false", isSoloed="false", pan=0, pitchOffset=0,
           randomPitchFactor=0, gain=1, applyVelocity="true", filterActive="false", filterCutoff=1, filterResonance=0,
           Attack=0, Decay=0, Sustain=1, Release=_HYDROGEN_RELEASE, muteGroup=-1 if pad.choke is None else pad.choke,
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


def _xml_bytes(root: Xml.Element) -> bytes:
    """An XML file. Hydrogen takes one that does not begin with this very line for one of its version 0.9."""
    Xml.indent(root, " ")
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + Xml.tostring(root, "utf-8") + b"\n"


def mapping_csv(kit: Kit) -> str:
    """A table with a line for each sample."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["pad", "name", "midi_note", "note", "choke_group", "low_velocity", "high_velocity", "round_robin",
                    "file"])
    for pad, samples in kit.instruments:
        for sample in samples:
            table.writerow([pad.place, pad.name, pad.note, note_name(pad.note), pad.choke or "", sample.low,
                            sample.high, sample.turn, f"{SAMPLES}/{sample.file}"])
    return text.getvalue()


def mapping_txt(kit: Kit) -> str:
    """The pads as plain text, to read while one assigns them by hand."""
    rows = [(instrument.pad, f"{PADS}/{instrument.pad.stem}.wav") for instrument in kit.instruments]
    names, files = (max(map(len, column)) for column in ([pad.name for pad, _ in rows], [file for _, file in rows]))
    lines = [f"{pad.place}  {pad.name:{names}}  {pad.note:3} {note_name(pad.note):4} {file:{files}}"
             f"{f'  choke group {pad.choke}' if pad.choke else ''}".rstrip() for pad, file in rows]
    return "\n".join([
        f"{kit.name}: {kit.about}", "",
        "Pads of an MPC or another controller, bank by bank, with MIDI note (General MIDI; C4 is note 60) and hardest",
        "hit. Play every pad as one shot. Pads of one choke group (mute group) silence each other.", "", *lines, "",
        f"{SAMPLES}/ has all hits: v1 is the softest velocity; rr1, rr2, ... take turns. mapping.csv lists them.", ""])
