/** What is seen, as the end of the page's address: a link brings another reader to the same place. */

/** @typedef {import("./lattice.js").Place} Place */
/** @typedef {"plane" | "map"} Over */
/** @typedef {{over: Over, from: Place, to: Place}} Path */
/**
 * @typedef {object} State
 * @property {number} datum
 * @property {Over} over where the cursor is
 * @property {Place | null} place of the cursor; null: at the mean of q
 * @property {Path | null} path
 * @property {string} colour a column
 * @property {string} order a column, or `index`
 * @property {Set<string>} hidden layers that are switched off
 * @property {number} moment of the training; −1: the end
 * @property {boolean} sample whether a draw of x is shown, not the mean
 */

const START = "explorer:";

/** @param {Place} place */
const placeText = (place) => place.map((value) => Number(value.toPrecision(5))).join(",");

/** @param {string | null} text @returns {number[] | null} */
function numbers(text) {
  const values = (text ?? "").split(",").map(Number);
  return text && values.every(Number.isFinite) ? values : null;
}

/** @param {State} state @returns {string} what stands after the # */
export function fragmentOf(state) {
  const parts = new URLSearchParams({ datum: String(state.datum), colour: state.colour, order: state.order });
  if (state.over !== "plane") parts.set("over", state.over);
  if (state.place) parts.set("at", placeText(state.place));
  if (state.path) parts.set("path", `${state.path.over},${placeText(state.path.from)},${placeText(state.path.to)}`);
  if (state.hidden.size) parts.set("hidden", [...state.hidden].join(","));
  if (state.moment >= 0) parts.set("moment", String(state.moment));
  if (state.sample) parts.set("sample", "1");
  return START + parts;
}

/**
 * What a fragment says, as far as it can be read; of anything else nothing.
 * @param {string} fragment with or without its #
 * @returns {Partial<State>}
 */
export function stateOf(fragment) {
  const text = fragment.replace(/^#/, "");
  if (!text.startsWith(START)) return {};
  const parts = new URLSearchParams(text.slice(START.length));
  /** @type {Partial<State>} */
  const state = {};
  const datum = numbers(parts.get("datum"));
  if (datum && Number.isInteger(datum[0])) state.datum = datum[0];
  for (const name of /** @type {const} */ (["colour", "order"])) {
    const value = parts.get(name);
    if (value !== null) state[name] = value;
  }
  if (parts.get("over") === "map") state.over = "map";
  const place = numbers(parts.get("at"));
  if (place?.length === 2) state.place = [place[0], place[1]];
  const [over, ...ends] = (parts.get("path") ?? "").split(",");
  const path = numbers(ends.join(","));
  if ((over === "plane" || over === "map") && path?.length === 4) {
    state.path = { over, from: [path[0], path[1]], to: [path[2], path[3]] };
  }
  if (parts.get("hidden")) state.hidden = new Set(parts.get("hidden")?.split(","));
  const moment = numbers(parts.get("moment"));
  if (moment && Number.isInteger(moment[0])) state.moment = moment[0];
  if (parts.get("sample")) state.sample = true;
  return state;
}
