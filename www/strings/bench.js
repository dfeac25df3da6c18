// The words of the benchmark's page, beside those that bench.html has itself.

export const BENCH = {
  engines: { single: "CPU, one thread", threads: "CPU, threads", gpu: "GPU" },
  /** By the names of `Case::NAMES` in src/bench.rs. */
  cases: {
    forward: "forward: all logits, loss",
    forward_logit_diff: "forward: one logit difference",
    ablate_logit_diff: "ablate every head: logit difference",
    ablate_loss: "ablate every head: loss",
    patch: "patch resid_pre, layer × pos",
    patch_shared: "the same, first 5 tokens shared",
  },
  unable: (/** @type {string} */ what, /** @type {string} */ why) => `${what} (${why})`,
  notIsolated: "this page is not isolated",
  oneCore: "one core",
  noGpu: "no WebGPU",
  cancelled: "Cancelled.",
  done: "Done.",
  nothing: "Nothing was measured.",
  loading: (/** @type {string} */ engine) => `${engine}: loading`,
  running: (/** @type {string} */ engine, /** @type {string} */ what, /** @type {string | null} */ tokens) => `${engine}: ${what}${tokens ? `, ${tokens} tokens` : ""}`,
  worker: (/** @type {string | undefined} */ why) => `The worker failed: ${why ?? "no reason given"}.`,
  columns: ["Case", "T", "Median ms", "Min ms", "GFLOP", "Dispatches", "Read-backs", "Weights", "GFLOP/s", "Share"],
  threads: (/** @type {number} */ n, /** @type {string} */ count) => `${count} ${n === 1 ? "thread" : "threads"}`,
  facts: (/** @type {string} */ where, /** @type {string} */ rate, /** @type {string} */ ready) => `${where}; best matrix product ${rate} GFLOP/s; weights ready in ${ready}`,
};
