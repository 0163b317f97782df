// WAV, SFZ and ZIP files, made in the page.

/** A WAV file of 16 bits. The comment is what melgan-tf vary and regenerate read. */
export function wav(samples, rate, comment) {
  const note = text("ICMT", comment + "\0"), data = new Int16Array(samples.length);
  samples.forEach((value, at) => (data[at] = Math.max(-32768, Math.min(32767, Math.round(value * 32768)))));
  const format = numbers([1, 2], [1, 2], [rate, 4], [2 * rate, 4], [2, 2], [16, 2]);
  const body = [latin("WAVE"), chunk("fmt ", format), chunk("LIST", joined([latin("INFO"), note])),
    chunk("data", new Uint8Array(data.buffer))];
  return chunk("RIFF", joined(body));
}

/** A ZIP archive, without compression, of [name, bytes] pairs. */
export function zip(files) {
  const parts = [], entries = [];
  let at = 0;
  for (const [name, bytes] of files) {
    const title = new TextEncoder().encode(name);
    const facts = numbers([20, 2], [0x800, 2], [0, 2], [0, 2], [0x21, 2], [crc32(bytes), 4], [bytes.length, 4],
      [bytes.length, 4], [title.length, 2], [0, 2]);
    entries.push(numbers([0x02014b50, 4], [20, 2]), facts, numbers([0, 2], [0, 2], [0, 2], [0, 4], [at, 4]), title);
    parts.push(numbers([0x04034b50, 4]), facts, title, bytes);
    at += 4 + facts.length + title.length + bytes.length;
  }
  const directory = joined(entries);
  return joined([...parts, directory, numbers([0x06054b50, 4], [0, 2], [0, 2], [files.length, 2], [files.length, 2],
    [directory.length, 4], [at, 4], [0, 2])]);
}

/** The text of an SFZ file of pads: {name, note, choke, file}. */
export function sfz(pads, about) {
  const groups = pads.map(({ name, note, choke, file }) => `// ${name}\n<region> key=${note}`
    + (choke ? ` group=${choke} off_by=${choke} off_mode=normal` : "") + ` sample=${file}`);
  return [`// ${about}`, "", "<global> loop_mode=one_shot ampeg_release=0.02", "", ...groups, ""].join("\n");
}

/** Offers bytes or text as a download. */
export function save(name, content) {
  const href = URL.createObjectURL(new Blob([content]));
  const link = Object.assign(document.createElement("a"), { download: name, href });
  link.click();
  setTimeout(() => URL.revokeObjectURL(href), 60_000);
}

const latin = (word) => Uint8Array.from(word, (letter) => letter.charCodeAt(0));
const text = (name, words) => chunk(name, new TextEncoder().encode(words));

function chunk(name, bytes) {
  return joined([latin(name), numbers([bytes.length, 4]), bytes, new Uint8Array(bytes.length % 2)]);
}

/** Little-endian numbers of so many bytes. */
function numbers(...pairs) {
  return Uint8Array.from(pairs.flatMap(([value, size]) =>
    Array.from({ length: size }, (_, at) => (value >>> (8 * at)) & 255)));
}

function joined(parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function crc32(bytes) {
  let sum = -1;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit++) sum = (sum >>> 1) ^ (sum & 1 ? 0xedb88320 : 0);
  }
  return ~sum >>> 0;
}
