// What is remembered of a stored file beside its bytes. Pure.

/**
 * A file of a model as it is stored, whole or in part.
 * @typedef {{
 *   source: string, revision: string, file: string, size: number | null, sha256: string | null,
 *   have: number, note: string | null, complete: boolean, checked: boolean, files: string[] | null, at: number }} Entry
 *   `source` and `revision`: a model's address, such as `hf:owner/name`, and its revision, "" where there is none.
 *   `sha256`: lower-case hexadecimal; known of every complete file, as it was computed while the bytes came. `have`:
 *   bytes from the start that are safely stored. `note`: what the download has to know to go on with them. `checked`:
 *   the stored bytes were read back, and their hash was right. `files`: written with one file of a model when all were
 *   there: their names. `at`: milliseconds since 1970 of the last change.
 * @typedef {Pick<Entry, "source" | "revision" | "file">} Place
 */

/** One text for each place, and no two places with the same one. @param {Place} place */
export const idOf = ({ source, revision, file }) => JSON.stringify([source, revision, file]);

/** The model that a file belongs to, as people and programs name it. @param {Pick<Place, "source" | "revision">} place */
export const modelKey = ({ source, revision }) => (revision ? `${source}@${revision}` : source);

/** @param {Place} place @returns {Entry} */
export const blank = ({ source, revision, file }) => ({
  source, revision, file, size: null, sha256: null, have: 0, note: null, complete: false, checked: false, files: null, at: Date.now(),
});

/** What is left of an entry when its file is cut. @param {Entry} entry @param {number} to @returns {Entry} */
export const cut = (entry, to) => ({ ...entry, have: Math.min(entry.have, to), complete: false, checked: false, files: null, at: Date.now() });

/**
 * The last record of a sidecar: a line of JSON is added with each change, so that one which was cut short, because the
 * tab closed while it was written, costs only itself.
 * @param {string} text
 * @returns {Entry | null} null where there is none that can be believed
 */
export function lastRecord(text) {
  for (const line of text.split("\n").reverse()) {
    const entry = parsed(line);
    if (entry) return entry;
  }
  return null;
}

/** @param {string} line */
function parsed(line) {
  try {
    const entry = JSON.parse(line);
    return isEntry(entry) ? entry : null;
  } catch {
    return null;
  }
}

/**
 * Whether a value has an entry's shape and makes sense: what lies on a disk may have been written by anybody.
 * @param {any} entry
 * @returns {entry is Entry}
 */
export function isEntry(entry) {
  if (typeof entry !== "object" || entry === null) return false;
  const { source, revision, file, size, sha256, have, note, complete, checked, files, at } = entry;
  const texts = [source, revision, file].every((text) => typeof text === "string");
  const flags = [complete, checked].every((flag) => typeof flag === "boolean");
  const numbers = isCount(have) && (size === null || (isCount(size) && have <= size)) && Number.isFinite(at);
  const others = (note === null || typeof note === "string") && (sha256 === null || /^[0-9a-f]{64}$/.test(sha256))
    && (files === null || (Array.isArray(files) && files.every((name) => typeof name === "string")));
  return texts && flags && numbers && others && (!complete || (have === size && sha256 !== null));
}

/** @param {any} value */
const isCount = (value) => Number.isSafeInteger(value) && value >= 0;
