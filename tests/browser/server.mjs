// A static file server for the tests: a folder, with some paths answered otherwise.
import { createReadStream, statSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";

const TYPES = {
  ".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
  ".json": "application/json", ".wasm": "application/wasm", ".svg": "image/svg+xml",
};

/** What a plain file host sends with every answer, and CORS, which a page of another origin needs here. */
export const PLAIN = { "access-control-allow-origin": "*", "cache-control": "no-cache" };
/** What `microtome serve` sends besides. */
const HEADERS = {
  ...PLAIN, "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp",
  "cross-origin-resource-policy": "cross-origin", "x-content-type-options": "nosniff",
};

/**
 * @typedef {(response: import("node:http").ServerResponse, request: import("node:http").IncomingMessage) => void} Answer
 * @param {string} folder
 * @param {Record<string, Answer>} [answers] by path; a path that ends in "/" answers for all below it
 * @param {Record<string, string>} [headers] of every answer
 * @returns {Promise<{ url: string, answers: Record<string, Answer>, requests: { path: string, bytes: number }[], close: () => void }>}
 *   `requests`: what was asked for, and how long each answer is, 0 until its end
 */
export async function serve(folder, answers = {}, headers = HEADERS) {
  /** @type {{ path: string, bytes: number }[]} */
  const requests = [];
  const server = createServer(async (request, response) => {
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    const path = decodeURIComponent(new URL(request.url ?? "/", "http://x").pathname);
    const entry = { path, bytes: 0 };
    requests.push(entry);
    response.on("close", () => (entry.bytes = Number(response.getHeader("content-length") ?? 0)));
    const special = answers[path] ?? Object.entries(answers).find(([key]) => key.endsWith("/") && key !== "/" && path.startsWith(key))?.[1];
    if (special) return special(response, request);
    const file = normalize(path.endsWith("/") ? `${path}index.html` : path);
    try {
      const bytes = await readFile(join(folder, file));
      const type = /** @type {Record<string, string>} */ (TYPES)[extname(file)] ?? "application/octet-stream";
      response.writeHead(200, { "content-type": type, "content-length": bytes.length });
      response.end(bytes);
    } catch {
      response.writeHead(404, { "content-type": "text/plain" }).end("not found");
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(undefined)));
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  return { url: `http://127.0.0.1:${port}/`, answers, requests, close: () => server.close() };
}

/** @param {string} type @param {string | Uint8Array} body @returns {Answer} */
export const answer = (type, body) => (response) => void response
  .writeHead(200, { "content-type": type, "content-length": Buffer.byteLength(body) }).end(body);

/** Another folder's files below a path. @param {string} path @param {string} folder @returns {Record<string, Answer>} */
export const serveFolder = (path, folder) => ({
  [path]: async (response, request) => {
    const file = normalize(decodeURIComponent(new URL(request.url ?? "/", "http://x").pathname).slice(path.length - 1));
    const bytes = await readFile(join(folder, file)).catch(() => null);
    const type = /** @type {Record<string, string>} */ (TYPES)[extname(file)] ?? "application/octet-stream";
    if (bytes) response.writeHead(200, { "content-length": bytes.length, "content-type": type }).end(bytes);
    else response.writeHead(404).end();
  },
});

/** What a download reads of a model before it asks for more. */
export const CONFIG = JSON.stringify({ model_type: "gpt2", n_layer: 4, n_head: 8, n_embd: 128, n_positions: 128, vocab_size: 2048, activation_function: "gelu_new" });

/**
 * The stand-in engine in place of the module's own, and a model folder that it does not read.
 * @param {string} here
 * @param {string} site whose module does the downloads
 */
export async function standIn(here, site) {
  const script = await readFile(join(here, "fake_engine.js"), "utf8");
  return {
    ...serveFolder("/pkg/real/", join(site, "pkg")),
    "/pkg/build.json": answer("application/json", "{}"),
    "/pkg/microtome.js": answer("text/javascript", script),
    "/pkg/microtome_bg.wasm": answer("application/wasm", new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0])),
    // The site's own folder says what its files are; these are others.
    "/models/pronoun/microtome.json": (/** @type {import("node:http").ServerResponse} */ response) => void response.writeHead(404).end(),
    "/models/pronoun/config.json": answer("application/json", CONFIG),
    "/models/pronoun/tokenizer.json": answer("application/json", "{}"),
    "/models/pronoun/model.safetensors": answer("application/octet-stream", weights(300_000)),
  };
}

/** A file as it lies on the disk, sent in pieces: the model has half a gigabyte. @param {string} path @returns {Answer} */
export const file = (path) => (response) => {
  const type = { ".mjs": "text/javascript", ".wasm": "application/wasm" }[extname(path)] ?? "application/octet-stream";
  const { size } = statSync(path, { throwIfNoEntry: false }) ?? {};
  if (size === undefined) return void response.writeHead(404).end();
  response.writeHead(200, { "content-type": type, "content-length": size });
  createReadStream(path).pipe(response);
};

/** A safetensors file of so many bytes with one tensor of zeros. @param {number} size */
export function weights(size) {
  const bytes = Buffer.alloc(size);
  // The header's length does not depend on the digits of the end, which are padded with spaces.
  const header = (/** @type {number} */ end) => JSON.stringify({ x: { dtype: "U8", shape: [end], data_offsets: [0, end] } });
  const room = 128;
  bytes.writeBigUInt64LE(BigInt(room));
  bytes.write(header(size - 8 - room).padEnd(room), 8);
  return bytes;
}
