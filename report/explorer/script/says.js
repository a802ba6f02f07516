/** Sentences on the map, on a plane and on a path. */
import { within } from "./spots.js";

/** @typedef {import("./explored.js").View} View */
/** @typedef {import("./plane.js").Levels} Levels */

/**
 * What the plane is, what is to be seen on it, and what cannot be seen.
 * @param {View} view
 * @param {Levels} levels
 * @returns {string[]}
 */
export function planeSaid(view, levels) {
  const regions = "Regions hold 50 and 90 % of what is on this window.";
  return [
    view.frame.says,
    ...view.says,
    regions,
    priorSaid(view, levels),
    view.guide ? "" : "The density of q at a point is not known.",
    within(view.frame.window, view.code) ? "" : "The mean of q lies beyond this window.",
  ].filter(Boolean);
}

/**
 * Which codes are not where they are drawn, or not drawn.
 * @param {{beyond: number, nowhere: number}} counts
 * @returns {string[]}
 */
export function beyondSaid({ beyond, nowhere }) {
  const [one, more] = ["lies beyond this window: an arrow at its border", "lie beyond this window: arrows at its border"];
  return [
    beyond ? `${beyond === 1 ? `One code ${one} points` : `${beyond} codes ${more} point`} there.` : "",
    nowhere ? `${nowhere === 1 ? "One code is" : `${nowhere} codes are`} not finite, and not drawn.` : "",
  ];
}

/** @param {import("./fragment.js").Path | null} path */
export function pathSaid(path) {
  if (!path) {
    return (
      "Drag over the plane or the map: what the model makes of the places along the way, and how probable they are, " +
      "is then shown here."
    );
  }
  const where = path.over === "plane" ? "the plane" : "the map";
  return (
    `Nine places along the straight path on ${where}, from where it began. Pictures and curves are bilinear between ` +
    "lattice points. Esc ends it."
  );
}

/** Where the prior is, if no line of it crosses the window. @param {View} view @param {Levels} levels */
function priorSaid(view, levels) {
  const [half, most] = levels.prior;
  const lowest = view.prior.reduce((a, b) => Math.min(a, b), Infinity);
  const highest = view.prior.reduce((a, b) => Math.max(a, b), -Infinity);
  if (lowest >= half) return "All of the window lies where the prior has its inner half.";
  return highest < most ? "All of the window lies outside of 90 % of the prior." : "";
}
