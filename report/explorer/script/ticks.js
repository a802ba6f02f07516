/** Round numbers along an axis, and numbers as text. */

/**
 * About so many round numbers between two ends.
 * @param {number} low
 * @param {number} high
 * @param {number} count
 * @returns {{value: number, text: string}[]}
 */
export function ticks(low, high, count) {
  const width = high - low;
  if (!(width > 0) || !Number.isFinite(width)) return [];
  const rough = width / Math.max(count, 1);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = /** @type {number} */ ([1, 2, 5, 10].map((n) => n * power).find((size) => size >= rough * 0.999));
  const largest = Math.max(Math.abs(low), Math.abs(high));
  const text = largest >= 1e4 || largest < 1e-3 ? asPower(largest, step) : asDecimals(step);
  const found = [];
  for (let n = Math.ceil(low / step - 1e-9); n <= Math.floor(high / step + 1e-9); n++) {
    found.push({ value: n * step, text: signed(text(n * step)) });
  }
  return found;
}

/** Numbers in steps, with as many decimals as these have. @param {number} step */
function asDecimals(step) {
  const decimals = Math.min(Math.max(0, -Math.floor(Math.log10(step * 1.001))), 12);
  return (/** @type {number} */ value) => value.toFixed(decimals);
}

/** The same as powers of ten, which are short: 2e4. @param {number} largest @param {number} step */
function asPower(largest, step) {
  const digits = Math.min(Math.max(1, Math.ceil(Math.log10(largest / step)) + 1), 15);
  return (/** @type {number} */ value) =>
    value === 0 ? "0" : Number(value.toPrecision(digits)).toExponential().replace("e+", "e");
}

/**
 * A number with so many decimals, or as a power of ten where it is very large.
 * @param {number} value
 * @param {number} decimals
 */
export function said(value, decimals = 2) {
  if (Number.isNaN(value)) return "not known";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  return signed(Math.abs(value) >= 1e6 ? value.toExponential(2) : value.toFixed(decimals));
}

/** A true minus, and no −0. @param {string} text */
const signed = (text) => (/^-0(\.0*)?$/.test(text) ? text.slice(1) : text.replaceAll("-", "−"));
