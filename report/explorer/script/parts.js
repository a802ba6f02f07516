/** Each part of the page, drawn as the state says. */
import { showControls } from "./controls.js";
import { cursor, pathLine } from "./curves.js";
import { found, made } from "./elements.js";
import { ladderChart, ladderSaid } from "./ladder.js";
import { drawLine, LINE_WINDOW } from "./line.js";
import { drawMap, fillLegend, ring } from "./map.js";
import { LAYER_NAMES, drawPlane, levelsOf } from "./plane.js";
import { beyondSaid, pathSaid, planeSaid } from "./says.js";
import { REACH, beyondMap, nearestDatum, spot } from "./spots.js";
import { fillTable } from "./table.js";
import { decodedAt } from "./under.js";
import { pathCharts, showStrip } from "./walk.js";

/** @typedef {import("./explored.js").Explored} Explored */
/** @typedef {import("./explorer.js").Explorer} Explorer */
/** @typedef {import("./lattice.js").Place} Place */

/**
 * Draw parts of the page, by their names.
 * @param {Explorer} explorer
 * @param {Set<string>} what
 */
export function drawParts(explorer, what) {
  if (explorer.mapStage.fit()) what.add("map").add("under");
  if (explorer.planeStage.fit(explorer.explored.isLine ? 0.75 : 1)) what.add("plane").add("under");
  if (what.has("controls")) showControls(explorer);
  if (what.has("map")) mapPart(explorer);
  if (what.has("plane")) planePart(explorer);
  if (what.has("datum")) datumPart(explorer);
  if (what.has("table")) tablePart(explorer);
  if (what.has("path")) pathPart(explorer);
  if (what.has("under") || what.has("path")) underPart(explorer);
}

/** @param {Explorer} explorer */
function mapPart(explorer) {
  const { explored, mapStage: stage, state } = explorer;
  const column = explored.column(state.colour);
  stage.window = explored.isLine ? [explored.map.window[0], [0, 1]] : explored.map.window;
  const values = explored.moments[state.moment]?.columns.get(state.colour) ?? column?.values ?? [];
  drawMap(stage.pen(stage.still), stage, explored, explorer.codes, column, values, explorer.ink);
  fillLegend(found("legend", HTMLElement), column);
  const moment = explored.moments[state.moment];
  found("map-says", HTMLElement).textContent = [
    explored.map.says,
    moment ? `As they were at ${moment.name}.` : "",
    ...beyondSaid(beyondMap(explored, explorer.codes)),
  ]
    .filter(Boolean)
    .join(" ");
}

/** @param {Explorer} explorer */
function planePart(explorer) {
  const { view, planeStage: stage, state, ink, explored } = explorer;
  found("plane-title", HTMLElement).textContent = `Around datum ${state.datum}`;
  stage.container.hidden = !view;
  const says = found("plane-says", HTMLElement);
  if (!view) {
    says.replaceChildren(made("p", {}, "No plane was computed for this datum: it is on the map and in the table."));
    return;
  }
  const layers = new Set(LAYER_NAMES.filter((name) => !state.hidden.has(name)));
  stage.window = explored.isLine ? [view.frame.window[0], LINE_WINDOW] : view.frame.window;
  const levels = levelsOf(explored, view);
  const scene = { pen: stage.pen(stage.still), stage, view, ink, levels };
  (explored.isLine ? drawLine : drawPlane)(scene, layers);
  says.replaceChildren(...planeSaid(view, levels).map((words) => made("p", {}, words)));
}

/** @param {Explorer} explorer */
function datumPart(explorer) {
  const { explored, view, state } = explorer;
  explorer.seen.showDatum(explored.datum(state.datum), view?.again ?? null);
  const ladder = found("ladder-chart", HTMLElement);
  const amortization = explored.column("amortization")?.values[state.datum] ?? NaN;
  const chart = view && ladderChart(view.ladder, amortization, Math.max(ladder.clientWidth, 240));
  ladder.replaceChildren(...(chart ? [chart] : []));
  found("ladder-says", HTMLElement).textContent = view
    ? ladderSaid(view.ladder)
    : "No plane was computed for this datum, and no ladder.";
  found("number", HTMLInputElement).value = String(state.datum);
  const rank = explorer.order.indexOf(state.datum) + 1;
  found("standing", HTMLElement).textContent = `place ${rank} of ${explored.numData}`;
  const flag = explored.flag(state.datum);
  const flagged = found("flag", HTMLElement);
  flagged.hidden = !flag;
  flagged.textContent = flag && `Not to be trusted: ${flag}.`;
}

/** @param {Explorer} explorer */
function tablePart(explorer) {
  const { explored, order, state } = explorer;
  const table = found("table", HTMLElement);
  const hadFocus = table.contains(document.activeElement);
  fillTable(table, explored, order, state.datum, state.order, (datum) => explorer.select(datum));
  const chosen = table.querySelector("[aria-current] button");
  if (hadFocus && chosen instanceof HTMLElement) chosen.focus({ preventScroll: true });
}

/** @param {Explorer} explorer */
function pathPart(explorer) {
  const { explored, state } = explorer;
  const path = state.path?.over === "plane" && !explorer.view ? null : state.path;
  const view = path?.over === "plane" ? explorer.view : null;
  const [strip, chart] = [found("path-strip", HTMLElement), found("path-chart", HTMLElement)];
  strip.hidden = chart.hidden = !path;
  found("path-says", HTMLElement).textContent = pathSaid(path);
  if (!path) return;
  showStrip(strip, explored, view, path);
  chart.replaceChildren(...pathCharts(explored, view, path, chart.clientWidth));
}

/** @param {Explorer} explorer */
function underPart(explorer) {
  const { explored, view, state, ink } = explorer;
  const { over, place } = explorer.cursor;
  const onMap = over === "map";
  const numbers = explorer.numbers;
  const values = decodedAt(explored, onMap ? null : view, place, state.sample);
  explorer.seen.showUnder(values, state.sample, numbers, (onMap || !view ? explored.map : view.frame).origin, onMap);
  const map = explorer.mapStage;
  const pen = map.pen(map.moving);
  if (state.path?.over === "map") pathLine(pen, map, onLine(explored, state.path), ink);
  ring(pen, spot(map, explored, explorer.codes, state.datum).at, ink, true);
  if (onMap && state.place) {
    const shown = explored.isLine ? [place[0], state.place[1]] : place;
    const near = nearestDatum(map, explored, explorer.codes, /** @type {Place} */ (shown), REACH.mouse);
    if (near >= 0 && near !== state.datum) ring(pen, spot(map, explored, explorer.codes, near).at, ink, false);
    cursor(pen, map, shown, explored.isLine ? [numbers.place[0], 0] : numbers.place, ink);
  }
  if (!view) return;
  const plane = explorer.planeStage;
  const above = plane.pen(plane.moving);
  if (state.path?.over === "plane") pathLine(above, plane, onLine(explored, state.path), ink);
  if (onMap) return;
  const [at, point] = explored.isLine ? [place, numbers.place].map(([a]) => [a, 0]) : [place, numbers.place];
  cursor(above, plane, at, point, ink);
}

/**
 * A path as it is drawn: on a line it lies on the ground.
 * @param {Explored} explored
 * @param {{from: Place, to: Place}} path
 */
function onLine(explored, path) {
  return explored.isLine ? { from: [path.from[0], 0], to: [path.to[0], 0] } : path;
}
