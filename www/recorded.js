// Results that come with the page: computed beforehand by tests/record.mjs from the page itself, shown as such until live
// ones take their place, and only for exactly the inputs that they belong to.

/** @typedef {import("./state.js").JobKey} JobKey */
/**
 * Where a recorded value comes from. `same`: the section's inputs are still those that it was computed from. `made`: a date.
 * @typedef {{ model: string, sha256: string | null, build: string, made: string, same: boolean }} Mark
 */
/**
 * One file: of a model, for each section the inputs and what they gave. Results are without `model` and `engine`, which
 * are those of `info`; an object `{ f32: [] }` stands for a Float32Array.
 * @typedef {{ address: string, made: string, info: import("./host.js").Info, sections: Partial<Record<JobKey, { inputs: unknown, value: any }>> }} Recording
 * @typedef {ReturnType<typeof createRecordings>} Recordings
 */

/** What is recorded of the page's first state; of the run over its training, which is looked at later; of the tasks that its model can do. */
export const FILES = { first: "notebook", training: "training", tasks: ["objects", "induction"] };

/** @param {string} name @returns {Promise<Recording | null>} null where it cannot be had: the live result comes anyway */
export async function fetchRecording(name) {
  try {
    const response = await fetch(new URL(`./recorded/${name}.json`, import.meta.url));
    return response.ok ? await response.json() : null;
  } catch {
    return null;
  }
}

/** @param {() => string} address of the model that is loaded, or being loaded */
export function createRecordings(address) {
  /** @type {{ key: JobKey, address: string, inputs: string, value: any, mark: Mark }[]} */
  const entries = [];
  /** @type {Map<JobKey, { inputs: () => unknown, offer: () => void }>} */
  const sections = new Map();
  /** Inputs that nothing was recorded of were asked for. */
  let missed = false;
  let onMiss = () => void (missed = true);
  return {
    /** @param {Recording} recording its sections are told */
    add({ address, made, info, sections: found }) {
      const mark = { model: info.model.name, sha256: info.model.sha256, build: info.engine.build, made, same: true };
      for (const [name, { inputs, value }] of Object.entries(found)) {
        const key = /** @type {JobKey} */ (name);
        entries.push({ key, address, inputs: canonical(inputs), value: revived(value, info), mark });
        sections.get(key)?.offer();
      }
    },
    /** @param {JobKey} key @param {unknown} inputs @param {string | null} [sha256] of the model that is open, if one is */
    find(key, inputs, sha256) {
      const wanted = canonical(inputs);
      const found = entries.find((entry) => entry.key === key && entry.address === address() && entry.inputs === wanted
        && (sha256 === undefined || entry.mark.sha256 === sha256));
      if (!found && sha256 === undefined) onMiss();
      return found;
    },
    /**
     * `offer` is called when something of the section has arrived; `inputs`: what its value depends on, as JSON.
     * @param {JobKey} key @param {() => unknown} inputs @param {() => void} offer
     */
    section: (key, inputs, offer) => void sections.set(key, { inputs, offer }),
    /** A section is there whose recorded result came before it. @param {JobKey} key */
    offer: (key) => sections.get(key)?.offer(),
    /** `act` is called once: when inputs are asked for that nothing is recorded of, while no model is there. @param {() => void} act */
    onMiss(act) {
      onMiss = () => {
        onMiss = () => {};
        act();
      };
      if (missed) onMiss();
    },
    /** What tests/record.mjs keeps beside a value. @param {JobKey} key */
    inputsOf: (key) => sections.get(key)?.inputs(),
  };
}

/** The same text for the same JSON value, whatever the order of its fields. @param {unknown} value */
const canonical = (value) => JSON.stringify(value, (_, part) => (part && typeof part === "object" && !Array.isArray(part)
  ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1))) : part));

/** A value as the engine gives it. @param {any} value @param {import("./host.js").Info} info @returns {any} */
function revived(value, info) {
  if (!value || typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map((part) => revived(part, info));
  if (Array.isArray(value.f32)) return Float32Array.from(value.f32);
  const whole = Object.fromEntries(Object.entries(value).map(([name, part]) => [name, revived(part, info)]));
  return "experiment" in whole && "kind" in whole ? { ...whole, ...info } : whole;
}
