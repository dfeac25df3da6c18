// Fetches a model folder with progress in bytes. Runs in the worker. Longer than most files: what can go wrong with a
// download is told apart here and nowhere else.
import { LabError } from "./errors.js";

/** @typedef {import("./microtome.js").LoadProgress} LoadProgress */
/** @typedef {import("./engine.js").ModelFiles} ModelFiles */
/** @typedef {(progress: LoadProgress) => void} Report */

/** Progress messages closer together than this many milliseconds are dropped. */
const REPORT_EVERY = 50;

/**
 * Loads what a GPT-2 folder holds: config.json, model.safetensors, and tokenizer.json or vocab.json + merges.txt.
 * @param {URL} folder ends in "/"
 * @param {Report} report
 * @param {RequestCache} cache
 * @returns {Promise<ModelFiles>}
 */
export async function loadModel(folder, report, cache) {
  /** @param {string} name */
  const required = async (name) => {
    const bytes = await fetchBytes(new URL(name, folder), report, cache);
    if (bytes) return bytes;
    throw new LabError("net.not_found", `${new URL(name, folder).href} does not exist.`,
      "A model folder holds config.json, model.safetensors and tokenizer.json (or vocab.json and merges.txt).");
  };
  /** @param {string} name */
  const optional = (name) => fetchBytes(new URL(name, folder), report, cache);

  /** @type {Map<string, Uint8Array<ArrayBuffer>>} */
  const found = new Map();
  /** @param {string} name @param {(name: string) => Promise<Uint8Array<ArrayBuffer> | null>} fetch */
  const take = async (name, fetch) => {
    const bytes = await fetch(name);
    if (bytes) found.set(name, bytes);
    return bytes;
  };
  await take("config.json", required);
  if (!await take("tokenizer.json", optional) && await take("vocab.json", optional)) await take("merges.txt", required);
  if (!await take("model.safetensors", optional)) {
    const index = await take("model.safetensors.index.json", optional) ?? await required("model.safetensors");
    for (const name of shardNames(index)) await take(name, required);
  }
  return { name: folderName(folder), files: [...found].map(([name, bytes]) => ({ name, blob: new Blob([bytes]) })) };
}

/**
 * The shards that an index names. The engine checks it in earnest; here a name must only not lead out of the folder.
 * @param {Uint8Array} index
 * @returns {string[]}
 */
function shardNames(index) {
  try {
    const { weight_map } = JSON.parse(new TextDecoder().decode(index));
    return [.../** @type {Set<string>} */ (new Set(Object.values(weight_map)))].filter((name) => /^[\w-][\w.-]*$/.test(name));
  } catch {
    return [];
  }
}

/** @param {URL} folder */
function folderName(folder) {
  const parts = folder.pathname.split("/").filter(Boolean);
  return decodeURIComponent(parts[parts.length - 1] ?? folder.host);
}

/**
 * The file's bytes; null where the server has no such file.
 * @param {URL} url
 * @param {Report} report
 * @param {RequestCache} cache
 */
async function fetchBytes(url, report, cache) {
  const response = await fetchWithProgress(url, report, cache);
  if (!response) return null;
  const bytes = new Uint8Array(await response.arrayBuffer().catch((cause) => {
    throw new LabError("net.truncated", `The download of ${url.href} broke off (${cause.message}).`, "Try again.");
  }));
  const length = plainLength(response, url);
  if (length !== null && bytes.length < length) {
    throw new LabError("net.truncated", `${url.href} ended after ${bytes.length} of ${length} bytes.`, "Try again.");
  }
  refuseStandIns(bytes, url);
  return bytes;
}

/**
 * A response whose body reports its progress while it is read; null for 404.
 * @param {URL} url
 * @param {Report} report
 * @param {RequestCache} cache
 */
export async function fetchWithProgress(url, report, cache) {
  const response = await fetch(url, { cache }).catch((cause) => {
    throw new LabError("net.unreachable", `${url.href} cannot be reached (${cause.message}).`,
      "Check the connection. A folder on another site must allow this one by CORS.");
  });
  if (response.status === 404 || response.status === 410) return null;
  if (!response.ok || !response.body) {
    throw new LabError("net.status", `The server answered ${response.status} for ${url.href}.`, "Try again.");
  }
  const file = decodeURIComponent(url.pathname.split("/").pop() ?? "");
  const total = plainLength(response, url);
  let loaded = 0;
  let reported = 0;
  const count = new TransformStream({
    transform(/** @type {Uint8Array} */ chunk, controller) {
      loaded += chunk.length;
      if (performance.now() - reported > REPORT_EVERY) {
        reported = performance.now();
        report({ phase: "download", file, loaded, total });
      }
      controller.enqueue(chunk);
    },
    flush() {
      report({ phase: "download", file, loaded, total: loaded });
    },
  });
  return new Response(response.body.pipeThrough(count), { headers: response.headers });
}

/**
 * The number of bytes that the body will give, where the header can be trusted: a compressed body's Content-Length
 * counts the compressed bytes, and another origin hides whether its body is compressed.
 * @param {Response} response
 * @param {URL} url
 */
function plainLength(response, url) {
  const length = Number(response.headers.get("content-length") ?? NaN);
  const plain = !response.headers.get("content-encoding") && url.origin === globalThis.location?.origin;
  return plain && Number.isFinite(length) ? length : null;
}

/**
 * Hosts like to answer with a web page, and Git LFS with a pointer, where a file is missing.
 * @param {Uint8Array} bytes
 * @param {URL} url
 */
function refuseStandIns(bytes, url) {
  const start = new TextDecoder().decode(bytes.subarray(0, 64)).trimStart();
  if (/^<(!doctype|html|\?xml|head|body)/i.test(start)) {
    throw new LabError("net.web_page", `${url.href} is a web page, not a model file. It begins with “${start.slice(0, 40)}”.`,
      "Check the folder's address.");
  }
  if (start.startsWith("version https://git-lfs")) {
    throw new LabError("net.lfs_pointer", `${url.href} is a Git LFS pointer, not the file itself.`,
      "Fetch the real file with “git lfs pull”.");
  }
}
