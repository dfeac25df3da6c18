// <microtome-figure>: a figure of the lab in any page, also of another origin, by one
//   <script type="module" src="https://HOST/microtome/element.js"></script>
// It draws a recorded figure at once, and computes its own on a click. Before the click nothing is fetched but this module
// with what it imports, and the figure's own JSON where `src` names one. Longer than most files: the states of one element.
import { LabError, toPlain } from "./errors.js";
import { heatmap } from "./embed/heatmap.js";
import { sheet } from "./embed/look.js";
import { bytesOf, ranBefore, remember } from "./embed/sizes.js";
import { readSpec, textsOf, withTexts } from "./embed/spec.js";
import { showBytes, showSentence, showText, showTime } from "./format.js";
import { EMBED } from "./strings/embed.js";
import { el, fill, uniqueId } from "./views/dom.js";

/** @typedef {import("./embed/spec.js").Spec} Spec */
/** @typedef {{ result: import("./microtome.js").Result, figure: import("./microtome.js").Figure }} Outcome */

const HERE = new URL("./", import.meta.url);
/** A figure this near to the screen counts as on it. */
const NEAR = "200px";
let engineLoaded = false;
let connected = false;

/** Runs that were asked of the figure but are off the screen are put off with this. */
const AWAY = new LabError("run.superseded", EMBED.offScreen);

/**
 * Attributes: `src`, the address of an experiment's or a recorded figure's JSON, unless it lies in a child
 * `<script type="application/json">`; `model` (an address, `./` being this site; default its own small model); `backend`
 * (`auto`, `gpu`, `cpu`); `head` (of a trace: `L0H6`); `heading`; `caption`; `height` (CSS, reserved before the figure is
 * there). A child `<a href>` is what a reader without scripts gets, and stays.
 *
 * Events, not bubbling: `ready` {model, engine}, `progress` {phase, done, total}, `result` {result, figure}, `error`
 * {code, message, action}.
 */
export class MicrotomeFigure extends HTMLElement {
  /** @type {Spec | null} */ #spec = null;
  /** @type {AbortController | null} */ #wanted = null;
  #visible = false;
  /** Told when the figure comes onto the screen or leaves it. @type {Set<() => void>} */ #watchers = new Set();
  /** @type {Outcome | null} */ #outcome = null;
  #loaded = false;

  #map = heatmap(this);
  #heading = el("p", { class: "title" });
  #form = el("form", { hidden: true, submit: (/** @type {Event} */ event) => {
    event.preventDefault();
    this.run().catch(() => {});
  } });
  #button = el("button", { type: "button", class: "primary", click: () => this.run().catch(() => {}) });
  #stop = el("button", { type: "button", hidden: true, click: () => this.cancel() }, EMBED.cancel);
  #progress = el("progress", { hidden: true, "aria-label": EMBED.runLive(null) });
  #words = el("span", { class: "words", role: "status" });
  #error = el("div", { class: "error", role: "alert" });
  #notices = el("div", { class: "notices" });
  #caption = el("figcaption");
  #link = el("a", { class: "open", href: HERE.href }, EMBED.openLab);
  #figure = el("figure", {}, this.#heading, this.#form, ...this.#map.parts,
    el("div", { class: "actions" }, this.#button, this.#stop, this.#progress, this.#words, el("slot", {}, this.#link)),
    this.#error, this.#notices, this.#caption);
  #seen = new IntersectionObserver((entries) => {
    this.#visible = entries[entries.length - 1].isIntersecting;
    for (const tell of [...this.#watchers]) tell();
  }, { rootMargin: NEAR });

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [sheet()];
    root.append(this.#figure);
    for (const type of ["pointerover", "focusin"]) {
      this.addEventListener(type, (event) => {
        connect();
        // The lab's address is made when somebody is about to follow it: making it takes more of this site's scripts.
        const link = event.composedPath().find((node) => node instanceof HTMLAnchorElement);
        if (link) void this.#address(/** @type {HTMLAnchorElement} */ (link));
      });
    }
  }

  connectedCallback() {
    this.#heading.textContent = this.getAttribute("heading") ?? "";
    this.#heading.hidden = !this.#heading.textContent;
    this.#caption.textContent = this.getAttribute("caption");
    this.#figure.style.setProperty("--height", this.getAttribute("height") ?? "0");
    this.#label();
    this.#seen.observe(this);
    if (!this.#loaded) void this.#load();
  }

  disconnectedCallback() {
    this.#seen.disconnect();
    this.#visible = false;
    this.cancel();
  }

  /** The experiment, with what the reader has typed; null until it is there. */
  get experiment() {
    return this.#spec?.experiment ?? null;
  }

  /** What to keep as the recorded figure: JSON for `src`; null before the first run. @returns {Spec | null} */
  get recorded() {
    if (!this.#outcome || !this.#spec) return null;
    const { result: { model, engine }, figure } = this.#outcome;
    return { ...this.#spec, figure, model: { name: model.name, sha256: model.sha256 }, engine: { backend: engine.backend, build: engine.build } };
  }

  /** Puts another experiment, or a recorded figure, in its place. @param {object} spec */
  show(spec) {
    this.#loaded = true;
    this.cancel();
    this.#take(JSON.stringify(spec));
  }

  /**
   * Computes the figure, now or when it comes onto the screen; a newer run takes the place of an older one.
   * @returns {Promise<Outcome>} rejects with a LabError
   */
  async run() {
    this.#wanted?.abort(new LabError("run.superseded", "A newer request took its place."));
    const mine = new AbortController();
    this.#wanted = mine;
    this.#state("running");
    try {
      const outcome = await this.#compute(mine.signal);
      if (this.#wanted !== mine) throw mine.signal.reason;
      this.#outcome = outcome;
      const { model, engine } = outcome.result;
      this.#draw(outcome.figure);
      this.#state("done", EMBED.live(showText(model.name), EMBED.engines[engine.backend] ?? engine.backend, showTime(engine.milliseconds)));
      this.#emit("result", outcome);
      return outcome;
    } catch (thrown) {
      const plain = toPlain(thrown);
      if (this.#wanted === mine) this.#fail(plain);
      throw thrown instanceof LabError ? thrown : new LabError(plain.code, plain.message, plain.action);
    } finally {
      if (this.#wanted === mine) this.#wanted = null;
    }
  }

  /** Ends the run under way. */
  cancel() {
    this.#wanted?.abort(new LabError("run.cancelled", "Cancelled."));
  }

  /** @param {AbortSignal} signal @returns {Promise<Outcome>} */
  async #compute(signal) {
    this.#read();
    const spec = this.#spec;
    if (!spec) throw new LabError("figure.none", EMBED.noSource);
    for (;;) {
      await this.#onScreen(signal);
      // What leaves the screen gives the engine to the other figures, and is computed anew when it comes back.
      const turn = new AbortController();
      const leave = () => this.#visible || turn.abort(AWAY);
      const stop = () => turn.abort(signal.reason);
      this.#watchers.add(leave);
      signal.addEventListener("abort", stop);
      try {
        return await this.#turn(spec, turn.signal);
      } catch (thrown) {
        if (signal.aborted || thrown !== AWAY) throw thrown;
      } finally {
        this.#watchers.delete(leave);
        signal.removeEventListener("abort", stop);
      }
    }
  }

  /** @param {Spec} spec @param {AbortSignal} signal @returns {Promise<Outcome>} */
  async #turn(spec, signal) {
    this.#say(EMBED.loadingEngine);
    const { openLab, compute } = await import("./embed/live.js").catch((cause) => {
      throw new LabError("figure.engine", EMBED.failed(cause.message), EMBED.allow(HERE.origin));
    });
    signal.throwIfAborted();
    const lab = await openLab(this.#model, this.getAttribute("backend") ?? "auto", {
      onProgress: ({ phase, all_loaded, all_total, loaded, total }) => {
        const [done, all] = phase === "module" ? [loaded, total] : [all_loaded, all_total];
        this.#say(phase === "module" ? EMBED.loadingEngine : phase === "download" ? EMBED.loadingModel(showBytes(done)) : EMBED.starting, done, all);
        this.#emit("progress", { phase, done, total: all });
      },
      onNotice: ({ message }) => this.#notices.append(el("p", {}, message)),
    }, signal);
    engineLoaded = true;
    remember(this.#model);
    this.#emit("ready", lab.info);
    this.#say(EMBED.queued);
    return compute(lab, spec, {
      signal,
      onProgress: (done, total) => {
        this.#say(EMBED.running(Math.floor((100 * done) / total)), done, total);
        this.#emit("progress", { phase: "run", done, total });
      },
      onFigure: (figure) => this.#draw(figure, true),
    });
  }

  /** @param {AbortSignal} signal @returns {Promise<void>} */
  #onScreen(signal) {
    signal.throwIfAborted();
    if (this.#visible) return Promise.resolve();
    this.#say(EMBED.offScreen);
    return new Promise((resolve, reject) => {
      const look = () => {
        if (!this.#visible) return;
        this.#watchers.delete(look);
        resolve();
      };
      this.#watchers.add(look);
      signal.addEventListener("abort", () => {
        this.#watchers.delete(look);
        reject(signal.reason);
      }, { once: true });
    });
  }

  async #load() {
    this.#loaded = true;
    const src = this.getAttribute("src");
    try {
      const inline = this.querySelector('script[type="application/json"]')?.textContent;
      if (inline) this.#take(inline);
      else if (src) this.#take(await textOf(new URL(src, document.baseURI)));
    } catch (thrown) {
      this.#fail(toPlain(thrown));
    }
  }

  /** @param {string} json */
  #take(json) {
    this.#spec = readSpec(json, this.getAttribute("head"));
    this.#outcome = null;
    const { figure, model, experiment } = this.#spec;
    this.#fields(textsOf(experiment));
    if (figure) this.#draw(figure);
    this.#state("waiting", figure && model ? EMBED.recorded(showText(model.name)) : "");
  }

  /** @param {Record<string, string>} texts */
  #fields(texts) {
    fill(this.#form, ...Object.entries(texts).map(([name, value]) => {
      const id = uniqueId();
      const token = name === "correct" || name === "incorrect";
      return el("div", { class: token && "token" }, el("label", { for: id }, EMBED.fields[name]),
        el("input", { id, name, value, type: "text", autocomplete: "off", spellcheck: "false", title: token && EMBED.spaces(value),
          input: (/** @type {any} */ { target }) => token && target.setAttribute("title", EMBED.spaces(target.value)) }));
    }), el("button", { type: "submit", class: "primary" }, EMBED.again));
  }

  /** What the reader has typed becomes part of the experiment. */
  #read() {
    if (!this.#spec || this.#form.hidden) return;
    const texts = Object.fromEntries([...this.#form.querySelectorAll("input")].map(({ name, value }) => [name, value]));
    this.#spec = { ...this.#spec, experiment: withTexts(this.#spec.experiment, texts) };
  }

  /** @param {import("./microtome.js").Figure} figure @param {boolean} [pending] */
  #draw(figure, pending = false) {
    if (!this.getAttribute("heading")) this.#heading.textContent = figure.title;
    this.#heading.hidden = false;
    this.#map.show(figure, { pending, square: this.#spec?.experiment.kind === "trace" });
    this.#figure.toggleAttribute("data-fresh", pending);
  }

  /** @param {"waiting" | "running" | "done" | "error"} status @param {string} [words] */
  #state(status, words = "") {
    const running = status === "running";
    // A button that is taken away would take the keyboard's place with it.
    const held = this.shadowRoot?.activeElement;
    this.#figure.dataset.status = status;
    this.#form.hidden &&= status !== "done" || !this.#form.querySelector("input");
    this.#button.hidden = running || !this.#form.hidden;
    this.#stop.hidden = this.#progress.hidden = !running;
    if (running && held === this.#button) this.#stop.focus();
    if (!running && held === this.#stop) (this.#button.hidden ? this.#form.querySelector("button") : this.#button)?.focus();
    if (running) {
      fill(this.#error);
      fill(this.#notices);
      this.#figure.removeAttribute("data-fresh");
    }
    this.#label();
    this.#say(words);
  }

  /** @param {string} words @param {number} [done] @param {number | null} [total] */
  #say(words, done, total) {
    if (this.#words.textContent !== words) this.#words.textContent = words;
    if (done !== undefined && total) Object.assign(this.#progress, { max: total, value: done });
    else this.#progress.removeAttribute("value");
  }

  /** @param {import("./errors.js").PlainError} error */
  #fail({ code, message, action }) {
    if (code === "run.cancelled") return this.#state("waiting", EMBED.cancelled);
    this.#state("error");
    fill(this.#error, el("p", {}, showText(showSentence(message))), action && el("p", {}, showText(action)));
    this.#emit("error", { code, message, action });
  }

  get #model() {
    return this.getAttribute("model") ?? "./models/pronoun/";
  }

  /** What the click would fetch. */
  #label() {
    const bytes = bytesOf(this.#model, { engine: engineLoaded, stored: ranBefore(this.#model) });
    this.#button.textContent = this.#outcome ? EMBED.again : bytes === null ? EMBED.runUnsized(bytesOf("./models/pronoun/", { engine: engineLoaded, stored: true }) ?? 0)
      : EMBED.runLive(bytes || null);
  }

  /** Lets a link to the lab lead to this experiment. @param {HTMLAnchorElement} link */
  async #address(link) {
    const to = new URL(link.href);
    if (!this.#spec || to.origin !== HERE.origin || !to.pathname.startsWith(HERE.pathname)) return;
    this.#read();
    const { hashOf } = await import("./embed/open.js");
    to.hash = await hashOf(this.#spec, this.#model);
    link.href = to.href;
  }

  /** @param {string} type @param {object} detail */
  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail, composed: true }));
  }
}

/** @param {URL} url */
async function textOf(url) {
  const response = await fetch(url).catch((cause) => {
    throw new LabError("net.unreachable", EMBED.unreachable(url.href, cause.message));
  });
  if (!response.ok) throw new LabError("net.status", EMBED.unreachable(url.href, String(response.status)));
  return response.text();
}

/** Opens the connection that a click will want, once. */
function connect() {
  if (connected || HERE.origin === self.origin) return;
  connected = true;
  document.head.append(el("link", { rel: "preconnect", href: HERE.origin, crossorigin: "" }));
}

if (!customElements.get("microtome-figure")) customElements.define("microtome-figure", MicrotomeFigure);
