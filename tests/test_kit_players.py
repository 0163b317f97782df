"""Kits in real players, and the files that they read: SFZ in sfizz, drumkits in Hydrogen, presets of Decent Sampler."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path
from xml.etree import ElementTree as Xml

import numpy as np
import pytest
import soundfile
from kits import LAYERS, TURNS, likeness, made_once

from melgan_tf.inference.kit.plan import Pad
from melgan_tf.inference.kit.players import Instrument, Kit, Sample, drumkit_xml

RATE, BLOCK = 16_000, 64
HYDROGEN = "{http://www.hydrogen-music.org/drumkit}"
SCHEMA = Path("/usr/share/hydrogen/data/xsd/drumkit.xsd")
VELOCITIES = [(127, 3), (100, 3), (64, 2), (1, 1)]  # and the layer that sounds


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    return made_once(tmp_path_factory)


def hits_of(kit, pad, layer):
    return [kit.wav(sample) for sample in pad["samples"] if f"_v{layer}_" in sample["file"]]


# SFZ


class Sfizz:
    """The sampler sfizz, which has loaded a file."""

    def __init__(self, path):
        pysfizz = pytest.importorskip("pysfizz", reason="pysfizz is not installed")
        self.synth = pysfizz.Synth(sample_rate=RATE, block_size=BLOCK)
        assert self.synth.load_sfz_file(path)
        self.keys = self.synth.playable_keys

    def play(self, *notes, seconds=0.8):
        """Samples ``(samples,)`` of notes: when, in seconds, number and velocity."""
        inner, blocks = self.synth._synth, []
        inner.all_sound_off()
        for block in range(round(seconds * RATE / BLOCK)):
            for start, note, velocity in notes:
                if block == round(start * RATE) // BLOCK:
                    inner.note_on(round(start * RATE) % BLOCK, note, velocity)
                    inner.note_off(round(start * RATE) % BLOCK, note, 0)  # one-shots do not mind
            left, right = inner.render_block()
            np.testing.assert_allclose(left, right, atol=1e-6)
            blocks.append(np.array(left))
        return np.concatenate(blocks)


@pytest.mark.slow
def test_sfizz_plays_the_right_sample_in_turn_at_one_level(kit):
    player = Sfizz(kit.file(".sfz"))
    assert player.keys == sorted(pad["note"] for pad in kit.record["pads"])
    levels = []
    for name, pad in kit.pads.items():
        for velocity, layer in VELOCITIES:
            hits, turns = hits_of(kit, pad, layer), []
            for _ in range(TURNS):
                played = player.play((0, pad["note"], velocity))
                found = [likeness(played[BLOCK:], hit[BLOCK:]) for hit in hits]  # its first block is a sample early
                turns.append(int(np.argmax([correlation for correlation, *_ in found])))
                correlation, delay, level = max(found)
                assert correlation > 0.999, (name, velocity)
                assert delay <= 2, (name, velocity)
                levels.append(level - 40 * np.log10(velocity / 127))  # SFZ: the square of the velocity
            assert turns == list(range(TURNS)), (name, velocity)
    assert max(levels) - min(levels) < 0.5
    assert -13 < np.mean(levels) < -9  # sfizz has a headroom of its own, and pans


def test_sfizz_silences_an_open_hat_when_the_closed_one_is_hit(kit):
    player, notes = Sfizz(kit.file(".sfz")), {name: pad["note"] for name, pad in kit.pads.items()}
    alone = player.play((0, notes["Open Hat"], 127))
    for other, silenced in (("Closed Hat", True), ("Kick", False)):
        player = Sfizz(kit.file(".sfz"))
        second = Sfizz(kit.file(".sfz")).play((0.1, notes[other], 1))  # too soft to be heard beside the first
        both = player.play((0, notes["Open Hat"], 127), (0.1, notes[other], 1))
        after = slice(round(0.15 * RATE), round(0.3 * RATE))
        left = np.abs(both[after] - second[after]).max() / np.abs(alone[after]).max()
        assert (left < 0.01) == silenced, (other, left)


# Hydrogen


def test_the_archive_of_hydrogen_contains_what_its_list_names(kit):
    content = gzip.decompress(kit.file(".h2drumkit").read_bytes())
    assert content[257:262] == b"ustar"
    with tarfile.open(kit.file(".h2drumkit")) as archive:
        members = {member.name: archive.extractfile(member).read() for member in archive}
    folder = kit.record["kit"]
    text = members.pop(f"{folder}/drumkit.xml")
    assert text.startswith(b'<?xml version="1.0" encoding="UTF-8"?>\n<drumkit_info')
    root = Xml.fromstring(text)
    named = [node.text for node in root.iter(f"{HYDROGEN}filename")]
    assert sorted(members) == sorted(f"{folder}/{name}" for name in named)
    assert all((kit.folder / "samples" / name).read_bytes() == members[f"{folder}/{name}"] for name in named)
    instruments = list(root.iter(f"{HYDROGEN}instrument"))
    assert [node.findtext(f"{HYDROGEN}name") for node in instruments] == list(kit.pads)
    for node, pad in zip(instruments, kit.record["pads"], strict=True):
        assert int(node.findtext(f"{HYDROGEN}midiOutNote")) == pad["note"]
        assert int(node.findtext(f"{HYDROGEN}muteGroup")) == (pad["choke_group"] or -1)
        for layer, sample in zip(node.iter(f"{HYDROGEN}layer"), pad["samples"], strict=True):
            low, high = (float(layer.findtext(f"{HYDROGEN}{name}")) for name in ("min", "max"))
            assert [v for v in range(1, 128) if low < v / 127 < high or v / 127 == high == 1] == list(
                range(sample["velocities"][0], sample["velocities"][1] + 1))


def test_an_instrument_has_no_more_layers_than_hydrogen_loads():
    samples = tuple(Sample(f"v{layer}_rr{turn}.wav", layer, layer, turn)
                    for layer in range(1, 6) for turn in range(1, 6))
    kit = Kit("kit", "", "", 5, (Instrument(Pad(1, "Kick", "Kick", ""), samples),))
    named = [node.text for node in Xml.fromstring(drumkit_xml(kit)).iter(f"{HYDROGEN}filename")]
    assert named == [f"v{layer}_rr{turn}.wav" for layer in range(1, 6) for turn in range(1, 4)]


@pytest.mark.skipif(not SCHEMA.exists(), reason="Hydrogen, whose schema this is, is not installed")
def test_the_drumkit_is_valid_by_hydrogens_schema(kit, tmp_path):
    xmlschema = pytest.importorskip("xmlschema", reason="xmlschema is not installed")
    with tarfile.open(kit.file(".h2drumkit")) as archive:
        (tmp_path / "drumkit.xml").write_bytes(archive.extractfile(f"{kit.record['kit']}/drumkit.xml").read())
    schema = xmlschema.XMLSchema(SCHEMA)
    schema.validate(tmp_path / "drumkit.xml")
    text = (tmp_path / "drumkit.xml").read_text()
    (tmp_path / "bad.xml").write_text(text.replace("<isMuted>false</isMuted>", "<isMuted>no</isMuted>"))
    with pytest.raises(xmlschema.XMLSchemaValidationError):
        schema.validate(tmp_path / "bad.xml")


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("h2cli"), reason="Hydrogen (h2cli) is not installed")
def test_hydrogen_plays_the_samples_as_they_are(kit, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    h2cli = lambda *words: subprocess.run(["h2cli", *map(str, words)], check=True, capture_output=True, text=True,  # noqa: E731
                                          timeout=120, env={**os.environ, "HOME": str(home),
                                                            "QT_QPA_PLATFORM": "offscreen"}).stdout
    assert "is valid" in h2cli("-c", kit.file(".h2drumkit"))
    h2cli("-i", kit.file(".h2drumkit"))
    installed = (home / f".hydrogen/data/drumkits/{kit.record['kit']}/drumkit.xml").read_text()
    names = list(kit.pads)
    notes = [(96 * beat, velocity, names.index(name)) for beat, (name, velocity) in enumerate(
        [("Kick", 127), ("Kick", 127), ("Kick", 64), ("Closed Hat", 1), ("Tom High", 127), ("Cymbal", 127)])]
    choke = notes[-1][0] + 96
    notes += [(choke, 127, names.index("Open Hat")), (choke + 20, 1, names.index("Closed Hat"))]  # 48 a beat of 0.5 s
    (tmp_path / "song.h2song").write_text(_song(installed, kit.record["kit"], notes))
    h2cli("-d", "fake", "-s", tmp_path / "song.h2song", "-o", tmp_path / "out.wav", "-r", RATE, "-b", 32)
    rendered, rate = soundfile.read(tmp_path / "out.wav")
    assert rate == RATE
    np.testing.assert_array_equal(rendered[:, 0], rendered[:, 1])
    heard = []
    for (tick, velocity, number), layer in zip(notes, (3, 3, 2, 1, 3, 3), strict=False):
        played = rendered[round(tick / 96 * RATE):, 0]
        found = [likeness(played, hit, 0) for hit in hits_of(kit, kit.record["pads"][number], layer)]
        heard.append(int(np.argmax(found, axis=0)[0]))
        correlation, _, level = max(found)
        assert correlation > 0.9999, (names[number], velocity)
        assert level == pytest.approx(20 * np.log10(velocity / 127), abs=0.02)
    assert sorted(heard[:2]) == [0, 1]  # round robin
    hat = rendered[round(choke / 96 * RATE):, 0]
    hits = hits_of(kit, kit.pads["Open Hat"], 3)
    before, after = slice(round(0.05 * RATE), round(0.1 * RATE)), slice(round(0.3 * RATE), round(0.4 * RATE))
    open_hat = max(hits, key=lambda hit: likeness(hat[:1_600], hit[:1_600], 0))
    np.testing.assert_allclose(hat[before], open_hat[before], atol=1e-3)
    assert np.abs(hat[after]).max() < 0.1 * np.abs(open_hat[after]).max()


def _song(drumkit: str, name: str, notes: list[tuple[int, int, int]]) -> str:
    """A song of one pattern: tick, MIDI velocity and instrument of each note, at 120 BPM."""
    components, instruments = (re.search(f"<{tag}>.*</{tag}>", drumkit, re.DOTALL)[0]
                               for tag in ("componentList", "instrumentList"))
    instruments = re.sub(r"(</name>\s*)(<volume>)", rf"\1<drumkit>{name}</drumkit><drumkitLookup>1</drumkitLookup>\2",
                         instruments)
    listed = "".join(f"<note><position>{tick}</position><leadlag>0</leadlag><velocity>{velocity / 127}</velocity>"
                     f"<pan>0</pan><pitch>0</pitch><key>C0</key><length>-1</length><instrument>{number}</instrument>"
                     "<note_off>false</note_off><probability>1</probability></note>"
                     for tick, velocity, number in notes)
    return ('<?xml version="1.0" encoding="UTF-8"?>\n'  # Hydrogen takes any other first line for an old file
            "<song><version>1.2.0</version><bpm>120</bpm><volume>1</volume>"
            "<metronomeVolume>0</metronomeVolume><name>t</name><author>t</author><notes/><license/>"
            "<loopEnabled>false</loopEnabled><patternModeMode>true</patternModeMode><playbackTrackFilename/>"
            "<playbackTrackEnabled>false</playbackTrackEnabled><playbackTrackVolume>0</playbackTrackVolume>"
            "<action_mode>0</action_mode><mode>song</mode><pan_law_type>RATIO_STRAIGHT_POLYGONAL</pan_law_type>"
            "<pan_law_k_norm>1.33333</pan_law_k_norm><humanize_time>0</humanize_time><humanize_velocity>0"
            f"</humanize_velocity><swing_factor>0</swing_factor>{components}{instruments}<patternList><pattern>"
            f"<name>p</name><category/><size>{notes[-1][0] + 96}</size><denominator>4</denominator><info/><noteList>"
            f"{listed}</noteList></pattern></patternList><virtualPatternList/><patternSequence><group><patternID>p"
            "</patternID></group></patternSequence><ladspa/><BPMTimeLine/><timeLineTag/><automationPaths/></song>")


# Decent Sampler

#: From its developers' guide: what elements may have, of what is used here.
ATTRIBUTES = {
    "groups": {"ampVelTrack", "ampEnvEnabled", "pitchKeyTrack", "seqMode"},
    "group": {"name", "tags", "silencedByTags", "silencingMode", "silencingDecay"},
    "sample": {"path", "rootNote", "loNote", "hiNote", "loVel", "hiVel", "seqLength", "seqPosition"}}


def test_the_preset_of_decent_sampler_maps_every_hit_once(kit):
    root = Xml.parse(kit.file(".dspreset")).getroot()
    groups, = root.findall("groups")
    assert root.tag == "DecentSampler"
    for name, allowed in ATTRIBUTES.items():
        assert all(set(node.attrib) <= allowed for node in root.iter(name))
    assert (groups.get("seqMode"), groups.get("ampVelTrack")) == ("round_robin", "1")
    for group, pad in zip(groups, kit.record["pads"], strict=True):
        assert group.get("name") == pad["name"]
        assert (group.get("tags"), group.get("silencedByTags")) == (
            ("choke1", "choke1") if "Hat" in pad["name"] else (None, None))
        assert [sample.get("path") for sample in group] == [sample["file"] for sample in pad["samples"]]
        assert {sample.get(name) for sample in group for name in ("rootNote", "loNote", "hiNote")} == {str(pad["note"])}
        assert {sample.get("seqLength") for sample in group} == {str(TURNS)}
        played = sorted((velocity, int(sample.get("seqPosition"))) for sample in group
                        for velocity in range(int(sample.get("loVel")), int(sample.get("hiVel")) + 1))
        assert played == [(velocity, turn) for velocity in range(1, 128) for turn in range(1, TURNS + 1)]


def test_the_library_of_decent_sampler_is_complete(kit):
    with zipfile.ZipFile(kit.file(".dslibrary")) as archive:
        assert archive.testzip() is None
        assert archive.read(f"{kit.record['kit']}.dspreset") == kit.file(".dspreset").read_bytes()
        samples = {name: archive.read(name) for name in archive.namelist() if name.startswith("samples/")}
    assert len(samples) == 11 * TURNS * LAYERS
    assert all((kit.folder / name).read_bytes() == content for name, content in samples.items())
