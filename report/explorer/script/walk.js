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
const POINTS = 61;
const CHART = { width: 720, height: 96, left: 108, right: 12 };

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
 * log p(z), and on a datum's plane log p(x, z), along the path.
 * @param {Explored} explored
 * @param {View | null} view
 * @param {Path} path
 * @returns {SVGElement[]}
 */
export function pathCharts(explored, view, path) {
  const lattice = view ? view.lattice : explored.lattice;
  const along = (/** @type {Float64Array} */ values) =>
    Array.from({ length: POINTS }, (_, n) => between(lattice, values, onTheWay(path.from, path.to, n / (POINTS - 1))));
  const charts = [chart("log p(z)", along(view ? view.prior : explored.prior), "prior")];
  if (view) charts.unshift(chart("log p(x, z)", along(view.joint), "posterior"));
  return charts;
}

/** @param {string} name @param {number[]} values @param {string} kind @returns {SVGElement} */
function chart(name, values, kind) {
  const finite = values.filter(Number.isFinite);
  const [low, high] = [Math.min(...finite), Math.max(...finite)];
  const span = Math.max(high - low, 1e-9);
  const x = (/** @type {number} */ n) => CHART.left + ((CHART.width - CHART.left - CHART.right) * n) / (POINTS - 1);
  const y = (/** @type {number} */ value) => 12 + ((CHART.height - 24) * (high - value)) / span;
  const words = finite.length ? `${name} along the path: from ${said(values[0])} to ${said(values[POINTS - 1])}, between ${said(low)} and ${said(high)} nats` : `${name} is not known there`;
  const svg = /** @type {SVGElement} */ (drawnElement("svg", { viewBox: `0 0 ${CHART.width} ${CHART.height}`, role: "img", "aria-label": words, class: "explorer-chart" }));
  svg.append(drawnElement("text", { x: 0, y: CHART.height / 2 + 4 }, name));
  if (!finite.length) return svg;
  const parts = [];
  for (let n = 0, down = false; n < POINTS; n++) {
    if (Number.isFinite(values[n])) parts.push(`${down ? "L" : "M"}${x(n).toFixed(1)} ${y(values[n]).toFixed(1)}`);
    down = Number.isFinite(values[n]);
  }
  svg.append(drawnElement("path", { d: parts.join(""), class: `explorer-curve ${kind}` }));
  svg.append(drawnElement("text", { x: CHART.left - 8, y: 16, "text-anchor": "end", class: "explorer-tick" }, said(high, 1)));
  svg.append(drawnElement("text", { x: CHART.left - 8, y: CHART.height - 8, "text-anchor": "end", class: "explorer-tick" }, said(low, 1)));
  return svg;
}
