/** Lines on a plane: regions as closed lines, filled or drawn, and paths. */
import { loops } from "./contours.js";
import { placeOf } from "./lattice.js";

/** @typedef {import("./stage.js").Stage} Stage */
/** @typedef {import("./lattice.js").Lattice} Lattice */

/**
 * Pixels of the lines around {values ≥ level}.
 * @param {Stage} stage
 * @param {Lattice} lattice
 * @param {Float64Array} values
 * @param {number} level
 */
function outline(stage, lattice, values, level) {
  const last = lattice.sizes.map((size) => size - 1);
  return loops(values, lattice.sizes, level).map((loop) =>
    loop.map(([i, j]) => ({
      at: stage.pixel(placeOf(lattice, i, j)),
      edges: [i <= 0, i >= last[0], j <= 0, j >= last[1]],
    })),
  );
}

/**
 * Fill a region.
 * @param {CanvasRenderingContext2D} pen
 * @param {Stage} stage
 * @param {Lattice} lattice
 * @param {Float64Array} values
 * @param {number} level
 */
export function filled(pen, stage, lattice, values, level) {
  pen.beginPath();
  for (const loop of outline(stage, lattice, values, level)) {
    pen.moveTo(loop[0].at[0], loop[0].at[1]);
    for (const { at } of loop) pen.lineTo(at[0], at[1]);
    pen.closePath();
  }
  pen.fill("evenodd");
}

/**
 * Draw the line around a region; not along the edge of the window, where it is cut off.
 * @param {CanvasRenderingContext2D} pen
 * @param {Stage} stage
 * @param {Lattice} lattice
 * @param {Float64Array} values
 * @param {number} level
 */
export function lined(pen, stage, lattice, values, level) {
  pen.beginPath();
  for (const loop of outline(stage, lattice, values, level)) {
    let before = loop[loop.length - 1];
    let down = false;
    for (const point of loop) {
      if (point.edges.some((edge, n) => edge && before.edges[n])) down = false;
      else {
        if (!down) pen.moveTo(before.at[0], before.at[1]);
        pen.lineTo(point.at[0], point.at[1]);
        down = true;
      }
      before = point;
    }
  }
  pen.stroke();
}

/**
 * The straight path, with its ends.
 * @param {CanvasRenderingContext2D} pen
 * @param {Stage} stage
 * @param {{from: number[], to: number[]}} path
 * @param {Record<string, string>} ink
 */
export function pathLine(pen, stage, path, ink) {
  const [from, to] = [stage.pixel(path.from), stage.pixel(path.to)];
  for (const [colour, width] of /** @type {[string, number][]} */ ([
    [ink.paper, 4.5],
    [ink.ink, 2],
  ])) {
    pen.strokeStyle = colour;
    pen.lineWidth = width;
    pen.beginPath();
    pen.moveTo(...from);
    pen.lineTo(...to);
    pen.stroke();
  }
  for (const [x, y] of [from, to]) {
    pen.fillStyle = ink.paper;
    pen.beginPath();
    pen.arc(x, y, 4, 0, 2 * Math.PI);
    pen.fill();
    pen.stroke();
  }
}

/**
 * The cursor, and the lattice point whose numbers are told.
 * @param {CanvasRenderingContext2D} pen
 * @param {Stage} stage
 * @param {number[]} place
 * @param {number[]} point
 * @param {Record<string, string>} ink
 */
export function cursor(pen, stage, place, point, ink) {
  const { x: left, y: top, width, height } = stage.box;
  const [x, y] = stage.pixel(place);
  pen.strokeStyle = ink.faint;
  pen.lineWidth = 1;
  pen.globalAlpha = 0.5;
  pen.beginPath();
  pen.moveTo(x, top);
  pen.lineTo(x, top + height);
  pen.moveTo(left, y);
  pen.lineTo(left + width, y);
  pen.stroke();
  pen.globalAlpha = 1;
  const [px, py] = stage.pixel(point);
  for (const [colour, size] of /** @type {[string, number][]} */ ([
    [ink.paper, 3.5],
    [ink.ink, 1.5],
  ])) {
    pen.strokeStyle = colour;
    pen.lineWidth = size;
    pen.beginPath();
    pen.moveTo(px - 5, py);
    pen.lineTo(px + 5, py);
    pen.moveTo(px, py - 5);
    pen.lineTo(px, py + 5);
    pen.stroke();
  }
}
