// The service worker of isolate.js: the page and its workers as the host sent them, with the headers that isolate them.
// Everything else (scripts, weights) goes past it.

const HEADERS = { "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" };

const scope = /** @type {any} */ (self);

// A new version takes over at once: there is no cache that could belong to the old one.
scope.addEventListener("install", () => scope.skipWaiting());

scope.addEventListener("fetch", (/** @type {any} */ event) => {
  if (["document", "worker"].includes(event.request.destination)) event.respondWith(isolated(event.request));
});

/** @param {Request} request */
async function isolated(request) {
  const response = await fetch(request);
  // A redirect is for the browser to follow.
  if (response.type === "opaqueredirect") return response;
  const headers = new Headers(response.headers);
  for (const [name, value] of Object.entries(HEADERS)) headers.set(name, value);
  const { status, statusText } = response;
  return new Response(response.body, { status, statusText, headers });
}
