/** The data around the chosen one, in the order that is chosen. */
import { made } from "./elements.js";
import { rowsAround } from "./order.js";
import { said } from "./ticks.js";

/** @typedef {import("./explored.js").Explored} Explored */

const MOST = 50;

/**
 * Fill the table.
 * @param {HTMLElement} table
 * @param {Explored} explored
 * @param {number[]} order
 * @param {number} datum
 * @param {string} key the column that the order follows
 * @param {(datum: number) => void} choose
 */
export function fillTable(table, explored, order, datum, key, choose) {
  const columns = explored.columns;
  const kind = (/** @type {string} */ name) => (name === key ? "explorer-cell explorer-ordered" : "explorer-cell");
  const head = made("tr", {}, made("th", { scope: "col", class: "explorer-cell" }, "datum"));
  for (const column of columns) {
    const unit = column.unit ? ` (${column.unit})` : "";
    head.append(made("th", { scope: "col", class: kind(column.name), title: column.says }, column.name + unit));
  }
  head.append(made("th", { scope: "col" }, "what to know of it"));
  const rows = rowsAround(order, order.indexOf(datum), MOST).map(({ datum: each }) => {
    const button = made("button", { type: "button", "data-datum": String(each) }, String(each));
    button.addEventListener("click", () => choose(each));
    const row = made(
      "tr",
      each === datum ? { "aria-current": "true" } : {},
      made("th", { scope: "row", class: "explorer-cell" }, button),
    );
    for (const column of columns) {
      const value = column.values[each];
      const known = column.is_label && Number.isInteger(value) ? String(value) : said(value);
      const text = Number.isNaN(value) ? "–" : known;
      row.append(made("td", { class: kind(column.name) }, text));
    }
    const notes = [explored.viewOf.has(each) ? "" : "no plane was computed", explored.flag(each)]
      .filter(Boolean)
      .join("; ");
    row.append(made("td", { class: "explorer-notes" }, made("span", { title: notes }, notes)));
    return row;
  });
  table.replaceChildren(made("thead", {}, head), made("tbody", {}, ...rows));
  if (table.parentElement) table.parentElement.scrollTop = 0;
}
