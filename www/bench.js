// The benchmark's page: each engine in a worker of its own, one after the other. The address may choose and start it:
//   bench.html?engines=single,threads,gpu&tokens=11,30&cases=forward,patch&repeat=3&shape=tiny&run
// Everything measured is `window.benchResult` at the end, and behind “Save as JSON”.
import { LabError, fromPlain } from "./errors.js";
import { showBytes, showCount, showFixed, showPercent, showTime } from "./format.js";
import { spawn } from "./spawn.js";
import { BENCH } from "./strings/bench.js";
import { el, fill, scrollable } from "./views/dom.js";

/** @typedef {import("./engine.js").BenchOptions} BenchOptions */
/** @typedef {import("./engine.js").BenchEngine} BenchEngine */
/** @typedef {import("./engine.js").BenchRow} BenchRow */

const query = new URLSearchParams(location.search);
/** @param {string} name @param {string[]} otherwise */
const listed = (name, otherwise) => query.get(name)?.split(",").filter(Boolean) ?? otherwise;

const ENGINES = {
  single: { title: BENCH.engines.single, backend: "cpu", threads: 1 },
  threads: { title: BENCH.engines.threads, backend: "cpu", threads: 64 },
  gpu: { title: BENCH.engines.gpu, backend: "gpu", threads: 1 },
};
const LENGTHS = ["11", "30"];

const part = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
const form = /** @type {HTMLFormElement} */ (part("form"));
const cancel = /** @type {HTMLButtonElement} */ (part("cancel"));
const start = /** @type {HTMLButtonElement} */ (part("run"));
const download = /** @type {HTMLAnchorElement} */ (part("download"));

/** A list of boxes to tick. @param {string} name @param {[string, string, string?][]} items value, label, why it is not possible */
function boxes(name, items) {
  const ticked = listed(name, items.filter(([, , why]) => !why).map(([value]) => value));
  fill(part(name), ...items.map(([value, label, why]) => {
    const box = /** @type {HTMLInputElement} */ (el("input", { type: "checkbox", name, value }));
    box.checked = ticked.includes(value) && !why;
    box.disabled = Boolean(why);
    return el("label", { class: "check" }, box, why ? BENCH.unable(label, why) : label);
  }));
}

const noThreads = !crossOriginIsolated ? BENCH.notIsolated : navigator.hardwareConcurrency < 2 ? BENCH.oneCore : "";
boxes("engines", [
  ["single", ENGINES.single.title], ["threads", ENGINES.threads.title, noThreads],
  ["gpu", ENGINES.gpu.title, "gpu" in navigator ? "" : BENCH.noGpu],
]);
boxes("tokens", LENGTHS.map((n) => [n, n]));
boxes("cases", Object.entries(BENCH.cases));

form.addEventListener("submit", (event) => {
  event.preventDefault();
  void run();
});

async function run() {
  const chosen = new FormData(form);
  const engines = /** @type {(keyof typeof ENGINES)[]} */ (chosen.getAll("engines").map(String));
  const repeat = query.get("repeat");
  /** @type {Omit<BenchOptions, "backend" | "threads">} */
  const asked = {
    shape: query.get("shape") === "tiny" ? "tiny" : "gpt2-small", seed: Number(query.get("seed") ?? 0),
    tokens: chosen.getAll("tokens").map(Number), only: chosen.getAll("cases").map(String),
    ...(repeat ? { repeat: Number(repeat) } : {}),
  };
  const controller = new AbortController();
  const onCancel = () => controller.abort();
  cancel.addEventListener("click", onCancel, { once: true });
  // A button that is taken away would take the keyboard's place with it.
  const held = document.activeElement === start;
  start.hidden = download.hidden = true;
  cancel.hidden = false;
  if (held) cancel.focus();
  const { userAgent, hardwareConcurrency: cores } = navigator;
  const result = {
    build: "", shape: asked.shape, seed: asked.seed, page: { userAgent, cores, isolated: crossOriginIsolated },
    engines: /** @type {BenchEngine[]} */ ([]), errors: /** @type {{ engine: string, code: string, message: string }[]} */ ([]),
  };
  fill(part("results"));
  for (const name of engines) {
    if (controller.signal.aborted || !asked.tokens.length || !asked.only.length) break;
    const { title, backend, threads } = ENGINES[name];
    const table = tableFor(title);
    part("results").append(table.root);
    try {
      const options = /** @type {BenchOptions} */ ({ ...asked, backend, threads });
      const engine = await oneEngine(options, title, table.add, controller.signal);
      result.build = engine.build;
      result.engines.push(engine);
      table.finish(engine);
    } catch (error) {
      const { code, message, action } = /** @type {LabError} */ (error);
      if (code !== "run.cancelled") table.root.append(el("p", { class: "error" }, [message, action].filter(Boolean).join(" ")));
      result.errors.push({ engine: name, code, message });
    }
  }
  cancel.removeEventListener("click", onCancel);
  fill(part("status"), controller.signal.aborted ? BENCH.cancelled : result.engines.length ? BENCH.done : BENCH.nothing);
  if (download.href) URL.revokeObjectURL(download.href);
  download.href = URL.createObjectURL(new Blob([JSON.stringify(result, null, 2)], { type: "application/json" }));
  start.hidden = false;
  if (document.activeElement === cancel) start.focus();
  download.hidden = !result.engines.length;
  cancel.hidden = true;
  /** @type {any} */ (window).benchResult = result;
}

/**
 * @param {BenchOptions} options
 * @param {string} name
 * @param {(row: BenchRow) => void} onRow
 * @param {AbortSignal} signal
 * @returns {Promise<BenchEngine>}
 */
function oneEngine(options, name, onRow, signal) {
  const bar = /** @type {HTMLProgressElement} */ (el("progress", { max: "1", value: "0" }));
  const text = el("span", {}, BENCH.loading(name));
  fill(part("status"), bar, text);
  const worker = spawn("bench_worker");
  return new Promise((resolve, reject) => {
    let [before, parts] = [0, 1];
    const failed = (/** @type {any} */ error) => reject(fromPlain(error));
    signal.addEventListener("abort", () => reject(new LabError("run.cancelled", BENCH.cancelled)), { once: true });
    worker.onerror = (event) => {
      event.preventDefault();
      reject(new LabError("engine.worker", BENCH.worker(event.message)));
    };
    worker.onmessage = ({ data }) => {
      if (data.kind === "begin") {
        [before, parts] = [data.done, data.total];
        text.textContent = BENCH.running(name, data.title, data.tokens ? showCount(data.tokens) : null);
      }
      if (data.kind === "begin") bar.value = before / parts;
      if (data.kind === "progress") bar.value = (before + data.done / data.total) / parts;
      if (data.kind === "row") onRow(data.row);
      if (data.kind === "threads") for (const alarm of data.alarms) alarm.onmessage = (/** @type {any} */ { data }) => failed(data);
      if (data.kind === "error") failed(data.error);
      if (data.kind === "done") resolve(data.engine);
    };
    worker.postMessage(options);
  }).finally(() => worker.terminate());
}

/** @param {string} title */
function tableFor(title) {
  const body = el("tbody", {});
  const facts = el("small", {});
  const head = el("thead", {}, el("tr", {}, ...BENCH.columns.map((name) => el("th", { scope: "col" }, name))));
  const scroll = scrollable(title);
  scroll.append(el("table", {}, head, body));
  const root = el("div", {}, el("h2", {}, title, " ", facts), scroll);
  /** @param {BenchRow} row */
  const add = (row) => {
    const cells = [showCount(row.tokens), showFixed(row.median_ms, 1), showFixed(row.min_ms, 1), showFixed(row.flops / 1e9, 3), showCount(row.dispatches),
      showCount(row.readbacks), showBytes(row.weight_bytes_read), showFixed(row.gflops, 1), showPercent(row.share, 0)];
    body.append(el("tr", {}, el("th", { scope: "row" }, row.title), ...cells.map((cell) => el("td", {}, String(cell)))));
  };
  /** @param {BenchEngine} engine */
  const finish = (engine) => {
    const threads = engine.threads ?? 1;
    facts.textContent = BENCH.facts(engine.adapter ?? BENCH.threads(threads, showCount(threads)), showFixed(engine.matmul.gflops, 1), showTime(engine.prepare_ms));
  };
  return { root, add, finish };
}

if (query.has("run")) void run();
