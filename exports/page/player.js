// The player of loops and textures. What it plays is one value; its text is the address.

import { $, copy, element, fill, sliding, stopSweep, sweep, tell, whole } from "./dom.js";
import { save, wav } from "./files.js";
import { newSeed } from "./kit.js";
import { comment, inputsOf, words } from "./recipe.js";
import { finished, play, toBuffer } from "./sound.js";
import { colors, draw, showTicks } from "./spectrogram.js";
import { render } from "./stream.js";
import { cut, placesOf } from "./tempo.js";

const SEEDS = [0, 2 ** 31 - 1], SECONDS = [2, 60], SWING = [0, 100]; // percent of the way to triplets

let model, facts, sound, made, context, voice, past = [];

export async function show(loaded) {
  model = loaded;
  facts = model.facts;
  fill("player");
  sound = fromText(location.hash.slice(1)) || { label: facts.classes.length ? 0 : null, seed: 1, direction: 0, percent: 0,
    seconds: 10, loop: !facts.stream, bpm: Math.round(facts.asked.bpm ?? 120), swing: 0 };
  build();
  await change({});
  past = [];
  refresh();
}

const toText = ({ label, seed, direction, percent, seconds, loop, bpm, swing }) =>
  `m=${facts.weights}&c=${label ?? 0}&s=${seed}&d=${direction}&v=${percent}&t=${seconds}&l=${Number(loop)}`
    + (facts.tempo ? `&b=${bpm}&w=${swing}` : "");

function fromText(text) {
  const values = new URLSearchParams(text), [label, seed, direction, percent, seconds, loop] = [..."csdvtl"].map((name) =>
    (values.has(name) ? Number(values.get(name)) : NaN));
  const within = (value, low, high) => Number.isInteger(value) && low <= value && value <= high;
  const [bpm, swing] = facts.tempo ? ["b", "w"].map((name) => Number(values.get(name))) : [120, 0];
  if (facts.tempo && !(within(bpm, ...facts.tempo.bpm) && within(swing, ...SWING))) return null;
  return within(label, 0, Math.max(0, facts.classes.length - 1)) && within(seed, ...SEEDS) && within(direction, ...SEEDS)
    && within(percent, 0, 100) && within(seconds, ...SECONDS) && within(loop, 0, 1)
    ? { label: facts.classes.length ? label : null, seed, direction, percent, seconds, loop: loop === 1, bpm, swing }
    : null;
}

/** The samples of a sound, as the model makes them. */
export async function samplesOf({ label, seed, direction, percent, seconds, loop, bpm, swing }) {
  const point = { label, seed, direction, percent }, { tempo, sample_rate } = facts;
  if (tempo) {
    const inputs = { ...inputsOf(facts, point), place: placesOf(bpm, swing / 100, tempo, sample_rate) };
    return cut(await model.make([...Object.values(point), bpm, swing].join("."), inputs), bpm, tempo, sample_rate);
  }
  if (facts.stream) return render(point, seconds, loop, facts, (key, inputs) => model.make(key, inputs));
  return model.make(Object.values(point).join("."), inputsOf(facts, point));
}

async function change(values, keepsPast = false) {
  if (!keepsPast) past.push(sound);
  const wanted = (sound = { ...sound, ...values });
  history.replaceState(null, "", "#" + toText(sound));
  refresh();
  $("view").ariaBusy = "true";
  const samples = finished(await samplesOf(wanted), facts.sample_rate, wanted.loop);
  if (wanted !== sound) return; // changed meanwhile
  $("view").ariaBusy = "false";
  made = { samples, buffer: toBuffer(samples, facts.sample_rate) };
  draw($("picture"), samples, facts.sample_rate, colors(facts.palette));
  $("picture").ariaLabel = `Spectrogram of seed ${sound.seed}`;
  if (voice) start();
  refresh();
}

function undo() {
  if (!past.length) return;
  sound = past.pop();
  change({}, true);
}

function start() {
  voice?.stop();
  context ||= new AudioContext();
  context.resume();
  const mine = (voice = play(context, made.buffer, 0, sound.loop));
  mine.onended = () => mine === voice && stop();
  sweep(made.samples.length / facts.sample_rate, sound.loop ? Infinity : 1);
  refresh();
}

function stop() {
  voice?.stop();
  voice = null;
  stopSweep();
  refresh();
}

const vary = () =>
  change({ direction: sound.percent ? sound.direction + 1 : sound.direction, percent: sound.percent || 30 });

function file() {
  const { bpm, swing, seconds, loop } = sound;
  const asked = { ...facts.asked, bpm, ...(swing ? { swing: swing / 100 } : {}) };
  const more = facts.stream ? { seconds, loop } : { asked, loop: true };
  return wav(made.samples, facts.sample_rate, comment(facts, sound, more));
}

function build() {
  for (const [words, act, id = ""] of [["Undo", undo, "undo"],
    ["Copy link", async () => { await copy(location.href); tell("the link of this sound is copied"); }]])
    $("commands").append(element("button", { type: "button", textContent: words, onclick: act, id }));
  facts.classes.forEach(({ name }, value) => $("class").append(element("option", { textContent: name, value })));
  $("classes").hidden = facts.classes.length < 2;
  $("lengths").hidden = $("loop").hidden = !facts.stream;
  $("tempos").hidden = $("swings").hidden = !facts.tempo;
  if (facts.tempo) [$("bpm").min, $("bpm").max] = facts.tempo.bpm;
  showTicks($("hertz"), facts.sample_rate);
  $("run").onclick = () => (voice ? stop() : made && start());
  $("loop").onclick = () => change({ loop: !sound.loop });
  $("new").onclick = () => change({ seed: newSeed(), direction: 0, percent: 0 });
  $("vary").onclick = vary;
  $("seed").onchange = () => change({ seed: whole($("seed").value, SEEDS, 0), direction: 0, percent: 0 });
  $("seconds").onchange = () => change({ seconds: whole($("seconds").value, SECONDS, sound.seconds) });
  $("bpm").onchange = () => change({ bpm: whole($("bpm").value, facts.tempo.bpm, sound.bpm) });
  $("swing").onchange = () => change({ swing: whole($("swing").value, SWING, 0) });
  $("class").onchange = () => change({ label: Number($("class").value) });
  $("wav").onclick = () => made && save(`${facts.title}${facts.tempo ? `-${sound.bpm}bpm` : ""}-seed${sound.seed}.wav`, file());
  sliding($("intensity"), (percent, keepsPast) => change({ percent }, keepsPast));
  addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z") return event.preventDefault(), undo();
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input:not([type=range]), select")) return;
    const id = { n: "new", v: "vary", l: "loop" }[event.key];
    if (event.key === " " && !event.target.closest("button")) event.preventDefault(), $("run").click();
    else if (id && !event.repeat && !$(id).hidden) $(id).click();
  });
  addEventListener("hashchange", () => {
    const read = fromText(location.hash.slice(1));
    if (read) change(read);
    else tell("the link has no sound for this page");
  });
}

function refresh() {
  $("class").value = sound.label ?? "";
  $("seed").value = sound.seed;
  $("seconds").value = sound.seconds;
  $("bpm").value = sound.bpm;
  $("swing").value = sound.swing;
  $("loop").ariaPressed = String(sound.loop);
  $("intensity").value = sound.percent;
  $("percent").textContent = `${sound.percent} %`;
  $("undo").disabled = !past.length;
  $("run").ariaPressed = String(!!voice);
  $("run").firstChild.textContent = voice ? "Stop " : "Play ";
  $("recipe").textContent = words(sound) + (made ? ` · ${made.buffer.duration.toFixed(2)} s` : "");
}
