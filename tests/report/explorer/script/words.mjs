import assert from "node:assert/strict";
import { test } from "node:test";

import { ladderSaid, stepParts } from "../../../../report/explorer/script/ladder.js";
import { beyondSaid, planeSaid } from "../../../../report/explorer/script/says.js";
import { numbersSaid } from "../../../../report/explorer/script/seen.js";
import { said, ticks } from "../../../../report/explorer/script/ticks.js";

test("ticks are round, within the ends, and about as many as asked for", () => {
  assert.deepEqual(
    ticks(-3.5, 3.5, 4).map(({ text }) => text),
    ["−2", "0", "2"],
  );
  assert.deepEqual(
    ticks(0.001, 0.0042, 3).map(({ text }) => text),
    ["0.002", "0.004"],
  );
  for (const [low, high] of [
    [0, 1],
    [-1e-5, 1e-5],
    [1234, 5678],
    [-3e7, 1e8],
    [-51.6, -49.9],
  ]) {
    const found = ticks(low, high, 5);
    assert.ok(found.length >= 2 && found.length <= 6, `${low} ${high}: ${found.length}`);
    assert.ok(found.every(({ value }) => value >= low - 1e-9 && value <= high + 1e-9));
    assert.equal(new Set(found.map(({ text }) => text)).size, found.length);
  }
  const texts = (...ends) => ticks(...ends).map(({ text }) => text);
  assert.deepEqual(texts(-25e3, 25e3, 5), ["−2e4", "−1e4", "0", "1e4", "2e4"], "which has room beside the axis");
  assert.deepEqual(texts(-1.5e-10, 1.5e-10, 3), ["−1e−10", "0", "1e−10"]);
  assert.deepEqual(texts(123450, 123456, 3), ["1.2345e5", "1.23452e5", "1.23454e5", "1.23456e5"]);
  assert.deepEqual([ticks(1, 1, 5), ticks(0, NaN, 5), ticks(0, Infinity, 5)], [[], [], []]);
});

test("numbers have a true minus, and words where they are none", () => {
  assert.deepEqual(
    [-1.005, -0.001, 2, NaN, Infinity, -Infinity, -12345678].map((v) => said(v)),
    ["−1.00", "0.00", "2.00", "not known", "∞", "−∞", "−1.23e+7"],
  );
});

const rung = (name, value, stderr = 0) => ({ name, value, stderr, bound: "lower" });

test("a ladder has a sentence, whatever of it is known", () => {
  assert.equal(
    ladderSaid([rung("ELBO", -10, 0.1), rung("refined ELBO", -9.5), rung("log p(x)", -9)]),
    "ELBO −10.00 ± 0.10, log p(x) −9.00 nats. Between them 1.00 nats: 0.50 up to refined ELBO, 0.50 up to log p(x).",
  );
  assert.equal(ladderSaid([rung("ELBO", -10, NaN)]), "ELBO −10.00 nats.");
  assert.equal(ladderSaid([rung("ELBO", -Infinity)]), "No value of this datum is known.");
});

test("steps are parts of the room as far as the amortization gap reaches", () => {
  const steps = [
    rung("ELBO", -10),
    rung("best", -9.6),
    rung("better", -9),
    rung("below", -8),
    { ...rung("above", -7.9), bound: "upper" },
  ];
  assert.deepEqual(stepParts(steps, 0.4), ["encoder", "family", "family", "unsure"]);
  assert.deepEqual(stepParts(steps, 1), ["encoder", "encoder", "family", "unsure"]);
  assert.deepEqual(stepParts(steps, NaN), ["rest", "rest", "rest", "unsure"]);
});

test("numbers are told to those who hear them, and only those that are known", () => {
  const numbers = { place: [1, 2], u: [], joint: -3, prior: -1, guide: NaN };
  assert.equal(numbersSaid(numbers, false), "At 1.00, 2.00: log p(x, z) −3.00.");
  assert.equal(
    numbersSaid({ ...numbers, guide: -1 }, false),
    "At 1.00, 2.00: log p(x, z) −3.00, log q −1.00, log w −2.00.",
  );
  assert.equal(numbersSaid(numbers, true), "On the map at 1.00, 2.00: log p(z) −1.00.");
});

const frame = { axes: [1, 2], window: [[0, 1]], says: "Here." };
const view = { frame, says: ["There."], prior: Float64Array.of(-1, -2), guide: null, code: [0.5, 0] };
const levels = (half, most) => ({ posterior: [], guide: [], prior: [half, most] });

test("a plane says that q is not known, and where the prior is if it cannot be seen", () => {
  const said = planeSaid(view, levels(-3, -5)).join(" ");
  assert.match(
    said,
    /^Here\. There\. Regions .* window\. All of the window lies where the prior has its inner half\. The density of q/,
  );
  assert.match(planeSaid(view, levels(0, -0.5)).join(" "), /outside of 90 % of the prior/);
  assert.doesNotMatch(planeSaid(view, levels(-1.5, -5)).join(" "), /window lies/);
});

test("codes that are not where they are drawn are told", () => {
  assert.deepEqual(beyondSaid({ beyond: 0, nowhere: 0 }).filter(Boolean), []);
  assert.deepEqual(beyondSaid({ beyond: 1, nowhere: 1 }), [
    "One code lies beyond this window: an arrow at its border points there.",
    "One code is not finite, and not drawn.",
  ]);
  assert.deepEqual(beyondSaid({ beyond: 3, nowhere: 2 }), [
    "3 codes lie beyond this window: arrows at its border point there.",
    "2 codes are not finite, and not drawn.",
  ]);
});

test("it is told if the mean of q is not on the plane", () => {
  assert.doesNotMatch(planeSaid(view, levels(0, -0.5)).join(" "), /beyond/);
  assert.match(planeSaid({ ...view, code: [1e9, 0] }, levels(0, -0.5)).join(" "), /mean of q lies beyond this window/);
});
