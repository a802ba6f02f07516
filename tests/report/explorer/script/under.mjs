import assert from "node:assert/strict";
import { test } from "node:test";

import { ABSENT } from "../../../../report/explorer/script/explored.js";
import { lattice } from "../../../../report/explorer/script/lattice.js";
import { decodedAt, movedMost, numbersAt, numbersOnMap, serving } from "../../../../report/explorer/script/under.js";

const frame = {
  origin: [1, 1],
  axes: [
    [1, 0],
    [0, 1],
  ],
  duals: [
    [1, 0],
    [0, 1],
  ],
  window: [
    [-1, 1],
    [-1, 1],
  ],
  names: [],
  says: "",
};
const map = {
  ...frame,
  origin: [0, 0],
  window: [
    [-2, 2],
    [-2, 2],
  ],
};
const decoded = (window, mean, sample = null) => ({
  lattice: lattice(window, [2, 2]),
  mean: Uint8Array.from(mean),
  sample: sample && Uint8Array.from(sample),
});
/** Two values at four points: one value at all of them, then the next. */
const own = decoded(
  [
    [-1, 1],
    [-1, 1],
  ],
  [0, 100, 100, 200, 7, 7, 7, ABSENT],
  [1, 2, 3, 4, 5, 6, 7, 8],
);
const whole = decoded(
  [
    [-2, 2],
    [-2, 2],
  ],
  [0, 0, 40, 40, 10, 20, 10, 20],
);
const explored = {
  size: 2,
  latents: ["a", "b"],
  map,
  decoded: whole,
  lattice: lattice(map.window, [3, 3]),
  prior: Float64Array.from({ length: 9 }, (_, n) => -n),
};
const view = {
  frame,
  decoded: null,
  lattice: lattice(frame.window, [3, 3]),
  joint: Float64Array.from({ length: 9 }, (_, n) => -10 * n),
  prior: Float64Array.from({ length: 9 }, (_, n) => -n),
  guide: null,
};

test("the mean is bilinear between lattice points; next to what is not there it is not there", () => {
  assert.deepEqual([...decodedAt(explored, { ...view, decoded: own }, [-1, 0])], [50, 7]);
  const [first, second] = decodedAt(explored, { ...view, decoded: own }, [0, 0]);
  assert.ok(first === 100 && Number.isNaN(second));
  assert.deepEqual(
    [...decodedAt(explored, { ...view, decoded: own }, [-1, 1])],
    [100, 7],
    "at a point no other counts",
  );
});

test("a draw is that of the nearest point", () => {
  assert.deepEqual([...decodedAt(explored, { ...view, decoded: own }, [0.9, -0.8], true)], [3, 7]);
  assert.deepEqual([...decodedAt(explored, view, [-1, -1], true)], [20, 15], "without draws the mean");
});

test("the map's lattice serves a view at the same latents, where the map is all of latent space", () => {
  assert.deepEqual(serving(explored, view, [-1, 0]).place, [0, 1]);
  assert.deepEqual([...decodedAt(explored, view, [-1, 0])], [20, 17.5]);
  assert.equal(serving({ ...explored, latents: ["a", "b", "c"] }, view, [0, 0]), null);
  assert.equal(decodedAt({ ...explored, decoded: null }, view, [0, 0]), null);
});

test("beyond what was decoded there is nothing", () => {
  assert.equal(decodedAt(explored, view, [1.5, 0]), null);
  assert.equal(decodedAt(explored, null, [2.5, 0]), null);
  assert.ok(decodedAt(explored, null, [2, -2]));
});

test("numbers are those of the nearest point, not between points", () => {
  const numbers = numbersAt(view, [0.4, -0.6]);
  assert.deepEqual(numbers.place, [0, -1]);
  assert.deepEqual(numbers.u, [1, 0]);
  assert.deepEqual([numbers.joint, numbers.prior, numbers.guide], [-30, -3, NaN]);
  const there = numbersOnMap(explored, [1.9, 1.9]);
  assert.deepEqual([there.place, there.prior, there.joint], [[2, 2], -8, NaN]);
  const beyond = numbersOnMap(explored, [1e9, 1]);
  assert.deepEqual([beyond.place, beyond.u, beyond.prior], [[1e9, 1], [1e9, 1], NaN]);
});

test("of many coordinates those that moved most are shown, in their order", () => {
  assert.deepEqual(movedMost([1, 2, 3], [0, 0, 0]), [0, 1, 2]);
  assert.deepEqual(movedMost([5, 14, 6, -3, 7, 12, 8, 11], new Array(8).fill(5)), [1, 3, 4, 5, 6, 7]);
});
