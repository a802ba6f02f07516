/** What lies on the line of a datum that has one latent: densities as curves, draws as ticks below them. */
import { levelOf } from "./contours.js";
import { placeOf } from "./lattice.js";
import { MASSES } from "./plane.js";

/** @typedef {import("./plane.js").Scene} Scene */
/** @typedef {import("./stage.js").Stage} Stage */
/** @typedef {import("./lattice.js").Lattice} Lattice */

/** Highest of all curves, over the height of the picture; draws lie below 0. */
const TALL = 0.92;
export const LINE_WINDOW = [-0.16, 1];

/**
 * A density along the line, 1 times its share of the highest one.
 * @param {Float64Array} values log densities
 * @param {number} highest
 */
const heights = (values, highest) => Array.from(values, (value) => TALL * Math.exp(value - highest));

/** log of the sum of a density over the lattice. @param {Float64Array} values */
function logMass(values) {
  const top = values.reduce((a, b) => Math.max(a, b), -Infinity);
  return Number.isFinite(top) ? top + Math.log(values.reduce((sum, value) => sum + Math.exp(value - top), 0)) : 0;
}

/** @param {CanvasRenderingContext2D} pen @param {Stage} stage @param {Lattice} lattice @param {number[]} tall */
function curve(pen, stage, lattice, tall) {
  tall.forEach((height, i) => pen.lineTo(...stage.pixel([placeOf(lattice, i, 0)[0], height])));
}

/** @param {Scene} scene @param {Float64Array} values @param {number[]} tall */
function area({ pen, stage, view, ink }, values, tall) {
  ["posterior-outer", "posterior"].forEach((name, n) => {
    const level = levelOf(values, MASSES[1 - n]);
    pen.fillStyle = ink[name];
    for (let first = 0; first < tall.length; first++) {
      if (!(values[first] >= level)) continue;
      let last = first;
      while (last + 1 < tall.length && values[last + 1] >= level) last++;
      const along = tall.slice(first, last + 1).map((height, n) => [placeOf(view.lattice, first + n, 0)[0], height]);
      pen.beginPath();
      for (const point of [[along[0][0], 0], ...along, [along[along.length - 1][0], 0]])
        pen.lineTo(...stage.pixel(point));
      pen.fill();
      first = last;
    }
  });
}

/**
 * Draw the layers that are on. All curves are of mass 1 on this window, and to one scale.
 * @param {Scene} scene
 * @param {Set<string>} layers
 */
export function drawLine(scene, layers) {
  const { pen, stage, view, ink } = scene;
  const masses = new Map([view.joint, view.prior, ...(view.guide ? [view.guide] : [])].map((v) => [v, logMass(v)]));
  const shown = [layers.has("posterior") && view.joint, layers.has("guide") && view.guide].filter(
    (v) => v !== false && v !== null,
  );
  const tops = (shown.length ? shown : [view.prior]).map(
    (values) => values.reduce((a, b) => Math.max(a, b), -Infinity) - (masses.get(values) ?? 0),
  );
  const highest = Math.max(...tops.filter(Number.isFinite), -50);
  const tall = (/** @type {Float64Array} */ values) => heights(values, highest + (masses.get(values) ?? 0));
  const { x, y, width, height } = stage.box;
  pen.save();
  pen.beginPath();
  pen.rect(x, y, width, height);
  pen.clip();
  if (layers.has("posterior")) area(scene, view.joint, tall(view.joint));
  /** @type {[string, Float64Array | null, string, number[]][]} */
  const lines = [
    ["posterior", view.joint, ink.exact, []],
    ["prior", view.prior, ink.faint, [5, 4]],
    ["guide", view.guide, ink.guide, []],
  ];
  for (const [name, values, colour, dashes] of lines) {
    if (!layers.has(name) || !values) continue;
    pen.strokeStyle = colour;
    pen.lineWidth = name === "guide" ? 2.2 : 1.4;
    pen.setLineDash(dashes);
    pen.beginPath();
    curve(pen, stage, view.lattice, tall(values));
    pen.stroke();
  }
  pen.setLineDash([]);
  marks(scene, layers);
  pen.restore();
  stage.axes(pen, ink, view.frame.names.slice(0, 1));
}

/** Draws, modes and the mean of q, below the curves. @param {Scene} scene @param {Set<string>} layers */
function marks({ pen, stage, view, ink }, layers) {
  /** @type {[string, number[][], string, number, number][]} */
  const rows = [
    ["chains", view.chains ?? [], ink.draws, -0.02, -0.07],
    ["draws", view.draws, ink.guide, -0.09, -0.14],
    ["modes", view.modes, ink.exact, 0, 1],
    ["code", [view.code], ink.guide, 0, 1],
  ];
  for (const [name, places, colour, from, to] of rows) {
    if (!layers.has(name)) continue;
    const isLong = to === 1;
    pen.strokeStyle = colour;
    pen.lineWidth = isLong ? 1.5 : 1;
    pen.globalAlpha = isLong ? 1 : 0.5;
    pen.setLineDash(name === "code" ? [2, 3] : []);
    pen.beginPath();
    for (const [a] of places) {
      pen.moveTo(...stage.pixel([a, from]));
      pen.lineTo(...stage.pixel([a, to]));
    }
    pen.stroke();
  }
  pen.globalAlpha = 1;
  pen.setLineDash([]);
}
