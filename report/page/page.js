"use strict";
(() => {
  // A table is sorted by its headings' buttons; cells without a number (an empty data-v) stay last.
  const table = document.getElementById("data");
  const said = document.getElementById("sorted");
  const headings = [...table.tHead.rows[0].cells];
  const number = (row, column) => {
    const value = row.cells[column].dataset.v;
    return value === undefined || value === "" ? NaN : value === "inf" ? Infinity : value === "-inf" ? -Infinity : Number(value);
  };
  const sort = (column) => {
    const heading = headings[column];
    const now = heading.getAttribute("aria-sort");
    const first = column === 0 ? "ascending" : "descending";
    const other = first === "ascending" ? "descending" : "ascending";
    const order = now === first ? other : first;
    const sign = order === "ascending" ? 1 : -1;
    const keyed = [...table.tBodies[0].rows].map((row) => [number(row, column), row]);
    keyed.sort(([a], [b]) => {
      if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) - Number.isNaN(b);
      return a === b ? 0 : sign * (a < b ? -1 : 1);
    });
    table.tBodies[0].append(...keyed.map(([, row]) => row));
    keyed.forEach(([, row], place) => row.classList.toggle("far", place >= 100));
    headings.forEach((cell) => cell.hasAttribute("aria-sort") && cell.setAttribute("aria-sort", "none"));
    heading.setAttribute("aria-sort", order);
    said.textContent = `Sorted by ${heading.textContent.trim()}, ${order}`;
  };
  headings.forEach((heading, column) => {
    const button = heading.querySelector("button");
    if (button) button.addEventListener("click", () => sort(column));
  });

  // Paper cannot be clicked: everything is open while printing, and as it was afterwards.
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")];
    closed.forEach((details) => { details.open = true; });
  });
  addEventListener("afterprint", () => closed.forEach((details) => { details.open = false; }));
})();
