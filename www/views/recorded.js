// The mark of a result that came with the page: a badge, and in words which model and build it is from.
import { S } from "../strings.js";
import { showDay, showText } from "../format.js";
import { el } from "./dom.js";

/** How a live result takes a recorded one's place: by a click, by itself, or not before a model is loaded. @typedef {"click" | "waits" | "without"} Way */

/** @param {import("../state.js").Store} store @param {import("../state.js").JobKey} key @returns {Way} */
export const wayOf = (store, key) => (key === "training" ? "click" : ["loading", "ready"].includes(store.get("model").status) ? "waits" : "without");

/**
 * @param {import("../recorded.js").Mark} mark
 * @param {import("../state.js").Job<any>["status"]} status of the section
 * @param {Way} way
 * @returns {(HTMLElement | null)[]}
 */
export function recordedMark({ model, build, made, same }, status, way) {
  const words = S.recorded;
  return [
    el("span", { class: same ? "badge" : "badge older" }, same ? words.badge : words.older),
    // Beside a button and an estimate the badge has to do.
    ["waiting", "done"].includes(status) ? el("span", { class: "of" }, same ? words.of(showText(model), showDay(new Date(made))) : words.other, " ",
      el("span", { class: "build" }, words.build(build)), ` ${words[way]}`) : null,
  ];
}
