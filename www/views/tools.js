// The page's own tools: undo and redo, links to what is on it, and what is said of a link that was opened.
import { S } from "../strings.js";
import { toPlain } from "../errors.js";
import { MODELS } from "../presets.js";
import { showBytes, showText, showToken } from "../format.js";
import { el, fill } from "./dom.js";
import { button } from "./fields.js";
import { errorBox } from "./section.js";

/** @typedef {ReturnType<typeof import("../address_bar.js").addressBar>} AddressBar */
/** @typedef {import("../link.js").Section} Section */
const words = S.prompts.link;
/** Milliseconds. */
const STAYS = 10_000;

/** Takes the keyboard, later, to where it is now; or to the page's beginning, if that has gone. @returns {() => void} */
function comeBack() {
  const from = document.activeElement;
  return () => (from instanceof HTMLElement && from !== document.body && from.isConnected ? from : /** @type {HTMLElement | null} */ (document.querySelector(".jump")))?.focus();
}

/** Where what is said stands: under the page's heading, in sight and read out. */
export function sayings() {
  const root = el("div", { class: "sayings" });
  const status = el("p", { class: "unseen", role: "status" });
  root.append(status);
  /** @param {...import("./dom.js").Child} children */
  const show = (...children) => {
    const back = comeBack();
    const box = el("div", { class: "saying" }, ...children);
    box.append(button("×", () => {
      box.remove();
      back();
    }, { quiet: true, label: words.close }));
    root.append(box);
    return box;
  };
  return {
    root, show,
    /** Only read out. @param {string} text */
    tell: (text) => void (status.textContent = text),
    /** @param {string} text */
    note: (text) => show(el("p", { role: "status" }, showText(text))),
    /** @param {import("../errors.js").PlainError} error */
    error: (error) => show(errorBox(error)),
  };
}
/** @typedef {ReturnType<typeof sayings>} Sayings */

/**
 * Goes to a section and stays there while the figures above it come in, until the visitor does something, or for a while.
 * @param {Element} root
 */
export function goTo(root) {
  const go = () => root.scrollIntoView({ behavior: "instant" });
  const observer = new ResizeObserver(go);
  const stop = () => observer.disconnect();
  go();
  observer.observe(document.body);
  for (const event of ["wheel", "touchstart", "keydown", "pointerdown"]) addEventListener(event, stop, { once: true, passive: true });
  setTimeout(stop, STAYS);
}

/** Milliseconds that a button says that it has copied. */
const SAID = 2000;

/**
 * A button that copies something, and says so where it stands: what is read out of it is far away on a long page.
 * @param {string} text @param {() => Promise<boolean>} act whether it is copied @param {{ label?: string }} [look]
 */
export function copying(text, act, look = {}) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const node = button(text, async () => {
    if (!(await act())) return;
    node.dataset.copied = "";
    clearTimeout(timer);
    timer = setTimeout(() => delete node.dataset.copied, SAID);
  }, { quiet: true, ...look });
  return node;
}

/**
 * Buttons for undo and redo, and their keys: Ctrl+Z, and Ctrl+Shift+Z or Ctrl+Y, outside of text fields, which have their own.
 * @param {import("../undo.js").Undo} undo
 * @param {(text: string) => void} tell
 */
export function undoButtons(undo, tell) {
  const { undo: back, redo: forth, undone, redone } = S.prompts.undo;
  const step = (/** @type {"undo" | "redo"} */ which) => {
    if (!(which === "undo" ? undo.canUndo() : undo.canRedo())) return;
    undo[which]();
    tell(which === "undo" ? undone : redone);
  };
  const buttons = { undo: button(back, () => step("undo"), { quiet: true }), redo: button(forth, () => step("redo"), { quiet: true }) };
  // Never disabled: a button that is would drop the keyboard's focus in the middle of undoing.
  const update = () => {
    buttons.undo.setAttribute("aria-disabled", String(!undo.canUndo()));
    buttons.redo.setAttribute("aria-disabled", String(!undo.canRedo()));
  };
  addEventListener("keydown", (event) => {
    const key = event.key.toLowerCase();
    const which = key === "y" || (key === "z" && event.shiftKey) ? "redo" : key === "z" ? "undo" : null;
    const target = /** @type {HTMLElement} */ (event.target);
    if (!which || event.altKey || !(event.ctrlKey || event.metaKey) || target.matches("input[type=text], textarea")) return;
    event.preventDefault();
    step(which);
  });
  update();
  return { nodes: [buttons.undo, buttons.redo], update };
}

/**
 * Puts a link into the clipboard, or where it can be copied by hand; gives whether it is in the clipboard.
 * @param {AddressBar} bar
 * @param {Sayings} say
 * @param {() => boolean} isLocal whether the model is of the visitor's own files
 */
export const linkCopier = (bar, say, isLocal) => async (/** @type {Section | null} */ section) => {
  let link;
  try {
    link = await bar.linkTo(section);
  } catch (error) {
    say.error(toPlain(error));
    return false;
  }
  try {
    await navigator.clipboard.writeText(link);
    say.note(isLocal() ? `${words.copied} ${words.local}` : words.copied);
    return true;
  } catch {
    const field = el("input", { type: "text", readonly: true, value: link, "aria-label": words.copy });
    say.show(el("p", {}, words.byHand), field, isLocal() && el("p", { class: "note" }, words.local));
    field.focus();
    field.select();
    return false;
  }
};

/**
 * Asks before a model is loaded that the visitor did not choose: nothing is asked of anybody until then.
 * @param {import("../session.js").Session} session
 * @param {string} address
 * @param {{ title: string, nothing?: string, then?: () => void }} options `then`: what else is done when it is agreed to
 */
export function modelQuestion(session, address, { title, nothing, then }) {
  const preset = MODELS.find((model) => model.address === address);
  const host = hostOf(address);
  const name = preset ? preset.title : showToken(address.replace(/^hf:/, "").slice(0, 120));
  const root = el("div", { class: "question", role: "group", "aria-label": title });
  const back = comeBack();
  const close = () => {
    const held = root.contains(document.activeElement);
    root.remove();
    if (held) back();
  };
  fill(root, el("h2", {}, title), el("p", {}, words.asks(name, host), " ", preset ? words.size(showBytes(preset.bytes)) : words.noSize),
    nothing && el("p", { class: "note" }, nothing),
    el("div", { class: "row" },
      button(words.keep, () => {
        close();
        session.decline();
      }),
      button(words.load(host), () => {
        close();
        then?.();
        session.openAgreed(address);
      }, { primary: true })));
  return { root, close };
}

/** Who is asked for a model. @param {string} address or what somebody took for one */
export function hostOf(address) {
  if (address.startsWith("./")) return words.here;
  if (/^https?:/i.test(address)) return URL.canParse(address) ? new URL(address).host : showToken(address.slice(0, 120));
  const mirror = document.querySelector('meta[name="microtome-hub"]')?.getAttribute("content");
  return mirror ? new URL(mirror, document.baseURI).host : "huggingface.co";
}
