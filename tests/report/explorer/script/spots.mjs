import assert from "node:assert/strict";
import { test } from "node:test";

import { homeOf, isWhole, levelsOf } from "../../../../report/explorer/script/plane.js";
import { INSET, beyondMap, nearestDatum, spot } from "../../../../report/explorer/script/spots.js";
import { Stage } from "../../../../report/explorer/script/stage.js";

const window = [
  [-1, 3],
  [0, 2],
];
const stage = Object.create(Stage.prototype);
Object.assign(stage, { window, size: 452, height: 248 }); // a box of 400 by 200 pixels, from (42, 10) on
const explored = { isLine: false, map: { window, axes: [0, 0] } };
const [left, top, width, height] = [42, 10, 400, 200];

test("a code within the window is where it is, ends included", () => {
  assert.deepEqual(spot(stage, explored, [[1, 1]], 0), { at: [242, 110], out: null });
  assert.deepEqual(spot(stage, explored, [[-1, 2]], 0), { at: [left, top], out: null });
  assert.deepEqual(spot(stage, explored, [[3, 0]], 0), { at: [left + width, top + height], out: null });
});

test("one beyond it is drawn at the border, in its direction from the middle", () => {
  const right = spot(stage, explored, [[1e12, 1]], 0);
  assert.deepEqual(right, { at: [left + width - INSET, 110], out: [1, 0] });
  const up = spot(stage, explored, [[1, 2.1]], 0);
  assert.deepEqual(up, { at: [242, top + INSET], out: [0, -1] });
  for (const [a, b] of [
    [9, 2],
    [-7, -30],
    [3.1, 0.5],
  ]) {
    const { at, out } = spot(stage, explored, [[a, b]], 0);
    const [dx, dy] = [(a - 1) * 100, (1 - b) * 100];
    assert.ok(Math.abs(out[0] * dy - out[1] * dx) < 1e-6 * Math.hypot(dx, dy) && out[0] * dx + out[1] * dy > 0);
    assert.ok(Math.abs((at[0] - 242) * dy - (at[1] - 110) * dx) < 1e-6 * Math.hypot(dx, dy));
    const gap = Math.min(at[0] - left, left + width - at[0], at[1] - top, top + height - at[1]);
    assert.ok(Math.abs(gap - INSET) < 1e-9);
  }
});

test("on a line it stays at its height", () => {
  const line = { isLine: true, map: { window: [window[0]], axes: [0] } };
  const [inside, far] = [spot(stage, line, [[1, 0]], 0), spot(stage, line, [[-1e9, 0]], 0)];
  assert.equal(far.at[1], inside.at[1]);
  assert.deepEqual([far.at[0], far.out], [left + INSET, [-1, 0]]);
});

test("what is drawn at the border is chosen there, and what is not finite nowhere", () => {
  const codes = [
    [0, 1],
    [1e9, 1],
    [NaN, 1],
  ];
  assert.equal(nearestDatum(stage, explored, codes, [2.9, 1], 16), 1);
  assert.equal(nearestDatum(stage, explored, codes, [2, 1], 16), -1);
  assert.deepEqual(beyondMap(explored, codes), { beyond: 1, nowhere: 1 });
});

test("the cursor begins at the mean of q, or at a mode that is on the plane", () => {
  const frame = { window };
  assert.deepEqual(homeOf({ code: [0, 1], modes: [[1, 1]], frame }), [0, 1]);
  const modes = [
    [9, 9],
    [2, 1],
  ];
  assert.deepEqual(homeOf({ code: [0, 99], modes, frame }), [2, 1]);
  assert.deepEqual(homeOf({ code: [0, 99], modes: [], frame }), [1, 1]);
  assert.deepEqual(homeOf({ code: [NaN, 0], modes: [], frame: { window: [window[0]] } }), [1, 0]);
});

test("regions of the prior are the map's only if it holds and resolves the prior", () => {
  const normal = (half) =>
    Float64Array.from({ length: 49 * 49 }, (_, n) => {
      const [a, b] = [Math.floor(n / 49), n % 49].map((i) => half * (i / 24 - 1));
      return (-a * a - b * b) / 2;
    });
  assert.ok(isWhole(normal(4), 49));
  assert.ok(!isWhole(normal(1), 49), "most of it lies beyond");
  assert.ok(!isWhole(normal(3000), 49), "all of it lies between points");
  assert.ok(isWhole(normal(4).slice(24 * 49, 25 * 49), 1) && !isWhole(normal(3000).slice(24 * 49, 25 * 49), 1));
  const around = { prior: normal(1), joint: normal(1), guide: null };
  const all = (prior) => ({ latents: ["a", "b"], map: { axes: [0, 0] }, lattice: { sizes: [49, 49] }, prior });
  const whole = levelsOf(all(normal(4)), around).prior;
  assert.ok(Math.abs(whole[0] - Math.log(0.5)) < 0.05 && Math.abs(whole[1] - Math.log(0.1)) < 0.1);
  assert.deepEqual(levelsOf(all(normal(3000)), around).prior, levelsOf(all(normal(1)), around).posterior);
});
