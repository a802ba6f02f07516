/** How a datum is drawn: a picture, lines over time, bars. Names as in drawn.py. */
import { isDark } from "./inks.js";

/** @typedef {{kind: string, sizes: number[]}} Drawn */
/** @typedef {{x: number, y: number, width: number, height: number}} Box */
/** @typedef {CanvasRenderingContext2D} Pen */
/** @typedef {(pen: Pen, values: ArrayLike<number>, sizes: number[], box: Box, zero: number) => void} Way */

const TOP = 254;

/** What is drawn on white paper as ink, by night too: what is not there is hatched. @type {Way} */
function picture(pen, values, [height, width, channels], box) {
  const image = new ImageData(width, height);
  for (let n = 0; n < width * height; n++) {
    for (let c = 0; c < 3; c++) {
      const value = values[n * channels + (channels > 1 ? c : 0)];
      const share = Number.isNaN(value) ? (n % 2 ? 0.82 : 0.7) : channels > 1 ? value / TOP : 1 - value / TOP;
      image.data[4 * n + c] = 255 * share;
    }
    image.data[4 * n + 3] = 255;
  }
  const scale = Math.min(box.width / width, box.height / height);
  const [w, h] = [width * scale, height * scale];
  const small = scratch(width, height);
  small.putImageData(image, 0, 0);
  pen.imageSmoothingEnabled = false;
  pen.drawImage(small.canvas, 0, 0, width, height, box.x + (box.width - w) / 2, box.y + (box.height - h) / 2, w, h);
}

/** Values over time, one line each; sizes are steps and values. @type {Way} */
function lines(pen, values, [steps, count], box, zero) {
  baseline(pen, box, zero);
  const shades = isDark() ? ["#e4e1d9", "#5fb0e0", "#f0b73c", "#35c79b"] : ["#22252a", "#0072b2", "#b07700", "#009e73"];
  for (let p = 0; p < count; p++) {
    pen.strokeStyle = shades[p % shades.length];
    pen.setLineDash(p < shades.length ? [] : [4, 2]);
    pen.lineWidth = 1.5;
    pen.beginPath();
    let down = false;
    for (let t = 0; t < steps; t++) {
      const value = values[t * count + p];
      if (Number.isNaN(value)) {
        down = false;
        continue;
      }
      const [x, y] = [box.x + (box.width * t) / Math.max(steps - 1, 1), height(box, value)];
      if (down) pen.lineTo(x, y);
      else pen.moveTo(x, y);
      down = true;
    }
    pen.stroke();
  }
  pen.setLineDash([]);
}

/** One bar a value, from zero. @type {Way} */
function bars(pen, values, [count], box, zero) {
  pen.fillStyle = isDark() ? "#5fb0e0" : "#0072b2";
  const each = box.width / count;
  const gap = each > 4 ? 1 : 0;
  const ground = height(box, Math.min(Math.max(zero, 0), TOP));
  for (let k = 0; k < count; k++) {
    if (Number.isNaN(values[k])) continue;
    const y = height(box, values[k]);
    pen.fillRect(box.x + k * each, Math.min(y, ground), Math.max(each - gap, 0.5), Math.max(Math.abs(y - ground), 0.5));
  }
  baseline(pen, box, zero);
}

/** @param {Box} box @param {number} value */
const height = (box, value) => box.y + box.height - 2 - ((box.height - 4) * value) / TOP;

/** @param {CanvasRenderingContext2D} pen @param {Box} box @param {number} zero */
function baseline(pen, box, zero) {
  if (zero < 0 || zero > TOP) return;
  pen.fillStyle = isDark() ? "#6a6e74" : "#a9a59a";
  pen.fillRect(box.x, height(box, zero), box.width, 1);
}

/** @type {Map<string, CanvasRenderingContext2D>} */
const scratches = new Map();

/** A small canvas that is used again. @param {number} width @param {number} height */
function scratch(width, height) {
  const key = `${width}x${height}`;
  const known = scratches.get(key);
  if (known) return known;
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  const made = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
  scratches.set(key, made);
  return made;
}

/** @type {Record<string, Way>} */
const WAYS = { picture, lines, bars };

/**
 * Draw a datum into a box.
 * @param {CanvasRenderingContext2D} pen
 * @param {ArrayLike<number>} values bytes, perhaps between two; NaN where there is none
 * @param {Drawn} drawn
 * @param {Box} box
 * @param {{low: number, high: number}} scale
 */
export function draw(pen, values, drawn, box, scale) {
  const zero = (TOP * (0 - scale.low)) / (scale.high - scale.low || 1);
  WAYS[drawn.kind](pen, values, drawn.sizes, box, zero);
}

/** Width over height of a datum as it is drawn. @param {Drawn} drawn */
export const aspect = (drawn) => (drawn.kind === "picture" ? drawn.sizes[1] / drawn.sizes[0] : 1.5);
