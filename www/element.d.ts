/** Types of `element.js`, which defines the element when it is loaded. */
import type { AblateExperiment, DetectExperiment, EngineInfo, Figure, LoadProgress, ModelInfo, PatchExperiment, Result, TraceExperiment } from "./microtome.js";

/** What a figure's JSON holds; with `figure` it is a recorded one. */
export interface FigureSpec {
  version: 1;
  experiment: AblateExperiment | PatchExperiment | DetectExperiment | TraceExperiment;
  /** Of a trace: whose pattern is drawn. */
  head?: { layer: number; head: number };
  figure?: Figure;
  model?: { name: string; sha256: string | null };
  engine?: { backend: string; build: string };
}

export interface FigureEvents {
  ready: CustomEvent<{ model: ModelInfo; engine: EngineInfo }>;
  /** `run`: in the engine's operations; other phases: in bytes. */
  progress: CustomEvent<{ phase: LoadProgress["phase"] | "run"; done: number; total: number | null }>;
  result: CustomEvent<{ result: Result; figure: Figure }>;
  error: CustomEvent<{ code: string; message: string; action?: string }>;
}

/** `<microtome-figure>`. Attributes: `src`, `model`, `backend`, `head`, `heading`, `caption`, `height`, `theme`, `lab`. */
export class MicrotomeFigure extends HTMLElement {
  /** The experiment, with what the reader has typed; null until it is there. */
  readonly experiment: FigureSpec["experiment"] | null;
  /** What to keep as the recorded figure; null before the first run. */
  readonly recorded: FigureSpec | null;
  /** Puts another experiment, or a recorded figure, in its place: a value, or its JSON. Throws a `LabError` for anything else. */
  show(spec: FigureSpec | FigureSpec["experiment"] | string): void;
  /** Computes the figure, now or when it comes onto the screen; a newer run takes the place of an older one. Rejects with a `LabError`. */
  run(): Promise<{ result: Result; figure: Figure }>;
  /** Ends the run under way: its promise rejects with code `run.cancelled`. */
  cancel(): void;
  addEventListener<K extends keyof FigureEvents>(type: K, listener: (event: FigureEvents[K]) => void, options?: boolean | AddEventListenerOptions): void;
  addEventListener(type: string, listener: EventListenerOrEventListenerObject, options?: boolean | AddEventListenerOptions): void;
}

declare global {
  interface HTMLElementTagNameMap {
    "microtome-figure": MicrotomeFigure;
  }
}
