/** What is at a place: the numbers of the nearest lattice point, and what the model makes of the place itself. */
import { ABSENT } from "./explored.js";
import { around, nearest, placeOn, pointAt } from "./lattice.js";

/** @typedef {import("./explored.js").Explored} Explored */
/** @typedef {import("./explored.js").Decoded} Decoded */
/** @typedef {import("./explored.js").View} View */
/** @typedef {import("./lattice.js").Place} Place */
/** @typedef {{place: Place, u: number[], joint: number, prior: number, guide: number}} Numbers */

/**
 * The numbers of the lattice point nearest to a place of a datum's plane; NaN: not known.
 * @param {View} view
 * @param {Place} place
 * @returns {Numbers}
 */
export function numbersAt(view, place) {
  const point = nearest(view.lattice, place);
  return {
    place: point.place,
    u: pointAt(view.frame, point.place),
    joint: view.joint[point.index],
    prior: view.prior[point.index],
    guide: view.guide ? view.guide[point.index] : NaN,
  };
}

/**
 * The same on the map, where log p(z) alone is known; beyond its window nothing is.
 * @param {Explored} explored
 * @param {Place} place
 * @returns {Numbers}
 */
export function numbersOnMap(explored, place) {
  const isThere = around(explored.lattice, place) !== null;
  const point = nearest(explored.lattice, place);
  const there = isThere ? point.place : place;
  return {
    place: there,
    u: pointAt(explored.map, there),
    joint: NaN,
    prior: isThere ? explored.prior[point.index] : NaN,
    guide: NaN,
  };
}

/**
 * Which lattice of decoded points serves a view, and where a place of its plane is on it; null: there is none. The
 * map's serves every datum if the map is all of latent space.
 * @param {Explored} explored
 * @param {View | null} view null: on the map
 * @param {Place} place
 * @returns {{decoded: Decoded, place: Place} | null}
 */
export function serving(explored, view, place) {
  if (view?.decoded) return { decoded: view.decoded, place };
  if (!explored.decoded) return null;
  if (!view) return { decoded: explored.decoded, place };
  if (explored.latents.length > explored.map.axes.length) return null;
  return { decoded: explored.decoded, place: placeOn(explored.map, pointAt(view.frame, place)) };
}

/**
 * What the model makes of a place, in bytes with fractions (NaN: not there): the mean, bilinear between lattice points,
 * or the draw at the nearest one. Null where nothing was decoded.
 * @param {Explored} explored
 * @param {View | null} view null: on the map
 * @param {Place} place
 * @param {boolean} sample
 * @returns {Float32Array | null}
 */
export function decodedAt(explored, view, place, sample = false) {
  const by = serving(explored, view, place);
  const corners = by && around(by.decoded.lattice, by.place);
  if (!by || !corners) return null;
  const points = by.decoded.lattice.sizes[0] * by.decoded.lattice.sizes[1];
  const values = new Float32Array(explored.size);
  if (sample && by.decoded.sample) {
    const { index } = nearest(by.decoded.lattice, by.place);
    for (let k = 0; k < values.length; k++) values[k] = byteOrNothing(by.decoded.sample[k * points + index]);
    return values;
  }
  for (const { index, share } of corners) {
    if (share === 0) continue;
    for (let k = 0; k < values.length; k++) values[k] += share * byteOrNothing(by.decoded.mean[k * points + index]);
  }
  return values;
}

/** @param {number} byte */
const byteOrNothing = (byte) => (byte === ABSENT ? NaN : byte);

/**
 * The coordinates to show: all of few, else those that moved most from the plane's origin.
 * @param {number[]} u
 * @param {number[]} origin
 * @param {number} most
 * @returns {number[]} their indices, in order
 */
export function movedMost(u, origin, most = 6) {
  const all = u.map((_, d) => d);
  if (u.length <= most) return all;
  const moved = all.toSorted((c, d) => Math.abs(u[d] - origin[d]) - Math.abs(u[c] - origin[c]));
  return moved.slice(0, most).sort((c, d) => c - d);
}
