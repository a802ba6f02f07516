/** What is seen, and how it changes: one state, and for each part of the page a function that draws it. */
import { showControls } from "./controls.js";
import { cursor, pathLine } from "./curves.js";
import { found, made } from "./elements.js";
import { fragmentOf } from "./fragment.js";
import { Frames } from "./frames.js";
import { inks } from "./inks.js";
import { ladderChart, ladderSaid } from "./ladder.js";
import { stepped } from "./lattice.js";
import { drawLine, LINE_WINDOW } from "./line.js";
import { drawMap, fillLegend, nearestDatum, ring, spot } from "./map.js";
import { ordered } from "./order.js";
import { drawPlane, levelsOf } from "./plane.js";
import { planeSaid } from "./says.js";
import { Seen, numbersSaid } from "./seen.js";
import { Stage } from "./stage.js";
import { fillTable } from "./table.js";
import { decodedAt, numbersAt, numbersOnMap } from "./under.js";
import { pathCharts, showStrip } from "./walk.js";

/** @typedef {import("./explored.js").Explored} Explored */
/** @typedef {import("./explored.js").View} View */
/** @typedef {import("./fragment.js").State} State */
/** @typedef {import("./fragment.js").Over} Over */
/** @typedef {import("./lattice.js").Place} Place */

/** Pixels within which a datum of the map is chosen, with a mouse and with a finger. */
const REACH = { mouse: 16, touch: 28 };
/** Milliseconds of quiet after which the address is written and the numbers are spoken. */
const QUIET = 350;
/** What is drawn when a datum is chosen or sizes change; the table, which takes longest, a frame later. */
const ALL = ["controls", "map", "plane", "datum", "path", "under"];
/** Keys -> steps to the right and up. @type {Record<string, [number, number]>} */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

export class Explorer {
  /** @param {Explored} explored @param {State} state */
  constructor(explored, state) {
    this.explored = explored;
    this.state = state;
    /** @type {View | null} */
    this.view = null;
    this.ink = inks();
    this.near = -1;
    this.frames = new Frames((what) => this.#draw(what));
    this.mapStage = new Stage(found("map-stage", HTMLElement), "Map of all data. Left and right arrow: previous and next datum.", {
      moved: (place) => this.#at("map", place),
      tapped: (place, touch) => {
        const near = nearestDatum(this.mapStage, explored, this.codes, place, touch ? REACH.touch : REACH.mouse);
        if (near >= 0) this.select(near);
        else this.#change({ path: null }, "path", "under");
      },
      dragged: (from, to) => this.#change({ path: { over: "map", from, to } }, "path"),
      pressed: (event) => this.#pressed("map", event),
    });
    this.planeStage = new Stage(found("plane-stage", HTMLElement), "Plane through latent space. Arrows move, Shift and arrows draw a path, Escape ends it.", {
      moved: (place) => this.#at("plane", place),
      tapped: (place) => this.#change({ over: "plane", place, path: null }, "path", "under"),
      dragged: (from, to) => this.#change({ path: { over: "plane", from, to } }, "path"),
      pressed: (event) => this.#pressed("plane", event),
    });
    this.seen = new Seen(found("pictures", HTMLElement), found("numbers", HTMLElement), explored);
    this.order = ordered(explored.numData, explored.column(state.order));
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.quiet = undefined;
  }

  /** Where the data are, at the moment of the training that is chosen. */
  get codes() {
    return this.explored.moments[this.state.moment]?.codes ?? this.explored.codes;
  }

  /** Where the cursor is: without a plane it is on the map. @returns {{over: Over, place: Place}} */
  get cursor() {
    const over = this.view ? this.state.over : "map";
    const place = over === this.state.over ? this.state.place : null;
    return { over, place: place ?? (over === "plane" && this.view ? this.view.code : this.codes[this.state.datum]) };
  }

  /** Choose a datum; all of the page is then about it. @param {number} datum @param {Partial<State>} rest */
  async select(datum, rest = { over: "plane", place: null }) {
    const { path } = this.state;
    await this.show(datum, { path: path?.over === "plane" ? null : path, ...rest });
    this.#soon();
  }

  /** Show a datum and how it is to be seen; the address stays. @param {number} datum @param {Partial<State>} rest */
  async show(datum, rest) {
    this.state = { ...this.state, ...rest, datum };
    this.order = ordered(this.explored.numData, this.explored.column(this.state.order));
    const view = await this.explored.view(datum);
    if (this.state.datum !== datum) return; // another was chosen meanwhile
    this.view = view;
    this.redraw();
    this.frames.change("table");
  }

  /** The next datum in the order, or the one before. @param {number} steps */
  step(steps) {
    const place = this.order.indexOf(this.state.datum) + steps;
    if (place >= 0 && place < this.order.length) this.select(this.order[place]);
  }

  /** Change what is seen, and draw these parts anew. @param {Partial<State>} changes @param {...string} parts */
  change(changes, ...parts) {
    this.#change(changes, ...(parts.length ? parts : ALL));
  }

  /** Draw everything now: colours or sizes are others. */
  redraw() {
    this.ink = inks();
    this.#draw(new Set(ALL));
  }

  /** @param {Partial<State>} changes @param {...string} parts */
  #change(changes, ...parts) {
    this.state = { ...this.state, ...changes };
    if (changes.order !== undefined) this.order = ordered(this.explored.numData, this.explored.column(changes.order));
    this.frames.change(...parts);
    this.#soon();
  }

  /** @param {Over} over @param {Place} place */
  #at(over, place) {
    this.frames.move();
    this.#change({ over, place }, "under");
  }

  /** @param {Over} over @param {KeyboardEvent} event */
  #pressed(over, event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return false;
    if (event.key === "Escape") {
      this.#change({ path: null }, "path", "under");
      return true;
    }
    if (event.key === "Home" && over === "plane") {
      this.#change({ over, place: null }, "under");
      return true;
    }
    const arrow = ARROWS[event.key];
    if (!arrow) return false;
    if (over === "map" && !event.shiftKey) {
      this.step(arrow[0] - arrow[1]);
      return true;
    }
    if (over === "plane" && !this.view) return false;
    const from = this.state.over === over ? this.cursor.place : this.codes[this.state.datum];
    const lattice = over === "plane" && this.view ? this.view.lattice : this.explored.lattice;
    const place = stepped(lattice, from, ...arrow);
    const { path } = this.state;
    const start = path?.over === over ? path.from : from;
    this.frames.move();
    this.#change({ over, place, ...(event.shiftKey ? { path: { over, from: start, to: place } } : {}) }, "under", ...(event.shiftKey ? ["path"] : []));
    return true;
  }

  /** Once nothing has changed for a while: the address, and the numbers for those who hear them. */
  #soon() {
    clearTimeout(this.quiet);
    this.quiet = setTimeout(() => {
      history.replaceState(null, "", `#${fragmentOf(this.state)}`);
      const { over } = this.cursor;
      const which = `Datum ${this.state.datum}. `;
      found("live", HTMLElement).textContent = which + numbersSaid(this.#numbers(), over === "map");
    }, QUIET);
  }

  #numbers() {
    const { over, place } = this.cursor;
    return over === "plane" && this.view ? numbersAt(this.view, place) : numbersOnMap(this.explored, place);
  }

  /** @param {Set<string>} what */
  #draw(what) {
    if (this.mapStage.fit()) what.add("map").add("under");
    if (this.planeStage.fit(this.explored.isLine ? 0.75 : 1)) what.add("plane").add("under");
    if (what.has("controls")) showControls(this);
    if (what.has("map")) this.#drawMap();
    if (what.has("plane")) this.#drawPlane();
    if (what.has("datum")) this.#drawDatum();
    if (what.has("table")) this.#drawTable();
    if (what.has("path")) this.#drawPath();
    if (what.has("under") || what.has("path")) this.#drawUnder();
  }

  #drawMap() {
    const { explored, mapStage: stage, state } = this;
    const column = explored.column(state.colour);
    stage.window = explored.isLine ? [explored.map.window[0], [0, 1]] : explored.map.window;
    const values = explored.moments[state.moment]?.columns.get(state.colour) ?? column?.values ?? [];
    drawMap(stage.pen(stage.still), stage, explored, this.codes, column, values, this.ink);
    fillLegend(found("legend", HTMLElement), column);
    const moment = explored.moments[state.moment];
    found("map-says", HTMLElement).textContent = explored.map.says + (moment ? ` As they were at ${moment.name}.` : "");
  }

  #drawPlane() {
    const { view, planeStage: stage, state, ink, explored } = this;
    found("plane-title", HTMLElement).textContent = `Around datum ${state.datum}`;
    stage.container.hidden = !view;
    const says = found("plane-says", HTMLElement);
    if (!view) {
      says.replaceChildren(made("p", {}, "No plane was computed for this datum: it is on the map and in the table."));
      return;
    }
    const layers = new Set(["posterior", "guide", "prior", "chains", "draws", "modes", "code"].filter((name) => !state.hidden.has(name)));
    stage.window = explored.isLine ? [view.frame.window[0], LINE_WINDOW] : view.frame.window;
    const levels = levelsOf(explored, view);
    const scene = { pen: stage.pen(stage.still), stage, view, ink, levels };
    (explored.isLine ? drawLine : drawPlane)(scene, layers);
    says.replaceChildren(...planeSaid(explored, view, levels).map((words) => made("p", {}, words)));
  }

  #drawDatum() {
    const { explored, view, state } = this;
    this.seen.showDatum(explored.datum(state.datum), view?.again ?? null);
    const ladder = found("ladder-chart", HTMLElement);
    const chart = view && ladderChart(view.ladder, Math.max(ladder.clientWidth, 240));
    ladder.replaceChildren(...(chart ? [chart] : []));
    found("ladder-says", HTMLElement).textContent = view ? ladderSaid(view.ladder) : "No plane was computed for this datum, and no ladder.";
    found("number", HTMLInputElement).value = String(state.datum);
    const rank = this.order.indexOf(state.datum) + 1;
    found("standing", HTMLElement).textContent = `place ${rank} of ${explored.numData}`;
    const flag = explored.flag(state.datum);
    const flagged = found("flag", HTMLElement);
    flagged.hidden = !flag;
    flagged.textContent = flag && `Not to be trusted: ${flag}.`;
  }

  #drawTable() {
    const { explored, order, state } = this;
    const table = found("table", HTMLElement);
    const hadFocus = table.contains(document.activeElement);
    fillTable(table, explored, order, state.datum, state.order, (datum) => this.select(datum));
    const chosen = table.querySelector("[aria-current] button");
    if (hadFocus && chosen instanceof HTMLElement) chosen.focus({ preventScroll: true });
  }

  #drawPath() {
    const { explored, state } = this;
    const { path } = state;
    const view = path?.over === "plane" ? this.view : null;
    const [strip, chart] = [found("path-strip", HTMLElement), found("path-chart", HTMLElement)];
    strip.hidden = chart.hidden = !path;
    found("path-says", HTMLElement).textContent = path
      ? `Nine places along the straight path on ${view ? "the plane" : "the map"}, from where it began. Pictures and curves are bilinear between lattice points. Esc ends it.`
      : "Drag over the plane or the map: what the model makes of the places along the way, and how probable they are, is then shown here.";
    if (!path) return;
    showStrip(strip, explored, view, path);
    chart.replaceChildren(...pathCharts(explored, view, path, chart.clientWidth));
  }

  #drawUnder() {
    const { explored, view, state, ink } = this;
    const { over, place } = this.cursor;
    const onMap = over === "map";
    const numbers = this.#numbers();
    const values = decodedAt(explored, onMap ? null : view, place, state.sample);
    this.seen.showUnder(values, state.sample, numbers, (onMap || !view ? explored.map : view.frame).origin, onMap);
    const map = this.mapStage;
    const pen = map.pen(map.moving);
    if (state.path?.over === "map") pathLine(pen, map, onLine(explored, state.path), ink);
    ring(pen, map, spot(explored, this.codes, state.datum), ink, true);
    if (onMap && state.place) {
      const shown = explored.isLine ? [place[0], state.place[1]] : place;
      const near = nearestDatum(map, explored, this.codes, /** @type {Place} */ (shown), REACH.mouse);
      if (near >= 0 && near !== state.datum) ring(pen, map, spot(explored, this.codes, near), ink, false);
      cursor(pen, map, shown, explored.isLine ? [numbers.place[0], 0] : numbers.place, ink);
    }
    if (!view) return;
    const plane = this.planeStage;
    const above = plane.pen(plane.moving);
    if (state.path?.over === "plane") pathLine(above, plane, onLine(explored, state.path), ink);
    if (!onMap) cursor(above, plane, explored.isLine ? [place[0], 0] : place, explored.isLine ? [numbers.place[0], 0] : numbers.place, ink);
  }
}

/** A path as it is drawn: on a line it lies on the ground. @param {Explored} explored @param {{from: Place, to: Place}} path */
function onLine(explored, path) {
  return explored.isLine ? { from: [path.from[0], 0], to: [path.to[0], 0] } : path;
}
