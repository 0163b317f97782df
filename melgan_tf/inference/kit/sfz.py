"""The kit as SFZ: plain text that most software samplers read.

Reference: https://sfzformat.com; only opcodes of SFZ 1 are used.
"""

from __future__ import annotations

from melgan_tf.inference.kit.instruments import SAMPLES, Instrument, Kit

_RELEASE_SECONDS = 0.02  # of a hat that is silenced


def sfz(kit: Kit) -> str:
    """The text of the SFZ file."""
    return "\n".join([f"// {kit.name}: {kit.about}", "",
                      f"<global> loop_mode=one_shot ampeg_release={_RELEASE_SECONDS}",
                      *(_group(kit, instrument) for instrument in kit.instruments), ""])


def _group(kit: Kit, instrument: Instrument) -> str:
    pad = instrument.pad
    choke = f" group={pad.choke} off_by={pad.choke} off_mode=normal" if pad.choke else ""
    turns = f" seq_length={kit.turns}" if kit.turns > 1 else ""
    regions = [f"<region> lovel={sample.low} hivel={sample.high}"
               + (f" seq_position={sample.turn}" if kit.turns > 1 else "") + f" sample={SAMPLES}/{sample.file}"
               for sample in instrument.samples]
    return "\n".join([f"\n// {pad.place} {pad.name}", f"<group> key={pad.note}{turns}{choke}", *regions])
