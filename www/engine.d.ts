/** What the generated `pkg/microtome.js` exports; `src/wasm.rs` implements it and only `worker.js` uses it. */
import type { Drawable, EngineInfo, Estimate, Experiment, Figure, ModelInfo, PartialSweep, Result, Token } from "./microtome.js";

/** A model's files, as fetched. `name` is shown to people. */
export interface ModelFiles {
  name: string;
  config: Uint8Array;
  /** `model.safetensors`; without it, `model.safetensors.index.json` and the shards that it names. */
  weights?: Uint8Array;
  index?: Uint8Array;
  shards?: { name: string; bytes: Uint8Array }[];
  tokenizer?: Uint8Array;
  vocab?: Uint8Array;
  merges?: Uint8Array;
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
  static open(files: ModelFiles, prepared: Prepared): Promise<Engine>;
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
