import assert from "node:assert/strict";
import { test } from "node:test";

import { levelOf, loops } from "../../../../report/explorer/script/contours.js";

const SIZE = 81;
const at = (n) => -4 + (8 * n) / (SIZE - 1);
const surface = (f) => Float64Array.from({ length: SIZE * SIZE }, (_, n) => f(at(Math.floor(n / SIZE)), at(n % SIZE)));
const normal = surface((a, b) => -0.5 * (a * a + b * b));

/** By the shoelace formula, in steps of the lattice: positive if the region lies on the left. */
const area = (loop) => {
  let sum = 0;
  loop.forEach(([x, y], n) => {
    const [u, v] = loop[(n + 1) % loop.length];
    sum += (x * v - u * y) / 2;
  });
  return sum;
};
const STEP = 8 / (SIZE - 1);
const areas = (values, level) => loops(values, [SIZE, SIZE], level).map((loop) => area(loop) * STEP * STEP);

test("the level of a mass is that of a normal: its regions end ln(1 − mass) below the top", () => {
  for (const mass of [0.1, 0.5, 0.9])
    assert.ok(Math.abs(levelOf(normal, mass) - Math.log(1 - mass)) < 0.02, String(mass));
});

test("a level is the same whatever is added to the density, and whatever order the points have", () => {
  assert.ok(
    Math.abs(
      levelOf(
        normal.map((v) => v - 5000),
        0.5,
      ) +
        5000 -
        levelOf(normal, 0.5),
    ) < 1e-9,
  );
  assert.equal(levelOf(normal.toReversed(), 0.5), levelOf(normal, 0.5));
});

test("where there is no density there is no level, and no line", () => {
  const nothing = new Float64Array(9).fill(-Infinity);
  assert.equal(levelOf(nothing, 0.5), -Infinity);
  assert.deepEqual(loops(nothing, [3, 3], levelOf(nothing, 0.5)), []);
});

test("a circle is one closed line of its own area", () => {
  const [circle, ...others] = areas(normal, -2);
  assert.equal(others.length, 0);
  assert.ok(Math.abs(Math.abs(circle) - Math.PI * 4) < 0.03);
});

test("a ring is two lines, one of them the other way round", () => {
  const ring = areas(
    surface((a, b) => -((Math.hypot(a, b) - 2) ** 2)),
    -0.25,
  ).sort((a, b) => a - b);
  assert.equal(ring.length, 2);
  assert.ok(ring[0] * ring[1] < 0);
  assert.ok(Math.abs(Math.abs(ring[0] + ring[1]) - Math.PI * (2.5 ** 2 - 1.5 ** 2)) < 0.05);
});

test("two modes are two lines", () => {
  const two = surface((a, b) =>
    Math.log(Math.exp(-4 * ((a - 2) ** 2 + b * b)) + Math.exp(-4 * ((a + 2) ** 2 + b * b))),
  );
  const found = areas(two, -1).map(Math.abs);
  assert.equal(found.length, 2);
  for (const one of found) assert.ok(Math.abs(one - Math.PI / 4) < 0.02);
});

test("what is cut off by the window ends at its edge", () => {
  const half = areas(
    surface((a, b) => -0.5 * ((a - 4) ** 2 + b * b)),
    -2,
  ).map(Math.abs);
  assert.equal(half.length, 1);
  assert.ok(Math.abs(half[0] - Math.PI * 2) < 0.03);
  assert.equal(loops(normal, [SIZE, SIZE], -100).length, 1);
});

test("corners that meet are one region, and every line is closed", () => {
  const saddle = Float64Array.of(1, 0, 0, 1);
  const found = loops(saddle, [2, 2], 0.5);
  assert.ok(found.length >= 1 && found.every((loop) => loop.length >= 3));
});

test("a cliff to minus infinity has a line at its foot", () => {
  const cliff = Float64Array.from({ length: 25 }, (_, n) => (n % 5 < 2 ? 0 : -Infinity));
  const [loop] = loops(cliff, [5, 5], -1);
  assert.ok(loop.every(([i, j]) => i >= 0 && i <= 4 && j >= 0 && j < 1.1));
});
