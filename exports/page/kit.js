// What a kit is, and the text that a link keeps it in:
// m=WEIGHTS&t=TEMPO&s=SWING&p=CLASS.SEED.DIRECTION.PERCENT.STEPS[.l]_... with the steps as four hexadecimal digits.

export const STEPS = 16;
export const TEMPOS = [40, 300], SWINGS = [50, 75];

const BEATS = { Kick: 0x8828, Snare: 0x0808, "Closed Hat": 0xaaaa, Clap: 0x0008, Perc: 0x0220 };
const MOST_SEED = 2 ** 31 - 1; // that melgan-tf generate takes

export const newSeed = () => Math.floor(Math.random() * 1e6);

/** The kit that a page begins with. */
export function firstKit(facts) {
  const used = new Set();
  return { tempo: 112, swing: 54, pads: facts.pads.map((label, at) => {
    const kind = label === null || used.has(label) ? "" : facts.classes[label].kind;
    used.add(label);
    return { label, seed: at + 1, direction: 0, percent: 0, locked: false, steps: BEATS[kind] || 0 };
  }) };
}

export const isOn = (pad, step) => ((pad.steps >> (STEPS - 1 - step)) & 1) === 1;
export const toggled = (pad, step) => pad.steps ^ (1 << (STEPS - 1 - step));

export function toText(kit, facts) {
  const pads = kit.pads.map((pad) => [pad.label ?? 0, pad.seed, pad.direction, pad.percent,
    pad.steps.toString(16).padStart(4, "0"), ...(pad.locked ? ["l"] : [])].join("."));
  return `m=${facts.weights}&t=${kit.tempo}&s=${kit.swing}&p=${pads.join("_")}`;
}

/** The kit of a link's text; null if it is none that this page can play. */
export function fromText(text, facts) {
  const values = new URLSearchParams(text), pads = (values.get("p") || "").split("_");
  const [tempo, swing] = [values.get("t"), values.get("s")].map(Number);
  if (pads.length !== facts.pads.length || !within(tempo, ...TEMPOS) || !within(swing, ...SWINGS)) return null;
  const read = pads.map((one) => {
    const [label, seed, direction, percent] = one.split(".").map(Number), [steps, locked] = one.split(".").slice(4);
    const good = within(label, 0, Math.max(0, facts.classes.length - 1)) && within(seed, 0, MOST_SEED)
      && within(direction, 0, MOST_SEED) && within(percent, 0, 100) && /^[0-9a-f]{4}$/.test(steps);
    return good && { label: facts.classes.length ? label : null, seed, direction, percent, locked: locked === "l",
      steps: parseInt(steps, 16) };
  });
  return read.every(Boolean) ? { tempo, swing, pads: read } : null;
}

const within = (value, low, high) => Number.isInteger(value) && low <= value && value <= high;
