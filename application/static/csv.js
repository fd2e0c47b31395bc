// CSV text: cut where rows end, and read.

/** Yield the rows of a file as their text; a line end inside quotes ends no row. */
export async function* rowsOf(file) {
  const decoder = new TextDecoderStream("utf-8", { fatal: true });
  let rest = "";
  for await (const piece of file.stream().pipeThrough(decoder)) {
    const rows = cut(rest + piece);
    rest = rows.pop();
    yield* rows;
  }
  if (rest) yield rest;
}

function cut(text) {
  const rows = [];
  let begin = 0;
  let quoted = false;
  for (let at = 0; at < text.length; at += 1) {
    if (text[at] === '"') quoted = !quoted;
    else if (text[at] === "\n" && !quoted) {
      rows.push(text.slice(begin, at + 1));
      begin = at + 1;
    }
  }
  rows.push(text.slice(begin));
  return rows;
}

export function delimiterOf(header) {
  const bare = header.replaceAll(/"[^"]*"/g, "");
  const count = (mark) => bare.split(mark).length;
  return [",", ";", "\t"].reduce((best, mark) => (count(mark) > count(best) ? mark : best));
}

/** Return the cells of one row's text. */
export function cellsOf(row, delimiter) {
  const cells = [""];
  let quoted = false;
  for (const [at, mark] of [...row.replace(/\r?\n$/, "")].entries()) {
    if (mark === '"') {
      if (quoted === false && row[at - 1] === '"') cells[cells.length - 1] += '"';
      quoted = !quoted;
    } else if (mark === delimiter && !quoted) cells.push("");
    else cells[cells.length - 1] += mark;
  }
  return cells;
}
