// Shows the answer as the form changes. The server writes it; without this the form is sent whole.
import { patientFetch } from "./waiting.js";

const PAUSE_MS = 120;
const SLOW_MS = 1500;

const form = document.querySelector("form[data-answer]");
const answer = document.getElementById("answer");
const said = document.getElementById("said");
const slider = form.querySelector("input[type=range]");
let timer;
let asking = new AbortController();

async function ask() {
  asking.abort();
  asking = new AbortController();
  const { signal } = asking;
  const query = new URLSearchParams(new FormData(form)).toString();
  history.replaceState(null, "", `${location.pathname}?${query}`);
  answer.setAttribute("aria-busy", "true");
  const slow = setTimeout(() => (said.textContent = "Still asking the model server."), SLOW_MS);
  try {
    const options = { signal, headers: { accept: "text/html" } };
    const told = async (text, response) => {
      show(await response.text(), signal);
      said.textContent = text;
      answer.removeAttribute("aria-busy");
      answer.querySelector(".notice p")?.replaceChildren(text);
    };
    const response = await patientFetch(`${form.dataset.answer}?${query}`, options, told);
    show(await response.text(), signal);
  } catch (error) {
    if (!signal.aborted) unreachable();
  } finally {
    clearTimeout(slow);
    if (!signal.aborted) answer.removeAttribute("aria-busy");
  }
}

function show(html, signal) {
  if (signal.aborted) return;
  const part = new DOMParser().parseFromString(html, "text/html").querySelector("[data-part]");
  answer.replaceChildren(part);
  const problems = new Map();
  for (const link of part.querySelectorAll("[data-problem]")) problems.set(link.dataset.field, link.dataset.problem);
  for (const field of form.querySelectorAll("[aria-describedby]")) {
    const problem = problems.get(field.name) ?? "";
    field.toggleAttribute("aria-invalid", problem !== "");
    if (problem) field.setAttribute("aria-invalid", "true");
    document.getElementById(`${field.id}-problem`).textContent = problem;
  }
  const words = part.querySelector("[data-words]");
  said.textContent = words ? words.textContent.replace(/\s+/g, " ").trim() : "";
}

function unreachable() {
  const notice = document.getElementById("unreachable").content.cloneNode(true);
  answer.replaceChildren(notice);
}

function soon() {
  clearTimeout(timer);
  timer = setTimeout(ask, PAUSE_MS);
}

const typed = (text) => Number(text.replace(form.dataset.decimal, "."));

form.addEventListener("input", ({ target }) => {
  if (target === slider) {
    const number = form.elements[slider.dataset.for];
    number.value = String(Number(slider.value)).replace(".", form.dataset.decimal);
  } else if (slider && !Number.isNaN(typed(target.value))) {
    slider.value = typed(target.value);
  }
  soon();
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  clearTimeout(timer);
  ask().then(() => answer.scrollIntoView({ block: "nearest" }));
});
answer.addEventListener("click", (event) => {
  if (!event.target.closest("[data-again]")) return;
  event.preventDefault();
  ask();
});
addEventListener("online", ask);
if (slider) {
  slider.hidden = false;
  form.querySelector("button").hidden = true;
}
