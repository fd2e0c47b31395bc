// Sends a CSV file in parts and joins the answers, so that neither the page nor the server holds up.
import { cellsOf, delimiterOf, rowsOf } from "./csv.js";
import { patientFetch } from "./waiting.js";

const PREVIEW_ROWS = 5;
const PROBLEMS_SHOWN = 100;

const form = document.querySelector("form.upload");
const part = (id) => document.getElementById(id);
const columns = JSON.parse(form.dataset.columns);
let job = null;

/** One file on its way; keeps what is done, so that it can go on after a failure. */
class Job {
  constructor(file) {
    this.file = file;
    this.rows = rowsOf(file);
    this.parts = [];
    this.done = 0;
    this.sentBytes = 0;
    this.problems = 0;
    this.batch = null;
    this.stopping = new AbortController();
  }

  async run() {
    this.header ??= (await this.rows.next()).value ?? "";
    while (this.batch ?? (await this.next())) {
      const response = await patientFetch(
        `${form.action}?first=${this.done + 2}`,
        {
          method: "POST",
          body: this.header + this.batch.join(""),
          headers: { "content-type": "text/csv", accept: "application/json" },
          signal: this.stopping.signal,
        },
        say,
      );
      if (!response.ok) throw new Error((await response.json()).error);
      await this.take(await response.text());
    }
  }

  async next() {
    const batch = [];
    while (batch.length < Number(form.dataset.batchRows)) {
      const { value, done } = await this.rows.next();
      if (done) break;
      batch.push(value);
    }
    return batch.length ? (this.batch = batch) : null;
  }

  async take(text) {
    const rows = rowsOf(new Blob([text]));
    const { value: header } = await rows.next();
    this.parts.push(this.parts.length ? text.slice(header.length) : text);
    const delimiter = delimiterOf(this.header);
    for await (const row of rows) {
      const problem = cellsOf(row, delimiter).at(-1);
      if (problem) this.problem(problem);
    }
    this.done += this.batch.length;
    this.sentBytes += new Blob(this.batch).size;
    this.batch = null;
    part("progress").value = this.sentBytes / this.file.size;
    say(`${this.done.toLocaleString()} rows done`);
  }

  problem(text) {
    this.problems += 1;
    part("problems").hidden = false;
    const shown = Math.min(this.problems, PROBLEMS_SHOWN);
    part("problems-count").textContent =
      this.problems > shown
        ? `${this.problems.toLocaleString()} rows; the first ${shown} are here, the others in the file.`
        : "They stand in the file as well, without a prediction.";
    if (this.problems > shown) return;
    const item = document.createElement("li");
    item.textContent = text[0].toUpperCase() + text.slice(1);
    part("problems").querySelector("ul").append(item);
  }
}

function say(text) {
  part("state").textContent = text;
}

async function preview(file) {
  complain("");
  const rows = [];
  for await (const row of rowsOf(file)) {
    if (rows.push(row) > PREVIEW_ROWS) break;
  }
  const delimiter = delimiterOf(rows[0] ?? "");
  const [names = [], ...first] = rows.map((row) => cellsOf(row, delimiter));
  const named = new Set(names.map(columnOf));
  const missing = columns.filter((column) => !named.has(column));
  part("preview").replaceChildren(table(names, first));
  part("preview").hidden = false;
  if (missing.length) complain(`The first row does not name ${missing.join(", ")}.`);
}

/** Return a column's name without the apostrophe that files of ours have before "=" and the like. */
function columnOf(name) {
  const bare = name.trim();
  return columns.includes(bare) ? bare : bare.replace(/^'/, "");
}

function table(names, rows) {
  const made = document.createElement("table");
  made.createCaption().textContent = "The first rows; what the model reads is marked";
  const head = made.createTHead().insertRow();
  for (const name of names) {
    const cell = document.createElement("th");
    cell.scope = "col";
    cell.textContent = name;
    cell.classList.toggle("read", columns.includes(columnOf(name)));
    head.append(cell);
  }
  const body = made.createTBody();
  for (const cells of rows) {
    const row = body.insertRow();
    for (const cell of cells) row.insertCell().textContent = cell;
  }
  return made;
}

function complain(text) {
  part("file-problem").textContent = text;
  form.elements.file.toggleAttribute("aria-invalid", text !== "");
  if (text) form.elements.file.setAttribute("aria-invalid", "true");
  form.querySelector("[type=submit]").disabled = text !== "";
}

form.elements.file.addEventListener("change", () => {
  const [file] = form.elements.file.files;
  job?.stopping.abort();
  job = null;
  part("run").hidden = true;
  part("preview").hidden = true;
  form.querySelector("[type=submit]").textContent = "Predict";
  complain("");
  if (!file) return;
  if (file.size > Number(form.dataset.limitBytes)) return complain("The file is longer than the limit.");
  preview(file).catch(() => complain("The file is not text in UTF-8. Save it as “CSV UTF-8”."));
});

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const [file] = form.elements.file.files;
  if (!file) return complain("No file was chosen.");
  const button = form.querySelector("[type=submit]");
  if (!job) {
    job = new Job(file);
    part("problems").hidden = true;
    part("problems").querySelector("ul").replaceChildren();
    part("download").hidden = true;
    part("progress").value = 0;
  }
  const mine = job;
  mine.stopping = new AbortController();
  part("run").hidden = false;
  part("stop").hidden = false;
  button.disabled = true;
  say("Begun");
  try {
    await mine.run();
    finish(mine);
    button.textContent = "Predict";
    job = null;
  } catch (error) {
    if (mine === job) {
      button.textContent = "Go on";
      say(reason(mine, error));
    }
  } finally {
    part("stop").hidden = true;
    button.disabled = false;
  }
});

function reason(stopped, error) {
  const kept = `${stopped.done.toLocaleString()} rows are done and kept.`;
  if (stopped.stopping.signal.aborted) return `Stopped. ${kept}`;
  if (error instanceof TypeError) return `The server can't be reached. ${kept}`;
  return `${error.message} ${kept}`;
}

function finish(done) {
  part("progress").value = 1;
  const good = done.done - done.problems;
  say(`All ${done.done.toLocaleString()} rows read: ${good.toLocaleString()} predicted, ${done.problems.toLocaleString()} can't be used.`);
  const link = part("download");
  if (link.href) URL.revokeObjectURL(link.href);
  link.href = URL.createObjectURL(new Blob(done.parts, { type: "text/csv" }));
  link.download = form.dataset.name;
  link.hidden = false;
}

part("stop").addEventListener("click", () => job?.stopping.abort());
