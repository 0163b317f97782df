"""Which sound is on which pad and note, for samplers that read no format of kits. No TensorFlow."""

from __future__ import annotations

import csv
import io

from melgan_tf.dsp.pitch import note_name
from melgan_tf.inference.kit.instruments import PADS, SAMPLES, Kit


def mapping_csv(kit: Kit) -> str:
    """A table with a line for each sample."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["pad", "name", "midi_note", "note", "choke_group", "low_velocity", "high_velocity", "round_robin",
                    "file"])
    for instrument in kit.instruments:
        pad = instrument.pad
        for sample in instrument.samples:
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
