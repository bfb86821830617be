"use strict";
// Light or dark, tables that sort, and tables to choose from.
(() => {
  const root = document.documentElement;
  const button = document.querySelector(".theme");
  const dark = () => (root.style.colorScheme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const mark = () => button.setAttribute("aria-pressed", String(dark()));
  button.addEventListener("click", () => { root.style.colorScheme = dark() ? "light" : "dark"; mark(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", mark);
  mark();

  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.querySelectorAll("thead th")];
    for (const [column, head] of heads.entries()) {
      head.querySelector("button").addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") !== "descending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        for (const body of table.tBodies) sort(body, column, down);
      });
    }
  }

  function sort(body, column, down) {
    const value = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent;
    const compare = (a, b) => {
      const [x, y] = [value(a), value(b)];
      if (x === "" || y === "") return (x === "") - (y === ""); // what has no number stays last
      const order = column === 0 ? x.localeCompare(y, undefined, { numeric: true }) : Number(x) - Number(y);
      return down ? -order : order;
    };
    body.append(...[...body.rows].sort(compare));
  }

  for (const choice of document.querySelectorAll("select.choice")) {
    const table = document.getElementById(choice.dataset.table);
    choice.addEventListener("change", () => {
      for (const body of table.tBodies) body.hidden = body.dataset.name !== choice.value;
    });
  }
})();
