/** In which order the data come. */

/** @typedef {import("./explored.js").Column} Column */

/** The name of the order that is none: 0, 1, 2 … */
export const BY_INDEX = "index";

/**
 * All data, those first that most need a look: by a column, what is not known last; equals by index.
 * @param {number} count
 * @param {Column | undefined} column by index without one
 * @returns {number[]}
 */
export function ordered(count, column) {
  const all = Array.from({ length: count }, (_, n) => n);
  if (!column) return all;
  const sign = column.worst === "low" || column.is_label ? 1 : -1;
  const { values } = column;
  return all.sort((m, n) => {
    const [a, b] = [values[m], values[n]];
    if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
    return a === b ? 0 : sign * (a < b ? -1 : 1); // equals stay in their order
  });
}

/** An order in words. @param {Column | undefined} column */
export function orderSaid(column) {
  if (!column) return "index";
  if (column.is_label) return column.name;
  return `${column.name}, ${column.worst === "low" ? "lowest" : "highest"} first`;
}

/** Rows of the table before the chosen datum. */
const BEFORE = 4;

/**
 * The rows of a table around a place in an order.
 * @param {number[]} order
 * @param {number} place
 * @param {number} most
 */
export function rowsAround(order, place, most) {
  const first = Math.max(place - BEFORE, 0);
  return order.slice(first, first + most).map((datum, n) => ({ datum, rank: first + n + 1 }));
}
