// Sounds of any length from a model that makes windows: noise and style step by step, as Python draws them, and windows
// joined where their context is whole. facts.stream: {window, context, noise_dim, style_dim, turn, samples, lead,
// quantum}, in steps but for `samples`, the samples of a step.

import { normal, vectors } from "./recipe.js";

const STYLE_SEED = 2n ** 62n, BEFORE = 2 ** 16; // another stream; the first steps have negative numbers

const floorMod = (value, by) => ((value % by) + by) % by;

/** The inputs of steps, with their context on either side. `period`: steps of a loop, or 0. */
export function stretch(point, first, count, period, { context, noise_dim, style_dim, turn }) {
  const steps = Array.from({ length: count + 2 * context }, (_, at) => first - context + at);
  const rows = (size, row) => (seed) => {
    const found = new Float32Array(steps.length * size);
    steps.forEach((step, at) => found.set(row(seed, step), at * size));
    return found;
  };
  const noise = (seed, step) => normal(seed, BEFORE + (period ? floorMod(step, period) : step), noise_dim);
  const drawn = new Map(); // a style serves many steps
  const style = (seed, step) => {
    const one = (number) => {
      const key = `${seed} ${number}`;
      if (!drawn.has(key)) drawn.set(key, normal(BigInt(seed) + STYLE_SEED, BEFORE + number, style_dim));
      return drawn.get(key);
    };
    const [a, b, angle] = turning(step, period, turn);
    return a === b ? one(a) : one(a).map((value, at) => Math.cos(angle) * value + Math.sin(angle) * one(b)[at]);
  };
  return { noise: vectors(point, rows(noise_dim, noise)), style: vectors(point, rows(style_dim, style)) };
}

/** Between which styles a step is, and how far, as an angle; see melgan_tf.models.sequence_gan.noise. */
function turning(step, period, turn) {
  const turns = period ? Math.max(1, roundHalfEven(period / turn)) : 0;
  if (turns === 1) return [0, 0, 0];
  if (turns === 2) return [0, 1, (floorMod(step, period) / period) * 2 * Math.PI];
  const [numerator, denominator] = period ? [turns, period] : [1, turn], scaled = step * numerator;
  const before = Math.floor(scaled / denominator), angle = (scaled / denominator - before) * (Math.PI / 2);
  return period ? [floorMod(before, turns), floorMod(before + 1, turns), angle] : [before, before + 1, angle];
}

const roundHalfEven = (value) => (value % 1 === 0.5 ? 2 * Math.round(value / 2) : Math.round(value)); // as Python's

/** Steps of the loop nearest to a length. */
const loopSteps = (seconds, rate, { samples, quantum }) =>
  Math.max(1, roundHalfEven((seconds * rate) / samples / quantum)) * quantum;

/** The samples of a sound; a loop is seamless. `make`: a key and inputs -> the samples of a window. */
export async function render(point, seconds, loop, { sample_rate, stream, fade }, make) {
  const { window, lead, samples } = stream, useful = window - 2 * lead;
  const period = loop ? loopSteps(seconds, sample_rate, stream) : 0;
  const length = loop ? period * samples : Math.round(seconds * sample_rate);
  const whole = new Float32Array(length + useful * samples);
  let end = 0; // of what is joined
  for (let number = 0; end < length; number++) {
    const first = number * useful - (loop ? lead : 0), skip = number || loop ? lead : 0;
    const key = [point.seed, point.direction, point.percent, first, period].join(" ");
    const made = await make(key, stretch(point, first, window, period, stream));
    const part = made.subarray(skip * samples, (lead + useful) * samples);
    const gain = number ? joinGain(whole, end, made, skip * samples) : 1;
    part.forEach((value, at) => { if (end + at < whole.length) whole[end + at] = gain * value; });
    end += part.length;
  }
  const cut = whole.subarray(0, length), ramp = Math.round(fade * sample_rate);
  if (!loop) for (let at = 0; at < ramp; at++) cut[length - 1 - at] *= 0.5 - 0.5 * Math.cos((Math.PI * (at + 1)) / ramp);
  return cut;
}

/** What a window has to be multiplied by: each one whose peak was above 1 was turned down on its own. */
function joinGain(whole, end, made, skip) {
  let both = 0, own = 0;
  for (let back = 1; back <= 2048 && back <= skip && back <= end; back++) {
    both += whole[end - back] * made[skip - back];
    own += made[skip - back] ** 2;
  }
  const gain = own ? both / own : 1;
  return Math.abs(gain - 1) < 0.003 ? 1 : gain;
}
