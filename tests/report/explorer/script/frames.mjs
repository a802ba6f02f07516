import assert from "node:assert/strict";
import { test } from "node:test";

import { Frames } from "../../../../report/explorer/script/frames.js";

/** A screen that is refreshed when the test says so, and a clock that it sets. */
function screen() {
  const state = { now: 0, waiting: [] };
  globalThis.requestAnimationFrame = (draw) => state.waiting.push(draw);
  performance.now = () => state.now;
  state.refresh = (milliseconds) => {
    state.now += milliseconds;
    for (const draw of state.waiting.splice(0)) draw(state.now);
  };
  return state;
}

test("what changes often is drawn once a frame, and nothing is drawn for nothing", () => {
  const display = screen();
  const drawn = [];
  const frames = new Frames((what) => drawn.push([...what].sort().join()));
  for (let n = 0; n < 5; n++) frames.change("under", "map");
  display.refresh(16);
  display.refresh(16);
  assert.deepEqual(drawn, ["map,under"]);
  assert.equal(display.waiting.length, 0);
});

test("the pace is that of frames while something moves", () => {
  const display = screen();
  let drawings = 0;
  const frames = new Frames(() => drawings++);
  assert.ok(Number.isNaN(frames.pace()));
  for (let n = 0; n < 200; n++) {
    frames.move();
    display.refresh(20);
  }
  assert.ok(Math.abs(frames.pace() - 50) < 1e-9);
  assert.equal(drawings, 0, "a move that changes nothing draws nothing");
  for (let n = 0; n < 20; n++) display.refresh(20);
  assert.equal(display.waiting.length, 0, "still: no frames are asked for");
  for (let n = 0; n < 30; n++) {
    frames.move();
    display.refresh(10);
  }
  assert.ok(Math.abs(frames.pace() - 100) < 1e-9, "rest is not counted");
});
