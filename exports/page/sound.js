// Samples to sound. Every sound is played, and saved, with a peak of -1 dB, as melgan-tf generate writes it.

const PEAK = 10 ** (-1 / 20);
const MIX = 0.5; // of the level of one sound: several at once do not clip

/** Samples with a peak of -1 dB. */
export function leveled(samples) {
  const peak = samples.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return peak ? samples.map((value) => (value * PEAK) / peak) : samples;
}

export function toBuffer(samples, sampleRate) {
  const buffer = new AudioBuffer({ length: samples.length, sampleRate, numberOfChannels: 1 });
  buffer.copyToChannel(samples, 0);
  return buffer;
}

/** Plays a buffer at a time of a context's clock. */
export function play(context, buffer, time = 0, loop = false) {
  const source = new AudioBufferSourceNode(context, { buffer, loop });
  source.connect(new GainNode(context, { gain: MIX })).connect(context.destination);
  source.start(time);
  return source;
}
