// The drum machine: pads, the pad in view, steps. The kit is one value; its text is the address, and what undo keeps.

import { $, copy, element, fill, headed, sliding, sweep, tell, whole } from "./dom.js";
import { save, sfz, wav, zip } from "./files.js";
import { firstKit, fromText, isOn, newSeed, STEPS, SWINGS, TEMPOS, toggled, toText } from "./kit.js";
import { comment, inputsOf, words } from "./recipe.js";
import { Sequencer, stepSeconds } from "./sequencer.js";
import { finished, play, toBuffer } from "./sound.js";
import { colors, draw, showTicks } from "./spectrogram.js";

const HUES = ["#ee8866", "#77aadd", "#bbcc33", "#ffaabb", "#44bb99", "#eedd88", "#b58bd8", "#99ddff"];
const LOCK = "M5 7V5a3 3 0 0 1 6 0v2h1v7H4V7zm1.5 0h3V5a1.5 1.5 0 0 0-3 0z";
const BARS = 4; // of a saved loop

let model, facts, kit, current = 0, context, sequencer;
let buffers = [], palette;
const past = [], future = [];

export async function show(loaded) {
  model = loaded;
  facts = model.facts;
  palette = colors(facts.palette);
  fill("drums");
  kit = fromText(location.hash.slice(1), facts) || firstKit(facts);
  build();
  await sounded();
  if (location.hash && !fromText(location.hash.slice(1), facts)) tell("the link has no kit for this page");
  else if (location.hash && new URLSearchParams(location.hash.slice(1)).get("m") !== facts.weights)
    tell("the link was made with another model: its sounds are others here");
  address();
}

// -- the kit: changed only by `change`, so that every change can be undone

async function change(values, keepsPast = false) {
  if (!keepsPast) remember(toText(kit, facts));
  kit = { ...kit, ...values };
  address();
  await sounded();
}

const changePad = (values, at = current, keepsPast = false) =>
  change({ pads: kit.pads.map((pad, number) => (number === at ? { ...pad, ...values } : pad)) }, keepsPast);

function remember(text) {
  past.push(text);
  future.length = 0;
}

function step(from, to) {
  if (!from.length) return;
  to.push(toText(kit, facts));
  kit = fromText(from.pop(), facts);
  address();
  sounded();
}

const undo = () => step(past, future), redo = () => step(future, past);
const address = () => history.replaceState(null, "", "#" + toText(kit, facts));

const nameOf = (pad) => (pad.label === null ? "Sound" : facts.classes[pad.label].name);
const pathOf = (pad, at) => `${at + 1}_${pad.label === null ? "Sound" : facts.classes[pad.label].stem}.wav`;

// -- sounds

const keyOf = (pad) => [pad.label, pad.seed, pad.percent ? pad.direction : 0, pad.percent].join(".");
const samplesOf = (pad) => model.make(keyOf(pad), inputsOf(facts, pad));

/** Makes what the kit asks for and shows it; until then the page is busy. */
async function sounded() {
  const wanted = kit;
  refresh();
  $("app").ariaBusy = "true";
  await Promise.all(wanted.pads.map(async (pad, at) => {
    const key = keyOf(pad);
    if (buffers[at]?.key === key) return;
    const samples = finished(await samplesOf(pad), facts.sample_rate);
    if (kit.pads[at] && keyOf(kit.pads[at]) !== key) return; // changed meanwhile
    buffers[at] = { key, samples, buffer: toBuffer(samples, facts.sample_rate) };
    draw($("pads").children[at].querySelector("canvas"), samples, facts.sample_rate, palette);
    if (at === current) picture();
  }));
  if (wanted === kit) $("app").ariaBusy = "false";
}

function audio() {
  context ||= new AudioContext({ latencyHint: "interactive" });
  if (context.state === "suspended") context.resume();
  return context;
}

function hit(at, time = 0) {
  const made = buffers[at];
  if (!made) return;
  play(audio(), made.buffer, time);
  light(at, time);
}

function light(at, time) {
  const pad = $("pads").children[at];
  setTimeout(() => {
    pad.classList.add("hit");
    clearTimeout(pad.timer);
    pad.timer = setTimeout(() => pad.classList.remove("hit"), 110);
    if (at === current) sweep(facts.samples / facts.sample_rate);
  }, Math.max(0, 1000 * (time - context.currentTime)));
}

const select = (at) => {
  current = at;
  refresh();
  picture();
};

function picture() {
  if (!buffers[current]) return;
  draw($("picture"), buffers[current].samples, facts.sample_rate, palette);
  $("picture").ariaLabel = `Spectrogram of pad ${current + 1}, ${nameOf(kit.pads[current])}`;
}

// -- what the buttons do

async function renew(at = current) {
  if (kit.pads[at].locked) return tell("this pad is locked");
  await changePad({ seed: newSeed(), percent: 0, direction: 0 }, at);
  hit(at);
}

async function vary() {
  const pad = kit.pads[current];
  if (pad.locked) return tell("this pad is locked");
  await changePad({ direction: pad.percent ? pad.direction + 1 : pad.direction, percent: pad.percent || 30 });
  hit(current);
}

function renewAll() {
  change({ pads: kit.pads.map((pad) => (pad.locked ? pad : { ...pad, seed: newSeed(), percent: 0, direction: 0 })) });
}

const wavOf = (pad, at) => wav(buffers[at].samples, facts.sample_rate, comment(facts, pad));

/** The files of a kit: SFZ, samples, what the model learned from, and this page's address. */
export function kitFiles() {
  const used = new Set();
  const free = (note) => {
    while (used.has(note)) note = note < 60 ? 60 : note + 1;
    used.add(note);
    return note;
  };
  const pads = kit.pads.map((pad, at) => ({ name: nameOf(pad), file: "samples/" + pathOf(pad, at),
    choke: pad.label === null ? 0 : facts.classes[pad.label].choke,
    note: free(pad.label === null ? 36 + at : facts.classes[pad.label].note) }));
  const bytes = (text) => new TextEncoder().encode(text);
  return [["kit/kit.sfz", bytes(sfz(pads, `a kit of ${facts.title}, ${facts.license || "license unknown"}`))],
    ...kit.pads.map((pad, at) => [`kit/samples/${pathOf(pad, at)}`, wavOf(pad, at)]),
    ["kit/LICENSES.txt", bytes(facts.licenses)], ["kit/link.txt", bytes(location.href + "\n")]];
}

/** The loop as samples, at the model's sample rate. */
export async function bounced(bars = BARS) {
  const steps = bars * STEPS, length = Array.from({ length: STEPS }, (_, at) => stepSeconds(at, kit.tempo, kit.swing))
    .reduce((sum, one) => sum + one) * bars;
  const offline = new OfflineAudioContext(1, Math.round(length * facts.sample_rate), facts.sample_rate);
  let left = steps;
  const machine = new Sequencer(offline, () => kit, (at, time) => left-- > 0 && hits(at, (pad) =>
    play(offline, buffers[pad].buffer, time)));
  machine.from(0);
  machine.tick(length - 1e-6);
  return (await offline.startRendering()).getChannelData(0);
}

/** Calls for the pads of a step. */
const hits = (at, each) => kit.pads.forEach((pad, number) => isOn(pad, at) && buffers[number] && each(number));

function run() {
  sequencer ||= new Sequencer(audio(), () => kit, (at, time) => {
    hits(at, (number) => hit(number, time));
    setTimeout(() => sequencer.running && mark(at), Math.max(0, 1000 * (time - context.currentTime)));
  });
  document.onvisibilitychange = () => sequencer.running && sequencer.tick();
  audio();
  if (sequencer.running) sequencer.stop();
  else sequencer.start();
  mark(-1);
  refresh();
}

function mark(at) {
  for (const one of document.querySelectorAll(".step.now")) one.classList.remove("now");
  if (at >= 0) for (const one of document.querySelectorAll(`.step[data-step="${at}"]`)) one.classList.add("now");
}

// -- what is on the page

function build() {
  for (const [words, act, id = ""] of [["New kit", renewAll], ["Undo", undo, "undo"], ["Redo", redo, "redo"],
    ["Copy link", async () => { await copy(location.href); tell("the link of this kit is copied"); }],
    ["Save kit", () => save("kit.zip", zip(kitFiles()))]])
    $("commands").append(element("button", { type: "button", textContent: words, onclick: act, id }));
  $("undo").title = "Ctrl+Z";
  kit.pads.forEach((_, at) => $("pads").append(padButton(at)));
  kit.pads.forEach((_, at) => $("grid").append(track(at)));
  facts.classes.forEach(({ name }, value) => $("class").append(element("option", { textContent: name, value })));
  $("classes").hidden = facts.classes.length < 2;
  showTicks($("hertz"), facts.sample_rate);
  $("new").onclick = () => renew();
  $("vary").onclick = vary;
  $("lock").onclick = () => changePad({ locked: !kit.pads[current].locked });
  $("wav").onclick = () => save(pathOf(kit.pads[current], current), wavOf(kit.pads[current], current));
  $("class").onchange = () => changePad({ label: Number($("class").value) });
  $("run").onclick = run;
  $("clear").onclick = () => change({ pads: kit.pads.map((pad) => ({ ...pad, steps: 0 })) });
  $("bounce").onclick = async () => save("loop.wav", wav(await bounced(), facts.sample_rate, location.href));
  $("tempo").onchange = () => change({ tempo: whole($("tempo").value, TEMPOS, kit.tempo) });
  sliding($("swing"), (value, keepsPast) => change({ swing: value }, keepsPast));
  sliding($("intensity"), (value, keepsPast) => changePad({ percent: value }, current, keepsPast), () => hit(current));
  addEventListener("keydown", keys);
  addEventListener("hashchange", () => {
    const read = fromText(location.hash.slice(1), facts);
    if (!read) return tell("the link has no kit for this page");
    remember(toText(kit, facts));
    kit = read;
    address();
    sounded();
  });
  $("grid").addEventListener("keydown", walk);
}

function padButton(at) {
  const button = element("button", { type: "button", className: "pad" }, element("canvas", { width: 128, height: 96 }),
    element("kbd", { textContent: at + 1 }), element("b"));
  button.insertAdjacentHTML("beforeend", `<svg viewBox="0 0 16 16" aria-hidden="true" hidden><path d="${LOCK}"/></svg>`);
  button.style.setProperty("--hue", HUES[at % HUES.length]);
  button.onpointerdown = () => (select(at), hit(at));
  button.onclick = (event) => event.detail === 0 && (select(at), hit(at)); // by keyboard or screen reader
  return button;
}

function track(at) {
  const row = element("div", { className: "track", role: "row" }, element("div", { role: "rowheader" },
    element("button", { type: "button", tabIndex: -1, onclick: () => (select(at), hit(at)) })));
  for (let number = 0; number < STEPS; number++) {
    const className = number % 8 < 4 ? "step" : "step off", tabIndex = at || number ? -1 : 0;
    const one = element("button", { type: "button", className, tabIndex });
    Object.assign(one.dataset, { pad: at, step: number });
    one.onclick = () => changePad({ steps: toggled(kit.pads[at], number) }, at);
    row.append(element("div", { role: "gridcell" }, one));
  }
  row.style.setProperty("--hue", HUES[at % HUES.length]);
  return row;
}

/** Shows the kit: everything but pictures. */
function refresh() {
  const pad = kit.pads[current];
  [...$("pads").children].forEach((button, at) => {
    const { locked } = kit.pads[at], name = headed(nameOf(kit.pads[at]));
    button.classList.toggle("current", at === current);
    button.querySelector("b").textContent = name;
    button.querySelector("svg").toggleAttribute("hidden", !locked);
    button.ariaLabel = `Pad ${at + 1}, ${name}${locked ? ", locked" : ""}`;
    const row = $("grid").children[at];
    row.classList.toggle("current", at === current);
    row.querySelector("button").textContent = name;
    row.querySelectorAll(".step").forEach((one, number) => {
      one.ariaPressed = String(isOn(kit.pads[at], number));
      one.ariaLabel = `${name}, step ${number + 1}`;
    });
  });
  $("name").textContent = `${current + 1} ${headed(nameOf(pad))}`;
  $("class").value = pad.label ?? "";
  $("lock").ariaPressed = String(pad.locked);
  for (const id of ["new", "vary", "intensity", "class"]) $(id).disabled = pad.locked;
  $("intensity").value = pad.percent;
  $("percent").textContent = `${pad.percent} %`;
  $("recipe").textContent = words(pad);
  $("tempo").value = kit.tempo;
  $("swing").value = kit.swing;
  $("swung").textContent = `${kit.swing} %`;
  $("undo").disabled = !past.length;
  $("redo").disabled = !future.length;
  $("run").ariaPressed = String(!!sequencer?.running);
  $("run").firstChild.textContent = sequencer?.running ? "Stop " : "Play ";
}

function keys(event) {
  const typing = event.target.matches("input, select, textarea"), { key } = event;
  if ((event.ctrlKey || event.metaKey) && key.toLowerCase() === "z") {
    event.preventDefault();
    return event.shiftKey ? redo() : undo();
  }
  if (event.ctrlKey || event.metaKey || event.altKey || (typing && event.target.type !== "range")) return;
  const at = Number(key) - 1;
  if (/^[1-9]$/.test(key) && at < kit.pads.length) {
    if (!event.repeat) { select(at); hit(at); }
  } else if (key === " " && !event.target.closest("button")) {
    event.preventDefault();
    run();
  } else if ("nvl".includes(key) && !event.repeat) $({ n: "new", v: "vary", l: "lock" }[key]).click();
}

/** Arrow keys in the grid; it is one stop of the tab key. */
function walk(event) {
  const { pad, step: at } = event.target.dataset, move = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0],
    ArrowDown: [1, 0] }[event.key];
  if (!move || pad === undefined) return;
  const next = document.querySelector(`.step[data-pad="${Number(pad) + move[0]}"][data-step="${Number(at) + move[1]}"]`);
  if (!next) return;
  event.preventDefault();
  event.target.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
}
