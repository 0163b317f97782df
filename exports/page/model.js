// The model: its facts (model.json) and its worker. `make` answers with samples.

const KEPT = 2 ** 23; // samples

export class Model {
  #waiting = new Map();
  #made = new Map();
  #worker;
  #count = 0;

  /** Loads the facts and the model of this folder. */
  static async load() {
    const answer = await fetch("model.json");
    if (!answer.ok) throw new Error(`model.json: ${answer.status} ${answer.statusText}`);
    const model = Object.assign(new Model(), { facts: await answer.json() });
    model.#worker = new Worker("worker.js");
    model.#worker.onmessage = ({ data }) => model.#answer(data);
    model.#worker.onerror = (event) => model.#waiting.forEach((one) => one.refuse(new Error(event.message)));
    await model.#ask(0);
    return model;
  }

  /** The samples, Float32Array, of inputs by name. `key` names them: what was made before is not made again. */
  make(key, inputs) {
    if (!this.#made.has(key)) {
      if ((this.#made.size + 1) * this.facts.samples > KEPT) this.#made.delete(this.#made.keys().next().value);
      this.#made.set(key, this.#ask(++this.#count, inputs));
    }
    return this.#made.get(key);
  }

  #ask(number, inputs) {
    return new Promise((keep, refuse) => {
      this.#waiting.set(number, { keep, refuse });
      this.#worker.postMessage({ number, inputs });
    });
  }

  #answer({ number, audio, milliseconds, error }) {
    const { keep, refuse } = this.#waiting.get(number);
    this.#waiting.delete(number);
    this.milliseconds = milliseconds;
    if (error) refuse(new Error(error));
    else keep(audio);
  }
}
