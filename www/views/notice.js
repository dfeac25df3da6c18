// What was let pass, or went wrong and was got round, while a model was loaded. One with a report can be passed on.
import { S } from "../strings.js";
import { showText } from "../format.js";
import { el } from "./dom.js";
import { button } from "./fields.js";

/** @param {import("../microtome.js").Notice} notice */
export function noticeBox({ code, message: words, report }) {
  const message = showText(words);
  if (!report) return el("p", { class: "notice", "data-code": code }, message);
  const text = el("pre", { tabindex: 0 }, report);
  const said = el("span", { role: "status" });
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(report);
      said.textContent = S.selfTest.copied;
    } catch {
      said.textContent = S.selfTest.notCopied;
      details.open = true;
      getSelection()?.selectAllChildren(text);
    }
  };
  const details = el("details", {}, el("summary", {}, S.selfTest.report), text);
  return el("div", { class: "notice failed", role: "alert", "data-code": code }, el("p", {}, message), details,
    el("div", { class: "row" }, button(S.selfTest.copy, copy), said));
}
