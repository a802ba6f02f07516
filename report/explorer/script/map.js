/** All data where their codes are, coloured by a column. */
import { levelOf } from "./contours.js";
import { lined } from "./curves.js";
import { made } from "./elements.js";
import { SYMBOLS, amounts, classInk, groups, isDark, mark } from "./inks.js";
import { MASSES } from "./plane.js";
import { INSET, spot } from "./spots.js";
import { said } from "./ticks.js";

/** @typedef {import("./stage.js").Stage} Stage */
/** @typedef {import("./explored.js").Explored} Explored */
/** @typedef {import("./explored.js").Column} Column */
/** @typedef {import("./lattice.js").Place} Place */

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
    const {
      at: [px, py],
      out,
    } = spot(stage, explored, codes, n);
    if (out) arrow(pen, px, py, out, ink.ink);
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
 * An arrow from a datum at the border to where its code is.
 * @param {CanvasRenderingContext2D} pen
 * @param {number} x
 * @param {number} y
 * @param {[number, number]} out
 * @param {string} colour
 */
function arrow(pen, x, y, [right, down], colour) {
  const [base, tip, half] = [INSET - 7, INSET - 1, 4];
  pen.fillStyle = colour;
  pen.beginPath();
  pen.moveTo(x + tip * right, y + tip * down);
  pen.lineTo(x + base * right - half * down, y + base * down + half * right);
  pen.lineTo(x + base * right + half * down, y + base * down - half * right);
  pen.fill();
}

/**
 * A ring around a datum.
 * @param {CanvasRenderingContext2D} pen
 * @param {[number, number]} at pixels
 * @param {Record<string, string>} ink
 * @param {boolean} chosen or only under the cursor
 */
export function ring(pen, [x, y], ink, chosen) {
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
