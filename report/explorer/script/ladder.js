/** The values of a datum from the ELBO upwards, as a small chart and a sentence. */
import { drawnElement } from "./elements.js";
import { said, ticks } from "./ticks.js";

/** @typedef {import("./explored.js").Rung} Rung */

const ROW = 30;
const RIGHT = 74;
/** Pixels of a letter of a name, and the share of the width that names may take. */
const LETTER = 7;
const MOST_NAMES = 0.48;
/** Standard errors of a 95 % interval. */
const NORMAL_95 = 1.96;
/** Nats within which a value is that of the best member of q's family. */
const CLOSE = 0.02;

/** @param {Rung[]} ladder */
const finiteRungs = (ladder) => ladder.filter((rung) => Number.isFinite(rung.value));

/**
 * Which part of the room the step to each rung is: the encoder's as far as the amortization gap reaches from the ELBO,
 * then the family's; what lies between two bounds of log p(x) is none.
 * @param {Rung[]} rungs
 * @param {number} amortization NaN: the room was not taken apart
 * @returns {string[]}
 */
export function stepParts(rungs, amortization) {
  const reached = rungs[0].value + amortization;
  return rungs.slice(1).map((rung) => {
    if (rung.bound === "upper") return "unsure";
    if (Number.isNaN(reached)) return "rest";
    return rung.value <= reached + CLOSE ? "encoder" : "family";
  });
}

/**
 * The chart; null if no value is known.
 * @param {Rung[]} ladder
 * @param {number} amortization of the datum, nats; NaN if it is not known
 * @param {number} width pixels
 * @returns {SVGElement | null}
 */
export function ladderChart(ladder, amortization, width) {
  const rungs = finiteRungs(ladder);
  if (!rungs.length) return null;
  const errors = rungs.map((rung) => (Number.isFinite(rung.stderr) ? NORMAL_95 * rung.stderr : 0));
  let [low, high] = [
    Math.min(...rungs.map((rung, n) => rung.value - errors[n])),
    Math.max(...rungs.map((rung, n) => rung.value + errors[n])),
  ];
  const pad = Math.max(high - low, 0.02) * 0.08;
  [low, high] = [low - pad, high + pad];
  const left = Math.min(LETTER * Math.max(...rungs.map(({ name }) => name.length)) + 20, MOST_NAMES * width);
  const x = (/** @type {number} */ value) => left + ((width - left - RIGHT) * (value - low)) / (high - low);
  const height = ROW * rungs.length + 26;
  const chart = /** @type {SVGElement} */ (
    drawnElement("svg", {
      viewBox: `0 0 ${width} ${height}`,
      role: "img",
      "aria-label": ladderSaid(ladder),
      class: "explorer-chart",
    })
  );
  const parts = stepParts(rungs, amortization);
  rungs.forEach((rung, n) => {
    const y = ROW * n + ROW / 2;
    if (n > 0) {
      const [from, to] = [x(rungs[n - 1].value), x(rung.value)].sort((a, b) => a - b);
      chart.append(
        drawnElement("rect", {
          x: from,
          y: y - ROW + 3,
          width: Math.max(to - from, 0.5),
          height: ROW - 6,
          class: `explorer-step ${parts[n - 1]}`,
        }),
      );
    }
  });
  rungs.forEach((rung, n) => {
    const y = ROW * n + ROW / 2;
    const kind = rung.bound === "exact" || rung.bound === "none" ? "exact" : "bound";
    if (errors[n] > 0)
      chart.append(
        drawnElement("line", {
          x1: x(rung.value - errors[n]),
          x2: x(rung.value + errors[n]),
          y1: y,
          y2: y,
          class: "explorer-error",
        }),
      );
    chart.append(drawnElement("circle", { cx: x(rung.value), cy: y, r: 5, class: `explorer-rung ${kind}` }));
    chart.append(drawnElement("text", { x: left - 14, y: y + 4, "text-anchor": "end" }, rung.name));
    chart.append(drawnElement("text", { x: width - RIGHT + 12, y: y + 4, class: "explorer-value" }, said(rung.value)));
  });
  const ground = ROW * rungs.length + 2;
  chart.append(drawnElement("line", { x1: left, x2: width - RIGHT, y1: ground, y2: ground, class: "explorer-axis" }));
  for (const tick of ticks(low, high, 4)) {
    chart.append(
      drawnElement(
        "text",
        { x: x(tick.value), y: ground + 16, "text-anchor": "middle", class: "explorer-tick" },
        tick.text,
      ),
    );
  }
  return chart;
}

/** The ladder in words. @param {Rung[]} ladder */
export function ladderSaid(ladder) {
  const rungs = finiteRungs(ladder);
  if (!rungs.length) return "No value of this datum is known.";
  const [first, last] = [rungs[0], rungs[rungs.length - 1]];
  const error = (/** @type {Rung} */ rung) =>
    rung.stderr >= 5e-4 && Number.isFinite(rung.stderr) ? ` ± ${said(rung.stderr, rung.stderr < 0.01 ? 3 : 2)}` : "";
  if (first === last) return `${first.name} ${said(first.value)}${error(first)} nats.`;
  const room = last.value - first.value;
  const steps = rungs.slice(1).map((rung, n) => `${said(rung.value - rungs[n].value)} up to ${rung.name}`);
  const how = rungs.length > 2 ? `: ${steps.join(", ")}` : "";
  const ends = `${first.name} ${said(first.value)}${error(first)}, ${last.name} ${said(last.value)}${error(last)} nats`;
  return `${ends}. Between them ${said(room)} nats${how}.`;
}
