// The service worker: the page without its server. It keeps the files of one version of the page (not the models, which have
// their stores), each checked against its hash, and answers with them: a page never gets files of two versions. A new version
// is fetched as a whole beside the old one, and takes over when no page of the old one is open, or when the only one that is
// asks for it. Where the host cannot send the headers of cross-origin isolation, it adds them.
//
// `microtome build` and `serve --lan` replace the next line by the list of files. Without one, this worker takes away itself
// and whatever an earlier one has kept: so a folder that is served for development never shows an old file.
const SHELL = null;

/** @typedef {{ version: string, isolate: boolean, core: Record<string, string>, later: Record<string, string> }} Shell
 *   paths from this worker's folder, with the SHA-256 of each: those that are fetched first, and those kept when they are used */
const shell = /** @type {Shell | null} */ (SHELL);
const scope = /** @type {any} */ (self);
const base = new URL("./", scope.location.href);
const FAMILY = `microtome shell ${base.href} `;
const NAME = FAMILY + shell?.version;
/** @type {Record<string, string>} */
const hashes = { ...shell?.core, ...shell?.later };
const ISOLATION = { "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" };
/** So many files are fetched at once. */
const AT_ONCE = 6;

scope.addEventListener("install", (/** @type {any} */ event) => event.waitUntil(shell ? install(shell) : scope.skipWaiting()));
scope.addEventListener("activate", (/** @type {any} */ event) => event.waitUntil(activate()));
scope.addEventListener("fetch", (/** @type {any} */ event) => {
  const { request } = event;
  if (!shell || request.method !== "GET" || request.headers.has("range") || new URL(request.url).origin !== base.origin) return;
  const name = nameOf(request.url);
  if (Object.hasOwn(hashes, name)) event.respondWith(answer(name, request));
  // What is in no list (a page that somebody put beside ours) is only given the headers.
  else if (isolated(request)) event.respondWith(fetch(request).then(withHeaders));
});
scope.addEventListener("message", (/** @type {any} */ event) => {
  const { kind, names = [] } = event.data ?? {};
  const [port] = event.ports;
  if (!port) return;
  const work = kind === "keep" ? keep(names) : kind === "take over" ? takeOver(event.source?.id) : null;
  if (work) event.waitUntil(work.then((value) => port.postMessage({ value }), (error) => port.postMessage({ error: String(error) })));
});

/** Fetches a whole version, or fails and leaves no trace of it. @param {Shell} shell */
async function install({ core, later }) {
  // A cache of this name is that of a worker that runs, with the same files: it must outlive this one's failure.
  const runs = await caches.has(NAME);
  const earlier = await earlierFiles();
  // What this browser has used before it will use again.
  const wanted = [...Object.keys(core), ...Object.keys(later).filter((name) => earlier.has(name))];
  const cache = await caches.open(NAME);
  const fetching = Array.from({ length: AT_ONCE }, async () => {
    for (let name = wanted.pop(); name !== undefined; name = wanted.pop()) {
      await cache.put(addressOf(name), await theSame(earlier.get(name), hashes[name]) ?? await brought(name));
    }
  });
  const failed = (await Promise.allSettled(fetching)).find(({ status }) => status === "rejected");
  if (!failed) return;
  if (!runs) await caches.delete(NAME);
  throw /** @type {PromiseRejectedResult} */ (failed).reason;
}

/** The files that other versions have kept, by name. @returns {Promise<Map<string, Response>>} */
async function earlierFiles() {
  const files = new Map();
  for (const name of await versions()) {
    const cache = await caches.open(name);
    for (const request of await cache.keys()) files.set(nameOf(request.url), await cache.match(request));
  }
  return files;
}

/** All versions that are kept, whole or not. */
const versions = async () => (await caches.keys()).filter((name) => name.startsWith(FAMILY));

/** Bytes that were kept and still are what is wanted. @param {Response | undefined} kept @param {string} hash */
async function theSame(kept, hash) {
  const response = kept && await plain(kept);
  return response && (await hashOf(response)) === hash ? response : null;
}

/**
 * A file of this version, from the browser's cache if that has the right one. Anything else fails: a host that is changing its
 * files, or that changes them on the way.
 * @param {string} name
 */
async function brought(name) {
  for (const cache of /** @type {const} */ (["default", "reload"])) {
    const response = await fetch(addressOf(name), { cache, credentials: "same-origin" });
    if (!response.ok) throw new Error(`${name}: the server answered ${response.status}`);
    const found = await plain(response);
    if ((await hashOf(found)) === hashes[name]) return found;
  }
  throw new Error(`${name} is not of version ${shell?.version}`);
}

/**
 * A response to be kept: with its headers, policies above all, but those of how it came. It says nothing of its address, so
 * that it can stand for the one that is asked for.
 * @param {Response} response
 */
async function plain(response) {
  const headers = new Headers(response.headers);
  const bytes = await response.arrayBuffer();
  for (const name of ["content-encoding", "transfer-encoding", "vary"]) headers.delete(name);
  headers.set("content-length", String(bytes.byteLength));
  return new Response(bytes, { headers });
}

/** @param {Response} response */
async function hashOf(response) {
  const hash = await crypto.subtle.digest("SHA-256", await response.clone().arrayBuffer());
  return Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function activate() {
  for (const name of await versions()) if (!shell || name !== NAME) await caches.delete(name);
  if (!shell) await scope.registration.unregister();
}

/** A file of this version: kept, or fetched and kept. @param {string} name @param {Request} request */
async function answer(name, request) {
  const cache = await caches.open(NAME);
  const kept = await cache.match(addressOf(name));
  if (kept) return isolated(request) ? withHeaders(kept) : kept;
  try {
    const response = await brought(name);
    await cache.put(addressOf(name), response.clone());
    return isolated(request) ? withHeaders(response) : response;
  } catch (cause) {
    // Of another version, or out of reach: both are better than a page of two halves.
    return new Response(String(cause), { status: 504, headers: { "content-type": "text/plain" } });
  }
}

/** Whether an answer decides over isolation: a page's or a worker's. @param {Request} request */
const isolated = ({ destination }) => Boolean(shell?.isolate) && ["document", "worker"].includes(destination);

/** @param {Response} response */
function withHeaders(response) {
  // A redirect is for the browser to follow.
  if (response.type === "opaqueredirect") return response;
  const headers = new Headers(response.headers);
  for (const [name, value] of Object.entries(ISOLATION)) headers.set(name, value);
  const { status, statusText, body } = response;
  return new Response(body, { status, statusText, headers });
}

/** Keeps files that are fetched late otherwise: a page's engine. @param {string[]} names @returns {Promise<boolean>} whether all are kept */
async function keep(names) {
  const cache = await caches.open(NAME);
  for (const name of names.filter((name) => Object.hasOwn(hashes, name))) {
    if (!(await cache.match(addressOf(name)))) await cache.put(addressOf(name), await brought(name));
  }
  return true;
}

/**
 * Lets this version, which waits, take over, unless other pages of the old one are open: they would get files of both.
 * @param {string | undefined} asking the page that asks
 * @returns {Promise<number>} how many others are open
 */
async function takeOver(asking) {
  const pages = await scope.clients.matchAll({ type: "window", includeUncontrolled: true });
  const others = pages.filter((/** @type {any} */ { id, url }) => id !== asking && url.startsWith(base.href)).length;
  if (!others) await scope.skipWaiting();
  return others;
}

/** A file's path from this worker's folder. @param {string} url */
function nameOf(url) {
  const path = new URL(url).pathname;
  if (!path.startsWith(base.pathname)) return "";
  const name = decodeURIComponent(path.slice(base.pathname.length));
  return name === "" || name.endsWith("/") ? `${name}index.html` : name;
}

/** @param {string} name */
const addressOf = (name) => new URL(name.split("/").map(encodeURIComponent).join("/"), base).href;
