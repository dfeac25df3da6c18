// The row of tasks at the top of the page.
import { S } from "../strings.js";
import { MODELS } from "../presets.js";
import { TASKS } from "../tasks.js";
import { PARTS, completed, inputsOf } from "../page_state.js";
import { showBytes, showToken } from "../format.js";
import { el, fill } from "./dom.js";

const words = S.prompts.tasks;
/** What a task says nothing of, and leaves as it is. */
const KEPT = /** @type {const} */ (["settings", "heads", "training"]);

/**
 * The inputs with those of a task in them.
 * @param {import("../page_state.js").Inputs} now
 * @param {import("../tasks.js").Task} task
 * @returns {import("../page_state.js").Inputs}
 */
export function withTask(now, { state }) {
  const inputs = completed(state);
  return { ...inputs, ...Object.fromEntries(KEPT.map((part) => [part, now[part]])) };
}

/**
 * @param {import("../state.js").Store} store
 * @param {(task: import("../tasks.js").Task) => void} choose
 */
export function tasksView(store, choose) {
  const cards = TASKS.map((task) => {
    const { title, about } = words.each[task.key];
    const model = MODELS.find(({ address }) => address === task.needs);
    const [prompt, answer] = task.example;
    return { task, button: el("button", { type: "button", class: "task", title: `${about} ${prompt} → ${showToken(answer)}`, click: () => choose(task) },
      el("strong", {}, title), el("span", { class: "about" }, model ? words.needs(model.title, showBytes(model.bytes)) : about)) };
  });
  let seen = /** @type {unknown[]} */ ([]);
  function mark() {
    const now = inputsOf(store);
    const parts = PARTS.map((part) => now[part]);
    if (parts.every((part, i) => part === seen[i])) return;
    seen = parts;
    const text = JSON.stringify(now);
    for (const { task, button } of cards) button.setAttribute("aria-pressed", String(JSON.stringify(withTask(now, task)) === text));
  }
  for (const part of PARTS) store.subscribe(part, mark);
  mark();
  const list = el("ul", { class: "tasks" });
  fill(list, ...cards.map(({ button }) => el("li", {}, button)));
  return el("aside", { class: "task-row", "aria-labelledby": "tasks-heading" }, el("h2", { id: "tasks-heading" }, words.title), list);
}
