// Seeds to latent vectors, number for number as Python draws them: Philox as in tf.random.stateless_normal, and the
// recipe of a variation. Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3" (2011).

const ROUNDS = 10;

/** The 128 random bits of a counter, as four numbers of 32 bits. */
function philox(counter, key) {
  let [a, b, c, d] = counter, [low, high] = key;
  for (let round = 0; round < ROUNDS; round++) {
    const first = BigInt(a) * 0xd2511f53n, second = BigInt(c) * 0xcd9e8d57n;
    [a, b, c, d] = [(Number(second >> 32n) ^ b ^ low) >>> 0, Number(second & 0xffffffffn),
      (Number(first >> 32n) ^ d ^ high) >>> 0, Number(first & 0xffffffffn)];
    low = (low + 0x9e3779b9) >>> 0;
    high = (high + 0xbb67ae85) >>> 0;
  }
  return [a, b, c, d];
}

const halves = (value) => [Number(BigInt(value) & 0xffffffffn), Number((BigInt(value) >> 32n) & 0xffffffffn)];
const fraction = (bits) => (bits & 0x7fffff) / 0x800000;

/** Standard normal numbers of a seed and an index (numbers, or BigInt beyond 2**53). */
export function normal(seed, index, count) {
  const mixed = philox([...halves(seed), ...halves(index)], [0x3ec8f720, 0x02461e29]);
  const drawn = new Float32Array(count);
  for (let at = 0; at < count; at += 4) {
    const bits = philox([at / 4, 0, mixed[2], mixed[3]], mixed);
    for (const pair of [0, 2]) { // Box and Muller, in single precision
      const radius = Math.sqrt(-2 * Math.fround(Math.log(Math.max(fraction(bits[pair]), 1e-7))));
      const angle = Math.fround(2 * Math.PI * fraction(bits[pair + 1]));
      if (at + pair < count) drawn[at + pair] = radius * Math.sin(angle);
      if (at + pair + 1 < count) drawn[at + pair + 1] = radius * Math.cos(angle);
    }
  }
  return drawn;
}

// A sound is {label, seed, direction, percent}: the number of its class, or null; and how many percent of the way it was
// moved towards a random point, which direction chooses.

/** The inputs of the model for a sound of one length. */
export function inputsOf(facts, sound) {
  const label = new Float32Array(facts.classes.length);
  if (sound.label !== null) label[sound.label] = 1;
  return { noise: vectors(sound, (seed) => normal(seed, 0, facts.noise_dim)), label };
}

/** A sound in words. */
export const words = ({ seed, direction, percent }) =>
  `Seed ${seed}` + (percent ? `, moved ${percent} % of the way to random point ${direction}` : "");

/** What a sound's file says of itself, for melgan-tf regenerate and vary; `more`: its length, and whether it loops. */
export function comment(facts, { label, seed, direction, percent }, more = {}) {
  const base = { seed, index: 0 };
  return JSON.stringify({ made_by: "melgan-tf", weights: facts.weights, step: facts.step,
    ...(percent ? { recipe: { varied: base, intensity: percent / 100, direction } } : base),
    ...(label === null ? {} : { label: facts.classes[label].name }), ...more, source: facts.source, normalized: true,
    delivery: {}, vocoder: facts.vocoder });
}

/**
 * The vectors of a sound: those of its seed, moved towards a random point on the great circle through both.
 * @param draw a seed -> Float32Array
 */
export function vectors({ seed, direction, percent }, draw) {
  const base = draw(seed);
  if (!percent) return base;
  const digest = sha256(`[{"index": 0, "seed": ${seed}}, ${direction}]`), angle = ((percent / 100) * Math.PI) / 2;
  const other = draw(((BigInt(digest[0]) << 32n) | BigInt(digest[1])) >> 2n);
  return base.map((value, at) => Math.cos(angle) * value + Math.sin(angle) * other[at]);
}

/** SHA-256 of ASCII text as eight numbers of 32 bits. The browser's own is only there over https and on localhost. */
export function sha256(text) {
  const words = new Uint32Array(((text.length + 72) >> 6) << 4);
  for (let at = 0; at < text.length; at++) words[at >> 2] |= text.charCodeAt(at) << (24 - 8 * (at & 3));
  words[text.length >> 2] |= 0x80 << (24 - 8 * (text.length & 3));
  words[words.length - 1] = 8 * text.length;
  const roots = primes(64), state = Uint32Array.from(roots.slice(0, 8), (prime) => bits(Math.sqrt(prime)));
  const constants = Uint32Array.from(roots, (prime) => bits(Math.cbrt(prime)));
  const turn = (value, by) => (value >>> by) | (value << (32 - by));
  for (let block = 0; block < words.length; block += 16) {
    const w = new Uint32Array(64);
    w.set(words.subarray(block, block + 16));
    for (let at = 16; at < 64; at++) {
      const x = w[at - 15], y = w[at - 2];
      w[at] = w[at - 16] + (turn(x, 7) ^ turn(x, 18) ^ (x >>> 3)) + w[at - 7] + (turn(y, 17) ^ turn(y, 19) ^ (y >>> 10));
    }
    let [a, b, c, d, e, f, g, h] = state;
    for (let at = 0; at < 64; at++) {
      const one = h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g)) + constants[at] + w[at];
      const two = (turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
      [h, g, f, e, d, c, b, a] = [g, f, e, (d + one) | 0, c, b, a, (one + two) | 0];
    }
    [a, b, c, d, e, f, g, h].forEach((value, at) => (state[at] += value));
  }
  return state;
}

const bits = (root) => Math.floor((root % 1) * 2 ** 32);

function primes(count) {
  const found = [];
  for (let n = 2; found.length < count; n++) if (found.every((prime) => n % prime)) found.push(n);
  return found;
}
