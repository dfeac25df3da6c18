// <microtome-figure>: a figure of the lab in any page, also of another origin, by one
//   <script type="module" src="https://HOST/microtome/element.js"></script>
// It draws a recorded figure at once, and computes its own on a click. Before the click nothing is fetched but this module
// with what it imports, and the figure's own JSON where `src` names one. Longer than most files: the states of one element.
import { LabError, toPlain } from "./errors.js";
import { heatmap } from "./embed/heatmap.js";
import { sheet } from "./embed/look.js";
import { onScreen } from "./embed/on_screen.js";
import { bytesOf, ranBefore, remember } from "./embed/sizes.js";
import { about, jsonIn, labOf, parsed, textOf } from "./embed/source.js";
import { readSpec, textsOf, withTexts } from "./embed/spec.js";
import { showBytes, showSentence, showText, showTime } from "./format.js";
import { EMBED } from "./strings/embed.js";
import { el, fill, uniqueId } from "./views/dom.js";

/** @typedef {import("./embed/spec.js").Spec} Spec */
/** @typedef {{ result: import("./microtome.js").Result, figure: import("./microtome.js").Figure }} Outcome */

const HERE = new URL("./", import.meta.url);
let connected = false;
/** Models that are open in this page. @type {Set<string>} */
const opened = new Set();
/** The page's figures. @type {Set<MicrotomeFigure>} */
const figures = new Set();

/**
 * Attributes: `src`, the address of an experiment's or a recorded figure's JSON, unless it lies in a child
 * `<script type="application/json">`; `model` (an address, `./` being this site; default its own small model); `backend`
 * (`auto`, `gpu`, `cpu`); `head` (of a trace: `L0H6`); `heading`; `caption`; `height` (CSS, the least that the figure takes);
 * `theme` (`auto`, `light`, `dark`); `lab` (the page that “Open in the lab” leads to, where this site has none of its own).
 * All may be changed later; a new `src` or `model` ends a run under way. A child `<a href>` is what a reader without scripts
 * gets, and takes the place of the link to the lab.
 *
 * Events, not bubbling: `ready` {model, engine}, `progress` {phase, done, total}, `result` {result, figure}, `error`
 * {code, message, action}.
 */
export class MicrotomeFigure extends HTMLElement {
  static observedAttributes = ["src", "model", "head", "heading", "caption", "height", "theme", "lab"];

  /** @type {Spec | null} */ #spec = null;
  /** What `#spec` was read from. */ #json = "";
  /** Fulfilled when what the figure is of is there; null before anybody asked for it, and where that failed. @type {Promise<void> | null} */
  #arriving = null;
  /** @type {AbortController | null} */ #wanted = null;
  /** @type {Outcome | null} */ #outcome = null;
  /** Whether it was in a page: before that, its attributes are not complete. */ #placed = false;
  /** Of what is drawn. */ #title = "";
  /** What the author's own links to the lab are about. @type {string | null} */ #first = null;

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
  #link = el("a", { class: "open" }, EMBED.openLab);
  #figure = el("figure", {}, this.#heading, this.#form, ...this.#map.parts,
    el("div", { class: "actions" }, this.#button, this.#stop, this.#progress, this.#words, el("slot", { slotchange: () => this.#offer() }), this.#link),
    this.#error, this.#notices, this.#caption);
  #screen = onScreen(this, () => this.#say(EMBED.offScreen));
  /** Sees JSON that is put into the element after it is in the page. */
  #late = new MutationObserver(() => jsonIn(this) && this.#fetch());

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [sheet()];
    root.append(this.#figure);
    for (const type of ["pointerover", "focusin"]) {
      this.addEventListener(type, (event) => {
        connect();
        const link = /** @type {HTMLAnchorElement | undefined} */ (event.composedPath().find((node) => node instanceof HTMLAnchorElement));
        if (!link) return;
        this.#read();
        const now = this.#spec && { spec: this.#spec, model: this.#model, first: this.#first };
        // A link that cannot be made leads to the lab all the same.
        if (now) import("./embed/lab_link.js").then(({ lead }) => lead(link, this, now)).catch(() => {});
      });
    }
  }

  connectedCallback() {
    this.#placed = true;
    figures.add(this);
    this.#dress();
    this.#offer();
    this.#label();
    this.#map.watch();
    this.#screen.watch();
    if (!this.#arriving) this.#fetch();
  }

  disconnectedCallback() {
    figures.delete(this);
    this.#map.unwatch();
    this.#screen.unwatch();
    // One that is only moved is in its new place by then, and goes on.
    queueMicrotask(() => this.isConnected || this.cancel());
  }

  /** @param {string} name @param {string | null} before @param {string | null} now */
  attributeChangedCallback(name, before, now) {
    if (!this.#placed || before === now) return;
    if (name === "theme") this.#map.redraw();
    else if (name === "lab") this.#offer();
    else if (!["src", "model", "head"].includes(name)) this.#dress();
    else {
      const running = this.#end();
      this.#outcome = null;
      if (running) this.#state("waiting");
      if (name === "src" && now !== null) return this.#fetch(false);
      if (name === "model") this.#label();
      else if (this.#json) this.#try(() => this.#take(this.#json));
    }
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

  /** Puts another experiment, or a recorded figure, in its place. @param {object | string} spec a value, or its JSON */
  show(spec) {
    const json = typeof spec === "string" ? spec : JSON.stringify(spec);
    readSpec(json, this.getAttribute("head"));
    this.#end();
    this.#late.disconnect();
    this.#arriving = Promise.resolve();
    this.#first ??= "";
    this.#take(json);
  }

  /**
   * Computes the figure, now or when it comes onto the screen; a newer run takes the place of an older one.
   * @returns {Promise<Outcome>} rejects with a LabError
   */
  async run() {
    this.#wanted?.abort(new LabError("run.superseded", EMBED.superseded));
    const mine = new AbortController();
    const { signal } = mine;
    this.#wanted = mine;
    this.#state("running");
    try {
      /** @type {Promise<never>} */
      const ended = new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason), { once: true }));
      // What is cancelled ends at once, whatever it waits for.
      const outcome = await Promise.race([this.#compute(signal), ended]);
      signal.throwIfAborted();
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
    this.#wanted?.abort(new LabError("run.cancelled", EMBED.cancelled));
  }

  /** Ends the run under way, of which nothing is to be seen any more. @returns {boolean} whether there was one */
  #end() {
    const running = this.#wanted !== null;
    this.cancel();
    this.#wanted = null;
    return running;
  }

  /** @param {AbortSignal} signal @returns {Promise<Outcome>} */
  async #compute(signal) {
    // Its attributes and its JSON are read when it is put into the page.
    if (!this.#arriving && !this.#placed) await this.#screen.arrival(signal);
    if (!this.#arriving) this.#fetch();
    await this.#arriving;
    signal.throwIfAborted();
    this.#read();
    const spec = this.#spec;
    if (!spec) throw new LabError("figure.none", EMBED.noSource);
    await this.#screen.arrival(signal);
    this.#say(EMBED.loadingEngine);
    const { withLab, compute } = await import("./embed/live.js").catch((cause) => {
      throw new LabError("figure.engine", EMBED.failed(cause.message), EMBED.allow(HERE.origin));
    });
    const model = this.#model;
    const wanted = { model, backend: this.getAttribute("backend") ?? "auto", allowHosts: hostsOf(model) };
    return withLab(wanted, {
      onProgress: ({ phase, all_loaded, all_total, loaded, total }) => {
        if (signal.aborted) return;
        const [done, all] = phase === "module" ? [loaded, total] : [all_loaded, all_total];
        this.#say(phase === "module" ? EMBED.loadingEngine : phase === "download" ? EMBED.loadingModel(showBytes(done)) : EMBED.starting, done, all);
        this.#emit("progress", { phase, done, total: all });
      },
      onNotice: ({ message }) => signal.aborted || this.#notices.append(el("p", {}, message)),
    }, signal, async (lab, stored) => {
      opened.add(model);
      if (stored) remember(model);
      // What this one has loaded, the others need not load.
      for (const one of figures) one.#label();
      this.#emit("ready", lab.info);
      return this.#screen.during(signal, (turn) => {
        this.#say(EMBED.queued);
        return compute(lab, spec, {
          signal: turn,
          onProgress: (done, total) => {
            this.#say(EMBED.running(Math.floor((100 * done) / total)), done, total);
            this.#emit("progress", { phase: "run", done, total });
          },
          onFigure: (figure) => this.#draw(figure, true),
        });
      });
    });
  }

  /** Gets what the figure is of, in place of what was asked for before. @param {boolean} [inside] whether it may lie in the element */
  #fetch(inside = true) {
    this.#late.disconnect();
    const arriving = this.#find(inside).then((json) => {
      if (arriving !== this.#arriving) return;
      if (json) return this.#take(json, true);
      if (inside) this.#late.observe(this, { childList: true, subtree: true, characterData: true });
    });
    this.#arriving = arriving;
    arriving.catch((thrown) => {
      if (arriving !== this.#arriving) return;
      // The next run asks again. One that waits for it says why there is nothing.
      this.#arriving = null;
      if (!this.#wanted) this.#fail(toPlain(thrown));
    });
  }

  /** @param {boolean} inside @returns {Promise<string | null>} */
  async #find(inside) {
    if (inside) await parsed(this);
    const json = inside && jsonIn(this);
    const src = this.getAttribute("src");
    return json || (src ? textOf(src) : null);
  }

  /** @param {() => void} act */
  #try(act) {
    try {
      act();
    } catch (thrown) {
      this.#fail(toPlain(thrown));
    }
  }

  /** @param {string} json @param {boolean} [given] the author's links are about it */
  #take(json, given = false) {
    this.#spec = readSpec(json, this.getAttribute("head"));
    this.#json = json;
    this.#outcome = null;
    const { figure, model, experiment } = this.#spec;
    if (given) this.#first ??= about(this.#spec, this.#model);
    this.#fields(textsOf(experiment));
    fill(this.#notices);
    if (figure) this.#draw(figure);
    // A run that was asked for before this was there goes on.
    if (!this.#wanted) this.#state("waiting", figure && model ? EMBED.recorded(showText(model.name)) : "");
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
    this.#title = figure.title;
    this.#dress();
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
    if (status !== "error") fill(this.#error);
    if (running) {
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

  /** The words of its attributes, and its height. */
  #dress() {
    this.#heading.textContent = this.getAttribute("heading") || this.#title;
    this.#heading.hidden = !this.#heading.textContent;
    this.#caption.textContent = this.getAttribute("caption");
    this.#figure.style.setProperty("--height", this.getAttribute("height") ?? "0");
  }

  /** A link to the lab, unless the author has put one into the element, or there is no lab to lead to. */
  #offer() {
    const lab = labOf(this);
    this.#link.hidden = lab === null || this.querySelector("a[href]") !== null;
    if (lab !== null) this.#link.href = lab;
  }

  /** What the click would fetch. */
  #label() {
    const engine = opened.size > 0;
    const bytes = bytesOf(this.#model, { engine, stored: opened.has(this.#model) || ranBefore(this.#model) });
    this.#button.textContent = this.#outcome ? EMBED.again : bytes === null ? EMBED.runUnsized(bytesOf("./models/pronoun/", { engine, stored: true }) ?? 0)
      : EMBED.runLive(bytes || null);
  }

  /** @param {string} type @param {object} detail */
  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail, composed: true }));
  }
}

/** The host of an address, which the page's author has agreed to by writing it. @param {string} model @returns {string[]} */
const hostsOf = (model) => (model.startsWith("https://") && URL.canParse(model) ? [new URL(model).host] : []);

/** Opens the connection that a click will want, once. */
function connect() {
  if (connected || HERE.origin === self.origin) return;
  connected = true;
  document.head.append(el("link", { rel: "preconnect", href: HERE.origin, crossorigin: "" }));
}

if (!customElements.get("microtome-figure")) customElements.define("microtome-figure", MicrotomeFigure);
