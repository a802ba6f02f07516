/** The values of a datum from the ELBO upwards, as a small chart and a sentence. */
import { drawnElement } from "./elements.js";
import { said, ticks } from "./ticks.js";

/** @typedef {import("./explored.js").Rung} Rung */

const ROW = 30;
const LEFT = 118;
const RIGHT = 74;
/** Standard errors of a 95 % interval. */
const NORMAL_95 = 1.96;
/** How many steps between rungs -> their parts of the room. @type {Record<number, string[]>} */
const STEPS_INKS = { 1: ["rest"], 2: ["encoder", "family"] };

/** @param {Rung[]} ladder */
const finiteRungs = (ladder) => ladder.filter((rung) => Number.isFinite(rung.value));

/**
 * The chart; null if no value is known.
 * @param {Rung[]} ladder
 * @param {number} width pixels
 * @returns {SVGElement | null}
 */
export function ladderChart(ladder, width) {
  const rungs = finiteRungs(ladder);
  if (!rungs.length) return null;
  const errors = rungs.map((rung) => (Number.isFinite(rung.stderr) ? NORMAL_95 * rung.stderr : 0));
  let [low, high] = [
    Math.min(...rungs.map((rung, n) => rung.value - errors[n])),
    Math.max(...rungs.map((rung, n) => rung.value + errors[n])),
  ];
  const pad = Math.max(high - low, 0.02) * 0.08;
  [low, high] = [low - pad, high + pad];
  const x = (/** @type {number} */ value) => LEFT + ((width - LEFT - RIGHT) * (value - low)) / (high - low);
  const height = ROW * rungs.length + 26;
  const chart = /** @type {SVGElement} */ (
    drawnElement("svg", {
      viewBox: `0 0 ${width} ${height}`,
      role: "img",
      "aria-label": ladderSaid(ladder),
      class: "explorer-chart",
    })
  );
  const inks = STEPS_INKS[rungs.length - 1] ?? rungs.map(() => "rest");
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
          class: `explorer-step ${inks[n - 1]}`,
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
    chart.append(drawnElement("text", { x: LEFT - 14, y: y + 4, "text-anchor": "end" }, rung.name));
    chart.append(drawnElement("text", { x: width - RIGHT + 12, y: y + 4, class: "explorer-value" }, said(rung.value)));
  });
  const ground = ROW * rungs.length + 2;
  chart.append(drawnElement("line", { x1: LEFT, x2: width - RIGHT, y1: ground, y2: ground, class: "explorer-axis" }));
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
    Number.isFinite(rung.stderr) && rung.stderr > 0 ? ` ± ${said(rung.stderr, rung.stderr < 0.01 ? 4 : 2)}` : "";
  if (first === last) return `${first.name} ${said(first.value)}${error(first)} nats.`;
  const room = last.value - first.value;
  const steps = rungs.slice(1).map((rung, n) => `${said(rung.value - rungs[n].value)} up to ${rung.name}`);
  const how = rungs.length > 2 ? `: ${steps.join(", ")}` : "";
  const ends = `${first.name} ${said(first.value)}${error(first)}, ${last.name} ${said(last.value)}${error(last)} nats`;
  return `${ends}. Between them ${said(room)} nats${how}.`;
}
