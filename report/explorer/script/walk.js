/** A path: what the model makes of places along it, and how probable they are. */
import { aspect, draw } from "./drawn.js";
import { drawnElement, made, penOf } from "./elements.js";
import { between, onTheWay } from "./lattice.js";
import { said } from "./ticks.js";
import { decodedAt } from "./under.js";

/** @typedef {import("./explored.js").Explored} Explored */
/** @typedef {import("./explored.js").View} View */
/** @typedef {import("./fragment.js").Path} Path */

export const STOPS = 9;
/** Places of the curve: eight steps between two pictures. */
const POINTS = 65;
/** Pixels of a chart, and of its words. */
const CHART_HEIGHT = 84;
const CHART_HEAD = 26;

/**
 * The strip of pictures from one end to the other.
 * @param {HTMLElement} container
 * @param {Explored} explored
 * @param {View | null} view null: on the map
 * @param {Path} path
 */
export function showStrip(container, explored, view, path) {
  const known = container.querySelector("canvas");
  const canvas = known ?? /** @type {HTMLCanvasElement} */ (made("canvas", { role: "img" }));
  if (!known) container.append(canvas);
  const width = container.clientWidth;
  const each = width / STOPS;
  const height = Math.min((each - 4) / aspect(explored.drawn), 120);
  canvas.style.height = `${height}px`;
  const pen = penOf(canvas, width, height);
  let absent = 0;
  for (let n = 0; n < STOPS; n++) {
    const values = decodedAt(explored, view, onTheWay(path.from, path.to, n / (STOPS - 1)));
    const box = { x: n * each + 2, y: 0, width: each - 4, height };
    if (values) draw(pen, values, explored.drawn, box, explored.scale);
    else absent++;
  }
  canvas.setAttribute("aria-label", `${STOPS - absent} pictures that the model makes of places along the path`);
  canvas.hidden = absent === STOPS;
}

/**
 * log p(z), and on a datum's plane log p(x, z), along the path: below the pictures of the same places.
 * @param {Explored} explored
 * @param {View | null} view
 * @param {Path} path
 * @param {number} width pixels
 * @returns {SVGElement[]}
 */
export function pathCharts(explored, view, path, width) {
  const lattice = view ? view.lattice : explored.lattice;
  const along = (/** @type {Float64Array} */ values) =>
    Array.from({ length: POINTS }, (_, n) => between(lattice, values, onTheWay(path.from, path.to, n / (POINTS - 1))));
  const charts = [pathChart("log p(z)", along(view ? view.prior : explored.prior), "prior", width)];
  if (view) charts.unshift(pathChart("log p(x, z)", along(view.joint), "posterior", width));
  return charts;
}

/** @param {string} name @param {number[]} values @param {string} kind @param {number} width @returns {SVGElement} */
function pathChart(name, values, kind, width) {
  const finite = values.filter(Number.isFinite);
  const [low, high] = [Math.min(...finite), Math.max(...finite)];
  const margin = width / STOPS / 2;
  const x = (/** @type {number} */ n) => margin + ((width - 2 * margin) * n) / (POINTS - 1);
  const y = (/** @type {number} */ value) =>
    CHART_HEAD + ((CHART_HEIGHT - CHART_HEAD - 8) * (high - value)) / Math.max(high - low, 1e-9);
  const range = finite.length ? `${name}, from ${said(low)} to ${said(high)} nats` : `${name} is not known there`;
  const svg = /** @type {SVGElement} */ (
    drawnElement("svg", {
      viewBox: `0 0 ${width} ${CHART_HEIGHT}`,
      role: "img",
      "aria-label": `Along the path: ${range}`,
      class: "explorer-chart",
    })
  );
  svg.append(drawnElement("text", { x: 0, y: 14 }, range));
  const parts = [];
  for (let n = 0, down = false; n < POINTS; n++) {
    if (Number.isFinite(values[n])) parts.push(`${down ? "L" : "M"}${x(n).toFixed(1)} ${y(values[n]).toFixed(1)}`);
    down = Number.isFinite(values[n]);
  }
  svg.append(drawnElement("path", { d: parts.join(""), class: `explorer-curve ${kind}` }));
  for (let n = 0; n < POINTS; n += (POINTS - 1) / (STOPS - 1)) {
    if (Number.isFinite(values[n]))
      svg.append(drawnElement("circle", { cx: x(n), cy: y(values[n]), r: 2.5, class: `explorer-stop ${kind}` }));
  }
  return svg;
}
