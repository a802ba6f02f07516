/** Points of a plane: a lattice of places (a, b), and the latents u at a place. On a line b is 0 everywhere. */

/** @typedef {[number, number]} Place */
/** @typedef {{window: number[][], sizes: [number, number]}} Lattice */
/**
 * @typedef {object} Frame a plane, as in frame.py
 * @property {number[]} origin
 * @property {number[][]} axes
 * @property {number[][]} duals
 * @property {number[][]} window
 * @property {string[]} names
 * @property {string} says
 */

/**
 * A lattice of so many points along each axis, ends included.
 * @param {number[][]} window
 * @param {number[]} shape
 * @returns {Lattice}
 */
export function lattice(window, shape) {
  return shape.length > 1
    ? { window, sizes: [shape[0], shape[1]] }
    : { window: [window[0], [0, 0]], sizes: [shape[0], 1] };
}

/**
 * Where a place is along an axis, in steps of the lattice.
 * @param {Lattice} on
 * @param {Place} place
 * @param {0 | 1} axis
 */
function steps(on, place, axis) {
  const [low, high] = on.window[axis];
  return on.sizes[axis] > 1 && high > low ? ((place[axis] - low) / (high - low)) * (on.sizes[axis] - 1) : 0;
}

/**
 * The place of a lattice point.
 * @param {Lattice} on
 * @param {number} i
 * @param {number} j
 * @returns {Place}
 */
export function placeOf(on, i, j) {
  const [a, b] = [i, j].map((n, axis) => {
    const [low, high] = on.window[axis];
    return on.sizes[axis] > 1 ? low + ((high - low) * n) / (on.sizes[axis] - 1) : low;
  });
  return [a, b];
}

/**
 * The lattice point that is nearest to a place: its index, and its own place.
 * @param {Lattice} on
 * @param {Place} place
 */
export function nearest(on, place) {
  const [i, j] = [0, 1].map((axis) => {
    const at = Math.round(steps(on, place, /** @type {0 | 1} */ (axis)));
    return Math.min(Math.max(at, 0), on.sizes[axis] - 1);
  });
  return { index: i * on.sizes[1] + j, place: placeOf(on, i, j), i, j };
}

/**
 * The lattice points around a place and their shares, for what lies between them; null outside of the window.
 * @param {Lattice} on
 * @param {Place} place
 */
export function around(on, place) {
  const slack = 1e-6;
  /** @type {[number, number][][]} */
  const along = [];
  for (const axis of /** @type {const} */ ([0, 1])) {
    const last = on.sizes[axis] - 1;
    const at = steps(on, place, axis);
    if (!(at >= -slack && at <= last + slack)) return null;
    const low = Math.min(Math.max(Math.floor(at), 0), Math.max(last - 1, 0));
    const share = Math.min(Math.max(at - low, 0), 1);
    along.push(
      last > 0
        ? [
            [low, 1 - share],
            [low + 1, share],
          ]
        : [[0, 1]],
    );
  }
  return along[0].flatMap(([i, one]) =>
    along[1].map(([j, other]) => ({ index: i * on.sizes[1] + j, share: one * other })),
  );
}

/**
 * A value between lattice points, bilinear; NaN outside.
 * @param {Lattice} on
 * @param {Float64Array} values
 * @param {Place} place
 */
export function between(on, values, place) {
  const corners = around(on, place);
  if (!corners) return NaN;
  let sum = 0;
  for (const { index, share } of corners) if (share > 0) sum += share * values[index];
  return sum;
}

/**
 * The next place in steps of the lattice, within the window.
 * @param {Lattice} on
 * @param {Place} place
 * @param {number} right
 * @param {number} up
 * @returns {Place}
 */
export function stepped(on, place, right, up) {
  const { i, j } = nearest(on, place);
  const clamped = [i + right, j + up].map((n, axis) => Math.min(Math.max(n, 0), on.sizes[axis] - 1));
  return placeOf(on, clamped[0], clamped[1]);
}

/**
 * u = origin + a · axes[0] + b · axes[1].
 * @param {Frame} frame
 * @param {Place} place
 */
export function pointAt(frame, place) {
  return frame.origin.map((value, d) => frame.axes.reduce((sum, axis, p) => sum + place[p] * axis[d], value));
}

/**
 * Where a point falls upon the plane: duals · (u − origin).
 * @param {Frame} frame
 * @param {number[]} u
 * @returns {Place}
 */
export function placeOn(frame, u) {
  const [a, b = 0] = frame.duals.map((dual) =>
    dual.reduce((sum, value, d) => sum + value * (u[d] - frame.origin[d]), 0),
  );
  return [a, b];
}

/**
 * A place on the straight way from one to another.
 * @param {Place} from
 * @param {Place} to
 * @param {number} share
 * @returns {Place}
 */
export function onTheWay(from, to, share) {
  return [from[0] + share * (to[0] - from[0]), from[1] + share * (to[1] - from[1])];
}
