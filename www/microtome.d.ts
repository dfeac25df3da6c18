/**
 * Types of the Microtome JavaScript API, version 1.
 *
 * An experiment is a JSON value; the page, this module and the command line take the same value and give
 * the same result. Names are TransformerLens' own: https://github.com/TransformerLensOrg/TransformerLens
 *
 * @example
 * import { Lab } from "./microtome.js";
 * const lab = await Lab.open({ model: "./models/pronoun/" });
 * const result = await lab.run({ version: 1, kind: "predict", prompt: "Mary is a great friend, isn’t" });
 * console.log(result.top[0].text);
 * lab.close();
 */

/** Text, or token ids that are used exactly as they are (no BOS is added and no tokenizer is needed). */
export type Prompt = string | number[];

/** A string that is exactly one token, or a token id. */
export type TokenRef = string | number;

/** Weight processing: TransformerLens' defaults, the raw weights, or each switch by itself. */
export type Processing = "transformer_lens" | "none" | ProcessingSwitches;

export interface ProcessingSwitches {
  fold_ln: boolean;
  center_writing_weights: boolean;
  center_unembed: boolean;
  fold_value_biases: boolean;
  refactor_factored_attn_matrices: boolean;
}

/** logit(correct) − logit(incorrect) at the last position. A token that is absent is named by every prompt of the list. */
export interface LogitDiffMetric { kind: "logit_diff"; correct?: TokenRef; incorrect?: TokenRef }

/** Mean cross-entropy of token t+1 at position t over the prompt, in nats. */
export interface LossMetric { kind: "loss" }

export type Metric = LogitDiffMetric | LossMetric;

/** A TransformerLens activation name. */
export type Site =
  | "resid_pre" | "resid_mid" | "resid_post" | "attn_out" | "mlp_out"
  | "q" | "k" | "v" | "z" | "attn_scores" | "pattern" | "result" | "pre" | "post";

/** One axis of a sweep; an axis that is absent means "all of it". */
export type Axis = "layer" | "pos" | "head" | "dest" | "src";

interface ExperimentBase {
  version: 1;
  /** Default `"transformer_lens"`. */
  processing?: Processing;
  /** Put the BOS token before a text prompt. Default `true`. */
  prepend_bos?: boolean;
}

export interface PredictExperiment extends ExperimentBase {
  kind: "predict"; prompt: Prompt; answer?: TokenRef;
  /** Further tokens to look up. */
  answers?: TokenRef[];
  /** What is changed in the run. */
  edited?: Edited;
  /** Default 10. */
  top_k?: number;
}
export interface LogitDiffExperiment extends ExperimentBase {
  kind: "logit_diff"; prompts: { prompt: Prompt; correct: TokenRef; incorrect: TokenRef }[];
}
export interface TraceExperiment extends ExperimentBase {
  kind: "trace"; prompts: Prompt[]; hooks: string[];
  /** What is changed in every prompt's run. */
  edited?: Edited;
}

/** A prompt of a list; a token that it does not name is the metric's. */
export interface MeasuredPrompt { prompt: Prompt; correct?: TokenRef; incorrect?: TokenRef }
/** A clean and a corrupted prompt with the same number of tokens; a token that they do not name is the metric's. */
export interface Pair { clean: Prompt; corrupted: Prompt; correct?: TokenRef; incorrect?: TokenRef }

/** A place of a set; an index that is absent means all of it. */
export interface SetPlace { site: Site; layer?: number; head?: number; pos?: number; dest?: number; src?: number }

/**
 * Every index of a site, or of several: these are stacked as a first axis `site` of the result, and `pos` means `dest`
 * for `attn_scores` and `pattern` (the `every` functions of `transformer_lens.patching`).
 */
export type GridPlaces = { site: Site; axes: Axis[] } | { sites: Site[]; axes: Axis[] };

/** What an ablation writes. */
export type Edit =
  | { kind: "zero" }
  /**
   * The mean over reference prompts: over every position of all of them (`tokens`, the default; not possible for
   * `attn_scores` and `pattern`), or position by position (`prompts`, which must be as long as the prompt).
   */
  | { kind: "mean"; prompts: Prompt[]; over?: "tokens" | "prompts" }
  /** The activation on a reference prompt as long as the prompt; with several, the metric is the mean over them. */
  | { kind: "resample"; prompts: Prompt[] };

/**
 * One run's edit: places that are edited together, and what is written there. So one cell of a sweep is run by itself; a
 * patch writes `{ kind: "resample", prompts: [clean] }` into the corrupted prompt. `resample` takes one prompt here.
 */
export interface Edited { places: SetPlace[]; edit: Edit }

/**
 * One prompt, or a list of them: the metric is then the mean over them. `sets` are lists of places that are ablated
 * together; each set is one value of the result.
 */
export type AblateExperiment = ExperimentBase & { kind: "ablate"; edit: Edit; metric: Metric }
  & ({ prompt: Prompt } | { prompts: MeasuredPrompt[] })
  & (GridPlaces | { sets: SetPlace[][] });

/** One pair of prompts, or a list of them: the metric is the mean over them, normalised afterwards. */
export type PatchExperiment = ExperimentBase & { kind: "patch"; metric: Metric & { normalize?: boolean } }
  & ({ clean: Prompt; corrupted: Prompt } | { pairs: Pair[] })
  & GridPlaces;

export interface UnembedBiasExperiment extends ExperimentBase { kind: "unembed_bias"; tokens: TokenRef[] }

/**
 * What a head is compared with: a named pattern (TransformerLens' names, such as `"induction_head"`, are understood too), or
 * a lower-triangular matrix with a row and a column for each token of the prompt.
 */
export type DetectPattern =
  | "previous_token" | "duplicate_token" | "induction"
  | "previous_token_head" | "duplicate_token_head" | "induction_head"
  | number[][];

/**
 * `transformer_lens.head_detector`: how closely each head's attention follows a pattern, as the mean over the prompts. All
 * patterns of a list share one forward pass.
 */
export type DetectExperiment = ExperimentBase & {
  kind: "detect";
  /**
   * `mul` (the default): the share of the attention that lies where the pattern is 1. `abs`: 1 minus the mean distance of
   * their rows; 1 is a perfect match.
   */
  measure?: "mul" | "abs";
  /** Leaves out attention to the first position. Default `false`. */
  exclude_bos?: boolean;
  /** Leaves out attention of a position to itself. Default `false`. */
  exclude_current_token?: boolean;
  /** `[layer, head]` of those that are scored; default: all. */
  heads?: [number, number][];
} & ({ prompt: Prompt } | { prompts: Prompt[] })
  & ({ pattern: DetectPattern } | { patterns: DetectPattern[] });

export type Experiment =
  | PredictExperiment | LogitDiffExperiment | TraceExperiment
  | AblateExperiment | PatchExperiment | UnembedBiasExperiment | DetectExperiment;

/**
 * The same questions of one checkpoint of a training after another. `experiments`, or one `experiment`: any kind with a number
 * or a heatmap. `checkpoints`: a model address with `{step}` in it, or a list of addresses, whose steps are then their places
 * in it; default: the open model's own family. `processing` and `prepend_bos` are for experiments that do not say.
 */
export type TrainingExperiment = Omit<ExperimentBase, "kind"> & {
  kind: "training"; steps?: "all" | number[]; checkpoints?: string | string[];
} & ({ experiment: InnerExperiment } | { experiments: InnerExperiment[] });
type Unversioned<E> = E extends Experiment ? Omit<E, "version"> & { version?: 1 } : never;
export type InnerExperiment = Unversioned<Exclude<Experiment, TraceExperiment>>;

/** `text` is for display: bytes that are no UTF-8 by themselves are written like `\xE2`. Null without a tokenizer. */
export interface Token { id: number; text: string | null }

export interface ModelInfo {
  name: string; n_layers: number; n_heads: number; d_model: number; d_head: number; d_mlp: number;
  d_vocab: number; n_ctx: number; n_params: number;
  act_fn: "gelu_new" | "gelu" | "relu";
  eps: number;
  scale_attn_by_inverse_layer_idx: boolean; scale_attn_weights: boolean; tie_word_embeddings: boolean;
  bos_token_id: number | null;
  /** Of the weights file, where it is known. */
  sha256: string | null;
  has_tokenizer: boolean;
  /** Of its training, where it is a checkpoint of a family. */
  step?: number;
}

export interface EngineInfo {
  backend: "gpu" | "cpu";
  /** The GPU adapter; null on the CPU engine. */
  adapter: string | null;
  /**
   * The kernels that were measured to be fastest on the adapter; absent on the CPU engine, and before they were measured.
   * Kept in `localStorage`, since only with the same ones does the same input give the same bits.
   */
  kernels?: string;
  /** What the matrices are kept as; arithmetic is in f32. */
  precision: "f32" | "f16";
  /** What f16 weights changed, at most, where it was measured: a shipped model's golden experiments. Absent for f32. */
  precision_effect?: { model: string; log_prob: number; logit_diff: number };
  /** Most bytes that a GPU's kernel sees through one binding, and in how many pieces it therefore has the embedding. Absent on the CPU engine. */
  tables?: { binding_bytes: number; embedding_pieces: number };
  /** How far the GPU was from the CPU engine on a small model, when this adapter was first used. Absent on the CPU engine. */
  self_test?: SelfTest;
  /** Why this backend was taken. */
  reason: string;
  build: string;
}

export interface SelfTest {
  /** The largest difference of a log-probability. */
  difference: number;
  /** What was compared. */
  checked: string[];
  /** The kernels that were. */
  kernels?: string;
  /** When, as ISO 8601, and how long it took. */
  at: string; milliseconds: number;
}

/** The engine of a result, with the work that was counted for it. */
export interface EngineReport extends EngineInfo {
  milliseconds: number; flops: number; dispatches: number; readbacks: number; weight_bytes_read: number;
}

interface ResultBase<E extends Experiment> {
  version: 1;
  kind: E["kind"];
  /** The experiment as it was understood, with defaults filled in. */
  experiment: E;
  model: ModelInfo;
  engine: EngineReport;
}

export interface ScoredToken extends Token { logit: number; prob: number }

export interface PredictResult extends ResultBase<PredictExperiment> {
  kind: "predict"; tokens: Token[]; top: ScoredToken[];
  /** `rank` counts from 0. */
  answer?: ScoredToken & { rank: number };
  /** One for each of the experiment's `answers`; absent without. */
  answers?: (ScoredToken & { rank: number })[];
  /** Mean cross-entropy over the prompt, in nats; null where the prompt is one token. */
  loss: number | null;
}
export interface LogitDiffResult extends ResultBase<LogitDiffExperiment> {
  kind: "logit_diff"; values: number[]; mean: number;
}
/** Shapes as TransformerLens', without the batch axis; row-major. */
export interface Tensor { shape: number[]; data: Float32Array }
export interface TraceResult extends ResultBase<TraceExperiment> {
  kind: "trace"; tensors: Record<string, Tensor>[];
}
/** An axis of a result: `site` counts several sites, `set` sets of places, `pattern` several patterns. */
export type ResultAxis = Axis | "site" | "set" | "pattern";
export interface AblateResult extends ResultBase<AblateExperiment> {
  kind: "ablate"; axes: ResultAxis[]; shape: number[];
  /** Row-major; null stands for a value that is not finite. */
  values: (number | null)[];
  /** The metric without any edit. */
  baseline: number;
}
export interface PatchResult extends ResultBase<PatchExperiment> {
  kind: "patch"; axes: ResultAxis[]; shape: number[]; values: (number | null)[];
  /** The metric on each unpatched run. */
  clean: number; corrupted: number;
}
export interface UnembedBiasResult extends ResultBase<UnembedBiasExperiment> {
  kind: "unembed_bias";
  /** b_U of each token. */
  values: number[];
  /** exp(first − second); null with fewer than two tokens. */
  prob_ratio: number | null;
}

export interface DetectResult extends ResultBase<DetectExperiment> {
  /** `["layer", "head"]`; before them `pattern` where the experiment has `patterns`. */
  kind: "detect"; axes: ResultAxis[]; shape: number[];
  /** Row-major; null for a head that was not asked for, or that has no attention left to compare. */
  values: (number | null)[];
}

export type Result =
  | PredictResult | LogitDiffResult | TraceResult | AblateResult | PatchResult | UnembedBiasResult | DetectResult;

/** What a kind of experiment gives, without what all results share. */
type AnswerOf<R> = R extends Result ? Omit<R, "version" | "experiment" | "model" | "engine"> : never;
export type Answer = AnswerOf<Result>;
/** What became of one checkpoint: an answer for each experiment; or why it was skipped, which stops no other. */
export type CheckpointResult =
  | { step: number; model: { name: string; sha256: string | null }; answers: Answer[]; error?: undefined }
  | { step: number; error: { code: string; message: string }; model?: undefined; answers?: undefined };
export interface TrainingResult {
  version: 1; kind: "training"; checkpoints: CheckpointResult[];
  experiment: TrainingExperiment; model: ModelInfo;
  /** The work of all checkpoints together. */
  engine: EngineReport;
}
/** What is done of an experiment over checkpoints. */
export interface PartialTraining { kind: "training"; checkpoints: CheckpointResult[] }

/** The result that belongs to an experiment: `run({ kind: "predict", … })` gives a `PredictResult`. */
export type ResultOf<E extends Experiment> = Extract<Result, { kind: E["kind"] }>;

/** What is done of a sweep. */
export interface PartialSweep {
  axes: ResultAxis[]; shape: number[];
  /** Row-major; NaN where a cell is not done. */
  values: number[];
  /** Cells that are done. */
  done: number;
  /** Of an ablation; over several prompts, the mean over those that are done. */
  baseline?: number;
  /** Of a patch. */
  clean?: number; corrupted?: number;
}

/** A result, or what is done of a sweep with the experiment that it belongs to. */
export type Drawable = Result | (PartialSweep & { experiment: AblateExperiment | PatchExperiment });

/** What an experiment would cost. */
export interface Estimate {
  /** Values of the result: cells of a sweep, scores of a detection, prompts otherwise. */
  cells: number;
  /** Forward passes, whole or in part. */
  runs: number;
  /** Floating-point operations of matrix products. */
  flops: number;
  weight_bytes_read: number;
  /** Of activations and results, beyond the weights. */
  memory_bytes: number;
  /** From the speed of what this lab has run; null before it has run anything long enough to tell. */
  seconds: number | null;
}

/** A heatmap as numbers and words, without colours or pixels; or several that share their axes and their scale. */
export interface Figure {
  title: string;
  /** Where a result has more than two axes: what the panels run over, outermost first. */
  panel_axes?: FigureAxis[];
  row_axis: FigureAxis; col_axis: FigureAxis;
  /** Of one panel. */
  rows: number; cols: number;
  /** Row-major, panel after panel; null is drawn as an empty cell. */
  values: (number | null)[];
  /** Symmetric about `mid`. */
  scale: { min: number; mid: number; max: number };
  caption: string;
}
export interface FigureAxis { title: string; labels: string[] }

/**
 * How far loading is. The events are those of transformers.js: `initiate`, `download`, `progress` and `done` of each file,
 * in this order and the first and the last of them once; `ready` at the end. Between them `wait` (nothing comes just now)
 * and `restart` (what came is not usable: the only event at which `loaded` and `all_loaded` go back). `message` says why.
 */
export interface LoadProgress {
  status: "initiate" | "download" | "progress" | "done" | "wait" | "restart" | "ready";
  /**
   * `module`: the engine itself; `list`: which files the model has; `download`; `verify`: bytes are read back and their hash
   * is computed; `convert`, `upload`, `compile`: the engine takes the weights in.
   */
  phase: "module" | "list" | "download" | "verify" | "convert" | "upload" | "compile" | "ready";
  /** Empty where there is none. */
  file: string;
  /** Bytes of the file. `total` is null while it is unknown, and never changes afterwards. */
  loaded: number; total: number | null;
  /** Bytes of all the model's files. */
  all_loaded: number; all_total: number | null;
  /** Bytes a second over the last 5 s, and the seconds left at this rate; null where nothing is known of them. */
  rate: number | null; left: number | null;
  message: string | null;
}

/** Something that did not go as planned and does no harm: `store.memory`, `net.offline`. */
/** `report`: plain text with the details, to be copied into a report of the fault. */
export interface Notice { code: string; message: string; report?: string }

/** A model in this browser's storage. */
export interface StoredModel {
  /** Its address with its revision: what `deleteStored` and `verifyStored` take. */
  key: string;
  /** Stored bytes. */
  bytes: number;
  /** Whether all of its files are there; a download goes on where it stopped. */
  complete: boolean;
  where: "opfs" | "idb";
  /** Milliseconds since 1970 of its last change. */
  at: number;
  files: { file: string; bytes: number; size: number | null; sha256: string | null; complete: boolean }[];
}

/** `found`: the SHA-256 of the bytes that are stored; null where they cannot be read. */
export interface VerifiedFile { file: string; ok: boolean; expected: string; found: string | null }

/** What a model needs of memory at its peak. */
export interface MemoryPlan {
  /** The engine that the model is for: on `gpu` the weights are in the GPU's memory. */
  backend: "gpu" | "cpu";
  precision: "f32" | "f16";
  /** On the engine, for good. */
  weights_bytes: number;
  /** Besides, while loading and while running a sweep of middling size: not at the same time. */
  loading_bytes: number;
  running_bytes: number;
  peak_bytes: number;
  /** What there is; null where nobody can tell, as of a GPU. */
  room_bytes: number | null;
  fits: boolean;
  instead: string | null;
}

/** Memory that is taken: the module's, which never shrinks, what it was at the start, and what the engine holds of the GPU's or of the module's. */
export interface MemoryUse { heap_bytes: number; start_bytes: number; engine_bytes: number }

/** One figure that the notebook published for GPT-2 small, beside the computed one. */
export interface PublishedCheck { name: string; published: string; computed: string; agrees: boolean }

export interface OpenOptions {
  /**
   * `hf:owner/name[@revision]`, a model of the Hugging Face Hub; a folder below the page, such as `./models/pronoun/`, with
   * `config.json`, weights and the tokenizer's files; `https://host/folder/` of a host named in `allowHosts`. The files are
   * brought into this browser's storage first, and read from there. May be left out where `files` are given.
   */
  model?: string | URL;
  /** The model's files, as picked or dropped. They are read piece by piece and not stored. */
  files?: Iterable<File>;
  /** Default `"auto"`: the GPU, unless it is missing or software. */
  backend?: "auto" | "gpu" | "cpu";
  /** How weights are stored in the engine; arithmetic is always f32. Default `"f32"`. */
  precision?: "f32" | "f16";
  /** Whether weights may be NaN or infinite; without it such a model is refused with code `model.not_finite`. */
  allowNotFinite?: boolean;
  /**
   * At most so many threads; 1 takes the build without threads. Default: one for each core, up to 8. More than one
   * needs a page that is cross-origin isolated; `info.engine.build` says what was taken.
   */
  threads?: number;
  /** `"default"` keeps a GPU to the limits that every WebGPU adapter grants: what a smaller GPU does. Default `"adapter"`, all that it offers. */
  limits?: "adapter" | "default";
  /** In place of `https://huggingface.co`: a mirror that answers as the Hub does. */
  hub?: string;
  /** Other hosts that a model may come from, such as `"example.org"`; never filled in from a link. */
  allowHosts?: string[];
  /** Factor for all waits and time limits of a download. Default 1; for tests. */
  timeScale?: number;
  /** Called again when a stopped worker is replaced and loads the model once more. */
  onProgress?: (progress: LoadProgress) => void;
  onNotice?: (notice: Notice) => void;
  /** Called with what the model needs of memory, before its weights are asked for. One that does not fit is refused with code `model.too_large`. */
  onPlan?: (plan: MemoryPlan) => void;
  /** Ends the opening within 200 ms, with code `run.cancelled`; what was downloaded is kept for the next time. */
  signal?: AbortSignal;
}

export interface RunOptions {
  /** Work done and work in all, as the engine counts it: only their ratio means something. */
  onProgress?: (done: number, total: number) => void;
  /** What is done of a sweep, about twice a second; never of one that takes less than half a second. */
  onPartial?: (sofar: PartialSweep) => void;
  /**
   * Ends the job: the promise rejects with code `run.cancelled` within 200 ms, and the error's `partial` is what was
   * done of a sweep. A worker that does not stop by itself is replaced. Aborting with a `LabError` of code `run.superseded` as reason leaves it more time.
   */
  signal?: AbortSignal;
}

export class Lab {
  private constructor();
  /** Starts a worker, loads the model into it. Rejects with `LabError`. */
  static open(options: OpenOptions): Promise<Lab>;
  /** The models in this browser's storage, whole or in part. */
  static stored(): Promise<StoredModel[]>;
  /** Rejects with `store.taken` while another tab writes it. */
  static deleteStored(key: string): Promise<void>;
  /** Reads the files again and computes their SHA-256. One that has changed is removed, and downloaded the next time. */
  static verifyStored(key: string, options?: { onProgress?: (progress: LoadProgress) => void; signal?: AbortSignal }): Promise<VerifiedFile[]>;
  readonly info: { model: ModelInfo; engine: EngineInfo };
  /** Runs one experiment; jobs wait their turn. Rejects with `LabError`. */
  run<E extends Experiment>(experiment: E, options?: RunOptions): Promise<ResultOf<E>>;
  /** The same over checkpoints: `onPartial` hears after each of them. */
  run(experiment: TrainingExperiment, options?: Omit<RunOptions, "onPartial"> & { onPartial?: (sofar: PartialTraining) => void }): Promise<TrainingResult>;
  /** The steps of the open model's training that can be gone to, rising; none where it comes without checkpoints. */
  checkpoints(): Promise<number[]>;
  /** Puts a checkpoint in the place of the open model: what is run afterwards is of it, and so is `info`. */
  goTo(step: number, options?: RunOptions): Promise<{ model: ModelInfo; engine: EngineInfo }>;
  /** What an experiment would cost; runs nothing. Rejects with `LabError`. */
  estimate(experiment: Experiment | TrainingExperiment, options?: { signal?: AbortSignal }): Promise<Estimate>;
  /** The figure of an `ablate` or `patch` result, or of what is done of one; null for any other. */
  figure(result: Drawable): Promise<Figure | null>;
  tokenize(text: string, prependBos?: boolean): Promise<Token[]>;
  /** Memory that is taken at the moment; waits its turn. */
  memory(): Promise<MemoryUse>;
  /** Computes every figure that the notebook published for GPT-2 small; on any other weights some differ. Rejects with `LabError`. */
  verify(options?: RunOptions): Promise<PublishedCheck[]>;
  /** Ends the worker; everything still under way rejects with code `lab.closed`. */
  close(): void;
  /** Whether it was closed, or its engine failed and could not be replaced: it answers nothing any more. */
  readonly closed: boolean;
}

/** Every failure of the lab. */
export class LabError extends Error {
  constructor(code: string, message: string, action?: string);
  /** Stable, for programs: `input.unknown_field`, `model.unsupported`, `net.truncated`, … */
  readonly code: string;
  /** What can be done about it, where there is something. */
  readonly action?: string;
  /** Of `run.cancelled`: the last of what was done of the sweep, undefined where nothing was. */
  readonly partial?: PartialSweep | PartialTraining;
}
