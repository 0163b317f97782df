"use strict";
// One page of sounds. What comes from outside (names, classes) only ever becomes text or an attribute, never markup.
const page = JSON.parse(document.getElementById("page").textContent);
const $ = (id) => document.getElementById(id);
const COLORS = ["#ee8866", "#77aadd", "#bbcc33", "#ffaabb", "#44bb99", "#eedd88", "#b58bd8", "#99ddff"];
const LEVELS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const ORDERS = { made: "as made", name: "name", label: "class", brightness: "brightness", length: "length",
  pitch: "pitch", loudness: "loudness" };
const UNITS = { brightness: (hz) => "brightness " + hertz(hz), length: (s) => "length " + short(s) + " s",
  pitch: (hz) => "pitch " + hertz(hz), loudness: (level) => level.toFixed(1) + " LUFS" };
const GAP = 12;

const sounds = page.sounds.map((sound, number) => ({ label: "", values: {}, number, ...sound }));
const labels = [...new Set(sounds.map((sound) => sound.label))].sort();
const tallest = Math.max(1, ...sounds.map((sound) => (sound.beside ? 2 : 1)));
let listed = [], current = -1, columns = 1, step = { x: 0, y: 0 }, playing = null, wanted = null;
const cards = new Map();

const short = (value) => Number(value.toPrecision(2)).toString();
const hertz = (hz) => (hz >= 1000 ? short(hz / 1000) + " kHz" : Math.round(hz) + " Hz");
const color = (label) => COLORS[labels.indexOf(label) % COLORS.length];
const quoted = (name) => (/^[\w@%+=:,.\/][\w@%+=:,.\/-]*$/.test(name) ? name
  : "'" + name.replace(/^-/, "./-").replaceAll("'", "'\\''") + "'");
const again = (sound) => (sound.again || page.again).replace("{}", () => quoted(sound.name));

function element(tag, values = {}, ...children) {
  const made = Object.assign(document.createElement(tag), values);
  made.append(...children);
  return made;
}

// -- favorites: kept by the browser; without storage, until the page is closed

const stars = new Set();
const store = "melgan-tf favorites " + page.id;
try {
  for (const name of JSON.parse(localStorage.getItem(store) || "[]")) stars.add(name);
} catch { /* no storage from disk, in some browsers */ }
const starred = () => sounds.filter((sound) => stars.has(sound.name));

function star(sound) {
  if (!stars.delete(sound.name)) stars.add(sound.name);
  try {
    localStorage.setItem(store, JSON.stringify([...stars]));
  } catch { tell("this browser keeps no favorites: export them before you close the page"); }
  refresh();
  if ($("starred").ariaPressed === "true") list();
}

function tell(text) {
  $("told").textContent = text;
  $("told").classList.add("on");
  clearTimeout(tell.timer);
  tell.timer = setTimeout(() => $("told").classList.remove("on"), 2500);
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = element("textarea", { value: text });
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  tell("copied");
}

// -- spectrograms: one letter a pixel, rows from the highest frequency down

const palette = page.palette.match(/../g).map((pair) => parseInt(pair, 16));
const level = new Uint8Array(128);
[...LEVELS].forEach((letter, index) => (level[letter.charCodeAt(0)] = index));

function picture(sound) {
  const width = sound.picture.length / page.rows, canvas = element("canvas", { width, height: page.rows });
  const image = new ImageData(width, page.rows);
  for (let i = 0; i < sound.picture.length; i++) {
    const at = 3 * level[sound.picture.charCodeAt(i)];
    image.data.set([palette[at], palette[at + 1], palette[at + 2], 255], 4 * i);
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

// -- playing: an audio element works from disk; a loop without a gap needs its samples, which a page from disk has only
// if they are in it

let context = null;

const samples = async (sound) => (await fetch(sound.data || sound.file)).arrayBuffer();
const readable = (sound) => sound.data || location.protocol !== "file:";

async function play(sound) {
  stop();
  const token = (wanted = {});
  try {
    const voice = sound.loop && readable(sound) ? await looped(sound) : await element_of(sound);
    if (wanted !== token) return voice.stop();
    playing = { sound, ...voice };
    mark();
    requestAnimationFrame(follow);
  } catch {
    if (wanted === token) for (const tile of tiles(sound)) tile.classList.add("failed");
  }
}

async function element_of(sound) {
  const audio = new Audio(sound.data || sound.file);
  audio.loop = !!sound.loop;
  audio.addEventListener("ended", () => playing && playing.audio === audio && stop());
  await audio.play();
  return { audio, stop: () => audio.pause(), place: () => audio.currentTime / (audio.duration || sound.seconds) };
}

async function looped(sound) {
  context ||= new AudioContext();
  await context.resume();
  const buffer = await context.decodeAudioData(await samples(sound));
  const source = new AudioBufferSourceNode(context, { buffer, loop: true });
  source.connect(context.destination);
  source.start();
  const start = context.currentTime;
  return { stop: () => source.stop(), place: () => ((context.currentTime - start) % buffer.duration) / buffer.duration };
}

function stop() {
  wanted = null;
  if (!playing) return;
  const { sound } = playing;
  playing.stop();
  playing = null;
  for (const tile of tiles(sound)) tile.firstElementChild.nextElementSibling.style.left = 0;
  mark();
}

const toggle = (sound) => (playing && playing.sound === sound ? stop() : play(sound));

function follow() {
  if (!playing) return;
  const left = 100 * Math.min(1, playing.place()) + "%";
  for (const tile of tiles(playing.sound)) tile.children[1].style.left = left;
  requestAnimationFrame(follow);
}

const tiles = (sound) => [...document.querySelectorAll(".tile")].filter((tile) => tile.sound === sound);

function mark() {
  for (const tile of document.querySelectorAll(".tile")) {
    const on = !!playing && playing.sound === tile.sound;
    tile.classList.toggle("playing", on);
    tile.ariaPressed = String(on);
  }
}

// -- cards: only those in sight exist

function fill_tile(tile, sound, marked = "") {
  tile.sound = sound;
  tile.className = "tile";
  tile.ariaPressed = "false";
  tile.ariaLabel = ["Play " + sound.name, sound.label, short(sound.seconds) + " seconds", sound.loop ? "loop" : ""]
    .filter(Boolean).join(", ");
  tile.replaceChildren(picture(sound), element("i"), element("b", { textContent: sound.loop ? "∞" : "▶" }));
  if (marked) tile.append(element("em", { textContent: marked }));
  return tile;
}

function card(sound) {
  const made = element("li", { className: "card" });
  for (const one of [sound, sound.beside].filter(Boolean)) {
    const tile = fill_tile(element("button", { type: "button", tabIndex: -1 }), one, one.mark);
    tile.style.height = (step.x - GAP) * 0.62 + "px";
    tile.addEventListener("click", () => (select(listed.indexOf(sound)), toggle(one)));
    made.append(tile);
  }
  const button = element("button", { type: "button", className: "star", textContent: "★", tabIndex: -1 });
  button.ariaLabel = "Favorite: " + sound.name;
  button.addEventListener("click", () => star(sound));
  const line = element("div", { className: "line" }, element("span", { textContent: sound.name.replace(/\.\w{2,4}$/, ""), title: sound.name }),
    button);
  const about = element("p", { title: sound.note || "" });
  if (sound.label) {
    const dot = element("span", { className: "dot" });
    dot.style.background = color(sound.label);
    about.append(dot);
  }
  about.append([sound.label, ...shown(sound), sound.note].filter(Boolean).join(" · "));
  made.append(line, about);
  made.sound = sound;
  return made;
}

const shown = (sound) => $("sort").value in UNITS &&
  sound.values[$("sort").value] !== undefined ? [UNITS[$("sort").value](sound.values[$("sort").value])]
  : [short(sound.seconds) + " s"];

function lay() {
  const width = $("list").clientWidth, least = innerWidth < 640 ? 150 : 176;
  $("place").style.top = $("tools").offsetHeight + "px";
  columns = Math.max(1, Math.floor((width + GAP) / (least + GAP)));
  step.x = (width + GAP) / columns;
  step.y = Math.round((step.x - GAP) * 0.62 * tallest) + 32 + 26 + GAP;
  $("grid").style.height = Math.ceil(listed.length / columns) * step.y + "px";
  for (const one of cards.values()) one.remove();
  cards.clear();
  show();
}

function show() {
  const top = -$("grid").getBoundingClientRect().top;
  const first = Math.max(0, Math.floor((top - innerHeight / 2) / step.y)) * columns;
  const last = Math.min(listed.length, Math.ceil((top + 1.5 * innerHeight) / step.y) * columns);
  for (const [index, one] of cards) {
    if (index < first || index >= last) {
      one.remove();
      cards.delete(index);
    }
  }
  for (let index = first; index < last; index++) {
    if (cards.has(index)) continue;
    const one = card(listed[index]), x = (index % columns) * step.x, y = Math.floor(index / columns) * step.y;
    Object.assign(one.style, { left: x + "px", top: y + "px", width: step.x - GAP + "px", height: step.y - GAP + "px" });
    one.setAttribute("aria-setsize", listed.length);
    one.setAttribute("aria-posinset", index + 1);
    const next = [...cards].filter(([other]) => other > index).sort(([a], [b]) => a - b)[0];
    $("grid").insertBefore(one, next ? next[1] : null);
    cards.set(index, one);
  }
  refresh();
}

function refresh() {
  for (const [index, one] of cards) {
    one.classList.toggle("current", index === current);
    one.firstElementChild.tabIndex = index === Math.max(0, current) ? 0 : -1;
    one.querySelector(".star").ariaPressed = String(stars.has(one.sound.name));
  }
  $("stars").textContent = starred().length;
  if (listed[current]) $("star").ariaPressed = String(stars.has(listed[current].name));
  mark();
  draw();
}

// -- what is listed, and in which order

function list() {
  const before = listed[current], words = $("search").value.toLowerCase(), by = $("sort").value;
  const chosen = [...$("labels").children].filter((one) => one.ariaPressed === "true").map((one) => one.label);
  const only = $("starred").ariaPressed === "true";
  listed = sounds.filter((sound) => (!chosen.length || chosen.includes(sound.label)) &&
    (!only || stars.has(sound.name)) && (sound.name + " " + sound.label + " " + (sound.note || ""))
    .toLowerCase().includes(words));
  const key = (sound) => (by === "made" ? sound.number : by in sound ? sound[by] : sound.values[by] ?? Infinity);
  listed.sort((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : a.number - b.number));
  current = listed.indexOf(before);
  $("none").hidden = listed.length > 0;
  lay();
}

function select(index, focus = false, into_sight = focus) {
  if (!listed[index]) return;
  current = index;
  const sound = listed[index], row = Math.floor(index / columns) * step.y + $("grid").getBoundingClientRect().top;
  const above = $("tools").offsetHeight + 8, below = innerHeight - ($("dock").offsetHeight || 170) - step.y;
  if (into_sight && (row < above || row > below)) scrollBy(0, row < above ? row - above : row - Math.max(above, below));
  show();
  if (focus) cards.get(index)?.firstElementChild.focus({ preventScroll: true });
  $("dock").hidden = false;
  $("name").textContent = $("name").title = sound.name;
  $("values").textContent = [sound.label, ..."length" in sound.values ? [] : [short(sound.seconds) + " s"],
    ...Object.entries(sound.values).map(([name, value]) => UNITS[name](value)), sound.note].filter(Boolean).join(" · ");
  $("command").textContent = again(sound);
  Object.assign($("file"), { href: sound.data || sound.file, download: sound.name });
  if ($("big").sound !== sound) fill_tile($("big"), sound);
  $("star").ariaPressed = String(stars.has(sound.name));
  axes(sound);
  mark();
  draw();
}

function axes(sound) {
  $("hertz").replaceChildren(...page.hertz.map(([place, text]) => {
    const tick = element("span", { textContent: text });
    tick.style.bottom = 100 * place + "%";
    return tick;
  }));
  const round = 10 ** Math.floor(Math.log10(sound.seconds / 2)), ticks = [];
  const every = [1, 2, 5, 10].map((times) => times * round).find((size) => sound.seconds / size <= 6);
  for (let at = 0; at <= sound.seconds * 0.97; at += every) ticks.push(at);
  $("clock").replaceChildren(...ticks.map((at, index) => {
    const tick = element("span", { textContent: Number(at.toPrecision(3)) + (index === ticks.length - 1 ? " s" : "") });
    tick.style.left = (100 * at) / sound.seconds + "%";
    return tick;
  }));
}

// -- the map

const canvas = $("map"), mapped = sounds.some((sound) => sound.place);
let points = [];

function draw() {
  if (!mapped) return;
  const size = canvas.clientWidth, scale = devicePixelRatio || 1, high = Math.max(280, Math.min(size, innerHeight - 345));
  canvas.style.height = high + "px";
  canvas.width = size * scale;
  canvas.height = high * scale;
  const pen = canvas.getContext("2d"), among = new Set(listed), ink = getComputedStyle(document.body).color;
  pen.scale(scale, scale);
  points = sounds.filter((sound) => sound.place).map((sound) => ({ sound, x: 18 + sound.place[0] * (size - 36),
    y: high - 18 - sound.place[1] * (high - 36) }));
  const radius = Math.max(3, Math.min(7, size / 3 / Math.sqrt(points.length)));
  const dot = ({ sound, x, y }, grown = 0) => {
    pen.beginPath();
    pen.arc(x, y, radius + grown, 0, 7);
    pen.globalAlpha = among.has(sound) ? 0.9 : 0.12;
    pen.fillStyle = color(sound.label);
    pen.fill();
    if (!grown && !stars.has(sound.name)) return;
    pen.strokeStyle = ink;
    pen.lineWidth = grown ? 2.5 : 1.5;
    pen.stroke();
  };
  for (const point of points) dot(point);
  const here = points.find(({ sound }) => sound === listed[current]);
  if (here) dot(here, 3);
  pen.globalAlpha = 1;
}

function at(event) {
  const box = canvas.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
  const near = points.filter(({ sound }) => listed.includes(sound)).map((point) => ({ ...point,
    far: Math.hypot(point.x - x, point.y - y) })).sort((a, b) => a.far - b.far)[0];
  return near && near.far < 40 ? near.sound : null;
}

function towards(dx, dy) {
  const here = points.find(({ sound }) => sound === listed[current]) || points[0];
  const cost = ({ x, y }) => {
    const along = (x - here.x) * dx + (y - here.y) * dy, across = Math.abs((x - here.x) * dy) + Math.abs((y - here.y) * dx);
    return along > 0.5 ? along + 2 * across : Infinity;
  };
  const best = points.filter(({ sound }) => listed.includes(sound)).sort((a, b) => cost(a) - cost(b))[0];
  return best && cost(best) < Infinity ? listed.indexOf(best.sound) : current;
}

const beside = () => getComputedStyle($("place")).position === "sticky"; // the map stays while the list scrolls
let dragged = null;
canvas.addEventListener("pointerdown", (event) => {
  dragged = at(event);
  if (dragged) (select(listed.indexOf(dragged), false, beside()), toggle(dragged));
});
canvas.addEventListener("pointermove", (event) => {
  const sound = at(event);
  $("hint").textContent = sound ? [sound.name, sound.label].filter(Boolean).join(" · ") : page.hint;
  if (event.buttons && sound && sound !== dragged) {
    dragged = sound;
    select(listed.indexOf(sound), false, beside());
    play(sound);
  }
});
canvas.addEventListener("pointerup", () => (dragged = null));

// -- keys

addEventListener("keydown", (event) => {
  const focus = document.activeElement, typing = focus.matches("input, select, textarea") || $("favorites").open;
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns, Home: -Infinity, End: Infinity };
  const onMap = focus === canvas, ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  if (event.key in steps && listed.length) {
    const next = current < 0 && isFinite(steps[event.key]) ? 0 : onMap && ways[event.key] ? towards(...ways[event.key])
      : Math.min(listed.length - 1, Math.max(0, current + steps[event.key]));
    if (!onMap && Math.abs(steps[event.key]) > 1 && columns > 1 && isFinite(steps[event.key]) &&
      (current + steps[event.key] < 0 || current + steps[event.key] >= listed.length) && current >= 0) {
      event.preventDefault(); // the first or last row
      return;
    }
    select(next, !onMap, !onMap || beside());
    play(listed[next]);
  } else if (event.key === " " && (focus === document.body || focus === canvas || focus.matches(".tile"))) {
    if (current < 0) select(0, true);
    toggle(focus.sound || listed[current]);
  } else if (event.key === "f" && listed[current]) {
    star(listed[current]);
  } else if (event.key === "Escape") {
    stop();
  } else {
    return;
  }
  event.preventDefault();
});

// -- export

const save = (name, blob) => element("a", { href: URL.createObjectURL(blob), download: name }).click();

function commands() {
  const names = starred().map((sound) => sound.name);
  return [page.copy, ...(page.again.startsWith("melgan-tf regenerate")
    ? ["# or make them again:", page.again.replace("{}", () => names.map(quoted)
      .join(" "))] : [])].join("\n");
}

$("export").addEventListener("click", () => {
  const count = starred().length;
  if (!count) return tell("star some sounds first: ★, or the key F");
  $("chosen").textContent = count + (count === 1 ? " favorite" : " favorites");
  $("commands").textContent = commands();
  $("pick").hidden = starred().every(readable);
  $("favorites").showModal();
});
$("copyall").addEventListener("click", () => copy(commands()));
$("savelist").addEventListener("click", () => save("favorites.txt",
  new Blob([starred().map((sound) => sound.name + "\n").join("")], { type: "text/plain" })));
$("savezip").addEventListener("click", () => ($("pick").hidden ? zip(samples) : $("folder").click()));
$("folder").addEventListener("change", (event) => {
  const files = new Map([...event.target.files].map((file) => [file.webkitRelativePath.replace(/^[^/]*\//, ""), file]));
  zip((sound) => files.get(decodeURIComponent(sound.file)).arrayBuffer());
});

const remainders = Uint32Array.from({ length: 256 }, (_, value) => {
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

async function zip(read) { // stored, not compressed: APPNOTE.TXT 4.3
  const parts = [], index = [];
  let offset = 0;
  try {
    for (const sound of starred()) {
      const bytes = new Uint8Array(await read(sound)), name = new TextEncoder().encode(sound.name);
      let sum = -1;
      for (const byte of bytes) sum = remainders[(sum ^ byte) & 255] ^ (sum >>> 8);
      const common = [[20, 2], [0x800, 2], [0, 2], [0, 2], [0x21, 2], [~sum >>> 0, 4], [bytes.length, 4],
        [bytes.length, 4], [name.length, 2], [0, 2]];
      parts.push(packed([[0x04034b50, 4], ...common]), name, bytes);
      index.push(packed([[0x02014b50, 4], [20, 2], ...common, [0, 2], [0, 2], [0, 2], [0, 4], [offset, 4]]), name);
      offset += 30 + name.length + bytes.length;
    }
  } catch {
    return tell("these are not the sounds of this page: choose its folder");
  }
  const size = index.reduce((sum, part) => sum + part.length, 0), count = index.length / 2;
  save("favorites.zip", new Blob([...parts, ...index, packed([[0x06054b50, 4], [0, 2], [0, 2], [count, 2], [count, 2],
    [size, 4], [offset, 4], [0, 2]])], { type: "application/zip" }));
}

function packed(fields) {
  return Uint8Array.from(fields.flatMap(([value, size]) => Array.from({ length: size },
    (_, place) => Math.floor(value / 256 ** place) & 255)));
}

// -- the page itself

for (const label of labels.length > 1 ? labels : []) {
  const dot = element("i", { className: "dot" }), button = element("button", { type: "button" });
  dot.style.background = color(label);
  button.append(dot, element("span", { textContent: label || "none" }), element("small", {
    textContent: sounds.filter((sound) => sound.label === label).length }));
  button.label = label;
  button.ariaPressed = "false";
  button.addEventListener("click", () => {
    button.ariaPressed = String(button.ariaPressed !== "true");
    list();
  });
  $("labels").append(button);
}
for (const [name, text] of Object.entries(ORDERS)) {
  if (["made", "name"].includes(name) || (name === "label" && labels.length > 1) ||
    sounds.some((sound) => sound.values[name] !== undefined)) $("sort").append(new Option(text, name));
}
$("sort").value = labels.length > 1 ? "label" : "made";
$("sort").addEventListener("change", list);
$("search").addEventListener("input", list);
$("starred").addEventListener("click", () => {
  $("starred").ariaPressed = String($("starred").ariaPressed !== "true");
  list();
});
$("starred").ariaLabel = "Favorites only";
$("star").addEventListener("click", () => star(listed[current]));
$("copy").addEventListener("click", () => copy($("command").textContent));
$("big").addEventListener("click", () => toggle($("big").sound));
if (mapped) {
  $("place").hidden = false;
  document.querySelector("main").classList.add("mapped");
  canvas.ariaLabel = `Map of ${sounds.length} sounds: arrow keys go to the next one`;
  $("hint").textContent = page.hint;
}
addEventListener("scroll", show, { passive: true });
addEventListener("resize", lay);
matchMedia("(prefers-color-scheme: light)").addEventListener("change", draw);
list();
