/** The data of the page: read once what every view needs, and what belongs to one datum when it is chosen. */
import { bytesOf, floatsOf, placesOf, surfaceOf } from "./arrays.js";
import { lattice } from "./lattice.js";

/** @typedef {import("./arrays.js").BytesText} BytesText */
/** @typedef {import("./arrays.js").SurfaceText} SurfaceText */
/** @typedef {import("./arrays.js").NumbersText} NumbersText */
/** @typedef {import("./lattice.js").Frame} Frame */
/** @typedef {import("./lattice.js").Lattice} Lattice */
/** @typedef {import("./lattice.js").Place} Place */
/** @typedef {{name: string, value: number, stderr: number, bound: string}} Rung */
/** @typedef {{window: number[][], mean: BytesText, sample: BytesText | null}} DecodedText */
/**
 * @typedef {object} Column
 * @property {string} name
 * @property {Float32Array} values
 * @property {string} says
 * @property {string} unit
 * @property {string | null} worst
 * @property {boolean} is_label
 */
/** @typedef {{lattice: Lattice, mean: Uint8Array, sample: Uint8Array | null}} Decoded */
/** @typedef {{name: string, codes: Place[], columns: Map<string, Float32Array>}} Moment */
/**
 * @typedef {object} View
 * @property {number} datum
 * @property {Frame} frame
 * @property {Lattice} lattice
 * @property {Float64Array} joint log p(x, u)
 * @property {Float64Array} prior log p(u)
 * @property {Float64Array | null} guide log q(u | x)
 * @property {number[][] | null} chains draws of Markov chains
 * @property {number[][]} draws draws of q
 * @property {Place[]} modes
 * @property {Place} code
 * @property {Float32Array | null} again
 * @property {Decoded | null} decoded
 * @property {Rung[]} ladder
 * @property {string[]} says
 */

export const ABSENT = 255;
export const STEPS = 254;

/** Numbers that JSON has no word for. @param {any} value @returns {number} */
const number = (value) => (value === null ? NaN : value === "inf" ? Infinity : value === "-inf" ? -Infinity : value);

/** Pairs out of `[N, P]`. @param {Float32Array} values @param {number[]} shape @returns {Place[]} */
const pairs = (values, shape) =>
  Array.from({ length: shape[0] }, (_, n) => [values[n * shape[1]], shape[1] > 1 ? values[n * shape[1] + 1] : 0]);

/** @param {number[]} place @returns {Place} */
const pair = ([a, b = 0]) => [a, b];

/** All data, with the views of some of them. */
export class Explored {
  /** @param {any} text the page's JSON, parsed */
  constructor(text) {
    this.text = text;
    /** @type {number} */
    this.numData = text.num_data;
    /** @type {string[]} */
    this.latents = text.latents;
    /** @type {{kind: string, sizes: number[]}} */
    this.drawn = text.drawn;
    /** @type {number} */
    this.size = text.drawn.sizes.reduce((/** @type {number} */ a, /** @type {number} */ b) => a * b, 1);
    this.scale = { low: number(text.scale.low), high: number(text.scale.high) };
    /** @type {Frame} */
    this.map = text.map;
    this.isLine = this.map.axes.length === 1;
    this.lattice = lattice(text.map.window, text.log_prior.shape);
    /** Datum -> place among the views. @type {Map<number, number>} */
    this.viewOf = new Map(
      text.views.map((/** @type {{datum: number}} */ view, /** @type {number} */ n) => [view.datum, n]),
    );
    /** @type {Map<number, Promise<View>>} */
    this.loading = new Map();
    /** @type {Uint8Array} */
    this.x = new Uint8Array();
    /** @type {Uint8Array} */
    this.again = new Uint8Array();
    /** @type {Float64Array} */
    this.prior = new Float64Array();
    /** @type {Place[]} */
    this.codes = [];
    /** @type {Column[]} */
    this.columns = [];
    /** @type {Decoded | null} */
    this.decoded = null;
    /** @type {Moment[]} */
    this.moments = [];
  }

  /** Read what every view needs. */
  async open() {
    const { text } = this;
    const columns = text.columns.map(async (/** @type {any} */ column) => ({
      ...column,
      values: await floatsOf(column.values),
    }));
    [this.x, this.again, this.prior, this.codes, this.decoded, this.columns, this.moments] = await Promise.all([
      bytesOf(text.x),
      bytesOf(text.again),
      surfaceOf(text.log_prior),
      floatsOf(text.codes).then((values) => pairs(values, text.codes.shape)),
      this.#decoded(text.decoded),
      Promise.all(columns),
      Promise.all(text.moments.map((/** @type {any} */ moment) => this.#moment(moment))),
    ]);
    return this;
  }

  /**
   * The view of a datum; null if no plane was computed for it.
   * @param {number} datum
   * @returns {Promise<View> | null}
   */
  view(datum) {
    const place = this.viewOf.get(datum);
    if (place === undefined) return null;
    const known = this.loading.get(datum) ?? this.#view(place);
    this.loading.set(datum, known);
    return known;
  }

  /** The bytes of a datum; null if they are not kept. @param {number} datum */
  datum(datum) {
    return present(this.x.subarray(datum * this.size, (datum + 1) * this.size));
  }

  /** @param {string} name @returns {Column | undefined} */
  column(name) {
    return this.columns.find((column) => column.name === name);
  }

  /** @param {number} datum @returns {string} */
  flag(datum) {
    return this.text.flags[datum] ?? "";
  }

  /** What a byte stands for. @param {number} byte */
  value(byte) {
    return this.scale.low + ((this.scale.high - this.scale.low) * byte) / STEPS;
  }

  /** @param {number} n @returns {Promise<View>} */
  async #view(n) {
    const part = this.text.views[n];
    const window = part.frame.window;
    const [joint, prior, guide, chains, draws, decoded] = await Promise.all([
      surfaceOf(part.log_joint),
      surfaceOf(part.log_prior),
      part.log_q && surfaceOf(part.log_q),
      part.posterior && placesOf(part.posterior, window),
      placesOf(part.guide, window),
      this.#decoded(part.decoded),
    ]);
    const ladder = part.ladder.map((/** @type {any} */ rung) => ({
      ...rung,
      value: number(rung.value),
      stderr: number(rung.stderr),
    }));
    return {
      datum: part.datum,
      frame: part.frame,
      lattice: lattice(window, part.log_joint.shape),
      joint,
      prior,
      guide,
      chains,
      draws,
      modes: part.modes.map(pair),
      code: pair(part.code),
      again: present(this.again.subarray(n * this.size, (n + 1) * this.size)),
      decoded,
      ladder,
      says: part.says,
    };
  }

  /** @param {DecodedText | null} text @returns {Promise<Decoded | null>} */
  async #decoded(text) {
    if (!text) return null;
    const [mean, sample] = await Promise.all([bytesOf(text.mean), text.sample && bytesOf(text.sample)]);
    return { lattice: lattice(text.window, text.mean.shape.slice(1)), mean, sample };
  }

  /** @param {any} text @returns {Promise<Moment>} */
  async #moment(text) {
    /** @type {[string, Float32Array][]} */
    const columns = await Promise.all(
      text.columns.map(async (/** @type {any} */ c) => [c.name, await floatsOf(c.values)]),
    );
    return { name: text.name, codes: pairs(await floatsOf(text.codes), text.codes.shape), columns: new Map(columns) };
  }
}

/** Values of a datum as numbers, NaN where there is none; null if there is none at all. @param {Uint8Array} bytes */
function present(bytes) {
  return bytes.some((byte) => byte !== ABSENT)
    ? Float32Array.from(bytes, (byte) => (byte === ABSENT ? NaN : byte))
    : null;
}
