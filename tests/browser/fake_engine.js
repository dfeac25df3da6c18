// @ts-nocheck: it plays the generated glue, which is not type-checked either.
// Stands in for pkg/microtome.js where a test needs an engine that misbehaves: one that hangs, traps, or is slow.
// Results have the contract's shapes and seeded numbers that mean nothing. Served by server.mjs, never shipped.
// The word HANG in a prompt never returns, TRAP traps, SLOW takes 20 ms a run, BIG costs a minute by its own estimate.

const SIZES = { n_layers: 4, n_heads: 8, d_model: 128, d_head: 16, d_mlp: 512, d_vocab: 2048, n_ctx: 128, n_params: 1_076_736 };

// Downloads are the real module's, which is served below real/.
export { Download, Hasher, heapBytes, parseAddress } from "./real/microtome.js";
import real from "./real/microtome.js";

export default () => real({ module_or_path: new URL("./real/microtome_bg.wasm", import.meta.url) });

export class Engine {
  static async prepare(backend) {
    const room = 2 ** 32;
    const plan = (config, precision) => ({ precision, weights_bytes: 4e6, loading_bytes: 2e7, running_bytes: 6e7, peak_bytes: 6.4e7, room_bytes: room, fits: true, instead: null });
    return { plan, backend: () => (backend === "auto" ? "cpu" : backend) };
  }

  static async open(files, prepared) {
    const engine = new Engine();
    engine.backend = prepared.backend();
    engine.reason = "chosen by the stand-in";
    engine.name = files.name;
    return engine;
  }

  info() {
    return {
      model: { name: this.name, ...SIZES, act_fn: "gelu_new", sha256: "0".repeat(64), has_tokenizer: true },
      engine: { backend: this.backend, adapter: "stand-in", reason: this.reason, build: "test", precision: "f32" },
    };
  }

  memory() {
    return { heap_bytes: 2e7, engine_bytes: 4e6 };
  }

  tokenize(text, prependBos) {
    const words = text.match(/ ?\p{L}+|[^\p{L}]/gu) ?? [];
    const all = prependBos ? ["<|endoftext|>", ...words] : words;
    return all.map((word) => ({ id: hash(word) % SIZES.d_vocab, text: word }));
  }

  async run(experiment, onProgress, onPartial, isCancelled) {
    const text = JSON.stringify(experiment);
    if (text.includes("HANG")) for (;;);
    if (text.includes("TRAP")) new WebAssembly.Instance(TRAP).exports.trap();
    const answer = this[experiment.kind](experiment, random(hash(text)));
    const runs = answer.axes ? answer.values.length : experiment.prompts?.length ?? (text.includes("SLOW") ? 30 : 1);
    for (let done = 0; done < runs; done++) {
      if (isCancelled()) throw { code: "run.cancelled", message: "Cancelled." };
      if (text.includes("SLOW")) await new Promise((resolve) => setTimeout(resolve, 20));
      onProgress(done + 1, runs);
      if (answer.axes && done + 1 < runs) onPartial({ ...answer, values: answer.values.map((value, i) => (i <= done ? value : NaN)) });
    }
    return {
      version: 1, kind: experiment.kind, experiment, model: this.info().model,
      engine: { ...this.info().engine, milliseconds: runs, flops: 0, dispatches: 0, readbacks: 1, weight_bytes_read: 0 },
      ...answer,
    };
  }

  estimate(experiment) {
    const text = JSON.stringify(experiment);
    // What hangs or traps must get as far as its run.
    const cells = /HANG|TRAP/.test(text) ? 1 : this[experiment.kind](experiment, () => 0).values?.length ?? 1;
    const seconds = text.includes("BIG") ? 63 : 0.1;
    return { cells, runs: cells, flops: seconds * 4e9, weight_bytes_read: 4e6, memory_bytes: cells * 4e4, seconds };
  }

  predict({ prompt, answer, answers, top_k }, next) {
    const words = [" she", " it", " he", " there", " I", " we", " you", " her", " this", " that"].slice(0, top_k);
    const top = words.map((text, i) => ({ id: hash(text) % 2048, text, logit: 17 - i * 0.7 - next(), prob: 0.8 / (i * i + 1) }));
    if (answer && this.tokenize(answer, false).length !== 1) {
      throw { code: "input.not_one_token", message: `“${answer}” is not one token: ${this.tokenize(answer, false).map((t) => `“${t.text}”`).join(", ")}.`,
        action: "Choose a word that is one token; most start with a space." };
    }
    const found = top.find((t) => t.text === answer) ?? { ...top[9], text: answer };
    const others = answers && { answers: answers.map((text, rank) => ({ ...top[rank], text, rank })) };
    return { tokens: this.tokenize(prompt, true), top, answer: answer ? { ...found, rank: words.indexOf(answer) } : null, ...others, loss: 3.2 };
  }

  logit_diff({ prompts }, next) {
    const values = prompts.map(() => 3 + 2 * next());
    return { values, mean: values.reduce((a, b) => a + b, 0) / values.length };
  }

  trace({ prompts, hooks, prepend_bos }, next) {
    return { tensors: prompts.map((prompt) => Object.fromEntries(hooks.map((hook) => {
      const n = this.tokenize(prompt, prepend_bos).length;
      const data = new Float32Array(SIZES.n_heads * n * n);
      for (let row = 0; row < SIZES.n_heads * n; row++) {
        const weights = Array.from({ length: (row % n) + 1 }, () => next() ** 6);
        const sum = weights.reduce((a, b) => a + b, 0);
        weights.forEach((weight, src) => { data[row * n + src] = weight / sum; });
      }
      return [hook, { shape: [SIZES.n_heads, n, n], data }];
    }))) };
  }

  ablate({ prompt, prompts, prepend_bos, axes = ["set"], sets }, next) {
    const tokens = this.tokenize(prompt ?? prompts[0].prompt, prepend_bos);
    const shape = sets ? [sets.length] : shapeOf(axes, tokens.length);
    return { axes, shape, values: filled(shape, () => 3 + (next() - 0.5) ** 3 * 4), baseline: 3 };
  }

  patch({ clean, corrupted, prepend_bos, axes, sites }, next) {
    const [a, b] = [clean, corrupted].map((prompt) => this.tokenize(prompt, prepend_bos));
    if (a.length !== b.length) {
      throw { code: "input.unequal_lengths", message: `The clean prompt has ${a.length} tokens, the corrupted one ${b.length}.\n${a.map((t) => t.text).join("|")}\n${b.map((t) => t.text).join("|")}` };
    }
    const shape = [...(sites ? [sites.length] : []), ...shapeOf(axes, a.length)];
    return { axes: [...(sites ? ["site"] : []), ...axes], shape, values: filled(shape, () => next() ** 4), clean: 3.9, corrupted: -4.8 };
  }

  /** Of this stand-in's training there are no checkpoints. */
  family() {
    return new Float64Array(0);
  }

  detect({ patterns }, next) {
    const shape = [...(patterns ? [patterns.length] : []), SIZES.n_layers, SIZES.n_heads];
    return { axes: [...(patterns ? ["pattern"] : []), "layer", "head"], shape, values: filled(shape, () => next() ** 3) };
  }

  unembed_bias() {
    return { values: [4.5582, 3.6625], prob_ratio: Math.exp(4.5582 - 3.6625) };
  }

  /** As src/figure.rs arranges it, for the orders of axes that the page asks for. */
  figure({ kind, axes, shape, values, baseline, experiment }) {
    if (kind !== "ablate" && kind !== "patch") return null;
    const mid = kind === "ablate" ? baseline : 0;
    const numbers = values.map((value) => (Number.isFinite(value) ? value : null));
    const reach = Math.max(0, ...numbers.map((value) => Math.abs((value ?? mid) - mid))) || 1;
    const prompt = experiment.clean ?? experiment.prompt ?? experiment.prompts[0].prompt;
    const tokens = () => this.tokenize(prompt, experiment.prepend_bos).map(({ text }, i) => `${text}_${i}`);
    const axis = (i) => ({ title: TITLES[axes[i]], labels: {
      site: () => experiment.sites, set: () => experiment.sets.map((set) => set.map((at) => `L${at.layer} ${at.site}`).join(" + ")),
    }[axes[i]]?.() ?? (["layer", "head"].includes(axes[i]) ? Array.from({ length: shape[i] }, (_, j) => `${j}`) : tokens()) });
    const at = (name) => axes.indexOf(name);
    const [row, col] = axes.length === 1 ? [0] : at("src") >= 0 ? [at("dest"), at("src")]
      : [at("layer"), Math.max(at("pos"), at("dest")) >= 0 ? Math.max(at("pos"), at("dest")) : at("head")];
    const panels = axes.map((_, i) => i).filter((i) => i !== row && i !== col);
    let from = [0];
    for (const i of [...panels, row, ...(col === undefined ? [] : [col])]) {
      const stride = shape.slice(i + 1).reduce((a, b) => a * b, 1);
      from = from.flatMap((start) => Array.from({ length: shape[i] }, (_, j) => start + j * stride));
    }
    return {
      title: kind === "ablate" ? "Ablated loss for every head" : "Normalized logit difference after patching",
      ...(panels.length ? { panel_axes: panels.map(axis) } : {}),
      row_axis: axis(row), col_axis: col === undefined ? { title: "", labels: [""] } : axis(col),
      rows: shape[row], cols: col === undefined ? 1 : shape[col], values: from.map((i) => numbers[i]),
      scale: { min: mid - reach, mid, max: mid + reach }, caption: "",
    };
  }

  free() {}
}

/** (module (func (export "trap") unreachable)) */
const TRAP = new WebAssembly.Module(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 7, 8, 1, 4,
  116, 114, 97, 112, 0, 0, 10, 5, 1, 3, 0, 0, 11]));

const TITLES = { layer: "Layer", head: "Head", pos: "Position", dest: "Destination", src: "Source", site: "Site", set: "Set" };
const shapeOf = (axes, tokens) => axes.map((axis) => ({ layer: SIZES.n_layers, head: SIZES.n_heads }[axis] ?? tokens));
const filled = (shape, next) => Array.from({ length: shape.reduce((a, b) => a * b, 1) }, next);

function hash(text) {
  let h = 2166136261;
  for (const char of text) h = Math.imul(h ^ char.codePointAt(0), 16777619) >>> 0;
  return h;
}

function random(seed) {
  return () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed / 2 ** 32;
  };
}
