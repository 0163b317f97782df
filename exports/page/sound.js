// Samples to sound. Every sound is played, and saved, as melgan-tf generate writes it.

const PEAK = 10 ** (-1 / 20), ABRUPT = 0.01; // -40 dB
const MIX = 0.5; // of the level of one sound: several at once do not clip

const peakOf = (samples) => samples.reduce((most, value) => Math.max(most, Math.abs(value)), 0);

/** Samples with a peak of -1 dB; a sound that was cut off, and is no loop, is faded out. */
export function finished(samples, rate, loop = false) {
  const end = samples.length, before = (seconds) => Math.max(0, end - Math.round(seconds * rate));
  const last = samples.subarray(before(0.03), before(0.005));
  const cutOff = !loop && peakOf(last) > ABRUPT * peakOf(samples);
  const fade = cutOff ? Math.round(Math.min(0.25 * rate, 0.3 * end)) : 0;
  const faded = samples.map((value, at) => value * (0.5 - 0.5 * Math.cos(Math.PI * Math.min(1, (end - 1 - at) / fade))));
  const whole = fade ? faded : samples, peak = peakOf(whole);
  return peak ? whole.map((value) => (value * PEAK) / peak) : whole;
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
