import assert from "node:assert/strict";
import { test } from "node:test";

import { fragmentOf, stateOf } from "../../../../report/explorer/script/fragment.js";
import { groups } from "../../../../report/explorer/script/inks.js";
import { ordered, orderSaid, rowsAround } from "../../../../report/explorer/script/order.js";

const state = {
  datum: 17,
  over: "map",
  place: [-0.25, 1.5],
  path: { over: "plane", from: [0, 1], to: [-2.5, 0.125] },
  colour: "log p(x) & k̂,=",
  order: "room",
  hidden: new Set(["prior", "draws"]),
  moment: 3,
  sample: true,
};

test("what is seen is in the address, and back", () => {
  assert.deepEqual(stateOf(`#${fragmentOf(state)}`), state);
  const plain = { ...state, over: "plane", place: null, path: null, hidden: new Set(), moment: -1, sample: false };
  assert.deepEqual(stateOf(fragmentOf(plain)), { datum: 17, colour: state.colour, order: "room" });
});

test("places keep five digits", () => {
  const { place } = stateOf(fragmentOf({ ...state, place: [1 / 3, -123.456789] }));
  assert.deepEqual(place, [0.33333, -123.46]);
});

test("what is no address of the explorer says nothing, and what cannot be read is left out", () => {
  for (const other of ["", "#", "#room", "#explorer", "#datum=3"]) assert.deepEqual(stateOf(other), {});
  const broken = "#explorer:datum=1.5&at=1,x&path=sky,0,0,1,1&moment=&over=under&hidden=&colour=room";
  assert.deepEqual(stateOf(broken), { colour: "room" });
  assert.deepEqual(stateOf("#explorer:at=1&path=map,1,2,3&datum=NaN"), {});
});

const column = (values, rest = {}) => ({
  name: "room",
  values: Float32Array.from(values),
  says: "",
  unit: "",
  worst: "high",
  is_label: false,
  ...rest,
});

test("worst first, equals by index, what is not known last", () => {
  assert.deepEqual(ordered(5, column([1, NaN, 3, 1, Infinity])), [4, 2, 0, 3, 1]);
  assert.deepEqual(ordered(5, column([1, NaN, 3, 1, -Infinity], { worst: "low" })), [4, 0, 3, 2, 1]);
  assert.deepEqual(ordered(3, undefined), [0, 1, 2]);
});

test("an order has words", () => {
  assert.equal(orderSaid(column([], { worst: "low" })), "room, lowest first");
  assert.equal(orderSaid(column([])), "room, highest first");
  assert.equal(orderSaid(undefined), "index");
});

test("the table begins a little above the chosen datum", () => {
  const order = [5, 3, 1, 0, 2, 4, 6, 7];
  assert.deepEqual(rowsAround(order, 5, 3), [
    { datum: 3, rank: 2 },
    { datum: 1, rank: 3 },
    { datum: 0, rank: 4 },
  ]);
  assert.equal(rowsAround(order, 0, 50).length, 8);
});

test("amounts are grouped by rank, labels by what they are", () => {
  const { group, limits } = groups(
    Float32Array.from({ length: 70 }, (_, n) => (n === 9 ? NaN : n ** 3)),
    false,
  );
  assert.equal(group[9], -1);
  const sizes = Array.from({ length: 7 }, (_, k) => group.filter((g) => g === k).length);
  assert.ok(
    sizes.every((size) => size >= 9 && size <= 11),
    String(sizes),
  );
  assert.deepEqual([limits[0], limits.at(-1)], [0, 69 ** 3]);
  assert.deepEqual([...groups([3, 1, NaN, 3], true).group], [1, 0, -1, 1]);
});

test("at another moment amounts keep the scale of the end", () => {
  const end = Float32Array.from({ length: 70 }, (_, n) => n);
  assert.deepEqual([...groups([-5, 35, 1000], false, end).group], [0, 3, 6]);
  assert.deepEqual([...groups([1, 2], false, [NaN, NaN]).group], [-1, -1]);
});
