/** Colours of the page, by day and by night, and those of numbers and classes on the map. */

/** Of amounts, from low to high, by rank: what is high stands out from the paper. */
const LIGHT = ["#cfe3c4", "#9fd0b8", "#62b4b5", "#3894ac", "#316d9b", "#2f4a85", "#1f2758"];
/** Of classes, each with a symbol of its own. */
const CLASSES = [
  "#0072b2",
  "#d55e00",
  "#009e73",
  "#b5548a",
  "#b07700",
  "#3d93c9",
  "#7a6a4f",
  "#8b5fbf",
  "#a32b1f",
  "#5f7d2c",
];
export const SYMBOLS = ["disc", "square", "up", "diamond", "plus", "cross", "down", "ring", "box", "bar"];
const NAMES = [
  "paper",
  "card",
  "ink",
  "faint",
  "line",
  "track",
  "accent",
  "mark",
  "exact",
  "posterior",
  "posterior-outer",
  "guide",
  "draws",
  "bound",
  "data",
  "encoder",
  "family",
  "rest",
  "sans",
];

/** Whether what is drawn now is on dark paper. */
export const isDark = () => matchMedia("screen and (prefers-color-scheme: dark)").matches;

/** The page's own colours by name, as they are now. @returns {Record<string, string>} */
export function inks() {
  const style = getComputedStyle(document.documentElement);
  return Object.fromEntries(NAMES.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

/** Seven colours from low to high. @param {boolean} dark */
export const amounts = (dark) => (dark ? LIGHT.toReversed() : LIGHT);

/** @param {number} n of a class */
export const classInk = (n) => CLASSES[n % CLASSES.length];

/**
 * How each datum is drawn on the map: by rank for amounts, by class for labels.
 * @param {ArrayLike<number>} values
 * @param {boolean} isLabel
 * @param {ArrayLike<number>} scale the values by whose ranks amounts are grouped
 * @returns {{group: Int16Array, limits: number[]}} of each datum its group, −1 if its value is not known; of amounts
 *     where the seven groups end, of labels which they are
 */
export function groups(values, isLabel, scale = values) {
  const known = Array.from(scale)
    .filter((value) => !Number.isNaN(value))
    .sort((a, b) => a - b);
  const distinct = [...new Set(known)];
  const of = new Int16Array(values.length).fill(-1);
  if (isLabel) {
    for (let n = 0; n < of.length; n++) of[n] = distinct.indexOf(values[n]);
    return { group: of, limits: distinct };
  }
  const count = LIGHT.length;
  const limits = Array.from({ length: count + 1 }, (_, k) => known[Math.round((k / count) * (known.length - 1))]);
  for (let n = 0; n < of.length; n++) {
    if (!known.length || Number.isNaN(values[n])) continue;
    let k = 0;
    while (k < count - 1 && values[n] > limits[k + 1]) k++;
    of[n] = k;
  }
  return { group: of, limits: known.length ? limits : [] };
}

/**
 * A symbol.
 * @param {CanvasRenderingContext2D} pen its fillStyle and strokeStyle are used
 * @param {string} symbol
 * @param {number} x
 * @param {number} y
 * @param {number} r
 */
export function mark(pen, symbol, x, y, r) {
  pen.beginPath();
  if (symbol === "disc" || symbol === "ring") pen.arc(x, y, r, 0, 2 * Math.PI);
  else if (symbol === "square" || symbol === "box") pen.rect(x - r * 0.85, y - r * 0.85, r * 1.7, r * 1.7);
  else if (symbol === "bar") pen.rect(x - r, y - r * 0.35, 2 * r, r * 0.7);
  else if (symbol === "plus" || symbol === "cross") {
    const [c, s] = symbol === "plus" ? [r, 0] : [r * 0.75, r * 0.75];
    pen.moveTo(x - c, y - s);
    pen.lineTo(x + c, y + s);
    pen.moveTo(x + s, y - c);
    pen.lineTo(x - s, y + c);
  } else {
    const corners =
      symbol === "diamond"
        ? [
            [0, -1.2],
            [1, 0],
            [0, 1.2],
            [-1, 0],
          ]
        : [
            [0, -1],
            [1, 0.8],
            [-1, 0.8],
          ];
    corners.forEach(([right, down]) => pen.lineTo(x + right * r, y + (symbol === "down" ? -down : down) * r));
    pen.closePath();
  }
  if (["ring", "box", "plus", "cross"].includes(symbol)) pen.stroke();
  else pen.fill();
}
