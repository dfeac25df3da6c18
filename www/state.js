// The page's one state object. Views read it and subscribe to its parts; only `update` changes it.

import { FIRST } from "./presets.js";

/** @typedef {import("./microtome.js").ProcessingSwitches} ProcessingSwitches */
/** @typedef {import("./host.js").Info} Info */
/**
 * How far a section's computation is. `value` stays the last good one while a new one is under way.
 * `held`: it is big, and waits for a click. `fresh`: the value is of the run under way, or of the last one.
 * `sofar`: the value is a sweep's of which only so many cells are done. `recorded`: the value came with the page, and from where.
 * `address`: of the model that the value is of, whatever is loaded by now.
 * @template T
 * @typedef {{ status: "waiting" | "held" | "running" | "done" | "error" | "cancelled",
 *   progress: Progress | null, error: import("./errors.js").PlainError | null,
 *   value: T | null, fresh: boolean, sofar: Sofar | null, estimate: import("./microtome.js").Estimate | null,
 *   recorded: import("./recorded.js").Mark | null, address: string | null }} Job
 */
/**
 * @typedef {{ done: number, total: number, left: number | null }} Progress `left`: seconds, as far as can be told
 * @typedef {{ done: number, cells: number }} Sofar
 */
/**
 * @typedef {{ name: string, answer: 0 | 1 }} Name
 * @typedef {{ url: string, backend: "auto" | "gpu" | "cpu", precision: "f32" | "f16" }} ModelInputs `url`: what is typed
 * @typedef {{ processing: ProcessingSwitches, prepend_bos: boolean }} Settings
 * @typedef {{ prompt: string, answer: string }} PredictInputs
 * @typedef {{ prompt: string, correct: string, incorrect: string }} Row a prompt of the visitor's own
 * @typedef {{ use: "formats" | "rows", formats: string[], names: Name[], answers: [string, string], rows: Row[] }} GridInputs
 *   `use`: every format with every name, or the rows as they are
 * @typedef {{ prompt: string }} AttentionInputs
 * @typedef {{ metric: "loss" | "logit_diff", batch: "one" | "grid", prompts: { loss: string, logit_diff: string },
 *   correct: string, incorrect: string, site: "v" | "z", what: "heads" | "sets", sets: string[],
 *   edit: "zero" | "mean" | "resample", over: "tokens" | "prompts", references: { loss: string, logit_diff: string } }} AblateInputs
 *   `references`: a prompt a line
 * @typedef {{ clean: string, corrupted: string, correct: string, incorrect: string, what: string }} PatchInputs
 *   `what`: a name of patching.js
 * @typedef {{ tokens: [string, string] }} BiasInputs
 * @typedef {{ on: "repeated" | "prompt", pattern: "named" | "own", own: string, measure: "mul" | "abs",
 *   exclude_bos: boolean, exclude_current_token: boolean }} HeadsInputs `own`: a row of numbers a line
 * @typedef {{ head: string, addresses: string, steps: string }} TrainingInputs `head`: whose effect is drawn strong, "" for
 *   the strongest; `addresses`: of other checkpoints than the open model's
 */

/** The most prompts, names or formats of a list. */
export const MOST_ROWS = 500;

/** TransformerLens 2.x' defaults of `load_and_process_state_dict`, and the raw weights. */
export const PRESETS = {
  transformer_lens: {
    fold_ln: true, center_writing_weights: true, center_unembed: true, fold_value_biases: true,
    refactor_factored_attn_matrices: false,
  },
  none: {
    fold_ln: false, center_writing_weights: false, center_unembed: false, fold_value_biases: false,
    refactor_factored_attn_matrices: false,
  },
};

/**
 * How signed figures are coloured. `ranges`: how far the ends of a figure's colours are from its middle, by the figure's key
 * (`grid`, `ablate`, `patch`), where somebody has locked it; of `attention` the share that has the strongest colour.
 * @typedef {{ map: import("./draw/maps.js").MapName, signs: boolean, ranges: Record<string, number> }} Look
 */

/** @returns {Job<any>} */
export const idle = () => ({ status: "waiting", progress: null, error: null, value: null, fresh: false, sofar: null, estimate: null, recorded: null, address: null });

/** The notebook's own prompts. */
export function initialState() {
  return {
    model: {
      inputs: /** @type {ModelInputs} */ ({ url: "", backend: "auto", precision: "f32" }),
      /** What is loaded, or being loaded: an address, or "local". */
      address: FIRST,
      /** One that a link, or a task, asks for, and the visitor has not agreed to yet. */
      linked: /** @type {string | null} */ (null),
      status: /** @type {"loading" | "ready" | "error" | "cancelled"} */ ("loading"),
      progress: /** @type {import("./microtome.js").LoadProgress | null} */ (null),
      info: /** @type {Info | null} */ (null),
      error: /** @type {import("./errors.js").PlainError | null} */ (null),
      /** What the model needs of memory, once its configuration is there. */
      plan: /** @type {import("./microtome.js").MemoryPlan | null} */ (null),
      notices: /** @type {import("./microtome.js").Notice[]} */ ([]),
      /** A host that is asked about before anything is asked of it. */
      consent: /** @type {string | null} */ (null),
      /** What the recorded results are of, until a model is there. */
      recorded: /** @type {Info | null} */ (null),
      /** Why nothing is loaded before the visitor says so. */
      held: /** @type {"crash" | "data" | null} */ (null),
      /** Null until it was looked up. */
      stored: /** @type {import("./microtome.js").StoredModel[] | null} */ (null),
      /** Whether the browser has promised to keep what is stored; null where it does not say. */
      keeps: /** @type {boolean | null} */ (null),
    },
    settings: { inputs: /** @type {Settings} */ ({ processing: { ...PRESETS.transformer_lens }, prepend_bos: true }) },
    look: /** @type {Look} */ ({ map: "RdBu", signs: false, ranges: {} }),
    predict: {
      inputs: /** @type {PredictInputs} */ ({ prompt: "Mary is a great friend, isn’t", answer: " she" }),
      job: idle(),
    },
    grid: {
      inputs: /** @type {GridInputs} */ ({
        use: "formats",
        formats: [
          "{} is a great friend, isn’t", "{} is an amazing person, isn’t", "{} is a fantastic colleague, isn’t",
          "{} is a wonderful partner, isn’t", "{} is an excellent student, isn’t",
        ],
        names: [
          { name: "Mary", answer: 0 }, { name: "John", answer: 1 }, { name: "Tom", answer: 1 },
          { name: "Dan", answer: 1 }, { name: "Amy", answer: 0 },
        ],
        answers: [" she", " he"],
        rows: [
          { prompt: "Mary is a great friend, isn’t", correct: " she", incorrect: " he" },
          { prompt: "John is a great friend, isn’t", correct: " he", incorrect: " she" },
        ],
      }),
      job: idle(),
    },
    attention: {
      inputs: /** @type {AttentionInputs} */ ({ prompt: "Mary is a great friend, isn’t" }),
      /** What is looked at, which nothing has to be computed for; layer null = all layers. */
      view: { layer: /** @type {number | null} */ (null), head: { layer: 0, head: 0 }, locked: false },
      job: idle(),
    },
    ablate: {
      inputs: /** @type {AblateInputs} */ ({
        metric: "loss", batch: "one", site: "v", what: "heads", sets: ["L0H0, L0H1", "MLP0", "L1"],
        prompts: { loss: "Mary is a great friend, isn’t she", logit_diff: "Mary is a great friend, isn’t" },
        correct: " she", incorrect: " he",
        edit: "zero", over: "tokens",
        references: { loss: "John is a great friend, isn’t he", logit_diff: "John is a great friend, isn’t" },
      }),
      job: idle(),
    },
    patch: {
      inputs: /** @type {PatchInputs} */ ({
        clean: "Mary is a great friend, isn’t", corrupted: "John is a great friend, isn’t",
        correct: " she", incorrect: " he", what: "get_act_patch_resid_pre",
      }),
      job: idle(),
    },
    bias: { inputs: /** @type {BiasInputs} */ ({ tokens: [" he", " she"] }), job: idle() },
    heads: {
      inputs: /** @type {HeadsInputs} */ ({ on: "repeated", pattern: "named", own: "", measure: "mul", exclude_bos: true, exclude_current_token: true }),
      /** How the list is looked at: a column, and how many heads of it. */
      view: { by: "induction", down: true, most: 10 },
      job: idle(),
    },
    training: {
      inputs: /** @type {TrainingInputs} */ ({ head: "", addresses: "", steps: "" }),
      /** The steps of the open model's training that can be gone to, rising; null until they were looked up. */
      family: /** @type {number[] | null} */ (null),
      /** The step that is on its way to the engine. */
      wanted: /** @type {number | null} */ (null),
      /** Steps that could not be put onto the engine. */
      failed: /** @type {Record<number, import("./errors.js").PlainError>} */ ({}),
      /** The step that is pointed at, in whichever figure. */
      pointed: /** @type {number | null} */ (null),
      job: idle(),
    },
  };
}

/** @typedef {ReturnType<typeof initialState>} State */
/** @typedef {keyof State} Key */
/** The sections that compute something. @typedef {"predict" | "grid" | "attention" | "ablate" | "patch" | "bias" | "heads" | "training"} JobKey */
/** @typedef {ReturnType<typeof createStore>} Store */

/** @param {State} state */
export function createStore(state = initialState()) {
  /** @type {Map<Key, Set<() => void>>} */
  const listeners = new Map();
  return {
    /** @template {Key} K @param {K} key @returns {State[K]} */
    get: (key) => state[key],
    /**
     * Replaces some fields of a part and tells its subscribers.
     * @template {Key} K @param {K} key @param {Partial<State[K]>} patch
     */
    update(key, patch) {
      state = { ...state, [key]: { ...state[key], ...patch } };
      for (const listener of [...(listeners.get(key) ?? [])]) listener();
    },
    /**
     * The same for the fields that a person edits.
     * @template {Exclude<Key, "look">} K @param {K} key @param {Partial<State[K]["inputs"]>} patch
     */
    edit(key, patch) {
      this.update(key, /** @type {any} */ ({ inputs: { ...state[key].inputs, ...patch } }));
    },
    /** @param {Key} key @param {() => void} listener @returns {() => void} ends the subscription */
    subscribe(key, listener) {
      const set = listeners.get(key) ?? new Set();
      listeners.set(key, set.add(listener));
      return () => set.delete(listener);
    },
  };
}
