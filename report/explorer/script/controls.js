/** Buttons, fields and lists of the page, and what happens around it: size, colours, paper. */
import { found, made } from "./elements.js";
import { BY_INDEX, orderSaid } from "./order.js";

/** @typedef {import("./explorer.js").Explorer} Explorer */

/** Milliseconds between two moments of the training; longer for those who asked for less motion. */
const BEAT = { usual: 700, calm: 1600 };

/** Layers that no datum may have -> what they are drawn of. @type {Record<string, string>} */
const ABSENT_LAYERS = { guide: "log_q", chains: "posterior" };

/** @param {Explorer} explorer */
export function bindControls(explorer) {
  bindBar(explorer);
  bindLists(explorer);
  bindLayers(explorer);
  bindMoments(explorer);
  bindSurroundings(explorer);
  about(explorer);
}

/** Previous, next, by number. @param {Explorer} explorer */
function bindBar(explorer) {
  found("previous", HTMLButtonElement).addEventListener("click", () => explorer.step(-1));
  found("next", HTMLButtonElement).addEventListener("click", () => explorer.step(1));
  const number = found("number", HTMLInputElement);
  number.max = String(explorer.explored.numData - 1);
  const go = () => {
    const datum = Number(number.value);
    if (number.value !== "" && Number.isInteger(datum) && datum >= 0 && datum < explorer.explored.numData)
      explorer.select(datum);
    else number.value = String(explorer.state.datum);
  };
  number.addEventListener("change", go);
  found("bar", HTMLFormElement).addEventListener("submit", (event) => {
    event.preventDefault();
    go();
  });
}

/** @param {Explorer} explorer */
function bindLists(explorer) {
  const { columns } = explorer.explored;
  const colour = found("colour", HTMLSelectElement);
  colour.replaceChildren(...columns.map((column) => made("option", { value: column.name }, column.name)));
  colour.addEventListener("change", () => explorer.change({ colour: colour.value }, "map", "under"));
  const order = found("order", HTMLSelectElement);
  const options = [undefined, ...columns].map((column) =>
    made("option", { value: column?.name ?? BY_INDEX }, orderSaid(column)),
  );
  order.replaceChildren(...options);
  order.addEventListener("change", () => explorer.change({ order: order.value }, "datum", "table"));
}

/** @param {Explorer} explorer */
function bindLayers(explorer) {
  for (const box of layerBoxes()) {
    const absent = ABSENT_LAYERS[box.name];
    const views = explorer.explored.text.views;
    if (box.parentElement && absent && views.every((/** @type {any} */ view) => !view[absent]))
      box.parentElement.hidden = true;
    box.addEventListener("change", () => {
      const hidden = new Set(explorer.state.hidden);
      if (box.checked) hidden.delete(box.name);
      else hidden.add(box.name);
      explorer.change({ hidden }, "plane");
    });
  }
  const sample = found("sample", HTMLInputElement);
  const { explored } = explorer;
  found("sample-label", HTMLElement).hidden =
    !explored.decoded?.sample && !explored.text.views.some((/** @type {any} */ view) => view.decoded?.sample);
  sample.addEventListener("change", () => explorer.change({ sample: sample.checked }, "under"));
}

/** Checkboxes of what the plane shows. */
function layerBoxes() {
  return [...document.querySelectorAll(".explorer-layers input")].filter((box) => box instanceof HTMLInputElement);
}

/** Controls as the state says. @param {Explorer} explorer */
export function showControls(explorer) {
  const { state } = explorer;
  found("colour", HTMLSelectElement).value = state.colour;
  found("order", HTMLSelectElement).value = state.order;
  found("sample", HTMLInputElement).checked = state.sample;
  for (const box of layerBoxes()) box.checked = !state.hidden.has(box.name);
  const { moments } = explorer.explored;
  if (!moments.length) return;
  const last = state.moment < 0;
  found("moment", HTMLInputElement).value = String(last ? moments.length : state.moment);
  found("moment-name", HTMLElement).textContent = last ? "as it is now" : moments[state.moment].name;
}

/** Training, moment by moment. @param {Explorer} explorer */
function bindMoments(explorer) {
  const { moments } = explorer.explored;
  if (!moments.length) return;
  const slider = found("moment", HTMLInputElement);
  const play = found("play", HTMLButtonElement);
  slider.max = String(moments.length);
  const show = (/** @type {number} */ at) =>
    explorer.change({ moment: at < moments.length ? at : -1 }, "map", "under", "controls");
  /** @type {ReturnType<typeof setInterval> | undefined} */
  let playing;
  const stop = () => {
    clearInterval(playing);
    playing = undefined;
    play.textContent = "Play";
    play.setAttribute("aria-pressed", "false");
  };
  slider.addEventListener("input", () => {
    stop();
    show(Number(slider.value));
  });
  play.addEventListener("click", () => {
    if (playing) return stop();
    const beat = matchMedia("(prefers-reduced-motion: reduce)").matches ? BEAT.calm : BEAT.usual;
    let at = explorer.state.moment < 0 ? 0 : explorer.state.moment;
    show(at);
    play.textContent = "Pause";
    play.setAttribute("aria-pressed", "true");
    playing = setInterval(() => {
      at += 1;
      show(at);
      if (at >= moments.length) stop();
    }, beat);
  });
}

/** @param {Explorer} explorer */
function bindSurroundings(explorer) {
  const sizes = new ResizeObserver(() => explorer.frames.change("map", "plane", "datum", "path", "under"));
  for (const stage of [explorer.mapStage, explorer.planeStage])
    sizes.observe(stage.container.parentElement ?? stage.container);
  for (const query of ["(prefers-color-scheme: dark)", "print"])
    matchMedia(query).addEventListener("change", () => explorer.redraw());
}

/** What is not shown, and what was explored. @param {Explorer} explorer */
function about(explorer) {
  const { text } = explorer.explored;
  const says = found("about-says", HTMLElement);
  const notices = [...text.notices];
  if (text.is_constrained)
    notices.push("Coordinates are the unconstrained ones of the latents, and densities are those of them.");
  const without = explorer.explored.numData - explorer.explored.viewOf.size;
  if (without) notices.push(`Of ${without} data no plane was computed; they are on the map and in the table.`);
  if (notices.length) says.append(made("ul", {}, ...notices.map((notice) => made("li", {}, notice))));
  for (const [part, pairs] of text.about) {
    const rows = pairs.map((/** @type {[string, string]} */ [name, value]) =>
      made("div", {}, made("dt", {}, name), made("dd", {}, value)),
    );
    says.append(made("details", {}, made("summary", {}, part), made("dl", { class: "explorer-pairs" }, ...rows)));
  }
  if (!says.childNodes.length) says.append(made("p", {}, "All that was computed is shown."));
  found("exact", HTMLElement).textContent =
    "Numbers are those of the evaluated point nearest to the cursor, the small cross: exact there, not interpolated; " +
    "log w = log p(x, z) − log q(z | x). Pictures are bilinear between points that the model decoded.";
}
