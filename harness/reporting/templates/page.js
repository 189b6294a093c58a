// Dark or light: as the reader's system says, until the button is pressed.
const dark = matchMedia("(prefers-color-scheme: dark)");
const paint = (wanted) => document.documentElement.classList.toggle("dark", wanted);
paint(dark.matches);
dark.addEventListener("change", () => paint(dark.matches));
const theme = document.getElementById("theme");
theme.hidden = false;
theme.addEventListener("click", () => paint(!document.documentElement.classList.contains("dark")));

// Pictures, enlarged.
const large = document.getElementById("picture");
for (const button of document.querySelectorAll(".enlarge")) {
  button.addEventListener("click", () => {
    const image = button.querySelector("img");
    document.getElementById("picture-large").src = image.src;
    document.getElementById("picture-large").alt = image.alt;
    document.getElementById("picture-caption").textContent = image.alt;
    large.showModal();
  });
}

// The records behind a row, and the commands that make them again.
const element = (tag, text, parent) => {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (parent) parent.append(made);
  return made;
};
const behind = document.getElementById("behind");
const source = document.getElementById("records");
const records = source ? JSON.parse(source.textContent) : [];
const most = 500;
const showRecords = (button) => {
  const content = document.getElementById("behind-content");
  content.replaceChildren();
  for (const command of button.dataset.commands.split("\n").filter(Boolean)) {
    element("code", command, element("p", "Made again by: ", content));
  }
  const all = button.dataset.records.split(" ").map((number) => records[Number(number)]);
  const some = all.slice(0, most);
  if (all.length > most) element("p", `The first ${most} of ${all.length}; records.jsonl has all.`, content);
  const columns = [...new Set(some.flatMap((record) => Object.keys(record)))];
  const scroll = element("div", undefined, content);
  scroll.className = "scroll";
  const table = element("table", undefined, scroll);
  const head = element("tr", undefined, element("thead", undefined, table));
  for (const column of columns) element("th", column, head).scope = "col";
  const body = element("tbody", undefined, table);
  for (const record of some) {
    const row = element("tr", undefined, body);
    for (const column of columns) element("td", record[column] ?? "", row);
  }
  behind.showModal();
};
document.addEventListener("click", (event) => {
  const button = event.target.closest?.(".behind");
  if (button) showRecords(button);
});

// On paper everything is open, whatever was folded.
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((folded) => (folded.open = true)));

// Tables that can be sorted and searched; the scorecard has filters, too.
const bundle = document.getElementById("datatables").textContent;
const { default: DataTable } = await import(`data:text/javascript;base64,${bundle}`);
const usual = { paging: false, order: [], info: false, autoWidth: false, layout: { topEnd: null, topStart: "search" } };
for (const table of document.querySelectorAll("table.sortable")) {
  const small = table.tBodies[0].rows.length < 4;
  new DataTable(table, small ? { ...usual, layout: { topEnd: null, topStart: null } } : usual);
}
const claims = document.getElementById("claims");
if (claims) {
  const table = new DataTable(claims, usual);
  const filters = document.querySelector(".filters");
  const chosen = [...filters.querySelectorAll("select")];
  const shown = document.getElementById("shown");
  table.search.fixed("chosen", (_, __, place) => {
    const row = table.row(place).node();
    return chosen.every((select) => !select.value || row.dataset[select.dataset.filter] === select.value);
  });
  const count = () => {
    shown.textContent = `${table.rows({ search: "applied" }).count()} of ${table.rows().count()} claims`;
  };
  table.on("draw", count);
  for (const select of chosen) select.addEventListener("change", () => table.draw());
  for (const link of document.querySelectorAll(".tally a")) {
    link.addEventListener("click", () => {
      chosen.forEach((select) => (select.value = select.dataset.filter === "verdict" ? link.dataset.verdict : ""));
      table.draw();
    });
  }
  filters.addEventListener("submit", (event) => event.preventDefault());
  filters.hidden = false;
  count();
}
document.documentElement.dataset.ready = "yes";
