/** The page at work: its data are read, its controls are bound, and what tests and the curious may ask is there. */
import { bindControls } from "./controls.js";
import { found } from "./elements.js";
import { Explored } from "./explored.js";
import { Explorer } from "./explorer.js";
import { stateOf } from "./fragment.js";
import { BY_INDEX } from "./order.js";
import { decodedAt, numbersAt } from "./under.js";

/** @typedef {import("./fragment.js").State} State */
/** @typedef {import("./lattice.js").Place} Place */

/** What is seen at first: the datum that most needs a look. @param {Explored} explored @returns {State} */
function first(explored) {
  const worst = explored.columns.find((column) => column.worst !== null);
  const label = explored.columns.find((column) => column.is_label);
  return {
    datum: explored.text.views[0]?.datum ?? 0,
    over: "plane",
    place: null,
    path: null,
    colour: (worst ?? label ?? explored.columns[0])?.name ?? "",
    order: worst?.name ?? BY_INDEX,
    hidden: new Set(),
    moment: -1,
    sample: false,
  };
}

/**
 * What a link asks for, where there is such.
 * @param {Explored} explored
 * @param {string} fragment
 * @returns {Partial<State>}
 */
function asked(explored, fragment) {
  const state = stateOf(fragment);
  if (state.datum !== undefined && !(state.datum >= 0 && state.datum < explored.numData)) delete state.datum;
  if (state.colour !== undefined && !explored.column(state.colour)) delete state.colour;
  if (state.order !== undefined && state.order !== BY_INDEX && !explored.column(state.order)) delete state.order;
  if (state.moment !== undefined && !explored.moments[state.moment]) delete state.moment;
  return state;
}

/** Read the data, bind the controls, and show the first datum. */
async function begin() {
  const explored = await new Explored(JSON.parse(found("data", HTMLElement).textContent ?? "")).open();
  const linked = location.hash.startsWith("#explorer:");
  const explorer = new Explorer(explored, { ...first(explored), ...asked(explored, location.hash) });
  bindControls(explorer);
  addEventListener("hashchange", () => {
    const state = asked(explored, location.hash);
    if (Object.keys(state).length)
      explorer.select(state.datum ?? explorer.state.datum, { ...first(explored), ...state });
  });
  const { datum, ...rest } = explorer.state;
  await explorer.show(datum, rest);
  if (linked) found("bar", HTMLElement).scrollIntoView();
  return explorer;
}

const begun = begin();

const asking = {
  /** Once the first datum is shown. @type {Promise<void>} */
  ready: begun.then(() => undefined),
  /** What is seen. @type {State | null} */
  state: null,
  /** Choose a datum. @param {number} datum */
  async select(datum) {
    await (await begun).select(datum);
  },
  /**
   * The numbers of the lattice point nearest to a place of the chosen datum's plane, and what the model makes of the
   * place itself, in the units of the data.
   * @param {number} a
   * @param {number} b
   */
  at(a, b = 0) {
    const explorer = asking.explorer;
    if (!explorer?.view) return null;
    /** @type {Place} */
    const place = [a, b];
    const { place: point, u, joint, prior, guide } = numbersAt(explorer.view, place);
    const values = decodedAt(explorer.explored, explorer.view, place, explorer.state.sample);
    return {
      place: point,
      u,
      log_joint: joint,
      log_prior: prior,
      log_q: guide,
      decoded: values && Array.from(values, (v) => explorer.explored.value(v)),
    };
  },
  /** Frames a second over the last second of moving. */
  pace: () => asking.explorer?.frames.pace() ?? NaN,
  /** @type {Explorer | null} */
  explorer: null,
};
begun.then((explorer) => {
  asking.explorer = explorer;
  Object.defineProperty(asking, "state", {
    get: () => ({ ...explorer.state, hidden: [...explorer.state.hidden] }),
    enumerable: true,
  });
});
Object.assign(globalThis, { explorer: asking });
