/** Arrays of the page's data: what encoded.py has written. */
import { inflated, summed, wholeNumbers } from "./bytes.js";

/** @typedef {{shape: number[], axes: number[], data: string}} BytesText */
/** @typedef {{shape: number[], orders: number[], top: number, data: string}} SurfaceText */
/** @typedef {{shape: number[], data: string}} NumbersText */

/** Nats for each step of a log density, and how far below the highest one it ends. */
export const STEP = 1 / 2048;
export const FAR = 100000;
/** Steps of a place over the width of its window. */
export const PARTS = 1024;

/**
 * Bytes of pictures.
 * @param {BytesText} text
 * @returns {Promise<Uint8Array>}
 */
export async function bytesOf(text) {
  const bytes = await inflated(text.data);
  for (const axis of text.axes) summed(bytes, text.shape, axis);
  return bytes;
}

/**
 * Log densities on a lattice, nats; −∞ where there is none.
 * @param {SurfaceText} text
 * @returns {Promise<Float64Array>}
 */
export async function surfaceOf(text) {
  const count = text.shape.reduce((product, size) => product * size, 1);
  const steps = wholeNumbers(await inflated(text.data), count);
  text.orders.forEach((order, axis) => {
    for (let n = 0; n < order; n++) summed(steps, text.shape, axis);
  });
  return steps.map((step) => (step < -FAR / STEP ? -Infinity : text.top + step * STEP));
}

/**
 * Places `[K, P]` in a window, each as a pair; on a line the second is 0.
 * @param {NumbersText} text
 * @param {number[][]} window
 * @returns {Promise<number[][]>}
 */
export async function placesOf(text, window) {
  const [count, axes] = text.shape;
  const steps = summed(wholeNumbers(await inflated(text.data), count * axes), text.shape, 0);
  return Array.from({ length: count }, (_, k) =>
    [0, 1].map((p) => {
      if (p >= axes) return 0;
      const [low, high] = window[p];
      return low + (high > low ? high - low : 1) * (steps[k * axes + p] / PARTS);
    }),
  );
}

/**
 * Numbers in single precision.
 * @param {NumbersText} text
 * @returns {Promise<Float32Array>}
 */
export async function floatsOf(text) {
  const bytes = await inflated(text.data);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Float32Array.from({ length: bytes.length / 4 }, (_, n) => view.getFloat32(4 * n, true));
}
