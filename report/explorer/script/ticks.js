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
  const decimals = Math.max(0, -Math.floor(Math.log10(step * 1.001)));
  const found = [];
  for (let n = Math.ceil(low / step - 1e-9); n <= Math.floor(high / step + 1e-9); n++) {
    found.push({ value: n * step, text: signed((n * step).toFixed(Math.min(decimals, 12))) });
  }
  return found;
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
