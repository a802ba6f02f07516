/** All data where their codes are, coloured by a column. */
import { levelOf } from "./contours.js";
import { lined } from "./curves.js";
import { made } from "./elements.js";
import { SYMBOLS, amounts, classInk, groups, isDark, mark } from "./inks.js";
import { MASSES } from "./plane.js";
import { said } from "./ticks.js";

/** @typedef {import("./stage.js").Stage} Stage */
/** @typedef {import("./explored.js").Explored} Explored */
/** @typedef {import("./explored.js").Column} Column */
/** @typedef {import("./lattice.js").Place} Place */

/** Pixels within which a datum of the map is chosen, with a mouse and with a finger. */
export const REACH = { mouse: 16, touch: 28 };
/** Golden ratio: data on a line are spread over the height by their index. */
const SPREAD = 0.6180339887;

/**
 * Where a datum is drawn.
 * @param {Explored} explored
 * @param {Place[]} codes
 * @param {number} datum
 * @returns {Place}
 */
export function spot(explored, codes, datum) {
  const [a, b] = codes[datum];
  return explored.isLine ? [a, 0.08 + 0.84 * ((datum * SPREAD) % 1)] : [a, b];
}

/**
 * The datum whose code is nearest to a pixel; −1 if none is near.
 * @param {Stage} stage
 * @param {Explored} explored
 * @param {Place[]} codes
 * @param {Place} place
 * @param {number} reach pixels
 */
export function nearestDatum(stage, explored, codes, place, reach) {
  const [x, y] = stage.pixel(place);
  let best = -1;
  let least = reach;
  for (let n = 0; n < codes.length; n++) {
    const [px, py] = stage.pixel(spot(explored, codes, n));
    const far = Math.hypot(px - x, py - y);
    if (far <= least) [best, least] = [n, far];
  }
  return best;
}

/**
 * Draw the map.
 * @param {CanvasRenderingContext2D} pen
 * @param {Stage} stage
 * @param {Explored} explored
 * @param {Place[]} codes
 * @param {Column | undefined} column
 * @param {ArrayLike<number>} values of the column; at a moment of the training others than its own
 * @param {Record<string, string>} ink
 */
export function drawMap(pen, stage, explored, codes, column, values, ink) {
  const { x, y, width, height } = stage.box;
  const dark = isDark();
  pen.save();
  pen.beginPath();
  pen.rect(x, y, width, height);
  pen.clip();
  if (!explored.isLine) {
    pen.strokeStyle = ink.faint;
    pen.setLineDash([5, 4]);
    for (const mass of MASSES) lined(pen, stage, explored.lattice, explored.prior, levelOf(explored.prior, mass));
    pen.setLineDash([]);
  }
  const { group } = groups(values, column?.is_label ?? false, column?.values);
  const colours = amounts(dark);
  const radius = codes.length > 2000 ? 2 : 3.6;
  for (let n = 0; n < codes.length; n++) {
    const [px, py] = stage.pixel(spot(explored, codes, n));
    const of = column ? group[n] : -1;
    pen.lineWidth = 1.5;
    if (of < 0) {
      pen.strokeStyle = ink.data;
      mark(pen, "ring", px, py, radius - 1);
    } else if (column?.is_label) {
      pen.fillStyle = pen.strokeStyle = classInk(of);
      mark(pen, SYMBOLS[of % SYMBOLS.length], px, py, radius + 0.4);
    } else {
      pen.fillStyle = colours[of];
      mark(pen, "disc", px, py, radius);
      pen.lineWidth = 0.6;
      pen.strokeStyle = ink.faint;
      pen.stroke();
    }
  }
  pen.restore();
  stage.axes(pen, ink, explored.map.names);
}

/**
 * A ring around a datum.
 * @param {CanvasRenderingContext2D} pen
 * @param {Stage} stage
 * @param {Place} place
 * @param {Record<string, string>} ink
 * @param {boolean} chosen or only under the cursor
 */
export function ring(pen, stage, place, ink, chosen) {
  const [x, y] = stage.pixel(place);
  for (const [colour, width] of /** @type {[string, number][]} */ ([
    [ink.paper, 4],
    [chosen ? ink.guide : ink.ink, chosen ? 2.4 : 1.2],
  ])) {
    pen.strokeStyle = colour;
    pen.lineWidth = width;
    pen.beginPath();
    pen.arc(x, y, chosen ? 8 : 7, 0, 2 * Math.PI);
    pen.stroke();
  }
}

/**
 * What the colours and symbols stand for.
 * @param {HTMLElement} legend
 * @param {Column | undefined} column
 */
export function fillLegend(legend, column) {
  legend.replaceChildren();
  if (!column) return;
  const { limits, group } = groups(column.values, column.is_label);
  const swatch = (/** @type {string} */ symbol, /** @type {string} */ colour) => {
    const canvas = /** @type {HTMLCanvasElement} */ (
      made("canvas", { width: "24", height: "24", "aria-hidden": "true" })
    );
    const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    [pen.fillStyle, pen.strokeStyle, pen.lineWidth] = [colour, colour, 3];
    mark(pen, symbol, 12, 12, 8);
    return canvas;
  };
  if (column.is_label) {
    limits.forEach((label, n) =>
      legend.append(
        made(
          "span",
          {},
          swatch(SYMBOLS[n % SYMBOLS.length], classInk(n)),
          said(label, Number.isInteger(label) ? 0 : 2),
        ),
      ),
    );
  } else if (limits.length) {
    const ramp = made("span", { class: "explorer-ramp", "aria-hidden": "true" });
    for (const colour of amounts(isDark())) ramp.append(made("i", { style: `background: ${colour}` }));
    const unit = column.unit ? ` ${column.unit}` : "";
    const [low, middle, high] = [limits[0], (limits[3] + limits[4]) / 2, limits[limits.length - 1]];
    const ends = made(
      "span",
      { class: "explorer-ends" },
      made("span", {}, said(low)),
      made("span", {}, said(middle)),
      made("span", {}, said(high) + unit),
    );
    legend.append(made("span", { class: "explorer-scale" }, ramp, ends));
  }
  if (group.includes(-1)) legend.append(made("span", {}, swatch("ring", inkOfUnknown()), "not known"));
  legend.append(made("span", {}, column.says));
}

/** @returns {string} */
const inkOfUnknown = () => getComputedStyle(document.documentElement).getPropertyValue("--data").trim();
