// Keeps this page for use without its server, by the service worker sw.js, and offers a new version of it when there is one.
// Loaded by the pages of a built site (`microtome build`, `serve --lan`), after everything else: nothing depends on it.
import { S } from "./strings.js";
import { trusted } from "./spawn.js";
import { choose } from "./threads.js";
import { el } from "./views/dom.js";

/** Where there are service workers: secure pages in a tab of their own. @returns {ServiceWorkerContainer | undefined} */
function container() {
  try {
    return isSecureContext && self === top ? navigator.serviceWorker : undefined;
  } catch {
    // Reading it throws in a sandboxed frame.
    return undefined;
  }
}

const workers = container();
if (workers) start(workers).catch((cause) => console.info(`microtome: this page is not kept for use offline, ${cause.message}`));

/** @param {ServiceWorkerContainer} workers */
async function start(workers) {
  await settled(Boolean(workers.controller));
  const script = /** @type {string} */ (trusted(new URL("./sw.js", import.meta.url).href));
  const registration = await workers.register(script, { updateViaCache: "none" });
  watch(workers, registration);
  const { active } = await workers.ready;
  // Which build this browser takes the worker cannot know, and the first page got it without the worker.
  const build = await choose();
  const base = new URL("./", import.meta.url).href;
  await ask(active, { kind: "keep", names: [build.glue, build.wasm].map(({ href }) => decodeURI(href.slice(base.length))) });
  document.querySelector("footer")?.append(el("p", { class: "kept" }, S.room.kept));
}

/**
 * Waits for the page, and for its first model where it loads one: keeping files must delay nothing.
 * @param {boolean} kept the page came out of the worker, so that nothing is left to be fetched
 */
async function settled(kept) {
  if (document.readyState !== "complete") await new Promise((resolve) => addEventListener("load", resolve, { once: true }));
  const store = /** @type {any} */ (globalThis).microtome?.store;
  const busy = () => store.get("model").status === "loading";
  if (store && !kept && busy()) await new Promise((resolve) => store.subscribe("model", () => busy() || resolve(undefined)));
  await new Promise((resolve) => (globalThis.requestIdleCallback ?? setTimeout)(resolve));
}

/** Offers a version that waits, now or later. @param {ServiceWorkerContainer} workers @param {ServiceWorkerRegistration} registration */
function watch(workers, registration) {
  /** @type {HTMLElement | null} */
  let banner = null;
  const look = () => {
    const { waiting } = registration;
    // Without a controller this page came from the server: it is the new version.
    if (!waiting || !workers.controller || banner) return;
    const words = el("p", {}, S.room.update);
    const reload = async () => {
      // A newer one may have taken its place.
      const others = await ask(registration.waiting, { kind: "take over" });
      if (others) words.textContent = S.room.others(others);
    };
    workers.addEventListener("controllerchange", () => location.reload(), { once: true });
    banner = el("div", { class: "update", role: "status" }, words, el("button", { type: "button", click: reload }, S.room.reload));
    document.body.append(banner);
  };
  registration.addEventListener("updatefound", () => registration.installing?.addEventListener("statechange", look));
  look();
}

/** @param {ServiceWorker | null} worker @param {object} message @returns {Promise<any>} */
async function ask(worker, message) {
  if (!worker) throw new Error("there is no worker");
  const { port1, port2 } = new MessageChannel();
  return new Promise((resolve, reject) => {
    port1.onmessage = ({ data }) => (data.error ? reject(new Error(data.error)) : resolve(data.value));
    worker.postMessage(message, [port2]);
  });
}
