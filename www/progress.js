// How far a model's loading is, for a progress bar: the events of transformers.js with a rate, the time left and the phase
// added. Pure but for the clock, which a test may set.

/** @typedef {import("./microtome.js").LoadProgress} LoadProgress */
/** @typedef {import("./engine.js").DownloadProgress} Counted */

/** Events of bytes that come closer together than so many milliseconds are dropped. */
const REPORT_EVERY = 50;
/** The rate is that of the last so many milliseconds. */
const WINDOW = 5_000;

/** @type {LoadProgress} */
const NOTHING = {
  status: "progress", phase: "list", file: "", loaded: 0, total: null, all_loaded: 0, all_total: null, rate: null, left: null, message: null,
};

export class Progress {
  /** Time and bytes received by then. @type {[number, number][]} */ #samples = [];
  #reported = -Infinity;
  /** @type {LoadProgress} */ #last = NOTHING;

  /** @param {(progress: LoadProgress) => void} send @param {() => number} [now] milliseconds */
  constructor(send, now = () => performance.now()) {
    this.send = send;
    this.now = now;
  }

  /**
   * Something happened, whatever was counted.
   * @param {Partial<LoadProgress>} event
   */
  tell(event) {
    this.#last = { ...this.#last, message: null, ...event };
    this.#reported = this.now();
    this.send(this.#last);
  }

  /**
   * Bytes came, or were read back.
   * @param {() => Counted} count asked for only when an event is due
   */
  bytes(count) {
    if (this.now() - this.#reported < REPORT_EVERY) return;
    this.tell({ status: "progress", ...this.counted(count()) });
  }

  /** What was counted, with the rate that follows from it. @param {Counted} counted @returns {Partial<LoadProgress>} */
  counted({ phase, file, done, bytes, all_done, all_bytes, received }) {
    const now = this.now();
    this.#samples.push([now, received]);
    while (now - this.#samples[0][0] > WINDOW && this.#samples.length > 2) this.#samples.shift();
    const [since, before] = this.#samples[0];
    const rate = now - since >= 500 && phase === "download" ? Math.max(0, ((received - before) * 1000) / (now - since)) : null;
    const left = rate && all_bytes !== null ? Math.max(0, all_bytes - all_done) / rate : null;
    return { phase, file: file ?? "", loaded: done, total: bytes, all_loaded: all_done, all_total: all_bytes, rate, left };
  }
}
