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

/** logit(correct) − logit(incorrect) at the last position. */
export interface LogitDiffMetric { kind: "logit_diff"; correct: TokenRef; incorrect: TokenRef }

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
  /** Default 10. */
  top_k?: number;
}
export interface LogitDiffExperiment extends ExperimentBase {
  kind: "logit_diff"; prompts: { prompt: Prompt; correct: TokenRef; incorrect: TokenRef }[];
}
export interface TraceExperiment extends ExperimentBase { kind: "trace"; prompts: Prompt[]; hooks: string[] }
export interface AblateExperiment extends ExperimentBase {
  kind: "ablate"; prompt: Prompt; site: Site; edit: { kind: "zero" }; axes: Axis[]; metric: Metric;
}
export interface PatchExperiment extends ExperimentBase {
  kind: "patch"; clean: Prompt; corrupted: Prompt; site: Site; axes: Axis[]; metric: Metric & { normalize?: boolean };
}
export interface UnembedBiasExperiment extends ExperimentBase { kind: "unembed_bias"; tokens: TokenRef[] }

export type Experiment =
  | PredictExperiment | LogitDiffExperiment | TraceExperiment
  | AblateExperiment | PatchExperiment | UnembedBiasExperiment;

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
}

export interface EngineInfo {
  backend: "gpu" | "cpu";
  /** The GPU adapter; null on the CPU engine. */
  adapter: string | null;
  /** Why this backend was taken. */
  reason: string;
  build: string;
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
export interface AblateResult extends ResultBase<AblateExperiment> {
  kind: "ablate"; axes: Axis[]; shape: number[];
  /** Row-major; null stands for a value that is not finite. */
  values: (number | null)[];
  /** The metric without any edit. */
  baseline: number;
}
export interface PatchResult extends ResultBase<PatchExperiment> {
  kind: "patch"; axes: Axis[]; shape: number[]; values: (number | null)[];
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

export type Result =
  | PredictResult | LogitDiffResult | TraceResult | AblateResult | PatchResult | UnembedBiasResult;

/** The result that belongs to an experiment: `run({ kind: "predict", … })` gives a `PredictResult`. */
export type ResultOf<E extends Experiment> = Extract<Result, { kind: E["kind"] }>;

/** A heatmap as numbers and words, without colours or pixels. */
export interface Figure {
  title: string;
  row_axis: FigureAxis; col_axis: FigureAxis;
  rows: number; cols: number;
  /** Row-major; null is drawn as an empty cell. */
  values: (number | null)[];
  /** Symmetric about `mid`. */
  scale: { min: number; mid: number; max: number };
  caption: string;
}
export interface FigureAxis { title: string; labels: string[] }

/** First each file's download, then `start` (the engine takes the model in), then `ready`. */
export interface LoadProgress {
  phase: "download" | "start" | "ready";
  /** The file on its way; empty in the other phases. */
  file: string;
  /** Bytes; `total` is null while the length of a file is unknown. */
  loaded: number; total: number | null;
}

export interface OpenOptions {
  /** Folder of the model, relative to the page: `config.json`, `model.safetensors` and the tokenizer's files. */
  model: string | URL;
  /** Default `"auto"`: the GPU, unless it is missing or software. */
  backend?: "auto" | "gpu" | "cpu";
  /**
   * At most so many threads; 1 takes the build without threads. Default: one for each core, up to 8. More than one
   * needs a page that is cross-origin isolated; `info.engine.build` says what was taken.
   */
  threads?: number;
  /** Called again when a stopped worker is replaced and loads the model once more. */
  onProgress?: (progress: LoadProgress) => void;
  signal?: AbortSignal;
}

export interface RunOptions {
  /** Work done and work in all, as the engine counts it: only their ratio means something. */
  onProgress?: (done: number, total: number) => void;
  /**
   * Ends the job: the promise rejects with code `run.cancelled` within 200 ms. A worker that does not stop by
   * itself is replaced. Aborting with a `LabError` of code `run.superseded` as reason leaves it more time.
   */
  signal?: AbortSignal;
}

export class Lab {
  private constructor();
  /** Starts a worker, loads the model into it. Rejects with `LabError`. */
  static open(options: OpenOptions): Promise<Lab>;
  readonly info: { model: ModelInfo; engine: EngineInfo };
  /** Runs one experiment; jobs wait their turn. Rejects with `LabError`. */
  run<E extends Experiment>(experiment: E, options?: RunOptions): Promise<ResultOf<E>>;
  /** The heatmap of an `ablate` or `patch` result with two axes; null for any other. */
  figure(result: Result): Promise<Figure | null>;
  tokenize(text: string, prependBos?: boolean): Promise<Token[]>;
  /** Ends the worker; everything still under way rejects with code `lab.closed`. */
  close(): void;
}

/** Every failure of the lab. */
export class LabError extends Error {
  constructor(code: string, message: string, action?: string);
  /** Stable, for programs: `input.unknown_field`, `model.unsupported`, `net.truncated`, … */
  readonly code: string;
  /** What can be done about it, where there is something. */
  readonly action?: string;
}
