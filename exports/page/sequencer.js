// Steps on the clock of the sound card. A timer of the page is late by tens of milliseconds, so it only looks ahead and
// hands over what is due soon, each hit with its exact time.

import { STEPS } from "./kit.js";

const AHEAD = 0.12, AHEAD_HIDDEN = 1.5, EVERY = 25; // seconds; a hidden page's timer runs once a second; milliseconds

/** The seconds that a step lasts. Swing is the share of the first of two sixteenths, in percent. */
export function stepSeconds(step, tempo, swing) {
  const share = step % 2 ? 100 - swing : swing;
  return (60 / tempo / 2) * (share / 100);
}

export class Sequencer {
  #timer = 0;
  #next = { step: 0, time: 0 };

  /**
   * @param context an AudioContext, or an OfflineAudioContext
   * @param kit called for the kit as it is now
   * @param hit called with a step, its time, and the seconds until the next
   */
  constructor(context, kit, hit) {
    Object.assign(this, { context, kit, hit });
  }

  get running() { return this.#timer !== 0; }

  /** Begins with the first step, a little later than now. */
  start() {
    this.from(this.context.currentTime + 0.05);
    this.#timer = setInterval(() => this.tick(), EVERY);
    this.tick();
  }

  /** The first step is due at a time. */
  from(time) { this.#next = { step: 0, time }; }

  stop() {
    clearInterval(this.#timer);
    this.#timer = 0;
  }

  /** Hands over what is due until soon after a time. */
  tick(ahead = document.hidden ? AHEAD_HIDDEN : AHEAD) {
    while (this.#next.time < this.context.currentTime + ahead) {
      const { tempo, swing } = this.kit(), { step, time } = this.#next, seconds = stepSeconds(step, tempo, swing);
      this.hit(step, time, seconds);
      this.#next = { step: (step + 1) % STEPS, time: time + seconds };
    }
  }
}
