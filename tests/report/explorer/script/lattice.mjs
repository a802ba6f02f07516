import assert from "node:assert/strict";
import { test } from "node:test";

import {
  around,
  between,
  lattice,
  nearest,
  onTheWay,
  placeOf,
  placeOn,
  pointAt,
  stepped,
} from "../../../../report/explorer/script/lattice.js";

const plane = lattice(
  [
    [-1, 1],
    [0, 3],
  ],
  [5, 7],
);
const line = lattice([[2, 4]], [9]);

test("the nearest point has its own place, and the ends are points", () => {
  assert.deepEqual(nearest(plane, [0.2, 1.3]).place, [0, 1.5]);
  assert.equal(nearest(plane, [0.2, 1.3]).index, 2 * 7 + 3);
  assert.deepEqual(nearest(plane, [-9, 9]).place, [-1, 3]);
  assert.deepEqual(nearest(plane, [1, 3]).index, 34);
  assert.deepEqual(nearest(line, [2.6, 5]).place, [2.5, 0]);
});

test("axis 0 varies slowest, as in Frame.lattice", () => {
  for (let i = 0; i < 5; i++)
    for (let j = 0; j < 7; j++) assert.equal(nearest(plane, placeOf(plane, i, j)).index, i * 7 + j);
});

test("between points a bilinear function is what it is, and nothing is outside", () => {
  const f = ([a, b]) => 2 - a + 3 * b + 0.5 * a * b;
  const values = Float64Array.from({ length: 35 }, (_, n) => f(placeOf(plane, Math.floor(n / 7), n % 7)));
  for (const place of [
    [0.13, 2.71],
    [-1, 0],
    [1, 3],
    [0.5, 1.5],
  ])
    assert.ok(Math.abs(between(plane, values, place) - f(place)) < 1e-12);
  assert.ok(Number.isNaN(between(plane, values, [1.01, 1])));
  assert.equal(around(plane, [0, -0.1]), null);
});

test("shares are positive and sum to one, on a line as well", () => {
  for (const [on, place] of [
    [plane, [0.13, 2.71]],
    [line, [2.01, 0]],
    [line, [4, 0]],
  ]) {
    const corners = around(on, place);
    assert.ok(corners.every(({ share }) => share >= 0));
    assert.ok(Math.abs(corners.reduce((sum, { share }) => sum + share, 0) - 1) < 1e-12);
  }
});

test("a point of minus infinity counts where it is near, and only there", () => {
  const values = new Float64Array(35).fill(1);
  values[0] = -Infinity;
  assert.equal(between(plane, values, [-0.9, 0.1]), -Infinity);
  assert.equal(between(plane, values, [-0.5, 0.1]), 1);
});

test("steps end at the window", () => {
  assert.deepEqual(stepped(plane, [0.1, 1.4], 1, -1), [0.5, 1]);
  assert.deepEqual(stepped(plane, [1, 3], 1, 1), [1, 3]);
  assert.deepEqual(stepped(line, [2.5, 0], -1, 1), [2.25, 0]);
});

test("a place becomes a point and a place again; elsewhere a point falls upon the plane", () => {
  const frame = {
    origin: [1, 2, 3],
    axes: [
      [2, 0, 0],
      [1, 1, 0],
    ],
    duals: [
      [0.5, -0.5, 0],
      [0, 1, 0],
    ],
    window: [],
    names: [],
    says: "",
  };
  assert.deepEqual(pointAt(frame, [3, -1]), [6, 1, 3]);
  assert.deepEqual(placeOn(frame, [6, 1, 3]), [3, -1]);
  assert.deepEqual(placeOn(frame, [6, 1, 99]), [3, -1]);
  assert.deepEqual(placeOn({ ...frame, duals: [[0.5, 0, 0]] }, [3, 0, 0]), [1, 0]);
});

test("a way is straight", () => assert.deepEqual(onTheWay([0, 1], [4, 3], 0.25), [1, 1.5]));
