/** Where the data are drawn on the map: at their codes, or at its border in the direction of one that lies beyond. */

/** @typedef {import("./stage.js").Stage} Stage */
/** @typedef {import("./explored.js").Explored} Explored */
/** @typedef {import("./lattice.js").Place} Place */
/**
 * @typedef {object} Spot
 * @property {[number, number]} at pixels; NaN where the code is not finite
 * @property {[number, number] | null} out of a code beyond the window the direction to it, of length one
 */

/** Pixels within which a datum of the map is chosen, with a mouse and with a finger. */
export const REACH = { mouse: 16, touch: 28 };
/** Pixels from the border at which a datum beyond it is drawn: between is an arrow, outside of a ring. */
export const INSET = 17;
/** Golden ratio: data on a line are spread over the height by their index. */
const SPREAD = 0.6180339887;

/**
 * Where a datum is drawn.
 * @param {Stage} stage
 * @param {Explored} explored
 * @param {Place[]} codes
 * @param {number} datum
 * @returns {Spot}
 */
export function spot(stage, explored, codes, datum) {
  const [a, b] = codes[datum];
  const at = stage.pixel([a, explored.isLine ? 0.08 + 0.84 * ((datum * SPREAD) % 1) : b]);
  const { x, y, width, height } = stage.box;
  const [right, down] = [at[0] - x - width / 2, at[1] - y - height / 2];
  if (!(Math.abs(right) > width / 2 || Math.abs(down) > height / 2)) return { at, out: null };
  const [across, along] = [width / 2 - INSET, height / 2 - INSET];
  if (explored.isLine) return { at: [x + width / 2 + Math.sign(right) * across, at[1]], out: [Math.sign(right), 0] };
  const share = Math.min(across / Math.abs(right), along / Math.abs(down));
  const far = Math.hypot(right, down);
  return { at: [x + width / 2 + share * right, y + height / 2 + share * down], out: [right / far, down / far] };
}

/**
 * The datum that is drawn nearest to a pixel; −1 if none is near.
 * @param {Stage} stage
 * @param {Explored} explored
 * @param {Place[]} codes
 * @param {Place} place
 * @param {number} reach pixels
 */
export function nearestDatum(stage, explored, codes, place, reach) {
  const [x, y] = stage.pixel(place);
  let best = -1;
  let least = reach;
  for (let n = 0; n < codes.length; n++) {
    const [px, py] = spot(stage, explored, codes, n).at;
    const far = Math.hypot(px - x, py - y);
    if (far <= least) [best, least] = [n, far];
  }
  return best;
}

/**
 * Whether a place lies within a window.
 * @param {number[][]} window
 * @param {Place} place
 */
export const within = (window, place) => window.every(([low, high], axis) => place[axis] >= low && place[axis] <= high);

/**
 * How many codes lie beyond the window of the map, and how many are none.
 * @param {Explored} explored
 * @param {Place[]} codes
 */
export function beyondMap(explored, codes) {
  const finite = codes.filter((code) => code.every(Number.isFinite));
  const beyond = finite.filter((code) => !within(explored.map.window, code));
  return { beyond: beyond.length, nowhere: codes.length - finite.length };
}
