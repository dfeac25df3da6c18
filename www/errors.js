/** The one error type of the lab; shared by the page's side and the worker's side. */
export class LabError extends Error {
  /**
   * @param {string} code stable, for programs
   * @param {string} message a sentence for people
   * @param {string} [action] what can be done about it
   */
  constructor(code, message, action) {
    super(message);
    this.name = "LabError";
    this.code = code;
    this.action = action;
    /** What was done of a job that was cancelled. @type {import("./microtome.js").PartialSweep | import("./microtome.js").PartialTraining | undefined} */
    this.partial = undefined;
  }
}

/**
 * What crosses from the worker: errors lose their class in a message, and Rust throws plain objects.
 * @typedef {{ code: string, message: string, action?: string }} PlainError
 */

/**
 * Any thrown value as plain data.
 * @param {any} thrown
 * @param {string} [lastWords] what a panic wrote to the console
 * @returns {PlainError & { fatal?: boolean }}
 */
export function toPlain(thrown, lastWords = "") {
  if (thrown && typeof thrown.code === "string" && typeof thrown.message === "string") {
    const { code, message, action } = thrown;
    return action ? { code, message, action } : { code, message };
  }
  // Everything the engine refuses on purpose has a code: what has none is a trap or a bug, and a wasm instance
  // that trapped must not be called again.
  const text = lastWords || (thrown instanceof Error ? thrown.message : String(thrown));
  return { code: "engine.panic", message: `The engine stopped unexpectedly: ${text}.`, action: "It was restarted: try again.", fatal: true };
}

/** @param {PlainError} plain */
export function fromPlain(plain) {
  return new LabError(plain.code, plain.message, plain.action);
}
