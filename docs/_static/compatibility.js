// Filters for the tables below "Every question". Without this script, every row and column is shown.
const section = document.getElementById("every-question");

if (section && location.pathname.includes("/compatibility/")) {
  const tables = [...section.querySelectorAll("table")];
  const columns = [...new Set(tables.flatMap((table) => heads(table).slice(1)))];
  const form = document.createElement("form");
  form.className = "filters";
  form.innerHTML =
    '<label><input type="checkbox" name="differs"> Only what differs from yes</label>' +
    '<label>Show <select name="column"><option value="">all columns</option></select></label>' +
    '<output aria-live="polite"></output>';
  for (const name of columns) form.elements.column.add(new Option(name));
  form.addEventListener("change", show);
  section.querySelector("h2").after(form);
  show();

  function heads(table) {
    return [...table.querySelectorAll("thead th")].map((cell) => cell.textContent.trim());
  }

  function show() {
    const column = form.elements.column.value;
    let shown = 0;
    for (const table of tables) {
      const names = heads(table);
      const isShown = names.map((name, index) => !index || !column || name === column);
      let rows = 0;
      for (const row of table.rows) {
        const cells = [...row.cells];
        cells.forEach((cell, index) => (cell.hidden = !isShown[index]));
        if (row.parentElement.tagName !== "TBODY") continue;
        const words = cells.filter((_, index) => index && isShown[index]);
        const differs = words.some((cell) => !["yes", "not run", ""].includes(cell.textContent.trim()));
        row.hidden = form.elements.differs.checked && !differs;
        rows += !row.hidden;
      }
      (table.closest(".table-wrapper") ?? table).hidden = !rows; // its margin, too
      shown += rows;
    }
    form.querySelector("output").value = shown === 1 ? "1 question" : `${shown} questions`;
  }
}
