/** What lies on the plane of a datum: posterior, q, prior, draws, modes. Layers are those of document.py. */
import { levelOf } from "./contours.js";
import { filled, lined } from "./curves.js";
import { mark } from "./inks.js";
import { within } from "./spots.js";

/** @typedef {import("./stage.js").Stage} Stage */
/** @typedef {import("./explored.js").View} View */
/** @typedef {import("./explored.js").Explored} Explored */
/** @typedef {import("./lattice.js").Place} Place */
/** @typedef {Record<string, string>} Inks */
/** @typedef {{pen: CanvasRenderingContext2D, stage: Stage, view: View, ink: Inks, levels: Levels}} Scene */
/** @typedef {{posterior: number[], guide: number[], prior: number[]}} Levels of 50 and of 90 % */
/** @typedef {(scene: Scene) => void} Layer */

export const MASSES = [0.5, 0.9];

/** @type {Layer} */
function posterior({ pen, stage, view, ink, levels }) {
  pen.fillStyle = ink["posterior-outer"];
  filled(pen, stage, view.lattice, view.joint, levels.posterior[1]);
  pen.fillStyle = ink.posterior;
  filled(pen, stage, view.lattice, view.joint, levels.posterior[0]);
}

/** @type {Layer} */
function prior({ pen, stage, view, ink, levels }) {
  pen.strokeStyle = ink.faint;
  pen.lineWidth = 1.25;
  pen.setLineDash([5, 4]);
  for (const level of levels.prior) lined(pen, stage, view.lattice, view.prior, level);
  pen.setLineDash([]);
}

/** @type {Layer} */
function guide({ pen, stage, view, ink, levels }) {
  if (!view.guide) return;
  pen.strokeStyle = ink.guide;
  levels.guide.forEach((level, n) => {
    pen.lineWidth = n ? 1.4 : 2.2;
    lined(pen, stage, view.lattice, /** @type {Float64Array} */ (view.guide), level);
  });
}

/** @param {Scene} scene @param {number[][]} places @param {string} colour */
function dots({ pen, stage }, places, colour) {
  pen.fillStyle = colour;
  pen.globalAlpha = places.length > 150 ? 0.55 : 0.75;
  for (const place of places) {
    const [x, y] = stage.pixel(place);
    pen.beginPath();
    pen.arc(x, y, 1.7, 0, 2 * Math.PI);
    pen.fill();
  }
  pen.globalAlpha = 1;
}

/** @type {Layer} */
function modes({ pen, stage, view, ink }) {
  for (const [colour, width] of /** @type {[string, number][]} */ ([
    [ink.paper, 4.5],
    [ink.exact, 2],
  ])) {
    pen.strokeStyle = colour;
    pen.lineWidth = width;
    for (const place of view.modes) mark(pen, "cross", ...stage.pixel(place), 6);
  }
}

/** @type {Layer} */
function code({ pen, stage, view, ink }) {
  const [x, y] = stage.pixel(view.code);
  pen.fillStyle = ink.paper;
  mark(pen, "diamond", x, y, 7);
  pen.fillStyle = ink.guide;
  mark(pen, "diamond", x, y, 5);
}

/** Layers from the lowest to the highest. @type {[string, Layer][]} */
const LAYERS = [
  ["posterior", posterior],
  ["prior", prior],
  ["chains", (scene) => dots(scene, scene.view.chains ?? [], scene.ink.draws)],
  ["draws", (scene) => dots(scene, scene.view.draws, scene.ink.guide)],
  ["guide", guide],
  ["modes", modes],
  ["code", code],
];

export const LAYER_NAMES = LAYERS.map(([name]) => name);

/**
 * Whether a lattice shows a density whole: its region of 90 % ends within the window, and is not one of a few points.
 * @param {Float64Array} values log densities
 * @param {number} across points along the second axis
 */
export function isWhole(values, across) {
  const outer = levelOf(values, MASSES[1]);
  const last = values.length / across - 1;
  const isEnd = (/** @type {number} */ n) =>
    [0, last].includes(Math.floor(n / across)) || (across > 1 && [0, across - 1].includes(n % across));
  const region = [...values.keys()].filter((n) => values[n] >= outer);
  return region.length > 3 && !region.some(isEnd);
}

/**
 * Where regions of 50 and 90 % end. Of the prior, where the map is all of latent space, they are the whole prior's; all
 * others are of what lies on this window.
 * @param {Explored} explored
 * @param {View} view
 * @returns {Levels}
 */
export function levelsOf(explored, view) {
  const isAll = explored.latents.length === explored.map.axes.length;
  const whole = isAll && isWhole(explored.prior, explored.lattice.sizes[1]) ? explored.prior : view.prior;
  const of = (/** @type {Float64Array | null} */ values) => (values ? MASSES.map((mass) => levelOf(values, mass)) : []);
  return { posterior: of(view.joint), guide: of(view.guide), prior: of(whole) };
}

/**
 * Where the cursor is before somebody moves it: at the mean of q, or if that lies beyond the window at the highest mode.
 * @param {View} view
 * @returns {Place}
 */
export function homeOf({ code, modes, frame }) {
  const [[left, right], [low, high] = [0, 0]] = frame.window;
  const middle = /** @type {Place} */ ([(left + right) / 2, (low + high) / 2]);
  return [code, ...modes].find((place) => within(frame.window, place)) ?? middle;
}

/**
 * Draw the layers that are on.
 * @param {Scene} scene
 * @param {Set<string>} layers
 */
export function drawPlane(scene, layers) {
  const { pen, stage, ink, view } = scene;
  const { x, y, width, height } = stage.box;
  pen.save();
  pen.beginPath();
  pen.rect(x, y, width, height);
  pen.clip();
  for (const [name, layer] of LAYERS) if (layers.has(name)) layer(scene);
  pen.restore();
  stage.axes(pen, ink, view.frame.names);
}
