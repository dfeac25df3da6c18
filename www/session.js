// The lab that the page has open: loads a model, replaces it, says when it is there.
import { askToKeep, kept } from "./keep.js";
import { beginLoading, endLoading } from "./loading_mark.js";
import { Lab } from "./microtome.js";
import { LabError, toPlain } from "./errors.js";
import { createRecordings } from "./recorded.js";
import { distrust } from "./secure.js";

/** @typedef {ReturnType<typeof createSession>} Session */
/** @typedef {{ address: string } | { files: File[] }} Choice */

/** @param {import("./state.js").Store} store */
export function createSession(store) {
  /** @type {Lab | null} */
  let lab = null;
  /** @type {AbortController | null} */
  let opening = null;
  /** On the way to another checkpoint. @type {AbortController | null} */
  let going = null;
  /** @type {(() => void)[]} */
  const waiting = [];
  /** @type {Choice} */
  let chosen = { address: store.get("model").address };
  /** Hosts that the visitor agreed to, for as long as the page is open. @type {Set<string>} */
  const hosts = new Set();
  /** Whether the visitor agreed to weights of the chosen model that are no numbers. */
  let allowNotFinite = false;
  const network = networkOf(document.querySelector('meta[name="microtome-hub"]'));
  // `?limits=default` shows what a GPU that grants no more than it must would do.
  const limits = new URLSearchParams(location.search).get("limits") === "default" ? "default" : "adapter";

  /** @param {Choice} [choice] the same model again, if it is left out */
  async function open(choice = chosen) {
    opening?.abort();
    lab?.close();
    lab = null;
    // A model that was chosen answers the question about another one.
    const linked = choice === chosen ? store.get("model").linked : null;
    if (choice !== chosen) allowNotFinite = false;
    chosen = choice;
    const mine = new AbortController();
    opening = mine;
    const { backend, precision } = store.get("model").inputs;
    const address = "address" in choice ? choice.address : "local";
    store.update("model", { status: "loading", progress: null, plan: null, error: null, address, notices: distrust(), consent: null, held: null, linked });
    beginLoading();
    // What a visitor chose to download is worth keeping.
    if (/^(hf|https):/.test(address)) askToKeep().then((asked) => void (asked && lookUp()));
    try {
      const opened = await Lab.open({
        ...("address" in choice ? { model: choice.address } : { files: choice.files }),
        backend, precision, allowNotFinite, limits, ...network, allowHosts: [...hosts],
        signal: mine.signal,
        // Also called when a worker is replaced later on, which may then run on another engine.
        onProgress: (progress) => opening === mine && store.update("model", progress.phase !== "ready" ? { progress }
          : { progress: null, info: lab?.info ?? null }),
        onPlan: (plan) => opening === mine && store.update("model", { plan }),
        onNotice: (notice) => opening === mine && store.update("model", { notices: [...store.get("model").notices, notice] }),
      });
      if (opening !== mine) return opened.close();
      lab = opened;
      store.update("model", { status: "ready", progress: null, info: lab.info });
      endLoading();
      for (const listener of waiting) listener();
    } catch (thrown) {
      if (opening !== mine) return;
      endLoading();
      const error = toPlain(thrown);
      const consent = error.code === "address.consent" ? new URL(address).host : null;
      const status = error.code === "run.cancelled" || consent ? "cancelled" : "error";
      store.update("model", { status, progress: null, info: null, error: status === "error" ? error : null, consent });
    }
    await lookUp();
  }

  /** Asks what is stored here. A browser that stores nothing says so where it matters: when a model is loaded. */
  async function lookUp() {
    const [stored, keeps] = await Promise.all([Lab.stored().catch(() => []), kept()]);
    store.update("model", { stored, keeps });
  }

  return {
    open, lookUp,
    /** What came with the page, until there is more. */
    recordings: createRecordings(() => store.get("model").address),
    /** Loads nothing before the visitor says so. @param {"crash" | "data"} why */
    hold(why) {
      store.update("model", { status: "cancelled", held: why });
      void lookUp();
    },
    /** The visitor's answer about a host that a model would come from. @param {boolean} agreed */
    answer(agreed) {
      const { consent } = store.get("model");
      store.update("model", { consent: null });
      if (!agreed || !consent) return;
      hosts.add(consent);
      open();
    },
    /** Opens a model that a link or a task asked for, and the visitor agreed to by its host's name. @param {string} address */
    openAgreed(address) {
      if (address.startsWith("https:")) hosts.add(new URL(address).host);
      open({ address });
    },
    /** The visitor does not want the model that a link asked for. */
    decline: () => store.update("model", { linked: null }),
    /** Opens the same model although some of its weights are no numbers. */
    openAnyway() {
      allowNotFinite = true;
      open();
    },
    cancel: () => opening?.abort(),
    /**
     * Puts another checkpoint of the open model's family onto the engine; a newer call takes the place of an older one.
     * @param {number} step
     */
    async goTo(step) {
      going?.abort(new LabError("run.superseded", "A newer request took its place."));
      const mine = new AbortController();
      going = mine;
      const here = lab;
      const info = await here?.goTo(step, { signal: mine.signal });
      if (!info || here !== lab || going !== mine) return;
      store.update("model", { info });
      for (const listener of waiting) listener();
    },
    lab: () => lab,
    /** Called each time a model, or another checkpoint of it, is ready, in the order of registration. @param {() => void} listener */
    onReady(listener) {
      waiting.push(listener);
      // A section that came later missed the first.
      if (lab) listener();
    },
  };
}

/**
 * The site's own choice of a Hub: `<meta name="microtome-hub" content="https://mirror.example/">`. It is part of the page,
 * not of a link to it, so that nobody else can choose. `data-time-scale` hurries all waits, for tests.
 * @param {Element | null} meta
 */
function networkOf(meta) {
  const scale = Number(meta?.getAttribute("data-time-scale"));
  return { hub: meta?.getAttribute("content") || undefined, timeScale: scale > 0 ? scale : undefined };
}
