// Loops at a tempo: where the vocoder's frames lie on the grid of a loop, and the loop cut out of what the model makes. As
// melgan_tf.models.loop_gan.resample and .sampler. facts.tempo: {bpm: [slowest, fastest], bars, grid, frames, margin, hop,
// join}: frames of a loop on the grid; frames of the vocoder, some before the loop; samples of a frame, and of the join.

const EIGHTH = 24; // frames of the grid
const METER = 4;

/** The samples of a loop. */
export const lengthOf = (bpm, { bars }, rate) => Math.round((bars * METER * 60 * rate) / bpm);

/** Where each frame of the vocoder lies on the grid. Swing: 0 straight, 1 as in triplets. */
export function placesOf(bpm, swing, tempo, rate) {
  const samples = lengthOf(bpm, tempo, rate), { grid, margin, hop } = tempo;
  return Float32Array.from({ length: tempo.frames }, (_, at) => {
    const place = unswung((((at - margin) * hop + hop / 2) / samples) * grid, swing) % grid;
    return place < 0 ? place + grid : place;
  });
}

function unswung(place, swing) {
  const half = EIGHTH / 2, late = half + (swing * EIGHTH) / 6, start = Math.floor(place / EIGHTH) * EIGHTH;
  const inside = place - start;
  return start + Math.max((inside * half) / late, EIGHTH - ((EIGHTH - inside) * half) / (EIGHTH - late));
}

/** The loop in what the model made: its end fades into what precedes its beginning, and nothing clips. */
export function cut(audio, bpm, tempo, rate) {
  const first = tempo.margin * tempo.hop, samples = lengthOf(bpm, tempo, rate), join = Math.min(tempo.join, samples);
  const loop = audio.slice(first, first + samples);
  for (let at = 0; at < join; at++) {
    const fade = 0.5 - 0.5 * Math.cos((Math.PI * (at + 0.5)) / join);
    loop[samples - join + at] = loop[samples - join + at] * (1 - fade) + audio[first - join + at] * fade;
  }
  const peak = loop.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
  return loop.map((value) => value / peak);
}
