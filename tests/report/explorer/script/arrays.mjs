/** What Python has written is what the page reads. ARRAYS names a file of encoded arrays beside what is to be read. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { bytesOf, floatsOf, placesOf, surfaceOf } from "../../../../report/explorer/script/arrays.js";
import { summed, wholeNumbers } from "../../../../report/explorer/script/bytes.js";

test("whole numbers are zigzag varints, beyond 32 bits too", () => {
  assert.deepEqual([...wholeNumbers(Uint8Array.of(0, 1, 2, 3, 0x80, 1), 5)], [0, -1, 1, -2, 64]);
  const large = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 15];
  assert.deepEqual([...wholeNumbers(Uint8Array.from(large), 1)], [2 ** 52 - 1]);
});

test("sums go along one axis; those of bytes are modulo 256", () => {
  assert.deepEqual([...summed(Float64Array.of(1, 2, 3, 4, 5, 6), [2, 3], 1)], [1, 3, 6, 4, 9, 15]);
  assert.deepEqual([...summed(Float64Array.of(1, 2, 3, 4, 5, 6), [2, 3], 0)], [1, 2, 3, 5, 7, 9]);
  assert.deepEqual([...summed(Uint8Array.of(200, 100, 250), [3], 0)], [200, 44, 38]);
});

const number = (value) => (value === "nan" ? NaN : value === "inf" ? Infinity : value === "-inf" ? -Infinity : value);

test("arrays that Python wrote are read", { skip: !process.env.ARRAYS && "no ARRAYS" }, async () => {
  const cases = JSON.parse(readFileSync(process.env.ARRAYS, "utf-8"));
  assert.ok(cases.length >= 8);
  for (const { kind, text, values, window, within } of cases) {
    const read = { bytes: bytesOf, surface: surfaceOf, floats: floatsOf, places: (each) => placesOf(each, window) }[
      kind
    ];
    const found = [...(await read(text))].flat();
    assert.equal(found.length, values.length, kind);
    values.map(number).forEach((expected, n) => {
      const close = Object.is(found[n], expected) || Math.abs(found[n] - expected) <= within;
      assert.ok(close, `${kind}: ${found[n]} is not ${expected}`);
    });
  }
});
