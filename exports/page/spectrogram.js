// Samples to a picture: short Fourier transforms, frequencies on a logarithmic axis, 72 dB below the loudest.

import { element } from "./dom.js";

const RANGE = 72, LOWEST = 50; // dB, Hz

/** Colors as [r, g, b] from hexadecimal digits. */
export const colors = (digits) =>
  digits.match(/.{6}/g).map((color) => color.match(/../g).map((pair) => parseInt(pair, 16)));

/** Fills the frequency axis. */
export function showTicks(axis, rate) {
  for (const [hertz, textContent] of [[100, "100"], [300, "300"], [1000, "1k"], [3000, "3k"], [10000, "10k"]]) {
    const place = Math.log(hertz / LOWEST) / Math.log(rate / 2 / LOWEST), tick = element("span", { textContent });
    tick.style.bottom = 100 * place + "%";
    if (place < 0.97) axis.append(tick);
  }
}

/** Draws samples on a canvas, one pixel a value of it; `palette`: colors as [r, g, b], dark to bright. */
export function draw(canvas, samples, rate, palette) {
  const { width, height } = canvas, levels = new Float32Array(width * height);
  const size = 2 ** Math.round(Math.log2(0.026 * rate));
  const window = Float32Array.from({ length: size }, (_, at) => 0.5 - 0.5 * Math.cos((2 * Math.PI * (at + 0.5)) / size));
  const rows = Array.from({ length: height }, (_, row) => // from the top
    ((LOWEST * (rate / 2 / LOWEST) ** ((height - 0.5 - row) / height)) * size) / rate);
  let loudest = -Infinity;
  for (let column = 0; column < width; column++) {
    const first = Math.round(((column + 0.5) / width) * samples.length - size / 2);
    const powers = spectrum(window.map((weight, at) => weight * (samples[first + at] || 0)));
    rows.forEach((bin, row) => {
      const at = Math.min(Math.floor(bin), size / 2 - 1), part = bin - at;
      const level = 10 * Math.log10((1 - part) * powers[at] + part * powers[at + 1] + 1e-12);
      levels[row * width + column] = level;
      loudest = Math.max(loudest, level);
    });
  }
  const image = new ImageData(width, height), top = Math.max(loudest, -90), last = palette.length - 1;
  levels.forEach((level, at) => {
    const shade = Math.max(0, Math.min(1, 1 + (level - top) / RANGE));
    image.data.set([...palette[Math.round(shade * last)], 255], 4 * at);
  });
  canvas.getContext("2d").putImageData(image, 0, 0);
}

/** Powers of a real signal of 2**n values; Cooley and Tukey (1965). */
function spectrum(real) {
  const size = real.length, imaginary = new Float32Array(size);
  for (let at = 1, other = 0; at < size; at++) {
    let bit = size >> 1;
    for (; other & bit; bit >>= 1) other ^= bit;
    other ^= bit;
    if (at < other) [real[at], real[other]] = [real[other], real[at]];
  }
  for (let half = 1; half < size; half *= 2) {
    for (let offset = 0; offset < half; offset++) {
      const c = Math.cos((Math.PI * offset) / half), s = -Math.sin((Math.PI * offset) / half);
      for (let at = offset; at < size; at += 2 * half) {
        const x = c * real[at + half] - s * imaginary[at + half], y = c * imaginary[at + half] + s * real[at + half];
        [real[at + half], imaginary[at + half]] = [real[at] - x, imaginary[at] - y];
        real[at] += x;
        imaginary[at] += y;
      }
    }
  }
  return real.map((value, at) => value * value + imaginary[at] * imaginary[at]);
}
