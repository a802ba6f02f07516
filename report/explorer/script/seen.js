/** The datum, its reconstruction and what is under the cursor, with the numbers of the nearest lattice point. */
import { aspect, draw } from "./drawn.js";
import { made, penOf } from "./elements.js";
import { said } from "./ticks.js";
import { movedMost } from "./under.js";

/** @typedef {import("./explored.js").Explored} Explored */
/** @typedef {import("./under.js").Numbers} Numbers */

/** A picture of a datum with words below it. */
class Picture {
  /** @param {HTMLElement} container @param {Explored} explored @param {string} about */
  constructor(container, explored, about) {
    this.explored = explored;
    this.canvas = /** @type {HTMLCanvasElement} */ (made("canvas", { role: "img", "aria-label": about }));
    this.words = made("figcaption", {}, about);
    this.figure = made("figure", {}, this.canvas, this.words);
    container.append(this.figure);
  }

  /** @param {ArrayLike<number> | null} values @param {string} words */
  show(values, words) {
    const width = Math.max(this.figure.clientWidth, 40);
    const height = width / Math.max(Math.min(aspect(this.explored.drawn), 2), 0.6);
    this.canvas.style.height = `${height}px`;
    const pen = penOf(this.canvas, width, height);
    if (values) draw(pen, values, this.explored.drawn, { x: 0, y: 0, width, height }, this.explored.scale);
    this.canvas.classList.toggle("explorer-empty", !values);
    if (this.words.textContent !== words) {
      this.words.textContent = words;
      this.canvas.setAttribute("aria-label", words);
    }
  }
}

export class Seen {
  /**
   * @param {HTMLElement} pictures
   * @param {HTMLElement} numbers
   * @param {Explored} explored
   */
  constructor(pictures, numbers, explored) {
    this.explored = explored;
    this.datum = new Picture(pictures, explored, "datum");
    this.again = new Picture(pictures, explored, "again");
    this.under = new Picture(pictures, explored, "here");
    /** @type {Map<string, {row: HTMLElement, name: HTMLElement, value: HTMLElement}>} */
    this.rows = new Map();
    this.list = numbers;
  }

  /** @param {Float32Array | null} x @param {Float32Array | null} again */
  showDatum(x, again) {
    this.datum.show(x, x ? "the datum x" : "x is not kept");
    this.again.show(again, again ? "E[x | z] at the mean of q" : "no reconstruction");
  }

  /**
   * What is under the cursor.
   * @param {Float32Array | null} values
   * @param {boolean} isSample
   * @param {Numbers} numbers
   * @param {number[]} origin
   * @param {boolean} onMap
   */
  showUnder(values, isSample, numbers, origin, onMap) {
    this.under.show(values, values ? (isSample ? "a draw of x here" : "E[x | z] here") : "nothing decoded here");
    const names = this.explored.map.axes.length > 1 ? "a, b" : "a";
    const place = numbers.place
      .slice(0, this.explored.map.axes.length)
      .map((value) => said(value))
      .join(", ");
    /** @type {[string, string, string][]} */
    const rows = [["place", `place ${names}`, place]];
    movedMost(numbers.u, origin).forEach((d, n) =>
      rows.push([`u${n}`, this.explored.latents[d], said(numbers.u[d], 3)]),
    );
    if (!onMap) rows.push(["joint", "log p(x, z)", said(numbers.joint, 3)]);
    rows.push(["prior", "log p(z)", said(numbers.prior, 3)]);
    if (!onMap) {
      rows.push(["likelihood", "log p(x | z)", said(numbers.joint - numbers.prior, 3)]);
      rows.push(["guide", "log q(z | x)", said(numbers.guide, 3)]);
      rows.push(["weight", "log w", said(numbers.joint - numbers.guide, 3)]);
    }
    this.#fill(rows);
  }

  /** Rows by name; those that stay are changed, not made again. @param {[string, string, string][]} wanted */
  #fill(wanted) {
    const names = wanted.map(([key]) => key).join();
    if (names !== [...this.rows.keys()].join()) {
      this.rows.clear();
      this.list.replaceChildren();
      for (const [key] of wanted) {
        const [name, value] = [made("dt"), made("dd")];
        const row = made(
          "div",
          { class: key.startsWith("u") ? "explorer-coordinate" : `explorer-number ${key}` },
          name,
          value,
        );
        this.rows.set(key, { row, name, value });
        this.list.append(row);
      }
    }
    for (const [key, name, value] of wanted) {
      const row = this.rows.get(key);
      if (!row) continue;
      if (row.name.textContent !== name) row.name.textContent = name;
      if (row.value.textContent !== value) row.value.textContent = value;
    }
  }
}

/** The numbers as a sentence, for those who hear the page. @param {Numbers} numbers @param {boolean} onMap */
export function numbersSaid(numbers, onMap) {
  const place = numbers.place.map((value) => said(value)).join(", ");
  if (onMap) return `On the map at ${place}: log p(z) ${said(numbers.prior)}.`;
  const weight = Number.isNaN(numbers.guide)
    ? ""
    : `, log q ${said(numbers.guide)}, log w ${said(numbers.joint - numbers.guide)}`;
  return `At ${place}: log p(x, z) ${said(numbers.joint)}${weight}.`;
}
