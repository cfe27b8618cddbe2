"use strict";
(function () {
  const value = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.sort === undefined ? cell.textContent.trim() : cell.dataset.sort;
  };
  const compare = (a, b) => {
    const x = Number(a), y = Number(b);
    return Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b, undefined, { numeric: true }) : x - y;
  };
  const sort = (table, header, column) => {
    const direction = header.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", direction === 1 ? "ascending" : "descending");
    const rows = Array.from(table.tBodies[0].rows).map((row) => [value(row, column), row]);
    // What has no value stays last either way: it is neither the smallest nor the largest.
    rows.sort(([a], [b]) => (a === "") - (b === "") || direction * compare(a, b));
    table.tBodies[0].append(...rows.map(([, row]) => row));
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    Array.from(table.tHead.rows[0].cells).forEach((header, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = header.textContent;
      button.addEventListener("click", () => sort(table, header, column));
      header.replaceChildren(button);
      const first = table.tBodies[0].rows[0];
      if (first && first.cells[column].classList.contains("number")) header.classList.add("number");
    });
  }
  window.addEventListener("beforeprint", () => {
    for (const details of document.querySelectorAll("details")) details.open = true;
  });
  const save = document.getElementById("save");
  save.hidden = false;
  save.addEventListener("click", () => {
    const link = document.createElement("a");
    const blob = new Blob([document.getElementById("run").textContent.trim() + "\n"], { type: "application/json" });
    link.href = URL.createObjectURL(blob);
    link.download = "run.json";
    link.click();
    URL.revokeObjectURL(link.href);
  });
})();
