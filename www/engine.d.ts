/** What the generated `pkg/microtome.js` exports; `src/wasm.rs` implements it and only `worker.js` uses it. */
import type { Drawable, EngineInfo, Estimate, Experiment, Figure, ModelInfo, PartialSweep, Result, Token } from "./microtome.js";

/** One file of a model: a file of the browser's storage, of the visitor's disk or of memory, read a slice at a time. */
export interface ModelFile {
  /** Its name in the model's folder. */
  name: string;
  blob: Blob;
  /** Lower-case hexadecimal, where it was computed from these very bytes. */
  sha256?: string;
}

/** A model's files; `name` is shown to people. */
export interface ModelFiles {
  name: string;
  files: ModelFile[];
}

/** How a model is opened. */
export interface OpenOptions {
  /** What the engine keeps the weights as; default `f32`. Arithmetic is in f32. */
  precision?: "f32" | "f16";
  /** Whether weights may be NaN or infinite; without it such a model is refused with `model.not_finite`. */
  allow_not_finite?: boolean;
}

/** By adapter: the kernels that a build of the module found to be fastest on it. */
export type Remembered = Record<string, { build: string; kernels: string }>;

/** An engine without a model, its kernels ready. */
export class Prepared {
  private constructor();
  free(): void;
}

export default function init(options: { module_or_path: URL | Response | WebAssembly.Module }): Promise<unknown>;

export class Engine {
  private constructor();
  /** May take as long as the files are on their way. What is remembered and cannot be used is measured again. */
  static prepare(backend: "auto" | "gpu" | "cpu", remembered: Remembered): Promise<Prepared>;
  /** Takes the prepared engine, which is then of no further use. */
  /**
   * Takes the prepared engine, which is then of no further use, and puts the model's weights on it, a few megabytes at a
   * time. `onPhase`: `verify` hashes files whose hash nobody knows; `convert` (CPU) or `upload` (GPU) is the weights' way to
   * the engine; in bytes done and of how many. Throws `{code: "run.cancelled", …}` when `isCancelled` says so.
   */
  static open(
    files: ModelFiles,
    prepared: Prepared,
    options: OpenOptions,
    onPhase: (phase: "verify" | "convert" | "upload", done: number, total: number) => void,
    isCancelled: () => boolean,
  ): Promise<Engine>;
  info(): { model: ModelInfo; engine: EngineInfo };
  run(
    experiment: Experiment,
    onProgress: (done: number, total: number) => void,
    /** Of sweeps only, whenever a batch of their runs is done. */
    onPartial: (sofar: Omit<PartialSweep, "done">) => void,
    isCancelled: () => boolean,
  ): Promise<Result>;
  /** Refused while an experiment runs. */
  estimate(experiment: Experiment): Estimate;
  /** May be called while an experiment runs. */
  figure(result: Drawable): Figure | null;
  tokenize(text: string, prependBos: boolean): Token[];
  free(): void;
}

/** What the build with threads exports besides; `src/wasm/threads.rs` implements it. */
export interface Threaded {
  sharedModule(): [WebAssembly.Module, WebAssembly.Memory];
  startThreads(threads: number): void;
  runThread(): void;
  initSync(shared: { module: WebAssembly.Module; memory: WebAssembly.Memory }): unknown;
}

/** What `bench.js` asks of the benchmark; `src/wasm/bench.rs` implements it and `src/bench.rs` says what the parts are. */
export interface BenchOptions {
  shape: "gpt2-small" | "tiny";
  seed: number;
  backend: "gpu" | "cpu";
  /** Of the CPU engine in the build that was loaded. */
  threads: number;
  tokens: number[];
  /** Names of cases; all where it is empty. */
  only: string[];
  /** Default: 5 of a forward pass, 3 of a sweep. */
  repeat?: number;
}
export interface BenchRow {
  case: string; title: string; tokens: number; repeats: number; median_ms: number; min_ms: number;
  flops: number; dispatches: number; readbacks: number; weight_bytes_read: number; gflops: number; share: number;
}
export interface MatmulRate {
  gflops: number;
  products: { rows: number; k: number; n: number; and_back: boolean; milliseconds: number; gflops: number }[];
}
export interface BenchEngine {
  backend: "gpu" | "cpu"; adapter: string | null; build: string; threads: number | null; prepare_ms: number;
  matmul: MatmulRate; rows: BenchRow[];
}
export type BenchEvent =
  | { kind: "begin"; done: number; total: number; title: string; tokens: number | null }
  | { kind: "matmul"; rate: MatmulRate }
  | { kind: "row"; row: BenchRow };
export function bench(
  options: BenchOptions,
  onEvent: (event: BenchEvent) => void,
  onProgress: (done: number, total: number) => void,
  onPartial: (answer: unknown) => void,
  isCancelled: () => boolean,
): Promise<BenchEngine>;
