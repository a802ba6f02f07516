/** One drawing a frame: what changed is drawn once, when the screen is next refreshed; and how fast that goes. */

/** Milliseconds after the last move in which frames are still counted. */
const STILL = 150;
const SECOND = 1000;

export class Frames {
  /** @param {(what: Set<string>) => void} draw what is called with the names of all that changed */
  constructor(draw) {
    this.draw = draw;
    /** @type {Set<string>} */
    this.changed = new Set();
    this.requested = false;
    this.moved = -Infinity;
    /** Times of frames while something moved. @type {number[]} */
    this.times = [];
  }

  /** Something is to be drawn anew. @param {...string} names */
  change(...names) {
    for (const name of names) this.changed.add(name);
    this.#request();
  }

  /** Somebody moves. */
  move() {
    const now = performance.now();
    if (now - this.moved > STILL) this.times = [];
    this.moved = now;
    this.#request();
  }

  /** Frames a second, over the last second of moving; NaN before anything moved. */
  pace() {
    const last = this.times[this.times.length - 1];
    const recent = this.times.filter((time) => time > last - SECOND);
    return recent.length > 1 ? (SECOND * (recent.length - 1)) / (last - recent[0]) : NaN;
  }

  #request() {
    if (this.requested) return;
    this.requested = true;
    requestAnimationFrame((time) => this.#frame(time));
  }

  /** @param {number} time */
  #frame(time) {
    this.requested = false;
    const { changed } = this;
    this.changed = new Set();
    if (changed.size) this.draw(changed);
    if (performance.now() - this.moved > STILL) return;
    this.times.push(time);
    if (this.times.length > 1000) this.times.splice(0, 500);
    this.#request();
  }
}
