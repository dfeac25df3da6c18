// A stand-in for the Hub and for the file server behind it, on two ports and so of two origins, which misbehaves when a
// test asks it to. What it imitates was read from the Hub's answers and its clients' code: `resolve` redirects to a
// signed address that expires, and the page may read the headers that are exposed and no others.
import { createHash } from "node:crypto";
import { createServer } from "node:http";

/**
 * What one request for a file is answered with instead of the file.
 * @typedef {{ kind: "cut" | "cut_chunked" | "short" | "stall", after: number } | { kind: "stall_headers" }
 *   | { kind: "drip", bytes: number, every: number } | { kind: "ignore_range" }
 *   | { kind: "range", start?: number, total?: number, etag?: string } | { kind: "etag", etag: string }
 *   | { kind: "status", status: number, headers?: Record<string, string>, body?: string }
 *   | { kind: "body", body: string | Uint8Array, type?: string } | { kind: "flip", at: number } | { kind: "gzip" }
 *   | { kind: "no_cors" } | { kind: "hide_headers" } | { kind: "redirect", to: string } | { kind: "loop" }} Fault
 *   `after`: bytes of this answer's body that are still sent.
 * @typedef {{ file: string, from: number | null, at: number, status: number, sent: number, of: "hub" | "files" }} Seen
 *   `from`: of the request's Range; `at`: milliseconds
 */

const EXPOSED = "X-Repo-Commit,X-Request-Id,X-Error-Code,X-Error-Message,X-Total-Count,ETag,Link,Accept-Ranges,Content-Range,X-Linked-Size,X-Linked-ETag,X-Xet-Hash,Retry-After";
/** A revision for those who ask for none. */
export const COMMIT = "607a30d783dfa663caf39e06633721c8d4cfcd7e";

/** The commit of a tag. @param {string} tag `owner/name@tag` */
const commitOf = (tag) => createHash("sha1").update(tag).digest("hex");

/** @param {Uint8Array} bytes */
export const sha256 = (bytes) => remembered(bytes, "sha256", () => createHash("sha256").update(bytes).digest("hex"));

/** Hashes of large files take seconds. @type {WeakMap<Uint8Array, Record<string, string>>} */
const hashes = new WeakMap();
/** @param {Uint8Array} bytes @param {string} kind @param {() => string} compute */
function remembered(bytes, kind, compute) {
  const known = hashes.get(bytes) ?? {};
  hashes.set(bytes, known);
  return known[kind] ??= compute();
}
/** Large files are kept apart from the repository, under their own hash. @param {string} file */
const isLarge = (file) => /\.(safetensors|bin)$/.test(file);

/**
 * @param {Record<string, Record<string, Uint8Array>>} repositories `owner/name` to its files; `owner/name@tag` to those of a tag
 */
export async function startHub(repositories) {
  /** Faults by file, one for each request that the file gets, until none is left; null for none. @type {Record<string, (Fault | null)[]>} */
  const plan = {};
  /** Faults of every request of a file. @type {Record<string, Fault>} */
  const always = {};
  /** @type {Seen[]} */
  const seen = [];
  /** Faults of the Hub's own answers, before the redirect. @type {Record<string, (Fault | null)[]>} */
  const hubPlan = {};
  const options = { redirects: true, linked: true, lifetime: 60_000, lfs: true };
  /** Signed addresses that were given out. @type {Map<string, { bytes: Uint8Array, file: string, until: number }>} */
  const signed = new Map();
  /** @type {Set<import("node:net").Socket>} */
  const sockets = new Set();
  /** Where the next redirects lead instead. @type {string[]} */
  const away = [];
  const urls = { hub: "", files: "" };

  const hub = createServer((request, response) => {
    const url = new URL(request.url ?? "/", "http://hub");
    cors(response);
    if (request.method === "OPTIONS") return void response.writeHead(200, { "access-control-allow-headers": "range,content-type", "access-control-allow-methods": "GET,POST,HEAD" }).end();
    const api = /^\/api\/models\/([^/]+\/[^/]+)(?:\/(paths-info|revision|tree)\/([^/]+))?$/.exec(url.pathname);
    if (api) return answerApi(request, response, api[1], api[2] ?? "revision", api[3] ?? "main");
    const found = /^\/([^/]+\/[^/]+)\/(resolve|raw)\/([^/]+)\/(.+)$/.exec(decodeURIComponent(url.pathname));
    if (!found) return void response.writeHead(404, { "x-error-code": "RepoNotFound" }).end("Repository not found");
    const [, repo, kind, revision, file] = found;
    const at = revisionOf(repo, revision);
    const bytes = at?.held[file];
    /** @type {Seen} */
    const record = { file, from: rangeOf(request), at: Date.now(), status: 0, sent: 0, of: "hub" };
    seen.push(record);
    const fault = hubPlan[file]?.shift() ?? null;
    response.on("close", () => { record.status ||= response.statusCode; });
    if (fault) return misbehave(fault, request, response, bytes ?? new Uint8Array(), record, etagOf(file, bytes ?? new Uint8Array()));
    if (!exists(repo)) return void response.writeHead(401, { "x-error-code": "RepoNotFound", "x-error-message": "Repository not found" }).end("Invalid username or password.");
    if (!at) return void response.writeHead(404, { "x-error-code": "RevisionNotFound" }).end("Invalid rev id");
    if (!bytes) return void response.writeHead(404, { "x-error-code": "EntryNotFound", "x-error-message": "Entry not found" }).end("Entry not found");
    response.setHeader("x-repo-commit", at.commit);
    if (kind === "raw") {
      const body = isLarge(file) ? `version https://git-lfs.github.com/spec/v1\noid sha256:${sha256(bytes)}\nsize ${bytes.length}\n` : bytes;
      return void response.writeHead(200, { "content-type": "text/plain; charset=utf-8", "content-length": Buffer.byteLength(body) }).end(body);
    }
    if (!options.redirects || !isLarge(file)) return serve(request, response, bytes, record, file, plan[file]?.shift() ?? always[file] ?? null);
    const address = `/${repo}/${at.commit}/${file}?sig=${signed.size}-${Math.random().toString(36).slice(2)}`;
    signed.set(address, { bytes, file, until: Date.now() + options.lifetime });
    if (options.linked) response.setHeader("x-linked-size", bytes.length).setHeader("x-linked-etag", `"${sha256(bytes)}"`);
    response.writeHead(302, { location: away.shift() ?? `${urls.files}${address.slice(1)}` }).end();
  });

  const files = createServer((request, response) => {
    const known = signed.get(request.url ?? "");
    cors(response);
    if (request.method === "OPTIONS") return void response.writeHead(200, { "access-control-allow-headers": "range" }).end();
    /** @type {Seen} */
    const record = { file: known?.file ?? request.url ?? "", from: rangeOf(request), at: Date.now(), status: 0, sent: 0, of: "files" };
    seen.push(record);
    response.on("close", () => { record.status ||= response.statusCode; });
    if (request.url?.startsWith("/loop")) return void response.writeHead(302, { location: request.url }).end();
    if (!known || Date.now() > known.until) return void response.writeHead(403, { "content-type": "application/xml" }).end("<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>");
    const { bytes, file } = known;
    serve(request, response, bytes, record, file, plan[file]?.shift() ?? always[file] ?? null);
  });

  /** @param {import("node:http").IncomingMessage} request @param {import("node:http").ServerResponse} response @param {Uint8Array} bytes @param {Seen} record @param {string} file @param {Fault | null} fault */
  function serve(request, response, bytes, record, file, fault) {
    if (fault) return misbehave(fault, request, response, bytes, record, etagOf(file, bytes));
    send(request, response, bytes, record, { etag: etagOf(file, bytes) });
  }

  /** @param {string} repo */
  function exists(repo) {
    return Object.keys(repositories).some((name) => name.split("@")[0] === repo);
  }

  /** The files of a repository at a branch, a tag or a commit. @param {string} repo @param {string} revision */
  function revisionOf(repo, revision) {
    if (repositories[repo] && ["main", COMMIT].includes(revision)) return { held: repositories[repo], commit: COMMIT };
    const tags = Object.keys(repositories).filter((name) => name.startsWith(`${repo}@`));
    const tag = tags.find((name) => name === `${repo}@${revision}` || commitOf(name) === revision);
    return tag ? { held: repositories[tag], commit: commitOf(tag) } : null;
  }

  /** @param {import("node:http").IncomingMessage} request @param {import("node:http").ServerResponse} response @param {string} repo @param {string} kind @param {string} revision */
  function answerApi(request, response, repo, kind, revision) {
    const at = revisionOf(repo, revision);
    if (!at) return void (exists(repo) ? response.writeHead(404, { "x-error-code": "RevisionNotFound" }) : response.writeHead(401, { "x-error-code": "RepoNotFound" })).end("{}");
    const { held, commit } = at;
    const all = Object.entries(held).map(([path, bytes]) => ({
      type: "file", oid: gitHash(bytes), size: bytes.length, path,
      ...(isLarge(path) && options.lfs ? { lfs: { oid: sha256(bytes), size: bytes.length, pointerSize: 134 } } : {}),
    }));
    const blobs = new URL(request.url ?? "/", "http://hub").searchParams.get("blobs") === "true";
    let body = "";
    request.on("data", (chunk) => { body += chunk; });
    request.on("end", () => {
      const wanted = kind === "paths-info" ? new Set(body.startsWith("{") ? JSON.parse(body).paths : new URLSearchParams(body).getAll("paths")) : null;
      const answer = kind === "revision" ? { id: repo, sha: commit, siblings: all.map(({ path, size, oid, lfs }) => (blobs
        ? { rfilename: path, size, blobId: oid, ...(lfs ? { lfs: { sha256: lfs.oid, size, pointerSize: 134 } } : {}) } : { rfilename: path })) }
        : all.filter(({ path }) => !wanted || wanted.has(path));
      const text = JSON.stringify(answer);
      response.writeHead(200, { "content-type": "application/json; charset=utf-8", "x-repo-commit": commit, "content-length": Buffer.byteLength(text) }).end(text);
    });
  }

  for (const [key, server] of /** @type {const} */ ([["hub", hub], ["files", files]])) {
    server.on("connection", (socket) => {
      sockets.add(socket);
      socket.on("close", () => sockets.delete(socket));
    });
    await new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(undefined)));
    const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
    urls[key] = `http://127.0.0.1:${port}/`;
  }

  return {
    url: urls.hub, filesUrl: urls.files, plan, always, hubPlan, options, seen, away, repositories,
    /** Body bytes of large files that were sent since the last `reset`. */
    weightBytes: () => seen.filter(({ file }) => isLarge(file)).reduce((sum, { sent }) => sum + sent, 0),
    /** Back to good behaviour, with nothing seen. */
    reset() {
      for (const table of [plan, always, hubPlan]) for (const key of Object.keys(table)) delete table[key];
      Object.assign(options, { redirects: true, linked: true, lifetime: 60_000, lfs: true });
      away.length = 0;
      seen.length = 0;
    },
    close() {
      for (const socket of sockets) socket.destroy();
      hub.close();
      files.close();
    },
  };

  /** @param {import("node:http").ServerResponse} response */
  function cors(response) {
    response.setHeader("access-control-allow-origin", "*");
    response.setHeader("access-control-expose-headers", EXPOSED);
    response.setHeader("cross-origin-resource-policy", "cross-origin");
    response.setHeader("accept-ranges", "bytes");
    response.setHeader("cache-control", "no-store");
  }
}

/** @typedef {Awaited<ReturnType<typeof startHub>>} Hub */

/** @param {Uint8Array} bytes */
const gitHash = (bytes) => remembered(bytes, "git", () => createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex"));
/** Git's own hash for small files, the content's for large ones. @param {string} file @param {Uint8Array} bytes */
const etagOf = (file, bytes) => `"${isLarge(file) ? sha256(bytes) : gitHash(bytes)}"`;

/** @param {import("node:http").IncomingMessage} request */
function rangeOf(request) {
  const found = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "");
  return found ? Number(found[1]) : null;
}

/**
 * The bytes that a request asks for, with an honest header.
 * @param {import("node:http").IncomingMessage} request
 * @param {Uint8Array} bytes
 * @returns {{ status: number, headers: Record<string, string | number>, body: Uint8Array, from: number }}
 */
function ranged(request, bytes) {
  const found = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "");
  if (!found) return { status: 200, headers: { "content-length": bytes.length }, body: bytes, from: 0 };
  const from = Number(found[1]);
  const to = Math.min(found[2] ? Number(found[2]) + 1 : bytes.length, bytes.length);
  if (from >= to) return { status: 416, headers: { "content-range": `bytes */${bytes.length}`, "content-length": 0 }, body: new Uint8Array(), from };
  const body = bytes.subarray(from, to);
  return { status: 206, headers: { "content-range": `bytes ${from}-${to - 1}/${bytes.length}`, "content-length": body.length }, body, from };
}

/**
 * @param {import("node:http").IncomingMessage} request
 * @param {import("node:http").ServerResponse} response
 * @param {Uint8Array} bytes
 * @param {Seen} record
 * @param {Record<string, string | number>} headers
 */
function send(request, response, bytes, record, headers) {
  const { status, headers: own, body } = ranged(request, bytes);
  response.writeHead(status, { "content-type": "application/octet-stream", ...own, ...headers });
  record.status = status;
  if (request.method === "HEAD") return void response.end();
  record.sent += body.length;
  response.end(body);
}

/**
 * @param {Fault} fault
 * @param {import("node:http").IncomingMessage} request
 * @param {import("node:http").ServerResponse} response
 * @param {Uint8Array} bytes
 * @param {Seen} record
 * @param {string} etag
 */
function misbehave(fault, request, response, bytes, record, etag) {
  const { status, headers, body } = ranged(request, bytes);
  const type = { "content-type": "application/octet-stream" };
  record.status = status;
  const part = (/** @type {number} */ after) => {
    const some = body.subarray(0, Math.min(after, body.length));
    record.sent += some.length;
    return some;
  };
  switch (fault.kind) {
    case "cut":
      response.writeHead(status, { ...type, ...headers, etag });
      return void response.write(part(fault.after), () => setTimeout(() => response.destroy(), 20));
    case "cut_chunked":
      delete headers["content-length"];
      response.writeHead(status, { ...type, ...headers, etag });
      return void response.write(part(fault.after), () => setTimeout(() => response.destroy(), 20));
    case "short": {
      // HTTP/1.0 as some proxies speak it: the end of the connection is the end of the body.
      const lines = [`HTTP/1.0 ${status} OK`, "access-control-allow-origin: *", `access-control-expose-headers: ${EXPOSED}`,
        "cross-origin-resource-policy: cross-origin", `etag: ${etag}`, ...(status === 206 ? [`content-range: ${headers["content-range"]}`] : []), "", ""];
      return void response.socket?.end(Buffer.concat([Buffer.from(lines.join("\r\n")), part(fault.after)]));
    }
    case "stall":
      response.writeHead(status, { ...type, ...headers, etag });
      return void response.write(part(fault.after));
    case "stall_headers": return;
    case "drip": {
      response.writeHead(status, { ...type, ...headers, etag });
      let at = 0;
      const drip = setInterval(() => {
        const some = body.subarray(at, at + fault.bytes);
        at += some.length;
        record.sent += some.length;
        response.write(some);
        if (at >= body.length) {
          clearInterval(drip);
          response.end();
        }
      }, fault.every);
      return void response.on("close", () => clearInterval(drip));
    }
    case "ignore_range":
      response.writeHead(200, { ...type, "content-length": bytes.length, etag });
      record.status = 200;
      record.sent += bytes.length;
      return void response.end(bytes);
    case "range": {
      const { from } = ranged(request, bytes);
      const start = from + (fault.start ?? 0);
      const shifted = bytes.subarray(start, start + body.length);
      record.sent += shifted.length;
      response.writeHead(206, { ...type, "content-length": shifted.length, etag: fault.etag ?? etag,
        "content-range": `bytes ${start}-${start + shifted.length - 1}/${fault.total ?? bytes.length}` });
      return void response.end(shifted);
    }
    case "etag": return send(request, response, bytes, record, { etag: fault.etag });
    case "status":
      record.status = fault.status;
      response.writeHead(fault.status, { "content-type": "text/plain", ...fault.headers });
      return void response.end(fault.body ?? "");
    case "body": {
      const whole = Buffer.from(/** @type {any} */ (fault.body));
      record.status = 200;
      response.writeHead(200, { "content-type": fault.type ?? "text/html", "content-length": whole.length });
      return void response.end(whole);
    }
    case "flip": {
      const wrong = Uint8Array.from(bytes);
      wrong[fault.at] ^= 1;
      return send(request, response, wrong, record, { etag });
    }
    case "gzip": return import("node:zlib").then(({ gzipSync }) => {
      const packed = gzipSync(bytes);
      record.status = 200;
      record.sent += packed.length;
      response.writeHead(200, { "content-type": "application/json", "content-encoding": "gzip", "content-length": packed.length, etag });
      response.end(packed);
    }), undefined;
    case "no_cors":
      response.removeHeader("access-control-allow-origin");
      return send(request, response, bytes, record, { etag });
    case "hide_headers":
      response.removeHeader("access-control-expose-headers");
      return send(request, response, bytes, record, { etag });
    case "redirect":
      record.status = 302;
      return void response.writeHead(302, { location: fault.to }).end();
    case "loop":
      record.status = 302;
      return void response.writeHead(302, { location: request.url ?? "/" }).end();
  }
}
