/** What the generated `pkg/microtome.js` exports; `src/wasm.rs` implements it and only `service.js` uses it. */
import type { CheckpointResult, Drawable, EngineInfo, Estimate, Experiment, Figure, MemoryPlan, MemoryUse, ModelInfo, PartialSweep, PublishedCheck, Result, Token, TrainingExperiment, TrainingResult } from "./microtome.js";

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
  /** The step of training that is meant; `step-N.safetensors` of it is then added to the model. */
  step?: number | null;
  /** Where they come from, and the steps that its folder names: the family of `Engine.family`. */
  address?: string;
  steps?: number[];
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
  /** What a model would need of memory here, from the bytes of its `config.json`. Throws `model.too_large` if it does not fit. */
  plan(config: Uint8Array, precision: "f32" | "f16"): Omit<MemoryPlan, "backend">;
  /** The engine that was taken. */
  backend(): "gpu" | "cpu";
  free(): void;
}

export default function init(options: { module_or_path: URL | Response | WebAssembly.Module }): Promise<unknown>;

/** Bytes of the module's memory, which never shrinks. */
export function heapBytes(): number;

export class Engine {
  private constructor();
  /**
   * May take as long as the files are on their way. What is remembered and cannot be used is measured again. A `precision`
   * other than that which the model is then opened with only costs time. With `defaultLimits` a GPU keeps to WebGPU's
   * default limits.
   */
  static prepare(backend: "auto" | "gpu" | "cpu", remembered: Remembered, precision?: "f32" | "f16", defaultLimits?: boolean): Promise<Prepared>;
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
  /** `notices`: what was let pass when the model was opened. */
  info(): { model: ModelInfo; engine: EngineInfo; notices?: import("./microtome.js").Notice[] };
  /** Refused while an experiment runs. */
  memory(): Omit<MemoryUse, "start_bytes">;
  verify(onProgress: (done: number, total: number) => void, isCancelled: () => boolean): Promise<PublishedCheck[]>;
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
  /** The steps of the open model's training that can be gone to, rising. */
  family(): Float64Array;
  /** The address of one of them. */
  checkpointAt(step: number): string | undefined;
  /** Reads an experiment over checkpoints and checks its questions against the open model. Throws `input.*`, `checkpoint.*`. */
  training(experiment: TrainingExperiment): TrainingRun;
  /**
   * Asks everything of the next checkpoint of the run. One that cannot be used is skipped; what stops all of them is thrown:
   * `run.*`, `gpu.*`, `engine.busy`. `total` of `onProgress` is not the same for every experiment.
   */
  askCheckpoint(
    run: TrainingRun,
    files: ModelFiles,
    options: Pick<OpenOptions, "allow_not_finite">,
    onProgress: (done: number, total: number) => void,
    isCancelled: () => boolean,
  ): Promise<void>;
  /** Puts a checkpoint of the same shape in the place of the open model; on failure that stays. */
  goTo(
    files: ModelFiles,
    options: Pick<OpenOptions, "allow_not_finite">,
    onProgress: (done: number, total: number) => void,
    isCancelled: () => boolean,
  ): Promise<ReturnType<Engine["info"]>>;
  free(): void;
}

/** An experiment over checkpoints under way; `src/wasm/training.rs` implements it. */
export class TrainingRun {
  private constructor();
  /** The checkpoints in the order in which they are to be asked. */
  wanted(): { step: number; address: string }[];
  /** Skips the next one. */
  skip(code: string, message: string): void;
  partial(): { kind: "training"; checkpoints: CheckpointResult[] };
  /** The result; ends the run. */
  finish(engine: Engine): TrainingResult;
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

/** A model address, read by `src/address.rs`. Throws `{code: "address.…", message, action?}` for anything else. */
export interface ModelAddress {
  /** `hub`: `hf:owner/name[@revision]`; `folder`: `./folder/`; `web`: `https://host/folder/`; `local`: picked or dropped files. */
  kind: "hub" | "folder" | "web" | "local";
  /** As it should be written: what links and titles show. */
  text: string;
  /** Of kind `web`: the host, which the visitor must have agreed to before anything is asked of it. */
  host: string | null;
  /** Of kind `hub`: `owner/name`. */
  repo: string | null;
  /** Of kind `hub`: as it was written; `null` means `main`. */
  revision: string | null;
  /** Of kinds `folder` and `web`: the step of training that is meant, `./folder/@1300`. */
  step: number | null;
}
export function parseAddress(text: string): ModelAddress;

/**
 * Brings one model's files into a store. It touches neither network nor store: it says what to do next (`next`), and is
 * told what came of it. `src/download/` decides everything: which files, which bytes of them, what is retried and after how
 * long, when to start again, what is refused. The driver has one loop:
 *
 *   for (;;) {
 *     const step = download.next();
 *     switch (step.do) {
 *       case "open":  … find or make the store's entry;  download.opened(have, note, complete);  break;
 *       case "get":   … fetch (headers, abort after step.stall_ms without a byte); download.response({…});
 *                     for each chunk of the body { const part = download.bytes(chunk);
 *                       write chunk.subarray(part.from, part.to) at part.at; if (!part.more) abort the body and leave the loop }
 *                     when the body ended by itself: download.end();  when fetch or the body failed: download.failed(kind, detail);  break;
 *       case "read":  … download.bytes(the stored bytes from..to), in one call, writing nothing;  break;
 *       …
 *     }
 *   }
 *
 * After any call of `opened`, `response`, `end`, `failed` (and a `bytes` that says no `more`) ask `next()`. After `response`
 * hold the response: `note`, `truncate` and `write` may come first, then `body` asks for its body; any other step means that
 * it is not wanted (cancel it).
 * A cancel needs no call: stop, keep the store's partial entry, `free()`. Every number is an exact integer.
 */
export class Download {
  /** Throws as `parseAddress` does; `address.local`, `address.base`; `address.consent` for a host that `consent` does not name. */
  constructor(spec: DownloadSpec);
  next(): DownloadStep;
  /**
   * Answer to `open`. `have`: bytes from the start that the store holds (a partial file is always a prefix); `note`: the last
   * `note` kept with them, or null; `complete`: whether the entry was closed by `close` before. Nothing stored: (0, null, false).
   */
  opened(have: number, note: string | null, complete: boolean): void;
  /** Answer to `get`, as soon as there are headers. */
  response(response: DownloadResponse): void;
  /** Bytes of a body, or those that `read` asked for. */
  bytes(chunk: Uint8Array): DownloadPart;
  /** The body ended by itself, without an error. */
  end(): void;
  /**
   * The request or its body failed. `network`: any TypeError of fetch or of the reader; `stall`: aborted after `stall_ms`;
   * `blocked`: a CSP violation was reported for it. `detail`: the browser's own words.
   */
  failed(kind: "network" | "stall" | "blocked", detail: string): void;
  /** For progress bars; cheap, may be called at any time. */
  progress(): DownloadProgress;
  free(): void;
}

export interface DownloadSpec {
  /** A model address of kind `hub`, `folder` or `web`. */
  address: string;
  /** What `./` is relative to: `new URL("./", document.baseURI).href`. Needed for `folder` only. */
  base?: string;
  /** Of kind `web`: the host that the visitor agreed to. */
  consent?: string;
  /** In place of `https://huggingface.co`: a mirror, or a test's stand-in. */
  endpoint?: string;
  /** Reads files that the store has as `complete` again and checks them; default: they are taken as they are. */
  verify?: boolean;
  /** Waits and time limits are multiplied by this; 1 unless a test says otherwise. */
  time_scale?: number;
  /** Seeds the jitter of waits; default 0. Give a random one. */
  seed?: number;
  /** Mask buffers of at least this many bytes are not downloaded; default 1,048,576. */
  least_gap?: number;
}

export type DownloadStep =
  /** The next file. `size` and `sha256` (lower-case hex) are null where unknown. Answer with `opened`. */
  | { do: "open"; file: DownloadFile }
  /** Fetch. Redirects are followed, `credentials: "omit"`, `cache: "no-store"`. `range`: the Range header's value, or null for none. */
  | { do: "get"; url: string; range: string | null; stall_ms: number }
  /** The response is what was wanted: read its body. */
  | { do: "body" }
  /** Read the stored bytes `from..to` of the open file (at most 1 MiB) and give them to `bytes` in one call; `failed("network", …)` when that cannot be done. */
  | { do: "read"; from: number; to: number }
  /** Write these bytes at `at` of the open file: a mask buffer, made here. */
  | { do: "write"; at: number; bytes: Uint8Array }
  /** Keep `note` with the open file, in place of the last one; it stays with a closed file too. */
  | { do: "note"; note: string }
  /** Throw away the open file's bytes from `to` on (0: all). Progress goes back; `message` says why, for people. */
  | { do: "truncate"; to: number; message: string }
  /** Wait. `message` is for people. */
  | { do: "wait"; ms: number; why: "retry" | "busy"; message: string }
  /** The open file is whole: make it permanent. `verified`: its sha256 was known beforehand and is this one. */
  | { do: "close"; file: DownloadFile; size: number; sha256: string; verified: boolean }
  /** The open file was `complete` and is kept as it is. */
  | { do: "keep"; file: DownloadFile }
  /** The open file is wrong or not wanted: remove it with its note. */
  | { do: "drop" }
  /** All files are there. `files` in the order in which they came; `checkpoints` of the model's training, as its folder names them; `revision`: 40 hex digits where known, else as addressed. */
  | { do: "done"; revision: string; files: DownloadFile[]; checkpoints: { step: number; bytes: number | null }[] }
  /** It cannot be done. What the store holds of the open file stays, unless a `drop` came first. */
  | { do: "fail"; error: { code: string; message: string; action?: string } };

export interface DownloadFile {
  /** Its name in the model: `model.safetensors`. */
  name: string;
  /** The canonical address without a revision: the store's key is (source, revision, name). */
  source: string;
  revision: string;
  size: number | null;
  sha256: string | null;
}

/** A header that cannot be read (not sent, or not exposed by CORS) is null. */
export interface DownloadResponse {
  status: number;
  /** `response.url` */
  url: string;
  redirected: boolean;
  headers: {
    "content-range": string | null; "content-length": string | null; "content-encoding": string | null;
    "content-type": string | null; etag: string | null; "x-linked-etag": string | null; "x-linked-size": string | null;
    "last-modified": string | null; "retry-after": string | null; "x-error-code": string | null;
  };
}

/** `chunk.subarray(from, to)` belongs at byte `at` of the open file (nothing where `from == to`). */
export interface DownloadPart { at: number; from: number; to: number; more: boolean }

export interface DownloadProgress {
  /** The open file, or null. */
  file: string | null;
  /** Files that are done, and all of them; null until that is known. */
  files_done: number;
  files: number | null;
  /** Bytes of the open file that are there (made here, read back or downloaded), never above `bytes`. */
  done: number;
  bytes: number | null;
  /** The same over all files. */
  all_done: number;
  all_bytes: number | null;
  /** Bytes that came over the network, in all. */
  received: number;
  /** Counts the times that progress went back. */
  restarts: number;
  /** What the open file is having done to it. */
  phase: "list" | "download" | "verify";
}

/**
 * Reads `microtome.json`, the manifest of a folder that `microtome pack` wrote: for such a folder that is picked or dropped.
 * A file with `parts` is these, one after another: `new Blob([part, part, …])`. Throws `{code: "file.manifest", …}`.
 */
export function readManifest(json: Uint8Array): {
  format: "microtome"; version: 1; name: string; dtype: "f32" | "f16";
  files: { name: string; size: number; sha256: string; parts?: { name: string; size: number; sha256: string }[] }[];
};

/** SHA-256, piece by piece: for the check of a stored file. */
export class Hasher {
  constructor();
  update(chunk: Uint8Array): void;
  /** Lower-case hex; of what came so far. */
  hex(): string;
  free(): void;
}
