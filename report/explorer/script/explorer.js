/** What is seen, and how it changes: one state, what hands and keys make of it, and what is then drawn anew. */
import { drawParts } from "./parts.js";
import { found } from "./elements.js";
import { fragmentOf } from "./fragment.js";
import { Frames } from "./frames.js";
import { inks } from "./inks.js";
import { stepped } from "./lattice.js";
import { ordered } from "./order.js";
import { homeOf } from "./plane.js";
import { Seen, numbersSaid } from "./seen.js";
import { REACH, nearestDatum } from "./spots.js";
import { Stage } from "./stage.js";
import { numbersAt, numbersOnMap } from "./under.js";

/** @typedef {import("./explored.js").Explored} Explored */
/** @typedef {import("./explored.js").View} View */
/** @typedef {import("./fragment.js").State} State */
/** @typedef {import("./fragment.js").Over} Over */
/** @typedef {import("./lattice.js").Place} Place */

/** Milliseconds of quiet after which the address is written and the numbers are spoken. */
const QUIET = 350;
/** What is drawn when a datum is chosen or sizes change; the table, which takes longest, a frame later. */
const ALL = ["controls", "map", "plane", "datum", "path", "under"];
/** Keys -> steps to the right and up. @type {Record<string, [number, number]>} */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

export class Explorer {
  /** @param {Explored} explored @param {State} state */
  constructor(explored, state) {
    this.explored = explored;
    this.state = state;
    /** @type {View | null} */
    this.view = null;
    this.ink = inks();
    this.frames = new Frames((what) => drawParts(this, what));
    this.mapStage = new Stage(
      found("map-stage", HTMLElement),
      "Map of all data. Left and right arrow: previous and next datum.",
      {
        moved: (place) => this.#at("map", place),
        tapped: (place, touch) => {
          const near = nearestDatum(this.mapStage, explored, this.codes, place, touch ? REACH.touch : REACH.mouse);
          if (near >= 0) this.select(near);
          else this.#change({ path: null }, "path", "under");
        },
        dragged: (from, to) => this.#change({ path: { over: "map", from, to } }, "path"),
        pressed: (event) => this.#pressed("map", event),
      },
    );
    this.planeStage = new Stage(
      found("plane-stage", HTMLElement),
      "Plane through latent space. Arrows move, Shift and arrows draw a path, Escape ends it.",
      {
        moved: (place) => this.#at("plane", place),
        tapped: (place) => this.#change({ over: "plane", place, path: null }, "path", "under"),
        dragged: (from, to) => this.#change({ path: { over: "plane", from, to } }, "path"),
        pressed: (event) => this.#pressed("plane", event),
      },
    );
    this.seen = new Seen(found("pictures", HTMLElement), found("numbers", HTMLElement), explored);
    this.order = ordered(explored.numData, explored.column(state.order));
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.quiet = undefined;
  }

  /** Where the data are, at the moment of the training that is chosen. */
  get codes() {
    return this.explored.moments[this.state.moment]?.codes ?? this.explored.codes;
  }

  /** Where the cursor is: without a plane it is on the map. @returns {{over: Over, place: Place}} */
  get cursor() {
    const over = this.view ? this.state.over : "map";
    const place = over === this.state.over ? this.state.place : null;
    return { over, place: place ?? (over === "plane" && this.view ? homeOf(this.view) : this.codes[this.state.datum]) };
  }

  /** Choose a datum; all of the page is then about it. @param {number} datum @param {Partial<State>} rest */
  async select(datum, rest = { over: "plane", place: null }) {
    const { path } = this.state;
    await this.show(datum, { path: path?.over === "plane" ? null : path, ...rest });
    this.#soon();
  }

  /** Show a datum and how it is to be seen; the address stays. @param {number} datum @param {Partial<State>} rest */
  async show(datum, rest) {
    this.state = { ...this.state, ...rest, datum };
    this.order = ordered(this.explored.numData, this.explored.column(this.state.order));
    const view = await this.explored.view(datum);
    if (this.state.datum !== datum) return; // another was chosen meanwhile
    this.view = view;
    this.redraw();
    this.frames.change("table");
  }

  /** The next datum in the order, or the one before. @param {number} steps */
  step(steps) {
    const place = this.order.indexOf(this.state.datum) + steps;
    if (place >= 0 && place < this.order.length) this.select(this.order[place]);
  }

  /** Change what is seen, and draw these parts anew. @param {Partial<State>} changes @param {...string} parts */
  change(changes, ...parts) {
    this.#change(changes, ...(parts.length ? parts : ALL));
  }

  /** Draw everything now: colours or sizes are others. */
  redraw() {
    this.ink = inks();
    drawParts(this, new Set(ALL));
  }

  /** @param {Partial<State>} changes @param {...string} parts */
  #change(changes, ...parts) {
    this.state = { ...this.state, ...changes };
    if (changes.order !== undefined) this.order = ordered(this.explored.numData, this.explored.column(changes.order));
    this.frames.change(...parts);
    this.#soon();
  }

  /** @param {Over} over @param {Place} place */
  #at(over, place) {
    this.frames.move();
    this.#change({ over, place }, "under");
  }

  /** @param {Over} over @param {KeyboardEvent} event */
  #pressed(over, event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return false;
    if (event.key === "Escape") {
      this.#change({ path: null }, "path", "under");
      return true;
    }
    if (event.key === "Home" && over === "plane") {
      this.#change({ over, place: null }, "under");
      return true;
    }
    const arrow = ARROWS[event.key];
    if (!arrow) return false;
    if (over === "map" && !event.shiftKey) {
      this.step(arrow[0] - arrow[1]);
      return true;
    }
    if (over === "plane" && !this.view) return false;
    const from = this.state.over === over ? this.cursor.place : this.codes[this.state.datum];
    const lattice = over === "plane" && this.view ? this.view.lattice : this.explored.lattice;
    const place = stepped(lattice, from, ...arrow);
    const { path } = this.state;
    const start = path?.over === over ? path.from : from;
    this.frames.move();
    this.#change(
      { over, place, ...(event.shiftKey ? { path: { over, from: start, to: place } } : {}) },
      "under",
      ...(event.shiftKey ? ["path"] : []),
    );
    return true;
  }

  /** Once nothing has changed for a while: the address, and the numbers for those who hear them. */
  #soon() {
    clearTimeout(this.quiet);
    this.quiet = setTimeout(() => {
      history.replaceState(null, "", `#${fragmentOf(this.state)}`);
      const { over } = this.cursor;
      const which = `Datum ${this.state.datum}. `;
      found("live", HTMLElement).textContent = which + numbersSaid(this.numbers, over === "map");
    }, QUIET);
  }

  /** The numbers of the evaluated point nearest to the cursor. */
  get numbers() {
    const { over, place } = this.cursor;
    return over === "plane" && this.view ? numbersAt(this.view, place) : numbersOnMap(this.explored, place);
  }
}
